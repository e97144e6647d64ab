"""Training of networks from a vector to a picture: generators, and end-to-end reconstruction."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.generator import state_sha256
from unitdb.nn.learning import Eyes, Run
from unitdb.nn.modes import modes_kept
from unitdb.nn.networks import Stage
from unitdb.nn.seeking import one_thread
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.trained import TrainedGenerator, checked_vectors
from unitdb.nn.transform import Look, Transform

__all__ = ["SHEN2019", "Training", "train_generator"]

_LAST = 0.05  # of the first rate


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of :func:`train_generator`. The defaults are small: they train on one core.

    Parameters
    ----------
    image, feature, adversarial : float
        λ, weights of the losses; 0 leaves one out.
    scale : {"variance", "sum"}
        Squared errors divided by the variance of what they are of, or half their sums.
    hidden, coarse, stages, bounded
        Of the :class:`PictureNetwork`.
    start : {"grey", "mean"}
        What an untrained network makes: anything about grey, or the training pictures' mean. Of
        pictures on black, networks that start from grey may turn all black and learn no more.
    critic : sequence of (int, int, int)
        Kernel, stride and channels of each convolution of the critic.
    steps, batch : int
        Steps of the optimiser, and vectors in each; all vectors pass before one comes again.
    lr, betas, weight_decay
        Of AdamW. The rate falls as a cosine to 5 %.
    halve : sequence of int
        Steps at which the rate is halved instead.
    dropout, noise : float
        Part of a z-scored vector that is set to 0, and SD of what is added to it, in training.
    turns : {"both", "published"}
        Whether network and critic learn in each step, or pause by their losses: with q the loss of
        the critic over the network's adversarial one, the critic pauses at q < .1 until q > .5, and
        the network at q > 10.
    seed : int
        Of all that is drawn.

    Examples
    --------
    >>> from unitdb import nn
    >>> training = nn.Training(steps=10)
    >>> training.rate(0) > training.rate(9)
    True
    """

    image: float = 1.0
    feature: float = 1.0
    adversarial: float = 0.1
    scale: Literal["variance", "sum"] = "variance"
    hidden: tuple[int, ...] = (96,)
    coarse: int = 32
    stages: tuple[Stage, ...] | None = None
    bounded: bool = True
    start: Literal["grey", "mean"] = "grey"
    critic: tuple[tuple[int, int, int], ...] = ((4, 2, 24), (4, 2, 48), (3, 2, 64))
    steps: int = 400
    batch: int = 30
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-3
    halve: tuple[int, ...] | None = None
    dropout: float = 0.5
    noise: float = 0.5
    turns: Literal["both", "published"] = "both"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises
        ------
        ModelError
            Names the setting.
        """
        for name in ("image", "feature", "adversarial", "noise", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ModelError(f"{name}={getattr(self, name)}; 0 or more")
        for name in ("steps", "batch", "coarse"):
            if getattr(self, name) < 1:
                raise ModelError(f"{name}={getattr(self, name)}; 1 or more")
        if not 0 < self.lr < math.inf:
            raise ModelError(f"lr={self.lr}; more than 0")
        if not 0 <= self.dropout < 1:
            raise ModelError(f"dropout={self.dropout}; from 0 to below 1")
        if not self.image + self.feature + self.adversarial:
            raise ModelError("image, feature and adversarial are all 0: nothing to learn")

    def rate(self, step: int) -> float:
        """Rate of a step.

        Parameters
        ----------
        step : int
            Counted from 0.

        Returns
        -------
        float
        """
        if self.halve is not None:
            return self.lr / 2.0 ** sum(step >= at for at in self.halve)
        fallen = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.lr * (_LAST + (1 - _LAST) * fallen)


SHEN2019 = Training(
    image=2e-6,
    feature=0.01,
    adversarial=100,
    scale="sum",
    hidden=(4096, 4096),
    coarse=256,
    stages=((256, 512), (256, 256), (128, 128), (64, None), (32, None), (16, None)),
    bounded=False,
    critic=((7, 4, 32), (5, 1, 64), (3, 2, 128), (3, 1, 256), (3, 2, 256)),
    steps=500_000,
    batch=64,
    lr=2e-4,
    halve=(300_000, 500_000, 700_000),
    dropout=0,
    noise=0,
    turns="published",
)
"""Published sizes (Shen, Dwivedi et al. 2019), for pictures of 256 pixels and a GPU.

