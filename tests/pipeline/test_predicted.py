"""Predictions that a recipe publishes: those of the decoder, whole, verified and read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unitdb
from tests.pipeline.small import SUBJECTS, contents, lay_out, run
from tests.tiny import remake_sums
from unitdb.activations import Activations
from unitdb.errors import CorruptReleaseError, NotKeptError, RecipeError, UnknownRoiError
from unitdb.measures import MEASURES, Decoded, Measure
from unitdb.pipeline import plan
from unitdb.schema import TABLES
from unitdb.sealed import map_npy
from unitdb.verification import verify
from unitdb.verification.reading import verify as verify_by_reading

(Published,) = (type(one) for one in MEASURES if one.name == "predictions")

PLACES = [(roi, subject) for roi in ("IT", "V1") for subject in SUBJECTS]


def publishing(recipe: Path, units: str) -> Path:
    with recipe.open("a") as file:
        file.write(f"predictions: {{units: {units}}}\n")
    return recipe


def activations_of(recipe: Path, layer: str) -> pd.DataFrame:
    (store,) = [path for path in (recipe.parent / "releases/.cache").iterdir() if path.is_dir()]
    stored = Activations.open(store)
    values = stored.block(layer, 0, stored.n_units(layer))
    return pd.DataFrame(values, index=list(stored.stimulus_ids), columns=stored.units(layer))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> unitdb.Release:

    return unitdb.open(run(publishing(lay_out(tmp_path_factory.mktemp("all")), "all")))


def test_they_give_the_accuracies(everything: unitdb.Release) -> None:
    true = activations_of(everything.path.parents[2] / "recipe.yaml", "conv")
    for roi, subject in PLACES:
        found = everything.predicted("mynet/conv", roi, subject)
        assert list(found.columns) == list(true.columns)
        assert found.index.names == ["stimulus", "presentation"]
        shown = true.loc[found.index.get_level_values("stimulus")].to_numpy(float)
        r = everything.accuracies("mynet", "conv", roi)[subject]
        for at, unit in enumerate(found):
            if not np.isnan(r[unit]):
                own = np.corrcoef(found[unit].to_numpy(float), shown[:, at])[0, 1]
                assert abs(own - r[unit]) < 1e-5


def test_nothing_else_changes(everything: unitdb.Release, built: Path) -> None:
    mine, others = contents(everything.path), contents(built)
    for table in ("prediction", "activation", "subjects"):
        assert mine[f"{table}.parquet"] == others[f"{table}.parquet"]
    for table in ("layer_summary", "intersubject", "unit_summary", "accuracy"):
        one, other = everything.table(table), unitdb.open(built).table(table)
        columns = [name for name in one if name != "build"]
        pd.testing.assert_frame_equal(one[columns], other[columns])


def test_verify_counts_them(everything: unitdb.Release) -> None:
    n_units = int(everything.table("layers")["n_units"].sum())
    report = verify(everything.path)
    assert report.rows["predicted"] == n_units * len(PLACES)
    assert report.rows["samples"] == 8 * len(SUBJECTS)


# Of the six units of the other layer one has no accuracy, and is not among the best.
@pytest.mark.parametrize(("units", "n_units"), [("7", 7 + 6), ("best 7", 7 + 5)])
def test_some_units_of_each_layer(
    units: str, n_units: int, recipe: Path, everything: unitdb.Release
) -> None:
    release = unitdb.open(run(publishing(recipe, units)))
    assert verify(release.path).rows["predicted"] == n_units * len(PLACES)
    best = release.sql(
        "SELECT unit FROM unit_summary WHERE layer = 'conv' GROUP BY unit "
        "ORDER BY max(mean_r) DESC NULLS LAST, unit LIMIT 7"
    )["unit"]
    for roi, subject in PLACES:
        found = release.predicted("mynet/conv", roi, subject)
        assert found.shape == (8, 7)
        if units != "7":
            assert sorted(found.columns) == sorted(best)
        whole = everything.predicted("mynet/conv", roi, subject)
        pd.testing.assert_frame_equal(found, whole[found.columns])


def test_a_release_without_says_what_publishes_them(built: Path) -> None:
    with pytest.raises(NotKeptError, match=r"build with predictions: \{units: all\}"):
        unitdb.open(built).predicted("mynet/conv", "V1", "sub-01")


def test_those_that_are_not_published_are_stored_for_measures(
    recipe: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with recipe.open("a") as file:
        file.write("predictions: {units: 3, publish: false}\n")
    stored: list[tuple[int, ...]] = []
    conclude = Published.conclude

    def look(measure: Measure, decoded: Decoded, steps: object) -> None:
        stored.extend(map_npy(block.stored_predictions).shape for block in decoded.blocks)
        conclude(measure, decoded, steps)

    monkeypatch.setattr(Published, "conclude", look)
    release = run(recipe)
    assert stored == [(8, 3)] * 2 * len(PLACES)
    assert contents(release).keys() == contents(built).keys()


@pytest.mark.parametrize(
    ("units", "message"),
    [("best", "predictions.units"), ("0", "predictions.units"), ("best 0", "predictions.units")],
)
def test_units_are_all_a_number_or_the_best(units: str, message: str, recipe: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        run(publishing(recipe, units))


def test_a_plan_says_what_they_take(recipe: Path) -> None:
    publishing(recipe, "7")
    (found,) = plan(recipe, releases=recipe.parent / "releases", data=recipe.parent)
    assert found.predictions_bytes == 4 * (7 + 6) * 8 * len(PLACES)


def _cut(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(predicted=[values[:-1] for values in table["predicted"]])


def _scaled(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(predicted=[2 * values for values in table["predicted"]])


def _nan(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(predicted=[np.nan * values for values in table["predicted"]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cut, r"predictions of \[7\] samples; table 'samples' has 8"),
        (_scaled, "other values than in table 'prediction'"),
        (_nan, "no finite number"),
        (lambda table: table[table["unit"] != 3], None),
        (lambda table: table[(table["unit"] != 3) | (table["roi"] != "V1")], "units, of another"),
        (lambda table: table[table["subject"] != "sub-02"], "sub-02: 0 units"),
    ],
)
def test_changes_are_found(
    change: object, message: str | None, everything: unitdb.Release, tmp_path: Path
) -> None:

    release = tmp_path / "small" / "1.0.0"
    shutil.copytree(everything.path, release)
    (path,) = (release / "predicted").rglob("*layer=conv/*.parquet")
    table = pq.ParquetFile(path).read()
    rows = change(table.to_pandas())
    schema = TABLES["predicted"].arrow_schema()
    pq.write_table(pa.Table.from_pandas(rows, schema=schema, preserve_index=False), path)
    remake_sums(release)
    if message is None:  # which units are published, a release is free to choose
        verify_by_reading(release)
        return
    with pytest.raises((CorruptReleaseError, unitdb.errors.SchemaError), match=message):
        verify_by_reading(release)


def test_an_roi_that_is_not_there_is_named(everything: unitdb.Release) -> None:
    with pytest.raises(UnknownRoiError, match="V9"):
        everything.predicted("mynet/conv", "V9", "sub-01")
