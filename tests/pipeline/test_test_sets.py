"""Test sets: a build decodes all of them at once, each as a build of its own would."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

import unitdb
from tests.decoding.reference import reference_accuracy
from tests.pipeline.small import N_TEST, N_TRAIN, SUBJECTS, edit, lay_out, run
from unitdb.activations import Activations
from unitdb.errors import (
    DatasetError,
    RecipeError,
    ResponsesError,
    StimulusMismatchError,
    UnitdbError,
    UnknownConditionError,
    UnknownDatasetError,
    UnknownRoiError,
)
from unitdb.pipeline import plan
from unitdb.responses import open_dataset

ROOT = Path(__file__).parents[2]
TESTED = [f"picture-{number:02d}" for number in range(N_TRAIN, N_TRAIN + N_TEST)]
GROUPS = np.repeat(["even", "fourth", "odd", "third"], N_TEST // 4)
TESTS = """
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
    imagery: {responses: x_imagery, stimulus_ids: ids_imagery, targets: categories}
    blurred:
      responses: x_blurred
      stimulus_ids: ids_blurred
      targets: {ending: -blurred, by: ""}
      level: 12
      prior: none
      labels: made up
    single: {responses: x_single, stimulus_ids: ids_single, average: false}
"""
CONDITIONS = ["perception", "imagery", "blurred", "single"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A dataset of four test sets, and a recipe of all of them."""
    recipe = lay_out(tmp_path_factory.mktemp("sets"))
    folder, rng = recipe.parent, np.random.default_rng(7)
    table = "\n".join(f"{name},{group}" for name, group in zip(TESTED, GROUPS, strict=True))
    (folder / "categories.csv").write_text(f"stimulus,category\n{table}\n")
    for name in TESTED:
        with Image.open(folder / "pictures" / f"{name}.png") as picture:
            picture.filter(ImageFilter.BoxBlur(1)).save(folder / "pictures" / f"{name}-blurred.png")
    for subject in SUBJECTS:
        with np.load(folder / f"{subject}.npz") as file:
            arrays = dict(file)
        x, ids = arrays["x_test"], arrays["ids_test"]
        means = np.stack([x[ids == name].mean(axis=0) for name in TESTED])
        of_groups = np.stack([means[group == GROUPS].mean(axis=0) for group in np.unique(GROUPS)])
        imagined = np.repeat(of_groups, 3, axis=0)
        arrays |= {
            "x_imagery": imagined / 2 + rng.normal(0, 5, imagined.shape),
            "ids_imagery": np.repeat(np.unique(GROUPS), 3),
            "x_blurred": means + rng.normal(0, 4, means.shape),
            "ids_blurred": np.array([f"{name}-blurred" for name in TESTED]),
            "x_single": x,
            "ids_single": ids,
            "x_twice": x,
            "ids_twice": ids,
            "of_repeat": pd.Series(ids).groupby(ids).cumcount().to_numpy(),
            "x_again": arrays["x_train"],
            "ids_again": arrays["ids_train"],
        }
        np.savez(folder / f"{subject}.npz", **arrays)
    old = "\n  tests:\n    perception: {responses: x_test, stimulus_ids: ids_test}\n"
    edit(folder / "mine.yaml", old, TESTS)
    table = "categories: {table: categories.csv}"
    edit(folder / "mine.yaml", "folder: pictures,", f"folder: pictures, {table},")
    edit(recipe, "{voxels: 10, alpha: 10}", "{voxels: {default: 10, IT: 8}, alpha: 10}")
    with recipe.open("a") as file:
        file.write("encoding: {units: 20}\nreliability: {divisions: 5}\n")
    return folder


@pytest.fixture(scope="module")
def release(lab):
    return unitdb.open(run(lab / "recipe.yaml"))


def spoiled(lab, name, old, new):
    """Another dataset.yaml of the same files."""
    text = (lab / "mine.yaml").read_text()
    assert old in text
    path = lab / f"{name}-dataset.yaml"
    path.write_text(text.replace(old, new))
    return path


def variant(lab, name, *lines, old="", new=""):
    """Another recipe of the same dataset."""
    text = (lab / "recipe.yaml").read_text().replace("name: small", f"name: {name}")
    assert old in text
    path = lab / f"{name}.yaml"
    path.write_text("\n".join([text.replace(old, new), *lines, ""]))
    return path


def activations_of(lab, release):
    """Activations of a layer to each picture; builds of other test sets have other stores."""
    pictures = set(release.table("stimuli")["stimulus"]) - set(GROUPS)
    paths = [path.parent for path in (lab / "releases" / ".cache").glob("*/meta.json")]
    stores = [Activations.open(path) for path in paths]
    (stored,) = [store for store in stores if set(store.stimulus_ids) == pictures]
    values = stored.block("conv", 0, stored.n_units("conv")).astype(float)
    return dict(zip(stored.stimulus_ids, values, strict=True))


