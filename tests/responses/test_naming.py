"""Ids of stimuli from their numbers."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, strategies as st

from unitdb.errors import DatasetError
from unitdb.responses.naming import StimulusNaming, read_names, stimulus_id


@given(category=st.integers(1, 99_999_999), picture=st.integers(0, 999_999))
def test_imagenet_names_come_back(category, picture):
    value = float(f"{category}.{picture:06d}")
    name = f"n{category:08d}_{picture}"
    assert stimulus_id(value, pattern="imagenet", where="") == name
    category_of = stimulus_id(value, pattern="imagenet-category", where="")
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
    assert stimulus_id(value, pattern=pattern, where="") == expected


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
        stimulus_id(value, where="it", **naming)


@pytest.mark.parametrize("pattern", ["{:d}{:d}", "{0.__class__}", "imagenet-categories", "{:999d}"])
def test_patterns_are_formats_of_one_number(pattern):
    with pytest.raises(ValueError, match="pattern"):
        StimulusNaming(pattern=pattern)


def test_tables_of_names(tmp_path):
    csv.field_size_limit(131_072)  # Python's own; other packages change it for the whole process
    table = tmp_path / "names.tsv"
    table.write_text("stim_id\tname\n1443537.0225630001\tfish\n\n2\tdog\textra\n")
    assert read_names(table) == {1443537.022563: "fish", 2.0: "dog"}
    table.write_text("1,cat\n1,dog\n")
    with pytest.raises(DatasetError, match="line 2: 1 stands for two ids"):
        read_names(table)
    table.write_text("1,cat\n2," + "d" * 200_000)
    with pytest.raises(DatasetError, match=r"names\.tsv: line 2: cannot be read: field larger"):
        read_names(table)
