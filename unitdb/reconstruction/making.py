"""Pictures from targets, a tile at a time: what a kill loses is a tile."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.errors import ActivationsError, InversionError, UnitdbError
from unitdb.predictions import check_worker
from unitdb.recipes import PriorSource, PriorSpec
from unitdb.reconstruction.networks import NetworkSource, look_of
from unitdb.reconstruction.seen import Pictures
from unitdb.sealed import is_sealed, map_npy, read_npy, read_text, write_npy, write_text

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel
    from unitdb.nn import Inversion

__all__ = ["ONE_AT_A_TIME", "TILE", "Made", "PictureStep", "inverted", "read_pictures"]

TILE = 4
"""Pictures that are made in one go: what a kill loses."""

_TOLD = ("loss", "consistency", "problem")
_OF_PRIOR = ["grid", "channels", "steps", "lr", "tv", "jitter", "loss", "optimiser", "batch"]

ONE_AT_A_TIME = threading.Lock()
"""Networks are traced, and tracing changes how all threads run theirs: instead, the pictures of a
tile are shared by threads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureStep:
    """Some pictures of a source.

    Parameters
    ----------
    name : str
        For messages.
    targets : Path
        ``.npy``: (n_pictures, n_units).
    first, last : int
        Rows of these.
    ids : tuple of str
        Stimuli of the tile, by which each has chance of its own.
    columns : tuple of (int, int)
        First and last column of each layer that is used, in the order of depth.
    layers : tuple of str
        Their names.
    network : NetworkSource or None
        None where the targets are pixels.
    prior : PriorSpec
    generator : PriorSource or None
        That the prior names.
    side : int
        Of a picture.
    seed : int
    target : Path
        ``.json``: loss and consistency of each, and why there is none; beside it the pictures,
        ``.npy``, black where there is none.
    code : str
        Hash of the code that must do it.
    """

    name: str
    targets: Path
    first: int
    last: int
    ids: tuple[str, ...]
    columns: tuple[tuple[int, int], ...]
    layers: tuple[str, ...]
    network: NetworkSource | None
    prior: PriorSpec
    generator: PriorSource | None
    side: int
    seed: int
    target: Path
    code: str

    @property
    def pictures(self) -> Path:
        """File of the pictures."""
        return self.target.with_suffix(".npy")

    def is_done(self) -> bool:
        """Whether the pictures are there, as they were written.

        Returns
        -------
        bool
            True where nothing is left to do.
        """
        return is_sealed(self.target)

    def run(self) -> None:
        """Seek the pictures and write them."""
        check_worker(self.code, self.targets)
        part = map_npy(self.targets)[self.first : self.last]
        targets = np.concatenate([part[:, a:b] for a, b in self.columns], axis=1)
        with threadpool_limits(1):
            if self.network is None:
                found, told = self._pixels(targets), dict[str, Any]()
            else:
                try:
                    with ONE_AT_A_TIME:
                        found, told = self._sought(targets, self.network)
                except UnitdbError as cause:
                    raise ActivationsError(f"{self.name}: {cause}") from None
        write_npy(self.pictures, found)
        write_text(self.target, json.dumps(told), others=[self.pictures])

    def _pixels(self, targets: NDArray[np.float32]) -> Pictures:
        shape = (len(targets), self.side, self.side, self.prior.channels)
        # A pixel that is the same in all pictures that train is predicted as it is there.
        levels = np.nan_to_num(targets).reshape(shape).clip(0, 255).round().astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(levels, (*shape[:3], 3)))

    def _sought(
        self, targets: NDArray[np.float32], source: NetworkSource
    ) -> tuple[Pictures, dict[str, Any]]:
        """Pictures of a tile; where one cannot be found, the others are."""
        try:
            return self._inverted(targets, self.ids, source)
        except InversionError as cause:
            if len(targets) == 1:
                none = np.zeros((1, self.side, self.side, 3), np.uint8)
                return none, {"loss": [None], "consistency": [None], "problem": [str(cause)]}
        parts = [
            replace(self, ids=(name,))._sought(targets[[row]], source)
            for row, name in enumerate(self.ids)
        ]
        told = {key: [told[key][0] for _, told in parts] for key in _TOLD}
        return np.concatenate([pictures for pictures, _ in parts]), told

    def _inverted(
        self, targets: NDArray[np.float32], ids: tuple[str, ...], source: NetworkSource
    ) -> tuple[Pictures, dict[str, Any]]:
        import torch

        loaded, used = source.load(), ~np.isnan(targets)
        any_used = np.asarray(used.any(axis=0))
        found = inverted(
            loaded,
            self.layers,
            targets[:, any_used],
            self.prior,
            self.generator,
            chosen=any_used,
            weights=used[:, any_used].astype(np.float32),
            image_ids=ids,
            seed=self.seed,
            workers=torch.get_num_threads(),
        )
        agreement = [
            float(np.corrcoef(own[keep], target[keep])[0, 1])
            for own, target, keep in zip(
                found.activations, targets[:, any_used], used[:, any_used], strict=True
            )
        ]
        told = {
            "loss": found.loss[:, -1].tolist(),
            "consistency": [None if np.isnan(r) else r for r in agreement],
            "problem": [None] * len(ids),
        }
        return found.images, told


