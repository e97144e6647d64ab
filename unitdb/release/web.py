"""Files of a server: bounded in size and in time, asked for again where a connection is cut.

A server may lie, send for ever, or send a byte a minute. What is read is never more than was asked
for or stated; a silence ends after a minute, a trickle too; what may pass by itself (a cut
connection, 429, 5xx) is tried again, at once and then after waits that double, or as long as the
server asks for.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from unitdb.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "Answer",
    "BeyondError",
    "CutError",
    "LargerError",
    "ask",
    "is_address",
    "pieces",
    "read",
    "retried",
]

_SECONDS = 60.0  # of silence; for the head of an answer altogether
_SLOWEST = 1 << 10  # bytes a second, over a minute
_CHUNK = 1 << 20
_MOST_BETWEEN = 2 * _CHUNK  # bytes received for a piece, what HTTP adds to it included
_ATTEMPTS = 5
_WAIT, _LONGEST_WAIT = 0.5, 30.0
_AGAIN = {429, 500, 502, 503, 504}

sleep = time.sleep


class CutError(Exception):
    """What was asked for did not come, but may come when it is asked for again.

    Parameters
    ----------
    why : str
        What happened.
    wait : float, optional
        Seconds that the server asks to wait.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class BeyondError(FetchError):
    """The part that was asked for begins where the file ends, or behind."""


class LargerError(FetchError):
    """More bytes come than there should be."""


class Answer(NamedTuple):
    """The head of an answer.

    Parameters
    ----------
    stream : binary file
        Bytes to read.
    start : int
        Which byte of the file is the first.
    length : int or None
        How many bytes the answer has; None where the server does not say.
    total : int or None
        How many the file has.
    """

    stream: Any
    start: int
    length: int | None
    total: int | None


def is_address(text: object) -> bool:
    """Whether text is an address on the web."""
    return isinstance(text, str) and text.startswith(("http://", "https://"))


@contextmanager
def ask(address: str, part: str | None = None) -> Iterator[Answer]:
    """Ask for a file, or a part of it such as ``bytes=0-99``.

    Raises
    ------
    FileNotFoundError
        There is none.
    FetchError
        The server refuses, or answers with something else than was asked for.
    CutError
        It may answer when it is asked again.
    """
    with _opened(address, {"Range": part} if part else {}) as response:
        yield _answer(response, address, asked=part is not None)


