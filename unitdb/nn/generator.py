"""Generators: networks from a latent to a picture, as what a picture is sought among."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unitdb.errors import ModelError

__all__ = ["Generator", "state_sha256"]


def state_sha256(module: nn.Module) -> str:
    """SHA-256 (hex) of all parameters and buffers: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Generator:
    """A network from a latent to a picture, for :func:`unitdb.nn.invert`.

    Whatever the latent, the picture looks like what the network was trained on: a generator of
    faces gives a face for any target. How real a picture looks says nothing of how true it is.

    Parameters
    ----------
    module : torch.nn.Module
        Latents (1, …, as ``latent``) → pictures (1, 3 or 1, height, width); in evaluation mode.
    latent : sequence of int
        Shape of one latent.
    output : (float, float)
        What the network gives for black and for white; (-1, 1) after a tanh. Beyond is clamped
        in the picture that comes out, and not while it is sought.
    start : float or tensor of shape ``latent``
        First latent; a number is the SD of normal draws around 0, another draw for each picture.
    lower, upper : float, tensor of shape ``latent`` or None
        Bounds; after each step latents beyond are put on them.
    decay : float
        After each step z ← (1 − decay) z.
    crop : int, optional
        Side in pixels of the centred square of the output that is the picture.

    Raises
    ------
    ModelError
        Shapes that do not fit, bounds that exclude the start, or numbers that make no sense.

    Examples
    --------
    >>> import torch
    >>> from unitdb import nn
    >>> network = torch.nn.Sequential(torch.nn.Linear(4, 48), torch.nn.Unflatten(1, (3, 4, 4)))
    >>> prior = nn.Generator(network, latent=[4])
    >>> latent = prior.bounded(prior.first(torch.Generator().manual_seed(0)))
    >>> prior.picture(latent).shape
    torch.Size([1, 3, 4, 4])
    >>> prior.stated()["latent"]
    [4]
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        latent: Sequence[int],
        output: tuple[float, float] = (0.0, 255.0),
        start: float | torch.Tensor = 0.0,
        lower: float | torch.Tensor | None = None,
        upper: float | torch.Tensor | None = None,
        decay: float = 0.0,
        crop: int | None = None,
    ) -> None:
        self.module, self.latent, self.output = module, tuple(latent), output
        self.decay, self.crop = decay, crop
        if not self.latent or min(self.latent) < 1:
            raise ModelError(f"latent={self.latent}: the shape of one latent, such as (100,)")
        if not output[0] < output[1]:
            raise ModelError(f"output={output}: what black is, and what white is, which is larger")
        if not 0 <= decay < 1:
            raise ModelError(f"decay={decay}; from 0 to below 1")
        self._start = self._shaped("start", start)
        self._lower = self._shaped("lower", -torch.inf if lower is None else lower)
        self._upper = self._shaped("upper", torch.inf if upper is None else upper)
        if not bool((self._lower <= self._upper).all()):
            raise ModelError("lower is above upper in places, or NaN")
        self._drawn = not isinstance(start, torch.Tensor)
        if not self._drawn and not bool(torch.equal(self.bounded(self._start), self._start)):
            raise ModelError("start lies outside of lower and upper")

    @classmethod
    def load(
        cls,
        path: str,
        weights: str | Path,
        *,
        arguments: Mapping[str, Any] | None = None,
        key: str | None = None,
        **options: Any,
    ) -> Generator:
        """Make a generator of a class and a file of weights.

        Parameters
        ----------
        path : str
            ``"package.module:Class"``; the class is imported and made. Its code runs: name only
            what you trust.
        weights : str or Path
            A state as of ``torch.save(module.state_dict())``; nothing is unpickled but tensors.
        arguments : mapping, optional
            Of the class.
        key : str, optional
            Under which the state lies, where the file is a dictionary of several.
        **options
            As of :class:`Generator`.

        Returns
        -------
        Generator
            On the CPU, with the weights of the file.

        Raises
        ------
        ModelError
            There is no such class or file, or the weights are not those of the class.
        """
        name, _, attribute = path.partition(":")
        try:
            module = getattr(importlib.import_module(name), attribute)(**(arguments or {}))
        except Exception as cause:  # what code of others raises
            raise ModelError(
                f"generator {path!r} cannot be made ({type(cause).__name__}: {cause}); give "
                "'package.module:Class'"
            ) from cause
        if not isinstance(module, nn.Module):
            raise ModelError(f"generator {path!r} is a {type(module).__name__}, no torch module")
        try:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            module.load_state_dict(state if key is None else state[key])
        except Exception as cause:  # a file of others may hold anything
            first = next(iter(str(cause).splitlines()), "")
            raise ModelError(f"{weights}: no weights of {path!r}: {first}") from cause
        return cls(module, **options)

    def first(self, rng: torch.Generator) -> torch.Tensor:
        """Give the first latent, with an axis of images, on the CPU.

        Returns
        -------
        tensor of shape (1, …)
            Within the bounds.
        """
        start = self._start
        if self._drawn and bool(start.any()):
            start = start * torch.randn(self.latent, generator=rng)
        return self.bounded(start).clone()[None]

    def bounded(self, latent: torch.Tensor) -> torch.Tensor:
        """Give a latent within the bounds.

        Returns
        -------
        tensor of the latent's shape
            Clamped to the bounds.
        """
        return torch.clamp(latent, self._lower.to(latent.device), self._upper.to(latent.device))

    def picture(self, latent: torch.Tensor) -> torch.Tensor:
        """Picture of a latent, (1, 3 or 1, height, width), 0–255 but not clamped.

        Returns
        -------
        tensor of shape (1, 3 or 1, height, width)
            Differentiable by the latent.
        """
        found = self.module(latent)
        if (
            not isinstance(found, torch.Tensor)
            or found.ndim != 4
            or found.shape[0] != 1
            or found.shape[1] not in (1, 3)
        ):
            shape = tuple(getattr(found, "shape", ())) or type(found).__name__
            raise ModelError(
                f"the generator gives {shape} for one latent of shape {self.latent}; a picture is "
                "(1, 3, height, width), or (1, 1, …) where it is grey"
            )
        if self.crop is not None:
            height, width = found.shape[-2:]
            if not 0 < self.crop <= min(height, width):
                raise ModelError(f"crop={self.crop} of a picture of {height} × {width} pixels")
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
            found = found[..., top : top + self.crop, left : left + self.crop]
        black, white = self.output
        return (found - black) * (255 / (white - black))

    def stated(self) -> dict[str, Any]:
        """What it is, as JSON: class, a hash of its weights, and the numbers.

        Returns
        -------
        dict
            Texts, numbers and lists.
        """
        kind = type(self.module)
        return {
            "module": f"{kind.__module__}:{kind.__qualname__}",
            "sha256": state_sha256(self.module),
            "latent": list(self.latent),
            "output": list(self.output),
            "decay": self.decay,
            "crop": self.crop,
        }

    def _shaped(self, name: str, value: float | torch.Tensor) -> torch.Tensor:
        if not isinstance(value, torch.Tensor):
            return torch.full(self.latent, float(value))
        if value.shape != self.latent:
            raise ModelError(f"{name} has shape {tuple(value.shape)}, and one latent {self.latent}")
        return value.detach().to("cpu", torch.float32)
