"""Which pictures of a folder drive a unit most, and which least."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import nn

from unitdb.errors import ActivationsError, PictureError, QueryError
from unitdb.files import is_absent, reached
from unitdb.nn.modes import modes_kept
from unitdb.nn.picking import Resolution
from unitdb.nn.readout import in_batches
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.transform import published_transform
from unitdb.nn.wiring import Units
from unitdb.pictures import read_picture
from unitdb.query.units import UnitSet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["most_exciting_images"]

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def most_exciting_images(
    units: Units,
    image_folder: str | Path,
    *,
    model: nn.Module,
    transform: Callable[[PIL.Image.Image], torch.Tensor] | None = None,
    n: int = 9,
    batch_size: int = 1,
    layers: Mapping[str, str] | None = None,
    resolution: Resolution = "exact",
) -> pd.DataFrame:
    """Find the pictures of a folder with the highest and the lowest activation of each unit.

    Pictures are read one batch after the other; memory grows with units × n, not with pictures.

    Parameters
    ----------
    units : UnitSet or mapping of str to bool tensor of shape (C, H, W) or (N,)
        Units of one model.
    image_folder : str or Path
        Pictures in it and in folders below it, by their endings (bmp, gif, jpg, png, ppm, tif,
        webp); other files, and those whose name begins with a dot, are passed over. Each is turned
        as its EXIF tag says, and made RGB. Those of which nobody can say what a person would see
        are an error, as in datasets: 16 bits, floats, CMYK, transparency, animations.
    model : torch.nn.Module
        The network. Modes of its modules are given back afterwards.
    transform : callable, optional
        RGB picture (PIL.Image.Image) → tensor that the network takes, without the axis of images.
        By default what the release states: :func:`unitdb.nn.published_transform`.
    n : int
        How many pictures of each end.
    batch_size : int
        Pictures that go through the network together. Alone, as by default, equal pictures have
        equal activations. Together they may differ in rounding by their places in the batch, which
        then decides which is first; a GPU is faster with more.
    layers, resolution
        As in :class:`SelectedActivations`.

    Returns
    -------
    pandas.DataFrame
        Columns ``unit_id``, ``end`` ("most" or "least"), ``place`` (1 is the most extreme),
        ``image`` (path below the folder) and ``activation``; units in the order of
        :class:`SelectedActivations`. Of equal activations the picture first in the order of paths
        is first. Where there are fewer than n pictures, all stand at both ends. ``attrs`` hold
        release, query, citation and simulated, where units are of a release.

    Raises
    ------
    PictureError
        The folder is missing or holds no picture, or a picture cannot be read: names it.
    ActivationsError
        The transform gives no tensors of one shape, or an activation is not finite.
    ModelError
        An activation depends on more than its picture: on the batch, on chance, on what was before.
    QueryError, UnknownLayerError, ModelError
        As :class:`SelectedActivations` and :func:`unitdb.nn.published_transform`.
    """
    if n < 1 or batch_size < 1:
        raise QueryError(f"n={n!r} and batch_size={batch_size!r} must both be at least 1")
    if transform is None:
        if not isinstance(units, UnitSet):
            raise ActivationsError("units given as masks have no stated preprocessing: transform=")
        transform = published_transform(units)
    folder = Path(image_folder)
    names = _pictures(folder)
    starts = range(0, len(names), batch_size)
    with modes_kept(model):
        selected = SelectedActivations(model, units, layers=layers, resolution=resolution)
        ends = {
            name: _Extremes(n, sign, len(selected.unit_ids))
            for name, sign in (("most", 1), ("least", -1))
        }
        batches = _batches(_tensors(folder, names, transform), batch_size)
        for start, activations in zip(starts, in_batches(selected, batches), strict=True):
            for end in ends.values():
                end.add(activations.numpy(), start)
    return _table(selected, names, ends, units)


class _Extremes:
    """The n highest values (sign 1) or lowest (sign −1) of each column so far, and their rows."""

    def __init__(self, n: int, sign: int, n_units: int) -> None:
        self._n, self._sign = n, sign
        self.values = np.empty((0, n_units), np.float32)
        self.rows = np.empty((0, n_units), np.int64)

    def add(self, values: NDArray[np.float32], start: int) -> None:
        """Take in values of shape (n_images, n_units) of the rows from ``start``."""
        rows = np.arange(start, start + len(values))[:, None].repeat(values.shape[1], axis=1)
        values, rows = np.concatenate([self.values, values]), np.concatenate([self.rows, rows])
        # Stable: of equal values the row seen first stays first.
        order = np.argsort(-self._sign * values, axis=0, kind="stable")[: self._n]
        self.values = np.take_along_axis(values, order, axis=0)
        self.rows = np.take_along_axis(rows, order, axis=0)


def _pictures(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise PictureError(f"{folder}: no such folder")
    names = [
        path.relative_to(folder).as_posix()
        for path in reached(folder)
        if path.suffix.lower() in _ENDINGS
    ]
    if not names:
        raise PictureError(f"{folder}: holds no picture ({', '.join(sorted(_ENDINGS))})")
    return names


def _tensors(
    folder: Path, names: list[str], transform: Callable[[PIL.Image.Image], torch.Tensor]
) -> Iterator[torch.Tensor]:
    """Pictures as the network takes them, all of one shape."""
    shape: torch.Size | None = None
    for name in names:
        if is_absent(folder / name):
            raise PictureError(
                f"{folder / name}: not downloaded; `datalad get` or `git annex get` it"
            )
        pixels = read_picture(folder / name, error=PictureError, turn=True)
        tensor = transform(PIL.Image.fromarray(pixels))
        if not isinstance(tensor, torch.Tensor):
            raise ActivationsError(f"transform gives {type(tensor).__name__}, not a tensor")
        if shape is not None and tensor.shape != shape:
            raise ActivationsError(
                f"{name}: transform gives shape {tuple(tensor.shape)} here, and {tuple(shape)} "
                "for other pictures"
            )
        shape = tensor.shape
        yield tensor


def _batches(tensors: Iterator[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    while some := list(islice(tensors, size)):
        yield torch.stack(some)


def _table(
    selected: SelectedActivations, names: list[str], ends: Mapping[str, _Extremes], units: Units
) -> pd.DataFrame:
    import pandas as pd

    unit_ids = np.array(selected.unit_ids, dtype=object)
    pictures = np.array(names, dtype=object)
    parts = [
        pd.DataFrame(
            {
                "column": np.arange(len(unit_ids)).repeat(len(end.rows)),
                "end": name,
                "place": np.tile(np.arange(1, len(end.rows) + 1), len(unit_ids)),
                "image": pictures[end.rows.T.ravel()],
                "activation": end.values.T.ravel(),
            }
        )
        for name, end in ends.items()
    ]
    table = pd.concat(parts).sort_values("column", kind="stable", ignore_index=True)
    table.insert(0, "unit_id", unit_ids[table.pop("column")])
    if isinstance(units, UnitSet):
        table.attrs.update(
            release=units.source.label,
            query=units.sql,
            citation=units.source.citation,
            simulated=units.source.simulated,
        )
    return table
