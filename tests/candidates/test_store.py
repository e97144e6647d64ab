"""Sets in the store: found again, held to their seal, complete or not there; and the commands."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from tests.candidates.conftest import write_god
from unitdb.candidates import (
    CandidateSet,
    CandidatesSpec,
    find_candidates,
    make_candidates,
    open_candidates,
    stored_sets,
)
from unitdb.cli import main
from unitdb.errors import CandidatesError, DamagedFileError, UnknownCandidatesError

GOD = TypeAdapter(CandidatesSpec).validate_python(
    {"kind": "god", "file": "ImageFeatures.h5", "layers": {"cnn1": "cnn1", "cnn8": "cnn8"}}
)


@pytest.fixture
def made(places):
    write_god(places.data / "ImageFeatures.h5")
    return make_candidates("god", GOD, places=places)


def same(one: CandidateSet, other: CandidateSet) -> bool:
    return one.sha256 == other.sha256 and all(
        np.array_equal(one.features(layer), other.features(layer)) for layer in one.layers
    )


def test_it_is_found_again(made, places):
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    again = make_candidates("god", GOD, places=places)
    assert same(made, again)
    assert {path: path.stat().st_mtime_ns for path in again.folder.rglob("*")} == before
    assert made.sha256 == made.content_sha256()
    arrays = {layer: made.features(layer) for layer in made.layers}
    in_memory = CandidateSet.from_arrays(
        name="other", ids=made.ids, features=arrays, n_pictures=np.zeros(len(made))
    )
    assert in_memory.sha256 == made.sha256


def test_another_cache_holds_the_same_bytes(made, places, tmp_path):
    other = make_candidates("god", GOD, places=replace(places, cache=tmp_path / "other"))
    files = sorted(path.name for path in made.folder.iterdir())
    assert files == sorted(path.name for path in other.folder.iterdir())
    assert other.folder.name == made.folder.name
    for name in files:
        assert (other.folder / name).read_bytes() == (made.folder / name).read_bytes()


@pytest.mark.robust(
    "bounds",
    given="A stored set of candidates of which a byte was changed, or a file is cut or missing",
    before="there were no such sets",
    now="made anew by `unitdb candidates make` or a build; an error where it is opened",
)
@pytest.mark.parametrize("name", ["000.npy", "001.units.npy", "set.json", "set.json.sha256"])
@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_damage_is_found_and_mended(made, places, name, how):
    path, before = made.folder / name, made.features("cnn8")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    if how != "missing":
        path.write_bytes(content if how == "changed" else content[:-3])
    with pytest.raises(DamagedFileError):
        open_candidates(made.folder)
    again = make_candidates("god", GOD, places=places)
    assert again.folder == made.folder
    assert np.array_equal(again.features("cnn8"), before)


KILLED = """
import os, signal, sys
from pathlib import Path
from pydantic import TypeAdapter
from unitdb.candidates import CandidatesSpec, Places, make_candidates, making, store

data, cache, spec = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
spec = TypeAdapter(CandidatesSpec).validate_json(spec)
places = Places(folder=data, cache=cache, data=data)

def at(owner, name, n, after=False):
    real, count = getattr(owner, name), [0]
    def step(*args, **kwargs):
        count[0] += 1
        if count[0] == n and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = real(*args, **kwargs)
        if count[0] == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    setattr(owner, name, step)

STEPS = [
    (store, "_write_features", 1, False),
    (store, "_write_features", 2, True),
    (store, "write_text", 1, False),
    (store, "write_text", 1, True),
    (Path, "rename", 1, False),
    (Path, "rename", 1, True),
]
for step in STEPS:
    pid = os.fork()
    if not pid:
        at(*step)
        make_candidates("god", spec, places=places)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, (step, status)
    found = sorted(path.name for path in (cache / "candidates").glob("[0-9a-f]*"))
    assert len(found) == (step == STEPS[-1]), (step, found)
