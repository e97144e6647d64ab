"""Ids of stimuli from their numbers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from hypothesis import given, strategies as st

from unitdb.errors import DatasetError
from unitdb.responses.naming import Numbered, StimulusNaming, array_ids, read_names, stimulus_id
from unitdb.responses.selectors import parse


@given(category=st.integers(1, 99_999_999), picture=st.integers(0, 999_999))
def test_imagenet_names_come_back(category, picture):
    value = float(f"{category}.{picture:06d}")
    name = f"n{category:08d}_{picture}"
    assert stimulus_id(value, Numbered(pattern="imagenet"), where="") == name
    category_of = stimulus_id(value, Numbered(pattern="imagenet-category"), where="")
    assert name.startswith(f"{category_of}_")


@pytest.mark.parametrize(
    ("value", "pattern", "expected"),
    [
        (3.0, "image_{:04d}", "image_0003"),
        (1518878.005958, "n{:.6f}", "n1518878.005958"),
        (1443537.022563, "imagenet", "n01443537_22563"),
        (1443537.0, "imagenet-category", "n01443537"),
    ],
)
def test_patterns(value, pattern, expected):
    assert StimulusNaming(pattern=pattern).pattern == pattern
    assert stimulus_id(value, Numbered(pattern=pattern), where="") == expected


@pytest.mark.parametrize(
    ("value", "naming", "message"),
    [
        (1.5, {"pattern": "image_{:04d}"}, "it is 1.5, but the pattern .* takes whole numbers"),
        (float("nan"), {"pattern": "imagenet"}, "it is missing"),
        (2.0, {"names": {1.0: "cat"}}, "it is 2, which has no name"),
        (float("nan"), {"names": {1.0: "cat"}}, "it is nan, which has no name"),
    ],
)
def test_numbers_that_name_nothing(value, naming, message):
    with pytest.raises(DatasetError, match=message):
        stimulus_id(value, Numbered(**naming), where="it")


def test_a_table_of_names_is_looked_through_once_for_a_column():
    """Not once a row: 10,000 rows and 30,000 names took 78 s."""
    seen = 0

    class Names(dict[float, str]):
        def __iter__(self):
            nonlocal seen
            seen += 1
            return super().__iter__()

    names = Names({float(number): f"n{number}" for number in range(100)})
    assert array_ids(np.arange(100.0), names=names, where="it") == list(names.values())
    assert seen == 1


@pytest.mark.parametrize("pattern", ["{:d}{:d}", "{0.__class__}", "imagenet-categories", "{:999d}"])
def test_patterns_are_formats_of_one_number(pattern):
    with pytest.raises(ValueError, match="pattern"):
        StimulusNaming(pattern=pattern)


@pytest.fixture
def _own_limit():
    """Python's own limit of a cell, which other packages change for the whole process."""
    limit = csv.field_size_limit(131_072)
    yield
    csv.field_size_limit(limit)


@pytest.mark.usefixtures("_own_limit")
def test_tables_of_names(tmp_path):
    table = tmp_path / "names.tsv"
    table.write_text("stim_id\tname\n1443537.0225630001\tfish\n\n2\tdog\textra\n")
    assert read_names(table) == {1443537.022563: "fish", 2.0: "dog"}
    table.write_text("1,cat\n1,dog\n")
    with pytest.raises(DatasetError, match="line 2: 1 stands for two ids"):
        read_names(table)
    table.write_text("1,cat\n2," + "d" * 200_000)
    with pytest.raises(DatasetError, match=r"names\.tsv: line 2: cannot be read: field larger"):
        read_names(table)


