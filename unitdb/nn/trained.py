"""Networks from vectors to pictures after their training, and files of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unitdb.errors import ActivationsError, ModelError
from unitdb.files import replacing
from unitdb.nn.generator import Generator
from unitdb.nn.modes import device_of
from unitdb.nn.networks import PictureNetwork
from unitdb.nn.seeking import one_thread

__all__ = [
    "FORMAT",
    "TrainedGenerator",
    "checked_vectors",
    "load_generator",
    "made_network",
    "read_tensors",
    "write_tensors",
]

FORMAT = "unitdb generator 2"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedGenerator:
    """A network from vectors to pictures, and how it was trained.

    Parameters
    ----------
    network : PictureNetwork
        In evaluation mode.
    losses : dict of str to array of shape (steps,)
        ``image``, ``feature`` and ``adversarial`` without their weights, and ``critic``; those
        that count. Float32.
    settings : dict
        All that it depends on: settings, hashes of vectors, pictures and the features' network.
    """

    network: PictureNetwork
    losses: dict[str, NDArray[np.float32]]
    settings: dict[str, Any] = field(repr=False)

    def pictures(self, vectors: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Pictures of vectors, each by itself, so that others beside it change no byte.

        Parameters
        ----------
        vectors : array of shape (n, n_inputs)
            As those that it was trained on: raw, if these were.

        Returns
        -------
        array of shape (n, size, size, 3)
            uint8, RGB; grey pictures have three equal channels.

        Raises
        ------
        ActivationsError
            Another number of entries, or values that are not finite.
        """
        values = checked_vectors(vectors, self.settings["n_inputs"])
        made = []
        with one_thread(), torch.inference_mode():
            for vector in values.to(device_of(self.network)):
                pixels = self.network(vector[None])[0].clamp(0, 255).round().to(torch.uint8)
                made.append(pixels.expand(3, -1, -1).permute(1, 2, 0).cpu().numpy())
        return np.stack(made)

    def prior(self, **options: Any) -> Generator:
        """As a prior of :func:`unitdb.nn.invert`: its latents are its vectors.

        Latents start at the training mean and stay within 3 SD of it, and within what was seen.

        Parameters
        ----------
        **options
            As of :class:`Generator`, in place of these.

        Returns
        -------
        Generator
        """
        state = self.network.state_dict()
        given: dict[str, Any] = {
            "latent": (self.settings["n_inputs"],),
            "start": state["mean"],
            "lower": state["low"],
            "upper": state["high"],
        }
        return Generator(self.network, **(given | options))

    def save(self, path: str | Path) -> None:
        """Write weights, losses and settings to a file, for :func:`load_generator`.

        Parameters
        ----------
        path : str or Path
            A file there is replaced, whole or not at all.
        """
        write_tensors(
            Path(path),
            {
                "format": FORMAT,
                "settings": json.dumps(self.settings, sort_keys=True),
                "network": self.network.state_dict(),
                "losses": {k: torch.from_numpy(v) for k, v in self.losses.items()},
            },
        )


def load_generator(path: str | Path) -> TrainedGenerator:
    """Open what :meth:`TrainedGenerator.save` wrote; nothing is unpickled but tensors.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    TrainedGenerator

    Raises
    ------
    ModelError
        There is no such file, or it is another.
    """
    found = read_tensors(Path(path))
    try:
        if found["format"] != FORMAT:
            raise ModelError(f"{path}: of format {found['format']!r}, and not {FORMAT!r}")
        settings = json.loads(found["settings"])
        network = made_network(settings)
        network.load_state_dict(found["network"])
        losses = {k: v.numpy() for k, v in found["losses"].items()}
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as cause:
        first = next(iter(str(cause).splitlines()), "")
        raise ModelError(f"{path}: no generator trained here: {first}") from cause
    return TrainedGenerator(network=network.eval(), losses=losses, settings=settings)


def made_network(settings: Mapping[str, Any], rng: torch.Generator | None = None) -> PictureNetwork:
    """Make the network that settings of a training are of; its weights come later, or of rng."""
    training = settings["training"]
    stages = training["stages"]
    return PictureNetwork(
        settings["n_inputs"],
        size=settings["size"],
        channels=settings["channels"],
        hidden=training["hidden"],
        coarse=training["coarse"],
        stages=None if stages is None else [(wide, after) for wide, after in stages],
        bounded=training["bounded"],
        rng=rng,
    )


def checked_vectors(vectors: NDArray[np.floating], n_inputs: int | None) -> torch.Tensor:
    """Give vectors as float32.

    Raises
    ------
    ActivationsError
        They are not (n, n_inputs), or not finite.
    """
    values = torch.as_tensor(np.asarray(vectors), dtype=torch.float32)
    if values.ndim != 2 or not values.shape[1] or n_inputs not in (None, values.shape[1]):
        wanted = "n_inputs" if n_inputs is None else n_inputs
        raise ActivationsError(f"vectors have shape {tuple(values.shape)}, not (n, {wanted})")
    if not bool(torch.isfinite(values).all()):
        row = int((~torch.isfinite(values)).any(1).nonzero()[0, 0])
        raise ActivationsError(f"vector {row} (counted from 0) holds values that are not finite")
    return values


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values to a file, whole or not at all."""
    with replacing(path) as temporary:
        torch.save(content, temporary)


def read_tensors(path: Path) -> dict[str, Any]:
    """Read what :func:`write_tensors` wrote; nothing is unpickled but tensors.

    Raises
    ------
    ModelError
        There is no such file, or it holds something else.
    """
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # a file of others may hold anything
        first = next(iter(str(cause).splitlines()), "")
        raise ModelError(f"{path}: no file of a generator: {first}") from cause
    if not isinstance(found, dict):
        raise ModelError(f"{path}: a {type(found).__name__}, no file of a generator")
    return found
