"""Chosen units as one boolean array a layer, in a file for numpy or torch."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from unitdb.errors import QueryError
from unitdb.query.tensors import chosen_units

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = ["masks", "write_masks"]

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same masks, the same bytes


def masks(release: Release, units: UnitSet) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Mask of each layer that holds a chosen unit, named ``model/layer``.

    Yields
    ------
    str, bool array of shape (C, H, W) or (N,)
        In C order; a unit in several rows (ROIs, datasets, conditions) is chosen once.
    """
    for model in release.values("model"):
        for layer in chosen_units(units & release.units(model=model)):
            flat = np.zeros(layer.n_units, np.bool_)
            flat[layer.units] = True
            yield f"{layer.model}/{layer.layer}", flat.reshape(layer.shape)


def write_masks(
    release: Release,
    units: UnitSet,
    file: BinaryIO,
    *,
    format: str,  # noqa: A002
) -> None:
    """Write masks: ``npz`` for ``numpy.load``, a layer at a time, or ``pt`` for ``torch.load``.

    Raises
    ------
    QueryError
        Another format.
    """
    if format == "npz":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, mask in masks(release, units):
                array = io.BytesIO()
                np.lib.format.write_array(array, mask, allow_pickle=False)
                archive.writestr(
                    zipfile.ZipInfo(f"{name}.npy", _EPOCH),
                    array.getvalue(),
                    zipfile.ZIP_DEFLATED,
                )
    elif format == "pt":
        file.write(_torch(dict(masks(release, units))))
    else:
        raise QueryError(f"masks are written as npz or pt, not {format!r}")


def _torch(arrays: dict[str, Any]) -> bytes:
    import torch

    written = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, written)
    return written.getvalue()
