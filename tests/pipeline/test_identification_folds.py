"""Identification in a cross-validation, among others too; again from what is published."""

from __future__ import annotations

import doctest
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import lay_out, run
from tests.verification.consistent import Change
from unitdb.activations import Activations
from unitdb.candidates import CandidateSet
from unitdb.cli import main
from unitdb.errors import (
    CorruptReleaseError,
    QueryError,
    UnknownCandidateError,
    UnknownCandidatesError,
    UnknownLayerError,
)
from unitdb.verification import verify


def test_in_cross_validation_what_trained_is_told_apart(folded):
    sets = folded.table("candidate_sets").set_index("set")
    assert sets["n_candidates"].to_dict() == {"own": 14, "outside": 19}
    assert sets["n_targets"].to_dict() == {"own": 14, "outside": 14}
    assert sets["n_trained"].to_dict() == {"own": 0, "outside": 0}  # targets have that role
    assert sets["description"]["outside"] == "made up"
    assert len(sets["sha256"]["outside"]) == 64
    rows = folded.table("identification")
    own, outside = (rows[rows["set"] == name] for name in ("own", "outside"))
    # 14 pictures in 4 folds of 4, 4, 3 and 3: the decoder of a fold has seen the others.
    assert set(own["n_false_trained"]) == {10, 11}
    assert set(own["n_false"]) == {13}
    assert set(outside["n_false"]) == {18}
    assert (outside["n_false_trained"].to_numpy() == own["n_false_trained"].to_numpy()).all()
    summary = folded.table("identification_summary").set_index("set")
    assert summary.loc["own", "n_untrained"].iloc[0] == pytest.approx((8 * 4 + 6 * 3) / 14)
    assert summary.loc["outside", "n_untrained"].iloc[0] == pytest.approx((8 * 9 + 6 * 8) / 14)
    among = folded.sql("SELECT DISTINCT among, n FROM identification_curve WHERE set = 'outside'")
    assert set(among[among["among"] == "untrained"]["n"]) == {2, 5, 8, 9}
    # Beside each rate stands chance of one among n, and what exchanged images come to.
    curve = folded.sql(
        "SELECT c.* EXCLUDE (n_predictions), chance_fold, exchange_untrained FROM "
        "identification_curve AS c JOIN identification_summary USING (dataset, condition, model, "
        "layer, roi, subject, set, method, trials)"
    )
    assert curve["chance_exchange"].notna().all()
    pairs = curve[curve["n"] == 2]
    stated = np.where(pairs["among"] == "all", pairs["chance_fold"], pairs["exchange_untrained"])
    np.testing.assert_allclose(pairs["chance_exchange"], stated, atol=1e-12)


def test_features_of_candidates_are_those_of_the_network(folded):
    store = activations_of_store(folded, "conv")
    units = folded.sql("SELECT * FROM candidate_units WHERE layer = 'conv' AND subject = 'sub-01'")
    for name, candidates in (("own", 14), ("outside", 19)):
        found = folded.sql(
            "SELECT candidate, features FROM candidate_features "
            "WHERE set = ? AND layer = 'conv' ORDER BY candidate",
            [name],
        )
        assert len(found) == candidates
        features = np.stack(found["features"].to_list())
        names = found["candidate"].tolist()
        pictures = [name for name in names if name.startswith("picture")]
        own = features[[names.index(name) for name in pictures]]
        assert (own == store.loc[pictures, units["unit"]].to_numpy()).all()
    np.testing.assert_allclose(units["mean"], own.mean(axis=0, dtype=float))
    sd = own.std(axis=0, ddof=1, dtype=float)
    np.testing.assert_allclose(units["sd"], np.where(np.ptp(own, axis=0) > 0, sd, 0), rtol=1e-6)


def activations_of_store(release: unitdb.Release, layer: str) -> pd.DataFrame:
    cache = release.path.parents[1] / ".cache"
    stores = [Activations.open(path) for path in cache.iterdir() if (path / "meta.json").exists()]
    (stored,) = [one for one in stores if "picture-00" in one.stimulus_ids]
    values = stored.block(layer, 0, stored.n_units(layer))
    return pd.DataFrame(values, index=list(stored.stimulus_ids), columns=stored.units(layer))


@pytest.mark.parametrize("method", ["normalised", "horikawa2017"])
@pytest.mark.parametrize("name", ["own", "outside"])
def test_published_predictions_are_identified_again_by_readers(folded, name, method):
    found = folded.identify(name, "mynet/conv", roi="V1", subject="sub-02", method=method)
    stated_rows = folded.table("identification")
    place = {"set": name, "layer": "conv", "roi": "V1", "subject": "sub-02", "method": method}
    for column, value in place.items():
        stated_rows = stated_rows[stated_rows[column] == value]
    both = found.rows.merge(stated_rows, on="target", suffixes=("", "_stated"))
    assert len(both) == 14
    for column in found.rows.columns.drop("target"):
        one, other = both[column], both[f"{column}_stated"]
        if one.dtype == float:
            np.testing.assert_allclose(one, other.astype(float), atol=1e-9)
        else:
            assert one.tolist() == other.tolist(), column
    (row,) = [
        row
        for row in folded.table("identification_summary").to_dict("records")
        if all(row[column] == value for column, value in place.items())
    ]
    for column, value in asdict(found.summary).items():
        if column in row:
            assert value == pytest.approx(row[column], abs=1e-9, nan_ok=True), column
    assert found.curve([2])[2] == pytest.approx(row["rate"])


