import pytest
from hypothesis import given, strategies as st

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
        ("a: &x [1]\nb: *x", "aliases"),
        ("path: a\npath: b", "'path' stands twice"),
        ("{[1]: 2}", "not valid YAML"),
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


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(RecipeError, match=r"x\.yaml: no such file"):
        read_spec(tmp_path / "x.yaml", Outer, RecipeError)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_spec(tmp_path, Outer, RecipeError)


KEYS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5)


@given(content=KEYS)
def test_equal_content_has_equal_json_whatever_its_order(content):
    backwards = dict(reversed(content.items()))
    assert canonical_json(content) == canonical_json(backwards)
    assert content_sha256({"inner": Inner()}) == content_sha256({"inner": {"voxels": 1}})
