"""Results as files, streamed: rows are written while the browser receives them."""

from __future__ import annotations

import os
import threading
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from unitdb.browser import RELEASE_VARIABLE, _reads
from unitdb.browser._search import Search
from unitdb.errors import QueryError, UnitdbError
from unitdb.query import export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = ["FORMATS", "routes", "streamed"]

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "npz": "application/zip",
    "pt": "application/octet-stream",
}
_SORTED = 1_000_000
"""Up to so many rows a file is sorted like the table; sorting more would take memory."""
_CHUNK = 2**18


def routes() -> list[BaseRoute]:
    """Give the addresses that serve files, for ``st.App``."""
    from starlette.routing import Route

    return [Route("/download/units.{ending}", _download, methods=["GET"])]


def _download(request: Request) -> Response:
    from starlette.responses import PlainTextResponse, StreamingResponse

    ending = request.path_params["ending"]
    if ending not in FORMATS:
        return PlainTextResponse(f"there is: {', '.join(FORMATS)}\n", status_code=404)
    asked = request.query_params
    try:
        reference = os.environ.get(RELEASE_VARIABLE) or _reads.of_catalogue(
            asked.get("release", "")
        )
        release, _ = _reads.opened(reference, os.environ.get("UNITDB_RELEASES"))
        if problem := _reads.other_release(release, asked.get("release", "")):
            raise QueryError(problem)
        search = Search.from_parameters({key: asked.getlist(key) for key in asked})
        search = search.resolved(_reads.subjects(release))
        write = _writer(release, search, ending)
    except UnitdbError as error:
        return PlainTextResponse(f"{error}\n", status_code=400)
    name = f"{release.name}-{release.version}-units.{ending}"
    return StreamingResponse(
        streamed(write),
        media_type=FORMATS[ending],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _writer(release: Release, search: Search, ending: str) -> Callable[[BinaryIO], None]:
    units = search.units(release, ordered=False)
    why = _reads.refusal(release, search)
    if why is not None:
        raise QueryError(why)
    if ending in {"npz", "pt"}:
        whole = BytesIO()  # what cannot be a mask is said before the answer begins
        units.write_masks(whole, format="npz" if ending == "npz" else "pt")

        def write(file: BinaryIO) -> None:
            file.write(whole.getbuffer())

        return write
    return lambda file: _write_rows(release, search, units, file, ending)


def _write_rows(
    release: Release, search: Search, units: UnitSet, file: BinaryIO, ending: str
) -> None:
    few = units.count() <= _SORTED
    reader = (search.units(release) if few else units).to_reader()
    export.writer(file, ending)(reader, file)


def streamed(write: Callable[[BinaryIO], None]) -> Iterator[bytes]:
    """Bytes of a file while it is written, in the memory of a chunk.

    Parameters
    ----------
    write : callable
        Writes to the binary file that it is given; what it raises is raised here, behind the bytes
        that it had written, so that a file cut short is seen to be so.
    """
    reading, writing = os.pipe()
    raised: list[BaseException] = []

    def run() -> None:
        try:
            with _Pipe(writing) as file:
                write(file)
        except BrokenPipeError:
            pass  # the reader has gone
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with os.fdopen(reading, "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    finally:
        thread.join()
    if raised:
        raise raised[0]


class _Pipe:
    """End of a pipe that knows how far it has written, as writers of Parquet and zip ask."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb")
        self._place = 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def close(self) -> None:
        self._file.close()

    def flush(self) -> None:
        self._file.flush()

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        n = self._file.write(data)
        self._place += n
        return n
