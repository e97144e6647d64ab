"""Fifteen real people: what an independent computation found is found here too."""

from __future__ import annotations

import re
import resource
import subprocess
import sys

import numpy as np
import pytest

import unitdb
from tests.acceptance.conftest import ROOT, derived, succeed, unitdb_command
from unitdb.activations import Activations
from unitdb.activations.efficientnet import efficientnet_lite

pytestmark = pytest.mark.slow

LAYERS = ["stem", "block7", "block14", "fc"]

# Mean unit r and inter-subject correlation of an independent computation on the same data (500
# random units a layer; unit choice and folds move the cells by about .02 and .04).
INDEPENDENT = {
    "stem": {"EVC": (0.07, 0.47), "IT": (0.06, 0.44)},
    "block7": {"EVC": (0.086, 0.485), "IT": (0.088, 0.43)},
    "block14": {"EVC": (0.065, 0.38), "IT": (0.155, 0.495)},
    "fc": {"EVC": (0.02, 0.25), "IT": (0.155, 0.545)},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("algonauts92")


def built(folder, realdata, **changes):
    recipe = derived(
        "algonauts92",
        folder,
        models="[{name: efficientnet-lite0, layers: [stem, block7, block14, fc]}]",
        units="{sample: 1000, seed: 0}",
        **changes,
    )
    succeed("--releases", folder, "build", recipe, "--data", realdata)
    return unitdb.open(changes.get("name", "algonauts92"), releases=folder)


@pytest.fixture(scope="module")
def release(folder, realdata):
    return built(folder, realdata)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("roi", ["EVC", "IT"])
def test_agrees_with_the_independent_computation(release, layer, roi):
    accuracy, agreement = INDEPENDENT[layer][roi]
    assert release.layer_by_roi("accuracy").loc[layer, roi] == pytest.approx(accuracy, abs=0.025)
    assert release.layer_by_roi("agreement").loc[layer, roi] == pytest.approx(agreement, abs=0.06)


def test_subjects_agree_on_the_units_of_block14_in_it(release):
    assert release.layer_by_roi("agreement").loc["block14", "IT"] > 0.40


def test_early_layers_are_better_from_evc_and_late_layers_from_it(release):
    by_subject = release.table("layer_summary").astype({"layer": str, "roi": str})
    wide = by_subject.pivot_table(index=["layer", "subject"], columns="roi", values="mean_r")
    difference = (wide["EVC"] - wide["IT"]).unstack("layer")
    assert difference["stem"].mean() > 0
    for layer in ("block14", "fc"):
        assert difference[layer].mean() < -0.05
        assert (difference[layer] < 0).sum() >= 13


def test_shuffled_images_destroy_the_agreement(folder, realdata, release):
    null = built(folder, realdata, name="algonauts92-shuffled", control="shuffled-images")
    agreement = null.layer_by_roi("agreement")
    assert abs(agreement.loc["block14", "IT"]) < 0.05
    assert np.abs(agreement.to_numpy()).max() < 0.05
    # Pooled held-out means make chance slightly negative in cross-validation.
    assert -0.06 < null.layer_by_roi("accuracy").to_numpy().mean() < 0
    assert null.layer_by_roi("accuracy").to_numpy().max() < 0


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("{voxels: 50, zscore: false, folds: 23}", "does not allow voxel selection"),
        ("{voxels: all, zscore: true, folds: 23}", "does not allow z-scoring"),
    ],
)
def test_what_a_rotation_of_voxels_does_not_survive_is_refused(
    decoder, message, realdata, tmp_path
):
    recipe = derived("algonauts92", tmp_path, decoder=decoder)
    done = unitdb_command("--releases", tmp_path / "r", "build", recipe, "--data", realdata)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert message in line
    assert "its voxels are virtual" in line
    assert not (tmp_path / "r").exists()


