"""What verification computes anew, against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from unitdb.analysis import subject_reliability
from unitdb.errors import SchemaError
from unitdb.release.rows import check_order, distinct
from unitdb.schema import TABLES
from unitdb.verification.reading._summaries import (
    Decoded,
    layer_rows,
    pair_rows,
    ranks_by,
    reliability_rows,
    unit_columns,
)


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


@settings(deadline=None)
@given(matrices())
def test_unit_columns_against_pandas(r: np.ndarray) -> None:
    found = unit_columns(r.astype(np.float64))
    frame = pd.DataFrame(r.astype(np.float64))
    expected = {
        "n_subjects": frame.count(),
        "mean_r": frame.mean(),
        "sd_r": frame.std(),
        "min_r": frame.min(),
        "max_r": frame.max(),
    }
    for column, values in expected.items():
        np.testing.assert_allclose(found[column], values, atol=1e-12, err_msg=column)
    mean = found["mean_r"].astype(np.float32)
    ranks = pd.Series(mean).rank(method="first", ascending=False, na_option="bottom")
    np.testing.assert_array_equal(ranks_by(mean), ranks)


@settings(deadline=None)
@given(matrices())
def test_pairs_and_layers_against_pandas(r: np.ndarray) -> None:
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
    for (_, subject), values in layer_rows(data):
        column = frame[subject]
        assert values["n_undefined"] == column.isna().sum()
        assert values["mean_r"] == pytest.approx(column.mean(), nan_ok=True)
        assert values["sd_r"] == pytest.approx(column.std(), nan_ok=True)
        assert values["q25_r"] == pytest.approx(column.quantile(0.25), nan_ok=True)


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
