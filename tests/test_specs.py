from typing import Literal

import pytest
from hypothesis import given, strategies as st
from pydantic import JsonValue, ValidationError

from unitdb.errors import RecipeError
from unitdb.specs import RelativePath, Spec, canonical_json, content_sha256, read_spec


class Inner(Spec):
    voxels: int = 1


class Outer(Spec):
    path: RelativePath = "a"
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {voxel: 3}", "unknown key 'inner.voxel'; did you mean 'voxels'"),
        ("inner: {zebra: 3}", "unknown key 'inner.zebra'; keys are: voxels"),
        ("inner: {voxels: many}", "inner.voxels: .*got 'many'"),
        ("path: ../x", "path: must be a relative path"),
        ("path: /x", "path: must be a relative path"),
        ("path: a/../../x", "path: must be a relative path"),
        ("path: 'C:\\x'", "path: must be a relative path"),
        ("path: ''", "path: must be a relative path"),
        ('path: "a\\tb"', "path: must be a path without control characters"),
        ('path: "a\\nb"', "path: must be a path without control characters"),
        ("a: &x [1]\nb: *x", "aliases"),
        ("path: a\npath: b", "'path' stands twice"),
        ("{[1]: 2}", "not valid YAML"),
        ("&a [*a]", "aliases"),
        ("path: !!python/object/apply:os.system ['true']", "not valid YAML"),
        ("path: [", "not valid YAML: line 1, column"),
        ("path: 2024-13-45", "not valid YAML"),
        ("path: " + 3000 * "[", "not valid YAML"),
        ("path: " + 5000 * "9", "not valid YAML"),
        ("path: !!timestamp foo", "not valid YAML"),
        ("path: !!float foo", "not valid YAML"),
        ("42", "must be a mapping"),
        ("", "must be a mapping"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=message) as raised:
        read_spec(path, Outer, RecipeError)
    assert str(raised.value).startswith(str(path))


@pytest.mark.robust(
    "recipes",
    given="`n_voxels: 999…`, an integer of 30 or 400 digits",
    before="taken as it is: tracebacks of whatever computed with it",
    now="an error with line and column: 64 bits do not hold it",
)
def test_integers_beyond_64_bits_are_refused(tmp_path):
    for number in (2**63, -(2**63) - 1, 10**30, 10**400):
        with pytest.raises(RecipeError, match=r"line 1, column \d+: an integer that 64 bits"):
            read_scalars(tmp_path, f"count: {number}")
    for number in (2**63 - 1, -(2**63)):
        assert read_scalars(tmp_path, f"count: {number}").count == number


@pytest.mark.robust(
    "recipes",
    given=r'`file: "a\0b.csv"`: a NUL or another control character in a path, a name or a key',
    before="`ValueError: embedded null byte`, a traceback, once the file was opened",
    now="an error with line, column and the character",
)
@pytest.mark.parametrize("escape", ["\\0", "\\a", "\\e", "\\x7f", "\\u009b"])
@pytest.mark.parametrize("text", ['path: "a{}b"', 'inner: {{"vox{}els": 3}}', 'other: ["{}"]'])
def test_control_characters_are_refused(tmp_path, text, escape):
    path = tmp_path / "spec.yaml"
    path.write_text(text.format(escape))
    with pytest.raises(RecipeError, match=r"line 1, column \d+: a control character \("):
        read_spec(path, Outer, RecipeError)
    with pytest.raises(ValidationError, match="without control characters"):
        Outer(path="a\0b")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(RecipeError, match=r"x\.yaml: no such file"):
        read_spec(tmp_path / "x.yaml", Outer, RecipeError)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_spec(tmp_path, Outer, RecipeError)
    with pytest.raises(RecipeError, match=r"cannot be read: .*null byte"):
        read_spec(tmp_path / "a\0b", Outer, RecipeError)


class Scalars(Spec):
    number: float = 0.0
    count: int = 0
    flag: bool = False
    text: str = ""
    either: int | Literal["all"] = "all"
    numbers: tuple[float, float] = (0, 0)
    options: dict[str, JsonValue] = {}  # noqa: RUF012 - pydantic copies it


def read_scalars(tmp_path, text):
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return read_spec(path, Scalars, RecipeError)


DIFFER = [
    *("yes", "no", "on", "off", "Yes", "NO", "On"),
    *("017", "0x1F", "0b11", "1:30", "190:20:30.15", "1_000", "+1_0", "1_0.5", "010.5"),
    *(".inf", "-.INF", ".nan", ".NaN", "2024-01-31", "2024-01-31 10:00:00", "=", "<<"),
]


