"""The pages answer this machine, under its own names, with releases of its own catalogue."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

pytest.importorskip("starlette", reason="needs unitdb[app]")

from starlette.applications import Starlette

from unitdb.browser import middleware, routes


def ask(
    query: str,
    *,
    host: str | None = "localhost:8501",
    origin: str | None = None,
    client: str = "127.0.0.1",
    kind: str = "http",
) -> tuple[int, str]:
    """Status and text of what a request for units.csv is answered with."""
    headers = [(b"host", host.encode("latin-1"))] if host is not None else []
    headers += [(b"origin", origin.encode("latin-1"))] if origin is not None else []
    path = "/download/units.csv"
    scope = {
        "type": kind, "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": "GET",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "scheme": "http",
        "headers": headers, "client": (client, 9), "server": ("127.0.0.1", 1),
    }  # fmt: skip
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": f"{kind}.request", "body": b"", "more_body": False}

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(Starlette(routes=routes(), middleware=middleware())(scope, receive, send))
    if kind == "websocket":
        return sent[0]["code"], sent[0]["type"]
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], body.decode()


@pytest.fixture(autouse=True)
def _of_catalogue(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app without a named release."""
    monkeypatch.delenv("UNITDB_RELEASE", raising=False)
    monkeypatch.delenv("UNITDB_HOSTS", raising=False)
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parents[1]))


TINY = "release=tiny@1.0.0&dataset=sim-a&roi=V4"


def test_a_release_of_the_catalogue() -> None:
    status, text = ask(TINY)
    assert status == 200
    assert text.startswith("# release: tiny@1.0.0")


@pytest.mark.robust(
    "hostile",
    given="`/download/units.csv?release=` with an address, a path or what is no release",
    before="opened whatever it named: it asked a host of a stranger's choice",
    now="releases of the catalogue alone; nothing else is looked for",
)
@pytest.mark.parametrize(
    "release",
    [
        *("http://127.0.0.1:9/x", "https://example.org/r", "HTTP://example.org", "//example.org/x"),
        *(
            "file:///etc",
            "/etc",
            "../..",
            "./x",
            "tiny",
            "tiny@latest",
            "tiny@1.0.0/",
            "tiny@1.0.0\0",
        ),
        *(
            "",
            " tiny@1.0.0",
            "\\\\host\\share",
            "x" * 5000,
            "tiny@1.0.0\r\nSet-Cookie: a=b",
            "\ufeff",
        ),
    ],
)
def test_other_releases_are_not_opened(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from unitdb.browser import _reads

    def opened(*_: object) -> None:
        raise AssertionError(release)

    monkeypatch.setattr(_reads, "opened", opened)
    status, text = ask(f"release={quote(release)}&roi=V4")
    assert status == 400
    assert text.startswith("unknown release")
    assert len(text) < 400


def test_folders_of_this_machine_are_not_opened_either(tiny_release: Path) -> None:
    assert ask(f"release={quote(str(tiny_release))}")[0] == 400


@pytest.mark.robust(
    "hostile",
    given="requests under a foreign `Host` or `Origin` (DNS rebinding), or from another machine",
    before="answered",
    now="403, and websockets are closed; `UNITDB_HOSTS` names hosts that the pages are served by",
)
@pytest.mark.parametrize(
    "asked",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8501"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost@evil.example"},
        {"host": "localhost:8501:evil"},
        {"host": ""},
        {"host": None},
        {"host": "[::2]"},
        {"host": "0.0.0.0"},  # noqa: S104
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": "http://localhost.evil.example"},
        {"client": "192.168.0.7"},
        {"client": "::ffff:192.168.0.7"},
        {"client": "no address"},
    ],
)
def test_strangers_are_refused(asked: dict[str, str | None]) -> None:
    status, text = ask(TINY, **asked)
    assert (status, "UNITDB_HOSTS" in text) == (403, True)
    assert ask(TINY, kind="websocket", **asked) == (1008, "websocket.close")


@pytest.mark.parametrize(
    "asked",
    [
        {"host": "127.0.0.1:1"},
        {"host": "LOCALHOST"},
        {"host": "[::1]:8501", "client": "::1"},
        {"origin": "http://localhost:8501"},
        {"client": "::ffff:127.0.0.1"},
    ],
)
def test_this_machine_is_answered(asked: dict[str, str]) -> None:
    assert ask(TINY, **asked)[0] == 200


def test_hosts_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITDB_HOSTS", "lab.example, other.example")
    assert ask(TINY, host="Lab.example", client="192.168.0.7")[0] == 200
    assert ask(TINY, host="evil.example", client="192.168.0.7")[0] == 403


@pytest.mark.parametrize(
    "query",
    [
        *(
            "min=nan",
            "min=1e999",
            "min=%00",
            "by=r;DROP",
            "roi='--",
            "roi=%ff",
            "top=-1",
            "top=1e99",
        ),
        *(
            "layer=%2e%2e",
            "layer=*",
            "dataset=" + "x" * 9000,
            "roi=V1&" * 500,
            "per=roi&per=roi",
            "&&=&",
        ),
        *(
            "subjects=S1&subjects=none",
            "min=%E2%80%AE",
            "rows=5-1",
            "columns=-",
            "kind=%0a",
            "=",
            "%",
        ),
    ],
)
def test_any_parameters_are_answered_or_refused(query: str) -> None:
    status, text = ask(f"release=tiny@1.0.0&{query}")
    assert status in {200, 400}
    assert "Traceback" not in text
