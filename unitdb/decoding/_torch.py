"""The systems of a tile solved at once on a torch device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike, NDArray

from unitdb.decoding._selected import SelectedRidge
from unitdb.errors import DeviceError, IllConditionedError
from unitdb.extras import install_hint

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]
Floats = NDArray[np.floating]
Kept = NDArray[np.int32]

__all__ = ["TorchSelectedRidge", "find_device"]

_BATCH_BYTES = 256 * 2**20


def find_device(name: str) -> torch.device:
    """Find a torch device.

    Raises
    ------
    DeviceError
        torch is not installed, or has no such device.
    """
    try:
        import torch
    except ImportError:
        raise DeviceError(f"device {name!r} needs torch: {install_hint('build')}") from None
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as cause:
        found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        raise DeviceError(
            f"there is no device {name!r} (torch says: {str(cause).splitlines()[0]}); "
            f"there is: {', '.join(['cpu', *found])}"
        ) from None
    return device


class TorchSelectedRidge(SelectedRidge):
    """:class:`SelectedRidge` whose systems over the voxels kept are solved on a torch device.

    Voxels are chosen on the processor, so that they are the same on every device.

    Parameters
    ----------
    x_train, n_voxels, alpha, scaled, dtype
        As there.
    device : torch.device
        Where to solve.
    """

    def __init__(
        self,
        x_train: Array,
        *,
        device: torch.device,
        n_voxels: int,
        alpha: float,
        scaled: bool,
        dtype: DTypeLike,
    ) -> None:
        import torch

        super().__init__(x_train, n_voxels=n_voxels, alpha=alpha, scaled=scaled, dtype=dtype)
        self._device = device
        self._gram_there = torch.from_numpy(self._gram).to(device)

    def _systems(self) -> dict[str, float]:
        return {"kept": 0.0}

    def _over_kept(self, right: Floats, kept: Kept, z: Array) -> Floats:  # noqa: ARG002
        import torch

        weights = np.zeros_like(right)
        batch = max(1, _BATCH_BYTES // (2 * self._n_voxels**2 * self._dtype.itemsize))
        for start in range(0, len(kept), batch):
            places = kept[start : start + batch].astype(np.int64)
            index = torch.from_numpy(places).to(self._device)
            systems = self._gram_there[index[:, :, None], index[:, None, :]]
            b = torch.from_numpy(np.take_along_axis(right[start : start + batch], places, axis=1))
            factor, info = torch.linalg.cholesky_ex(systems)
            solved = torch.cholesky_solve(b.to(self._device)[:, :, None], factor)[:, :, 0]
            pivots = factor.diagonal(dim1=1, dim2=2)
            ratio = (pivots.amin(dim=1) / pivots.amax(dim=1)) ** 2
            failed = ((info != 0) | ~(ratio >= self._least_pivots())).cpu().numpy()
            if failed.any():
                raise IllConditionedError(self._alpha, unit=start + int(failed.argmax()))
            found = solved.cpu().numpy()
            np.put_along_axis(weights[start : start + batch], places, found, axis=1)
        return weights
