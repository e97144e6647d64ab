import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import unitdb
from tests.decoding.reference import reference_accuracy
from tests.pipeline.small import N_TEST, N_TRAIN, SUBJECTS, contents, edit, lay_out, run
from tests.rarely import rarely
from unitdb.activations import Activations
from unitdb.errors import (
    ActivationsError,
    BuildBusyError,
    ReleaseExistsError,
)
from unitdb.recipes import read_jobs, read_recipe
from unitdb.schema import SCHEMA_VERSION, tables_of


def test_every_accuracy_equals_the_reference(built):
    folder = built.parents[2]
    release = unitdb.open(built)
    (store,) = [path for path in (folder / "releases" / ".cache").iterdir() if path.is_dir()]
    activations = Activations.open(store)
    accuracy = release.table("accuracy").set_index(["layer", "roi", "subject", "unit"])["r"]
    accuracy = accuracy.sort_index()
    checked = 0
    for subject in SUBJECTS:
        arrays = np.load(folder / f"{subject}.npz")
        ids = sorted(set(arrays["ids_test"]))
        averaged = [arrays["x_test"][arrays["ids_test"] == name].mean(axis=0) for name in ids]
        x = np.concatenate([arrays["x_train"], averaged])
        rows = activations.rows([*arrays["ids_train"], *ids])
        splits = [(np.arange(N_TRAIN), np.arange(N_TRAIN, N_TRAIN + N_TEST))]
        for layer in activations.layers:
            y = activations.block(layer, 0, activations.n_units(layer))[rows].astype(float)
            varies = (np.ptp(y[:N_TRAIN], axis=0) > 0) & (np.ptp(y[N_TRAIN:], axis=0) > 0)
            for roi, key in (("V1", "is_v1"), ("IT", "is_it")):
                found = accuracy.loc[layer, roi, subject].to_numpy()
                assert (np.isnan(found) == ~varies).all()
                expected = reference_accuracy(
                    x[:, arrays[key]], y[:, varies], splits, n_voxels=10, alpha=10
                )
                np.testing.assert_allclose(found[varies], expected, atol=1e-6)
                checked += varies.sum()
    assert checked > 200


def test_constant_units_are_counted_and_have_no_accuracy(built):
    release = unitdb.open(built)
    summary = release.table("layer_summary").query("layer == 'scores'")
    assert set(summary["n_undefined"]) == {1}
    assert set(summary["n_units"]) == {6}
    constant = release.sql("SELECT * FROM accuracy WHERE layer = 'scores' AND unit = 0")
    assert len(constant) == 6
    assert constant["r"].isna().all()
    assert release.units(layer="scores").top(100).to_pandas()["unit"].min() == 1


def test_the_release_says_what_it_was_made_from(built):
    release = unitdb.open(built)
    assert not release.simulated
    assert release.tables == tables_of(SCHEMA_VERSION)
    (row,) = release.table("builds").to_dict("records")
    assert json.loads(row["decoder"])["voxels"] == 10
    assert set(json.loads(row["inputs"])["responses"]) == set(SUBJECTS)
    assert set(release.table("accuracy", ["build"])["build"]) == {row["build"]}
    stimuli = release.table("stimuli")
    assert stimuli["split"].value_counts().to_dict() == {"train": N_TRAIN, "test": N_TEST}
    subjects = release.table("subjects").set_index(["subject", "roi"])
    assert subjects.loc[("sub-01", "V1"), ["n_voxels", "n_train", "n_test"]].tolist() == [20, 14, 8]
    assert release.table("rois").set_index("roi")["place"].to_dict() == {"V1": 0, "IT": 1}
    release.verify()


def test_the_same_recipe_twice_gives_the_same_bytes(built, recipe):
    assert contents(run(recipe)) == contents(built)


def test_a_published_release_is_found_and_never_overwritten(recipe):
    release = run(recipe)
    before = contents(release)
    assert run(recipe) == release
    edit(recipe, "alpha: 10", "alpha: 20")
    with pytest.raises(ReleaseExistsError, match="raise `version`"):
        run(recipe)
    assert contents(release) == before
    run(recipe, replace=True)
    assert contents(release) != before
    edit(recipe, "1.0.0", "1.1.0")
    assert run(recipe).name == "1.1.0"
    assert unitdb.open("small", releases=release.parents[1]).version == "1.1.0"


def test_nothing_but_the_release_and_its_cache_is_left_behind(recipe):
    release = run(recipe)
    root = release.parents[1]
    assert sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) == [
        "releases.json",
        "small",
    ]
    assert [p for p in (root / ".work").iterdir() if p.is_dir()] == []


