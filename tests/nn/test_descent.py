"""Descents of several pictures: whose loss it is that goes wrong, and at which step."""

from __future__ import annotations

import math

import pytest
import torch

from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.descent import descend
from unitdb.nn.painting import Pyramid


@pytest.mark.parametrize(
    ("factor", "message"),
    [(math.inf, "image b: the loss is inf"), (0.0, "image b: the gradient is 0 at the start")],
)
def test_which_of_several_pictures_cannot_be_found(factor, message):
    paintings = [Pyramid((7,), 3, torch.device("cpu")) for _ in range(2)]
    with pytest.raises((ActivationsError, ModelError), match=message):
        descend(
            paintings,
            lambda images: torch.stack([images[0].mean(), factor * images[1].mean() + 1]),
            optimiser="adam",
            steps=2,
            lr=0.1,
            names=["image a", "image b"],
            least=[0.0, 0.0],
        )


def test_the_step_of_a_loss_that_is_not_finite_is_that_of_the_optimiser():
    """L-BFGS looks at several losses a step."""
    painting, asked = Pyramid((7,), 3, torch.device("cpu")), []

    def losses_of(images: list[torch.Tensor]) -> torch.Tensor:
        asked.append(len(asked))
        return images[0].square().sum().view(1) * (math.nan if len(asked) > 2 else 1)

    with pytest.raises(ActivationsError, match=r"image a: the loss is nan at step [12];"):
        descend(
            [painting], losses_of, optimiser="lbfgs", steps=3, lr=1, names=["image a"], least=[0]
        )