def samples(lab, subject, condition):
    """Responses, and the pictures whose mean activation is decoded, of training and test."""
    with np.load(lab / f"{subject}.npz") as file:
        arrays = dict(file)
    key = "test" if condition == "perception" else condition
    x, shown = arrays[f"x_{key}"], arrays[f"ids_{key}"]
    names = list(shown)
    if condition != "single":
        names = list(dict.fromkeys(names))
        x = np.stack([x[shown == name].mean(axis=0) for name in names])
    members = {group: list(np.array(TESTED)[group == GROUPS]) for group in GROUPS}
    of = [members.get(name, [name.removesuffix("-blurred")]) for name in names]
    values = np.concatenate([arrays["x_train"], x])
    return values, [[name] for name in arrays["ids_train"]] + of, arrays


@pytest.mark.parametrize(("roi", "n_voxels"), [("V1", 10), ("IT", 8)])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_accuracies_are_those_of_a_slow_reading(lab, release, condition, roi, n_voxels):
    activations = activations_of(lab, release)
    for subject in SUBJECTS:
        x, of, arrays = samples(lab, subject, condition)
        y = np.stack([np.mean([activations[name] for name in names], axis=0) for names in of])
        splits = [(np.arange(N_TRAIN), np.arange(N_TRAIN, len(x)))]
        voxels = x[:, arrays[f"is_{roi.lower()}"]]
        expected = reference_accuracy(voxels, y, splits, n_voxels=n_voxels, alpha=10)
        found = release.sql(
            "SELECT r FROM accuracy WHERE condition = ? AND subject = ? AND layer = 'conv' "
            "AND roi = ? ORDER BY unit",
            [condition, subject, roi],
        )["r"]
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_a_test_set_is_stands_in_a_table(release):
    found = release.table("test_sets").set_index("condition")
    assert sorted(found.index) == sorted(CONDITIONS) == release.values("condition")
    expected = {
        "perception": ("pictures", 8, 8, True, 2),
        "imagery": ("categories", 4, 4, True, 3),
        "blurred": ("stimuli", 8, 8, True, None),
        "single": ("pictures", 16, 8, False, None),
    }
    for name, row in expected.items():
        own = found.loc[name, ["targets", "n_samples", "n_targets", "averaged", "n_presentations"]]
        assert [None if pd.isna(value) else value for value in own] == list(row)
    assert found["level"].dropna().to_dict() == {"blurred": 12.0}
    assert found["prior"].dropna().to_dict() == {"blurred": "none"}
    assert found["labels"].dropna().to_dict() == {"blurred": "made up"}
    assert set(release.table("subjects")["n_test"]) == {8 + 4 + 8 + 16}
    stimuli = release.table("stimuli").set_index("stimulus")
    assert stimuli.loc["even", "source"] == "category, the mean of 2: picture-14, picture-15"
    assert (stimuli["split"] == "test").sum() == 8 + 8 + 4


def test_what_rests_on_images_that_differ_is_missing_where_samples_share_them(release):
    pattern = release.sql("SELECT condition, count(pattern_r) n FROM layer_summary GROUP BY ALL")
    p = release.sql("SELECT condition, count(p) n, count(mean_r) r FROM unit_summary GROUP BY ALL")
    counted = pattern.set_index("condition")["n"]
    p = p.set_index("condition")
    assert (counted > 0).to_dict() == {name: name != "single" for name in CONDITIONS}
    assert (p["n"] > 0).to_dict() == {name: name != "single" for name in CONDITIONS}
    assert (p["r"] > 0).all()
    reliable = release.sql("SELECT condition, count(reliability) n FROM accuracy GROUP BY ALL")
    reliable = reliable.set_index("condition")["n"]
    assert (reliable > 0).to_dict() == {n: n in ("perception", "imagery") for n in CONDITIONS}
    for table in ("encoding", "recurrence", "hierarchy", "intersubject", "layer_reliability"):
        assert set(release.table(table)["condition"]) == set(CONDITIONS), table


