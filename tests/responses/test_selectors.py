import numpy as np
import pytest

from unitdb.errors import DatasetError
from unitdb.responses.selectors import evaluate, keys_of, parse

VALUES = {"a": [1, 0, 1, 0], "b": [1, 1, 0, 0], "c": [np.nan, 2, -1, 1], "n": [np.nan]}
VALUES["many"] = list(range(8))


def holds(text):
    values = lambda key: np.array([VALUES[key]], dtype=float)  # noqa: E731
    return evaluate(parse(text), values, where="VALUES").tolist()


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


@pytest.mark.robust(
    "arrays",
    given="a condition in `rows` or `rois`, one of whose values nothing has: `kind = 1 | kind = 9`",
    before="read: took what the other values have; an exclusion (`- Run = 99`) excluded nothing",
    now="one error with the nearest values that there are",
)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1 | c = 3", r"VALUES: nothing has c = 3; there are: -1, 1, 2$"),
        ("a - c = 1.5", r"nothing has c = 1\.5; there are: -1, 1, 2$"),
        ("a + b = 2", r"nothing has b = 2; there are: 0, 1$"),
        ("n = 1", r"nothing has n = 1; there is: no number$"),
        ("many = 3.5", r"nothing has many = 3\.5; there are: 1, 2, 3, 4, 5, … \(8 values\)$"),
    ],
)
def test_a_value_that_nothing_has_is_named(text, message):
    with pytest.raises(DatasetError, match=message):
        holds(text)
