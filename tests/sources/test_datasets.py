"""Datasets are registered without a download, fetched, verified, found damaged, and dropped."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.rarely import rarely
from unitdb import programs
from unitdb.errors import ProgramError, SourceError, UnknownSubjectError
from unitdb.programs import run
from unitdb.sources import DatasetFiles, check, drop, get, install, states

pytest.importorskip("datalad")


def noise(seed, size=200_000):
    return np.random.default_rng(seed).bytes(size)


def files_of(web, *, md5=True):
    """Two subjects, and one file whose checksum nobody states."""
    web.files = {"one.bin": noise(1), "two.bin": noise(2), "notes.bin": noise(3)}
    listed = [
        {
            "path": f"sub/{name}.bin",
            "url": f"{web.url}/{name}.bin",
            "subject": f"sub-{name}",
            "md5": hashlib.md5(web.files[f"{name}.bin"], usedforsecurity=False).hexdigest(),
            "size": 200_000,
        }
        for name in ("one", "two")
    ]
    listed.append({"path": "notes.bin", "url": f"{web.url}/notes.bin"})
    return DatasetFiles.model_validate({"download": listed})


def state_of(found):
    return {state.path: state.state for state in found}


def test_install_downloads_nothing(web, tmp_path):
    files = files_of(web)
    folder = install("some", files, data=tmp_path)
    assert not [request for request in web.requests if request[0] == "GET"]
    assert set(state_of(states("some", files, data=tmp_path)).values()) == {"not here"}
    assert run("git", "status", "--porcelain", folder=folder) == ""
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["some"]


@pytest.mark.slow
def test_a_data_folder_may_be_relative(web, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = files_of(web)
    get("some", files, data=Path("data"), subjects=["sub-one"])
    assert state_of(check("some", files, data=Path("data")))["sub/one.bin"] == "here"
    assert [path.name for path in (tmp_path / "data").glob("[!.]*")] == ["some"]
    drop("some", files, data=Path("data"))


def test_a_hook_of_git_does_not_lead_astray(web, tmp_path, monkeypatch):
    """Git tells its hooks where their repository is; commands here are meant for another."""
    run("git", "init", "--quiet", str(tmp_path / "theirs"), folder=tmp_path)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "theirs" / ".git" / "index"))
    folder = install("some", files_of(web), data=tmp_path)
    assert (folder / ".git").is_dir()
    assert run("git", "-C", "theirs", "for-each-ref", folder=tmp_path) == ""


@pytest.mark.slow
def test_install_twice_changes_nothing_and_adds_what_is_new(web, tmp_path):
    files = files_of(web)
    folder = install("some", files, data=tmp_path)
    commit = run("git", "rev-parse", "HEAD", folder=folder)
    install("some", files, data=tmp_path)
    assert run("git", "rev-parse", "HEAD", folder=folder) == commit
    web.files["more.bin"] = noise(4)
    more = {"path": "more.bin", "url": f"{web.url}/more.bin"}
    longer = DatasetFiles(download=[*files.download, more])
    install("some", longer, data=tmp_path)
    assert "more.bin" in state_of(states("some", longer, data=tmp_path))


@pytest.mark.slow
def test_get_of_a_subject_brings_its_files_and_those_of_all(web, tmp_path):
    files = files_of(web)
    seen = []
    found = get(
        "some", files, data=tmp_path, subjects=["sub-one"], progress=lambda *step: seen.append(step)
    )
    assert state_of(found) == {"notes.bin": "here", "sub/one.bin": "here"}
    assert (tmp_path / "some" / "sub" / "one.bin").read_bytes() == web.files["one.bin"]
    assert state_of(states("some", files, data=tmp_path))["sub/two.bin"] == "not here"
    assert ("sub/one.bin", 200_000, 200_000) in seen
    with pytest.raises(UnknownSubjectError, match="sub-one"):
        get("some", files, data=tmp_path, subjects=["sub-on"])


@pytest.mark.slow
def test_an_interrupted_download_goes_on_where_it_stopped(web, tmp_path):
    files = files_of(web)
    install("some", files, data=tmp_path)
    web.cut = 120_000
    with pytest.raises(SourceError, match=r"sub/one\.bin cannot be had"):
        get("some", files, data=tmp_path, subjects=["sub-one"])
    web.cut = None
    web.requests.clear()
    get("some", files, data=tmp_path, subjects=["sub-one"])
    ranges = [asked for _, path, asked in web.requests if path == "/one.bin" and asked]
    assert ranges
    assert int(ranges[-1].removeprefix("bytes=").rstrip("-")) > 0
    assert (tmp_path / "some" / "sub" / "one.bin").read_bytes() == web.files["one.bin"]


GET = """
import sys
from pathlib import Path
from unitdb.sources import DatasetFiles, get
get("some", DatasetFiles.model_validate_json(sys.argv[1]), data=Path(sys.argv[2]))
"""


@pytest.mark.parametrize("whole_group", [True, rarely(False)], ids=["with git-annex", "alone"])
def test_a_killed_download_goes_on_where_it_stopped(web, tmp_path, whole_group):
    web.files["one.bin"] = noise(1, 20_000_000)
    files = DatasetFiles(download=[large_file(web)])
    install("some", files, data=tmp_path)
    web.pause = 5_000_000
    command = [sys.executable, "-c", GET, files.model_dump_json(), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        assert web.paused.wait(60)
        time.sleep(0.5)  # what was sent arrives
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    web.pause = None
    web.go_on.set()
    web.requests.clear()
    found = get("some", files, data=tmp_path)
    assert state_of(found) == {"one.bin": "here"}
    assert (tmp_path / "some" / "one.bin").read_bytes() == web.files["one.bin"]
    (asked,) = [asked for _, path, asked in web.requests if path == "/one.bin" and asked]
    assert int(asked.removeprefix("bytes=").rstrip("-")) > 1_000_000


def large_file(web):
    content = web.files["one.bin"]
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return {"path": "one.bin", "url": f"{web.url}/one.bin", "md5": md5, "size": len(content)}


@pytest.mark.slow
def test_content_with_another_md5_is_refused(web, tmp_path):
    files = files_of(web)
    web.files["one.bin"] = noise(5)
    with pytest.raises(SourceError, match=r"sub/one\.bin .* is not MD5-s200000"):
        get("some", files, data=tmp_path, subjects=["sub-one"])
    assert state_of(states("some", files, data=tmp_path))["sub/one.bin"] == "not here"


def test_the_first_download_records_a_checksum_and_another_content_is_an_error(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    notes = {state.path: state for state in check("some", files, data=tmp_path)}["notes.bin"]
    assert hashlib.sha256(noise(3)).hexdigest() in notes.key
    drop("some", files, data=tmp_path)
    assert not list((tmp_path / "some" / ".git" / "annex" / "objects").rglob("*.bin"))
    web.files["notes.bin"] = noise(6)
    with pytest.raises(SourceError, match=r"notes\.bin .* the file there is another one now"):
        get("some", files, data=tmp_path)
    web.files["notes.bin"] = noise(3)
    get("some", files, data=tmp_path)
    assert (tmp_path / "some" / "notes.bin").read_bytes() == noise(3)


@pytest.mark.slow
def test_check_finds_one_wrong_byte_and_get_mends_it(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    assert set(state_of(check("some", files, data=tmp_path)).values()) == {"here"}
    content = (tmp_path / "some" / "sub" / "two.bin").resolve()
    content.chmod(0o644)
    damaged = bytearray(content.read_bytes())
    damaged[1000] ^= 1
    content.write_bytes(damaged)
    found = {state.path: state for state in check("some", files, data=tmp_path)}
    assert found["sub/two.bin"].state == "damaged"
    assert found["sub/one.bin"].state == "here"
    get("some", files, data=tmp_path)
    assert (tmp_path / "some" / "sub" / "two.bin").read_bytes() == web.files["two.bin"]


@pytest.mark.slow
def test_drop_frees_the_space_and_refuses_what_would_be_lost(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    assert set(state_of(drop("some", files, data=tmp_path)).values()) == {"not here"}
    objects = tmp_path / "some" / ".git" / "annex" / "objects"
    assert sum(path.stat().st_size for path in objects.rglob("*") if path.is_file()) < 100_000
    get("some", files, data=tmp_path)
    del web.files["one.bin"]
    with pytest.raises(SourceError, match=r"sub/one\.bin is kept"):
        drop("some", files, data=tmp_path)
    assert (tmp_path / "some" / "sub" / "one.bin").exists()
    drop("some", files, data=tmp_path, force=True)
    with pytest.raises(SourceError, match=r"answers 404"):
        get("some", files, data=tmp_path)


@pytest.mark.slow
def test_files_of_all_are_not_dropped_with_those_of_one(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    assert state_of(drop("some", files, data=tmp_path, subjects=["sub-one"])) == {
        "sub/one.bin": "not here"
    }
    assert (tmp_path / "some" / "notes.bin").exists()


def test_a_dataset_that_exists_is_cloned_by_path(tmp_path):
    theirs = tmp_path / "theirs"
    run("datalad", "create", theirs, folder=tmp_path)
    for seed, subject in enumerate(("sub-01", "sub-02")):
        (theirs / subject).mkdir()
        (theirs / subject / "bold.bin").write_bytes(noise(seed))
    run("datalad", "save", "-m", "Add responses", folder=theirs)
    commit = run("git", "rev-parse", "HEAD", folder=theirs).strip()
    (theirs / "sub-01" / "later.bin").write_bytes(noise(8))
    run("datalad", "save", "-m", "Add more", folder=theirs)
    files = DatasetFiles(datalad=str(theirs), version=commit, fetch=["{subject}"])
    data = tmp_path / "data"
    found = get("copy", files, data=data, subjects=["sub-01"])
    assert state_of(found) == {"sub-01/bold.bin": "here"}
    assert state_of(states("copy", files, data=data)) == {
        "sub-01/bold.bin": "here",
        "sub-02/bold.bin": "not here",
    }
    assert (data / "copy" / "sub-01" / "bold.bin").read_bytes() == noise(0)


@pytest.mark.slow
@pytest.mark.robust(
    "datasets",
    given="`datasets get --file 'GLOB'` and `--subject NAME` of a dataset that is cloned",
    before="the pattern went to git-annex as the name of a file; an unknown subject was its error",
    now="`*` stands for anything, as the help says; UnknownSubjectError with the nearest names",
)
def test_patterns_and_subjects_of_a_clone(tmp_path):
    theirs = tmp_path / "theirs"
    run("datalad", "create", theirs, folder=tmp_path)
    for seed, path in enumerate(("sub-01/a.bin", "sub-01/x/b.bin", "sub-02/a.bin", "all.bin")):
        (theirs / path).parent.mkdir(parents=True, exist_ok=True)
        (theirs / path).write_bytes(noise(seed, 10))
    run("datalad", "save", "-m", "Add responses", folder=theirs)
    files = DatasetFiles(datalad=str(theirs), fetch=["{subject}"])

    def had(**which):
        return set(state_of(get("copy", files, data=tmp_path / "data", **which)))

    assert had(patterns=["*/b.bin"]) == {"sub-01/x/b.bin"}
    assert had(patterns=["sub-0?/a.bin", "all*"]) == {"sub-01/a.bin", "sub-02/a.bin", "all.bin"}
    assert had(patterns=["*.bin"], subjects=["sub-01"]) == {"sub-01/a.bin", "sub-01/x/b.bin"}
    with pytest.raises(SourceError, match=r"no file fits; there are, among others, sub-0./a\.bin"):
        had(patterns=["sub-03/a.bin"])
    with pytest.raises(UnknownSubjectError, match="'sub-03' in files of 'copy'; did you mean"):
        had(subjects=["sub-03"])


def test_a_dataset_that_cannot_be_cloned_is_one_short_error(web, tmp_path):
    files = DatasetFiles(datalad=f"{web.url}/theirs.git", version="1.0")
    with pytest.raises(SourceError, match=r"theirs\.git cannot be cloned: .* not found") as error:
        install("copy", files, data=tmp_path)
    assert len(str(error.value)) < 200
    assert [path.name for path in tmp_path.iterdir()] == [".copy.lock"]


def test_a_folder_of_the_users_own_is_left_alone(web, tmp_path):
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "mine.txt").write_text("mine")
    with pytest.raises(SourceError, match="no DataLad dataset"):
        install("some", files_of(web), data=tmp_path)
    assert (tmp_path / "some" / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_what_a_killed_install_left_is_no_obstacle(web, tmp_path):
    unfinished = tmp_path / ".some.unfinished"
    unfinished.mkdir()
    (unfinished / "half").write_text("")
    install("some", files_of(web), data=tmp_path)
    assert not unfinished.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"datalad": "ext::sh -c touch% pwned", "version": "1"},
        {"datalad": "--upload-pack=touch pwned"},
        {"datalad": "https://example.org/some"},  # no version
        {"datalad": "/some/where", "version": "--force"},
        {"download": [{"path": "../out", "figshare": 1}]},
        {"download": [{"path": "a", "url": "file:///etc/passwd"}]},
        {"download": [{"path": "a", "figshare": 1, "url": "https://example.org/a"}]},
        {"download": [{"path": "a", "figshare": 1}, {"path": "a", "figshare": 2}]},
        {"download": [{"path": "a\nb c", "figshare": 1}]},
        {},
    ],
)
def test_what_cannot_be_a_source_is_refused(wrong):
    with pytest.raises(ValueError):
        DatasetFiles.model_validate(wrong)


@pytest.mark.slow
def test_commits_need_no_identity_of_the_user(web, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    folder = install("some", files_of(web), data=tmp_path / "data")
    log = subprocess.run(
        ["git", "log", "--format=%an"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert log.stdout.strip()


@pytest.fixture
def dying(monkeypatch, tmp_path):
    """Have git-annex die after the first line that a command of some name writes."""

    def arrange(command):
        real = programs.find_program("git-annex")
        script = tmp_path / "git-annex"
        script.write_text(
            f'#!/bin/sh\nif [ "$1" != {command} ]; then exec {real} "$@"; fi\n'
            f'{real} "$@" > said; head -n 1 said; kill -9 $$\n'
        )
        script.chmod(0o755)
        found = programs.find_program
        monkeypatch.setattr(
            programs,
            "find_program",
            lambda name: str(script) if name == "git-annex" else found(name),
        )

    return arrange


@pytest.mark.slow
@pytest.mark.parametrize("command", ["get", "fsck", "drop"])
def test_a_git_annex_that_dies_has_not_done_its_work(web, tmp_path, dying, command):
    files = files_of(web)
    if command != "get":
        get("some", files, data=tmp_path)
    else:
        install("some", files, data=tmp_path)
    dying(command)
    do = {"get": get, "fsck": check, "drop": drop}[command]
    with pytest.raises(ProgramError, match="git-annex"):
        do("some", files, data=tmp_path)


@pytest.mark.slow
def test_what_users_put_beside_the_files_is_not_committed(web, tmp_path):
    files = files_of(web)
    folder = install("some", files, data=tmp_path)
    (folder / "mine.txt").write_text("may not be passed on")
    get("some", files, data=tmp_path)
    assert run("git", "status", "--porcelain", folder=folder) == "?? mine.txt\n"


@pytest.mark.slow
def test_a_checksum_that_is_published_later_is_compared(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    for content, agrees in ((noise(3), True), (noise(4), False)):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        notes = files.download[-1].model_copy(update={"md5": md5})
        later = DatasetFiles(download=[*files.download[:-1], notes])
        if agrees:
            install("some", later, data=tmp_path)
        else:
            with pytest.raises(SourceError, match="not known to be what"):
                install("some", later, data=tmp_path)


@pytest.mark.slow
def test_files_that_are_new_to_the_spec_do_not_stop_the_others(web, tmp_path):
    files = files_of(web)
    get("some", files, data=tmp_path)
    more = {"path": "more.bin", "url": f"{web.url}/more.bin", "subject": "sub-new"}
    longer = DatasetFiles(download=[*files.download, more])
    assert len(states("some", longer, data=tmp_path)) == 3
    with pytest.raises(SourceError, match=r"has none of"):
        drop("some", longer, data=tmp_path, patterns=["more*"])