def test_units_are_kept_over_all_test_sets(release):
    activation = release.table("activation").set_index(["layer", "unit", "stimulus"])["activation"]
    activation = activation.sort_index()
    prediction = release.table("prediction")
    r = release.table("accuracy").set_index(["condition", "layer", "roi", "subject", "unit"])["r"]
    sizes = {"perception": 8, "imagery": 4, "blurred": 8, "single": 16}
    n_checked = 0
    keys = ["condition", "layer", "roi", "subject", "unit"]
    for place, rows in prediction.groupby(keys, observed=True):
        assert len(rows) == sizes[place[0]]
        assert rows["target"].notna().all() == (place[0] == "blurred")
        times = rows.groupby("stimulus", observed=True)["presentation"].agg(list)
        expected = [1, 2] if place[0] == "single" else [1]
        assert all(found == expected for found in times)
        of = rows["target"].fillna(rows["stimulus"].astype(str))
        true = [activation[place[1], place[4], name] for name in of]
        if not np.isnan(r[place]):
            found = np.corrcoef(rows["predicted"].astype(float), np.array(true, float))[0, 1]
            assert abs(found - r[place]) < 1e-5
            n_checked += 1
    assert n_checked > 200
    best = release.sql(
        "SELECT layer, unit, max(mean_r) AS r FROM unit_summary WHERE layer = 'conv' "
        "GROUP BY layer, unit ORDER BY r DESC, unit LIMIT 10"
    )
    kept = set(activation.loc["conv"].index.get_level_values("unit"))
    assert kept == set(best["unit"])
    unit = f"mynet/conv/{best['unit'][0]}"
    assert len(release.predictions(unit, condition="blurred", roi="V1", subject="sub-01")) == 8
    assert len(release.predictions(unit, condition="single", roi="V1", subject="sub-01")) == 16


def test_scores_are_printed_of_one_test_set(release, monkeypatch, capsys):
    def printed(*condition):
        monkeypatch.setattr("sys.argv", ["hierarchy.py", str(release.path), "V1", "IT", *condition])
        runpy.run_path(str(ROOT / "docs" / "hierarchy.py"), run_name="__main__")
        return capsys.readouterr().out

    found = printed("--condition", "imagery")
    asked = ["condition == 'imagery'", "kind == 'decoding'", "method == 'corrected'"]
    (row,) = release.table("hierarchy").query(" and ".join(asked)).itertuples()
    assert "; 4 test pictures; all units\n" in found
    assert f" {row.score:.3f} [{row.score_low:.3f}, {row.score_high:.3f}], " in found
    assert f"{row.n_counted / row.n_units:.0%} of units count" in found
    for wrong in ([], ["--condition", "dreams"]):
        with pytest.raises(SystemExit, match="2"):
            printed(*wrong)
        said = capsys.readouterr().err
        assert "--condition: choose one of blurred, imagery, perception, single" in said


def test_a_set_is_decoded_as_in_a_build_of_its_own(lab, release):
    """To the last bit, whatever else is decoded beside it."""
    for number, names in enumerate((["perception"], ["blurred", "imagery"])):
        line = f"tests: {{mine: [{', '.join(names)}]}}" if number else f"tests: {names}"
        alone = unitdb.open(run(variant(lab, f"alone{number}", line)))
        assert alone.values("condition") == sorted(names)
        for table in ("accuracy", "unit_summary", "layer_summary", "encoding", "hierarchy"):
            mine = release.table(table)
            mine = mine[mine["condition"].isin(names)].reset_index(drop=True)
            own = alone.table(table)
            kept = [column for column in own if column != "build"]
            pd.testing.assert_frame_equal(
                own[kept].astype(object), mine[kept].astype(object), check_exact=True
            )


def test_a_plan_names_the_test_sets(lab):
    (found,) = plan(lab / "recipe.yaml", releases=lab / "releases", data=lab)
    assert found.conditions == tuple(CONDITIONS)
    assert found.n_accuracies == 4 * found.n_units * found.n_subjects * found.n_rois


@pytest.mark.parametrize(
    ("line", "error", "message"),
    [
        ("tests: [perceptoin]", UnknownConditionError, "'perceptoin' .* did you mean 'perception"),
        ("tests: {god: [imagery]}", UnknownDatasetError, "'god' .*`tests` of the recipe"),
        ("tests: [perception, perception]", RecipeError, "tests: perception stands twice"),
        ("tests: ['single@*']", UnknownConditionError, "single@"),
        ("tests: [single]", ResponsesError, "no test set averages .* leave out `reliability`"),
        ("tests: [blurred]", ResponsesError, "was shown once"),
        ("rois: [V1]", UnknownRoiError, "'IT' .*decoder.voxels"),
    ],
)
def test_recipes_that_ask_for_what_there_is_not(lab, line, error, message):
    with pytest.raises(error, match=message):
        run(variant(lab, "wrong", line))


