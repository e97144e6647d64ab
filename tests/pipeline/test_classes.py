"""Names of the classes that units score: from the network to the release."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path

import pytest

import unitdb
from tests.pipeline.small import edit, run
from unitdb.activations import MODELS
from unitdb.errors import ModelError, RecipeError

NAMES = ["cat", "dog", "fox", "Ägyptische Katze", "drum, kettle", "lemon"]


def name_classes(recipe: Path, layer: str, names: list[str]) -> None:
    edit(recipe, "    check: null\n", f"    check: null\n    classes: {{{layer}: {names}}}\n")


def test_a_release_states_the_class_of_each_unit(recipe: Path) -> None:
    name_classes(recipe, "scores", NAMES)
    release = unitdb.open(run(recipe))
    assert [release.class_name(f"mynet/scores/{unit}") for unit in range(6)] == NAMES
    assert release.class_name("mynet/conv/0") is None
    found = release.sql("SELECT layer, unit, class FROM classes ORDER BY unit")
    assert found["class"].tolist() == NAMES
    assert found["unit"].tolist() == [*range(6)]
    release.verify()


def test_names_are_words_and_no_part_of_a_networks_identity() -> None:
    spec = MODELS["efficientnet-lite0"]
    other = spec.model_copy(update={"classes": {"fc": ["other"] * 1000}})
    without = spec.model_copy(update={"classes": {}})
    assert spec.identity() == other.identity() == without.identity()
    assert spec.identity(words=True) != other.identity(words=True)
    assert "classes" not in dict(without.identity(words=True))


@pytest.mark.parametrize(
    ("layer", "names", "error", "message"),
    [
        ("scores", NAMES[:5], ModelError, "5 names of layer 'scores', which has 6 units"),
        ("score", NAMES, RecipeError, "'score' is not a layer; there is: scores"),
        ("scores", ["", *NAMES[1:]], RecipeError, "classes.scores"),
    ],
)
def test_names_that_fit_no_layer_are_an_error(
    layer: str, names: list[str], error: type, message: str, recipe: Path
) -> None:
    name_classes(recipe, layer, names)
    with pytest.raises(error, match=message):
        run(recipe)


def test_the_shipped_networks_name_imagenets_classes() -> None:
    found = find_spec("torchvision")
    if found is None or found.origin is None:
        pytest.skip("torchvision is not installed")
    theirs = runpy.run_path(str(Path(found.origin).parent / "models" / "_meta.py"))
    for spec in MODELS.values():
        assert spec.classes == {"fc": theirs["_IMAGENET_CATEGORIES"]}
        assert spec.check is not None
        named = {spec.classes["fc"][place] for place in spec.check.photographs["chelsea"]}
        assert named == {"tabby", "tiger cat", "Egyptian cat"}
