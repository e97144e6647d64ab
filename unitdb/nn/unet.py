"""A small U-Net whose untrained weights already prefer pictures."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import skip_init

__all__ = ["UNet"]

_WIDTHS = (16, 32, 64, 64)
_SKIP = 4
_NOISE = 16
_LEAST = 4  # pixels of the coarsest map


class UNet(nn.Module):
    """Noise → picture (logits), over up to four halvings with skip connections.

    Parameters
    ----------
    channels : int
        Of the picture.
    side : int
        Of the picture; small ones are halved less often.
    rng : torch.Generator
        Draws all weights: uniform within ±√(3 / fan-in), biases 0. The shared generators of torch
        are not touched.
    """

    n_noise = _NOISE

    def __init__(self, channels: int, side: int, rng: torch.Generator) -> None:
        super().__init__()
        depth = 1
        while depth < len(_WIDTHS) and side // 2 ** (depth + 1) >= _LEAST:
            depth += 1
        widths = (_NOISE, *_WIDTHS[:depth])
        self.down = nn.ModuleList(
            nn.Sequential(*_unit(before, width, stride=2), *_unit(width, width))
            for before, width in pairwise(widths)
        )
        self.skip = nn.ModuleList(
            nn.Sequential(*_unit(width, _SKIP, kernel=1)) for width in widths[:-1]
        )
        ends = (*widths[1:], widths[-1])
        self.up = nn.ModuleList(
            nn.Sequential(*_unit(above + _SKIP, width), *_unit(width, width, kernel=1))
            for width, above in pairwise(ends)
        )
        self.last = _convolution(ends[0], channels, 1, 1)
        for parameter in self.parameters():
            if parameter.ndim == 4:  # weights of convolutions; normalisations start at 1 and 0
                bound = (3 / parameter[0].numel()) ** 0.5
                nn.init.uniform_(parameter, -bound, bound, generator=rng)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, noise: torch.Tensor) -> torch.Tensor:
        """Give logits of shape (n_images, channels, side, side)."""
        maps = [noise]
        for down in self.down:
            maps.append(down(maps[-1]))
        x = maps.pop()
        for up, skip in zip(reversed(self.up), reversed(self.skip), strict=True):
            beside = maps.pop()
            x = functional.interpolate(x, beside.shape[-2:], mode="bilinear", align_corners=False)
            x = up(torch.cat([x, skip(beside)], 1))
        logits: torch.Tensor = self.last(x)
        return logits


def _unit(before: int, after: int, *, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    return [
        _convolution(before, after, kernel, stride),
        nn.GroupNorm(4, after),
        nn.LeakyReLU(0.2),
    ]


def _convolution(before: int, after: int, kernel: int, stride: int) -> nn.Module:
    module: nn.Module = skip_init(
        nn.Conv2d,
        before,
        after,
        kernel,
        stride=stride,
        padding=kernel // 2,
        padding_mode="replicate",
    )
    return module