@pytest.mark.robust(
    "recipes",
    given="`alpha: yes`, `seed: 017`, `1:30`, `1_000`, `.inf`, dates: YAML 1.1 and 1.2 differ",
    before="alpha 1.0, seed 15, 90, 1000: numbers that nobody wrote",
    now="an error with line, value and what to write instead",
)
@pytest.mark.parametrize("key", ["number", "count", "flag", "text", "either", "options"])
@pytest.mark.parametrize("scalar", DIFFER)
def test_scalars_that_programs_read_differently_are_refused(tmp_path, key, scalar):
    for text in (f"{key}: {scalar}", f"{key}: {{a: [{scalar}]}}", f"{scalar}: 1"):
        with pytest.raises(RecipeError, match=r"line 1, column \d+: programs read .* quotes"):
            read_scalars(tmp_path, text)


@pytest.mark.robust(
    "recipes",
    given="a value of another type: `alpha: true`, `voxels: 100.0`, `alpha: '5'`, `title: 2019`",
    before="alpha 1.0, 100 voxels, 5.0: one type was taken for another",
    now="an error with key and value",
)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number: true", "number: Input should be a valid number .got True"),
        ("number: '5'", "number: Input should be a valid number .got '5'"),
        ("number: 1e999", "number: .*finite"),
        ("number: null", "number: "),
        ("count: 100.0", "count: .*integer .got 100.0"),
        ("count: 1e2", "count: .*integer .got 100.0"),
        ("count: false", "count: .*integer .got False"),
        ("flag: 1", "flag: .*boolean .got 1"),
        ("flag: 'true'", "flag: .*boolean .got 'true'"),
        ("text: 2019", "text: .*string; put it in quotes .got 2019"),
        ("text: 1.10", "text: .*string; put it in quotes .got 1.1"),
        ("text: true", "text: .*string; put it in quotes .got True"),
        ("text: null", "text: .*string"),
        ("either: 5.0", "either.*got 5.0"),
        ("either: true", "either.*got True"),
        ("numbers: [1, true]", "numbers.1: .*got True"),
        ("numbers: {a: 1}", "numbers: "),
        ("options: {a: {1: 2}}", "the key '1' is no text: put it in quotes"),
        ("1: 2", "the key '1' is no text"),
        ("null: 2", "the key 'null' is no text"),
        ("options: {a: 1, 'a': 2}", "the key 'a' stands twice"),
        ("options: {<<: {a: 1}}", "programs read '<<'"),
        ("number: !!float 1_0", "tags"),
        ("flag: !!bool yes", "tags"),
        ("text: !!binary aGVsbG8=", "tags"),
        ("text: ! a", "tags"),
        ("options: !!set {a}", "tags"),
        ("number: 1\n---\nnumber: 2", "line 2"),
        ('text: "\\ud800"', "surrogate"),
    ],
)
def test_no_type_is_taken_for_another(tmp_path, text, message):
    with pytest.raises(RecipeError, match=message) as raised:
        read_scalars(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_what_is_written_plainly_is_read(tmp_path):
    text = """number: 1e2
count: -5
flag: false
text: "yes"
either: 5
numbers: [1, .5]
options: {no-op: {depth: [1, 2.5, null, true, "017", 1.0.0, sub-01, '1:30', x:y]}}
"""
    found = read_scalars(tmp_path, "\ufeff" + text)
    assert found.model_dump() == {
        "number": 100.0,
        "count": -5,
        "flag": False,
        "text": "yes",
        "either": 5,
        "numbers": (1.0, 0.5),
        "options": {
            "no-op": {"depth": [1, 2.5, None, True, "017", "1.0.0", "sub-01", "1:30", "x:y"]}
        },
    }


@pytest.mark.robust(
    "bounds",
    given="YAML of 100 MB, or 3,000 lists in each other",
    before="100 MB were read into memory whole; depth was `maximum recursion depth exceeded`",
    now="refused after the first million bytes, and at level 40, with the limit",
)
def test_long_and_deep_files_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    for text in ("options: " + 500_000 * "[", "options: " + 200_000 * "{a: ", 45 * "- " + "a"):
        with pytest.raises(RecipeError, match="more than 40 lists and mappings"):
            read_scalars(tmp_path, text)
    monkeypatch.setattr("unitdb.specs.parse_yaml", lambda _: pytest.fail("was parsed"))
    with (tmp_path / "spec.yaml").open("wb") as file:
        file.truncate(100_000_000)  # sparse: no bytes on the disk
    with pytest.raises(RecipeError, match="longer than 1,000,000 bytes"):
        read_spec(tmp_path / "spec.yaml", Scalars, RecipeError)


KEYS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5)


@given(content=KEYS)
def test_equal_content_has_equal_json_whatever_its_order(content):
    backwards = dict(reversed(content.items()))
    assert canonical_json(content) == canonical_json(backwards)
    assert content_sha256({"inner": Inner()}) == content_sha256({"inner": {"voxels": 1}})
