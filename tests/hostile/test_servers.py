"""Servers that lie: one error in a line, within bounds, whatever they send."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import unitdb
from tests.hostile.liar import ENDLESS, LIES, lying
from unitdb.errors import UnitdbError
from unitdb.release import web

pytest.importorskip("fsspec", reason="needs unitdb[remote]")

FILES = ("releases.json", "datapackage.json", "SHA256SUMS", "builds.parquet")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Patience of a moment, and waits that are noted and not waited."""
    waits: list[float] = []
    monkeypatch.setattr(web, "_SECONDS", 0.5)
    monkeypatch.setattr(web, "sleep", waits.append)
    return waits


def table(address: str, _: Path) -> object:
    return unitdb.open(f"{address}/tiny/1.0.0").table("builds")


def sql(address: str, _: Path) -> object:
    return unitdb.open(f"{address}/tiny/1.0.0").sql("SELECT count(*) FROM builds")


def fetch(address: str, folder: Path) -> object:
    return unitdb.fetch("tiny", source=address, releases=folder)


def tell(act: Callable[[str, Path], object], root: Path, folder: Path, lie: str, about: str) -> str:
    """What an act says of a lie; nothing where it is not misled."""
    with lying(root, lie, about) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = ""
        try:
            act(server.address, folder)
        except UnitdbError as error:
            said = str(error)
        assert server.sent < ENDLESS
    assert "Traceback" not in said
    assert "\n" not in said.strip()
    assert len(said) < 600
    assert not (folder / "tiny" / "1.0.0").exists() or not said
    return said


@pytest.mark.robust(
    "hostile",
    given="47 kinds of servers that lie of a file: lengths that are words, endless or trickling "
    "answers, ranges that were not asked for, redirects to file:, garbage",
    before="tracebacks (`Content-Length: abc`), SQL errors cut in the middle of a traceback (16 "
    "kinds), endless answers written until the disk was full (6 GB in 25 s)",
    now="one line that names the address and what is wrong; no more than was stated or 64 MB",
)
@pytest.mark.parametrize("lie", LIES)
def test_a_file_of_parts(lie: str, tiny_release: Path, tmp_path: Path, hasty: list[float]) -> None:
    root = tiny_release.parents[1]
    for act in (table, sql):
        assert "builds.parquet" in tell(act, root, tmp_path, lie, "builds.parquet")
    assert all(wait <= 30 for wait in hasty)


@pytest.mark.robust(
    "hostile",
    given="a server that sends the body of a redirect, the size of a chunk or what follows the "
    "last chunk for ever, a byte now and then or as fast as it can",
    before="`fetch` and `unitdb.open` waited for ever; a redirect filled the memory",
    now="redirects are followed without their bodies; the rest ends as any trickle does, after a "
    "minute or 2 MB",
)
@pytest.mark.parametrize("act", [fetch, table])
@pytest.mark.parametrize("lie", [lie for lie in LIES if lie.startswith(("slow", "endless"))])
def test_whatever_does_not_end_is_left(
    lie: str,
    act: Callable[[str, Path], object],
    tiny_release: Path,
    tmp_path: Path,
    hasty: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "_ATTEMPTS", 1)
    since = time.monotonic()
    assert tell(act, tiny_release.parents[1], tmp_path, lie, "builds.parquet")
    assert time.monotonic() - since < 8  # the server is slow for 10 s


@pytest.mark.parametrize("about", FILES)
@pytest.mark.parametrize(
    "lie",
    [
        *("length is a word", "length of an exabyte", "length too long", "endless", "trickle"),
        *("status 416", "to a file", "another range", "deep JSON", "not UTF-8", "empty"),
    ],
)
def test_a_file_that_is_fetched(
    lie: str, about: str, tiny_release: Path, tmp_path: Path, hasty: list[float]
) -> None:
    said = tell(fetch, tiny_release.parents[1], tmp_path, lie, about)
    assert about in said
    parts = [path for path in tmp_path.rglob("*.part") if path.stat().st_size > 1 << 26]
    assert not parts


@pytest.mark.slow
@pytest.mark.parametrize("about", FILES)
@pytest.mark.parametrize("lie", LIES)
def test_every_lie_of_every_file(
    lie: str, about: str, tiny_release: Path, tmp_path: Path, hasty: list[float]
) -> None:
    for act in (table, sql, fetch):
        said = tell(act, tiny_release.parents[1], tmp_path, lie, about)
        assert said or (about in {"releases.json", "SHA256SUMS"} and act is not fetch)


@pytest.mark.robust(
    "bounds",
    given="a server that cuts each connection after 20 kB, or is busy (503) for a moment",
    before="`unitdb.open` on the web gave up at once; `fetch` asked again without a pause",
    now="asked again, at once and then after 0.5, 1.5 and 3.5 s, or as long as it asks for, up to "
    "30 s",
)
def test_busy_servers_are_asked_again(
    tiny_release: Path, tmp_path: Path, hasty: list[float]
) -> None:
    with lying(tiny_release.parents[1], "null", "no such file") as server:
        release = unitdb.open(f"{server.address}/tiny/1.0.0")
        server.broken = 2
        assert len(release.table("builds")) == 2
        assert hasty == [0.0, 0.5]
        server.broken = 5
        with pytest.raises(UnitdbError, match=r"models\.parquet: 503"):
            release.table("models")
        assert hasty[2:] == [0.0, 0.5, 1.5, 3.5]


def test_waits_are_what_the_server_asks_for_within_bounds(
    tiny_release: Path, tmp_path: Path, hasty: list[float]
) -> None:
    tell(fetch, tiny_release.parents[1], tmp_path, "status 429 for a day", "SHA256SUMS")
    assert hasty == [30.0] * 4
