"""What a result depends on besides its inputs: code and packages."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib import metadata, resources
from pathlib import Path

from unitdb.tables.files import code_commit

__all__ = ["code_sha256", "own_commit", "package_versions"]

_NUMERIC_PACKAGES = ("Pillow", "numba", "numpy", "pyarrow", "scipy", "torch")


_READING = {"browser", "cli", "nn", "query", "release", "verification"}


@cache
def code_sha256() -> str:
    """Hash of the source files that build, so that a build made by other code is another build."""
    root = Path(str(resources.files("unitdb")))
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda p: p.relative_to(root).as_posix()):
        if path.relative_to(root).parts[0] in _READING:
            continue
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def own_commit() -> str | None:
    """Commit that last changed the source that builds; None where it runs from no commit."""
    return code_commit(Path(str(resources.files("unitdb"))), without=sorted(_READING))


@cache
def package_versions() -> dict[str, str]:
    """Versions of Python, the processor's architecture and the packages that compute."""
    versions = {name: metadata.version(name) for name in _NUMERIC_PACKAGES}
    return {"machine": platform.machine(), "python": platform.python_version(), **versions}
