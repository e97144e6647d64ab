"""Statistics in releases: each computed again from the accuracies, or by decoding anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats

import unitdb
from tests.analysis.test_controls import p_by_loop
from tests.pipeline.small import N_TEST, contents, edit, lay_out, run
from unitdb.activations import Activations
from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.errors import RecipeError, UnknownRoiError
from unitdb.measures import by_formula
from unitdb.responses import decoding_design, open_dataset, shuffle_images

KEYS = ["layer", "roi"]
N_CONTROLS = 10


def folded(recipe, controls=None):
    """Make the recipe a cross-validation."""
    spec = recipe.parent / "mine.yaml"
    edit(spec, "tests:\n    perception: {responses: x_test, stimulus_ids: ids_test}", "")
    edit(spec, "train: {responses", "cross-validation: {responses")
    edit(recipe, "alpha: 10}", "alpha: 10, folds: 7}")
    if controls:
        edit(
            recipe,
            "models: [{name: mynet}]",
            f"models: [{{name: mynet}}]\nsignificance: {controls}",
        )
    return recipe


@pytest.fixture(scope="module")
def controlled(tmp_path_factory):
    """The small release, cross-validated, with controls."""
    recipe = folded(lay_out(tmp_path_factory.mktemp("controlled")), f"{{controls: {N_CONTROLS}}}")
    return run(recipe)


def test_p_and_q_follow_from_the_accuracies(built):
    release = unitdb.open(built)
    accuracy = release.table("accuracy").astype({"layer": str, "roi": str, "subject": str})
    r = accuracy["r"].astype(float)
    z = scipy.stats.norm.isf(scipy.stats.t.sf(r * np.sqrt((N_TEST - 2) / (1 - r**2)), N_TEST - 2))
    over = accuracy.assign(z=z).dropna(subset="r").groupby([*KEYS, "unit"])["z"]
    over = over.agg(["sum", "count"]).reset_index("unit")
    assert (over["count"] == 3).all()
    pairs = release.table("intersubject").astype({"layer": str, "roi": str})
    alike = pairs.assign(rho=pairs["prediction_r"].clip(lower=0)).groupby(KEYS)["rho"].sum()
    scale = np.sqrt(over["count"] + 2 * alike.reindex(over.index))
    over["p"] = scipy.stats.norm.sf(over["sum"] / scale)
    expected = over.set_index("unit", append=True)["p"]
    found = release.table("unit_summary").set_index([*KEYS, "unit"])
    known = found["p"].dropna()
    assert len(known) == len(expected) == len(found) - 2  # a unit that answers the same to all
    np.testing.assert_allclose(known.sort_index(), expected.sort_index(), rtol=1e-5)
    for roi in ("V1", "IT"):
        family = known.xs(roi, level="roi")
        q = scipy.stats.false_discovery_control(family.astype(float))
        np.testing.assert_allclose(found["q"].xs(roi, level="roi").dropna(), q, rtol=1e-5)
    assert json.loads(release.table("builds")["significance"].item())["test"] == "t"


def test_predictions_of_people_correlate_as_when_decoded_again(built):
    pairs = unitdb.open(built).table("intersubject").set_index([*KEYS, "subject_a", "subject_b"])
    again = decoded_again(built.parents[2])
    for (*place, a, b), row in pairs.iterrows():
        p, q = (again[(*place, subject)][0] for subject in (a, b))
        varies = np.ptp(again[(*place, a)][2], axis=0) > 0
        units = [np.corrcoef(p[:, u], q[:, u])[0, 1] for u in np.flatnonzero(varies)]
        assert row["prediction_r"] == pytest.approx(np.mean(units), abs=2e-3)


def decoded_again(folder, *, control=None, seed=0):
    """True and predicted activations of a subject's images, layer by layer."""
    dataset = open_dataset(str(folder / "mine.yaml"), data=folder, cache=folder)
    found = {}
    for subject in dataset.spec.subjects:
        responses = dataset.responses(subject)
        n_folds = None if responses.has_test_sets else 7
        design = decoding_design(responses, n_folds=n_folds, seed=seed)
        if control is not None:
            design = shuffle_images(design, seed=[seed, 0, control])
        (store,) = [p for p in (folder / "releases" / ".cache").iterdir() if p.is_dir()]
        store = Activations.open(store)
        rows = store.rows(design.stimulus_ids.tolist())
        for roi, mask in responses.rois.items():
            decoder = RoiDecoder(
                design.values[:, mask], design.splits, DecoderSettings(n_voxels=10, alpha=10)
            )
            for layer in store.layers:
                y = store.block(layer, 0, store.n_units(layer))[rows]
                train = np.unique(np.concatenate([train for train, _ in design.splits]))
                found[layer, roi, subject] = (
                    decoder.predict(y),
                    y[decoder.test_rows],
                    y[train],
                    decoder.accuracy(y),
                )
    return found


def identification_by_loop(predicted, true, train):
    varies = np.ptp(train, axis=0) > 0
    mean, sd = train[:, varies].mean(axis=0), train[:, varies].std(axis=0, ddof=1)
    p, t = ((values[:, varies] - mean) / sd for values in (predicted, true))
    n = len(p)
    similar = np.array([[np.corrcoef(a, b)[0, 1] for b in t] for a in p])
    rates = [np.mean([similar[i, i] > similar[i, j] for j in range(n) if j != i]) for i in range(n)]
    return np.mean(rates), np.diagonal(similar).mean(), similar[~np.eye(n, dtype=bool)].mean()


