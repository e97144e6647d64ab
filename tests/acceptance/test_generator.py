"""``unitdb generator train``: from a folder of pictures to a prior of reconstruction."""

from __future__ import annotations

import re

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from tests.acceptance.conftest import succeed
from unitdb import nn
from unitdb.activations import PHOTOGRAPHS, photograph
from unitdb.cli import main

TRAIN = ("generator", "train")
SMALL = ("--size", 28, "--steps", 8, "--batch", 8, "--hold-out", 0.2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Cuts of the shipped photographs, in folders."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        whole = PIL.Image.fromarray(photograph(name))
        (folder / name).mkdir()
        for number in range(3):
            left, top = (rng.integers(0, side // 4) for side in whole.size)
            cut = whole.crop((left, top, left + whole.width // 2, top + whole.height // 2))
            cut.save(folder / name / f"{number}.png")
    return folder


@pytest.mark.slow
def test_a_generator_of_a_folder_of_pictures(pictures, tmp_path):
    file = tmp_path / "small.pt"
    which = ("--model", "efficientnet-lite0", "--layer", "fc", "--pictures", pictures)
    printed = succeed("--releases", tmp_path, *TRAIN, file, *which, "--ending", ".png", *SMALL)
    n = 3 * len(PHOTOGRAPHS)
    held_out = round(0.2 * n)
    assert f"1,000 units → 28 × 28 pixels, of {n - held_out} pictures" in printed
    assert f"of {held_out} pictures that did not train" in printed
    assert "r without the mean picture" in printed
    assert not list(tmp_path.glob("*.checkpoint"))
    opened = nn.load_generator(file)
    assert opened.settings["n_inputs"] == 1000
    assert opened.pictures(np.zeros((2, 1000))).shape == (2, 28, 28, 3)
    assert opened.prior().latent == (1000,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--ending", "png"), "a dot, then letters or figures"),
        (("--ending", ".bmp"), "there are no files *.bmp"),
        (("--model", "alexnte"), "alexnte"),
        (("--layer", "nowhere"), "nowhere"),
        (("--steps", 0), "steps=0"),
    ],
)
def test_bad_input_is_one_line_and_code_2(change, message, pictures, tmp_path):
    given = ["--model", "efficientnet-lite0", "--layer", "fc", "--pictures", pictures]
    given = ["--releases", tmp_path, *TRAIN, tmp_path / "g.pt", *given, "--ending", ".png", *change]
    done = CliRunner().invoke(main, [str(argument) for argument in given])
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def told(printed: str, name: str) -> list[float]:
    """Value, low and high that stand behind a name."""
    (line,) = [line for line in printed.splitlines() if line.strip().startswith(name + "  ")]
    return [float(number) for number in re.findall(r"-?\d\.\d{3}", line)]


@pytest.mark.slow
def test_photographs_that_did_not_train_come_back_in_colour_and_layout(realdata, tmp_path):
    """A quarter of a thousand photographs: from true activations better than the mean picture."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for file in sorted((realdata / "imagenet1000").glob("*.jpg"))[::4]:
        (folder / file.name).write_bytes(file.read_bytes())
    which = ("--model", "efficientnet-lite0", "--layer", "block12", "--pictures", folder)
    how = ("--size", 28, "--steps", 200, "--adversarial", 0, "--hold-out", 0.3)
    printed = succeed("--releases", tmp_path, *TRAIN, tmp_path / "g.pt", *which, *how)
    r, *_ = told(printed, "pixel r")
    of_mean, *_ = told(printed, "pixel r of the mean picture")
    centred, low, _ = told(printed, "r without the mean picture")
    rate, at_least, _ = told(printed, "identification")
    assert r > of_mean + 0.03
    assert centred > 0.1
    assert low > 0.05
    assert rate > 0.65
    assert at_least > 0.55
