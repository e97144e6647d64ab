"""Stores of releases: real DataLad datasets, RIA stores and git remotes in temporary folders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import contents
from tests.rarely import rarely
from unitdb.cli import main
from unitdb.errors import (
    BusyError,
    CorruptReleaseError,
    ProgramError,
    ReleaseExistsError,
    StoreError,
)
from unitdb.files import locked
from unitdb.programs import run
from unitdb.publish import add_erratum, publish, retract
from unitdb.publish.store import init_store, is_store
from unitdb.release import Catalogue
from unitdb.release.placing import place


@pytest.fixture
def release(tiny_copy: Path) -> Path:
    return tiny_copy


def git(folder: Path, *arguments: str) -> str:
    return run("git", *arguments, folder=folder).strip()


def test_a_folder_becomes_a_store(release: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert publish(release, str(store)) is True
    published = store / "tiny" / "1.0.0"
    assert contents(published) == contents(release)
    assert all(path.is_symlink() for path in published.rglob("*.parquet"))
    texts = [p for p in published.rglob("*") if p.is_file() and p.suffix != ".parquet"]
    assert texts
    assert not any(path.is_symlink() for path in texts)
    assert git(store, "tag", "-l") == "tiny-1.0.0"
    assert git(store, "cat-file", "-t", "tiny-1.0.0") == "tag"
    assert git(store, "status", "--porcelain") == ""
    unitdb.open("tiny@1.0.0", releases=store).verify()
    head = git(store, "rev-parse", "HEAD")
    assert publish(release, str(store)) is False
    assert git(store, "rev-parse", "HEAD") == head


def test_a_folder_of_releases_becomes_a_store_in_place(release: Path) -> None:
    before = contents(release)
    root = release.parents[1]
    assert publish(release, str(root)) is True
    assert is_store(root)
    assert contents(release) == before
    assert publish(release, str(root)) is False


def test_a_folder_with_other_things_is_left_alone(release: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"other things than releases \(thesis\.txt\)"):
        publish(release, str(tmp_path / "home"))
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]
    run("git", "init", "-q", str(tmp_path / "code"), folder=tmp_path)
    with pytest.raises(StoreError, match="is a git repository"):
        publish(release, str(tmp_path / "code"))


def test_other_content_of_a_version_is_refused(release: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    publish(release, str(store))
    first = contents(store / "tiny")
    sums = release / "SHA256SUMS"
    sums.write_text("0" * 64 + "  README.md\n")
    with pytest.raises(ReleaseExistsError, match="immutable"):
        publish(release, str(store))
    assert contents(store / "tiny") == first


def test_a_damaged_release_is_not_published(release: Path, tmp_path: Path) -> None:
    path = next(release.rglob("accuracy/**/*.parquet"))
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptReleaseError, match=path.name):
        publish(release, str(tmp_path / "store"))
    assert Catalogue(tmp_path / "store").entries() == []


def test_retraction_and_errata_go_along(release: Path, tmp_path: Path) -> None:
    root, store = release.parents[1], tmp_path / "store"
    publish(release, str(store))
    add_erratum(root, "tiny", "1.0.0", "V1 of S2 is V2")
    add_erratum(root, "tiny", "1.0.0", "V1 of S2 is V2")
    retract(root, "tiny", "1.0.0", reason="too many errata")
    assert publish(release, str(store)) is True
    (entry,) = Catalogue(store).entries()
    assert entry.errata == ("V1 of S2 is V2",)
    assert entry.retracted == "too many errata"
    assert entry.aliases == ()
    assert git(store, "status", "--porcelain") == ""


@pytest.mark.robust(
    "publishing",
    given="a retracted release published to a store, and stopped as its folder is put in place",
    before="the store lists it as sound",
    now="the store lists it as retracted before it stands there; the same command finishes",
)
@pytest.mark.filterwarnings("ignore:.*is retracted")
def test_a_retracted_release_is_never_listed_as_sound(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    retract(release.parents[1], "tiny", "1.0.0", reason="wrong")

    def stopped(staged: Path, target: Path) -> None:
        place(staged, target)
        raise KeyboardInterrupt

    monkeypatch.setattr("unitdb.publish.store.place", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish(release, str(store))
    monkeypatch.undo()
    assert (store / "tiny" / "1.0.0").exists()
    assert [entry.retracted for entry in Catalogue(store).entries()] == ["wrong"]
    assert publish(release, str(store)) is True
    assert [entry.retracted for entry in Catalogue(store).entries()] == ["wrong"]
    assert git(store, "status", "--porcelain") == ""


@pytest.mark.robust(
    "hostile",
    given="`publish --to` with a target that begins with a dash: `--upload-pack=touch x;:.git`",
    before="git took it for an option; this one names a program to run",
    now="refused in one line; behind `--` git takes addresses for nothing else",
)
@pytest.mark.parametrize(
    "target",
    [
        *("--upload-pack=touch x;:.git", "-u.git", "-", "-oProxyCommand=touch:x.git"),
        *("ssh://-oProxyCommand=touch/x.git", "ria+ssh://me@-oProxyCommand=touch/x"),
    ],
)
def test_a_target_is_never_an_option(
    release: Path, tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unitdb.publish.remote.run", lambda *_, **__: pytest.fail("a program"))
    with pytest.raises(StoreError, match="would be an option of git or of ssh"):
        publish(release, target)


def test_git_remote(release: Path, tmp_path: Path) -> None:
    bare = tmp_path / "remote.git"
    run("git", "init", "-q", "--bare", str(bare), folder=tmp_path)
    assert publish(release, str(bare)) is True
    assert publish(release, str(bare)) is False
    assert "refs/tags/tiny-1.0.0" in git(tmp_path, "ls-remote", str(bare))
    clone = tmp_path / "clone"
    run("datalad", "clone", str(bare), str(clone), folder=tmp_path)
    run("datalad", "get", "tiny", folder=clone)
    assert contents(clone / "tiny" / "1.0.0") == contents(release)
    # From another machine, whose folder of releases has never seen the remote.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(release.parents[1], elsewhere, ignore=shutil.ignore_patterns(".stores"))
    retract(elsewhere, "tiny", "1.0.0", reason="wrong")
    assert publish(elsewhere / "tiny" / "1.0.0", str(bare)) is True
    run("git", "pull", "-q", folder=clone)
    assert Catalogue(clone).entries()[0].retracted == "wrong"
    assert publish(release, str(bare)) is False  # which has it from there


def test_ria_store(release: Path, tmp_path: Path) -> None:
    address = f"ria+file://{tmp_path / 'ria'}"
    assert publish(release, address) is True
    assert publish(release, address) is False
    clone = tmp_path / "clone"
    run("datalad", "clone", f"{address}#~releases", str(clone), folder=tmp_path)
    run("datalad", "get", "tiny", folder=clone)
    assert contents(clone / "tiny" / "1.0.0") == contents(release)
    assert git(clone, "tag", "-l") == "tiny-1.0.0"


KILL = """
import os, signal, sys
from pathlib import Path
from unitdb.publish import remote, store
moment, release, target = sys.argv[1:]
real = getattr(store, moment)
def dying(*arguments, **options):
    done = real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(store, moment, dying)
