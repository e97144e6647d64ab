"""Hidden files, such as the ``._*`` of macOS and what ``.git`` holds, are in no listing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from unitdb.activations.arrayfiles import read_arrays
from unitdb.activations.features import FeatureModel, load_features
from unitdb.activations.identity import source_sha256
from unitdb.errors import ActivationsError, DatasetError
from unitdb.files import visible
from unitdb.nn.exciting import _pictures
from unitdb.responses import dataset_specs
from unitdb.responses.stimuli import folder_stimuli
from unitdb.responses.stimuli_spec import FolderStimuli

JUNK = b"\0\5\26\7\0\2\0\0Mac OS X        "


def hide(folder, *names):
    """Lay ``._`` files beside files, as macOS does, and a ``.git`` of pictures."""
    for name in names:
        (folder / f"._{name}").write_bytes(JUNK)
    below = folder / ".git" / "annex" / "objects"
    below.mkdir(parents=True)
    for name in names:
        (below / name).write_bytes(JUNK)


def features(folder, **how):
    model = {"name": "m", "title": "t", "licence": "l", "source": "s", "citation": "c"}
    model |= {"features": {"folders": ["f"], **how}, "layers": {"conv": "conv"}}
    return load_features(FeatureModel.model_validate(model), folder=folder)


@pytest.mark.robust(
    "datasets",
    given="`._a.png` beside a.png, `.git/annex/…/a.png` (pictures, features, arrays, datasets)",
    before="`._a` was a stimulus, or a file of features or arrays: an error, or one too many; "
    "pictures of `.git` were among the most exciting",
    now="hidden files and folders are passed over in every listing",
)
@pytest.mark.parametrize(
    "listed", ["pictures", "exciting", "npy", "arrays", "datasets", "sources", "zarr"]
)
def test_hidden_files_are_passed_over(tmp_path, monkeypatch, listed):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "f"
    folder.mkdir()
    if listed in ("pictures", "exciting"):
        Image.new("RGB", (4, 4)).save(folder / "a.png")
        hide(folder, "a.png")
        stimuli = folder_stimuli(FolderStimuli(kind="folder", folder="f", ending=".png"), tmp_path)
        found = list(stimuli.ids) if listed == "pictures" else [n[:-4] for n in _pictures(folder)]
    elif listed == "npy":
        (folder / "conv").mkdir()
        np.save(folder / "conv" / "a.npy", np.zeros(3))
        hide(folder / "conv", "a.npy")
        found = list(features(tmp_path, format="npy").tables["conv"].ids)
    elif listed == "arrays":
        np.save(folder / "a.npy", np.zeros(3))
        hide(folder, "a.npy", "t.parquet")
        with pytest.raises(DatasetError, match=r"there are: a$"):
            read_arrays(folder, ["b"], error=DatasetError)
        found = list(read_arrays(folder, ["a"], error=DatasetError))
    elif listed == "datasets":
        for name in ("a", ".git"):
            (folder / name).mkdir()
            (folder / name / "dataset.yaml").touch()
        found = sorted(set(dataset_specs([folder])) - set(dataset_specs()))
    elif listed == "sources":
        (folder / "a.py").write_text("x = 1\n")
        before = source_sha256(folder)
        hide(folder, "a.py")
        source_sha256.cache_clear()
        found = ["a"] if source_sha256(folder) == before else []
    else:
        zarr = pytest.importorskip("zarr")
        zarr.save_array(str(folder / "conv.zarr"), np.ones((1, 3)))
        (folder / "stimuli.txt").write_text("a\n")
        before = features(tmp_path, format="zarr").weights_sha256
        (folder / "conv.zarr" / "._0").write_bytes(JUNK)
        found = ["a"] if features(tmp_path, format="zarr").weights_sha256 == before else []
    assert found == ["a"]


def test_layers_that_are_hidden_are_not_named(tmp_path):
    (tmp_path / "f" / ".git").mkdir(parents=True)
    with pytest.raises(ActivationsError, match=r"there are: none$"):
        features(tmp_path, format="npy")


def test_a_folder_below_a_hidden_one_is_listed(tmp_path):
    folder = tmp_path / ".data" / "f"
    folder.mkdir(parents=True)
    (folder / "a").touch()
    assert visible(folder.glob("*"), below=folder) == [folder / "a"]
    shutil.rmtree(folder)
