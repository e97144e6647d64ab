"""A real HTTP server for tests: counts what it is asked and sends, and misbehaves as told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Server(ThreadingHTTPServer):
    """Serves a folder; counts requests, and misbehaves as told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cut_at: int | None = None
        self.ranges = True
        self.broken = 0
        self.asked: Counter[str] = Counter()
        self.sent = 0
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder to the end of the block."""
    with Server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True, args=(0.05,)).start()
        try:
            yield server
        finally:
            server.shutdown()


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.asked[self.path] += 1
        if server.broken:
            server.broken -= 1
            self.send_error(503)
            return
        path = server.folder / unquote(self.path).removeprefix("/")
        if not path.is_file():
            self.send_error(404)
            return
        body = path.read_bytes()
        asked = self.headers.get("Range") if server.ranges else None
        start, stop = _span(asked, len(body))
        if asked and start >= len(body):
            self.send_error(416)
            return
        rest = body[start:stop]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        sent = rest if server.cut_at is None else rest[: server.cut_at]
        server.sent += len(sent)
        self.wfile.write(sent)  # a cut answer ends with the connection

    def log_message(self, *_: object) -> None:
        pass


def _span(asked: str | None, size: int) -> tuple[int, int]:
    """First byte and the one after the last of ``bytes=A-``, ``bytes=A-B`` or ``bytes=-N``."""
    if asked is None:
        return 0, size
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if not first:
        return max(size - int(last), 0), size
    return int(first), min(int(last) + 1, size) if last else size
