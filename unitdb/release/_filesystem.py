"""The files of one release on the web, as DuckDB reads them through fsspec; nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    import io

    from unitdb.release.storage import Remote

__all__ = ["RemoteFileSystem"]

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class RemoteFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Read-only files ``unitdb://NAME`` of one release.

    Parameters
    ----------
    remote : Remote
        The release.
    """

    protocol = "unitdb"
    cachable = False

    def __init__(self, remote: Remote) -> None:
        super().__init__()
        self._remote = remote

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file of that name: there are no patterns."""
        return [_name(path)]

    def exists(self, path: str, **_: Any) -> bool:  # noqa: ARG002
        """Whether it is in the manifest, which is all that DuckDB may ask for."""
        return True

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name and size."""
        name = _name(path)
        return {"name": name, "size": self._remote.size(name), "type": "file"}

    def modified(self, path: str) -> datetime:  # noqa: ARG002
        """A release never changes."""
        return _NEVER

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        """Open a file for reading.

        Raises
        ------
        PermissionError
            For writing.
        """
        if mode != "rb":
            raise PermissionError(f"{path}: a release is only read")
        return self._remote.open(_name(path))


def _name(path: str) -> str:
    # DuckDB hands over names as patterns, in which a bracket stands for itself as [[].
    return path.removeprefix("unitdb://").replace("[[]", "[")
