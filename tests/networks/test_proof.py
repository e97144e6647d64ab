"""Mistakes in the preprocessing are found by photographs, with the real weights of a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner
from torch import nn

from tests.rarely import rarely
from unitdb.activations import ClassificationCheck, LoadedModel, get_model, published_accuracy
from unitdb.activations.factory import make_network
from unitdb.activations.networks import check_preprocessing
from unitdb.cli import main
from unitdb.cli.building.models import _beside_published
from unitdb.errors import ModelError


@pytest.fixture(scope="module")
def lite0() -> LoadedModel:
    spec = get_model("efficientnet-lite0")
    return LoadedModel(
        spec=spec,
        module=make_network(spec, folder=None, seed=0),
        layers=(),
        weights_sha256="",
        model_sha256="",
        checked_on=(),
    )


def better(model: LoadedModel) -> list[str]:
    return [answer.how for answer in check_preprocessing(model) if answer.better]


def test_what_is_right_is_not_bettered(lite0):
    first, *others = check_preprocessing(lite0)
    assert (first.how, first.n_right, first.n_photographs) == ("as stated", 5, 5)
    assert not any(other.better for other in others)


def test_exchanged_channels_are_not_told_apart_by_five_photographs(lite0):
    exchanged = check_preprocessing(lite0)[1]
    assert exchanged.how == "channels exchanged (BGR)"
    assert exchanged.alike


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"mean": (0, 0, 0), "std": (1, 1, 1)}, "from −1 to 1"),
        ({"size": 112}, "twice the size"),
        rarely({"size": 448}, "half the size"),
    ],
)
def test_another_mean_and_size_are_found(lite0, change, found):
    stated = lite0.spec.preprocessing.model_copy(update=change)
    spec = lite0.spec.model_copy(update={"preprocessing": stated})
    assert found in better(replace(lite0, spec=spec))


def test_a_network_without_classes_has_nothing_to_check(lite0):
    spec = lite0.spec.model_copy(update={"check": None})
    with pytest.raises(ModelError, match="no class scores"):
        check_preprocessing(replace(lite0, spec=spec))


class Colours(nn.Module):
    """Three classes: red, green and blue pictures."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Identity()

    def forward(self, x):
        return self.fc(9 * x.mean((2, 3)))


@pytest.fixture
def coloured(tmp_path):
    for place in range(3):
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[..., place] = 255
        PIL.Image.fromarray(pixels).save(tmp_path / f"class-{place}.png")
    return tmp_path


def of_colours(channels: str) -> LoadedModel:
    spec = get_model("efficientnet-lite0")
    stated = spec.preprocessing.model_copy(update={"channels": channels, "size": 8})
    check = ClassificationCheck(layer="fc", photographs={"coffee": [0]})
    update = {"preprocessing": stated, "check": check, "layers": {"fc": "fc"}}
    return LoadedModel(
        spec=spec.model_copy(update=update),
        module=Colours(),
        layers=(),
        weights_sha256="",
        model_sha256="",
        checked_on=(),
    )


@pytest.mark.robust(
    "networks",
    given="A network that takes its channels in the other order than is stated, checked on one "
    "photograph of each class (`models check NAME --photographs FOLDER`)",
    before="not told apart by the five shipped photographs (EfficientNet-lite0: .773 for .778)",
    now="the other order is better: exit code 2",
)
def test_exchanged_channels_are_found_by_a_photograph_of_each_class(coloured):
    right = check_preprocessing(of_colours("RGB"), photographs=coloured)
    assert (right[0].n_right, right[0].n_photographs, right[1].n_right) == (3, 3, 1)
    assert not any(answer.better for answer in right)
    wrong = check_preprocessing(of_colours("BGR"), photographs=coloured)
    assert wrong[1].how == "channels exchanged (RGB)"
    assert wrong[1].better


def test_photographs_must_be_one_of_each_class(coloured):
    (coloured / "class-2.png").unlink()
    with pytest.raises(ModelError, match="2 photographs for 3 classes"):
        check_preprocessing(of_colours("RGB"), photographs=coloured)
    with pytest.raises(ModelError, match="no such folder"):
        check_preprocessing(of_colours("RGB"), photographs=coloured / "none")


def run(*arguments: str):
    return CliRunner().invoke(main, ["models", *arguments])


def test_commands_on_networks(tmp_path):
    listed = run("list", "torchvision/vgg1?")
    assert listed.output.split() == [f"torchvision/vgg{n}" for n in (11, 13, 16, 19)]
    shown = run("layers", "torchvision/resnet18", "--layers", "bhscore").output
    assert "abs(conv1)" in shown
    assert "200704" in shown  # 64 × 56 × 56
    assert "fc" in run("layers", "efficientnet-lite0").output
    offline = run("show", "torchvision/resnet18", "--data", str(tmp_path))
    assert offline.exit_code != 0


@pytest.mark.slow
def test_check_of_a_network():
    checked = run("check", "efficientnet-lite0")
    assert checked.exit_code == 0
    assert "as stated" in checked.output


def test_accuracy_is_told_beside_what_the_library_publishes():
    from torchvision.models import ResNet18_Weights

    figure = ResNet18_Weights.IMAGENET1K_V1.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    stated = published_accuracy("torchvision/resnet18:IMAGENET1K_V1")
    assert stated == pytest.approx(figure / 100)
    assert published_accuracy("torchvision/resnet18:random") is None
    assert published_accuracy("efficientnet-lite0") is None
    told = _beside_published(stated - 0.05, stated)
    assert f"publishes {figure:.1f}% of ImageNet's validation pictures (-5.0 points here)" in told
    assert _beside_published(0.765, None) == (
        "top-1 76.5% of these photographs; its library publishes no figure"
    )