def test_ones_own_predictions_are_identified(folded, tmp_path):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    rng, names = np.random.default_rng(0), ["picture-03", "picture-03", "picture-11"]
    true = activations_of_store(folded, "conv").loc[names, sorted(units)]
    mine = true + rng.normal(0, 1e-3, true.shape)
    found = folded.identify("outside", "mynet/conv", mine.to_numpy(), names)
    assert found.rows["best"].tolist() == names
    assert found.summary.top1 == 1.0
    few = [f"mynet/conv/{unit}" for unit in sorted(units)[:10]]
    again = folded.identify("outside", "mynet/conv", mine, names, units=few)
    assert again.rows["n_false"].tolist() == [18, 18, 18]
    cut = folded.identify("outside", "mynet/conv", mine[sorted(units)[:10]], names)
    pd.testing.assert_frame_equal(again.rows, cut.rows)
    trained = folded.identify("outside", "mynet/conv", mine, names, trained=["other-1"])
    assert trained.rows["n_false_trained"].tolist() == [1, 1, 1]

    path = tmp_path / "mine.csv"
    mine.assign(target=names).to_csv(path, index=False)
    pd.DataFrame({"unit_id": few}).to_csv(tmp_path / "units.csv", index=False)
    command = ["identify", str(folded.path), "outside", "mynet/conv", "--predicted", str(path)]
    done = CliRunner().invoke(main, [*command, "--unit-set", str(tmp_path / "units.csv"), "--rows"])
    assert done.exit_code == 0, done.output
    assert "picture-11" in done.output
    done = CliRunner().invoke(main, command)
    assert "chance_exchange" in done.output
    path.write_text("0,1\n1,2\n")
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "has no column 'target'" in done.output


