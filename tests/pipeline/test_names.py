"""A name that becomes a folder is one on every system, and says so before anything is computed."""

from __future__ import annotations

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.pipeline.small import edit, lay_out, run
from unitdb.errors import CatalogueError, RecipeError, UnitdbError
from unitdb.release.catalogue import CATALOGUE, Catalogue
from unitdb.release.names import check_paths
from unitdb.schema import name_problem
from unitdb.specs import Name

BAD = ["aux", "NUL", "con", "com1", "lpt9.x", "x.", "V1.", "a b", "", "-x", "é", "x" * 101]

RECIPES = {
    "release": ("name: small", "name: {}"),
    "model": ("name: mynet\n    title", "name: {}\n    title"),
    "layer": ('scores: "3"', '"{}": "3"'),
    "models": ("models: [{{name: mynet}}]", "models: [{{name: {}}}]"),
    "roi": ("datasets: [mine.yaml]", "datasets: [mine.yaml]\nrois: [{}]"),
}


@pytest.mark.robust(
    "publishing",
    given="a release, a model, a layer or an ROI named `aux` or `x.`",
    before="a release that was built and made the whole catalogue unreadable; of layers and "
    "models, an error of the finished release after all decoding",
    now="refused when recipe, dataset.yaml or network is read, with the reason",
)
@pytest.mark.parametrize("what", RECIPES)
@pytest.mark.parametrize("name", ["aux", "x."])
def test_names_that_are_no_folder_everywhere(tmp_path, what, name):
    recipe = lay_out(tmp_path)
    old, new = RECIPES[what]
    edit(recipe, old.format(), new.format(name))
    with pytest.raises(RecipeError, match=r"(device of Windows|ends with a dot).*\(got '"):
        run(recipe)
    assert not (tmp_path / "releases").exists()


@pytest.mark.parametrize("part", ["name: mine", "V1: early", "subjects: [sub-01"])
def test_those_of_a_dataset(tmp_path, part):
    recipe = lay_out(tmp_path)
    name = part.replace("name: ", "").replace("subjects: [", "").partition(":")[0]
    edit(tmp_path / "mine.yaml", part, part.replace(name, "nul", 1))
    with pytest.raises(UnitdbError, match="device of Windows"):
        run(recipe)


@pytest.mark.parametrize("name", BAD)
def test_what_a_name_may_be_is_what_a_release_takes(name):
    assert name_problem(name)
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


@pytest.mark.parametrize("name", ["V1", "a.b", "auxiliary", "1", "x" * 100, "com10", "a+b_c-d"])
def test_names_that_are_taken_are_files_too(name):
    assert name_problem(name) is None
    assert TypeAdapter(Name).validate_python(name) == name
    check_paths([name, f"layer={name}/part-0.parquet"])


@pytest.mark.robust(
    "recipes",
    given="layers `fc` and `FC`, or models, datasets or test sets that differ in case alone",
    before="an error of the finished release, after all decoding",
    now="refused when they are read",
)
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("recipe.yaml", 'scores: "3"', 'FC: "2", fc: "3"'),
        ("recipe.yaml", "models: [{name: mynet}]", "models: [{name: FC}, {name: fc}]"),
        ("recipe.yaml", "datasets: [mine.yaml]", "datasets: [FC.yaml, fc.yaml]"),
        ("mine.yaml", "    perception: {", "    FC: {responses: a}\n    fc: {"),
    ],
    ids=["layers", "models", "datasets", "tests"],
)
def test_names_that_differ_in_case_alone(tmp_path, request, file, old, new):
    recipe = lay_out(tmp_path)
    edit(tmp_path / file, old, new)
    text = (tmp_path / "mine.yaml").read_text()
    for name in ("FC", "fc"):
        (tmp_path / f"{name}.yaml").write_text(text.replace("name: mine", f"name: {name}"))
    what = request.node.callspec.id
    with pytest.raises(UnitdbError, match=f"{what}: 'FC' and 'fc' are one folder on some"):
        run(recipe)


@pytest.mark.robust(
    "recipes",
    given="a layer's name of 87 to 100 characters",
    before="a traceback of pydantic: its file's name was longer than 100",
    now="built",
)
def test_the_longest_name_of_a_layer(tmp_path):
    recipe = lay_out(tmp_path)
    edit(recipe, 'scores: "3"', f'{"b" * 100}: "3"')
    edit(recipe, "datasets: [mine.yaml]", "datasets: [mine.yaml]\nrois: [V1]")
    assert run(recipe).is_dir()


@pytest.mark.robust(
    "publishing",
    given="one entry of releases.json that cannot be used: a name `aux`, a path that leaves, a "
    "version `1`",
    before="no release of the catalogue could be listed, opened or fetched",
    now="the others are; a warning names the entry, and what would write the catalogue anew stops",
)
@pytest.mark.parametrize("bad", ["aux", "x.", "out", "version"])
def test_one_bad_entry_hides_no_other(tiny_copy, bad):
    root = tiny_copy.parents[1]
    contents = json.loads((root / CATALOGUE).read_text())
    entry = json.loads(json.dumps(contents["releases"]["tiny"]))
    name = bad if bad in ("aux", "x.") else "other"
    (listed,) = entry["versions"].values()
    if bad == "out":
        listed["path"] = "../out"
    if bad == "version":
        entry["versions"] = {"1": listed}
    contents["releases"][name] = entry
    (root / CATALOGUE).write_text(json.dumps(contents))
    catalogue = Catalogue(root)
    with pytest.warns(UserWarning, match=f"passed over .* release '{name}': "):
        assert [entry.name for entry in catalogue.entries()] == ["tiny"]
    with pytest.warns(UserWarning, match=f"release '{name}'"):
        assert catalogue.resolve("tiny") == tiny_copy
    with pytest.raises(CatalogueError, match=f"release '{name}': "):
        catalogue.resolve(name)
    with pytest.raises(CatalogueError, match=f"release '{name}': "):
        catalogue.contents()
