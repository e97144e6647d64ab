"""What a picture is made of while it is sought: the parameters, and the way from them to pixels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from unitdb.nn.generator import Generator
from unitdb.nn.unet import UNet

__all__ = ["Generated", "Imagined", "Painting", "Pixels", "Pyramid", "pyramid_grids", "resized"]

COARSEST = 7
"""Side of a pyramid's coarsest grid."""


class Painting(nn.Module):
    """One picture; ``forward()`` gives (1, channels, height, width), 0–255, from its parameters."""

    def forward(self) -> torch.Tensor:
        """Give the picture."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Put parameters where they may be, after each step of the optimiser."""


class Pyramid(Painting):
    """255 · sigmoid(Σ_k up(z_k)), z_k a grid of its own size, up bilinear to the finest; z = 0.

    Coarse grids move whole regions at once, so that colour and layout are found before detail. One
    grid alone is plain pixels.

    Parameters
    ----------
    grids : sequence of int
        Sides, from coarse to fine; the last is the side of the picture.
    channels : {3, 1}
        Colours, or grey.
    device : torch.device
    """

    def __init__(self, grids: Sequence[int], channels: int, device: torch.device) -> None:
        super().__init__()
        self._side = grids[-1]
        self.grids = nn.ParameterList(
            [nn.Parameter(torch.zeros(1, channels, side, side, device=device)) for side in grids]
        )

    def scatter(self, spread: float, rng: torch.Generator) -> None:
        """Begin with numbers drawn from a normal distribution, of this SD, in place of 0."""
        with torch.no_grad():
            for grid in self.grids:
                grid.copy_(spread * torch.randn(grid.shape, generator=rng))

    def forward(self) -> torch.Tensor:
        """Give the picture."""
        *coarse, finest = self.grids
        total: torch.Tensor = finest
        for grid in coarse:
            total = total + resized(grid, self._side)
        return 255 * total.sigmoid()


def pyramid_grids(side: int) -> tuple[int, ...]:
    """Sides 7 · 2ᵏ that are below the picture's, and the picture's."""
    grids = []
    grid = COARSEST
    while grid < side:
        grids.append(grid)
        grid *= 2
    return (*grids, side)


class Pixels(Painting):
    """Pixels themselves, without bounds, from one colour on; as Shen et al. 2019.

    Parameters
    ----------
    side : int
    channels : {3, 1}
    colour : sequence of float
        R, G, B at the start, 0–255; grey ones take the mean.
    device : torch.device
    """

    def __init__(
        self, side: int, channels: int, colour: Sequence[float], device: torch.device
    ) -> None:
        super().__init__()
        start = torch.tensor(colour, dtype=torch.float32, device=device)
        start = start if channels == len(colour) else start.mean().expand(channels)
        self.pixels = nn.Parameter(start.view(1, channels, 1, 1).repeat(1, 1, side, side))

    def forward(self) -> torch.Tensor:
        """Give the picture."""
        pixels: torch.Tensor = self.pixels
        return pixels


class Imagined(Painting):
    """255 · sigmoid(U-Net(noise)): deep image prior, the network's weights are what is sought.

    Parameters
    ----------
    side : int
    channels : {3, 1}
    rng : torch.Generator
        Draws noise and weights.
    device : torch.device

    References
    ----------
    Ulyanov, Vedaldi & Lempitsky (2018), Deep image prior, CVPR.
    """

    noise: torch.Tensor

    def __init__(
        self, side: int, channels: int, rng: torch.Generator, device: torch.device
    ) -> None:
        super().__init__()
        self.network = UNet(channels, side, rng).to(device)
        noise = 0.1 * torch.rand(1, self.network.n_noise, side, side, generator=rng)
        self.register_buffer("noise", noise.to(device))

    def forward(self) -> torch.Tensor:
        """Give the picture."""
        logits: torch.Tensor = self.network(self.noise)
        return 255 * logits.sigmoid()


class Generated(Painting):
    """A generator's picture of a latent, which is what is sought.

    Parameters
    ----------
    generator : Generator
    rng : torch.Generator
        Draws the start, where it is not given.
    device : torch.device
    """

    def __init__(self, generator: Generator, rng: torch.Generator, device: torch.device) -> None:
        super().__init__()
        self._generator = generator
        self.latent = nn.Parameter(generator.first(rng).to(device))

    def forward(self) -> torch.Tensor:
        """Give the picture."""
        return self._generator.picture(self.latent)

    def after_step(self) -> None:
        """Let the latent decay, and put it into its bounds."""
        with torch.no_grad():
            self.latent.mul_(1 - self._generator.decay)
            self.latent.copy_(self._generator.bounded(self.latent))


def resized(images: torch.Tensor, side: int) -> torch.Tensor:
    """Bilinear, corners not aligned; what becomes smaller is averaged (antialiasing).

    Parameters
    ----------
    images : tensor of shape (n_images, channels, height, width)
    side : int
        Height and width.
    """
    if images.shape[-2:] == (side, side):
        return images
    smaller = side < max(images.shape[-2:])
    return functional.interpolate(
        images, size=(side, side), mode="bilinear", align_corners=False, antialias=smaller
    )
