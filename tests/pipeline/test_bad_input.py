"""Recipes, specs and files that are wrong: one clear error each, and nothing is written."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.small import edit, run
from unitdb.errors import (
    DatasetError,
    RecipeError,
    ResponsesError,
    StimulusMismatchError,
    UnitdbError,
    UnknownDatasetError,
    UnknownLayerError,
    UnknownModelError,
    UnknownRoiError,
)


def nan_responses(folder):
    arrays = dict(np.load(folder / "sub-02.npz"))
    arrays["x_train"][3, 4] = np.nan
    np.savez(folder / "sub-02.npz", **arrays)


def too_few_rows(folder):
    arrays = dict(np.load(folder / "sub-02.npz"))
    np.savez(folder / "sub-02.npz", **(arrays | {"x_train": arrays["x_train"][:-1]}))


def another_number_of_images(folder):
    arrays = dict(np.load(folder / "sub-02.npz"))
    arrays |= {"x_train": arrays["x_train"][:-1], "ids_train": arrays["ids_train"][:-1]}
    np.savez(folder / "sub-02.npz", **arrays)


def constant_responses(folder):
    arrays = dict(np.load(folder / "sub-02.npz"))
    np.savez(folder / "sub-02.npz", **(arrays | {"x_train": np.ones_like(arrays["x_train"])}))


def change(name, old, new):
    return lambda folder: edit(folder / name, old, new)


BAD = {
    "dataset": (
        change("recipe.yaml", "mine.yaml", "algonauts29"),
        UnknownDatasetError,
        "did you mean 'algonauts92'",
    ),
    "dataset file": (change("recipe.yaml", "mine.yaml", "my.yaml"), DatasetError, "no such file"),
    "model": (
        change("recipe.yaml", "models: [{name: mynet}]", "models: [{name: efficientnet-lite9}]"),
        UnknownModelError,
        "did you mean 'efficientnet-lite",
    ),
    "layer": (
        change("recipe.yaml", "{name: mynet}", "{name: mynet, layers: [cov]}"),
        UnknownLayerError,
        "did you mean 'conv'",
    ),
    "module": (
        change("recipe.yaml", 'conv: "1"', 'conv: "9"'),
        UnknownLayerError,
        "unknown layer '9'",
    ),
    "roi": (
        change("recipe.yaml", "decoder:", "rois: [v1]\ndecoder:"),
        UnknownRoiError,
        "did you mean 'V1'",
    ),
    "typo in a key": (
        change("recipe.yaml", "voxels: 10", "voxel: 10"),
        RecipeError,
        "unknown key 'decoder.voxel'; did you mean 'voxels'",
    ),
    "roi twice": (
        change("recipe.yaml", "decoder:", "rois: [V1, V1]\ndecoder:"),
        RecipeError,
        "rois: V1 stands twice",
    ),
    "key missing": (
        change("recipe.yaml", "version: 1.0.0\n", ""),
        RecipeError,
        "'version' is missing",
    ),
    "value": (change("recipe.yaml", "alpha: 10", "alpha: -1"), RecipeError, "decoder.alpha"),
    "version": (
        change("recipe.yaml", "1.0.0", "1.0"),
        RecipeError,
        r"version: write MAJOR\.MINOR\.PATCH.*\(got 1\.0\)",
    ),
    "folds with test sets": (
        change("recipe.yaml", "alpha: 10", "alpha: 10, folds: 5"),
        ResponsesError,
        "has test sets; leave out",
    ),
    "factory outside": (
        change("recipe.yaml", "net.py:make", "../net.py:make"),
        RecipeError,
        "stays inside its folder",
    ),
    "factory": (change("net.py", "def make", "def produce"), UnitdbError, "make"),
    "NaN": (nan_responses, ResponsesError, "mine/sub-02: 1 responses are NaN"),
    "rows": (too_few_rows, DatasetError, "'ids_train' holds 14 ids for 13 rows of 'x_train'"),
    "images": (another_number_of_images, ResponsesError, "numbers of rows.*leave the same samples"),
    "constant voxels": (constant_responses, ResponsesError, "mine/sub-02/IT: none of the 18"),
    "stimulus ids": (
        lambda folder: (folder / "pictures" / "picture-03.png").unlink(),
        StimulusMismatchError,
        "1 stimulus ids of the responses are not among the 21 stimuli: picture-03",
    ),
    "picture": (
        lambda folder: (folder / "pictures" / "picture-03.png").write_bytes(b"no"),
        DatasetError,
        "picture-03.png: cannot be read",
    ),
    "data folder": (
        lambda folder: (folder / "sub-03.npz").unlink(),
        DatasetError,
        "sub-03.npz: no such file",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_nothing_is_written(case, recipe):
    damage, error, message = BAD[case]
    damage(recipe.parent)
    with pytest.raises(error, match=message):
        run(recipe)
    root = recipe.parent / "releases"
    assert not (root / "small").exists()
    assert not (root / "releases.json").exists()
