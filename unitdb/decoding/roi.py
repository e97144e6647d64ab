"""Decode units from one ROI of one subject: the door of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from unitdb.decoding._metrics import profile_correlation
from unitdb.decoding._parts import Part, SelectedPart, Smoother, smoother_matrix
from unitdb.decoding._scaling import check_held, normalise
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._torch import TorchSelectedRidge, find_device
from unitdb.decoding.settings import DecoderSettings
from unitdb.errors import IllConditionedError, ResponsesError
from unitdb.resolution import flattened, is_constant, resolution_of, scaled

__all__ = ["TILE", "Decoded", "RoiDecoder", "UnitColumns"]

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """What decoding some units gives.

    Parameters
    ----------
    r : array of shape (n_units,)
        Decoding accuracy.
    predicted : array of shape (n_test, n_kept)
        Predictions of the units that were to be kept, raw.
    of_repeats : array of shape (n_values, n_units), optional
        What was to be computed of each unit's predictions from single presentations.
    """

    r: Array
    predicted: Array
    of_repeats: Array | None = None


OfRepeats = Callable[[Array, Array], Array]
"""Predictions from single presentations (n_repeats, n_test, n_units) and true activations
(n_test, n_units) → (n_values, n_units)."""


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
    repeats : array of shape (n_repeats, n_test, n_voxels), optional
        Single presentations of the held-out images, raw, in the order of ``test_rows``.
    device : str, optional
        A torch device, such as ``cuda`` or ``cuda:1``, to solve on; None is LAPACK on the
        processor, which is faster there than torch's ``cpu``.
    resolution : float, optional
        By which voxels are constant (:func:`unitdb.resolution.is_constant`); by default that of the
        array's type.

    Attributes
    ----------
    test_rows : array of shape (n_test,)
        Rows of ``x`` that are held out, in the order of the predictions.

    Raises
    ------
    ResponsesError
        No voxel varies over the training rows, one is not finite or cannot be computed with, or
        repeats are of another shape.
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
        repeats: NDArray[np.floating] | None = None,
        device: str | None = None,
        resolution: float | None = None,
    ) -> None:
        self._resolution = resolution_of(x.dtype) if resolution is None else resolution
        responses = np.asarray(x, dtype=np.float64)
        unknown = ~np.isfinite(responses).all(axis=0)
        if unknown.any():
            raise ResponsesError(f"voxel {int(unknown.argmax())} holds NaN or infinity")
        self._splits = tuple(splits)
        self._settings = settings
        self._dtype = np.dtype(np.float32 if settings.precision == "single" else np.float64)
        self._n_rows = len(responses)
        self.test_rows: Rows = np.concatenate([test for _, test in self._splits])
        self._trains = _slice(np.unique(np.concatenate([train for train, _ in self._splits])))
        self._tests = _slice(self.test_rows)
        self._repeats = np.empty((0, len(self.test_rows), responses.shape[1]))
        if repeats is not None:
            self._repeats = np.asarray(repeats, dtype=np.float64)
        if self._repeats.shape[1:] != (len(self.test_rows), responses.shape[1]):
            raise ResponsesError(
                f"repeats of shape {self._repeats.shape}; they should be (n_repeats, "
                f"{len(self.test_rows)} held-out rows, {responses.shape[1]} voxels)"
            )
        if device is not None:
            find_device(device)
        self._all_still = True
        self._parts = self._make_parts(responses, device)

    def predict(self, y: UnitColumns, *, resolution: float | None = None, n_jobs: int = 1) -> Array:
        """Held-out predictions of activations.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw; rows as in ``x``. Held-out rows do not enter their own prediction.
            Anything that is sliced like an array will do: it is read a tile of units at a time.
        resolution : float, optional
            As of :meth:`decode`.
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
            # Beside presentations, where there are any: to the last bit as :meth:`decode` has it.
            repeats = len(self._repeats) > 0
            tile, exponent, least = self._read(y, start, stop, resolution)
            decoded = self._decoded(tile, start, repeats=repeats, resolution=least)[0]
            predicted[:, start:stop] = np.ldexp(decoded, exponent)

        self._each_tile(y, decode, n_jobs)
        return predicted

    def accuracy(
        self, y: UnitColumns, *, resolution: float | None = None, n_jobs: int = 1
    ) -> Array:
        """Decoding accuracy of each unit: profile correlation over the held-out images.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw. Read a tile of units at a time: memory does not grow with units.
        resolution : float, optional
            As of :meth:`decode`.
        n_jobs : int
            Threads.

        Returns
        -------
        array of shape (n_units,)
            Pearson r; NaN for a unit that is constant over the training or the held-out images, by
            :func:`unitdb.resolution.is_constant`.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        nothing = np.empty(0, dtype=np.intp)
        return self.decode(y, keep=nothing, resolution=resolution, n_jobs=n_jobs).r

    def decode(
        self,
        y: UnitColumns,
        *,
        keep: Rows,
        of_repeats: OfRepeats | None = None,
        resolution: float | None = None,
        n_jobs: int = 1,
    ) -> Decoded:
        """Decoding accuracy of each unit, and the predictions of some of them.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw.
        keep : array of shape (n_kept,)
            Columns whose predictions are returned too, ascending.
        of_repeats : callable, optional
            What to compute of predictions from single presentations, for some units at a time:
            from arrays (n_repeats, n_test, n_units), and the true (n_test, n_units), one of
            (n_values, n_units). NaN takes its place for units that are constant in training.
        resolution : float, optional
            By which units are constant (:func:`unitdb.resolution.resolution_of`); by default that
            of the array's type. Say it of activations that were computed in less than they are
            stored in.
        n_jobs : int
            Threads.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        found = np.empty(y.shape[1])
        predicted = np.empty((len(self.test_rows), len(keep)))
        values: dict[int, Array] = {}

        def decode(start: int, stop: int) -> None:
            true, exponent, least = self._read(y, start, stop, resolution)
            tests = true[self._tests].astype(np.float64, copy=False)
            tests = flattened(tests, resolution=least)
            repeats = of_repeats is not None
            decoded, *single = self._decoded(true, start, repeats=repeats, resolution=least)
            constant = self._undecodable(true[self._trains], decoded, least)
            found[start:stop] = profile_correlation(decoded, tests)
            found[start:stop][constant] = np.nan
            if of_repeats is not None:
                values[start] = of_repeats(np.stack(single), tests)
                values[start][:, constant] = np.nan
            first, last = np.searchsorted(keep, [start, stop])
            columns = keep[first:last] - start
            predicted[:, first:last] = np.ldexp(decoded[:, columns], exponent[columns])

        self._each_tile(y, decode, n_jobs)
        together = np.concatenate([values[at] for at in sorted(values)], axis=1) if values else None
        return Decoded(r=found, predicted=predicted, of_repeats=together)

    def _undecodable(self, train: Floats, decoded: Array, resolution: float) -> NDArray[np.bool_]:
        """Units that do not vary in training, or whose predictions vary by rounding alone."""
        constant = is_constant(train, resolution=resolution)
        if len(self._splits) > 1:
            return constant
        if self._all_still:  # equal rows, whose products some processors round differently
            return np.ones_like(constant)
        # Predictions are sums about the training mean: beside that they may vary little.
        return constant | is_constant(decoded - train.mean(axis=0, dtype=np.float64))

    def _read(
        self, y: UnitColumns, start: int, stop: int, resolution: float | None
    ) -> tuple[Floats, NDArray[np.int32], float]:
        """Activations of some units, times 2⁻ᵉ where they are extreme; e; resolution."""
        raw = np.ascontiguousarray(y[:, start:stop])
        tile, exponent = scaled(raw)
        least = resolution_of(raw.dtype) if resolution is None else resolution
        return np.ascontiguousarray(tile), exponent, least

    def _decoded(
        self, tile: Floats, start: int, *, repeats: bool, resolution: float
    ) -> list[Array]:
        """Predictions (n_test, n_units) from averages, then from each presentation if asked."""
        try:
            rows = np.concatenate(
                [part.predict(tile, repeats=repeats, resolution=resolution) for part in self._parts]
            )
        except IllConditionedError as cause:
            if cause.unit is None:
                raise
            raise IllConditionedError(cause.alpha, unit=start + cause.unit) from None
        if not repeats:
            return [rows]
        # A split has its averages, then its first presentations, …
        ends = np.cumsum([len(test) for _, test in self._splits])[:-1] * (1 + len(self._repeats))
        splits = [
            split.reshape(1 + len(self._repeats), -1, tile.shape[1])
            for split in np.split(rows, ends)
        ]
        return list(np.concatenate(splits, axis=1))

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

    def _fold(self, x: Array, split: Split, repeats: Array) -> tuple[Array, Array]:
        """Normalised responses of a split, without the voxels that are constant in training.

        Below the averages of held-out images are their single presentations.
        """
        train, test = split
        useful = ~is_constant(x[train], resolution=self._resolution)
        if not useful.any():
            raise ResponsesError(
                f"none of the {x.shape[1]} voxels varies over the {len(train)} training samples"
            )
        averages = x[test]
        # Averages of unequally many presentations differ by an ulp.
        still = is_constant(averages, resolution=self._resolution)
        averages[:, still] = averages[0, still]
        self._all_still &= bool(still[useful].all())
        x_test = np.concatenate([averages, *repeats])[:, useful]
        fold = normalise(x[np.ix_(train, useful)], x_test, zscore=self._settings.zscore)
        selects = self._settings.n_voxels is not None and self._settings.n_voxels < useful.sum()
        dtype = self._dtype if selects else np.float64
        check_held(*fold, columns=np.flatnonzero(useful), dtype=dtype)
        return fold

    def _make_parts(self, x: Array, device: str | None) -> list[Part]:
        settings, dtype = self._settings, self._dtype
        parts: list[Part] = []
        smoothers: list[Array] = []
        ends = np.cumsum([len(test) for _, test in self._splits])[:-1]
        repeats = np.split(self._repeats, ends, axis=1)
        for split, of_split in zip(self._splits, repeats, strict=True):
            fold = self._fold(x, split, of_split)
            if settings.n_voxels is not None and settings.n_voxels < fold[0].shape[1]:
                parts.append(self._selected(fold, split, settings.n_voxels, device))
            else:
                smoothers.append(smoother_matrix(fold, split[0], self._n_rows, settings))
                parts.append(Smoother(smoothers[-1], dtype, len(split[1])))
        if len(smoothers) < len(parts) or len(self._repeats):
            return parts
        matrix = np.concatenate(smoothers)  # one product instead of many
        return [Smoother(matrix, dtype, len(matrix))]

    def _selected(
        self, fold: tuple[Array, Array], split: Split, n_voxels: int, device: str | None
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
        train, test = split
        return SelectedPart(ridge, x_test, train, self._dtype, len(test))


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
