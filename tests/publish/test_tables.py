from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from tests.tiny import SHA, accuracies, arrow, small_tables
from unitdb.errors import SchemaError, UnknownTableError
from unitdb.publish import tables, write_partition, write_table
from unitdb.schema import TABLES

KEYS = {"dataset": "sim-a", "condition": "perception", "model": "net", "layer": "fc"}


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """Rows of the accuracy partition ``KEYS``, in order."""
    accuracy = accuracies()
    for column, value in KEYS.items():
        accuracy = accuracy[accuracy[column] == value]
    accuracy = accuracy.sort_values(["roi", "unit", "subject"])
    return accuracy.to_dict("records")


def test_table_is_sorted_by_its_key(tmp_path: Path) -> None:
    subjects = small_tables()["subjects"]
    path = write_table(tmp_path, "subjects", arrow("subjects", subjects[::-1]))
    assert path == tmp_path / "subjects.parquet"
    assert pq.ParquetFile(path).read().to_pylist() == subjects


def test_partition_reads_back_as_it_was(tmp_path: Path, rows: list[dict]) -> None:
    data = arrow("accuracy", rows)
    path = write_partition(tmp_path, "accuracy", KEYS, data)
    folder = "accuracy/dataset=sim-a/condition=perception/model=net/layer=fc"
    assert path == tmp_path / folder / "part-0.parquet"
    found = pq.ParquetFile(path).read()
    assert found.schema.equals(TABLES["accuracy"].arrow_schema())
    assert found.to_pylist() == data.to_pylist()


def test_names_stay_dictionaries_and_files_are_zstd(tmp_path: Path, rows: list[dict]) -> None:
    path = write_partition(tmp_path, "accuracy", KEYS, arrow("accuracy", rows))
    file = pq.ParquetFile(path)
    assert file.schema_arrow.field("roi").type == pa.dictionary(pa.int32(), pa.string())
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.metadata.metadata[b"unitdb:table"] == b"accuracy"


@pytest.mark.parametrize("size", [1, 7, 60])
def test_row_groups_do_not_change_rows(
    tmp_path: Path, rows: list[dict], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP_SIZE", size)
    data = arrow("accuracy", rows)
    file = pq.ParquetFile(write_partition(tmp_path, "accuracy", KEYS, data))
    assert file.num_row_groups == -(-len(rows) // size)
    assert file.read().to_pylist() == data.to_pylist()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_bytes_depend_on_rows_alone(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], data: st.DataObject
) -> None:
    """Neither chunks nor the order of dictionaries, nor names that do not occur, change bytes."""
    folder = tmp_path_factory.mktemp("bytes")
    plain = arrow("accuracy", rows)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    other = plain
    for column, occurring in (("layer", [KEYS["layer"]]), ("roi", ["V1", "V4"])):
        names = data.draw(st.permutations([*occurring, "unused"]))
        codes = pa.array([names.index(row[column]) for row in rows], pa.int32())
        place = plain.schema.get_field_index(column)
        array = pa.DictionaryArray.from_arrays(codes, pa.array(names))
        other = other.set_column(place, plain.schema.field(column), array)
    bounds = [0, *cuts, len(rows)]
    parts = [other.slice(a, b - a) for a, b in pairwise(bounds)]
    first = write_partition(folder / "a", "accuracy", KEYS, plain)
    second = write_partition(folder / "b", "accuracy", KEYS, pa.concat_tables(parts))
    assert first.read_bytes() == second.read_bytes()


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), size=st.integers(1, 61))
def test_pieces_give_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict], cuts: list[int], size: int
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    data = arrow("accuracy", rows)
    borders = [0, *sorted(cuts), len(rows)]
    pieces = (arrow("accuracy", rows[low:high]) for low, high in pairwise(borders))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROW_GROUP_SIZE", size)
        whole = write_partition(folder / "whole", "accuracy", KEYS, data)
        cut = write_partition(folder / "cut", "accuracy", KEYS, pieces)
    assert cut.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("cut", [1, 10, 59])
def test_order_is_checked_across_pieces(tmp_path: Path, rows: list[dict], cut: int) -> None:
    pieces = [arrow("accuracy", rows[cut:]), arrow("accuracy", rows[:cut])]
    with pytest.raises(SchemaError, match=rf"stands before .*\(row {len(rows) - cut - 1}\)"):
        write_partition(tmp_path, "accuracy", KEYS, iter(pieces))
    assert list(tmp_path.iterdir()) == []


def _swap(rows: list[dict]) -> list[dict]:
    return [rows[1], rows[0], *rows[2:]]


def _set(index: int, **values: object):
    return lambda rows: [*rows[:index], {**rows[index], **values}, *rows[index + 1 :]]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_swap, r"sim-a/perception/net/fc/V1/0/S2 stands before .*/V1/0/S1"),
        (lambda rows: [rows[0], *rows], "V1/0/S1 stands twice"),
        (_set(3, r=np.nan), "NaN"),
        (_set(3, r=1.5), "above the maximum"),
        (_set(3, unit=-1), "below the minimum"),
        (_set(3, build="no hash"), "does not match"),
        (_set(3, roi=None), "NULL where none is allowed"),
        (_set(0, dataset="sim-b"), "column 'dataset' also holds"),
        (lambda rows: rows[:0], "at least one row"),
    ],
)
def test_partition_that_breaks_the_schema_is_not_written(
    tmp_path: Path, rows: list[dict], damage, message: str
) -> None:
    data = pa.Table.from_pylist(damage(rows), schema=TABLES["accuracy"].arrow_schema())
    with pytest.raises(SchemaError, match=message):
        write_partition(tmp_path, "accuracy", KEYS, data)
    assert list(tmp_path.iterdir()) == []


def test_table_with_a_repeated_key_is_not_written(tmp_path: Path) -> None:
    layers = small_tables()["layers"]
    with pytest.raises(SchemaError, match="net/fc stands twice"):
        write_table(tmp_path, "layers", arrow("layers", [*layers, layers[1]]))
    assert list(tmp_path.iterdir()) == []


def test_columns_must_be_those_of_the_schema(tmp_path: Path) -> None:
    data = arrow("layers", small_tables()["layers"]).drop_columns(["kind"])
    with pytest.raises(SchemaError, match="expected model, layer, depth, module, kind"):
        write_table(tmp_path, "layers", data)


def test_doors_are_not_confused(tmp_path: Path, rows: list[dict]) -> None:
    data = arrow("accuracy", rows)
    with pytest.raises(SchemaError, match="write_partition"):
        write_table(tmp_path, "accuracy", data)
    with pytest.raises(SchemaError, match="partitioned by nothing"):
        write_partition(tmp_path, "layers", {}, arrow("layers", small_tables()["layers"]))
    with pytest.raises(SchemaError, match="partitioned by dataset, condition, model, layer"):
        write_partition(tmp_path, "accuracy", {"dataset": "sim-a"}, data)
    with pytest.raises(UnknownTableError, match="did you mean 'accuracy'"):
        write_table(tmp_path, "acuracy", data)


def test_null_is_kept(tmp_path: Path) -> None:
    rows = small_tables()["builds"]
    rows[0]["n_folds"] = None
    path = write_table(tmp_path, "builds", arrow("builds", rows))
    assert pq.ParquetFile(path).read()["n_folds"].to_pylist() == [None, 5]
    assert rows[0]["code_sha256"] == SHA


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = arrow("layers", small_tables()["layers"])
    path = write_table(tmp_path, "layers", layers)
    before = path.read_bytes()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full_disk)
    with pytest.raises(OSError, match="disk full"):
        write_table(tmp_path, "layers", layers.slice(0, 1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