def test_two_at_once_are_refused(recipe):
    def interfere(step, done, total):
        if step.startswith("decode"):
            with pytest.raises(BuildBusyError, match=r"another process is building small 1\.0\.0"):
                run(recipe)
            met.append(step)

    met = []
    run(recipe, progress=interfere)
    assert met


def test_progress_counts_to_the_end_of_every_step(recipe):
    last = {}
    run(recipe, progress=lambda step, done, total: last.update({step: (done, total)}))
    steps = {"read", "activations", "decode", "patterns", "keep", "tables", "verify"}
    assert {step.split()[0] for step in last} == steps
    assert all(done == total for done, total in last.values())


KILLED = """
import os, signal, sys
from pathlib import Path
import unitdb.pipeline.run, unitdb.measures.units, unitdb.publish.release, unitdb.release.placing
from unitdb.pipeline import build
from unitdb.recipes import read_jobs, read_recipe

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def progress(step, done, total):
    if step.startswith({step!r}) and done >= {done}:
        die()

{patch}
folder = Path(sys.argv[1])
build(folder / "recipe.yaml", data=folder, releases=folder / "releases", progress=progress)
"""

MOMENTS = {
    "activations, half": ("activations", 8, ""),
    "decoding, first block": ("decode", 1, ""),
    "patterns, first": ("patterns", 1, ""),
    "keeping, first layer": ("keep", 2, ""),
    "tables, first layer": ("tables", 1, ""),
    "tables, first layer again": ("tables", 3, ""),
    "between the two large tables": (
        "never",
        0,
        "unitdb.measures.units.write_partition = die",
    ),
    "before publishing": ("never", 0, "unitdb.pipeline.run.publish_release = die"),
    "before verifying": ("never", 0, "unitdb.publish.release.verify = die"),
    "before listing": ("never", 0, "unitdb.release.placing.save_catalogue = die"),
}


# The two that differ most in every run, all of them in CI.
_ALWAYS = ("decoding, first block", "before listing")


@pytest.mark.parametrize("moment", [m if m in _ALWAYS else rarely(m) for m in MOMENTS])
def test_a_killed_build_goes_on_to_the_same_bytes(moment, built, recipe):
    step, done, patch = MOMENTS[moment]
    script = KILLED.format(step=step, done=done, patch=patch)
    killed = subprocess.run([sys.executable, "-c", script, recipe.parent], capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    root = recipe.parent / "releases"
    if moment != "before listing":
        assert not (root / "small").exists()
        assert not (root / "releases.json").exists()
    assert contents(run(recipe)) == contents(built)
    assert unitdb.open("small", releases=root).verify().rows["accuracy"] > 0
    assert [p for p in (root / ".work").iterdir() if p.is_dir()] == []
    listed = json.loads((root / "releases.json").read_text())
    assert listed["releases"]["small"]["versions"].keys() == {"1.0.0"}


def test_a_resumed_build_does_not_decode_again(recipe, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unitdb.pipeline.run.publish_release", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe)
    monkeypatch.setattr("unitdb.decoding.roi.RoiDecoder", stop)
    monkeypatch.setattr("unitdb.measures.units.summarise_units", stop)
    assert run(recipe).exists()


def test_images_shuffled_as_a_control_are_named_so(recipe):
    edit(recipe, "decoder:", "control: shuffled-images\ndecoder:")
    release = unitdb.open(run(recipe))
    assert release.title == "A small release (control: shuffled-images)"
    assert "shuffled-images" in release.table("builds")["decoder"][0]
    true = unitdb.open(run(lay_out(recipe.parent / "true")))
    means = [r.sql("SELECT avg(r) FROM accuracy").iloc[0, 0] for r in (true, release)]
    assert means[0] > 0.5 > 0.3 > abs(means[1])


def test_a_dataset_without_test_sets_is_cross_validated(recipe):
    edit(recipe, "{voxels: 10, alpha: 10}", "{voxels: all, zscore: false, alpha: 10, folds: 7}")
    spec = recipe.parent / "mine.yaml"
    edit(spec, "train: {responses: x_train, stimulus_ids: ids_train}", "")
    edit(spec, "tests:\n    perception: {responses: x_test", "cross-validation: {responses: x_test")
    release = unitdb.open(run(recipe))
    assert set(release.table("stimuli")["split"]) == {"cross-validation"}
    assert release.table("builds")["n_folds"].tolist() == [7]
    assert set(release.table("subjects")["n_test"]) == {N_TEST}
    assert (release.table("models")["checked_on"].isna()).all()


def test_parquet_can_be_read_without_unitdb(built):
    path = next(built.glob("accuracy/**/*.parquet"))
    table = pq.read_table(path, partitioning=None)
    assert table.column_names == list(unitdb.schema.TABLES["accuracy"].column_names)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("recipe.yaml", "alpha: 10", "alpha: 11"),
        ("recipe.yaml", "decoder:", "seed: 1\ndecoder:"),
        ("recipe.yaml", "decoder:", "control: shuffled-images\ndecoder:"),
        ("recipe.yaml", "decoder:", "units: {sample: 3, seed: 0}\ndecoder:"),
        ("recipe.yaml", "decoder:", "rois: [V1]\ndecoder:"),
        ("recipe.yaml", "n_classes: 6", "n_classes: 7"),
        ("recipe.yaml", "{name: mynet}", "{name: mynet, layers: [conv]}"),
        ("net.py", "manual_seed(1)", "manual_seed(2)"),
    ],
)
def test_a_build_is_named_by_all_that_its_numbers_depend_on(recipe, built, name, old, new):
    edit(recipe.parent / name, old, new)
    edit(recipe, "1.0.0", "2.0.0")
    builds = [unitdb.open(release).table("builds")["build"][0] for release in (run(recipe), built)]
    assert builds[0] != builds[1]