found = make_candidates("god", spec, places=places)
print(found.sha256, len(list((cache / "candidates").iterdir())))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_leaves_nothing_half(made, places, tmp_path):
    arguments = [places.data, tmp_path / "killed", GOD.model_dump_json()]
    command = [sys.executable, "-c", KILLED, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [made.sha256, "1"]


def test_it_travels_as_its_folder(made):
    folder = pickle.loads(pickle.dumps(made.folder))  # noqa: S301
    assert same(open_candidates(folder), made)


def test_sets_of_one_name(made, places):
    others = replace(places, data=places.data / "more")
    write_god(others.data / "ImageFeatures.h5", n_units=3)
    other = make_candidates("god", GOD, places=others)
    assert {one.sha256 for one in stored_sets(places.cache).values()} == {
        made.sha256,
        other.sha256,
    }
    with pytest.raises(CandidatesError, match=f"several .*'god'.*god@{made.sha256[:12]}"):
        find_candidates("god", places.cache)
    assert find_candidates(f"god@{other.sha256[:8]}", places.cache) == other.folder
    with pytest.raises(UnknownCandidatesError, match="did you mean 'god'"):
        find_candidates("gods", places.cache)
    with pytest.raises(UnknownCandidatesError, match=r"there are: god@|did you mean 'god@"):
        find_candidates("god@zz", places.cache)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


FILE = """
candidates:
  means: {kind: god, file: ImageFeatures.h5, labels: words.csv, description: Means of categories.}
  images: {kind: god, file: ImageFeatures.h5, types: [1], layers: {cnn8: cnn8}}
units: {sample: 5}
"""


def test_commands(places, tmp_path):
    write_god(places.data / "ImageFeatures.h5")
    (places.data / "words.csv").write_text("candidate,label\nn01518878,ostrich\n")
    (tmp_path / "candidates.yaml").write_text(FILE)
    at = ["--releases", tmp_path / "releases", "candidates"]
    assert "no candidate sets in" in run(*at, "list").output
    done = run(*at, "make", tmp_path / "candidates.yaml", "--data", places.data)
    assert done.exit_code == 0, done.output
    means, images = done.output.split("\n\n")
    assert means.splitlines()[:4] == [
        "means: 8 candidates",
        "Means of categories.",
        "layers:  cnn1, cnn2, cnn3, cnn4, cnn5, cnn6, cnn7, cnn8 (5 units each)",
        "model:   not stated",
    ]
    assert images.startswith("images: 4 candidates\nlayers:  cnn8 (5 units each)")
    listed = run(*at, "list").output.splitlines()
    assert [line.split()[0] for line in listed] == ["set", "images", "means"]
    shown = run(*at, "show", "means", "--top", "2").output
    assert "n01518878  ostrich    not known" in shown
    assert "n01639765" in shown
    assert "n02071294" not in shown
    found = open_candidates(find_candidates("means", tmp_path / "releases" / ".cache"))
    (found.folder / "set.json").write_text("{}")
    assert "damaged: make it again" in run(*at, "list").output
    failed = run(*at, "show", "means")
    assert failed.exit_code == 2
    assert "unknown candidate set 'means'" in failed.output


@pytest.mark.robust(
    "hostile",
    given="A file of candidate sets that is not one: other keys, kinds, names, or no mapping",
    before="there were no such files",
    now="one line with file and key, exit code 2",
)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("candidates: {}", "candidates"),
        ("[]", "must be a mapping"),
        ("candidates: {x: {kind: picture, folder: a}}", "candidates.x"),
        ("candidates: {x: {kind: pictures, folder: a, endings: .b}}", "did you mean 'ending'"),
        ("candidates: {../x: {kind: own}}", "candidates"),
        ("candidates: {x: {kind: own}, X: {kind: own}}", "one folder on some systems"),
        ("candidates: {x: {kind: own}}", "made of it when a recipe is built"),
        ("candidates: {x: {kind: god, file: a.h5, types: [5]}}", "candidates.x.god.types.0"),
        ("candidates: {x: {kind: pictures, folder: a}}\nmodel: {name: alexnet}", "'alexnet'"),
        ("candidates: {x: &a {kind: own}, y: *a}", "aliases"),
    ],
)
def test_files_that_are_refused(tmp_path, text, words):
    path = tmp_path / "candidates.yaml"
    path.write_text(text)
    failed = run("--releases", tmp_path, "candidates", "make", path, "--data", tmp_path)
    assert failed.exit_code == 2, failed.output
    assert failed.output.startswith("unitdb: error: ")
    assert failed.output.count("\n") == 1
    assert words in failed.output


@pytest.mark.robust(
    "hostile",
    given="A stored set whose set.json states other sizes than its arrays have, with a right seal",
    before="there were no such sets",
    now="an error that names the array and both shapes",
)
def test_a_set_that_states_other_sizes(made):
    from unitdb.sealed import write_text

    path = made.folder / "set.json"
    content = json.loads(path.read_text())
    content["n_units"][1] = 8
    arrays = [one for one in made.folder.iterdir() if one.suffix == ".npy"]
    write_text(path, json.dumps(content), others=arrays)
    with pytest.raises(DamagedFileError, match=r"001.npy: has shape \(8, 7\), expected \(8, 8\)"):
        open_candidates(made.folder)