def test_a_set_of_ones_own_takes_no_published_features(folded):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    true = activations_of_store(folded, "conv")[sorted(units)]
    mine = CandidateSet.from_arrays(
        name="mine",
        features={"conv": true.to_numpy()},
        ids=list(true.index),
        units={"conv": np.array(sorted(units))},
    )
    found = folded.identify(mine, "mynet/conv", roi="V1", subject="sub-01")
    own = folded.identify("own", "mynet/conv", roi="V1", subject="sub-01")
    columns = ["target", "n_false", "n_below", "best"]
    pd.testing.assert_frame_equal(
        found.rows[columns].iloc[:0], own.rows[columns].iloc[:0], check_dtype=False
    )
    assert len(found.rows) == 14


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"candidates": "outsid"}, UnknownCandidatesError, "did you mean 'outside'"),
        ({"layer": "mynet/conf"}, UnknownLayerError, "mynet/conv"),
        ({"targets": ["picture-0", "picture-01"]}, UnknownCandidateError, "'picture-0[0-9]'"),
        ({"targets": ["picture-01"]}, QueryError, "2 predictions and 1 targets"),
        ({"predicted": np.zeros((2, 3))}, QueryError, "predictions of 3 units; the candidates"),
        ({"predicted": np.full((2, 36), np.nan)}, QueryError, "not finite: row 0, column 0"),
        ({"predicted": [["a"]]}, QueryError, "should be numbers"),
        ({"predicted": None}, QueryError, "roi= and subject="),
        ({"trained": ["nobody"]}, UnknownCandidateError, "nobody"),
        ({"units": ["mynet/scores/1"]}, QueryError, "none of 1 units is of mynet/conv"),
        ({"mean": np.zeros(2), "sd": np.ones(2)}, QueryError, "mean and SD of 2 and 2 units"),
    ],
)
def test_errors_of_identify_name_the_nearest(folded, change, error, message):
    n_units = len(folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'"))
    given = {
        "candidates": "outside",
        "layer": "mynet/conv",
        "predicted": np.ones((2, n_units)) + np.arange(n_units),
        "targets": ["picture-01", "picture-02"],
    }
    assert n_units == 36
    with pytest.raises(error, match=message):
        folded.identify(**given | change)


@pytest.mark.robust(
    "verification",
    given="people whose decoders were trained by different pictures, which are candidates",
    before="corrupt: a picture that trained one person counted as having trained all",
    now="candidate_training has what trained each, and verify says that it fits",
)
def test_people_may_have_been_trained_by_different_pictures(tmp_path):
    recipe = lay_out(tmp_path)
    with np.load(tmp_path / "sub-02.npz") as file:
        arrays = dict(file)
    dropped = "picture-00"
    assert dropped in arrays["ids_train"]
    arrays["ids_train"] = np.where(
        arrays["ids_train"] == dropped, "picture-99", arrays["ids_train"]
    )
    shutil.copy(tmp_path / "pictures" / "picture-13.png", tmp_path / "pictures" / "picture-99.png")
    np.savez(tmp_path / "sub-02.npz", **arrays)
    with recipe.open("a") as file:
        file.write(TRAINED)
    (tmp_path / "others").mkdir()
    for path in sorted((tmp_path / "pictures").iterdir())[:6]:
        shutil.copy(path, tmp_path / "others" / path.name)
    release = unitdb.open(run(recipe))
    assert "what was identified is what the predictions give again" in verify(release.path).checks
    rows = release.table("candidate_training")
    with_it = rows[rows["candidate"] == dropped]
    assert set(with_it["subject"].astype(str)) == {"sub-01", "sub-03"}
    n = release.table("identification").groupby("subject", observed=True)["n_false_trained"].max()
    assert n.to_dict() == {"*": 6, "sub-01": 6, "sub-02": 5, "sub-03": 6}


TRAINED = """
predictions: {units: all}
identification:
  sets: {others: {kind: pictures, folder: others, ending: .png}}
  features: true
"""


def _changed(release: unitdb.Release, folder: Path, table: str, column: str, change) -> Path:
    """A copy with a column changed, and all that repeats or sums it up made to fit."""
    copy = folder / release.name / release.version
    shutil.copytree(release.path, copy)

    def rows(rows: list[dict]) -> list[dict]:
        values = list(change(pd.Series([row[column] for row in rows])))
        return [row | {column: value} for row, value in zip(rows, values, strict=True)]

    assert Change(name=column, file=f"{table}.parquet", rows=rows).make(copy)
    return copy


def _swap(values: pd.Series) -> pd.Series:
    values = values.copy()
    other = next(i for i in range(1, len(values)) if values[i] != values[0])
    values[[0, other]] = values[[other, 0]].to_numpy()
    return values


def _last(values: pd.Series, by: float) -> list[float]:
    return [*values[:-1], values.iloc[-1] + by]


@pytest.mark.parametrize(
    ("table", "column", "change", "message"),
    [
        ("identification_summary", "rate", lambda x: x - 1e-3, "rate is .*; the predictions give"),
        ("identification_summary", "rate_low", lambda x: x - 1e-6, "rate_low is"),
        ("identification_summary", "p", lambda x: x / 2, "q does not follow from p"),
        ("identification_summary", "n_images", lambda x: x - 1, "n_images"),
        ("identification", "n_below", lambda x: x + 1, "more candidates below|contradicts"),
        ("identification", "n_below", _swap, "contradicts n_below|n_below is|top1 is|rate is"),
        ("identification", "best_r", lambda x: x - 0.5, "best_r is below target_r"),
        ("identification", "chance_exchange", lambda x: x / 2, "chance_exchange is"),
        ("identification", "best", _swap, "best is 'picture|best is 'other"),
        ("candidates", "role", lambda x: ["other"] * len(x), "n_targets is 14; candidates has 0"),
        ("identification_exchange", "chance", lambda x: x / 2, "among 2 candidates it is"),
        ("identification_exchange", "chance", lambda x: _last(x, 1e-6), "chance is .*, but the"),
        ("identification_exchange", "n", lambda x: x + 1, "among 2 candidates|there is no row"),
        (
            "candidate_features",
            "features",
            lambda x: [*x[:-1], [*x.iloc[-1][:-1], x.iloc[-1][-1] + 1e-4]],
            "features_sha256 is not that",
        ),
        ("candidate_sets", "features_sha256", _swap, "features_sha256 is not that"),
        ("candidate_units", "mean", lambda x: x + 1, "but the predictions give"),
        ("candidate_sets", "n_candidates", lambda x: x + 1, "n_candidates is 20; candidates has"),
    ],
)
def test_changes_are_found(folded, tmp_path, table, column, change, message):
    copy = _changed(folded, tmp_path, table, column, change)
    with pytest.raises(CorruptReleaseError, match=message):
        verify(copy)


def test_the_example_of_the_docstring_runs(folded):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    names = ["picture-03", "picture-11"]
    mine = activations_of_store(folded, "conv").loc[names, sorted(units)]
    known = {"release": folded, "mine": mine, "names": names}
    examples = doctest.DocTestParser().get_examples(unitdb.Release.identify.__doc__)
    assert len(examples) == 3
    for example in examples:
        exec(example.source.replace("net/fc", "mynet/conv"), known)  # noqa: S102
    assert known["found"].summary.rate == 1.0
