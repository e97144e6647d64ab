"""Where the files of a release lie: in a folder, or below an address on the web.

Of a release on the web only what is asked for is read: the end of a Parquet file, which says where
its columns are, and of those the parts that a query needs. Some of it is kept in memory.
"""

from __future__ import annotations

import io
import threading
import urllib.parse
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from unitdb.errors import FetchError, MissingExtraError
from unitdb.extras import install_hint
from unitdb.files import check_downloaded
from unitdb.release.names import LARGEST_TEXT, bounded_text
from unitdb.release.rows import read_matching, read_rows
from unitdb.release.web import is_address, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Folder", "Remote", "Storage", "is_address"]

_BLOCK = 1 << 16
_KEPT_BLOCKS = 1 << 10


class Storage(Protocol):
    """Files of a release."""

    def __str__(self) -> str:
        """The folder or address."""

    def read_text(self, name: str) -> str:
        """Read a text file.

        Raises
        ------
        FileNotFoundError
            There is none.
        """

    def missing(self, names: Iterable[str]) -> list[str]:
        """Files that are not there, as far as that is known without reading them.

        Raises
        ------
        NotDownloadedError
            A clone has the names of some alone.
        """

    def rows(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a Parquet file, or some of its columns."""

    def rows_of_roi(self, name: str, columns: Sequence[str], roi: str) -> pa.Table:
        """Read the rows of one ROI, some of their columns."""

    def root(self) -> Storage | None:
        """Where the catalogue of the release would lie; None where nothing is above."""

    def location(self, name: str) -> str:
        """Name of a file for DuckDB."""

    def filesystem(self) -> Any:
        """What DuckDB reads such names with; None for files of this machine."""


class Folder:
    """Files of a release in a folder.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def read_text(self, name: str) -> str:
        """Read a text file."""
        check_downloaded(self.path, [name])
        return bounded_text(self.path / name)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Files that are not there."""
        names = list(names)
        check_downloaded(self.path, names)
        return [name for name in names if not (self.path / name).is_file()]

    def rows(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a Parquet file, or some of its columns."""
        return read_rows(self.path / name, columns)

    def rows_of_roi(self, name: str, columns: Sequence[str], roi: str) -> pa.Table:
        """Read the rows of one ROI, some of their columns."""
        return read_matching(self.path / name, columns, column="roi", value=roi)

    def root(self) -> Folder:
        """Two folders above: that of the release is ``name/version``."""
        return Folder(self.path.resolve().parent.parent)

    def location(self, name: str) -> str:
        """Path of a file."""
        return str(self.path / name)

    def filesystem(self) -> None:
        """DuckDB reads paths itself."""


class Remote:
    """Files of a release on the web, read in parts.

    Parameters
    ----------
    address : str
        http or https address of the release's folder; its server answers range requests.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._lock = threading.Lock()
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._blocks: OrderedDict[tuple[str, int], bytes] = OrderedDict()

    def __str__(self) -> str:
        return self.address

    def read_text(self, name: str) -> str:
        """Read a text file."""
        body, _ = read(f"{self.address}/{name}", most=LARGEST_TEXT)
        return body.decode("utf-8")

    def missing(self, names: Iterable[str]) -> list[str]:  # noqa: ARG002
        """None: it would take a request for each; reading one that is not there tells."""
        return []

    def rows(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a Parquet file, or some of its columns."""
        with self.open(name) as file:
            return read_rows(file, columns, where=f"{self.address}/{name}")

    def rows_of_roi(self, name: str, columns: Sequence[str], roi: str) -> pa.Table:
        """Read the rows of one ROI, some of their columns."""
        with self.open(name) as file:
            where = f"{self.address}/{name}"
            return read_matching(file, columns, column="roi", value=roi, where=where)

    def root(self) -> Remote | None:
        """Two steps above in the address, if there are."""
        if urllib.parse.urlsplit(self.address).path.strip("/").count("/") < 1:
            return None  # it is served by itself
        return Remote(self.address.rsplit("/", 2)[0])

    def location(self, name: str) -> str:
        """Name of a file for DuckDB."""
        return f"unitdb://{name}"

    def filesystem(self) -> Any:
        """What DuckDB reads with.

        Raises
        ------
        MissingExtraError
            fsspec is not installed.
        """
        # fsspec is found when it is needed: files of this machine do without it.
        try:
            from unitdb.release._filesystem import RemoteFileSystem
        except ModuleNotFoundError as error:
            if error.name != "fsspec":
                raise
            raise MissingExtraError(
                f"releases on the web are read with fsspec: {install_hint('remote')}"
            ) from None
        return RemoteFileSystem(self)

    def open(self, name: str) -> io.RawIOBase:
        """Open a file for reading."""
        return _File(self, name)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._end(name)[0]

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read the bytes of a file from ``start`` up to ``stop``."""
        size, end = self._end(name)
        stop = min(stop, size)
        if start >= stop:
            return b""
        first = size - len(end)
        if start >= first:
            return end[start - first : stop - first]
        blocks = range(start // _BLOCK, -(-stop // _BLOCK))
        data = self._read_blocks(name, blocks, size)
        return data[start - blocks.start * _BLOCK : stop - blocks.start * _BLOCK]

    def _read_blocks(self, name: str, blocks: range, size: int) -> bytes:
        """Bytes of blocks that follow each other; those that are not at hand in one request."""
        found: dict[int, bytes] = {}
        with self._lock:
            for block in blocks:
                if (name, block) in self._blocks:
                    self._blocks.move_to_end((name, block))
                    found[block] = self._blocks[name, block]
        wanted = [block for block in blocks if block not in found]
        if wanted:
            start, stop = wanted[0] * _BLOCK, min((wanted[-1] + 1) * _BLOCK, size)
            body, total = self._part(name, f"bytes={start}-{stop - 1}", stop - start, start)
            if total != size or len(body) != stop - start:
                raise FetchError(
                    f"{self.address}/{name}: {len(body):,} bytes of a file of {total:,} came, not "
                    f"{stop - start:,} of {size:,}"
                )
            for block in range(wanted[0], wanted[-1] + 1):
                at = block * _BLOCK - start
                found[block] = body[at : at + _BLOCK]
        with self._lock:
            for block in wanted:
                self._blocks[name, block] = found[block]
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return b"".join(found[block] for block in blocks)

    def _end(self, name: str) -> tuple[int, bytes]:
        """Size and last bytes of a file: of Parquet, where its columns are."""
        with self._lock:
            if name in self._ends:
                return self._ends[name]
        body, size = self._part(name, f"bytes=-{_BLOCK}", _BLOCK, None)
        if len(body) != min(size, _BLOCK):
            raise FetchError(
                f"{self.address}/{name}: {len(body):,} bytes came, of {size:,} the end"
            )
        with self._lock:
            return self._ends.setdefault(name, (size, body))

    def _part(self, name: str, part: str, most: int, start: int | None) -> tuple[bytes, int]:
        """Bytes of a part of a file, from ``start`` or up to its end, and the size of all of it."""
        address = f"{self.address}/{name}"
        body, answer = read(address, part, most=most, part_only=True)
        if answer.total is None:
            raise FetchError(f"{address}: the server does not say how large the file is")
        if answer.start != (answer.total - len(body) if start is None else start):
            raise FetchError(f"{address}: the server sends another part than was asked for")
        return body, answer.total


class _File(io.RawIOBase):
    """A file of the web that is read like one of a disk."""

    def __init__(self, remote: Remote, name: str) -> None:
        self._remote, self._name, self._at = remote, name, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence == io.SEEK_END:
            offset += self._remote.size(self._name)
        self._at = offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._remote.read(self._name, self._at, self._at + len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
