from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.activations.conftest import write_model
from unitdb.activations import MODELS, ModelSpec, get_model
from unitdb.errors import RecipeError, UnknownModelError
from unitdb.specs import read_spec


def test_shipped_models():
    assert list(MODELS) == [f"efficientnet-lite{variant}" for variant in range(3)]
    layers = list(MODELS["efficientnet-lite0"].layers)
    assert layers == ["stem", *(f"block{n}" for n in range(16)), "head", "fc"]


def test_extra_models_stand_beside_those_of_unitdb(tmp_path):
    tiny = write_model(tmp_path)
    assert get_model("tiny", {"tiny": tiny}) is tiny
    assert get_model("efficientnet-lite1", {"tiny": tiny}) is MODELS["efficientnet-lite1"]
    assert get_model("efficientnet-lite1") is MODELS["efficientnet-lite1"]


@pytest.mark.parametrize("asked", ["efficientnet-lite0", "tiny"])
def test_the_name_of_a_shipped_model_is_taken(tmp_path, asked):
    tiny = write_model(tmp_path)
    with pytest.raises(RecipeError, match="'efficientnet-lite0' is the name of a network that"):
        get_model(asked, {"tiny": tiny, "efficientnet-lite0": tiny})


def test_unknown_model_names_the_nearest():
    with pytest.raises(UnknownModelError, match="'efficientnet-lite0'"):
        get_model("efficientnet-lit0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"factory": "tiny.py"}, "factory"),
        ({"factory": "../tiny.py:make"}, "stays inside"),
        ({"factory": "/folder/tiny.py:make"}, "stays inside"),
        ({"factory": "a-b:make"}, "factory"),
        ({"weights": "../w.pt"}, "stays inside"),
        ({"layers": {}}, "layers"),
        ({"layers": {"a/b": "conv1"}}, "layers"),
        ({"check": {"layer": "fcc", "photographs": {"camera": [1]}}}, "'fcc' is not a layer.*fc"),
        ({"check": {"layer": "fc", "photographs": {"cameraman": [1]}}}, "there is: camera"),
        ({"check": {"layer": "fc", "photographs": {"camera": []}}}, "camera"),
        ({"check": {"layer": "fc", "photographs": {}}}, "photographs"),
    ],
)
def test_bad_specs(tmp_path, change, message):
    with pytest.raises(ValidationError, match=f"(?s){message}"):
        write_model(tmp_path, **change)


def test_a_missing_check_must_be_stated(tmp_path):
    lines = [
        "name: tiny",
        "title: Tiny",
        "factory: tiny.py:make",
        "preprocessing: {size: 4, mean: [0, 0, 0], std: [1, 1, 1]}",
        "layers: {zebra: fc, ant: conv1}",
        "licence: none",
        "source: here",
        "citation: none",
    ]
    path = tmp_path / "model.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(RecipeError, match="'check' is missing"):
        read_spec(path, ModelSpec, RecipeError)
    path.write_text("\n".join([*lines, "check: null"]))
    spec = read_spec(path, ModelSpec, RecipeError)
    assert spec.check is None
    assert list(spec.layers) == ["zebra", "ant"]
