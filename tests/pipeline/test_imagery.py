"""Imagery, a test set of god: trained on what was seen, tested on categories that were imagined."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bdpy import BData

import unitdb
from tests.decoding.reference import reference_accuracy
from unitdb.pipeline import build, plan
from unitdb.verification import verify

DATASETS = Path(__file__).parents[2] / "datasets"
ROIS = ("V1", "V2", "V3", "V4", "LOC", "FFA", "PPA", "LVC", "HVC", "VC")
N_VOXELS, N_UNITS, N_TIMES = 30, 5, 10
CATEGORIES = [1443537, 1621127, 1677366, 1846331]
PICTURES = [round(1518878 + n + 0.005958 + n * 1e-6, 6) for n in range(12)]
RECIPE = """
name: imagery
version: 1.0.0
title: Imagery
description: d
licence: CC0-1.0
citation: none
"""


def write_features(path: Path, others: Sequence[int] = ()) -> None:
    """The publisher's features: pictures shown for training, for testing, and categories."""
    rng = np.random.default_rng(0)
    n = len(others)
    kinds = [1] * 12 + [2] * 4 + [3] * 4 + [4] * n
    pictures = [*PICTURES, *(c + 0.000001 for c in CATEGORIES), *([np.nan] * (4 + n))]
    features = BData()
    features.add(np.array(kinds, float)[:, None], "FeatureType")
    features.add(np.floor([*pictures[:16], *CATEGORIES, *others])[:, None], "CatID")
    features.add(np.array(pictures)[:, None], "ImageID")
    for layer in range(1, 9):
        features.add(rng.normal(size=(20 + n, N_UNITS)), f"cnn{layer}")
    features.save(str(path))


