"""Reliability, what recurs, and voxels: each table computed again by a slow way."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

import unitdb
from tests.pipeline.small import N_TEST, SUBJECTS, contents, edit, lay_out, run
from tests.rarely import rarely
from unitdb.activations import Activations
from unitdb.analysis import (
    average_bh_score,
    bh_score,
    channel_blocks,
    encoding_bh_score,
    repeat_reliability,
    subject_reliability,
    subject_reliability_interval,
    top_units,
)
from unitdb.decoding import DecoderSettings, RoiDecoder, encoding_accuracies
from unitdb.errors import RecipeError, ResponsesError, TransformationError
from unitdb.measures import HierarchyTables, RecurrenceTable
from unitdb.pipeline import build
from unitdb.responses import decoding_design, open_dataset, shuffle_images
from unitdb.tables import Scope

ROIS = ["V1", "IT"]  # in the order of the dataset
LAYERS = ["conv", "scores"]
SETTINGS = DecoderSettings(n_voxels=10, alpha=10)
ASKED = "reliability: {divisions: 9}\nencoding: {units: 20}\ndecoder: {"
N_CONTROLS = 10


def asking(recipe):
    edit(recipe, "decoder: {", ASKED)
    return recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The small release with reliability and encoding."""
    return run(asking(lay_out(tmp_path_factory.mktemp("whole"))))


@pytest.fixture(scope="module")
def controlled(tmp_path_factory):
    """The same, with controls."""
    recipe = asking(lay_out(tmp_path_factory.mktemp("controlled")))
    edit(recipe, "decoder: {", f"significance: {{controls: {N_CONTROLS}}}\ndecoder: {{")
    return run(recipe)


def read(release, *, control=None, repeats=True):
    """Design, masks, and activations by layer of each subject."""
    folder = release.parents[2]
    dataset = open_dataset(str(folder / "mine.yaml"), data=folder, cache=folder)
    (store,) = [p for p in (folder / "releases" / ".cache").iterdir() if p.is_dir()]
    store = Activations.open(store)
    for subject in SUBJECTS:
        responses = dataset.responses(subject)
        n_folds = None if responses.has_test_sets else 7
        design = decoding_design(responses, n_folds=n_folds, seed=0, repeats=repeats)
        if control is not None:
            design = shuffle_images(design, seed=[0, 0, control])
        rows = store.rows(design.stimulus_ids.tolist())
        y = {layer: store.block(layer, 0, store.n_units(layer))[rows] for layer in LAYERS}
        yield subject, design, responses.rois, y


def presentation_by_presentation(design, mask, y):
    """Predictions from each presentation, by a decoder that is tested on it."""
    n = len(design.values)
    test_rows = np.concatenate([test for _, test in design.splits])
    found = []
    for presentation in design.sets[0].repeats:
        place = {row: n + at for at, row in enumerate(test_rows)}
        splits = [(train, np.array([place[row] for row in test])) for train, test in design.splits]
        x = np.concatenate([design.values, presentation])[:, mask]
        decoder = RoiDecoder(x, splits, SETTINGS)
        found.append(decoder.predict(np.concatenate([y, y[test_rows]])))
    return np.stack(found), y[test_rows]


def correlations(a, b):
    with np.errstate(invalid="ignore"):
        return np.array([np.corrcoef(x, z)[0, 1] for x, z in zip(a.T, b.T, strict=True)])


def test_reliability_is_that_of_presentations_decoded_one_by_one(whole):
    release = unitdb.open(whole)
    stored = release.table("accuracy").astype({"roi": str, "layer": str, "subject": str})
    stored = stored.set_index(["layer", "roi", "subject", "unit"])["reliability"].sort_index()
    layers = release.table("layer_summary").set_index(["layer", "roi", "subject"])
    for subject, design, rois, y in read(whole):
        for roi, mask in rois.items():
            for layer in LAYERS:
                predicted, _ = presentation_by_presentation(design, mask, y[layer])
                expected = repeat_reliability(predicted, n_splits=9)
                constant = np.ptp(y[layer][: len(design.splits[0][0])], axis=0) == 0
                expected[constant] = np.nan
                found = stored.loc[layer, roi, subject].to_numpy()
                np.testing.assert_allclose(found, expected, atol=2e-4)
                mean = layers.loc[(layer, roi, subject), "mean_reliability"]
                assert mean == pytest.approx(np.nanmean(found.astype(float)))
    assert json.loads(release.table("builds")["reliability"].item()) == {"divisions": 9}


