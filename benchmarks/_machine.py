"""The machine and packages that numbers are from; an environment that does not slow them."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe_machine", "restart_without_tuning", "versions"]

_TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def restart_without_tuning() -> None:
    """Start this program anew without the variables that change OpenBLAS, where any is set."""
    if any(name in os.environ for name in _TUNING):
        rest = {name: value for name, value in os.environ.items() if name not in _TUNING}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], rest)  # noqa: S606


def describe_machine() -> dict[str, str | int]:
    """Processor, cores that this process may use, system and date."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the engine computes with."""
    packages = {name: version(name) for name in ("unitdb", "numpy", "scipy", "numba")}
    return {"python": platform.python_version(), **packages}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {name.strip(): value.strip() for name, value in fields.items()}
    model = found.get("model name") or platform.processor() or platform.machine()
    if "model" in found:
        model += f", family {found.get('cpu family')} model {found['model']}"
    return model
