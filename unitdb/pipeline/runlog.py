"""What a run took and ran on: beside the release, whose bytes do not depend on it."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unitdb.files import write_text
from unitdb.tables import code_sha256, own_commit, package_versions

__all__ = ["RunLog", "run_log_path"]


def run_log_path(releases: Path, name: str, version: str) -> Path:
    """File that tells of the run which published a release."""
    return releases / ".runs" / name / f"{version}.json"


class RunLog:
    """Clock of a build's steps.

    Parameters
    ----------
    settings : dict
        How it was run: numbers of workers, memory and the like.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._started = datetime.now(UTC)
        self._seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time of the block to a step."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start

    def write(self, path: Path) -> None:
        """Write what was counted, as JSON."""
        content = {
            "started": self._started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": {name: round(taken, 3) for name, taken in self._seconds.items()},
            "settings": self._settings,
            "code": {"sha256": code_sha256(), "git_commit": own_commit()},
            "packages": package_versions(),
            "machine": _machine(),
        }
        write_text(path, json.dumps(content, indent=2) + "\n")


def _machine() -> dict[str, Any]:
    """What the machine is; not what it is called."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
