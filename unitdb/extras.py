"""Packages that only parts of unitdb need, and the extra that installs them."""

from __future__ import annotations

import importlib.util

from unitdb.errors import MissingExtraError

__all__ = ["need"]


def need(*packages: str, by: str, extra: str) -> None:
    """Go on if packages are installed; they are looked for, not imported.

    Raises
    ------
    MissingExtraError
        Names the first that is not, what needs it, and the extra.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"{by} needs {package}: pip install 'unitdb[{extra}]'")
