"""Pictures that drive units: against a unit whose best picture is known, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from tests.nn.test_inversion import MASKS, SIZE, Tiny, photographs, transform, true_activations
from unitdb import nn
from unitdb.errors import ActivationsError, InversionError

FEW = {"2": torch.zeros_like(MASKS["2"])}
FEW["2"][1, 4, 6] = FEW["2"][5, 5, 5] = True
ALONE = {"2": torch.zeros_like(MASKS["2"])}
ALONE["2"][5, 5, 5] = True
QUICK = {"transform": transform, "size": SIZE, "grid": SIZE, "steps": 20, "jitter": 2}

SMALL = QUICK | {"size": 9, "grid": 9, "jitter": 0}


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Tiny().eval()


class Weighed(torch.nn.Module):
    """One unit: a weighted sum of the picture's values, plus 3; behind a ReLU if asked for."""

    def __init__(self, weights: torch.Tensor, *, below: float | None = None) -> None:
        super().__init__()
        self.sum = torch.nn.Linear(weights.numel(), 1)
        self.last = torch.nn.Identity() if below is None else torch.nn.ReLU()
        with torch.no_grad():
            self.sum.weight.copy_(weights.flatten())
            self.sum.bias.fill_(3.0 if below is None else below)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.sum(images.flatten(1)))


ONE = {"last": torch.ones(1, dtype=torch.bool)}


def weights_of(side: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.choice([-1.0, 1.0], (3, side, side)) / side).float()


def test_a_weighted_sum_is_driven_by_its_weights() -> None:
    weights = weights_of(10)
    found = nn.visualise(
        Weighed(weights),
        ONE,
        **QUICK
        | {"size": 10, "grid": 10, "steps": 60, "jitter": 0, "prior": "pixels", "tv": 0, "lr": 1},
    )
    best = np.where(weights.permute(1, 2, 0).numpy() > 0, 255, 0)
    assert np.abs(found.images[0] - best).max() <= 2
    most = 3 + float((weights * transform(torch.tensor(best).permute(2, 0, 1))).sum())
    assert found.activations[0] == pytest.approx(most, rel=0.02)
    assert found.activations[0] <= most + 1e-3


def test_the_loss_is_that_of_the_formula() -> None:
    """s is Σ |w| · 255 / 128 for a sum; TV by loops."""
    weights = weights_of(9)
    found = nn.visualise(
        Weighed(weights), ONE, **QUICK | {"size": 9, "grid": 9, "jitter": 0, "tv": 0.7}
    )
    slope = 255 * float(weights.abs().sum()) / 128
    grey = 3 + float(weights.sum()) * (127.5 - 127) / 128
    assert found.loss[0, 0] == pytest.approx(-grey / slope, rel=1e-5)  # grey has no edge
    image = found.images[0].astype(float) / 255
    down = [abs(image[y + 1, x] - image[y, x]) for y in range(8) for x in range(9)]
    across = [abs(image[y, x + 1] - image[y, x]) for y in range(9) for x in range(8)]
    expected = -found.activations[0] / slope + 0.7 * (np.mean(down) + np.mean(across))
    assert found.loss[0, -1] == pytest.approx(expected, abs=5e-3)  # the picture is rounded
    assert found.loss.shape == (1, 21)


def test_units_are_driven_further_than_by_photographs(
    network: torch.nn.Module, tmp_path: Path
) -> None:
    found = nn.visualise(network, FEW, **QUICK | {"steps": 60, "lr": 0.1, "tv": 0.1})
    real = true_activations(network, photographs(50), FEW)
    assert (found.activations > real.max(dim=0).values.numpy()).all()
    own = true_activations(network, found.images, FEW)  # of these very bytes
    assert np.allclose(found.activations, own.diagonal(), rtol=1e-5)
    assert found.unit_ids == nn.SelectedActivations(network, FEW).unit_ids
    assert found.images.shape == (2, SIZE, SIZE, 3)
    assert found.settings["steps"] == 60
    found.save(tmp_path / "one.png", 1, release="tiny")
    with PIL.Image.open(tmp_path / "one.png") as picture:
        assert np.array_equal(np.asarray(picture), found.images[1])
        said = json.loads(picture.text["unitdb"])
    assert said["activation"] == float(found.activations[1])
    assert (said["synthetic"], said["unit"]) == (True, found.unit_ids[1])
    assert (said["release"], said["settings"]) == ("tiny", found.settings)
    assert "loss" not in found.settings


def test_a_picture_depends_on_its_unit_alone(network: torch.nn.Module) -> None:
    whole = nn.visualise(network.train(), FEW, **QUICK, workers=2)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    alone = nn.visualise(network, ALONE, **QUICK)
    assert np.array_equal(alone.images, whole.images[1:])
    assert np.array_equal(alone.activations, whole.activations[1:])
    other = nn.visualise(network, ALONE, **QUICK | {"grid": None}, seed=1)
    assert other.images.shape == (1, SIZE // 2, SIZE // 2, 3)
    other = nn.visualise(network, ALONE, **QUICK, seed=1)
    assert not np.array_equal(alone.images, other.images)


def test_a_unit_that_is_0_for_grey_begins_with_noise() -> None:
    weights = weights_of(9)
    network = Weighed(weights, below=-0.2)
    grey = torch.full((1, 3, 9, 9), 127.5)
    assert network(transform(grey)).item() == 0
    found = nn.visualise(network, ONE, **SMALL)
    assert found.activations[0] > 0.5


def test_what_cannot_be_driven_or_asked_is_refused(network: torch.nn.Module) -> None:
    with pytest.raises(InversionError, match="last/0: its slope is 0 for grey and for noise"):
        nn.visualise(Weighed(weights_of(9), below=-1e4), ONE, **SMALL)
    with pytest.raises(ActivationsError, match=r"several layers \(0, 2\)"):
        nn.visualise(network, MASKS, **QUICK)
    for wrong, said in (
        ({"prior": "dip"}, "prior='dip' is neither"),
        ({"steps": 0}, "steps=0"),
        ({"jitter": SIZE}, f"jitter={SIZE}"),
        ({"workers": 0}, "workers=0"),
        ({"transform": None}, "transform="),
    ):
        with pytest.raises(ActivationsError, match=said):
            nn.visualise(network, FEW, **QUICK | wrong)


@pytest.mark.parametrize(("layer", "jitter"), [("0", 0), ("2", 1), ("last", 8)])
def test_a_picture_moves_by_half_a_step_of_the_map(layer: str, jitter: int) -> None:
    """24 pixels are a map of 24 (steps of 1), of 11 (of 2) or none."""
    torch.manual_seed(1)
    network = Weighed(weights_of(SIZE)) if layer == "last" else Tiny().eval()
    mask = torch.zeros_like(ONE[layer] if layer == "last" else MASKS[layer])
    mask.view(-1)[-1] = True
    found = nn.visualise(network, {layer: mask}, **QUICK | {"jitter": None, "steps": 3, "tv": 0})
    assert found.settings["jitter"] == jitter
