"""Units that a build keeps image by image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unitdb
from tests.pipeline.small import N_TEST, N_TRAIN, contents, edit, run
from tests.verification.consistent import Change
from unitdb.analysis import best_in_groups, best_units, mean_over_subjects
from unitdb.errors import CorruptReleaseError, NotKeptError, RecipeError
from unitdb.pipeline import plan

NOT_SHOWN = "stimuli: {kind: folder, folder: pictures, ending: .png}"
SHOWN = (
    'stimuli: {kind: folder, folder: pictures, ending: .png, shown: {terms: "CC0, me", '
    'except_sources: ["*-03.*"]}}'
)


def test_the_best_are_those_of_the_highest_mean_in_any_roi() -> None:
    nan = np.nan
    r = [
        np.array([[0.1, nan, 0.5, 0.2, nan], [0.3, nan, 0.5, 0.2, nan]], np.float32),
        np.array([[0.0, 0.9, 0.1, 0.5, nan], [0.0, nan, 0.1, 0.5, nan]], np.float32),
    ]
    assert best_units(r, 2).tolist() == [1, 2]  # of equal ones the first
    assert best_units(r, 3).tolist() == [1, 2, 3]
    assert best_units(r, 9).tolist() == [0, 1, 2, 3]
    assert best_units(r, 0).tolist() == []


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_each_channel_is_the_highest_in_any_roi(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r = rng.integers(0, 4, (2, 3, 40)).astype(np.float32) / 4  # with ties
    r[:, :, rng.random(40) < 0.3] = np.nan
    channels = rng.integers(0, 12, 40).astype(np.int32)
    means = np.array([mean_over_subjects(of_roi) for of_roi in r], dtype=np.float32)
    expected = []
    for channel in np.unique(channels):
        own = [unit for unit in range(40) if channels[unit] == channel]
        known = [unit for unit in own if np.isfinite(means[:, unit]).any()]
        if known:
            expected.append(max(known, key=lambda unit: (np.nanmax(means[:, unit]), -unit)))
    assert best_in_groups(r, channels).tolist() == sorted(expected)


def test_the_best_of_each_channel_is_kept_without_predictions(recipe: Path) -> None:
    edit(recipe, "models: [", "keep: {units: 1, channels: true}\nmodels: [")
    folder = recipe.parent
    (planned,) = plan(recipe, releases=folder / "releases", data=folder, datasets=[folder])
    assert (planned.n_kept, planned.n_shown) == (2, 1 + 4 + 6)
    n_predictions = planned.n_kept * N_TEST * 2 * 3
    assert planned.kept_bytes == 4 * (planned.n_shown * (N_TRAIN + N_TEST) + n_predictions)
    folder = run(recipe)
    release = unitdb.open(folder)
    best = release.sql(
        "SELECT layer, unit // CASE layer WHEN 'conv' THEN 9 ELSE 1 END AS channel, unit, "
        "max(mean_r) AS r FROM unit_summary GROUP BY ALL HAVING r IS NOT NULL "
        "ORDER BY r DESC, unit"
    ).drop_duplicates(["layer", "channel"])
    assert len(best) == 4 + 5  # one of scores is constant
    for layer, of_layer in best.groupby("layer", observed=True):
        expected = [f"mynet/{layer}/{unit}" for unit in sorted(of_layer["unit"])]
        assert release.kept(f"mynet/{layer}", predictions=False) == expected
        (first,) = release.kept(f"mynet/{layer}")
        assert first == f"mynet/{layer}/{of_layer['unit'].iloc[0]}"
        best_of_another = next(unit for unit in expected if unit != first)
        assert len(release.stimuli(best_of_another)) == N_TRAIN + N_TEST
        with pytest.raises(NotKeptError, match=f"predictions of {best_of_another} are not kept"):
            release.predictions(best_of_another)
    release.verify()
    assert release.kept("mynet/scores") != ["mynet/scores/1"]
    other = Change(
        name="a unit that is not its channel's best",
        file="activation.parquet",
        rows=lambda rows: [
            {**row, "unit": 0} if (row["layer"], row["unit"]) == ("scores", 1) else row
            for row in rows
        ],
    )
    assert other.make(folder)
    with pytest.raises(CorruptReleaseError, match=r"keeps 5 units; too many or missing: 0, 1$"):
        unitdb.open(folder).verify()


def test_the_best_of_each_layer_are_kept(built: Path) -> None:
    release = unitdb.open(built)
    best = release.sql(
        "SELECT layer, unit, max(mean_r) AS r FROM unit_summary GROUP BY ALL ORDER BY r DESC, unit"
    )
    for layer, n in (("conv", 10), ("scores", 5)):  # one of scores is constant
        of_layer = best[(best["layer"] == layer) & best["r"].notna()]
        expected = [f"mynet/{layer}/{unit}" for unit in sorted(of_layer["unit"][:n])]
        assert release.kept(f"mynet/{layer}") == expected
        unit = expected[0]
        assert len(release.predictions(unit)) == 2 * 3 * N_TEST
        stimuli = release.stimuli(unit)
        assert stimuli["split"].value_counts().to_dict() == {"train": N_TRAIN, "test": N_TEST}
        assert set(stimuli["thumbnail"]) == {None}


def test_named_units_are_kept_too(recipe: Path) -> None:
    edit(recipe, "models: [", "keep: {units: 1, also: [mynet/scores/0, mynet/conv/7]}\nmodels: [")
    release = unitdb.open(run(recipe))
    assert "mynet/conv/7" in release.kept("mynet/conv")
    assert "mynet/scores/0" in release.kept("mynet/scores")  # constant
    assert len(release.table("activation", ["unit"])) in {4 * 22, 3 * 22}
    release.verify()


def test_none_is_kept_where_none_is_asked_for(recipe: Path) -> None:
    edit(recipe, "models: [", "keep: {units: 0}\nmodels: [")
    release = unitdb.open(run(recipe))
    assert release.table("prediction").empty
    assert release.kept("mynet/conv") == []
    release.verify()


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("{also: [mynet/cnv/1]}", "no such layer is decoded; there is mynet/conv"),
        ("{also: [mynet/scores/6]}", "not decoded; the nearest that is: mynet/scores/5"),
        ("{also: [scores]}", "keep.also"),
        ("{also: [mynet/conv/1, mynet/conv/1]}", "keep.also: mynet/conv/1 stands twice"),
        ("{units: -1}", "keep.units"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_computed(
    keep: str, message: str, recipe: Path
) -> None:
    edit(recipe, "models: [", f"keep: {keep}\nmodels: [")
    with pytest.raises(RecipeError, match=message):
        run(recipe)
    assert not (recipe.parent / "releases" / "small").exists()


def test_predictions_decoded_again_are_the_same_bytes(
    built: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "unitdb.predictions.decode._PATTERN_UNITS", 20
    )  # so that some are not at hand
    found = contents(run(recipe))
    for name in ("prediction.parquet", "activation.parquet"):
        assert found[name] == contents(built)[name]


def test_a_build_killed_while_keeping_goes_on(
    built: Path, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unitdb.measures.kept._prediction_rows", die)
        with pytest.raises(KeyboardInterrupt):
            run(recipe)
    monkeypatch.setattr(
        "unitdb.pipeline.run.decode_job", lambda *_, **__: None
    )  # nothing is left to decode
    monkeypatch.setattr("unitdb.measures.kept.KeptStep.run", die)
    assert contents(run(recipe)) == contents(built)


def test_pictures_that_may_be_shown_are_in_the_release(recipe: Path) -> None:
    edit(recipe.parent / "mine.yaml", NOT_SHOWN, SHOWN)
    release = unitdb.open(run(recipe))
    pictures = release.table("stimuli").set_index("stimulus")["thumbnail"]
    assert pictures.index[pictures.isna()].tolist() == ["picture-03"]
    with Image.open(io.BytesIO(pictures["picture-04"])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (8, 8))  # never made larger
    assert release.table("datasets")["pictures"].tolist() == ["CC0, me"]
    release.verify()