remote.is_store = store.is_store
remote.publish(Path(release), target)
"""


@pytest.mark.parametrize("moment", ["_make", "place", "_copy_notes", "_commit", "write_text"])
def test_a_killed_publisher_is_followed_by_another(
    release: Path, tmp_path: Path, moment: str
) -> None:
    store = tmp_path / "store"
    died = subprocess.run(
        [sys.executable, "-c", KILL, moment, str(release), str(store)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    publish(release, str(store))
    assert contents(store / "tiny" / "1.0.0") == contents(release)
    assert git(store, "status", "--porcelain") == ""
    assert git(store, "tag", "-l") == "tiny-1.0.0"
    assert publish(release, str(store)) is False


@pytest.mark.slow
def test_a_killed_clone_of_a_remote_is_made_anew(release: Path, tmp_path: Path) -> None:
    bare = tmp_path / "remote.git"
    run("git", "init", "-q", "--bare", str(bare), folder=tmp_path)
    publish(release, str(bare))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(release.parents[1], elsewhere, ignore=shutil.ignore_patterns(".stores"))
    again = elsewhere / "tiny" / "1.0.0"
    died = subprocess.run(
        [sys.executable, "-c", KILL, "is_store", str(again), str(bare)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert died.returncode == -signal.SIGKILL
    (left,) = (path for path in (elsewhere / ".stores").iterdir() if path.is_dir())
    shutil.rmtree(left / ".git" / "refs")  # as if git had been killed
    publish(again, str(bare))
    assert publish(again, str(bare)) is False


def test_commands(release: Path, tmp_path: Path) -> None:
    root, store = release.parents[1], tmp_path / "store"

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["--releases", str(root), *arguments])
        return result.exit_code, result.stdout

    assert invoke("publish", "tiny", "--to", str(store)) == (
        0,
        f"tiny@1.0.0 published to {store}\n",
    )
    assert invoke("publish", "tiny", "--to", str(store))[1].startswith("tiny@1.0.0 is already in")
    assert invoke("errata", "tiny") == (0, "")
    assert invoke("errata", "tiny", "--add", "One is two.") == (0, "One is two.\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code, said = invoke("retract", "tiny", "--reason", "Wrong.")
    assert (code, said) == (0, "tiny@1.0.0 is retracted: Wrong.\n")
    with pytest.warns(UserWarning, match=r"retracted: Wrong\."):
        unitdb.open(release)
    (tmp_path / "staff").mkdir()
    (tmp_path / "staff" / "list.txt").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert invoke("publish", "tiny", "--to", str(tmp_path / "staff"))[0] == 2


def test_init_store_twice(tmp_path: Path) -> None:
    init_store(tmp_path / "store")
    head = git(tmp_path / "store", "rev-parse", "HEAD")
    init_store(tmp_path / "store")
    assert git(tmp_path / "store", "rev-parse", "HEAD") == head


_OTHER_LOCKS = ("config.lock", "refs/heads/main.lock")
_OTHER_PARTS = ("HEAD", "config", "index", "refs")


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    unitdb_ = Path(sys.executable).with_name("unitdb")
    return subprocess.Popen(
        [unitdb_, "--releases", str(root), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.robust(
    "publishing",
    given="four publishes to a new store, an erratum and a retraction, all at once",
    before="two of four publishes failed: `index.lock` exists",
    now="all succeed, one after the other; a lock that does not come free in 600 s is one line",
)
def test_publishers_wait_for_each_other(release: Path, tmp_path: Path) -> None:
    root, store = release.parents[1], tmp_path / "store"
    init_store(root)
    everyone = [
        *(start(root, "publish", "tiny@1.0.0", "--to", str(store)) for _ in range(4)),
        start(root, "errata", "tiny", "--add", "One is two."),
        start(root, "retract", "tiny", "--reason", "Wrong."),
    ]
    for process in everyone:
        said, complained = process.communicate(timeout=300)
        assert process.returncode == 0, said + complained
    assert publish(release, str(store)) is not None
    for folder in (root, store):
        (entry,) = Catalogue(folder).entries()
        assert (entry.errata, entry.retracted) == (("One is two.",), "Wrong.")
        assert git(folder, "status", "--porcelain") == ""


@pytest.mark.robust(
    "publishing",
    given="a publish beside another that does not come to an end",
    before="waits for ever",
    now="one line after 600 s: which lock another process holds",
)
def test_a_publish_does_not_wait_for_ever(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setattr("unitdb.publish._owned.locked", partial(locked, seconds=0.1))
    with (
        locked(store / ".work" / "publish.lock"),
        pytest.raises(BusyError, match=r"publish\.lock: another unitdb is at work there"),
    ):
        publish(release, str(store))


def test_programs_hold_the_lock_of_a_publisher_that_is_gone(tmp_path: Path) -> None:
    """As where the main process alone is killed: the next waits for what it had started."""
    script = """
