"""Whatever stands in a recipe or spec makes another build, but words that are named."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest

import unitdb
from tests.pipeline.small import contents, edit, lay_out, run
from unitdb.activations import FeatureModel, ModelSpec, UnitSelection
from unitdb.activations.identity import NO_NUMBER_OF, SOURCES
from unitdb.errors import UnitdbError
from unitdb.recipes.decoder import DecoderSpec
from unitdb.recipes.identity import WORDS_OF_SETS
from unitdb.recipes.inputs import read_jobs
from unitdb.recipes.jobs import Job, plan_sha256
from unitdb.recipes.recipe import Recipe, read_recipe
from unitdb.responses import DatasetSpec, TestSpec
from unitdb.specs import Spec, content_sha256

WORDS = {
    "Recipe": {"name", "version", "title", "description", "licence", "citation", "changes"}
    | {"authors", "doi", "funding"}
    # A build has its part of these, and the test below changes that.
    | {"datasets", "models", "own_models", "rois", "hierarchy", "tests"},
    "DatasetSpec": {"name", "title", "description", "licence", "source", "citation", "files"},
    "ModelSpec": {"name", "title", "licence", "source", "citation", "check", "classes"},
    "FeatureModel": {"name", "title", "licence", "source", "citation"},
    "Transformations": {"reason"},
    "FolderStimuli": {"shown"},
    "ArrayStimuli": {"shown"},
    "CropStimuli": {"shown"},
    **{
        f"{kind}Test": {"level", "prior", "labels"}
        for kind in ("Array", "BData", "Bids", "Simulated")
    },
    **{
        f"{kind}Candidates": {"description", "labels"}
        for kind in ("Dataset", "Feature", "God", "Own", "Picture")
    },
    "IdentificationSpec": {"features"},
}


def specs_below(kind: Any) -> set[type[Spec]]:
    """Specs that may stand in one, itself included."""
    if not (isinstance(kind, type) and issubclass(kind, Spec)):
        return {found for inner in get_args(kind) for found in specs_below(inner)}
    inner = (field.annotation for field in kind.model_fields.values())
    of_fields = (specs_below(annotation) for annotation in inner)
    return {kind, *(found for below in of_fields for found in below)}


ALL = sorted(
    {kind for top in (Recipe, DatasetSpec, ModelSpec, FeatureModel) for kind in specs_below(top)},
    key=lambda kind: kind.__name__,
)
EVERY_KEY = [
    pytest.param(kind, key, id=f"{kind.__name__}.{key}")
    for kind in ALL
    for key in kind.model_fields
]


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    return jobs_of(lay_out(tmp_path_factory.mktemp("job")))[0]


def jobs_of(recipe: Path) -> list[Job]:
    folder = recipe.parent
    return read_jobs(
        read_recipe(recipe),
        folder=folder,
        data=folder,
        cache=folder / "cache",
        datasets=(),
        progress=None,
    )


def test_what_gives_no_number_is_named_here_too():
    assert {kind.__name__: set(kind.no_number) for kind in ALL if kind.no_number} == WORDS
    for kind in ALL:
        assert kind.no_number <= set(kind.model_fields), kind


def test_words_of_test_sets_are_those_of_their_spec():
    assert TestSpec.no_number == WORDS_OF_SETS


@pytest.mark.parametrize(("kind", "key"), EVERY_KEY)
def test_every_key_is_part_of_the_identity_or_named(kind, key):
    values = dict.fromkeys(kind.model_fields, "one")
    if "rois" in values:
        values["rois"] = {"one": "1"}
    other = {"two": "1"} if key == "rois" else "two"
    first, second = (kind.model_construct(**values | {key: v}) for v in (values[key], other))
    differ = content_sha256(first.identity()) != content_sha256(second.identity())
    assert differ == (key not in WORDS.get(kind.__name__, ()))


@pytest.mark.parametrize("key", sorted(Recipe.model_fields))
def test_every_key_of_a_recipe_makes_another_build(job, key):
    changed = job.recipe.model_copy(update={key: "changed"})
    other = dataclasses.replace(job, recipe=changed)
    assert (other.build == job.build) == (key in WORDS["Recipe"])
    assert plan_sha256([other]) != plan_sha256([job])


@pytest.mark.robust(
    "recipes",
    given="any key of dataset.yaml, and `keep` or `hierarchy` of a recipe",
    before="the identity of a build listed by hand what counts: `keep`, `hierarchy` and all of "
    "dataset.yaml but what it reads were not in it, nor would a new key have been",
    now="each key makes another build, but for the words that a test lists",
)
@pytest.mark.parametrize("key", sorted(DatasetSpec.model_fields))
def test_every_key_of_a_dataset_makes_another_build(job, key):
    value = {"changed": ""} if key == "rois" else "changed"
    changed = job.dataset.spec.model_copy(update={key: value})
    other = dataclasses.replace(job, dataset=dataclasses.replace(job.dataset, spec=changed))
    # The name is in the identity of a build by itself.
    assert (other.build == job.build) == (key in WORDS["DatasetSpec"] - {"name"})
    assert plan_sha256([other]) != plan_sha256([job])


@pytest.mark.parametrize("key", sorted(ModelSpec.model_fields))
def test_every_key_of_a_network_makes_another_build(job, key):
    changed = job.model.spec.model_copy(update={key: "changed"})
    other = dataclasses.replace(job, model=dataclasses.replace(job.model, spec=changed))
    assert (other.build == job.build) == (key in WORDS["ModelSpec"] - {"name"})
    assert plan_sha256([other]) != plan_sha256([job])


@pytest.mark.parametrize(
    "change",
    [
        ("models: [{name: mynet}]", "models: [{name: mynet, layers: [scores]}]"),
        ("{name: mynet}]", "{name: mynet}]\nrois: [IT]"),
        ("{name: mynet}]", "{name: mynet}]\nhierarchy: [IT, V1]"),
        ('{conv: "1", scores: "3"}', '{scores: "3", conv: "1"}'),
        ("n_classes: 6", "n_classes: 7"),
        ("std: [128,", "std: [127,"),
    ],
)
def test_what_a_build_has_of_datasets_networks_and_rois_makes_another(job, recipe, change):
    edit(recipe, *change)
    assert jobs_of(recipe)[0].build != job.build


def test_the_order_of_a_mapping_counts(job):
    spec = job.dataset.spec
    turned = spec.model_copy(update={"rois": dict(reversed(spec.rois.items()))})
    other = dataclasses.replace(job, dataset=dataclasses.replace(job.dataset, spec=turned))
    assert other.build != job.build
    assert plan_sha256([other]) != plan_sha256([job])


def test_every_setting_of_the_decoder_reaches_it():
    changed: dict[str, Any] = {
        "voxels": "all",
        "alpha": 5.0,
        "zscore": False,
        "precision": "double",
    }
    start = DecoderSpec()
    for key, value in changed.items():
        assert start.model_copy(update={key: value}).settings() != start.settings(), key
    relative = {"voxels": "all", "alpha_unit": "mean-eigenvalue"}
    assert start.model_copy(update=relative).settings().alpha_relative
    # Folds divide the images, before the decoder.
    assert set(DecoderSpec.model_fields) == {*changed, "alpha_unit", "folds"}


def test_units_and_their_seed_are_part_of_the_identity():
    assert UnitSelection(sample=5).identity() != UnitSelection(sample=5, seed=1).identity()


def test_words_change_no_number(built, recipe):
    """All that is named as giving no number is changed at once."""
    folder = recipe.parent
    for path in (recipe, folder / "mine.yaml"):
        for old, new in (
            ("title: ", "title: Another "),
            ("description: ", "description: Another. "),
            ("licence: CC0-1.0", "licence: ODbL-1.0"),
            ("citation: none", "citation: other"),
        ):
            path.write_text(path.read_text().replace(old, new))
    edit(recipe, "    source: a test", "    source: another")
    words = "changes: {1.0.1: Other words.}\nauthors: [{name: 'Doe, Jane'}]\ndoi: 10.1234/x"
    edit(recipe, "version: 1.0.0", f"version: 1.0.1\n{words}\nfunding: [A foundation]")
    edit(folder / "mine.yaml", "ending: .png", "ending: .png, shown: {terms: mine}")
    edit(
        folder / "mine.yaml",
        "responses:\n",
        "transformations: {reason: none}\n"
        "files: {download: [{path: a, figshare: 1}]}\nresponses:\n",
    )
    tables = ("accuracy", "unit_summary", "layer_summary.parquet", "prediction.parquet")
    found = contents(run(recipe))
    for path, content in contents(built).items():
        if path.startswith(tables):
            assert found[path] == content, path


@pytest.mark.robust(
    "recipes",
    given="another label, level or prior of a test set in dataset.yaml: words, as docs have it",
    before="another hash of the responses, and another name of each build of the dataset",
    now="the same name, and another hash of the recipe, so that the release is built anew",
)
def test_words_of_a_test_set_name_no_build(job, recipe):
    path = recipe.parent / "mine.yaml"
    text = path.read_text()
    old = "stimulus_ids: ids_test"
    assert text.count(old) == 1
    for new, same in (
        ("labels: other", True),
        ("level: 0.5", True),
        ("prior: words", True),
        ("time: 3", False),
        ("seen_in_training: true", False),
    ):
        path.write_text(text.replace(old, f"{old}, {new}"))
        [found] = jobs_of(recipe)
        assert (found.build == job.build) == same, new
        hashes = [[s.sha256 for s in each.dataset.subjects] for each in (job, found)]
        assert (hashes[0] == hashes[1]) == same, new
        assert plan_sha256([found]) != plan_sha256([job]), new


def test_code_that_activations_rest_on_is_hashed_or_named():
    package = Path(unitdb.__file__).parent
    used = set()
    for path in (package / "activations").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unitdb"):
                place = (node.module or "").partition(".")[2]
                used |= {place} if place else {alias.name for alias in node.names}
    mine = {place for place in used if place.startswith("activations")}
    assert used - mine == {*SOURCES} | NO_NUMBER_OF


def two_datasets(recipe: Path, rois: str) -> None:
    """Name a second dataset of other ROIs, of the same people: other sessions, say."""
    text = (recipe.parent / "mine.yaml").read_text()
    (recipe.parent / "other.yaml").write_text(text)
    for old, new in (
        ("name: mine", "name: other"),
        ("{V1: early, IT: late}", "{EVC: early, HVC: late}"),
        ("{V1: is_v1, IT: is_it}", "{EVC: is_v1, HVC: is_it}"),
    ):
        edit(recipe.parent / "other.yaml", old, new)
    edit(recipe, "datasets: [mine.yaml]", f"datasets: [mine.yaml, other.yaml]\n{rois}")


@pytest.mark.robust(
    "recipes",
    given="two datasets in a recipe whose ROIs have other names, and `rois` or `hierarchy`",
    before="no key for each: a list had to hold for both datasets, or was an UnknownRoiError",
    now="a list for each dataset by its name; an unknown dataset or ROI is named",
)
def test_each_dataset_has_rois_of_its_own(recipe):
    asked = "rois: {mine: [IT]}\nhierarchy: {other: [HVC, EVC]}"
    two_datasets(recipe, asked)
    mine, other = jobs_of(recipe)
    assert (mine.dataset.rois, other.dataset.rois) == (("IT",), ("EVC", "HVC"))
    assert (mine.dataset.hierarchy, other.dataset.hierarchy) == (("IT",), ("HVC", "EVC"))
    text = recipe.read_text()
    for wrong, error in (
        ("rois: {mine: [EVC]}", "unknown roi 'EVC' in dataset 'mine'"),
        ("rois: {mines: [V1]}", "unknown dataset 'mines' in `rois` of the recipe; did you mean"),
        ("hierarchy: {mine: [V1, V1]}", "hierarchy.mine: V1 stands twice"),
        ("hierarchy: {mine: [V1]}", "hierarchy"),
        ("hierarchy: {mine: [EVC, V1]}", "unknown roi 'EVC' in the ROIs decoded of 'mine'"),
    ):
        recipe.write_text(text.replace(asked, wrong))
        with pytest.raises(UnitdbError, match=error):
            jobs_of(recipe)