def write_responses(path: Path) -> None:
    rng = np.random.default_rng(1)
    imagined = np.repeat(CATEGORIES, N_TIMES).astype(float)
    shown = np.concatenate([PICTURES, np.array(CATEGORIES) + 0.000001, imagined])
    kinds = np.array([1.0] * 12 + [2.0] * 4 + [3.0] * len(imagined))
    responses = BData()
    responses.add(rng.normal(size=(len(kinds), N_VOXELS)), "VoxelData")
    responses.add(kinds[:, None], "DataType")
    responses.add(shown[:, None], "stimulus_id")
    for roi in ROIS:
        responses.add_metadata(f"ROI_{roi}", np.ones(N_VOXELS), roi, where="VoxelData")
    responses.save(str(path))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The card of god, followed with made-up files of one subject."""
    folder = tmp_path_factory.mktemp("imagery")
    (folder / "god").mkdir()
    write_features(folder / "god" / "ImageFeatures.h5")
    write_responses(folder / "god" / "sub-01.h5")
    card = (DATASETS / "god" / "README.md").read_text()
    script, recipe = (
        re.search(f"```{kind}\n(.*?)```", card, re.DOTALL) for kind in ("python", "yaml")
    )
    subprocess.run([sys.executable, "-W", "error", "-c", script[1]], cwd=folder, check=True)
    dataset = (DATASETS / "god" / "dataset.yaml").read_text()
    stimuli = "stimuli: {kind: names, file: god-features/stimuli.txt}\nresponses:"
    for old, new in (
        (r"subjects: .*", "subjects: [sub-01]"),
        (r"(?s)stimuli:.*?\nresponses:", stimuli),
    ):
        dataset, n = re.subn(old, new, dataset)
        assert n == 1
    (folder / "god.yaml").write_text(dataset)
    text = recipe[1].replace(
        "voxels: {default: 500, LVC: 1000, HVC: 1000, VC: 1000}", "voxels: 500"
    )
    recipe = RECIPE + text.replace("[god.yaml]", "[god.yaml]\nrois: [V1]")
    (folder / "recipe.yaml").write_text(recipe)
    return folder


def test_a_category_is_decoded_from_what_was_imagined(lab):
    release = unitdb.open(build(lab / "recipe.yaml", releases=lab / "releases", data=lab))
    found = release.sql(
        "SELECT * FROM accuracy WHERE layer = 'cnn3' AND condition = 'imagery' ORDER BY unit"
    )
    assert release.values("condition") == ["imagery", "perception"]
    assert release.table("subjects")[["n_train", "n_test"]].to_numpy().tolist() == [[12, 8]]

    features = BData(str(lab / "god" / "ImageFeatures.h5"))
    kind = features.select("FeatureType").ravel()
    y = features.select("cnn3")[kind != 2].astype("float32").astype(float)
    responses = BData(str(lab / "god" / "sub-01.h5"))
    voxels, data_type = responses.select("ROI_V1"), responses.select("DataType").ravel()
    imagined = voxels[data_type == 3].reshape(len(CATEGORIES), N_TIMES, -1).mean(axis=1)
    x = np.concatenate([voxels[data_type == 1], imagined])
    splits = [(np.arange(12), np.arange(12, 16))]
    expected = reference_accuracy(x, y, splits, n_voxels=500, alpha=100)
    np.testing.assert_allclose(found["r"], expected, atol=1e-5)


@pytest.fixture(scope="module")
def five(tmp_path_factory):
    """A made-up tree of all files that pipelines/god.yaml reads."""
    folder = tmp_path_factory.mktemp("god")
    (folder / "god").mkdir()
    # The category of a training picture among the others, and 30 that nobody saw.
    write_features(folder / "god" / "ImageFeatures.h5", [1518878, *range(9_000_001, 9_000_031)])
    for number in range(1, 6):
        write_responses(folder / "god" / f"sub-{number:02d}.h5")
    card = (DATASETS / "god" / "README.md").read_text()
    script = re.search("```python\n(.*?)```", card, re.DOTALL)
    subprocess.run([sys.executable, "-W", "error", "-c", script[1]], cwd=folder, check=True)
    return folder


def test_the_recipe_of_god_is_planned(five):
    recipe = DATASETS.parent / "pipelines" / "god.yaml"
    (found,) = plan(recipe, releases=five / "releases", data=five)
    assert (found.n_layers, found.n_units, found.n_subjects, found.n_rois) == (8, 40, 5, 10)
    assert found.conditions == ("perception", "imagery", "imagery-trials")


@pytest.mark.slow
def test_what_was_seen_and_imagined_is_identified_among_categories(five):
    recipe = (DATASETS.parent / "pipelines" / "god.yaml").read_text()
    recipe = recipe.replace("voxels: {default: 500, LVC: 1000, HVC: 1000, VC: 1000}", "voxels: 500")
    (five / "recipe.yaml").write_text(f"{recipe}rois: [V1]\n")
    release = unitdb.open(build(five / "recipe.yaml", releases=five / "releases", data=five))
    rows = release.sql("SELECT * FROM identification WHERE set = 'categories'")
    assert set(rows["n_false"]) == {4 + 31 - 1}
    assert set(rows["n_false_trained"]) == {1}  # that of the training pictures
    categories = {f"n{number:08d}" for number in CATEGORIES}
    for condition in ("perception", "imagery", "imagery-trials"):
        of = rows[rows["condition"] == condition]
        assert set(of["target"]) == categories
        assert (of["stimulus"].str.partition("_")[0] == of["target"]).all()
        assert set(of["subject"]) == {"*", *(f"sub-{number:02d}" for number in range(1, 6))}
    single = rows[rows["trial"] > 0]
    assert set(single["condition"]) == {"imagery-trials"}
    assert set(single["trial"]) == set(range(1, N_TIMES + 1))
    roles = release.sql("SELECT role, count(*) AS n FROM candidates GROUP BY ALL")
    sets = release.table("candidate_sets")
    assert sorted(sets["n_candidates"]) == [4, 4, 4, 35, 35, 35]
    assert dict(roles.itertuples(index=False)) == {"target": 24, "trained": 3, "other": 90}
    pictures = release.sql("SELECT DISTINCT n_pictures FROM candidates WHERE set = 'categories'")
    assert pictures["n_pictures"].isna().all()  # the file does not say
    verify(release.path)
