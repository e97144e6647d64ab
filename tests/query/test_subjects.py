"""Summaries over some subjects, of more rows than DuckDB reads at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unitdb.errors import QueryError
from unitdb.query import Layer, Source, UnitSet, _clauses, col, connect
from unitdb.schema import get_table

N_UNITS = 40_000
PARTITION = ("sim", "perception", "net", "fc")
LAYER = Layer(model="net", layer="fc", depth=0, kind="Linear", shape=(N_UNITS,))
ROIS, SUBJECTS = ("V1", "V2", "V3", "V4", "V5", "V6"), ("S1", "S2", "S3", "S4", "S5", "S6")


@pytest.fixture(scope="module")
def r() -> np.ndarray:
    """Accuracies (n_rois, n_units, n_subjects): each NaN in a hundredth, some in all subjects."""
    rng = np.random.default_rng(0)
    values = rng.normal(0.1, 0.2, (len(ROIS), N_UNITS, len(SUBJECTS))).clip(-1, 1)
    values[rng.random(values.shape) < 0.01] = np.nan
    values[rng.random(values.shape[:2]) < 0.01] = np.nan
    return values.astype(np.float32)


def written(r: np.ndarray, folder: Path, *, without: int | None = None) -> dict[str, list[str]]:
    """A layer in many row groups, which two threads would read out of order if they might."""
    keys = ("dataset", "condition", "model", "layer")
    for key, name in zip(keys, PARTITION, strict=True):
        folder /= f"{key}={name}"
    folder.mkdir(parents=True)
    n = r.size
    columns = {key: [name] * n for key, name in zip(keys, PARTITION, strict=True)} | {
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
    if without is not None:
        table = pa.concat_tables([table[:without], table[without + 1 :]])
    pq.write_table(table, path, row_group_size=30_000)
    return {"accuracy": [str(path)]}


def source_of(files: dict[str, list[str]], memory: str | None = None) -> Source:
    connection = connect(files, memory=memory)
    return Source(
        connect=lambda: connection,
        label="some@1.0.0",
        citation="None",
        simulated=True,
        known={"roi": ROIS, "subject": SUBJECTS},
        partitions=[PARTITION],
        subjects={"sim": SUBJECTS},
        layers=lambda: [LAYER],
    )


@pytest.fixture(scope="module")
def files(r: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return written(r, tmp_path_factory.mktemp("accuracy"))


@pytest.fixture(scope="module")
def source(files: dict[str, list[str]]) -> Source:
    return source_of(files)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:Degrees of freedom")
@pytest.mark.filterwarnings("ignore:All-NaN slice")
@pytest.mark.parametrize("subjects", [["S2"], ["S1", "S6"], ["S5", "S2", "S3"], list(SUBJECTS)])
@pytest.mark.parametrize("roi", [None, "V4", list(ROIS[:5])])
@pytest.mark.parametrize("piece", [2**20, 9_999])
def test_they_are_those_of_numpy(
    r: np.ndarray, source: Source, monkeypatch: pytest.MonkeyPatch, subjects, roi, piece
) -> None:
    monkeypatch.setattr(_clauses, "_PIECE", piece)
    found = UnitSet(source, {"roi": roi}, subjects=subjects).to_pandas()
    chosen = [SUBJECTS.index(subject) for subject in subjects]
    rois = [i for i, name in enumerate(ROIS) if roi is None or name == roi or name in list(roi)]
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


@pytest.mark.parametrize("rois", [None, list(ROIS)])
@pytest.mark.parametrize("subjects", [["S1", "S6"], list(SUBJECTS)])
def test_they_take_no_memory_for_all_units(files, rois, subjects) -> None:
    units = UnitSet(source_of(files, "24MB"), {"roi": rois}, subjects=subjects)
    assert units.count() == len(ROIS) * N_UNITS
    assert units.histogram()["n_units"].sum() == units.where(col.mean_r >= -1).count()


@pytest.mark.parametrize("without", [0, 1, 100_001])
def test_a_row_that_is_missing_is_no_wrong_number(r, tmp_path: Path, without: int) -> None:
    broken = source_of(written(r, tmp_path, without=without))
    units = UnitSet(broken, subjects=["S1", "S2", "S3", "S4", "S5", "S6"])
    with pytest.raises(QueryError, match="missing or out of order: unitdb verify"):
        units.count()
