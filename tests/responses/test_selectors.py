import numpy as np
import pytest

from unitdb.responses.selectors import evaluate, keys_of, parse

VALUES = {"a": [1, 0, 1, 0], "b": [1, 1, 0, 0], "c": [np.nan, 2, -1, 1]}


def holds(text):
    return evaluate(parse(text), lambda key: np.array([VALUES[key]], dtype=float)).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [1, 0, 1, 0]),
        ("a = 0", [0, 1, 0, 1]),
        ("c=2", [0, 1, 0, 0]),
        ("c = -1 | c = 1", [0, 0, 1, 1]),
        ("a | b & b", [1, 1, 0, 0]),  # from left to right
        ("a | (b & b)", [1, 1, 1, 0]),
        ("a - b", [0, 0, 1, 0]),
        ("'a' + \"b\" = 1", [1, 1, 1, 0]),
        ("((a))", [1, 0, 1, 0]),
        ("a - ((b | b) | a)", [0, 0, 0, 0]),
        ("(a - (b | b)) | a", [1, 0, 1, 0]),
    ],
)
def test_conditions(text, expected):
    assert holds(text) == [bool(value) for value in expected]


def test_long_conditions_and_deep_ones():
    assert holds(" + ".join(["a"] * 5000)) == holds("a")
    assert holds("(" * 5000 + "a" + ")" * 5000) == holds("a")
    assert keys_of(parse("(a = 1) - b")) == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a key is missing at the end"),
        ("a |", "a key is missing at the end"),
        ("(a", r"a closing \) is missing"),
        ("a)", r"expected one of .* not '\)'"),
        ("a b", "expected one of .* not 'b'"),
        ("| a", r"expected a key or \(, not '\|'"),
        ("a = b", "expected a number after a ="),
        ("a =", "expected a number after a ="),
        ("a = nan", "expected a number"),
        ("a = 1 = 1", "expected one of"),
        ("'a", "a quote is not closed"),
        ("VoxelData top 100 @ a", "chooses voxels by rank"),
        ("()", r"expected a key or \(, not '\)'"),
        ("__import__('os')", "expected one of"),
    ],
)
def test_conditions_that_cannot_be_read_say_why(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)
