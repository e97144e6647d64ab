"""A release opened for a command."""

from __future__ import annotations

from pathlib import Path

from unitdb.cli import terminal
from unitdb.release import Release, open_release

__all__ = ["opened_release"]


def opened_release(root: Path, reference: str) -> Release:
    """Open a release; says on stderr where it is simulated."""
    release = open_release(reference, releases=root)
    if release.simulated:
        terminal.echo(
            f"SIMULATED: {release.name} {release.version} rests on simulated responses, "
            "not on measurements",
            err=True,
        )
    return release
