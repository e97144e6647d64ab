"""A web server whose files, and whose faults, the tests choose."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Web:
    """Files by name; ``cut`` ends the next transfer after so many bytes, later ones at once.

    ``pause`` holds transfers after so many bytes, until ``go_on`` is set; then ``paused`` is.
    """

    def __init__(self):
        self.files = {}
        self.cut = None
        self.pause = None
        self.paused, self.go_on = threading.Event(), threading.Event()
        self.requests = []
        self.url = ""


class _Handler(BaseHTTPRequestHandler):
    web: Web

    def do_HEAD(self):
        self._answer(body=False)

    def do_GET(self):
        self._answer(body=True)

    def _answer(self, *, body):
        web = self.web
        web.requests.append((self.command, self.path, self.headers.get("Range")))
        content = web.files.get(self.path.lstrip("/"))
        if content is None:
            self.send_error(404)
            return
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        if web.cut is not None:
            self.wfile.write(content[start : start + web.cut])
            self.wfile.flush()
            web.cut = 0
            self.connection.close()
            return
        if web.pause is not None:
            self.wfile.write(content[start : start + web.pause])
            self.wfile.flush()
            start += web.pause
            web.paused.set()
            web.go_on.wait(60)
        with suppress(ConnectionError):  # of who was killed meanwhile
            self.wfile.write(content[start:])

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def _serving(web):
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"web": web}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def web(monkeypatch):
    # git-annex keeps away from addresses of this machine unless it is told not to.
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "annex.security.allowed-ip-addresses")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "all")
    with _serving(Web()) as web:
        yield web
