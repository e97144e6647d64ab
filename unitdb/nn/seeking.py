"""Pictures, painted and looked at by the network, alone or some together; shared by threads."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from queue import SimpleQueue
from typing import Any, Literal, TypeAlias

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import nn

from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.descent import Optimiser, descend, gradients_of
from unitdb.nn.folding import folded
from unitdb.nn.generator import Generator
from unitdb.nn.modes import device_of
from unitdb.nn.objective import LossKind, roughness
from unitdb.nn.painting import (
    Generated,
    Imagined,
    Painting,
    Pixels,
    Pyramid,
    pyramid_grids,
    resized,
)
from unitdb.nn.readout import in_batches
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.transform import Look, Transform, looked

__all__ = ["RATES", "How", "Maker", "Prior", "Sought", "one_thread", "rng_of", "shared"]

Prior: TypeAlias = Literal["pyramid", "pixels", "dip"] | Generator

_MEAN_COLOUR = (123.0, 117.0, 104.0)  # of ImageNet, as Caffe's models have it
RATES = {"pyramid": 0.05, "pixels": 0.1, "dip": 0.003, "generator": 0.05}
_DRAWS = 4  # of a deep image prior: the first, and three more
_STUCK = 0.9  # loss above which a deep image prior is drawn again (Otsuka et al. 2025)
_OTHER_NETWORK = 0.02

_Made = tuple[NDArray[np.uint8], list[float], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class How:
    """Settings of :func:`unitdb.nn.invert`, complete; ``bounded``: pixels are of a sigmoid."""

    prior: Prior
    loss: LossKind
    optimiser: Optimiser
    steps: int
    lr: float
    tv: float
    jitter: int
    seed: int
    size: int
    grid: int
    channels: int
    bounded: bool

    @property
    def prior_name(self) -> str:
        """Name of the prior."""
        return self.prior if isinstance(self.prior, str) else "generator"


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What one picture is sought for.

    Parameters
    ----------
    name : str
        The image: its chance depends on it.
    loss : callable
        Activations, a tensor of shape (n_units,) → what is to be small.
    least : float
        What the loss cannot be below.
    spread : float
        SD of the numbers that a pyramid begins with.
    """

    name: str
    loss: Callable[[torch.Tensor], torch.Tensor]
    least: float = 0.0
    spread: float = 0.0