def test_patterns_equal_a_loop_over_images(built):
    found = unitdb.open(built).table("layer_summary").set_index([*KEYS, "subject"])
    for key, (predicted, true, train, _) in decoded_again(built.parents[2]).items():
        row = found.loc[key]
        expected = identification_by_loop(predicted, true, train)
        columns = ["identification", "pattern_r", "pattern_chance"]
        np.testing.assert_allclose(row[columns].astype(float), expected, atol=2e-5)
        assert row["identification_low"] <= row["identification"] <= row["identification_high"]
        assert row["mean_low"] < row["mean_r"] < row["mean_high"]
        assert row["n_candidates"] == N_TEST
        assert row["identification_chance"] == 0.5


def test_controls_equal_decoding_shuffled_images_again(controlled):
    folder, release = controlled.parents[2], unitdb.open(controlled)
    true = decoded_again(folder)
    controls = [decoded_again(folder, control=1 + number) for number in range(N_CONTROLS)]
    units = release.table("unit_summary").sort_values([*KEYS, "unit"]).set_index(KEYS)
    layers = release.table("layer_summary").set_index([*KEYS, "subject"])
    pairs = release.table("intersubject").set_index([*KEYS, "subject_a", "subject_b"])
    subjects = ("sub-01", "sub-02", "sub-03")
    for layer, roi in {key[:2] for key in true}:
        null = np.stack(
            [[control[layer, roi, s][3] for s in subjects] for control in controls]
        ).astype(np.float32)
        r = np.stack([true[layer, roi, s][3] for s in subjects]).astype(np.float32)
        expected = p_by_loop(r.mean(axis=0, dtype=float), null.mean(axis=1, dtype=float))
        # Counted among M controls: one that rounding moves past another is one of them.
        np.testing.assert_allclose(units.loc[(layer, roi), "p"], expected, atol=2 / null[:, 0].size)
        for i, subject in enumerate(subjects):
            row = layers.loc[(layer, roi, subject)]
            assert row["chance_r"] == pytest.approx(np.nanmean(null[:, i]), abs=1e-5)
            assert 0.2 < row["identification_chance"] < 0.6
        complete = ~np.isnan(r).any(axis=0)
        alone = [
            np.corrcoef(null[k, 0, complete], null[(k + 1) % N_CONTROLS, 1, complete])[0, 1]
            for k in range(N_CONTROLS)
        ]
        pair = pairs.loc[(layer, roi, "sub-01", "sub-02")]
        assert pair["chance_r"] == pytest.approx(np.mean(alone), abs=1e-4)
        expected = (1 + sum(other >= pair["pearson_r"] for other in alone)) / (1 + N_CONTROLS)
        assert pair["p"] == pytest.approx(expected)
    stated = json.loads(release.table("builds")["significance"].item())
    assert (stated["test"], stated["n"]) == ("controls", N_CONTROLS)
    assert release.table("hierarchy")["p"].between(1 / (1 + N_CONTROLS), 1).any()


@pytest.mark.slow
def test_controls_are_the_same_on_workers_and_in_small_blocks(controlled, tmp_path, monkeypatch):
    recipe = folded(lay_out(tmp_path), f"{{controls: {N_CONTROLS}}}")
    assert contents(run(recipe, workers=1)) == contents(controlled)


def test_cross_validation_without_controls_has_no_p(recipe):
    release = unitdb.open(run(folded(recipe)))
    assert release.table("unit_summary")[["p", "q"]].isna().all(axis=None)
    empty = ["n_significant", "chance_r", "identification_chance"]
    assert release.table("layer_summary")[empty].isna().all(axis=None)
    assert release.table("layer_summary")["identification"].notna().all()
    assert release.table("builds")["significance"].isna().all()


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("significance: {controls: 2}", RecipeError, "significance.controls"),
        ("hierarchy: [V1, V9]", UnknownRoiError, "V9"),
        ("hierarchy: [V1]", RecipeError, "hierarchy"),
        ("hierarchy: [V1, V1]", RecipeError, "V1 stands twice"),
    ],
)
def test_what_a_recipe_cannot_ask_for(line, error, message, recipe):
    edit(recipe, "models: [{name: mynet}]", f"models: [{{name: mynet}}]\n{line}")
    with pytest.raises(error, match=message):
        run(recipe)


def test_the_hierarchy_follows_the_order_that_the_recipe_gives(recipe, built):
    edit(recipe, "models: [{name: mynet}]", "models: [{name: mynet}]\nhierarchy: [IT, V1]")
    found, other = (
        unitdb.open(path).table("hierarchy").set_index("method").loc["corrected"]
        for path in (run(recipe), built)
    )
    assert list(found["rois"]) == ["IT", "V1"]
    assert found["score"] == pytest.approx(-other["score"], abs=1e-12)
    assert found["n_units"] == 3 * 42


def test_few_of_the_units_called_significant_are_not():
    """Simulated accuracies: a third of the units are decoded, the others by chance."""
    rng = np.random.default_rng(4)
    n_images, n_units, shares = 50, 900, []
    for _ in range(100):
        truth = np.where(np.arange(n_units) < n_units // 3, 0.3, 0.0)
        y = rng.normal(size=(5, n_images, n_units))
        noise = rng.normal(size=y.shape)
        x = truth * y + np.sqrt(1 - truth**2) * noise
        x, y = (v - v.mean(axis=1, keepdims=True) for v in (x, y))
        r = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
        p = by_formula(r.astype(np.float32), n_images).p
        called = scipy.stats.false_discovery_control(p) < 0.05
        shares.append(called[n_units // 3 :].sum() / max(called.sum(), 1))
    assert 0.025 < np.mean(shares) <= 0.05
