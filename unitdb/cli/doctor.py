"""``unitdb doctor``: what is missing on this machine, and what mends it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import click

from unitdb.cli.terminal import print_table
from unitdb.errors import MissingProgramError, ProgramError
from unitdb.extras import install_hint
from unitdb.programs import PROGRAMS, find_program, mend, run

__all__ = ["Finding", "diagnose", "doctor"]

_EXTRAS = {
    "build": ("torch", "numba", "scikit-learn", "h5py", "nibabel", "zarr", "distributed"),
    "app": ("streamlit", "altair"),
    "plot": ("matplotlib",),
    "datalad": ("datalad", "git-annex"),
    "remote": ("fsspec",),
}
_WANTED_GB = 20
_HOSTS = ("figshare.com", "openneuro.org")
_SECONDS = 3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: whether it is well, what it is, and what would mend it."""

    what: str
    well: bool
    detail: str
    mend: str = ""


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_DATA",
    show_envvar=True,
    help="Data folder, whose disk is looked at.  [default: the home folder]",
)
@click.option("--offline", is_flag=True, help="Do not look at the network.")
@click.pass_context
def doctor(context: click.Context, data: Path | None, offline: bool) -> None:
    """Say what is missing on this machine, and the command that mends it.

    Exit code 1 where something is. In Python: unitdb.cli.doctor.diagnose()
    """
    found = diagnose(data=data, offline=offline)
    rows = [["well" if f.well else "MISSING", f.what, f.detail, f.mend] for f in found]
    print_table(["", "what", "found", "mend with"], rows)
    if not all(finding.well for finding in found):
        context.exit(1)


def diagnose(*, data: Path | None = None, offline: bool = False) -> list[Finding]:
    """Look at programs, packages, disk space and network.

    Parameters
    ----------
    data : Path, optional
        Data folder, whose disk is looked at; the home folder where it is not given.
    offline : bool
        Leave out the network.
    """
    found = [_program(name) for name in PROGRAMS]
    found += [_extra(name, packages) for name, packages in _EXTRAS.items()]
    found.append(_disk(data or Path.home()))
    return found if offline else [*found, *map(_host, _HOSTS)]


def _program(name: str) -> Finding:
    # DataLad does not even tell its version without git.
    for program in ("git", name) if name == "datalad" else (name,):
        try:
            find_program(program)
        except MissingProgramError:
            detail = "not installed" if program == name else f"needs {program}"
            return Finding(name, well=False, detail=detail, mend=mend(program))
    if name == "ssh-keygen":  # which tells no version
        return Finding(name, well=True, detail="installed")
    try:
        said = run(name, "version" if name == "git-annex" else "--version", folder=Path(os.sep))
    except (ProgramError, subprocess.SubprocessError, OSError) as cause:
        return Finding(name, well=False, detail=f"does not run: {cause}", mend=mend(name))
    return Finding(name, well=True, detail=said.splitlines()[0] if said else "runs")


def _extra(name: str, packages: tuple[str, ...]) -> Finding:
    missing = []
    for package in packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    return Finding(
        f"extra [{name}]",
        well=not missing,
        detail=f"lacks {', '.join(missing)}" if missing else "installed",
        mend=install_hint(name) if missing else "",
    )


def _disk(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    well = free >= _WANTED_GB and os.access(there, os.W_OK)
    return Finding(
        "disk",
        well=well,
        detail=f"{free:,.0f} GB free for {folder}"
        + ("" if os.access(there, os.W_OK) else ", not writable"),
        mend="" if well else "choose another folder with UNITDB_DATA, or unitdb datasets drop NAME",
    )


def _host(name: str) -> Finding:
    what = f"network: {name}"
    asked = urllib.request.Request(f"https://{name}", method="HEAD")
    try:  # as downloads do, through a proxy where one is set
        with urllib.request.urlopen(asked, timeout=_SECONDS):  # noqa: S310 - https
            pass
    except urllib.error.HTTPError as cause:
        cause.close()  # whatever it answers, it is there
    except OSError as cause:
        reason = getattr(cause, "reason", cause)
        mend = "see to the connection or HTTPS_PROXY; what is here works without (--offline)"
        return Finding(what, well=False, detail=f"does not answer: {reason}", mend=mend)
    return Finding(what, well=True, detail="answers")
