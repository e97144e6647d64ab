"""The pages on data of one's own, followed to the letter."""

import re
import shutil
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from bdpy import BData

import unitdb
from tests.acceptance.conftest import ROOT
from unitdb.activations import FeatureFiles
from unitdb.responses import open_dataset
from unitdb.responses.arrays_spec import ArrayTest
from unitdb.responses.sets_spec import OtherTargets
from unitdb.yamltext import parse_yaml

START = (ROOT / "docs" / "start" / "own-data.md").read_text()
FILES = (ROOT / "docs" / "howto" / "files.md").read_text()
CODE = re.findall(r"```(\w*)\n(.*?)```", START + FILES, re.DOTALL)
UNITDB = [sys.executable, "-W", "error", "-c", "from unitdb.cli import main; main()"]


def run(line, folder):
    program, *arguments = line.split()
    start = UNITDB if program == "unitdb" else [sys.executable, "-W", "error"]
    done = subprocess.run([*start, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder in which the pages were followed, and what its commands printed."""
    folder = tmp_path_factory.mktemp("own")
    files = re.findall(r"`(own/[\w.]+)`:\n\n```\w+\n(.*?)```", START, re.DOTALL)
    assert [name for name, _ in files] == [
        "own/make_data.py",
        "own/dataset.yaml",
        "own/recipe.yaml",
    ]
    for name, text in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (commands,) = [text for language, text in CODE if not language]
    return folder, [run(line, folder) for line in commands.splitlines()]


def test_ten_minutes_to_a_release(built):
    _, (_, _, printed) = built
    assert len(printed.splitlines()) == 11
    assert "mynet/conv1/" in printed


def test_units_are_those_of_the_file_in_c_order(built):
    folder, _ = built
    release = unitdb.open(folder / "releases" / "own" / "1.0.0")
    layer = release.table("layers").iloc[0]
    assert (list(layer["shape"]), layer["n_units"]) == ([8, 5, 5], 200)
    units = release.units(roi="V1").to_pandas()
    assert sorted(units["unit"]) == list(range(200))
    assert units["mean_r"].mean() > 0.05  # the voxels do see these features
    assert set(release.table("stimuli")["source"]) == {"no picture"}


def test_the_release_is_whole(built):
    folder, _ = built
    run("unitdb verify own", folder)


def test_the_table_names_every_format_of_features():
    table = FILES.split("| `format` |")[1].split("\n\n")[0]
    formats = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert formats == list(get_args(FeatureFiles.model_fields["format"].annotation))


def test_a_stimulus_without_activations_is_one_line(built, tmp_path):
    folder, _ = built
    shutil.copytree(folder / "own", tmp_path / "own")
    ids = tmp_path / "own" / "features" / "stimuli.txt"
    (tmp_path / "own" / "shown.txt").write_text(ids.read_text())
    ids.write_text(ids.read_text().replace("picture-31", "picture-99"))
    dataset = tmp_path / "own" / "dataset.yaml"
    dataset.write_text(dataset.read_text().replace("features/stimuli.txt", "shown.txt"))
    build = [*UNITDB, "build", "own/recipe.yaml", "--data", "own"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "layer 'conv1' has no activations of 1 of 40 stimuli: 'picture-31'" in line
    assert not list(tmp_path.glob("releases/own"))


def test_test_sets_as_described():
    (snippet,) = [text for language, text in CODE if language == "yaml" and "blur-12" in text]
    tests = parse_yaml(snippet)["tests"]
    found = {name: ArrayTest.model_validate(test) for name, test in tests.items()}
    assert list(found) == ["perception", "imagery", "blur-12", "single"]
    assert found["blur-12"].targets == OtherTargets(ending="-12", by="-0")
    assert (found["blur-12"].level, found["single"].average) == (12, False)


def test_bdata_as_described(built):
    folder, _ = built
    (snippet,) = [text for language, text in CODE if language == "yaml" and "bdata" in text]
    dataset = (folder / "own" / "dataset.yaml").read_text()
    text = dataset[: dataset.index("stimuli:")].replace("all: every voxel", "LVC: all three")
    (folder / "bdata.yaml").write_text(text + snippet)
    (folder / "stimuli.txt").write_text("cat\ndog\n")
    bdata = BData()
    values = np.random.default_rng(0).normal(size=(6, 9))
    bdata.add(values, "VoxelData")
    bdata.add(np.array([1.0, 1, 2, 2, 2, 3]), "DataType")
    bdata.add(np.array([1.0, 1, 2, 2, 2, 1]), "stimulus_name")
    for number in range(3):
        here = (np.arange(9) // 3 == number).astype(float)
        bdata.add_metadata(f"ROI_V{number + 1}", here, "", where="VoxelData")
    bdata.add_vmap("stimulus_name", {1: "cat", 2: "dog"})
    bdata.save(str(folder / "sub-01.h5"))
    found = open_dataset(str(folder / "bdata.yaml"), data=folder, cache=folder).responses("sub-01")
    np.testing.assert_array_equal(found.roi("LVC"), values[:5])
    np.testing.assert_array_equal(found.roi("V1"), values[:5, :3])
    assert found.stimulus_ids.tolist() == ["cat", "cat", "dog", "dog", "dog"]
