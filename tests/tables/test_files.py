"""What files hold, and which version of which DataLad dataset they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from unitdb.errors import SourceError
from unitdb.programs import run
from unitdb.tables import Use, code_commit, describe_files, merge_uses


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DataLad dataset: a file in git, one in git-annex, one changed since, one not saved."""
    folder = tmp_path_factory.mktemp("parent") / "mine"
    run("datalad", "create", str(folder), folder=folder.parent)
    (folder / ".gitattributes").write_text("*.txt annex.largefiles=nothing\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "a file.bin").write_bytes(b"annexed")
    (folder / "plain.txt").write_text("plain")
    (folder / "changed.txt").write_text("before")
    run("datalad", "save", "-m", "Files", folder=folder)
    (folder / "changed.txt").write_text("after")
    (folder / "new.txt").write_text("new")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return run("git", *arguments, folder=folder).strip()


def test_files_of_a_dataset(dataset: Path) -> None:
    names = ["sub/a file.bin", "plain.txt", "changed.txt", "new.txt"]
    found = describe_files([dataset / name for name in names], bases=[])
    annexed, plain, changed, new = (found[dataset / name] for name in names)
    identifier = git(dataset, "config", "--file", ".datalad/config", "datalad.dataset.id")
    commit = git(dataset, "log", "-1", "--format=%H", "--", "plain.txt")
    assert {file.datalad_id for file in found.values()} == {identifier}
    assert annexed.path == "sub/a file.bin"
    assert annexed.annex_key == git(dataset, "annex", "lookupkey", "sub/a file.bin")
    assert annexed.sha256 == hashlib.sha256(b"annexed").hexdigest()
    assert (annexed.size, annexed.git_commit) == (7, commit)
    assert (plain.annex_key, plain.git_commit) == (None, commit)
    for unsaved in (changed, new):  # no commit has them as they are
        assert (unsaved.annex_key, unsaved.git_commit) == (None, None)
    assert changed.sha256 == hashlib.sha256(b"after").hexdigest()


def test_later_commits_to_other_files_change_nothing(dataset: Path) -> None:
    files = [dataset / "sub" / "a file.bin", dataset / "plain.txt"]
    before = describe_files(files, bases=[])
    (dataset / "other.txt").write_text("of no concern")
    run("datalad", "save", "-m", "Other", "other.txt", folder=dataset)
    assert describe_files(files, bases=[]) == before
    assert git(dataset, "rev-parse", "HEAD") != before[files[0]].git_commit


def test_an_unlocked_file_keeps_its_bytes(dataset: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run("git", "clone", str(dataset), str(clone), folder=tmp_path)
    run("datalad", "get", "sub/a file.bin", folder=clone)
    locked = describe_files([clone / "sub" / "a file.bin"], bases=[])
    run("datalad", "unlock", "sub/a file.bin", folder=clone)
    unlocked = describe_files([clone / "sub" / "a file.bin"], bases=[])
    (a,), (b,) = locked.values(), unlocked.values()
    assert (a.sha256, a.path, a.datalad_id) == (b.sha256, b.path, b.datalad_id)


@pytest.mark.robust(
    "datasets",
    given="a dataset on an adjusted branch (all files unlocked)",
    before="provenance named git-annex's own commit of that branch, which no clone has",
    now="the last commit of the basis that changed the files",
)
def test_on_an_adjusted_branch_the_commit_is_one_that_clones_have(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    run("datalad", "create", str(folder), folder=tmp_path)
    (folder / "a.bin").write_bytes(b"a")
    run("datalad", "save", "-m", "a", folder=folder)
    commit = git(folder, "rev-parse", "HEAD")
    run("git", "annex", "adjust", "--unlock", folder=folder)
    assert git(folder, "rev-parse", "HEAD") != commit
    (found,) = describe_files([folder / "a.bin"], bases=[]).values()
    assert found.git_commit == commit
    assert found.annex_key is not None
    (folder / "b.bin").write_bytes(b"b")
    run("datalad", "save", "-m", "b", folder=folder)
    run("git", "annex", "sync", "--no-pull", "--no-push", folder=folder)
    a, b = describe_files([folder / "a.bin", folder / "b.bin"], bases=[]).values()
    basis = f"refs/basis/{git(folder, 'rev-parse', '--abbrev-ref', 'HEAD')}"
    for file in (a, b):
        git(folder, "merge-base", "--is-ancestor", str(file.git_commit), basis)  # or an error


@pytest.mark.parametrize("backend", ["MD5E", "SHA256E", "SHA1"])
def test_a_changed_byte_of_an_annexed_file_is_an_error(tmp_path: Path, backend: str) -> None:
    folder = tmp_path / "data"
    run("datalad", "create", str(folder), folder=tmp_path)
    (folder / ".gitattributes").write_text(f"* annex.backend={backend}\n")
    path = folder / "scan.tar.gz"
    path.write_bytes(bytes(1000))
    run("datalad", "save", "-m", "Scan", folder=folder)
    (found,) = describe_files([path], bases=[]).values()
    assert found.annex_key is not None
    assert found.annex_key.startswith(backend)
    content = path.resolve()
    content.parent.chmod(0o755)
    content.chmod(0o644)
    content.write_bytes(bytes(999) + b"\x01")
    with pytest.raises(SourceError, match=r"scan\.tar\.gz: its bytes are not those of its key"):
        describe_files([path], bases=[])


def test_files_of_no_dataset_are_named_below_the_folder_asked(tmp_path: Path) -> None:
    inside, outside = tmp_path / "data" / "x" / "a.npy", tmp_path / "b.npy"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(b"a")
    outside.write_bytes(b"bb")
    found = describe_files([inside, outside], bases=[tmp_path / "data"])
    # By name alone where it is in no folder asked for: no path of this machine.
    assert {(f.path, f.size, f.datalad_id) for f in found.values()} == {
        ("b.npy", 2, None),
        ("x/a.npy", 1, None),
    }


def test_plain_git_gives_no_dataset(tmp_path: Path) -> None:
    run("git", "init", "-q", folder=tmp_path)
    (tmp_path / "a").write_text("a")
    (found,) = describe_files([tmp_path / "a"], bases=[tmp_path]).values()
    assert (found.path, found.datalad_id, found.git_commit) == ("a", None, None)


def test_commit_of_code(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "reading").mkdir(parents=True)
    assert code_commit(code) is None  # no repository
    run("git", "init", "-q", folder=tmp_path)
    (code / "a.py").write_text("a = 1")
    (code / "reading" / "b.py").write_text("b = 1")
    assert code_commit(code) is None  # in no commit
    run("git", "add", ".", folder=tmp_path)
    run("git", "commit", "-q", "-m", "Code", folder=tmp_path)
    first = git(tmp_path, "rev-parse", "HEAD")
    assert code_commit(code) == first
    (code / "reading" / "b.py").write_text("b = 2")
    assert code_commit(code) is None  # not as committed
    assert code_commit(code, without=["reading"]) == first
    run("git", "commit", "-q", "-am", "Reading", folder=tmp_path)
    assert code_commit(code, without=["reading"]) == first
    assert code_commit(code) == git(tmp_path, "rev-parse", "HEAD") != first


def test_a_file_read_for_several_subjects_is_of_none() -> None:
    one, both = Path("one"), Path("both")
    uses = [
        Use(path=one, role="responses", subject="S1"),
        Use(path=both, role="responses", subject="S1"),
        Use(path=both, role="responses", subject="S2"),
        Use(path=both, role="responses", subject="S2"),
        Use(path=both, role="stimuli"),
    ]
    assert set(merge_uses(uses)) == {
        Use(path=one, role="responses", subject="S1"),
        Use(path=both, role="responses"),
        Use(path=both, role="stimuli"),
    }
