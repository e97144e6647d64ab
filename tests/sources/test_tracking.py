"""Weights that came otherwise are tracked like datasets are: by key, address and commit."""

from __future__ import annotations

import hashlib

import pytest

from unitdb.programs import find_program, run
from unitdb.sources import track

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def networks(tmp_path, monkeypatch, web):
    """A folder with a file of weights, whose content a server gives, and its checksum."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "networks"
    (folder / "lab").mkdir(parents=True)
    web.files["a.pth"] = CONTENT
    (folder / "lab" / "a.pth").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    (folder / "lab" / "a.pth.sha256").write_text(f"{digest}  a.pth\n")
    return folder


def saved(folder, address=None, name="a.pth"):
    paths = [f"lab/{name}", f"lab/{name}.sha256"]
    return track(folder, paths, message=f"Weights of lab/{name}", address=address)


def test_weights_are_kept_by_their_checksum_and_come_again_from_their_address(networks, web):
    assert saved(networks, f"{web.url}/a.pth")
    key = run("git-annex", "lookupkey", "lab/a.pth", folder=networks).strip()
    assert key.startswith(f"MD5E-s{len(CONTENT)}--")
    assert (networks / "lab/a.pth").read_bytes() == CONTENT
    assert not (networks / "lab/a.pth.sha256").is_symlink()  # text is in git
    assert run("git", "status", "--porcelain", "--", "lab", folder=networks) == ""
    run("git-annex", "drop", "--force", "lab/a.pth", folder=networks)
    assert not (networks / "lab/a.pth").is_file()
    run("git-annex", "get", "-c", "annex.security.allowed-ip-addresses=all", "lab/a.pth",
        folder=networks)  # fmt: skip
    assert (networks / "lab/a.pth").read_bytes() == CONTENT


def test_what_is_tracked_is_tracked_once_and_what_is_new_is_added(networks):
    assert saved(networks)
    before = run("git", "rev-list", "--count", "HEAD", folder=networks)
    assert saved(networks)
    assert run("git", "rev-list", "--count", "HEAD", folder=networks) == before
    (networks / "lab" / "b.pth").write_bytes(CONTENT[::-1])
    (networks / "lab" / "b.pth.sha256").write_text("other\n")
    (networks / "lab" / "mine.txt").write_text("a note of the user's own")
    assert saved(networks, name="b.pth")
    listed = run("git", "ls-files", "lab", folder=networks).split()
    assert listed == ["lab/a.pth", "lab/a.pth.sha256", "lab/b.pth", "lab/b.pth.sha256"]


def test_a_killed_creation_is_finished(networks):
    run("git", "init", "--quiet", ".", folder=networks)
    assert saved(networks)
    assert (networks / ".datalad").is_dir()


def test_without_datalad_nothing_is_tracked(networks, monkeypatch):
    def missing(name):
        return find_program("nosuchprogram" if name == "datalad" else name)

    monkeypatch.setattr("unitdb.sources.tracking.find_program", missing)
    assert not saved(networks)
    assert not (networks / ".git").exists()
