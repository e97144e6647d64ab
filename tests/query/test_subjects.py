"""Summaries over some subjects, of more rows than DuckDB reads at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unitdb.query import Source, UnitSet, col, connect
from unitdb.schema import get_table

N_UNITS = 100_000
ROIS, SUBJECTS = ("V1", "V4"), ("S1", "S2", "S3", "S4", "S5", "S6")


@pytest.fixture(scope="module")
def r() -> np.ndarray:
    """Accuracies (n_rois, n_units, n_subjects): each NaN in a hundredth, some in all subjects."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.1, 0.2, (len(ROIS), N_UNITS, len(SUBJECTS))).clip(-1, 1)
    values[rng.random(values.shape) < 0.01] = np.nan
    values[rng.random(values.shape[:2]) < 0.01] = np.nan
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def source(r: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A layer in forty row groups, which two threads would read out of order if they might."""
    partition = ("sim", "perception", "net", "fc")
    keys = ("dataset", "condition", "model", "layer")
    folder = tmp_path_factory.mktemp("accuracy")
    for key, name in zip(keys, partition, strict=True):
        folder /= f"{key}={name}"
    folder.mkdir(parents=True)
    n = r.size
    columns = {key: [name] * n for key, name in zip(keys, partition, strict=True)} | {
        "roi": np.repeat(ROIS, n // len(ROIS)),
        "unit": np.tile(np.repeat(np.arange(N_UNITS), len(SUBJECTS)), len(ROIS)),
        "subject": np.tile(SUBJECTS, n // len(SUBJECTS)),
        "r": pa.array(r.ravel(), from_pandas=True),
        "build": ["b"] * n,
        "reliability": pa.nulls(n),
    }
    schema = get_table("accuracy").arrow_schema()
    arrays = [pa.array(columns[field.name]).cast(_plain(field.type)) for field in schema]
    path = folder / "part-0.parquet"
    table = pa.table([a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
    pq.write_table(table, path, row_group_size=30_000)
    connection = connect({"accuracy": [str(path)]})
    return Source(
        connect=lambda: connection,
        label="some@1.0.0",
        citation="None",
        simulated=True,
        known={"roi": ROIS, "subject": SUBJECTS},
        partitions=[partition],
        subjects={"sim": SUBJECTS},
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("subjects", [["S2"], ["S1", "S6"], ["S5", "S2", "S3"], list(SUBJECTS)])
@pytest.mark.parametrize("roi", [None, "V4"])
def test_they_are_those_of_numpy(r: np.ndarray, source: Source, subjects, roi) -> None:
    found = UnitSet(source, {"roi": roi}, subjects=subjects).to_pandas()
    chosen = [SUBJECTS.index(subject) for subject in subjects]
    rois = [ROIS.index(name) for name in ROIS if roi in (None, name)]
    some = r[rois][:, :, chosen].reshape(-1, len(chosen)).astype(np.float64)
    assert found["unit"].tolist() == list(range(N_UNITS)) * len(rois)
    assert (found["n_subjects"] == (~np.isnan(some)).sum(1)).all()
    for column, expected in (
        ("mean_r", np.nanmean(some, axis=1)),
        ("sd_r", np.nanstd(some, axis=1, ddof=1)),
        ("min_r", np.nanmin(some, axis=1)),
        ("max_r", np.nanmax(some, axis=1)),
    ):
        np.testing.assert_allclose(found[column].astype(float), expected, atol=1e-7)


def test_what_is_asked_of_them_is_of_them(r: np.ndarray, source: Source) -> None:
    units = UnitSet(source, {"roi": "V1"}, subjects=["S1", "S4"])
    with np.errstate(invalid="ignore"):
        mean = np.where(np.isnan(r[0, :, [0, 3]]), 0, r[0, :, [0, 3]]).sum(0) / np.maximum(
            (~np.isnan(r[0, :, [0, 3]])).sum(0), 1
        )
    best = units.top(20).to_pandas()
    assert best["unit"].tolist() == np.argsort(-mean, kind="stable")[:20].tolist()
    assert units.where(col.mean_r > 0.5).count() == (mean.astype(np.float32) > 0.5).sum()
    everywhere = units.where(every_subject=True).count()
    assert everywhere == (~np.isnan(r[0, :, [0, 3]])).all(0).sum()
