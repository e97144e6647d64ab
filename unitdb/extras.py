"""Packages that only parts of unitdb need, and the command that installs them.

No index has unitdb: what installs an extra is a checkout, or the address that it was installed
from, which pip keeps beside an installation (``direct_url.json``, PEP 610).
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from unitdb.errors import MissingExtraError

__all__ = ["install_hint", "need", "upgrade_hint"]


def need(*packages: str, by: str, extra: str) -> None:
    """Go on if packages are installed; they are looked for, not imported.

    Raises
    ------
    MissingExtraError
        Names the first that is not, what needs it, and the command that installs it.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(f"{by} needs {package}: {install_hint(extra)}")


def install_hint(extra: str) -> str:
    """Give the command that installs an extra, for this installation of unitdb.

    Parameters
    ----------
    extra : str
        As in ``pyproject.toml``, for example ``"build"``.

    Returns
    -------
    str
        ``pip install -e 'CHECKOUT[extra]'`` where unitdb runs from a checkout; pip with the path
        or address that it was installed from otherwise; where neither is known, or the path is
        gone, what to give in a checkout.
    """
    return _command(f"[{extra}]") or f"in a checkout of unitdb, pip install -e '.[{extra}]'"


def upgrade_hint() -> str:
    """Give what makes this installation of unitdb a newer one.

    Returns
    -------
    str
        A command, or words where unitdb was not installed from a place that has newer ones.
    """
    origin = _origin()
    command = _command("", latest=True)
    if command is None or "archive_info" in origin:  # a wheel stays what it is
        return "install a newer one from a checkout of it (pip install .)"
    if "vcs_info" in origin:
        return command.replace(" install ", " install --upgrade ", 1)
    return f"bring {_path(origin['url'])} up to date, then {command}"


def _command(extra: str, *, latest: bool = False) -> str | None:
    """Pip with where unitdb is from; None where that is not known or no longer there."""
    origin = _origin()
    url = origin.get("url", "")
    folder = _path(url)
    if not url or (folder is not None and not folder.exists()):
        return None
    if folder is None or folder.is_file() or "vcs_info" in origin:
        return f"{_pip()} install 'unitdb{extra} @ {_address(origin, latest=latest)}'"
    editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
    return f"{_pip()} install {editable}{shlex.quote(f'{folder}{extra}')}"


def _origin() -> dict[str, Any]:
    """What pip noted of where unitdb is from; the checkout where it runs from one uninstalled."""
    try:
        noted = importlib.metadata.distribution("unitdb").read_text("direct_url.json")
        if noted:
            found: dict[str, Any] = json.loads(noted)
            return found
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
    checkout = Path(__file__).absolute().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    return {}


def _path(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _address(origin: dict[str, Any], *, latest: bool) -> str:
    """Address that pip takes: with the commit, or without where the latest is wanted."""
    url: str = origin.get("url", "")
    version = origin.get("vcs_info")
    if not version:
        return url
    commit = "" if latest else f"@{version['commit_id']}"
    part = origin.get("subdirectory")
    return f"{version['vcs']}+{url}{commit}" + (f"#subdirectory={part}" if part else "")


def _pip() -> str:
    """Pip of this environment: by its name where the shell would find the same."""
    found = shutil.which("pip")
    if found and Path(found).parent == Path(sysconfig.get_path("scripts")):
        return "pip"
    return f"{shlex.quote(sys.executable)} -m pip"