As there: the network's depth and widths, weights of the losses, rates, batch and turns. Not as
there: the last doubling has 16 channels and a convolution makes three of them, the critic ends in
one linear layer without dropout, and weight decay is decoupled (AdamW).
"""


def train_generator(
    vectors: NDArray[np.floating],
    pictures: NDArray[np.uint8],
    *,
    training: Training | None = None,
    features: SelectedActivations | None = None,
    transform: Look | None = None,
    feature_size: int | None = None,
    checkpoint: str | Path | None = None,
    every: int = 100,
    device: str = "cpu",
    progress: bool = False,
) -> TrainedGenerator:
    """Train a network that makes of each vector the picture beside it.

    With x the true picture of vector v, G the network, D the critic and φ_l the chosen units of
    layer l, G makes small

        λ_i (G(v) − x)² / var(x)  +  λ_f Σ_l (φ_l(G(v)) − φ_l(x))² / var(φ_l)  +
        λ_a softplus(−D(G(v))),

    means over pixels and units; D learns to tell x from G(v). Of a network's features as vectors it
    is a *deep generator network*: a prior for :func:`invert`. Of voxels it is *end-to-end
    reconstruction*: train it within folds, on the rows that train.

    One thread computes, and what is drawn depends on seed and step alone: on the CPU the same bytes
    come out whatever the machine is busy with, with or without interruptions.

    Parameters
    ----------
    vectors : array of shape (n, n_inputs)
        Features or voxels, raw; z-scored here with their own mean and SD (n − 1).
    pictures : array of shape (n, size, size, 3 or 1)
        uint8.
    training : Training, optional
        Settings; :data:`SHEN2019` has the published ones.
    features : SelectedActivations, optional
        Units compared by the feature loss; without it there is no feature loss.
    transform : Transform or callable, optional
        Of ``features``' network, as for :func:`invert`.
    feature_size : int, optional
        Side at which it sees pictures: the transform's, or the pictures' own.
    checkpoint : path, optional
        File to go on from, written every so many steps and when all is done. It is of this very
        training, or refused.
    every : int
        Steps between checkpoints.
    device : str
        Where to compute. On a GPU bytes may differ from run to run.
    progress : bool
        Show a bar.

    Returns
    -------
    TrainedGenerator

    Raises
    ------
    ActivationsError
        Vectors or pictures of a wrong shape or type, or not finite.
    ModelError
        Settings that fit no picture of this size, a checkpoint of another training, or a loss that
        is not finite.

    References
    ----------
    Dosovitskiy and Brox (2016), NeurIPS 29. Shen, Dwivedi et al. (2019), Frontiers in Computational
    Neuroscience 13:21, doi:10.3389/fncom.2019.00021.

    Examples
    --------
    >>> import numpy as np
    >>> from unitdb import nn
    >>> rng = np.random.default_rng(0)
    >>> pictures = rng.integers(0, 256, (8, 14, 14, 1), dtype=np.uint8)
    >>> vectors = pictures.reshape(8, -1)[:, ::7].astype(float)
    >>> trained = nn.train_generator(vectors, pictures, training=nn.Training(steps=3, batch=4))
    >>> trained.pictures(vectors).shape
    (8, 14, 14, 3)
    """
    training = training or Training()
    if features is not None and transform is None:
        raise ModelError("features without transform: what their network takes is not known")
    shown = _shown(pictures)
    values = checked_vectors(vectors, None)
    if len(values) != len(shown) or len(values) < 2:
        raise ActivationsError(
            f"{len(values)} vectors and {len(shown)} pictures; as many of each, two or more"
        )
    settings = {
        "n_inputs": values.shape[1],
        "size": shown.shape[-1],
        "channels": shown.shape[1],
        "n": len(values),
        "training": json.loads(json.dumps(asdict(training))),
        "vectors": hashlib.sha256(values.numpy().tobytes()).hexdigest(),
        "pictures": hashlib.sha256(shown.numpy().tobytes()).hexdigest(),
        "features": None if features is None else _stated(features, transform, feature_size),
    }
    place = None if checkpoint is None else Path(checkpoint)
    seen = values.to(device), shown.to(device)
    with one_thread(), torch.enable_grad():
        if features is None or transform is None or not training.feature:
            return Run(settings, training, *seen, None).whole(place, every, progress)
        with modes_kept(features):
            eyes = Eyes(features.eval().to(device), transform, feature_size, by=training.scale)
            return Run(settings, training, *seen, eyes).whole(place, every, progress)


def _shown(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures with channels first; uint8, so that they take little memory."""
    given = np.asarray(pictures)
    if (
        given.ndim != 4
        or given.dtype != np.uint8
        or given.shape[1] != given.shape[2]
        or given.shape[3] not in (1, 3)
    ):
        raise ActivationsError(
            f"pictures are {given.dtype} of shape {given.shape}, not uint8 (n, size, size, 3 or 1)"
        )
    return torch.from_numpy(np.ascontiguousarray(given.transpose(0, 3, 1, 2)))


def _stated(features: SelectedActivations, look: Look | None, size: int | None) -> dict[str, Any]:
    """What the feature loss sees, for the identity of a training."""
    units = hashlib.sha256("\n".join(features.unit_ids).encode()).hexdigest()
    how = repr(look) if isinstance(look, Transform) else getattr(look, "__qualname__", "callable")
    return {"sha256": state_sha256(features), "units": units, "size": size, "transform": how}
