"""Clones of stores whose files are not downloaded: one error that says the command, everywhere."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import contents
from tests.web import serving
from unitdb.cli import main
from unitdb.errors import CorruptReleaseError, NotDownloadedError
from unitdb.files import SUMS
from unitdb.programs import run
from unitdb.publish import publish
from unitdb.publish.release import is_whole
from unitdb.release import Catalogue, fetch
from unitdb.release.manifest import MANIFEST
from unitdb.verification import verify

KEY = "SHA256E-s3--0000000000000000000000000000000000000000000000000000000000000000.parquet"


@pytest.fixture(scope="module")
def store(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    publish(tiny_release, str(folder / "store"))
    return folder / "store"


@pytest.fixture(scope="module", params=["links to nothing", "pointers"])
def clone(store: Path, tmp_path_factory: pytest.TempPathFactory, request) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clone") / "a clone"
    run("datalad", "clone", store, folder, folder=store)
    if request.param == "pointers":
        run("git", "annex", "adjust", "--unlock", folder=folder)
    yield folder
    run("chmod", "-R", "u+w", folder, folder=store)


@pytest.mark.robust(
    "publishing",
    given="a clone of a store without the content of its Parquet files (pointers, broken links)",
    before="pointers opened as a release, then `no readable Parquet`; verify said `changed`",
    now="open, verify, fetch and publish say `not downloaded: datalad -C …`, or `unitdb fetch`",
)
def test_what_a_clone_has_not_is_named(clone: Path, tmp_path: Path) -> None:
    release = clone / "tiny" / "1.0.0"
    for use in (
        lambda: unitdb.open(release),
        lambda: unitdb.open("tiny", releases=clone),
        lambda: verify(release),
        lambda: fetch("tiny", source=str(clone), releases=tmp_path / "mine"),
        lambda: fetch("tiny", source=str(clone), releases=clone),  # it is there, but in name
        lambda: publish(release, str(tmp_path / "other")),
    ):
        with pytest.raises(NotDownloadedError, match=r"parquet: not downloaded") as raised:
            use()
        assert "\n" not in str(raised.value)
        assert f"datalad -C '{release}' get ." in str(raised.value)
        assert "unitdb fetch tiny@1.0.0 --from ADDRESS" in str(raised.value)
    assert not (tmp_path / "mine" / "tiny").exists()
    assert not is_whole(release)
    for command in (["describe", "tiny"], ["verify", "tiny"], ["units", "tiny"], ["trace", "tiny"]):
        result = CliRunner().invoke(main, ["--releases", str(clone), *command])
        assert result.exit_code == 2
    (listed,) = Catalogue(clone).entries()  # what is known of it is in git
    assert listed.title.startswith("A tiny release")


def test_the_command_that_is_named_gets_it(store: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run("datalad", "clone", store, clone, folder=store)
    run("git", "annex", "adjust", "--unlock", folder=clone)
    release = clone / "tiny" / "1.0.0"
    with pytest.raises(NotDownloadedError, match="datalad") as raised:
        unitdb.open(release)
    told = re.search(r"datalad .*? get \.", str(raised.value))
    run(*shlex.split(told[0]), folder=tmp_path)
    assert is_whole(release)
    verify(release)
    assert contents(release) == contents(store / "tiny" / "1.0.0")


def spoil(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "pointer":
        path.write_text(f"/annex/objects/{KEY}\n")
    else:
        path.symlink_to(f".git/annex/objects/{KEY}")


@pytest.fixture
def releases(store: Path, tmp_path: Path) -> Path:
    """A copy of the store, without git."""
    return shutil.copytree(store, tmp_path / "copy", ignore=shutil.ignore_patterns(".*"))


@pytest.mark.parametrize("kind", ["pointer", "link to nothing"])
@pytest.mark.parametrize(
    "name", [MANIFEST, SUMS, "README.md", "layers.parquet", "../../releases.json"]
)
def test_each_file_that_is_absent_is_named(releases: Path, name: str, kind: str) -> None:
    release = releases / "tiny" / "1.0.0"
    spoil(release / name, kind)
    with pytest.raises(NotDownloadedError, match=rf"{Path(name).name}: not downloaded: datalad -C"):
        verify(release)
    if name in (MANIFEST, "layers.parquet"):
        with pytest.raises(NotDownloadedError, match=rf"{name}: not downloaded"):
            unitdb.open(release)
    if name == "../../releases.json":
        with pytest.raises(NotDownloadedError, match=r"releases\.json: not downloaded"):
            unitdb.open("tiny", releases=releases)


@pytest.mark.parametrize("kind", ["pointer", "link to nothing"])
def test_a_release_of_which_nothing_is_there_is_passed_over_aloud(releases, kind) -> None:
    shutil.copytree(releases / "tiny" / "1.0.0", releases / "tiny" / "1.1.0")
    spoil(releases / "tiny" / "1.1.0" / SUMS, kind)
    with pytest.warns(
        UserWarning, match=r"passed over in the catalogue: .*1\.1\.0/SHA256SUMS: not"
    ):
        Catalogue(releases).entries()


def test_the_size_of_a_release_is_not_that_of_its_pointers(releases: Path) -> None:
    release = releases / "tiny" / "1.0.0"
    assert Catalogue(releases).describe(release)["bytes"] > 0
    spoil(release / "layers.parquet", "pointer")
    assert "bytes" not in Catalogue(releases).describe(release)


def test_a_server_with_pointers_says_so(releases: Path, tmp_path: Path) -> None:
    spoil(releases / "tiny" / "1.0.0" / "layers.parquet", "pointer")
    with serving(releases) as server:
        with pytest.raises(CorruptReleaseError, match=r"layers\.parquet: not downloaded there"):
            fetch("tiny", source=server.address, releases=tmp_path / "mine")
        remote = unitdb.open(f"{server.address}/tiny/1.0.0")
        with pytest.raises(NotDownloadedError, match=r"layers\.parquet: not downloaded: a pointer"):
            remote.table("layers")