def test_a_build_is_named_by_the_code_and_the_packages(recipe, built, monkeypatch):
    known = set(unitdb.open(built).table("builds")["build"])
    for name, value in (("code_sha256", "0" * 64), ("package_versions", {"numpy": "0"})):
        with monkeypatch.context() as patched:
            patched.setattr(f"unitdb.recipes.jobs.{name}", lambda value=value: value)
            (job,) = read_jobs(
                read_recipe(recipe),
                folder=recipe.parent,
                data=recipe.parent,
                cache=recipe.parent / "cache",
                datasets=(),
                progress=None,
            )
            assert job.build not in known
            known.add(job.build)
    assert len(known) == 3


def test_a_changed_description_of_the_dataset_is_another_release(recipe):
    run(recipe)
    edit(recipe.parent / "mine.yaml", "{V1: early, IT: late}", "{IT: late, V1: early}")
    with pytest.raises(ReleaseExistsError):
        run(recipe)


def test_a_damaged_store_of_activations_is_noticed(recipe):
    release = run(recipe)
    array = max(
        (release.parents[1] / ".cache").glob("*/*.npy"), key=lambda path: path.stat().st_size
    )
    content = bytearray(array.read_bytes())
    content[-40:] = bytes(40)
    array.write_bytes(content)
    edit(recipe, "alpha: 10", "alpha: 11")
    edit(recipe, "1.0.0", "1.1.0")
    with pytest.raises(ActivationsError, match="its bytes have changed"):
        run(recipe)


def test_a_cut_block_is_decoded_again(recipe, built, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("unitdb.pipeline.run.tabulate", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe)
    blocks = sorted((recipe.parent / "releases" / ".work").rglob("*.npy"))
    blocks[0].write_bytes(b"")
    blocks[1].write_bytes(blocks[1].read_bytes()[:-8])
    assert contents(run(recipe)) == contents(built)


@pytest.mark.slow
def test_the_number_of_threads_changes_no_byte(recipe, tmp_path):
    code = "from unitdb.cli import main; main()"
    for threads in ("1", "2"):
        options = ["--releases", tmp_path / threads, "build", recipe, "--data", recipe.parent]
        done = subprocess.run(
            [sys.executable, "-c", code, *options],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "1" / "small") == contents(tmp_path / "2" / "small")


def test_folds_and_shuffles_are_drawn_apart():
    from unitdb.responses import Design, shuffle_images
    from unitdb.responses.design import image_folds

    n = 40
    drawn = np.concatenate([test for _, test in image_folds(n, n, seed=3)])
    ids = np.array([f"{i:02d}" for i in range(n)])
    design = Design(
        values=np.zeros((n, 1)),
        stimulus_ids=ids,
        target_ids=ids,
        splits=image_folds(n, 4, seed=3),
        sets=(),
    )
    for subject in range(3):
        shuffled = shuffle_images(design, seed=[3, subject + 1]).stimulus_ids
        assert (shuffled != ids[drawn]).any()


def test_made_up_responses_may_be_called_simulated_in_any_form(recipe):
    edit(recipe.parent / "mine.yaml", "name: mine", "name: mine\nsimulated: true")
    release = unitdb.open(run(recipe))
    assert release.simulated
    assert release.sql("SELECT 1").attrs["simulated"] is True