def test_explainable_accuracy_is_a_view_and_not_clamped(whole):
    release = unitdb.open(whole)
    accuracy = release.table("accuracy").dropna(subset=["reliability"])
    found = release.sql("FROM explainable ORDER BY layer, roi, unit, subject")
    assert len(found) == len(accuracy)
    reliability = found["reliability"].astype(float)
    ceiling = np.sqrt(reliability.where(reliability > 0))
    np.testing.assert_allclose(found["ceiling"], ceiling)
    np.testing.assert_allclose(found["explainable_r"], found["r"] / ceiling)
    above = (found["r"].abs() > ceiling).where(ceiling.notna() & found["r"].notna())
    assert found["above_ceiling"].isna().equals(above.isna())
    assert (found["above_ceiling"].dropna() == above.dropna()).all()
    assert (found["explainable_r"].abs() > 1).equals(
        found["above_ceiling"].fillna(False).astype(bool)
    )
    assert "explainable" in release.views


def rankings(release, roi):
    """Accuracies of both layers, (n_subjects, n_units), of units that all have one."""
    wide = release.table("accuracy").query("roi == @roi").astype({"layer": str})
    wide = wide.pivot_table(index=["layer", "unit"], columns="subject", values="r", observed=True)
    return wide.dropna().astype(np.float32).reindex(LAYERS, level="layer").to_numpy().T