@pytest.mark.robust(
    "arrays",
    given="ids stored in a type that has not all of them: 16777217 in single precision, 2⁵³ + 1 in "
    "double or as a number for `pattern`, 1443537.022563 in single",
    before="the ids 16777216, 9007199254740992 and n01443537_0: those of other pictures",
    now="an error that names the row and the type",
)
@pytest.mark.parametrize(
    ("value", "kind", "naming", "message"),
    [
        (2**24 + 1, np.float32, {}, "row 0 is 16777216, no whole number that a float32 tells"),
        (2**53 + 1, np.float64, {}, "is 9.00719925474099e.15, no whole number that a float64"),
        (2049, np.float16, {}, "is 2048, no whole number that a float16"),
        (2**24 + 1, np.float32, {"pattern": "i{:d}"}, "row 0 is 16777216 in float32, which has no"),
        (2**53 + 1, np.int64, {"pattern": "i{:d}"}, "is 9.00719925474099e.15 in float64, which"),
        (2**53 + 1, np.uint64, {"names": {2.0**53: "cat"}}, "in float64, .* by names cannot"),
        (2**24 + 1, np.float32, {"names": {2.0**24: "cat"}}, "in float32, .* by names cannot"),
        (1443537.022563, np.float32, {"pattern": "imagenet"}, "row 0 is 1443537 in float32"),
        (1443537.9, np.float32, {"pattern": "imagenet-category"}, "nearer to it than 0.125"),
        (1518.005958, np.float32, {"pattern": "n{:.6f}"}, "by 'n{:.6f}' cannot be told"),
        (1443537.022563, np.float32, {"names": {1443537.0: "a", 0.5: "b"}}, "by names cannot"),
    ],
)
def test_numbers_that_their_type_does_not_have_name_nothing(value, kind, naming, message):
    with pytest.raises(DatasetError, match=message):
        array_ids(np.array([value], kind), where="it", **naming)


@pytest.mark.parametrize(
    ("value", "kind", "naming", "expected"),
    [
        (2**24 - 1, np.float32, {}, "16777215"),
        (2**53 - 1, np.float64, {}, "9007199254740991"),
        (2**63 - 1, np.int64, {}, "9223372036854775807"),
        (2047, np.float16, {}, "2047"),
        (2**24 - 1, np.float32, {"pattern": "i{:d}"}, "i16777215"),
        (1.25, np.float32, {"pattern": "n{:.2f}"}, "n1.25"),
        (1.1, np.float32, {"names": {1.1: "cat"}}, "cat"),
        (1443537.022563, np.float64, {"pattern": "imagenet"}, "n01443537_22563"),
    ],
)
def test_numbers_that_their_type_has_are_ids(value, kind, naming, expected):
    assert array_ids(np.array([value], kind), where="it", **naming) == [expected]


def test_conditions_name_numbers_that_there_are():
    parse("label = 9007199254740991")
    with pytest.raises(ValueError, match="9007199254740993 is too large to be told exactly"):
        parse("label = 9007199254740993")


@pytest.mark.robust(
    "arrays",
    given="`names` whose first row is a mistake: `#N/A,cat`, `missing,cat`, `TRUE,cat`, `l,cat`",
    before="taken for a header: its picture had no name, or the row was missed by nobody",
    now="an error; headers are usual names of columns, or what dataset.yaml calls the numbers",
)
@pytest.mark.parametrize("end", [",", "\t"])
@pytest.mark.parametrize(
    "word",
    ["#N/A", "missing", "TRUE", "l", "O", "I", "one", "# number", "-", "x", "cat", "no", "Var1"],
)
def test_headers_are_known_by_name(tmp_path, word, end):
    table = tmp_path / "names.csv"
    table.write_text(f"{word}{end}cat\n2{end}dog\n")
    with pytest.raises(DatasetError, match=r"names\.csv: line 1: expected a number and an id, or"):
        read_names(table)
    assert read_names(table, column=word) == {2.0: "dog"}


@pytest.mark.parametrize(
    "word", ["number", "id", "Image_Index", "stimulus_id", "stim_id", "category id", "index"]
)
def test_headers_of_names(tmp_path, word):
    table = tmp_path / "names.csv"
    table.write_text(f"{word},name\n2,dog\n")
    assert read_names(table) == {2.0: "dog"}
    table.write_text(f"1,cat\n{word},dog\n")
    with pytest.raises(DatasetError, match="line 2: expected a number and an id: "):
        read_names(table)


def test_numbers_of_names_are_exact(tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("1,cat\n9007199254740993,dog\n")
    with pytest.raises(DatasetError, match="line 2: 9007199254740993 is too large to be told"):
        read_names(table)