def inverted(
    loaded: LoadedModel,
    layers: Sequence[str],
    targets: NDArray[np.float32],
    prior: PriorSpec,
    generator: PriorSource | None,
    *,
    chosen: NDArray[np.bool_] | None = None,
    **options: Any,
) -> Inversion:
    """Seek pictures as a recipe's prior says.

    Parameters
    ----------
    loaded : LoadedModel
        The network.
    layers : sequence of str
        Those whose units are chosen from.
    targets : array of shape (n_pictures, n_chosen)
    prior : PriorSpec
    generator : PriorSource or None
        That the prior names.
    chosen : array of bool of shape (n_units,), optional
        Of all units of the layers; by default all.
    **options
        Of :func:`unitdb.nn.invert`, in place of the prior's.
    """
    import torch

    from unitdb.nn import invert

    masks, start = dict[str, torch.Tensor](), 0
    used = [layer for layer in loaded.layers if layer.name in layers]
    for layer in used:
        own = np.ones(layer.n_units, bool) if chosen is None else chosen[start:][: layer.n_units]
        masks[layer.name] = torch.from_numpy(own.reshape(layer.shape))
        start += layer.n_units
    settings = {key: getattr(prior, key) for key in _OF_PRIOR}
    return invert(
        loaded.module,
        masks,
        targets,
        layers={layer.name: layer.module for layer in used},
        transform=look_of(loaded),
        prior=prior.name if generator is None else generator.load(),
        **settings | options,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """Pictures of a source.

    Parameters
    ----------
    pictures : array of shape (n, side, side, 3)
    losses, consistencies : array of shape (n,) or None
        None of pixels; NaN where there is no picture.
    problems : list of (str or None)
        Why there is no picture.
    """

    pictures: Pictures
    losses: NDArray[np.float64] | None
    consistencies: NDArray[np.float64] | None
    problems: list[str | None]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which there are not."""
        return np.array([problem is not None for problem in self.problems], dtype=np.bool_)


def read_pictures(steps: list[PictureStep]) -> Made:
    """Pictures of all tiles of a source.

    Returns
    -------
    Made
        In the order of the tiles.
    """
    pictures = np.concatenate([read_npy(step.pictures) for step in steps])
    told = [json.loads(read_text(step.target)) for step in steps]
    if "loss" not in told[0]:
        problems: list[str | None] = [None] * len(pictures)
        return Made(pictures=pictures, losses=None, consistencies=None, problems=problems)
    of = {key: [value for each in told for value in each[key]] for key in _TOLD}
    return Made(
        pictures=pictures,
        losses=np.array(of["loss"], dtype=np.float64),
        consistencies=np.array(of["consistency"], dtype=np.float64),
        problems=of["problem"],
    )
