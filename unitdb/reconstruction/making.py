"""Pictures from targets, a tile at a time: what a kill loses is a tile."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.errors import ActivationsError, UnitdbError
from unitdb.predictions import check_worker
from unitdb.recipes import PriorSpec
from unitdb.reconstruction.networks import NetworkSource
from unitdb.reconstruction.seen import Pictures
from unitdb.sealed import is_sealed, map_npy, read_npy, read_text, write_npy, write_text

__all__ = ["PictureStep", "read_pictures"]

_ONE_AT_A_TIME = threading.Lock()
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
        With the size of the picture.
    seed : int
    target : Path
        ``.json``: loss and consistency of each; beside it the pictures, ``.npy``.
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
    seed: int
    target: Path
    code: str

    @property
    def pictures(self) -> Path:
        """File of the pictures."""
        return self.target.with_suffix(".npy")

    def is_done(self) -> bool:
        """Whether the pictures are there, as they were written."""
        return is_sealed(self.target)

    def run(self) -> None:
        """Seek the pictures and write them."""
        check_worker(self.code, self.targets)
        part = map_npy(self.targets)[self.first : self.last]
        targets = np.concatenate([part[:, a:b] for a, b in self.columns], axis=1)
        with threadpool_limits(1):
            if self.network is None:
                found, told = self._pixels(targets), {"loss": None, "consistency": None}
            else:
                try:
                    with _ONE_AT_A_TIME:
                        found, told = self._inverted(targets, self.network)
                except UnitdbError as cause:
                    raise ActivationsError(f"{self.name}: {cause}") from None
        write_npy(self.pictures, found)
        write_text(self.target, json.dumps(told), others=[self.pictures])

    def _pixels(self, targets: NDArray[np.float32]) -> Pictures:
        side = self.prior.size or 0
        shape = (len(targets), side, side, self.prior.channels)
        # A pixel that is the same in all pictures that train is predicted as it is there.
        levels = np.nan_to_num(targets).reshape(shape).clip(0, 255).round().astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(levels, (*shape[:3], 3)))

    def _inverted(
        self, targets: NDArray[np.float32], source: NetworkSource
    ) -> tuple[Pictures, dict[str, Any]]:
        import torch

        from unitdb.nn import Transform, invert

        loaded, prior = source.load(), self.prior
        used: NDArray[np.bool_] = ~np.isnan(targets)
        any_used = np.asarray(used.any(axis=0))
        masks, start = {}, 0
        layers = [layer for layer in loaded.layers if layer.name in self.layers]
        for layer in layers:
            own = any_used[start : start + layer.n_units]
            masks[layer.name] = torch.from_numpy(own.reshape(layer.shape))
            start += layer.n_units
        shown = loaded.spec.preprocessing
        found = invert(
            loaded.module,
            masks,
            targets[:, any_used],
            weights=used[:, any_used].astype(np.float32),
            layers={layer.name: layer.module for layer in layers},
            transform=Transform(
                size=shown.size,
                crop=shown.crop,
                interpolation=shown.interpolation,
                mean=shown.mean,
                std=shown.std,
            ),
            image_ids=self.ids,
            prior=prior.name,
            grid=prior.grid,
            channels=prior.channels,
            steps=prior.steps,
            lr=prior.lr,
            tv=prior.tv,
            jitter=prior.jitter,
            loss=prior.loss,
            optimiser=prior.optimiser,
            seed=self.seed,
            workers=torch.get_num_threads(),
        )
        agreement = [
            float(np.corrcoef(own[keep], target[keep])[0, 1])
            for own, target, keep in zip(
                found.activations, targets[:, any_used], used[:, any_used], strict=True
            )
        ]
        return found.images, {"loss": found.loss[:, -1].tolist(), "consistency": agreement}


def read_pictures(steps: list[PictureStep]) -> tuple[Pictures, list[float], list[float]]:
    """Pictures of all tiles of a source, their losses and consistencies; none of pixels."""
    pictures, losses, agreements = [], list[float](), list[float]()
    for step in steps:
        told = json.loads(read_text(step.target))
        pictures.append(read_npy(step.pictures))
        losses += told["loss"] or []
        agreements += told["consistency"] or []
    return np.concatenate(pictures), losses, agreements
