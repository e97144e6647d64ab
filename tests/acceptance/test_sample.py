"""The embedded sample: its known truth is recovered, and shuffled stimuli destroy it."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import spearmanr

import unitdb
from tests.acceptance.conftest import README, ROOT, START, derived, stored_activations, succeed
from tests.decoding.reference import reference_accuracy
from tests.metadata import check_citation, check_croissant, check_data_package
from tests.pipeline.small import contents
from unitdb.responses import decoding_design, open_dataset, simulated_truth

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def release(sample):
    return unitdb.open(sample)


@pytest.fixture(scope="module")
def dataset(sample):
    return open_dataset("sample", data=None, cache=sample.parents[1] / ".cache")


@pytest.fixture(scope="module")
def truth(dataset):
    spec = dataset.spec.responses
    return simulated_truth(spec, dict.fromkeys(spec.layers, spec.units))


def test_the_demo_prints_units_matrices_and_that_it_is_simulated(demo, release):
    assert demo.startswith("SIMULATED")
    best = release.units().top(10).to_pandas()
    for unit_id, mean_r in zip(best["unit_id"], best["mean_r"], strict=True):
        (line,) = [
            line
            for line in demo.splitlines()
            if line.startswith(unit_id + " ") and f"{mean_r:.4g}" in line
        ]
        assert line.endswith("5")
    for measure in ("accuracy", "agreement"):
        matrix = release.layer_by_roi(measure)
        assert list(matrix.columns) == ["V1", "V2", "V3", "V4", "LOC", "FFA", "PPA", "HVC"]
        for layer, row in matrix.iterrows():
            cells = [f"{value:.2f}" for value in row]
            assert any(line.split() == [layer, *cells] for line in demo.splitlines())


def test_the_hierarchy_of_layers_and_rois_is_recovered(release, truth):
    accuracy = release.layer_by_roi("accuracy")
    for roi, preference in truth.preference.items():
        assert spearmanr(accuracy[roi], preference).statistic > 0.6, roi
    depth = np.arange(len(accuracy))
    weights = accuracy.clip(lower=0)
    found = (weights.mul(depth, axis=0).sum() / weights.sum()).to_numpy()
    expected = [preference @ depth for preference in truth.preference.values()]
    assert spearmanr(found, expected).statistic > 0.9


def test_the_truly_visible_units_rank_high_in_the_roi_that_computes_them(release, truth):
    found = {}
    for place, (layer, visibility) in enumerate(truth.visibility.items()):
        roi = max(truth.preference, key=lambda roi, place=place: truth.preference[roi][place])
        units = release.sql(
            "SELECT mean_r FROM unit_summary WHERE layer = ? AND roi = ? ORDER BY unit",
            [layer, roi],
        )
        defined = units["mean_r"].notna().to_numpy()
        found[layer] = spearmanr(units["mean_r"][defined], visibility[defined]).statistic
    assert min(found.values()) > 0.25, found
    assert np.mean(list(found.values())) > 0.45, found


def test_layers_follow_the_hierarchy_of_the_simulated_brain(release):
    scores = release.table("hierarchy").set_index(["kind", "method"])
    assert len(scores) == 6  # of units, of voxels, and the average; as published, and corrected
    assert {tuple(rois) for rois in scores["rois"]} == {("V1", "V2", "V3", "V4", "HVC")}
    assert (scores["score_low"] > 0.5).all()
    for kind in ("decoding", "encoding"):
        counts = release.table("best_roi").query("method == 'corrected'")
        counts = counts[counts["kind"] == kind]
        counts = counts.pivot_table(index="layer", columns="roi", values="n_units", observed=True)
        assert counts.loc["stem"].idxmax() == "V1"
        assert counts["V1"].idxmax() == "stem"
        assert counts.loc["fc"].idxmax() == "HVC"


def test_presentations_agree_where_a_unit_is_decoded_and_the_best_units_recur(release, truth):
    found = release.sql(
        "SELECT layer, roi, corr(r, reliability) AS agree, avg(reliability) AS mean, "
        "avg(explainable_r) FILTER (r > 0.3) / avg(r) FILTER (r > 0.3) AS gain, "
        "avg(above_ceiling::INT) AS above FROM explainable GROUP BY ALL"
    )
    assert found["mean"].between(0.5, 0.95).all()
    assert found["gain"].dropna().between(1.0, 1.5).all()
    assert (found["above"] < 0.05).all()
    preferred = {
        layer: max(truth.preference, key=lambda roi, place=place: truth.preference[roi][place])
        for place, layer in enumerate(truth.visibility)
    }
    for row in found.itertuples():
        if preferred[row.layer] == row.roi:
            assert row.agree > 0.3, row
    recurrence = release.table("recurrence")
    assert (recurrence["n_shared"] > 3 * recurrence["n_expected"]).all()
    means = recurrence.groupby("among", observed=True)["n_shared"].mean()
    assert means["halves"] > means["others"] > means["subject"]
    assert release.table("layer_reliability")["reliability"].between(0.5, 1).all()


def test_most_units_are_significant_where_they_are_computed(release):
    units = release.table("unit_summary", ["p", "q", "mean_r", "min_r"])
    assert (units["p"].isna() == units["mean_r"].isna()).all()
    assert (units["q"] < 0.05).mean() > 0.3
    assert units["min_r"][units["q"] < 0.05].notna().all()
    layers = release.table("layer_summary")
    assert (layers["identification"] > layers["identification_chance"]).mean() > 0.9
    assert (layers["mean_low"] < layers["mean_r"]).all()


def test_subjects_agree_about_as_much_as_published(release, truth):
    agreement = release.layer_by_roi("agreement")
    preference = np.stack(list(truth.preference.values()), axis=1)
    preferred = [
        agreement.iloc[layer][list(truth.preference)[roi]]
        for layer, roi in enumerate(preference.argmax(axis=1))
    ]
    assert 0.6 < np.mean(preferred) < 0.8


def test_shuffled_stimuli_destroy_accuracy_and_agreement(sample, release, tmp_path):
    recipe = derived(
        "sample",
        tmp_path,
        name="sample-shuffled",
        control="shuffled-images",
        rois="[V1, HVC]",
        hierarchy="[V1, HVC]",
        units="{sample: 40, seed: 2019}",
    )
    root = sample.parents[1]
    succeed("--releases", tmp_path, "build", recipe, "--cache", root / ".cache")
    shuffled = unitdb.open("sample-shuffled", releases=tmp_path)
    assert "control" in shuffled.title
    assert shuffled.simulated
    for measure, limit in (("accuracy", 0.03), ("agreement", 0.15)):
        true = release.layer_by_roi(measure)[["V1", "HVC"]]
        null = shuffled.layer_by_roi(measure)
        assert true.to_numpy().max() > 3 * limit
        assert np.abs(null.to_numpy()).max() < limit
        assert abs(null.to_numpy().mean()) < limit / 3


@pytest.mark.parametrize("roi", ["V1", "FFA"])
def test_accuracies_equal_the_reference_unit_by_unit(roi, sample, release, dataset):
    """V1 has voxels to select among; FFA keeps all."""
    responses = dataset.responses("sub-02", tests=["perception"])
    design = decoding_design(responses, n_folds=None, seed=0)
    x = design.values[:, responses.rois[roi]].astype(float)
    assert (x.shape[1] > 500) == (roi == "V1")
    store = stored_activations(sample.parents[1])
    rows = store.rows(design.stimulus_ids.tolist())
    for layer in ("block3", "block12", "fc"):
        places = [3, 77, 150]
        units = store.units(layer)[places]
        y = store.block(layer, 0, store.n_units(layer))[rows][:, places].astype(float)
        expected = reference_accuracy(x, y, design.splits, n_voxels=500, alpha=100)
        found = release.sql(
            "SELECT r FROM accuracy WHERE layer = ? AND roi = ? AND subject = 'sub-02' "
            "AND unit IN (SELECT unnest(?)) ORDER BY unit",
            [layer, roi, units.tolist()],
        )
        np.testing.assert_allclose(found["r"], expected, atol=1e-6)


def test_the_release_is_sound_and_says_everywhere_that_it_is_simulated(sample):
    path, root = sample, sample.parents[1]
    assert "is sound" in succeed("verify", path)
    assert "SIMULATED" in succeed("--releases", root, "releases")
    assert "SIMULATED" in succeed("describe", path)
    assert "SIMULATED" in succeed("datasets", "list")
    assert "# simulated: true" in succeed("units", path, "--top", 3, "--format", "csv")
    for name in ("README.md", "CITATION.cff", "datapackage.json", "croissant.json"):
        assert "simulated" in (path / name).read_text().lower(), name
    assert "simulated" in (path / "dataset_description.json").read_text().lower()


@pytest.mark.parametrize("check", [check_citation, check_croissant, check_data_package])
def test_metadata_are_what_other_programs_read(sample, check):
    check(sample)


def test_the_python_of_the_first_page(sample, tmp_path):
    (code,) = re.findall(r"## In Python\n\n```python\n(.*?)```", START, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"UNITDB_RELEASES": str(sample.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout
    assert "efficientnet-lite0/" in done.stdout
    assert (tmp_path / "v4.csv").read_text().startswith("# release: sample@1.0.0\n")


def test_the_python_of_the_readme_prints_what_stands_there(sample, tmp_path):
    ((code, printed),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 8
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"UNITDB_RELEASES": str(sample.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.splitlines()] == printed.splitlines()
    assert (tmp_path / "v4.csv").read_text().startswith("# release: sample@1.0.0\n")


def test_the_commands_of_the_first_page(sample, tmp_path):
    (commands,) = re.findall(r"## On the command line\n\n```\n(.*?)```", START, re.DOTALL)
    lines = [line for line in commands.splitlines() if not line.startswith("unitdb app")]
    assert len(lines) == 8
    unitdb = f'"{sys.executable}" -c "from unitdb.cli import main; main()" "$@"'
    script = f"set -e\nunitdb() {{ {unitdb}; }}\n"
    done = subprocess.run(
        ["bash", "-c", script + "\n".join(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"UNITDB_RELEASES": str(sample.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert "sample@1.0.0 is sound" in done.stdout or "sample 1.0.0 is sound" in done.stdout
    assert (tmp_path / "v4.csv").exists()
    assert (tmp_path / "sample.duckdb").exists()


def test_a_build_from_nothing_gives_the_same_bytes(sample, tmp_path):
    succeed("--releases", tmp_path, "demo")
    assert contents(tmp_path / "sample" / "1.0.0") == contents(sample)


def test_a_second_demo_finds_the_release_and_computes_nothing(sample, demo):
    before = {file: file.stat().st_mtime_ns for file in sample.rglob("*")}
    assert succeed("--releases", sample.parents[1], "demo") == demo
    assert {file: file.stat().st_mtime_ns for file in sample.rglob("*")} == before


def test_the_hierarchy_of_the_simulated_brain_is_found_by_both_methods(sample):
    """As docs/methods.md prints it."""
    command = [sys.executable, ROOT / "docs" / "hierarchy.py", sample]
    regions = ["V1", "V2", "V3", "V4", "HVC"]
    done = subprocess.run([*command, *regions], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(
        "SIMULATED sample@1.0.0: V1, V2, V3, V4, HVC; 60 test pictures; all"
    )
    pattern = r"(nonaka2021|corrected) +(\S+) \[(\S+), (\S+)\]"
    found = re.findall(pattern, done.stdout)
    assert [method for method, *_ in found] == ["nonaka2021", "corrected"]
    documented = (ROOT / "docs" / "methods.md").read_text().split("SIMULATED sample@1.0.0: ")[1]
    for line, printed in zip(found, re.findall(pattern, documented), strict=False):
        score, low, high = map(float, line[1:])
        assert 0 < low < score < high < 1
        # Another processor may round a convolution differently.
        assert list(map(float, printed[1:])) == pytest.approx([score, low, high], abs=0.003)