def test_the_best_units_recur_as_often_as_counted(whole):
    release = unitdb.open(whole)
    table = release.table("recurrence").set_index(["roi", "among", "subject", "other"])
    for roi in ROIS:
        r = rankings(release, roi)
        n = r.shape[1]
        k = -(-n // 10)
        best = [set(top_units(row, k).tolist()) for row in r]
        for a, b in combinations(range(3), 2):
            row = table.loc[roi, "subject", SUBJECTS[a], SUBJECTS[b]]
            assert (row["n_units"], row["k"]) == (n, k)
            assert row["n_shared"] == len(best[a] & best[b])
            assert row["n_expected"] == pytest.approx(k * k / n)
        for a, subject in enumerate(SUBJECTS):
            others = np.delete(r, a, axis=0).astype(float).mean(axis=0)
            row = table.loc[roi, "others", subject, subject]
            assert row["n_shared"] == len(best[a] & set(top_units(others, k).tolist()))
    assert table[["n_chance", "p"]].isna().all(axis=None)
    complete = {roi: rankings(release, roi) for roi in ROIS}
    for subject, design, rois, y in read(whole):
        for roi, mask in rois.items():
            halves = []
            for layer in LAYERS:
                predicted, true = presentation_by_presentation(design, mask, y[layer])
                assert len(predicted) == 2
                varies = np.ptp(y[layer], axis=0) > 0
                halves.append(
                    np.stack([correlations(half[:, varies], true[:, varies]) for half in predicted])
                )
            first, second = np.concatenate(halves, axis=1)
            assert len(first) == complete[roi].shape[1]
            k = -(-len(first) // 10)
            shared = np.intersect1d(top_units(first, k), top_units(second, k))
            found = table.loc[roi, "halves", subject, subject]["n_shared"]
            assert abs(found - len(shared)) <= 1  # single precision may exchange neighbours


def test_controls_say_how_many_recur_by_chance(controlled):
    release = unitdb.open(controlled)
    table = release.table("recurrence").set_index(["roi", "among", "subject", "other"])
    r = rankings(release, "V1")
    n, k = r.shape[1], -(-r.shape[1] // 10)
    null = []
    for control in range(N_CONTROLS):
        rows = []
        for _, design, rois, y in read(controlled, control=1 + control, repeats=False):
            decoder = RoiDecoder(design.values[:, rois["V1"]], design.splits, SETTINGS)
            values = np.concatenate([decoder.accuracy(y[layer]) for layer in LAYERS])
            rows.append(values[np.concatenate([np.ptp(y[la], axis=0) > 0 for la in LAYERS])])
        null.append(np.stack(rows).astype(np.float32))
    assert null[0].shape[1] == n
    best = [[set(top_units(row, k).tolist()) for row in one] for one in null]
    shared = [len(best[c][0] & best[(c + 1) % N_CONTROLS][1]) for c in range(N_CONTROLS)]
    row = table.loc["V1", "subject", SUBJECTS[0], SUBJECTS[1]]
    assert row["n_chance"] == pytest.approx(np.mean(shared), abs=0.21)  # neighbours, as above
    assert 1 / (1 + N_CONTROLS) <= row["p"] <= 1
    others = table.xs("others", level="among")
    assert others[["n_chance", "p"]].notna().all(axis=None)
    assert table.xs("halves", level="among")[["n_chance", "p"]].isna().all(axis=None)


def test_subjects_are_alike_as_their_halves_are(whole):
    release = unitdb.open(whole)
    table = release.table("layer_reliability").set_index(["layer", "roi"])
    accuracy = release.table("accuracy").astype({"layer": str, "roi": str})
    for (layer, roi), group in accuracy.groupby(["layer", "roi"]):
        r = group.pivot_table(
            index="unit", columns="subject", values="r", observed=True, dropna=False
        )
        row = table.loc[(layer, roi)]
        assert row["reliability"] == pytest.approx(subject_reliability(r.to_numpy().T))
        (shape,) = (known.shape for known in release.layers if known.layer == layer)
        blocks = channel_blocks(shape, r.index)
        found = subject_reliability_interval(r.to_numpy().T, blocks)
        assert row["reliability_low"] == pytest.approx(found.low, nan_ok=True)
        assert row["reliability_high"] == pytest.approx(found.high, nan_ok=True)
        assert (row["n_subjects"], row["n_units"]) == (3, len(r.dropna()))


def encoded(release, *, control=None):
    """Encoding accuracies of each ROI and subject, (n_layers, n_voxels)."""
    found = {}
    for subject, design, rois, y in read(release, control=control, repeats=False):
        for roi, mask in rois.items():
            # The sample of 20 of conv's 36 units is the one that `units: 20` would draw.
            layers = [y[layer][:, chosen(release, layer)] for layer in LAYERS]
            found[roi, subject] = encoding_accuracies(
                layers, design.values[:, mask], design.splits, SETTINGS
            )
    return found


def chosen(release, layer):
    from unitdb.activations import LayerInfo, UnitSelection, select_units

    row = unitdb.open(release).table("layers").set_index("layer").loc[layer]
    info = LayerInfo(
        name=layer,
        depth=0,
        module="m",
        kind="k",
        shape=tuple(row["shape"]),
        axes=row["axes"],
        n_units=row["n_units"],
    )
    return select_units(info, UnitSelection(sample=20, seed=0))


def test_voxels_and_their_scores_equal_the_functions_of_arrays(whole):
    release = unitdb.open(whole)
    expected = encoded(whole)
    table = release.table("encoding").set_index(["layer", "roi", "subject"])
    for (roi, subject), r in expected.items():
        for layer, of_layer in zip(LAYERS, r, strict=True):
            rows = table.loc[(layer, roi, subject)]
            assert rows["voxel"].tolist() == list(range(len(of_layer)))
            np.testing.assert_allclose(rows["r"], of_layer, atol=1e-6)
    hierarchy = release.table("hierarchy").set_index(["method", "kind"])
    accuracy = release.table("accuracy").astype({"layer": str, "roi": str, "subject": str})
    cube = accuracy.set_index(["layer", "subject", "roi", "unit"])["r"].sort_index()
    for method in ("corrected", "nonaka2021"):
        side = [np.concatenate([expected[roi, s] for s in SUBJECTS], axis=1) for roi in ROIS]
        label = np.repeat([0, 1], [part.shape[1] for part in side])
        score = encoding_bh_score(
            np.concatenate(side, axis=1).astype(np.float32), label, n_stimuli=N_TEST, method=method
        )
        row = hierarchy.loc[method, "encoding"]
        np.testing.assert_allclose(row["score"], score.score, atol=1e-9)
        assert row["n_units"] == len(label)
        assert row["n_counted"] == score.n_counted
        assert row["over"] == "subjects"
        layers = [
            np.stack([[cube.loc[layer, s, roi].to_numpy() for roi in ROIS] for s in SUBJECTS])
            for layer in LAYERS
        ]
        decoding = bh_score(layers, n_stimuli=N_TEST, method=method)
        average = hierarchy.loc[method, "average"]
        np.testing.assert_allclose(average["score"], average_bh_score(decoding, score), atol=1e-9)
        for end in ("score_low", "score_high"):
            ends = [hierarchy.loc[method, kind][end] for kind in ("decoding", "encoding")]
            np.testing.assert_allclose(average[end], np.mean(ends))
    counts = release.table("best_roi").query("kind == 'encoding' and method == 'corrected'")
    assert counts["n_units"].sum() == hierarchy.loc["corrected", "encoding"]["n_counted"]


def test_controls_say_what_scores_chance_gives():
    """From made-up accuracies of many images: of eight, shuffled, no voxel is significant."""
    rng = np.random.default_rng(0)
    scope = Scope(
        build="b",
        dataset="d",
        condition="perception",
        model="m",
        rois=("IT", "V1"),
        subjects=("s1", "s2"),
    )
    n_controls, sizes = 4, {"V1": (30, 20), "IT": (25, 40)}
    decoded = rng.uniform(-0.2, 0.6, (1 + n_controls, 2, 2, 2, 50)).astype(np.float32)
    voxels = {
        (roi, control): [
            rng.uniform(-0.2, 0.6, (2, n)).astype(np.float32) + (control == 0) * of_roi[:, None]
            for n in sizes[roi]
        ]
        for roi, of_roi in (("V1", np.float32([0.2, 0])), ("IT", np.float32([0, 0.2])))
        for control in range(1 + n_controls)
    }
    tables = HierarchyTables(scope, ["V1", "IT"], n_stimuli=50, n_controls=n_controls)
    for layer, r in zip(LAYERS, np.moveaxis(decoded, 1, 0), strict=True):
        tables.add(layer, np.arange(50, dtype=np.int32), lambda roi, c, r=r: r[c, roi])
    rows = tables.rows(lambda roi, control: voxels[roi, control])["hierarchy"]
    found = {row["kind"]: row for row in rows if row["method"] == "corrected"}
    scores: dict[str, list[float]] = {"decoding": [], "encoding": [], "average": []}
    for control in range(1 + n_controls):
        layers = [np.swapaxes(of_layer, 0, 1)[:, ::-1] for of_layer in decoded[control]]
        side = [np.concatenate(voxels[roi, control], axis=1) for roi in ROIS]
        label = np.repeat([0, 1], [part.shape[1] for part in side])
        of_units = bh_score(layers, n_stimuli=50)
        of_voxels = encoding_bh_score(np.concatenate(side, axis=1), label, n_stimuli=50)
        scores["decoding"].append(of_units.score)
        scores["encoding"].append(of_voxels.score)
        scores["average"].append(average_bh_score(of_units, of_voxels))
    for kind, (true, *null) in scores.items():
        assert found[kind]["score"] == pytest.approx(true, abs=1e-12)
        assert found[kind]["chance_score"] == pytest.approx(np.mean(null), abs=1e-12)
        assert found[kind]["p"] == (1 + sum(score >= true for score in null)) / (1 + n_controls)
    assert scores["encoding"][0] > 0.3
    assert found["encoding"]["n_units"] == 115


@pytest.mark.parametrize(("killed", "size"), [("-repeats.npy", None), rarely("001-0000.npy", 150)])
def test_a_lost_or_cut_file_is_made_again_to_the_same_bytes(
    whole, tmp_path, killed, size, monkeypatch
):
    recipe = asking(lay_out(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr("unitdb.pipeline.run.publish_release", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(recipe)
    work = tmp_path / "releases" / ".work"
    lost = [path for path in work.rglob("*.npy") if path.name.endswith(killed)]
    assert lost
    for path in lost:
        if size is None:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:size])
    assert contents(run(recipe, workers=1)) == contents(whole)


def test_what_cannot_be_asked_for(recipe, tmp_path):
    spec = tmp_path / "mine.yaml"
    asking(recipe)
    before = spec.read_text()
    spec.write_text(
        before + "transformations: {voxel_selection: false, reason: they are virtual}\n"
    )
    edit(recipe, "voxels: 10", "voxels: all")
    with pytest.raises(TransformationError, match=r"one by one .*: they are virtual"):
        run(recipe)
    spec.write_text(before)
    with np.load(tmp_path / "sub-02.npz") as arrays:
        kept = dict(arrays)
    keep = np.r_[0:4, 5 : len(kept["ids_test"])]  # one presentation of the third image is lost
    kept |= {name: kept[name][keep] for name in ("x_test", "ids_test")}
    np.savez(tmp_path / "sub-02.npz", **kept)
    with pytest.raises(ResponsesError, match=r"mine/sub-02: '.*' was shown once"):
        run(recipe)
    edit(recipe, "voxels: all", "folds: 3, voxels: all")
    with pytest.raises(RecipeError, match=r"reliability: not with decoder\.folds"):
        build(recipe, releases=tmp_path / "releases")
    edit(recipe, "divisions: 9", "divisions: 0")
    with pytest.raises(RecipeError, match=r"reliability\.divisions"):
        build(recipe, releases=tmp_path / "releases")


def test_units_are_ranked_some_at_a_time(monkeypatch):
    rng = np.random.default_rng(1)
    layers = [rng.integers(0, 9, (2, 3, 30)).astype(np.float32) / 10 for _ in range(3)]
    for r in layers:
        r[:, 1, 4] = np.nan
    halves = [rng.integers(0, 9, (2, 2, 3, 30)).astype(np.float32) / 10 for _ in range(3)]
    scope = Scope(
        build="b",
        dataset="d",
        condition="perception",
        model="m",
        rois=("IT", "V1"),
        subjects=("s1", "s2", "s3"),
    )

    def rows():
        table = RecurrenceTable(scope, n_controls=2)
        for r, of_halves in zip(layers, halves, strict=True):
            table.add(
                lambda roi, control, r=r: np.roll(r[roi], control, axis=1),
                lambda roi, of_halves=of_halves: of_halves[roi],
            )
        return table.rows()

    expected = rows()
    assert {row["among"] for row in expected} == {"subject", "others", "halves"}
    monkeypatch.setattr("unitdb.measures.recurrence._AT_ONCE", 7)
    assert rows() == expected


def test_noise_is_not_reliable_and_images_may_be_shown_unequally_often(recipe, tmp_path):
    """Reliability is of the average that the accuracy is of, not of as few as the fewest."""
    asking(recipe)
    rng = np.random.default_rng(0)
    for subject in SUBJECTS:
        with np.load(tmp_path / f"{subject}.npz") as arrays:
            kept = dict(arrays)
        kept["x_train"] = rng.normal(size=kept["x_train"].shape)
        kept["x_test"] = rng.normal(size=kept["x_test"].shape)
        np.savez(tmp_path / f"{subject}.npz", **kept)
    noise = unitdb.open(run(recipe)).table("layer_summary")["mean_reliability"]
    assert noise.median() < 0.3
    for subject in SUBJECTS:  # the first picture is shown twice, the others six times
        with np.load(tmp_path / f"{subject}.npz") as arrays:
            kept = dict(arrays)
        often = np.repeat(np.arange(len(kept["ids_test"])), np.r_[1, 1, [3] * 14])
        signal = kept["x_train"][:8].repeat([2] + [6] * 7, axis=0)
        kept["x_test"] = signal + rng.normal(0, 0.3, (len(often), signal.shape[1]))
        kept["ids_test"] = kept["ids_test"][often]
        np.savez(tmp_path / f"{subject}.npz", **kept)
    edit(recipe, "1.0.0", "1.1.0")
    often = unitdb.open(run(recipe)).table("layer_summary")["mean_reliability"]
    averaged = 8 / (1 / 2 + 7 / 6)
    for subject, design, rois, y in read(recipe.parent / "releases" / "small" / "1.1.0"):
        assert design.sets[0].averaged == pytest.approx(averaged)
        assert len(design.sets[0].repeats) == 2
        predicted, _ = presentation_by_presentation(design, rois["V1"], y["scores"])
        varies = np.ptp(y["scores"], axis=0) > 0
        halves = correlations(*predicted[:, :, varies])
        expected = averaged * halves / (1 + (averaged - 1) * halves)
        found = unitdb.open("small@1.1.0", releases=recipe.parent / "releases").sql(
            "SELECT reliability FROM accuracy WHERE layer = 'scores' AND roi = 'V1' "
            "AND subject = ? AND reliability IS NOT NULL ORDER BY unit",
            [subject],
        )["reliability"]
        np.testing.assert_allclose(found, expected, atol=2e-4)
    assert (often > 0.8).all()