from pathlib import Path
from unitdb.programs import run
from unitdb.publish._owned import holding
work = "touch started; for i in $(seq 999); do test -e go_on && break; sleep 0.1; done; touch ended"
with holding(Path("lock")):
    run("git", "-c", f"alias.x=!{work}", "x", folder=Path())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path
    ) as publisher:
        try:
            deadline = time.monotonic() + 300
            while not (tmp_path / "started").exists():
                assert publisher.poll() is None
                assert time.monotonic() < deadline, "git does not start"
                time.sleep(0.05)
        finally:
            publisher.kill()
    with pytest.raises(BusyError), locked(tmp_path / "lock", seconds=0.1):
        pass
    assert not (tmp_path / "ended").exists()
    (tmp_path / "go_on").touch()
    with locked(tmp_path / "lock", seconds=300):
        assert (tmp_path / "ended").exists()


@pytest.mark.robust(
    "publishing",
    given="a store whose repository has a lock of git that a kill has left (`index.lock`)",
    before="every later publish failed",
    now="removed under unitdb's own lock, once no program of git works there",
)
@pytest.mark.parametrize("name", ["index.lock", *map(rarely, _OTHER_LOCKS)])
def test_stale_locks_of_git_are_removed(release: Path, tmp_path: Path, name: str) -> None:
    store = tmp_path / "store"
    init_store(store)
    (store / ".git" / name).touch()
    assert publish(release, str(store)) is True
    assert not (store / ".git" / name).exists()


@pytest.mark.robust(
    "publishing",
    given="a damaged clone in `.stores/`, or a RIA store without its alias",
    before="every later publish failed",
    now="the clone is made anew, from the remote and the releases",
)
@pytest.mark.parametrize("damage", ["objects", *map(rarely, _OTHER_PARTS)])
def test_a_damaged_clone_is_made_anew(release: Path, tmp_path: Path, damage: str) -> None:
    bare = tmp_path / "remote.git"
    run("git", "init", "-q", "--bare", str(bare), folder=tmp_path)
    publish(release, str(bare))
    (clone,) = (path for path in (release.parents[1] / ".stores").iterdir() if path.is_dir())
    path = clone / ".git" / damage
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.chmod(0o644)
        path.write_bytes(b"damaged")
    assert publish(release, str(bare)) is False


def test_a_repository_of_somebody_is_left_alone_and_named_whole(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    run("git", "init", "-q", folder=tmp_path / "mine")
    with pytest.raises(StoreError, match=r"rm -rf .*mine/\.git$"):
        init_store(tmp_path / "mine")
    (tmp_path / "mine" / ".git" / "index.lock").touch()
    with pytest.raises(ProgramError, match=r"Unable to create '.*mine/\.git/index\.lock'"):
        run("git", "add", "--all", folder=tmp_path / "mine")