class Maker:
    """Makes pictures with a network of its own, so many together.

    Several together take the network with its normalisation folded into convolutions; one alone
    takes it as it is.
    """

    def __init__(
        self,
        selected: SelectedActivations,
        how: How,
        transform: Look,
        together: int = 1,
    ) -> None:
        self._selected, self._how, self._transform = selected, how, transform
        self._device = device_of(selected)
        self.together = together
        self._sought_by: nn.Module = selected if together == 1 else self._folded()

    def _folded(self) -> nn.Module:
        noise = 255 * torch.rand(1, 3, *2 * (self._how.size,), generator=rng_of(0, "folded"))
        return folded(self._selected, looked(self._transform, noise.to(self._device)))

    def copied(self) -> Maker:
        """The same with copies of the networks, for another thread."""
        how = self._how
        if isinstance(how.prior, Generator):
            prior = copy.copy(how.prior)
            prior.module = copy.deepcopy(prior.module)
            how = replace(how, prior=prior)
        own = self._selected.tried_copy(), how, copy.deepcopy(self._transform)
        return Maker(*own, self.together)

    def check(self, known: tuple[Any, Any] | None) -> None:
        """See that activations are functions of pictures, and those that are known."""
        pictures, true = (np.full((1, self._how.size, self._how.size, 3), 127, np.uint8), None)
        if known is not None:
            pictures, true = np.asarray(known[0]), torch.as_tensor(known[1])
            if pictures.ndim != 4 or pictures.dtype != np.uint8 or not len(pictures):
                raise ActivationsError(
                    f"known: pictures are uint8 (n, height, width, 3), not {pictures.dtype} "
                    f"{pictures.shape}"
                )
        inputs = (self._prepared(picture)[None] for picture in pictures)
        found = torch.cat(list(in_batches(self._selected, inputs)))
        with torch.enable_grad():  # copies are not tried any more
            self._selected.try_trace(self._prepared(pictures[0])[None].to(self._device))
        if true is None:
            return
        if true.shape != found.shape:
            raise ActivationsError(
                f"known: activations of shape {tuple(true.shape)}; {tuple(found.shape)} are chosen"
            )
        of_layer = self._selected.split(true.to(found))
        for layer, columns in self._selected.split(found).items():
            away = torch.linalg.vector_norm(columns - of_layer[layer])
            part = float(away / torch.linalg.vector_norm(columns))
            if not part <= _OTHER_NETWORK:
                raise ModelError(
                    f"layer {layer!r}: the known activations are {part:.2g} of their norm away "
                    "from the network's: they are of other weights, or of another preprocessing"
                )

    def make(self, group: Sequence[Sought]) -> list[_Made]:
        """Give picture, losses and activations of each image."""
        best = self._found(group, 0)
        if self._how.prior == "dip":  # its images come one by one
            for draw in range(1, _DRAWS):
                if best[0][0][-1] <= _STUCK:
                    break
                best = min(best, self._found(group, draw), key=lambda found: found[0][0][-1])
        made = []
        for losses, pixels in best:
            with torch.inference_mode():
                found = self._activations(pixels[None].float())[0].to("cpu", torch.float32)
            image = pixels.expand(3, -1, -1).permute(1, 2, 0).contiguous().cpu().numpy()
            made.append((image, losses, found.numpy()))
        return made

    def _found(self, group: Sequence[Sought], draw: int) -> list[tuple[list[float], torch.Tensor]]:
        """Losses and pixels of each image, of a draw."""
        how = self._how
        rngs = [rng_of(how.seed, sought.name, draw) for sought in group]
        paintings = [
            self._painting(rng, sought.spread) for rng, sought in zip(rngs, group, strict=True)
        ]

        def losses_of(images: list[torch.Tensor]) -> torch.Tensor:
            seen = [self._moved(image, rng) for image, rng in zip(images, rngs, strict=True)]
            activations = self._sought_by(torch.cat(seen))
            totals = [
                sought.loss(own) for sought, own in zip(group, activations.unbind(), strict=True)
            ]
            if how.tv:
                totals = [
                    total + how.tv * roughness(image)
                    for total, image in zip(totals, images, strict=True)
                ]
            return torch.stack(totals)

        losses = descend(
            paintings,
            losses_of,
            optimiser=how.optimiser,
            steps=how.steps,
            lr=how.lr,
            names=[f"image {sought.name}" for sought in group],
            least=[sought.least for sought in group],
        )
        with torch.no_grad():
            pixels = [painting().clamp(0, 255).round().to(torch.uint8)[0] for painting in paintings]
        return list(zip(losses, pixels, strict=True))

    def slope(self, column: int, name: str, spread: float) -> float:
        """255 Σ |∂a/∂x| where the picture begins: what a unit changes by, were it linear."""
        start = self._painting(rng_of(self._how.seed, name), spread)().detach().requires_grad_()
        activation = self._activations(start)[0, column]
        (gradient,) = gradients_of(activation, [start], f"unit {name}")
        return 255 * float(gradient.abs().sum())

    def _painting(self, rng: torch.Generator, spread: float) -> Painting:
        how = self._how
        if isinstance(how.prior, Generator):
            return Generated(how.prior, rng, self._device)
        if how.prior == "dip":
            return Imagined(how.grid, how.channels, rng, self._device)
        if not how.bounded:
            return Pixels(how.grid, how.channels, _MEAN_COLOUR, self._device)
        grids = pyramid_grids(how.grid) if how.prior == "pyramid" else (how.grid,)
        pyramid = Pyramid(grids, how.channels, self._device)
        if spread:
            pyramid.scatter(spread, rng)
        return pyramid

    def _activations(self, image: torch.Tensor) -> torch.Tensor:
        """Activations of a picture as the network sees it."""
        activations: torch.Tensor = self._selected(self._moved(image, None))
        return activations

    def _moved(self, image: torch.Tensor, rng: torch.Generator | None) -> torch.Tensor:
        """What the network takes of a picture; moved at random, where asked for."""
        seen = resized(image, self._how.size).expand(-1, 3, -1, -1)
        if rng is not None and (most := self._how.jitter):
            moves = torch.randint(-most, most + 1, (2,), generator=rng).tolist()
            seen = seen.roll(moves, (-2, -1))
        return looked(self._transform, seen)

    def _prepared(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """A picture of any size as the network takes it."""
        if isinstance(self._transform, Transform) and self._transform.size == self._how.size:
            return self._transform(PIL.Image.fromarray(np.ascontiguousarray(picture)))
        pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            return looked(self._transform, resized(pixels.to(self._device), self._how.size))[0]


def rng_of(seed: int, name: str, draw: int = 0) -> torch.Generator:
    """Chance of one image, whatever its place and the others."""
    digest = hashlib.sha256(f"{seed}/{draw}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def shared(maker: Maker, jobs: Sequence[Sought], workers: int, progress: bool) -> Iterator[_Made]:
    """Pictures in the order of jobs, made by threads with a copy of the networks each."""
    groups = [jobs[n : n + maker.together] for n in range(0, len(jobs), maker.together)]
    if workers == 1 or len(groups) == 1:
        made = chain.from_iterable(maker.make(group) for group in groups)
        yield from _watched(made, len(jobs), progress)
        return
    free: SimpleQueue[Maker] = SimpleQueue()
    for _ in range(min(workers, len(groups))):
        free.put(maker.copied())

    def make(group: Sequence[Sought]) -> list[_Made]:
        own = free.get()
        try:
            with torch.enable_grad():
                return own.make(group)
        finally:
            free.put(own)

    with ThreadPoolExecutor(free.qsize(), "unitdb", torch.set_num_threads, (1,)) as pool:
        try:
            found = chain.from_iterable(pool.map(make, groups))
            yield from _watched(found, len(jobs), progress)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _watched(made: Iterator[_Made], total: int, progress: bool) -> Iterator[_Made]:
    if not progress:
        return made
    from rich.console import Console
    from rich.progress import track

    return iter(track(made, "pictures", total=total, console=Console(stderr=True)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums of several threads have another order, and other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