@pytest.mark.whole
def test_all_units_of_all_layers_in_bounded_memory(realdata, tmp_path):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    command = [sys.executable, "-c", "from unitdb.cli import main; main()"]
    recipe = ROOT / "pipelines" / "algonauts92.yaml"
    options = ["--releases", tmp_path, "build", recipe, "--data", realdata]
    subprocess.run([*command, *map(str, options)], check=True, cwd=ROOT)
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    release = unitdb.open("algonauts92", releases=tmp_path)
    layers = release.table("layers")
    assert len(layers) == 19
    counts = release.sql("SELECT count(*) AS n, count(r) AS defined FROM accuracy")
    assert counts["n"].item() == layers["n_units"].sum() * 15 * 2
    assert counts["n"].item() > 30_000_000
    # The photographs have plain borders: units that see nothing else answer the same to all, and
    # some filters answer to nothing but by rounding.
    (store,) = [Activations.open(p) for p in (tmp_path / ".cache").iterdir() if p.is_dir()]
    best = release.sql(
        "SELECT layer, unit FROM unit_summary QUALIFY row_number() OVER "
        "(PARTITION BY roi, layer ORDER BY mean_r DESC NULLS LAST, unit) <= 100"
    )
    constant = 0
    for name in store.layers:
        y = store.block(name, 0, store.n_units(name))
        constant += int((np.ptp(y, axis=0) <= 2**-16 * np.abs(y).max(axis=0)).sum())
        chosen = y[:, best.loc[best["layer"] == name, "unit"].unique()]
        assert min(len(np.unique(unit)) for unit in chosen.T) >= 10
    assert counts["n"].item() - counts["defined"].item() == constant * 15 * 2
    assert constant > 30_000
    assert release.layer_by_roi("agreement").loc["block14", "IT"] > 0.40
    assert peak < 4 * 2**20  # KiB


def _parted(page):
    """A text without its numbers, and these."""
    pattern = r"(?<![\w.])[-−]?(?:\d[\d,]*)?\.?\d+"
    found = [match.replace(",", "").replace("−", "-") for match in re.findall(pattern, page)]
    return " ".join(re.sub(pattern, "#", page).split()), [float(number) for number in found]


@pytest.mark.whole
def test_the_page_of_results_is_what_is_found(realdata, tmp_path):
    recipes = ("algonauts92-hierarchy", "algonauts92-hierarchy-shuffled")
    for name in recipes:
        recipe = ROOT / "pipelines" / f"{name}.yaml"
        succeed("--releases", tmp_path, "build", recipe, "--data", realdata)
    folders = [str(tmp_path / name / "1.0.0") for name in recipes]
    command = [sys.executable, ROOT / "docs" / "results.py", *folders]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    text, numbers = _parted(printed)
    whole = (ROOT / "docs" / "results.md").read_text()
    page, stated = _parted(whole.partition("\n## Time course")[0])
    assert text == page
    # Another kind of processor rounds otherwise, which may decide about single units.
    assert numbers == pytest.approx(stated, abs=3e-3, rel=5e-3)
    scores = unitdb.open(recipes[0], releases=tmp_path).table("hierarchy")
    assert (scores["score_low"] > 0).all()
    assert (scores["p"] < 0.05).all()
    null = unitdb.open(recipes[1], releases=tmp_path).table("unit_summary", ["p", "q"])
    assert 0.03 < (null["p"] < 0.05).mean() < 0.06
    assert (null["q"] < 0.05).mean() < 0.001


def test_a_score_by_name_and_of_a_live_module_gives_the_numbers_of_the_release(folder, realdata):
    layers = {"stem": "_bn0", "block14": "_blocks.14", "fc": "_fc"}
    recipe = derived(
        "algonauts92",
        folder,
        name="algonauts92-few",
        models="[{name: efficientnet-lite0, layers: [stem, block14, fc]}]",
        units="{sample: 20, seed: 0}",
    )
    succeed("--releases", folder, "build", recipe, "--data", realdata)
    whole = unitdb.open("algonauts92-few", releases=folder)
    asked = {"units": 20, "data": realdata, "releases": folder}
    by_name = unitdb.score("efficientnet-lite0", layers=list(layers), **asked)
    network = efficientnet_lite(0)
    live = unitdb.score(network, layers=layers, preprocessing="efficientnet-lite0", **asked)
    assert not by_name.simulated
    for layer in layers:
        for roi in ("EVC", "IT"):
            r, named, given = (
                found.accuracies(found.values("model")[0], layer, roi)
                for found in (whole, by_name.release, live.release)
            )
            assert named.equals(r)
            assert given.equals(r)
    assert (by_name.value, by_name.interval) == (live.value, live.interval)
    assert "EVC" in by_name.caveat
