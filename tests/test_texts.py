"""Text files as people and programs write them: every row is read, or its line is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from tests.activations.test_features import IDS, spec as features, write as write_features
from unitdb.activations.features import load_features
from unitdb.errors import ActivationsError, DatasetError
from unitdb.responses.naming import read_names
from unitdb.responses.stimuli import named_stimuli
from unitdb.responses.stimuli_spec import NamedStimuli
from unitdb.texts import fits, is_missing, number, read_list, read_table


def table(path, content):
    path.write_bytes(content)
    return read_table(path, error=DatasetError)


CELLS = ("001", "1e5", "NA", "nan", "None", "true", "n/a", "-1.5", "#1", 'in 5" disks', "a,b")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize("last", [True, False])
def test_every_row_of_a_table_is_read_as_text(tmp_path, end, mark, quoted, last):
    cells = ['"' + cell.replace('"', '""') + '"' if quoted else cell for cell in CELLS]
    lines = ["onset\tid", *(f"{place}\t{cell}" for place, cell in enumerate(cells))]
    content = mark + end.join(lines) + (end if last else "")
    found = table(tmp_path / "t.tsv", content.encode())
    assert found.columns == ["onset", "id"]
    assert [row["id"] for _, row in found.rows] == list(CELLS)
    assert [row["onset"] for _, row in found.rows] == [str(n) for n in range(len(CELLS))]


@given(
    rows=st.lists(
        st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2, max_size=2),
        min_size=1,
        max_size=8,
    )
)
def test_what_pandas_writes_comes_back_or_its_line_is_named(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(path, sep="\t", index=False)
    try:
        found = read_table(path, error=DatasetError)
    except DatasetError as error:
        assert ": line " in str(error)  # noqa: PT017 - either way is right
    else:
        expected = [[cell.strip() for cell in row] for row in rows]
        assert [[row["a"], row["b"]] for _, row in found.rows] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a\tb\n1\t2\nx\xe9\t1\n", r"line 3: the byte 0xe9 is not UTF-8"),
        ("a\tb\n1\t2\n".encode("utf-16"), r"line 1: the byte 0xff is not UTF-8"),
        ("a\tb\n1\t2\n".encode("utf-16-le"), r"line 1: holds a NUL character"),
        ("a\tb\n1\t2\n\ufeff3\t4\n".encode(), r"line 3: holds a byte order mark"),
        (b'a\tb\n"1\t2\n3\t4\n', r"line 2: cannot be read: a quote is not closed"),
        (b'a\tb\n1\t"2\n3"\t4\n', r"line 2: a cell in quotes does not end on its line"),
        (b'a\tb\n"1"x\t2\n', r"line 2: cannot be read: .* expected after"),
        (b"a\tb\n1\t2\t3\n", r"line 2: has 3 cells, the header has 2"),
        (b"a\tb\n1\t2\n3\n", r"line 3: has 1 cells, the header has 2"),
        (b"a\n1\n\n3\n", r"line 3: is empty"),
        (b"a\tb\ta\n", r"the column 'a' stands twice"),
        (b"a\t a\n", r"the column 'a' stands twice"),
    ],
)
def test_rows_that_cannot_be_known_are_named(tmp_path, content, message):
    with pytest.raises(DatasetError, match=message):
        table(tmp_path / "t.tsv", content)


def test_what_is_no_row_is_passed_over(tmp_path):
    found = table(tmp_path / "t.tsv", b"\na\tb\t\t\n\n1\t2\t\t\n\n\n")
    assert found.rows == [(4, {"a": "1", "b": "2", "": ""})]
    assert table(tmp_path / "t.tsv", b"").rows == []
    assert table(tmp_path / "t.tsv", b"a\n1\n\n\n").rows == [(2, {"a": "1"})]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        *[("1", 1.0), ("-1.5", -1.5), ("+2.", 2.0), (".5", 0.5), ("1e-3", 0.001)],
        *[
            (text, None)
            for text in ("", "n/a", "nan", "inf", "1_000", "1,5", "１", "1e999", "0x10")
        ],
    ],
)
def test_numbers_are_plain_digits(cell, value):
    assert number(cell) == value


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a[1].png", "a[1].png", True),
        ("x/a[1].png", "*[1].png", True),
        ("a1.png", "a[1].png", False),
        ("axb", "a?b", False),
        ("a\nb", "a*b", True),
        ("ab", "a", False),
        ("A", "a*", False),
        ("", "*", True),
    ],
)
def test_a_star_stands_for_anything(name, pattern, expected):
    assert fits(name, pattern) == expected


def test_missing_is_what_bids_calls_so():
    assert [is_missing(cell) for cell in ("n/a", "N/A", "", "NA", "nan", "0")] == [True] * 3 + [
        False
    ] * 3


@pytest.mark.robust(
    "BIDS",
    given="a byte order mark before `names` without header, or a first row that is wrong",
    before="the first row was taken for a header: its picture had no name",
    now="every row is read; a first row with digits, or n/a, that holds no number is named",
)
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_no_row_of_names_is_lost(tmp_path, end):
    path = tmp_path / "names.csv"
    path.write_bytes(("\ufeff" + end.join(["1,001", "2,NA", '3,"a,b"', ""])).encode())
    assert read_names(path) == {1.0: "001", 2.0: "NA", 3.0: "a,b"}
    path.write_bytes(("\ufeff" + end.join(["number,id", "2,true"])).encode())
    assert read_names(path) == {2.0: "true"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        *[
            (f"{word},cat\n2,dog\n", "line 1: expected a number")
            for word in ("n/a", "l2", "", "nan")
        ],
        ("1,cat\n2\n", "line 2: expected a number and an id: '2'"),
        ("1,cat\n2,\n", "line 2: expected a number and an id: '2, '"),
        ("1,cat\n1_0,dog\n", "line 2: expected a number and an id"),
        ("1;cat\n2;dog\n", "line 1: expected a number and an id"),
        ("1\tcat\n2,dog\n", "line 2: expected a number and an id"),
        ("1,cat\n2,dog, brown\n", "line 2: has 3 cells; an id with commas stands in quotes"),
        ("1,cat\ntotal,2\n", "line 2: expected a number and an id"),
    ],
)
def test_a_row_of_names_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "names.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_names(path)


@pytest.mark.robust(
    "arrays",
    given="lists of stimuli with a byte order mark, CR line ends, quotes, empty lines in them",
    before="'\\ufeffcat' and '\"cat\"' were ids; names after an empty line belonged to other rows",
    now="names as they were meant; an empty line that something follows is named",
)
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lists_of_stimuli(tmp_path, end):
    path = tmp_path / "stimuli.txt"
    path.write_bytes(
        ("\ufeff" + end.join(['"cat"', "001", "NA", "a, b", "x\u2028y", "", ""])).encode()
    )
    spec = NamedStimuli(kind="names", file="stimuli.txt")
    assert named_stimuli(spec, tmp_path).ids == ("cat", "001", "NA", "a, b", "x\u2028y")
    for content, message in (
        ("a\n\nb\n", "line 2: is empty"),
        ("a\n1\tb\n", "line 2: expected one"),
    ):
        path.write_text(content)
        with pytest.raises(DatasetError, match=message):
            named_stimuli(spec, tmp_path)
    with pytest.raises(DatasetError, match="no such file"):
        read_list(tmp_path / "none.txt", error=DatasetError)


def test_lists_of_stimuli_of_features(tmp_path):
    write_features(tmp_path / "f", "stacked")
    path = tmp_path / "f" / "stimuli.txt"
    path.write_bytes("\ufeff".encode() + path.read_bytes().replace(b"\n", b"\r"))
    assert tuple(
        load_features(features(format="stacked"), folder=tmp_path).tables["c1"].ids
    ) == tuple(IDS)
    path.write_text("\n".join([*IDS[:2], "", *IDS[2:]]))
    with pytest.raises(ActivationsError, match=r"stimuli\.txt: line 3: is empty"):
        load_features(features(format="stacked"), folder=tmp_path)
    assert np.load(tmp_path / "f" / "conv1.npy").shape[0] == len(IDS)
