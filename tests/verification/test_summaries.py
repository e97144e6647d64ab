"""What verification computes anew, against pandas."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from tests.tiny_tables import follow
from unitdb.analysis import subject_reliability
from unitdb.errors import SchemaError
from unitdb.release.rows import check_order, distinct
from unitdb.schema import TABLES
from unitdb.verification.reading._summaries import Decoded, pair_rows, reliability_rows


def matrices() -> st.SearchStrategy[np.ndarray]:
    """Accuracies of 3 subjects with ties and gaps, (3, n_units)."""
    values = st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.9, float("nan")])
    return (
        st.integers(1, 9)
        .flatmap(
            lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=3, max_size=3)
        )
        .map(lambda rows: np.array(rows, dtype=np.float32))
    )


KEYS = {"dataset": "d", "condition": "c", "model": "m", "layer": "l"}


def accuracies(rois: list[np.ndarray]) -> pd.DataFrame:
    """Rows of ``accuracy`` from matrices (n_subjects, n_units) of each ROI."""
    return pd.DataFrame(
        {**KEYS, "roi": f"V{i}", "unit": unit, "subject": f"S{subject}", "r": r, "reliability": r}
        for i, matrix in enumerate(rois)
        for (subject, unit), r in np.ndenumerate(matrix)
    ).astype({"r": np.float32, "reliability": np.float32})


@settings(deadline=None, max_examples=25)
@given(matrices(), st.integers(0, 8))
def test_units_follow_as_pandas_says(r: np.ndarray, shift: int) -> None:
    rois = [r, np.roll(r, shift, axis=1), np.full_like(r, np.nan)]
    found = follow("unit_summary", accuracy=accuracies(rois))
    means = []
    for i, matrix in enumerate(rois):
        frame = pd.DataFrame(matrix.astype(np.float64))
        own = found[found["roi"] == f"V{i}"].sort_values("unit")
        expected = {
            "n_subjects": frame.count(),
            "mean_r": frame.mean(),
            "sd_r": frame.std(),
            "min_r": frame.min(),
            "max_r": frame.max(),
        }
        for column, values in expected.items():
            np.testing.assert_allclose(own[column], values, atol=1e-12, err_msg=column)
        means.append(frame.mean().astype(np.float32))
        ranks = means[-1].rank(method="first", ascending=False, na_option="bottom")
        np.testing.assert_array_equal(own["rank"], ranks)
    for i, mean in enumerate(means):
        others = pd.concat(means[:i] + means[i + 1 :], axis=1).max(axis=1)
        own = found[found["roi"] == f"V{i}"].sort_values("unit")
        np.testing.assert_allclose(own["lead_r"], mean - others, atol=1e-7)


@settings(deadline=None, max_examples=25)
@given(matrices())
def test_layers_follow_as_pandas_says(r: np.ndarray) -> None:
    found = follow("layer_summary", accuracy=accuracies([r])).set_index("subject")
    for i, row in enumerate(r.astype(np.float64)):
        own, values = found.loc[f"S{i}"], pd.Series(row)
        assert (own["n_units"], own["n_undefined"]) == (len(row), values.isna().sum())
        expected = [values.mean(), values.std(), *values.quantile([0.05, 0.25, 0.5, 0.75, 0.95])]
        names = ["mean_r", "sd_r", "q05_r", "q25_r", "median_r", "q75_r", "q95_r"]
        np.testing.assert_allclose(own[names].astype(float), expected, atol=1e-7)
        np.testing.assert_allclose(own["mean_reliability"], values.mean(), atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(matrices(), st.integers(0, 8))
def test_bins_follow_as_numpy_says(r: np.ndarray, shift: int) -> None:
    accuracy = accuracies([r, np.roll(r, shift, axis=1)])
    units = follow("unit_summary", accuracy=accuracy).astype(
        dict.fromkeys(("mean_r", "min_r", "max_r", "lead_r"), np.float32)
    )
    subjects = pd.DataFrame({"dataset": "d", "subject": ["S0", "S1", "S2", "S0"]})
    found = follow("summary_histogram", unit_summary=units, subjects=subjects)
    expected: Counter[tuple[object, ...]] = Counter()
    for _, unit in units.iterrows():
        kinds = ["n_units"]
        kinds += ["n_complete"] * (unit["n_subjects"] == 3) + ["n_preferred"] * (unit["lead_r"] > 0)
        kinds += ["n_complete_preferred"] * (len(kinds) == 3)
        for measure in ("mean_r", "min_r", "max_r", "lead_r"):
            if not np.isnan(unit[measure]):
                most = 200 if measure == "lead_r" else 100
                bin_ = np.clip(np.floor(100 * np.float64(unit[measure])), -most, most - 1)
                expected.update((unit["roi"], measure, bin_, kind) for kind in kinds)
    kinds = ("n_units", "n_complete", "n_preferred", "n_complete_preferred")
    stated = {
        (row["roi"], row["measure"], row["bin"], kind): row[kind]
        for _, row in found.iterrows()
        for kind in kinds
        if row[kind]
    }
    assert stated == expected
    means = found[found["measure"] == "mean_r"]
    of_means = follow("unit_histogram", unit_summary=units)
    np.testing.assert_array_equal(of_means[["bin", "n_units"]], means[["bin", "n_units"]])
    of_subjects = follow("accuracy_histogram", accuracy=accuracy)
    assert of_subjects["n_units"].sum() == 2 * np.isfinite(r).sum()


@settings(deadline=None)
@given(matrices())
def test_pairs_against_pandas(r: np.ndarray) -> None:
    data = Decoded([("V1", ["a", "b", "c"], r)], np.arange(r.shape[1]))
    frame = pd.DataFrame(r.T.astype(np.float64), columns=["a", "b", "c"])
    for (_, a, b), values in pair_rows(data):
        both = frame[[a, b]].dropna()
        distinct_values = both.nunique().min() if len(both) else 0
        assert values["n_units"] == len(both)
        if distinct_values < 2:
            assert np.isnan(values["pearson_r"])
            assert np.isnan(values["spearman_r"])
        else:
            ranks = both.rank()
            assert values["pearson_r"] == pytest.approx(both[a].corr(both[b]))
            assert values["spearman_r"] == pytest.approx(ranks[a].corr(ranks[b]))


names = st.sampled_from(["V1", "V10", "V2", "ä", "z"])
rows_ = st.lists(st.tuples(names, names, st.integers(0, 3)), max_size=12)


@given(rows_, st.booleans(), st.integers(0, 12))
def test_order_against_tuples(rows: list[tuple[str, str, int]], ordered: bool, cut: int) -> None:
    rows = sorted(set(rows)) if ordered else rows
    keys = TABLES["subjects"].primary_key
    table = pa.table(
        {
            name: pa.array([row[i] for row in rows], pa.int32() if i == 2 else pa.string())
            for i, name in enumerate(keys)
        }
    )
    table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    table = table.set_column(0, keys[0], table[0].dictionary_encode())
    if rows == sorted(set(rows)):
        check_order(table, TABLES["subjects"], where="here")
    else:
        with pytest.raises(SchemaError, match="strictly increasing"):
            check_order(table, TABLES["subjects"], where="here")
    assert distinct(table, keys[:2]) == {row[:2] for row in rows}


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(2, 5), st.integers(2, 4)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_reliability_of_few_units_is_that_of_the_build_or_missing_in_both(r: np.ndarray) -> None:
    subjects = [f"S{i}" for i in range(len(r))]
    decoded = Decoded([("V1", subjects, r)], np.arange(r.shape[1]))
    ((_, values),) = reliability_rows(decoded)
    found = subject_reliability(r)
    np.testing.assert_allclose(values["reliability"], found, atol=1e-6)
