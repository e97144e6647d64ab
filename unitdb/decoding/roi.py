"""Decode units from one ROI of one subject: the door of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from unitdb.decoding._metrics import profile_correlation
from unitdb.decoding._parts import Part, SelectedPart, Smoother, smoother_matrix
from unitdb.decoding._scaling import is_constant, normalise
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._torch import TorchSelectedRidge, find_device
from unitdb.decoding.settings import DecoderSettings
from unitdb.errors import IllConditionedError, ResponsesError

__all__ = ["TILE", "RoiDecoder", "UnitColumns"]

Rows = NDArray[np.intp]
Split = tuple[Rows, Rows]
Array = NDArray[np.float64]
Floats = NDArray[np.floating]

TILE = 256
"""Units computed together. Results of a unit follow from its tile alone, so that blocks of any
size give the same bits, if they begin at multiples of it."""


class UnitColumns(Protocol):
    """Activations that are read a few columns at a time: an array, a memory map, zarr."""

    shape: tuple[int, ...]

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.floating]: ...


class RoiDecoder:
    """Linear decoding of unit activations from the voxels of one ROI, on held-out images.

    For each pair of training and held-out rows: voxels and activations are normalised with the
    training statistics, each unit keeps its most correlated voxels, and ridge regression
    w = (XᵀX + αI)⁻¹Xᵀy predicts the held-out rows. What does not depend on the unit is computed
    once, here; blocks of units of any layer and network then share it.

    Parameters
    ----------
    x : array of shape (n_rows, n_voxels)
        Responses, raw; one row a sample.
    splits : sequence of (train_rows, test_rows)
        Integer arrays. Held-out predictions of all pairs are pooled.
    settings : DecoderSettings
    device : str, optional
        A torch device, such as ``cuda`` or ``cuda:1``, to solve on; None is LAPACK on the
        processor, which is faster there than torch's ``cpu``.

    Attributes
    ----------
    test_rows : array of shape (n_test,)
        Rows of ``x`` that are held out, in the order of the predictions.

    Raises
    ------
    ResponsesError
        No voxel varies over the training rows.
    IllConditionedError
        The penalty is too small for regression on all voxels.
    DeviceError
        There is no such device, or torch is not installed.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037; Horikawa et al. 2019,
    doi:10.1038/sdata.2019.12.
    """

    def __init__(
        self,
        x: NDArray[np.floating],
        splits: Sequence[Split],
        settings: DecoderSettings,
        *,
        device: str | None = None,
    ) -> None:
        responses = np.asarray(x, dtype=np.float64)
        self._splits = tuple(splits)
        self._settings = settings
        self._dtype = np.dtype(np.float32 if settings.precision == "single" else np.float64)
        self._n_rows = len(responses)
        self.test_rows: Rows = np.concatenate([test for _, test in self._splits])
        self._trains = _slice(np.unique(np.concatenate([train for train, _ in self._splits])))
        self._tests = _slice(self.test_rows)
        if device is not None:
            find_device(device)
        self._parts = self._make_parts(responses, device)

    def predict(self, y: UnitColumns, *, n_jobs: int = 1) -> Array:
        """Held-out predictions of activations.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw; rows as in ``x``. Held-out rows do not enter their own prediction.
            Anything that is sliced like an array will do: it is read a tile of units at a time.
        n_jobs : int
            Threads.

        Returns
        -------
        array of shape (n_test, n_units)
            Raw activations, rows as ``test_rows``.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        predicted = np.empty((len(self.test_rows), y.shape[1]))

        def decode(start: int, stop: int) -> None:
            predicted[:, start:stop] = self._decoded(self._read(y, start, stop), start)

        self._each_tile(y, decode, n_jobs)
        return predicted

    def accuracy(self, y: UnitColumns, *, n_jobs: int = 1) -> Array:
        """Decoding accuracy of each unit: profile correlation over the held-out images.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw. Read a tile of units at a time: memory does not grow with units.
        n_jobs : int
            Threads.

        Returns
        -------
        array of shape (n_units,)
            Pearson r; NaN for a unit that is constant over the training or the held-out images.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        return self.decode(y, keep=np.empty(0, dtype=np.intp), n_jobs=n_jobs)[0]

    def decode(self, y: UnitColumns, *, keep: Rows, n_jobs: int = 1) -> tuple[Array, Array]:
        """Decoding accuracy of each unit, and the predictions of some of them.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw.
        keep : array of shape (n_kept,)
            Columns whose predictions are returned too, ascending.
        n_jobs : int
            Threads.

        Returns
        -------
        r : array of shape (n_units,)
            As of :meth:`accuracy`.
        predicted : array of shape (n_test, n_kept)
            As of :meth:`predict`.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        found = np.empty(y.shape[1])
        predicted = np.empty((len(self.test_rows), len(keep)))

        def decode(start: int, stop: int) -> None:
            true = self._read(y, start, stop)
            tests = true[self._tests].astype(np.float64, copy=False)
            decoded = self._decoded(true, start)
            r = profile_correlation(decoded, tests)
            # Its prediction is constant too, but for rounding.
            r[is_constant(true[self._trains])] = np.nan
            found[start:stop] = r
            first, last = np.searchsorted(keep, [start, stop])
            predicted[:, first:last] = decoded[:, keep[first:last] - start]

        self._each_tile(y, decode, n_jobs)
        return found, predicted

    def _read(self, y: UnitColumns, start: int, stop: int) -> Floats:
        tile = np.ascontiguousarray(y[:, start:stop])
        return tile if tile.dtype == np.float32 else tile.astype(np.float64, copy=False)

    def _decoded(self, tile: Floats, start: int) -> Array:
        try:
            return np.concatenate([part.predict(tile) for part in self._parts])
        except IllConditionedError as cause:
            if cause.unit is None:
                raise
            raise IllConditionedError(cause.alpha, unit=start + cause.unit) from None

    def _each_tile(self, y: UnitColumns, decode: Callable[[int, int], None], n_jobs: int) -> None:
        if y.shape[0] != self._n_rows:
            raise ResponsesError(
                f"activations have {y.shape[0]} rows, the responses have {self._n_rows}"
            )
        # Threads share the tiles and compute alone: BLAS threads would compete with them, and
        # rounding would follow their number.
        with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(n_jobs) as pool:
            for done in [pool.submit(decode, *tile) for tile in _tiles(y.shape[1])]:
                done.result()

    def _fold(self, x: Array, split: Split) -> tuple[Array, Array]:
        """Normalised responses of a split, without the voxels that are constant in training."""
        train, test = split
        useful = ~is_constant(x[train])
        if not useful.any():
            raise ResponsesError(
                f"none of the {x.shape[1]} voxels varies over the {len(train)} training samples"
            )
        return normalise(
            x[np.ix_(train, useful)], x[np.ix_(test, useful)], zscore=self._settings.zscore
        )

    def _make_parts(self, x: Array, device: str | None) -> list[Part]:
        settings, dtype = self._settings, self._dtype
        parts: list[Part] = []
        smoothers: list[Array] = []
        for split in self._splits:
            fold = self._fold(x, split)
            if settings.n_voxels is not None and settings.n_voxels < fold[0].shape[1]:
                parts.append(self._selected(fold, split[0], settings.n_voxels, device))
            else:
                smoothers.append(smoother_matrix(fold, split[0], self._n_rows, settings))
                parts.append(Smoother(smoothers[-1], dtype))
        if len(smoothers) < len(parts):
            return parts
        return [Smoother(np.concatenate(smoothers), dtype)]  # one product instead of many

    def _selected(
        self, fold: tuple[Array, Array], train: Rows, n_voxels: int, device: str | None
    ) -> SelectedPart:
        x_train, x_test = fold
        make = (
            SelectedRidge
            if device is None
            else partial(TorchSelectedRidge, device=find_device(device))
        )
        ridge = make(
            x_train,
            n_voxels=n_voxels,
            alpha=self._settings.alpha,
            scaled=self._settings.zscore,
            dtype=self._dtype,
        )
        return SelectedPart(ridge, x_test, train, self._dtype)


def _slice(rows: Rows) -> Rows | slice:
    """Rows as a slice where they follow each other, which then need not be copied."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(rows[0]), int(rows[0]) + len(rows))
    return rows


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looking for the libraries takes milliseconds


def _tiles(n_units: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + TILE, n_units)) for start in range(0, n_units, TILE))
