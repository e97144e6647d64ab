"""Fetching releases from a real HTTP server, which is cut off, forgetful of ranges, or wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import contents
from tests.tiny import INFO, stage
from tests.web import Handler, Server, serving
from unitdb.cli import main
from unitdb.errors import (
    CatalogueError,
    CorruptReleaseError,
    FetchError,
    ReleaseExistsError,
    UnknownReleaseError,
)
from unitdb.files import SUMS, sha256_file, write_text
from unitdb.publish import add_erratum, publish_release, retract
from unitdb.release import Catalogue, catalogue, fetching, web
from unitdb.release.placing import place


@pytest.fixture
def published(tiny_release: Path, tmp_path: Path) -> Path:
    """The tiny release, in a folder of releases that a test may change."""
    root = shutil.copytree(tiny_release.parents[1], tmp_path / "published")
    return root / "tiny" / "1.0.0"


@pytest.fixture
def server(published: Path) -> Iterator[Server]:
    with serving(published.parents[1]) as server:
        yield server


def test_fetch(server: Server, published: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = unitdb.fetch(
        "tiny",
        source=server.address,
        releases=tmp_path / "mine",
        progress=lambda done, total: steps.append((done, total)),
    )
    assert found == tmp_path / "mine" / "tiny" / "1.0.0"
    assert contents(found) == contents(published)
    unitdb.open("tiny@1.0.0", releases=tmp_path / "mine").verify()
    assert steps[-1] == (len(steps), len(steps))
    asked = server.asked.total()
    assert unitdb.fetch("tiny@1.0.0", source=server.address, releases=tmp_path / "mine") == found
    assert server.asked.total() == asked + 1  # the catalogue alone
    left = [path.name for path in (tmp_path / "mine" / ".work").iterdir()]
    assert all(name.endswith(".lock") for name in left)


def test_fetch_from_a_folder(published: Path, tmp_path: Path) -> None:
    source = str(published.parents[1])
    found = unitdb.fetch("tiny@latest", source=source, releases=tmp_path / "mine")
    assert contents(found) == contents(published)


@pytest.mark.parametrize("ranges", [True, False])
def test_cut_connections_are_taken_up_again(
    server: Server, published: Path, tmp_path: Path, ranges: bool
) -> None:
    sizes = [path.stat().st_size for path in published.rglob("*") if path.is_file()]
    server.cut_at, server.ranges = 20_000, ranges
    server.folder = published.parents[1]
    if ranges:
        assert max(sizes) > server.cut_at
        found = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
        assert contents(found) == contents(published)
        assert server.sent < 1.1 * sum(sizes) + 10_000  # nothing was sent twice
        return
    # Without ranges a file that is always cut never comes; the error says so.
    with pytest.raises(FetchError, match="run it again"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert not (tmp_path / "mine" / "tiny").exists()
    server.cut_at = None
    found = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert contents(found) == contents(published)


@pytest.mark.robust(
    "bounds",
    given="a server without ranges that cuts the same file sooner, then later, then sooner",
    before="`fetch` asked for ever: each later cut counted as progress",
    now="given up after 5 attempts that brought no more than the best before them",
)
def test_cuts_at_changing_places_are_no_progress(
    server: Server, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, largest = (
        Handler.do_GET,
        max(published.rglob("*.parquet"), key=lambda p: p.stat().st_size),
    )
    assert largest.stat().st_size > 20_000

    def swaying(handler: Handler) -> None:
        about = handler.server
        if handler.path.endswith(f"/{largest.name}"):
            turn = about.asked[handler.path]
            assert turn < 100, "asked for ever"
            about.cut_at = 20_000 if turn % 2 else 5_000
        real(handler)
        about.cut_at = None

    server.ranges = False
    monkeypatch.setattr(Handler, "do_GET", swaying)
    monkeypatch.setattr(web, "sleep", lambda _: None)
    with pytest.raises(FetchError, match="run it again"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert max(server.asked.values()) < 10


def test_a_server_that_is_away_for_a_moment(
    server: Server, published: Path, tmp_path: Path
) -> None:
    unitdb.fetch("tiny", source=server.address, releases=tmp_path / "warm")
    real = Handler.do_GET

    def moody(handler: Handler) -> None:
        if handler.path.endswith("README.md") and handler.server.asked[handler.path] < 3:
            handler.server.broken = 1
        real(handler)

    server.asked.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handler, "do_GET", moody)
        found = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert contents(found) == contents(published)
    assert server.asked["/tiny/1.0.0/README.md"] == 4


def test_a_wrong_byte_names_the_file(server: Server, published: Path, tmp_path: Path) -> None:
    path = next(published.rglob("unit_summary/**/*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:])
    with pytest.raises(CorruptReleaseError, match=r"part-0\.parquet: not as its checksum says"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert not (tmp_path / "mine" / "tiny").exists()
    path.write_bytes(whole)
    before = server.asked["/tiny/1.0.0/README.md"]
    unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert server.asked["/tiny/1.0.0/README.md"] == before  # it was there already


def test_what_an_earlier_fetch_left_of_another_file(
    server: Server, published: Path, tmp_path: Path
) -> None:
    found = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    entry = json.loads((published.parents[1] / "releases.json").read_text())
    sha = entry["releases"]["tiny"]["versions"]["1.0.0"]["sha256"]
    shutil.rmtree(found)
    work = tmp_path / "mine" / ".work" / f"fetch-tiny-1.0.0-{sha[:12]}"
    work.mkdir()
    (work / "README.md.part").write_text("of something else")
    again = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    assert contents(again) == contents(published)


def test_paths_do_not_leave_the_folder(server: Server, published: Path, tmp_path: Path) -> None:
    sums = published / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  ../../escaped\n")
    catalogue = published.parents[1] / "releases.json"
    listed = json.loads(catalogue.read_text())
    import hashlib

    entry = listed["releases"]["tiny"]["versions"]["1.0.0"]
    entry["sha256"] = hashlib.sha256(sums.read_bytes()).hexdigest()
    catalogue.write_text(json.dumps(listed))
    with pytest.raises(CorruptReleaseError, match="leaves the folder"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    entry["path"] = "../elsewhere"
    catalogue.write_text(json.dumps(listed))
    with pytest.raises(CatalogueError, match="leaves the folder"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    entry["path"] = "tiny/1.0.0"
    listed["releases"]["../out"] = listed["releases"].pop("tiny")
    catalogue.write_text(json.dumps(listed))
    with pytest.raises(CatalogueError, match="out"):
        unitdb.fetch("../out", source=server.address, releases=tmp_path / "mine")


def test_retraction_and_errata_come_along(server: Server, published: Path, tmp_path: Path) -> None:
    root = published.parents[1]
    add_erratum(root, "tiny", "1.0.0", "One is two.")
    unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    retract(root, "tiny", "1.0.0", reason="Wrong.")
    unitdb.fetch("tiny@1.0.0", source=server.address, releases=tmp_path / "mine")
    (entry,) = Catalogue(tmp_path / "mine").entries()
    assert (entry.errata, entry.retracted) == (("One is two.",), "Wrong.")


def test_other_content_is_not_overwritten(server: Server, published: Path, tmp_path: Path) -> None:
    found = unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    (found / "SHA256SUMS").write_text("")
    with pytest.raises(ReleaseExistsError, match="other content"):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")


@pytest.mark.parametrize(
    ("reference", "source", "error", "message"),
    [
        ("tinny", "{}", UnknownReleaseError, "tiny"),
        ("tiny@2.0.0", "{}", UnknownReleaseError, "1.0.0"),
        ("tiny", "{}/nowhere", FetchError, "is .*nowhere a folder of releases"),
        ("tiny", "http://127.0.0.1:9", FetchError, "127.0.0.1:9"),
        ("tiny", "ftp://127.0.0.1", FetchError, "http, https or from a folder"),
        ("tiny", "/no/such/folder", FetchError, "no such file"),
    ],
)
def test_what_cannot_be_fetched(
    server: Server,
    tmp_path: Path,
    reference: str,
    source: str,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        unitdb.fetch(reference, source=source.format(server.address), releases=tmp_path / "mine")


def test_command(server: Server, published: Path, tmp_path: Path) -> None:
    arguments = ["--releases", str(tmp_path / "mine"), "fetch", "tiny"]
    result = CliRunner().invoke(main, [*arguments, "--from", server.address])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{tmp_path / 'mine' / 'tiny' / '1.0.0'}\n"
    environment = {"UNITDB_SOURCE": str(published.parents[1])}
    assert CliRunner().invoke(main, arguments, env=environment).exit_code == 0
    assert CliRunner().invoke(main, [*arguments[:-1], "nothing", "--from", "/no"]).exit_code == 2


@pytest.fixture
def mine(server: Server, tmp_path: Path) -> Path:
    """A folder that the release was fetched to."""
    unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.robust(
    "publishing",
    given="`fetch` of a version that is retracted, or has errata, here and not at the source",
    before="the retraction and the errata of the folder were lost, without a word",
    now="they stay, with a warning; the errata of both are listed, and a retraction of either",
)
def test_what_the_folder_says_against_a_version_stays(
    server: Server, mine: Path, published: Path
) -> None:
    add_erratum(published.parents[1], "tiny", "1.0.0", "One is two.")
    add_erratum(mine, "tiny", "1.0.0", "Three is four.")
    retract(mine, "tiny", "1.0.0", reason="Wrong here.")
    said = r"the retraction \(Wrong here\.\) and the erratum 'Three is four\.' of .*mine.* stays"
    for _ in range(2):
        with pytest.warns(UserWarning, match=said):
            unitdb.fetch("tiny@1.0.0", source=server.address, releases=mine)
        (entry,) = Catalogue(mine).entries()
        assert (entry.errata, entry.retracted) == (("One is two.", "Three is four."), "Wrong here.")
        assert entry.aliases == ()
    retract(published.parents[1], "tiny", "1.0.0", reason="Wrong everywhere.")
    with pytest.warns(UserWarning, match=r"1\.0\.0: the erratum 'Three is four\.' of"):
        unitdb.fetch("tiny@1.0.0", source=server.address, releases=mine)
    assert Catalogue(mine).entries()[0].retracted == "Wrong everywhere."


@pytest.fixture(scope="module")
def built_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("again")
    info = dataclasses.replace(INFO, description="Built again, of other data.")
    return publish_release(stage(folder / "staged"), folder / "releases", info=info)


@pytest.fixture
def another(built_again: Path, tmp_path: Path) -> Path:
    """A folder of releases with another build of the same version, that a test may change."""
    return shutil.copytree(built_again.parents[1], tmp_path / "another") / "tiny" / "1.0.0"


@pytest.mark.robust(
    "publishing",
    given="`fetch` of a version whose folder is gone and that releases.json lists otherwise",
    before="put in place beside the other hash, with a warning at every later command",
    now="refused before anything is fetched; `--replace` puts it in place and lists its hash",
)
@pytest.mark.parametrize("gone", [True, False])
def test_another_build_is_refused_or_replaces(mine: Path, another: Path, gone: bool) -> None:
    target, source = mine / "tiny" / "1.0.0", str(another.parents[1])
    retract(mine, "tiny", "1.0.0", reason="Wrong here.")
    if gone:
        shutil.rmtree(target)
    before = {path: text for path, text in contents(mine).items() if path[0] != "."}
    said = "lists tiny 1.0.0 with other content" if gone else "exists with other content"
    with pytest.raises(ReleaseExistsError, match=rf"{said} than {source} has \(--replace "):
        unitdb.fetch("tiny@1.0.0", source=source, releases=mine)
    assert {path: text for path, text in contents(mine).items() if path[0] != "."} == before
    with pytest.warns(UserWarning, match=r"the retraction \(Wrong here\.\)"):
        found = unitdb.fetch("tiny@1.0.0", source=source, releases=mine, replace=True)
    assert contents(found) == contents(another)
    (entry,) = Catalogue(mine).entries()
    assert (entry.sha256, entry.retracted) == (sha256_file(found / SUMS), "Wrong here.")
    assert [path.name for path in found.parent.iterdir()] == ["1.0.0"]


def test_a_build_in_place_that_is_listed_otherwise_is_refused_or_listed(
    mine: Path, another: Path
) -> None:
    target, source = mine / "tiny" / "1.0.0", str(another.parents[1])
    shutil.rmtree(target)
    shutil.copytree(another, target)
    with pytest.raises(ReleaseExistsError, match=r"lists tiny 1\.0\.0 with other content than"):
        unitdb.fetch("tiny", source=source, releases=mine)
    unitdb.fetch("tiny", source=source, releases=mine, replace=True)
    assert Catalogue(mine).entries()[0].sha256 == sha256_file(another / SUMS)
    unitdb.fetch("tiny", source=source, releases=mine)


@pytest.mark.parametrize("step", [".1.0.0.replaced", "tiny/1.0.0", "releases.json"])
def test_a_killed_replacement_is_finished_by_the_next_fetch(
    mine: Path, another: Path, step: str
) -> None:
    code = (
        "import os, signal, sys, unitdb\n"
        "def hook(event, arguments):\n"
        "    if event == 'os.rename' and os.fspath(arguments[1]).endswith(sys.argv[3]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(hook)\n"
        "unitdb.fetch('tiny', source=sys.argv[1], releases=sys.argv[2], replace=True)\n"
    )
    source = str(another.parents[1])
    command = [sys.executable, "-c", code, source, str(mine), step]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    found = unitdb.fetch("tiny", source=source, releases=mine, replace=True)
    assert contents(found) == contents(another)
    assert [path.name for path in found.parent.iterdir()] == ["1.0.0"]
    assert Catalogue(mine).entries()[0].sha256 == sha256_file(another / SUMS)


@pytest.mark.robust(
    "publishing",
    given="`fetch` of a retracted release: a kill interrupts it, or somebody looks meanwhile",
    before="listed as sound: for a moment, and after a kill until the next fetch",
    now="from the moment that its folder stands it is listed as retracted, with the reason",
)
@pytest.mark.parametrize("interrupted", [False, True])
@pytest.mark.parametrize("there", [False, True])
def test_a_retracted_release_is_never_listed_as_sound(
    published: Path,
    another: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
    interrupted: bool,
) -> None:
    root = published.parents[1]
    retract(root, "tiny", "1.0.0", reason="Wrong.")
    mine = another.parents[1] if there else tmp_path / "new"
    seen: list[str | None] = []

    def look(step: Callable[..., None], then: Callable[[], None] = lambda: None) -> Any:
        def looking(*arguments: Any) -> None:
            step(*arguments)
            found = Catalogue(mine).entries()
            seen.extend(one.retracted for one in found if one.path.exists())
            then()

        return looking

    def fetch() -> None:
        unitdb.fetch("tiny@1.0.0", source=str(root), releases=mine, replace=True)

    if interrupted:
        monkeypatch.setattr(fetching, "place", look(place, Mock(side_effect=KeyboardInterrupt)))
        with pytest.raises(KeyboardInterrupt):
            fetch()
    monkeypatch.setattr(fetching, "place", look(place))
    monkeypatch.setattr(catalogue, "write_text", look(write_text))
    fetch()
    assert set(seen) == {"Wrong."}


def test_fetch_replace_on_the_command_line(mine: Path, another: Path) -> None:
    arguments = ["--releases", str(mine), "fetch", "tiny", "--from", str(another.parents[1])]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2
    assert "--replace" in refused.stderr
    assert CliRunner().invoke(main, [*arguments, "--replace"]).exit_code == 0
