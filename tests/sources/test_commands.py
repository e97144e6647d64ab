"""The commands of datasets, from an address to files and back, and what they refuse."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from unitdb.cli import main
from unitdb.errors import DatasetError
from unitdb.responses import DatasetSpec, dataset_specs
from unitdb.specs import read_spec

pytest.importorskip("datalad")

ROOT = Path(__file__).parents[2]
DATASET = """
name: some
title: Some responses
description: Made for a test.
licence: none
source: a test
citation: none
simulated: false
subjects: [sub-01, sub-02]
rois: {{V1: primary visual cortex}}
stimuli: {{kind: folder, folder: some/pictures}}
responses:
  kind: arrays
  file: some/{{subject}}.npz
  cross-validation: {{responses: x, stimulus_ids: ids}}
  masks: {{V1: null}}
files:
  download:
    - {{path: sub-01.npz, url: "{url}/one", subject: sub-01, md5: {md5}}}
    - {{path: sub-02.npz, url: "{url}/two", subject: sub-02}}
"""


@pytest.fixture
def unitdb(web, tmp_path):
    web.files = {"one": b"1" * 5000, "two": b"2" * 5000}
    folder = tmp_path / "datasets" / "some"
    folder.mkdir(parents=True)
    md5 = hashlib.md5(web.files["one"], usedforsecurity=False).hexdigest()
    (folder / "dataset.yaml").write_text(DATASET.format(url=web.url, md5=md5))

    def run(command, *arguments, code=0):
        options = ["--data", tmp_path / "data", "--datasets", folder.parent]
        options = options[2:] if command == "list" else options
        given = ["datasets", command, *arguments, *options]
        result = CliRunner().invoke(main, [str(part) for part in given])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_way_of_a_dataset(unitdb, web, tmp_path):
    assert "measured" in unitdb("list")
    assert "not installed" in unitdb("show", "some")
    assert Path(unitdb("install", "some").strip()) == tmp_path / "data" / "some"
    assert "not here" in unitdb("show", "some")
    assert "1 files are here" in unitdb("get", "some", "--subject", "sub-01")
    assert "2 files are here" in unitdb("get", "some")
    assert "2 files are whole, 0 damaged" in unitdb("check", "some")
    content = (tmp_path / "data" / "some" / "sub-01.npz").resolve()
    content.chmod(0o644)
    content.write_bytes(b"1" * 4999 + b"2")
    said = unitdb("check", "some", code=1)
    assert "sub-01.npz: damaged" in said
    assert "1 files are whole, 1 damaged" in said
    unitdb("get", "some")
    assert "1 files of some are not here" in unitdb("drop", "some", "--file", "*02*")


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("get", ["some", "--subject", "sub-03"], "unknown subject 'sub-03'"),
        ("get", ["some", "--file", "sub-3*"], "no file fits"),
        ("get", ["sample"], "its responses are simulated"),
        ("get", ["digits69"], "has no files to download"),
        ("check", ["some"], "is not installed"),
        ("get", ["som"], "did you mean 'some'"),
    ],
)
def test_one_clear_error(unitdb, command, arguments, message):
    said = unitdb(command, *arguments, code=2)
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_a_file_that_is_not_there_any_more(unitdb, web):
    del web.files["two"]
    assert "answers 404" in unitdb("get", "some", code=2)
    assert "1 files are whole, 0 damaged, 1 not downloaded" in unitdb("check", "some")


def test_every_dataset_that_comes_with_unitdb_is_described():
    for name, path in dataset_specs([ROOT / "datasets"]).items():
        spec = read_spec(path, DatasetSpec, DatasetError)
        assert spec.name == name
        card = (path.parent / "README.md").read_text()
        assert card.startswith(f"# {name}\n")


def test_published_files_have_the_published_identifiers_and_checksums():
    table = ROOT.parent / "shared" / "reference" / "figshare_files.csv"
    if not table.exists():
        pytest.skip("the table of published files is not here")
    published = {
        int(row["figshare_file_id"]): row["md5"]
        for row in csv.DictReader(table.read_text().splitlines())
    }
    specs = [
        read_spec(path, DatasetSpec, DatasetError)
        for path in dataset_specs([ROOT / "datasets"]).values()
    ]
    ours = {
        file.figshare: file.md5 or ""
        for spec in specs
        if spec.files
        for file in spec.files.download
    }
    assert ours == published


def test_voxels_are_counted_without_the_pictures(unitdb, tmp_path):
    folder = tmp_path / "data" / "some"
    folder.mkdir(parents=True)
    for subject, n in (("sub-01", 3), ("sub-02", 1234)):
        np.savez(folder / f"{subject}.npz", x=np.ones((2, n)), ids=np.array(["a", "b"]))
    shown = unitdb("show", "some", "--voxels")
    assert "voxels  V1\nsub-01  3\nsub-02  1,234\n" in shown.replace("   \n", "\n")
    (folder / "sub-02.npz").unlink()
    assert "sub-02.npz" in unitdb("show", "some", "--voxels", code=2)
