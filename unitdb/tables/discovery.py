"""p of all units of a model, kept in files until their false discovery rates are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import FalseDiscovery
from unitdb.sealed import read_npy, write_npy

__all__ = ["read_p_and_q", "save_p", "write_q"]

Float32 = NDArray[np.float32]


def save_p(folder: Path, layer: str, p: Iterable[Float32]) -> list[Path]:
    """Write p of a layer, for each ROI an array of shape (n_units,); gives the files."""
    files = []
    for roi, of_roi in enumerate(p):
        files.append(folder / layer / f"p-{roi:03d}.npy")
        _save(files[-1], of_roi)
    return files


def write_q(folder: Path, layers: Sequence[str], *, n_rois: int) -> None:
    """Write q of each p, within an ROI over all layers; one ROI is in memory at a time.

    Parameters
    ----------
    folder : Path
        Where :func:`save_p` has written p.
    layers : sequence of str
        All layers of the model.
    n_rois : int
    """
    for roi in range(n_rois):
        files = {layer: folder / layer / f"p-{roi:03d}.npy" for layer in layers}
        # What is published is float32, and q must follow from what is published.
        family = FalseDiscovery(map(_load, files.values()), dtype=np.float32)
        for path in files.values():
            _save(_q_of(path), family.q(_load(path)))


def read_p_and_q(folder: Path, layer: str, *, n_rois: int) -> Iterator[tuple[Float32, Float32]]:
    """Read p and q of a layer, for each ROI arrays of shape (n_units,)."""
    for roi in range(n_rois):
        path = folder / layer / f"p-{roi:03d}.npy"
        yield _load(path), _load(_q_of(path))


def _q_of(path: Path) -> Path:
    return path.with_name(path.name.replace("p-", "q-"))


def _load(path: Path) -> Float32:
    found: Float32 = read_npy(path)
    return found


def _save(path: Path, values: NDArray[np.floating]) -> None:
    write_npy(path, values.astype(np.float32))
