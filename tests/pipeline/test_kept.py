"""Units that a build keeps image by image."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unitdb
from tests.pipeline.small import N_TEST, N_TRAIN, contents, edit, run
from unitdb.analysis import best_units
from unitdb.errors import RecipeError

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