def spoil(lab, old, new):
    """A dataset with another description; its recipe."""
    text = (lab / "mine.yaml").read_text()
    assert old in text
    (lab / "spoilt.yaml").write_text(text.replace(old, new))
    return variant(lab, "spoilt-recipe", old="[mine.yaml]", new="[spoilt.yaml]")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("ids_imagery, targets: categories", "ids_imagery", StimulusMismatchError, "4 stim"),
        ('by: ""', "by: -sharp", StimulusMismatchError, "8 targets of blurred are not among the"),
        ("ending: -blurred", "ending: -sharp", DatasetError, "does not end with '-sharp'"),
        ("x_test, stimulus_ids: ids_test", "x_again, stimulus_ids: ids_again", UnitdbError,
         "14 stimuli are both in train and in perception: .*`seen_in_training: true`"),
        ("categories: {table: categories.csv}", "categories: {before: -}", StimulusMismatchError,
         "4 stimulus ids .* stimuli and 1 categories"),
        ("targets: categories", "targets: {table: none.csv}", DatasetError, "none.csv"),
        ("level: 12", "level: 12\n      windows: {from: 0, to: 4}", DatasetError, "need `volumes`"),
        ("    imagery:", "    train:", DatasetError, "'train' is no name of a test set"),
        ("  tests:", "  parts:", DatasetError, "`responses.parts` is no longer a key.*{perc"),
        ("subjects:", "condition: imagery\nsubjects:", DatasetError, "tests: {imagery: {…}}"),
    ],
)  # fmt: skip
def test_descriptions_that_are_wrong_say_what(lab, old, new, error, message):
    with pytest.raises(error, match=message):
        run(spoil(lab, old, new))


@pytest.mark.robust(
    "datasets",
    given="a test set of `targets: categories` whose samples name pictures",
    before="the pictures were decoded, and the release said categories",
    now="the categories of the pictures, by `stimuli.categories`",
)
def test_categories_of_pictures_that_samples_name(lab, tmp_path):
    lab = shutil.copytree(lab, tmp_path / "lab", ignore=shutil.ignore_patterns("releases"))
    ways = {
        "named": "x_imagery, stimulus_ids: ids_imagery, targets: categories",
        "pictured": "x_imagery, stimulus_ids: ids_pictured, targets: categories",
    }
    first = {group: TESTED[list(GROUPS).index(group)] for group in np.unique(GROUPS)}
    for subject in SUBJECTS:
        arrays = dict(np.load(lab / f"{subject}.npz"))
        pictured = np.array([first[group] for group in arrays["ids_imagery"]])
        np.savez(lab / f"{subject}.npz", **arrays | {"ids_pictured": pictured})
    found = {}
    for name, way in ways.items():
        responses = open_dataset(
            str(spoiled(lab, name, ways["named"], way)), data=lab, cache=lab / "cache"
        ).responses("sub-01", tests=["imagery"])
        found[name] = responses.target_ids[responses.split == "imagery"].tolist()
    assert found["pictured"] == found["named"]


def test_stimuli_may_be_seen_in_training_where_a_set_says_so(lab):
    new = "x_again, stimulus_ids: ids_again, seen_in_training: true"
    recipe = spoil(lab, "x_test, stimulus_ids: ids_test", new)
    release = unitdb.open(run(recipe))
    assert set(release.table("stimuli").query("split == 'train'")["stimulus"]) == {
        f"picture-{number:02d}" for number in range(N_TRAIN)
    }
    mean = release.sql("SELECT condition, avg(r) AS r FROM accuracy GROUP BY ALL")
    assert mean.set_index("condition")["r"]["perception"] > 0.9  # what was trained is no test


def test_images_of_a_set_must_be_shown_twice_to_all_or_to_none(lab):
    """Else reliability would be there for one subject and not for another, in one column."""
    old = dict(np.load(lab / "sub-02.npz"))
    once = old | {name: old[name][old["of_repeat"] == 0] for name in ("x_twice", "ids_twice")}
    np.savez(lab / "sub-02.npz", **once)
    try:
        recipe = spoil(lab, "x_test, stimulus_ids: ids_test", "x_twice, stimulus_ids: ids_twice")
        with pytest.raises(
            ResponsesError, match="of perception were shown twice to sub-01, not so"
        ):
            run(recipe)
    finally:
        np.savez(lab / "sub-02.npz", **old)


def test_bh_scores_count_targets(release):
    """A unit of samples that share targets is significant by as many images as there are."""
    scores = release.table("hierarchy").set_index("condition")["n_stimuli"]
    assert scores.to_dict() == {"perception": 8, "imagery": 4, "blurred": 8, "single": 8}


def test_a_dataset_that_became_a_test_set_says_so(lab):
    with pytest.raises(DatasetError, match=r"god-imagery is now .*`tests: {god: \[imagery\]}`"):
        run(variant(lab, "old", old="[mine.yaml]", new="[god-imagery]"))
