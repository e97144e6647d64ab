"""Synthetic pictures of a release's units, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from tests.acceptance.conftest import succeed, unitdb_command
from tests.pipeline.small import lay_out, run
from unitdb import nn
from unitdb.release import open_release

pytestmark = pytest.mark.slow


def made(path: Path) -> tuple[np.ndarray, dict]:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture), json.loads(picture.text["unitdb"])


def test_a_picture_drives_a_unit_of_the_sample(sample: Path, tmp_path: Path) -> None:
    from unitdb.activations.efficientnet import efficientnet_lite

    release = open_release(sample)
    unit = release.kept("efficientnet-lite0/block1")[0]
    files = [tmp_path / name for name in ("one.png", "two.png")]
    for file in files:
        succeed("visualise", sample, unit, "--output", file, "--steps", 24)
    assert files[0].read_bytes() == files[1].read_bytes()
    picture, said = made(files[0])
    units = release.units(layer="block1").among([unit])
    expected = nn.visualise(efficientnet_lite(0), units, steps=24)
    assert np.array_equal(picture, expected.images[0])
    assert said["activation"] == float(expected.activations[0])
    assert said["activation"] > release.stimuli(unit, 1)["activation"].max()
    assert said["synthetic"] is True
    assert (said["unit"], said["release"]) == (unit, release.label)


def test_an_own_network_is_made_by_the_recipe_that_is_named(tmp_path: Path) -> None:
    recipe = lay_out(tmp_path / "mine")
    release, unit, file = run(recipe), "mynet/conv/7", tmp_path / "unit.png"
    done = unitdb_command("visualise", release, unit, "--output", file)
    assert done.returncode == 2
    assert "--recipe FILE" in done.stderr
    assert not file.exists()
    command = ("visualise", release, unit, "--output", file, "--recipe", recipe, "--steps", 8)
    assert f"activation of {unit} is" in succeed(*command)
    assert made(file)[1]["unit"] == unit


def test_what_cannot_be_made_is_one_line(sample: Path, tiny_release: Path, tmp_path: Path) -> None:
    copy = tmp_path / "sample" / "1.0.0"
    shutil.copytree(sample, copy)
    (copy / "recipe.yaml").write_text("name: none\n")
    file = tmp_path / "none.png"
    for release, unit, said in (
        (sample, "efficientnet-lite0/block99/1", "block99"),
        (tiny_release, "net/fc/3", "recipe.yaml"),
        (copy, open_release(sample).kept("efficientnet-lite0/block1")[0], "recipe.yaml"),
    ):
        done = unitdb_command("visualise", release, unit, "--output", file)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1, done.stderr
        assert said in done.stderr
        assert not file.exists()
