"""A server of a release that lies in one way."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.web import Handler, Server, serving

ENDLESS = 256 << 20
"""Bytes after which an endless answer ends, so that a test of it does."""

_MUCH = b"x" * (1 << 16)
_CHUNKED = ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
_ELSEWHERE = ("HTTP/1.1 302 F", "Location: /elsewhere")


def _head(handler: Liar, *lines: str) -> None:
    handler.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))


def _pour(handler: Liar, piece: bytes) -> None:
    for _ in range(ENDLESS // len(piece)):
        handler.wfile.write(piece)
        handler.server.sent += len(piece)


def _drip(handler: Liar, piece: bytes) -> None:
    for _ in range(100):
        handler.wfile.write(piece)
        time.sleep(0.1)


def _body(act: Callable[[Liar, bytes], None], piece: bytes, *head: str) -> Callable[[Liar], None]:
    def answer(handler: Liar) -> None:
        _head(handler, *(head or ("HTTP/1.1 200 OK",)), "Connection: close")
        act(handler, piece)

    return answer


def _trailer(act: Callable[[Liar, bytes], None], piece: bytes) -> Callable[[Liar], None]:
    def answer(handler: Liar) -> None:
        _head(handler, "HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
        handler.wfile.write(b"2\r\n{}\r\n0\r\n")
        act(handler, piece)

    return answer


def _reset(handler: Liar) -> None:
    handler.connection.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00"
    )
    handler.connection.close()


def _status(code: int, *lines: str) -> Callable[[Liar], None]:
    return lambda handler: _head(handler, f"HTTP/1.1 {code} X", "Content-Length: 0", *lines)


def _partial(content_range: str, body: bytes = b"x" * 10) -> Callable[[Liar], None]:
    def answer(handler: Liar) -> None:
        span = [f"Content-Range: {content_range}"] if content_range else []
        _head(handler, "HTTP/1.1 206 P", f"Content-Length: {len(body)}", *span)
        handler.wfile.write(body)

    return answer


def _plain(body: bytes, *lines: str) -> Callable[[Liar], None]:
    def answer(handler: Liar) -> None:
        length = [] if any("Content-Length" in line for line in lines) else [len(body)]
        _head(
            handler, "HTTP/1.1 200 OK", *lines, *(f"Content-Length: {number}" for number in length)
        )
        handler.wfile.write(body)

    return answer


LIES: dict[str, Callable[[Liar], None]] = {
    "length is a word": _plain(b"x", "Content-Length: abc"),
    "length is negative": _plain(b"x", "Content-Length: -5"),
    "length has 400 digits": _plain(b"x", "Content-Length: " + "9" * 400),
    "length is two": _plain(b"x", "Content-Length: 1", "Content-Length: 2"),
    "length of an exabyte": _plain(b"x", f"Content-Length: {10**18 - 1}"),
    "length too long": _plain(b"x" * 10, "Content-Length: 1000"),
    "endless": _body(_pour, _MUCH),
    "endless chunks": _body(_pour, _MUCH, *_CHUNKED),
    "endless trailer": _trailer(_pour, b"A: b\r\n" * 1000),
    "endless redirect": _body(_pour, _MUCH, *_ELSEWHERE),
    "trickle": _body(_drip, b"x", "HTTP/1.1 200 OK", "Content-Length: 100000"),
    "slow size of a chunk": _body(_drip, b"0", *_CHUNKED),
    "slow trailer": _trailer(_drip, b"A: b\r\n"),
    "slow redirect": _body(_drip, b"x", *_ELSEWHERE),
    "slow head": lambda handler: _drip(handler, b"H"),
    "reset": _reset,
    "nothing": lambda _: None,
    "no HTTP": lambda handler: handler.wfile.write(b"\x00\xff" * 40 + b"\r\n\r\n"),
    "a hundred thousand headers": lambda handler: _head(
        handler, "HTTP/1.1 200 OK", *["A: b"] * 100_000
    ),
    "a header of a megabyte": lambda handler: _head(
        handler, "HTTP/1.1 200 OK", "A: " + "b" * (1 << 20)
    ),
    "status 99999": lambda handler: _head(handler, "HTTP/1.1 99999 X"),
    "status 204": _status(204),
    "status 401": _status(401, "WWW-Authenticate: Basic"),
    "status 404": _status(404),
    "status 416": _status(416),
    "status 429 for a day": _status(429, "Retry-After: 86400"),
    "status 503 till a date": _status(503, "Retry-After: Fri, 31 Dec 2999 23:59:59 GMT"),
    "reason with escapes": lambda handler: _head(handler, "HTTP/1.1 403 \x1b[31mred\x07"),
    "to itself": lambda handler: _status(302, f"Location: {handler.path}")(handler),
    "to a file": _status(302, "Location: file:///etc/passwd"),
    "to ftp": _status(302, "Location: ftp://127.0.0.1/x"),
    "to nowhere": _status(302, "Location: http://[::bad/"),
    "another range": _partial("bytes 5-14/100"),
    "range without total": _partial("bytes 0-9/*"),
    "range beyond its total": _partial("bytes 90-99/10"),
    "range backwards": _partial("bytes 9-0/10"),
    "range of words": _partial("bytes zero-nine/ten"),
    "no range": _partial(""),
    "a range of more": _partial("bytes 0-9/10", b"x" * 100_000),
    "gzip": _plain(b"\x1f\x8b", "Content-Encoding: gzip"),
    "bad chunks": _plain(b"zz\r\nxx", "Transfer-Encoding: chunked", "Content-Length: 6"),
    "a web page": _plain(b"<html><script>alert(1)</script></html>"),
    "not UTF-8": _plain(b"\xff\xfe\x00"),
    "deep JSON": _plain(b"[" * 200_000),
    "a long number": _plain(b"1" * 5000),
    "null": _plain(b"null"),
    "empty": _plain(b""),
}


class Liar(Handler):
    """Tells the truth of files, but for those whose name ends as told."""

    def do_GET(self) -> None:  # noqa: N802 - as the base class calls it
        lie, about = self.server.lie  # type: ignore[attr-defined]
        if self.path.endswith(about):
            self.server.asked[self.path] += 1
            self.close_connection = True
            with contextlib.suppress(OSError):
                LIES[lie](self)
        else:
            super().do_GET()


@contextlib.contextmanager
def lying(root: Path, lie: str, about: str) -> Iterator[Server]:
    """Serve a folder of releases; of the files that end so, lie."""
    with serving(root) as server:
        server.RequestHandlerClass = Liar
        server.lie = (lie, about)  # type: ignore[attr-defined]
        yield server


def catalogue(root: Path) -> dict:
    """What releases.json holds."""
    return json.loads((root / "releases.json").read_text(encoding="utf-8"))