def _opened(address: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Open an address; raises as :func:`ask`."""
    try:
        request = urllib.request.Request(  # noqa: S310 - the opener knows http and https alone
            urllib.parse.quote(address, safe=":/@[]%"), headers=headers
        )
        response: http.client.HTTPResponse = _opener().open(request, timeout=_SECONDS)
    except (FetchError, CutError):
        raise
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(error, address) from None
    except (http.client.InvalidURL, ValueError) as cause:
        raise FetchError(f"{address}: no address: {cause}") from None
    except (http.client.HTTPException, OSError) as cause:
        why = getattr(cause, "reason", cause)
        if isinstance(why, ConnectionRefusedError | socket.gaierror | ssl.SSLError):
            raise FetchError(f"{address}: {why}") from None  # nobody is there, or not the right one
        raise CutError(_said(why)) from None
    return response


def pieces(answer: Answer, most: int) -> Iterator[bytes]:
    """Give the bytes of an answer as they come.

    Parameters
    ----------
    answer : Answer
        From :func:`ask`.
    most : int
        So many bytes, and no more.

    Raises
    ------
    LargerError
        More come.
    CutError
        They stop coming, or hardly come.
    """
    got = 0
    try:
        while piece := answer.stream.read1(_CHUNK):
            got += len(piece)
            if got > most:
                raise LargerError(f"more than the {most:,} bytes come that there should be")
            yield piece
    except (http.client.HTTPException, OSError) as cause:
        if isinstance(cause, FetchError):
            raise
        raise CutError(_said(cause)) from None
    if answer.length is not None and got < answer.length:
        raise CutError(f"{got:,} of {answer.length:,} bytes came")


def _said(cause: Any) -> str:
    return " ".join(str(cause).split())[:200] or type(cause).__name__


def read(
    address: str, part: str | None = None, *, most: int, part_only: bool = False
) -> tuple[bytes, Answer]:
    """Read all of an answer, of so many bytes at the most; tries again where that may help.

    Parameters
    ----------
    address : str
        The file.
    part : str, optional
        Such as ``bytes=0-99``; all of it by default.
    most : int
        Bytes at the most.
    part_only : bool
        Refuse the whole file in place of a part.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FetchError
        The server does not answer, or not with what was asked for.
    """

    def once() -> tuple[bytes, Answer]:
        with ask(address, part) as answer:
            if part_only and answer.total is None:
                raise FetchError(
                    f"{address}: the server sends whole files only; unitdb fetch gets the release "
                    "to read it here"
                )
            try:
                return b"".join(pieces(answer, most)), answer
            except FetchError as error:
                raise FetchError(f"{address}: {error}") from None

    found: tuple[bytes, Answer] = retried(once, address)
    return found


def retried(
    once: Callable[[], Any], address: str, *, advanced: Callable[[], bool] | None = None
) -> Any:
    """Call a function, again and after a wait where a connection was cut.

    Parameters
    ----------
    once : callable
        Raises :class:`CutError` where it may be called again.
    address : str
        For messages.
    advanced : callable, optional
        Whether the last call brought something: then the count starts anew.

    Raises
    ------
    FetchError
        It failed so many times in a row; and what the function raises.
    """
    failures = 0
    while True:
        try:
            return once()
        except CutError as cause:
            failures = 1 if advanced is not None and advanced() else failures + 1
            if failures >= _ATTEMPTS:
                raise FetchError(f"{address}: {cause}") from cause
            wait = _WAIT * (2 ** (failures - 1) - 1) if cause.wait is None else cause.wait
            sleep(min(wait, _LONGEST_WAIT))


class _Paced(io.RawIOBase):
    """A body as it comes from the connection: fast enough, and not without a piece for ever.

    Here and not where pieces are given: sizes of chunks and trailers are read for none of them.
    """

    def __init__(self, received: io.BufferedReader) -> None:
        self._received = received
        self._since, self._got = time.monotonic(), 0
        self._room = _MOST_BETWEEN

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._received.readinto1(buffer)
        self._room -= count
        if self._room < 0:
            raise CutError(f"{_MOST_BETWEEN:,} bytes came that are no part of a file")
        self._got += count
        if (past := time.monotonic() - self._since) > _SECONDS:
            if count and self._got < _SLOWEST * _SECONDS:
                raise CutError(f"{self._got:,} bytes came in {past:.0f} s")
            self._since, self._got = time.monotonic(), 0
        return count

    def expect_piece(self) -> None:
        self._room = _MOST_BETWEEN

    def close(self) -> None:
        self._received.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer whose body is paced."""

    def begin(self) -> None:
        super().begin()
        self._paced = _Paced(self.fp)
        self.fp = io.BufferedReader(self._paced)

    def read1(self, n: int = -1) -> bytes:
        self._paced.expect_piece()
        return super().read1(n)


class _Patience:
    """A connection that waits so long for the head of an answer, however it trickles."""

    sock: socket.socket | None

    def getresponse(self) -> Any:
        """Wait for the head of the answer."""
        watch = threading.Timer(_SECONDS, self._hang_up)
        watch.daemon = True
        watch.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            watch.cancel()

    def _hang_up(self) -> None:
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class _Http(_Patience, http.client.HTTPConnection):
    response_class = _Response


class _Https(_Patience, http.client.HTTPSConnection):
    response_class = _Response


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Https, req)


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows to http and https, and not from what is encrypted to what is not."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not is_address(newurl) or (req.type == "https" and not newurl.startswith("https:")):
            raise FetchError(f"{req.full_url}: sends on to {newurl[:200]!r}, which is not followed")
        fp.close()  # or all that comes with it would be read, however long it is
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """What speaks http and https, and no other protocol."""
    opener = urllib.request.OpenerDirector()
    opener.addheaders = [("User-agent", "unitdb")]
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(),
        _HttpsHandler(),
        _Redirect(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _answer(response: http.client.HTTPResponse, address: str, *, asked: bool) -> Answer:
    """Read the head of an answer."""
    stated = response.headers.get("Content-Length")
    if stated is not None and not re.fullmatch(r"[0-9]{1,18}", stated.strip()):
        raise FetchError(f"{address}: the server states {stated[:40]!r} bytes, which is no number")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchError(f"{address}: the server sends it compressed, though it was not asked to")
    length = None if stated is None else int(stated)
    if not asked or response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return Answer(response, 0, length, None)
    span = response.headers.get("Content-Range", "")
    found = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", span.strip())
    if found is None:
        raise FetchError(f"{address}: the server does not say which part of the file it sends")
    start, last = int(found[1]), int(found[2])
    if last < start or (found[3] != "*" and last >= int(found[3])):
        raise FetchError(f"{address}: the server sends a part that cannot be: {span[:80]!r}")
    total = None if found[3] == "*" else int(found[3])
    return Answer(response, start, last - start + 1, total)


def _refused(error: urllib.error.HTTPError, address: str) -> Exception:
    if error.code in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.GONE}:
        return FileNotFoundError(f"{address}: no such file")
    if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return BeyondError(f"{address}: the file ends before what was asked for")
    said = f"{error.code} {_said(error.reason)[:80]}"
    if error.code in _AGAIN:
        return CutError(said, _asked_wait(error.headers.get("Retry-After", "")))
    return FetchError(f"{address}: {said}")


def _asked_wait(text: str) -> float | None:
    """Seconds of a Retry-After, bounded; dates are not looked at."""
    return min(float(text), _LONGEST_WAIT) if re.fullmatch(r"[0-9]{1,6}", text.strip()) else None
