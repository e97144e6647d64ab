"""Networks from a vector to a picture, and what tells their pictures from true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import nn
from torch.nn.utils import skip_init

from unitdb.errors import ModelError

__all__ = [
    "Critic",
    "PictureNetwork",
    "Stage",
    "begin_with",
    "coarsest",
    "default_stages",
]

Stage = tuple[int, int | None]
"""Channels of a doubling (transposed convolution 4/2), and of the convolution after it, if any."""

_SLOPE = 0.3
"""Of leaky ReLUs; the gain of the published initialisation is that of this slope."""


def coarsest(size: int) -> int:
    """Side of the first map: ``size`` halved as long as it is even and 8 or more."""
    side = size
    while side % 2 == 0 and side >= 8:
        side //= 2
    return side


def default_stages(size: int) -> tuple[Stage, ...]:
    """Small networks: 16 channels in the last stage, eight more in each before it."""
    n = (size // coarsest(size)).bit_length() - 1
    return tuple((16 + 8 * left, 16 + 8 * left if left else None) for left in reversed(range(n)))


class PictureNetwork(nn.Module):
    """Vectors → pictures: linear layers, then a map that is doubled until it is the picture.

    Vectors are z-scored by what the network was trained on (buffers ``mean`` and ``sd``); an entry
    that did not vary there counts nothing. Buffer ``base`` is added to what the maps give: 0, or
    what makes a picture that the network begins with.

    Parameters
    ----------
    n_inputs : int
        Length of a vector.
    size, channels : int
        Side of the picture in pixels, and 3 for colours or 1 for grey.
    hidden : sequence of int
        Widths of linear layers.
    coarse : int
        Channels of the first map, whose side is ``size`` halved while it is even and 8 or more.
    stages : sequence of (int, int or None), optional
        A doubling each. As many as lead from the first map to the picture.
    bounded : bool
        Pixels are 255 times a sigmoid; else they are a linear layer's, and may leave 0–255.
    rng : torch.Generator, optional
        Draws all weights; the shared generators of torch are not touched.

    Raises
    ------
    ModelError
        The stages do not lead to this size.

    References
    ----------
    Dosovitskiy and Brox (2016), NeurIPS 29. Shen, Dwivedi et al. (2019), Frontiers in Computational
    Neuroscience 13:21, doi:10.3389/fncom.2019.00021.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = nn.PictureNetwork(5, size=28, channels=1)
    >>> network(torch.zeros(2, 5)).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        size: int,
        channels: Literal[1, 3] = 3,
        hidden: Sequence[int] = (96,),
        coarse: int = 32,
        stages: Sequence[Stage] | None = None,
        bounded: bool = True,
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        stages = default_stages(size) if stages is None else stages
        self.side, self.coarse, self.bounded = coarsest(size), coarse, bounded
        if self.side << len(stages) != size:
            first, found = self.side, self.side << len(stages)
            raise ModelError(
                f"{len(stages)} doublings make of {first} pixels {found}, and the picture has "
                f"{size}; sizes of them: {', '.join(str(k << len(stages)) for k in (4, 5, 6, 7))}"
            )
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("sd", torch.ones(n_inputs))
        self.register_buffer("low", torch.full((n_inputs,), -torch.inf))
        self.register_buffer("high", torch.full((n_inputs,), torch.inf))
        self.register_buffer("base", torch.zeros(channels, size, size))
        linear: list[nn.Module] = []
        width = n_inputs
        for wide in (*hidden, coarse * self.side**2):
            linear += [skip_init(nn.Linear, width, wide), nn.LeakyReLU(_SLOPE)]
            width = wide
        self.linear = nn.Sequential(*linear)
        maps: list[nn.Module] = []
        width = coarse
        for doubled, after in stages:
            maps += [skip_init(nn.ConvTranspose2d, width, doubled, 4, stride=2, padding=1)]
            maps += [nn.LeakyReLU(_SLOPE)]
            width = doubled
            if after is not None:
                maps += [skip_init(nn.Conv2d, width, after, 3, padding=1), nn.LeakyReLU(_SLOPE)]
                width = after
        self.maps = nn.Sequential(*maps, skip_init(nn.Conv2d, width, channels, 3, padding=1))
        _draw_weights(self, rng)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Make pictures of raw vectors.

        Parameters
        ----------
        vectors : tensor of shape (n, n_inputs)

        Returns
        -------
        tensor of shape (n, channels, size, size)
            0–255.
        """
        sd = cast(torch.Tensor, self.sd)
        scale = torch.where(sd > 0, 1 / sd, torch.zeros_like(sd))
        return self.drawn((vectors - cast(torch.Tensor, self.mean)) * scale)

    def drawn(self, scores: torch.Tensor) -> torch.Tensor:
        """Make pictures of vectors that are z-scored already.

        Parameters
        ----------
        scores : tensor of shape (n, n_inputs)

        Returns
        -------
        tensor of shape (n, channels, size, size)
            0–255.

        Examples
        --------
        >>> import torch
        >>> from unitdb import nn
        >>> nn.PictureNetwork(5, size=28, channels=1).drawn(torch.zeros(2, 5)).shape
        torch.Size([2, 1, 28, 28])
        """
        first = self.linear(scores).unflatten(1, (self.coarse, self.side, self.side))
        found: torch.Tensor = self.maps(first) + self.base
        return 255 * torch.sigmoid(found) if self.bounded else found + 127.5


def begin_with(network: PictureNetwork, picture: torch.Tensor) -> None:
    """Have an untrained network give one picture, whatever the vector, and little else.

    Parameters
    ----------
    network : PictureNetwork
        Its buffer ``base`` is set, and its last convolution made a tenth.
    picture : tensor of shape (channels, size, size)
        0–255; within 2 of the ends where the network is bounded, so that it can move away.
    """
    base = picture - 127.5
    if network.bounded:
        base = torch.logit(picture.clamp(2, 253) / 255)
    network.base = base.to(torch.float32)
    with torch.no_grad():
        cast(nn.Conv2d, network.maps[-1]).weight.mul_(0.1)


class Critic(nn.Module):
    """Pictures → one number each: how true they look (a logit).

    Parameters
    ----------
    channels : int
        3 for colours, 1 for grey.
    layers : sequence of (int, int, int)
        Kernel, stride and channels of each convolution.
    rng : torch.Generator, optional
        Draws all weights.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> nn.Critic(3).forward(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2])
    """

    def __init__(
        self,
        channels: int,
        *,
        layers: Sequence[tuple[int, int, int]] = ((4, 2, 24), (4, 2, 48), (3, 2, 64)),
        rng: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        width = channels
        for kernel, stride, wide in layers:
            modules.append(
                skip_init(nn.Conv2d, width, wide, kernel, stride=stride, padding=kernel // 2)
            )
            modules.append(nn.LeakyReLU(_SLOPE))
            width = wide
        self.maps = nn.Sequential(*modules)
        self.last = skip_init(nn.Linear, width, 1)
        _draw_weights(self, rng)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Say how true pictures look.

        Parameters
        ----------
        pictures : tensor of shape (n, channels, height, width)
            0–255.

        Returns
        -------
        tensor of shape (n,)
            Logits.
        """
        logits: torch.Tensor = self.last(self.maps(pictures / 127.5 - 1).mean(dim=(2, 3)))
        return logits[:, 0]


def _draw_weights(network: nn.Module, rng: torch.Generator | None) -> None:
    """Draw weights that keep the size of what passes (He et al. 2015); biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[0].numel()
            if isinstance(module, nn.ConvTranspose2d):  # a pixel sums over inputs, not outputs
                inputs = module.weight[:, 0].numel() // module.stride[0] ** 2
            sd = (2 / (1 + _SLOPE**2) / inputs) ** 0.5
            nn.init.normal_(module.weight, std=sd, generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
