"""Decode units from one ROI of one subject: the door of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from unitdb.decoding._held_out import Rows, Split, folds, make_sets, of_sets, slice_of, x_of_set
from unitdb.decoding._metrics import profile_correlation
from unitdb.decoding._parts import Part, SelectedPart, Smoother, smoother_matrices
from unitdb.decoding._scaling import check_held, normalise
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._torch import TorchSelectedRidge, find_device
from unitdb.decoding.settings import TILE, DecoderSettings, units_at_once
from unitdb.errors import IllConditionedError, ResponsesError
from unitdb.resolution import flattened, is_constant, resolution_of, scaled

__all__ = ["Decoded", "RoiDecoder", "UnitColumns"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating]


class UnitColumns(Protocol):
    """Activations that are read a few columns at a time: an array, a memory map, zarr."""

    shape: tuple[int, ...]

    def __getitem__(self, key: tuple[slice, slice]) -> NDArray[np.floating]: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """What decoding some units gives.

    Parameters
    ----------
    r : array of shape (n_sets, n_units)
        Decoding accuracy over the held-out rows of each set.
    predicted : array of shape (n_test, n_kept)
        Predictions of the units that were to be kept, raw.
    of_repeats : tuple of (array of shape (n_values, n_units) or None)
        What was to be computed of each unit's predictions from single presentations, for each set;
        None where it has none.
    """

    r: Array
    predicted: Array
    of_repeats: tuple[Array | None, ...]


OfRepeats = Callable[[int, Array, Array], Array]
"""Number of a set, predictions from its single presentations (n_repeats, n_held_out, n_units), and
true activations (n_held_out, n_units) → (n_values, n_units)."""


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
    sets : sequence of integer arrays, optional
        Held-out rows of each test set, in the order of the splits: accuracies are over the rows of
        a set. By default all held-out rows are one.
    repeats : array of shape (n_repeats, n_test, n_voxels), or sequence of such, optional
        Single presentations of the held-out images, raw, in the order of ``test_rows``. Where there
        are ``sets``, those of each, or None.
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
        No voxel varies over the training rows, one is not finite or cannot be computed with, sets
        are not the held-out rows, or repeats are of another shape.
    IllConditionedError
        The penalty is too small for regression on all voxels.
    DeviceError
        There is no such device, or torch is not installed.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037; Horikawa et al. 2019,
    doi:10.1038/sdata.2019.12.

    Examples
    --------
    >>> from unitdb.decoding import DecoderSettings, RoiDecoder
    >>> x = np.random.default_rng(0).normal(size=(60, 4))
    >>> splits = [(np.arange(40), np.arange(40, 60))]
    >>> decoder = RoiDecoder(x, splits, DecoderSettings(alpha=0.1, n_voxels=None))
    >>> decoder.accuracy(x[:, :2]).round(1)
    array([1., 1.])
    """

    def __init__(
        self,
        x: NDArray[np.floating],
        splits: Sequence[Split],
        settings: DecoderSettings,
        *,
        sets: Sequence[Rows] | None = None,
        repeats: NDArray[np.floating] | Sequence[NDArray[np.floating] | None] | None = None,
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
        self._trains = slice_of(np.unique(np.concatenate([train for train, _ in self._splits])))
        self._is_one = sets is None
        if sets is None:
            sets, repeats = [self.test_rows], [None if repeats is None else np.asarray(repeats)]
        self._is_folded = len(self._splits) > 1
        if self._is_folded and len(sets) > 1 and any(x is not None for x in repeats or ()):
            raise ResponsesError("single presentations of several sets need one split, not folds")
        self._sets = make_sets(
            sets, repeats or [None] * len(sets), responses.shape[1], self.test_rows
        )
        if device is not None:
            find_device(device)
        self._are_still = [True] * len(self._sets)
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

        Examples
        --------
        >>> from unitdb.decoding import DecoderSettings, RoiDecoder
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> splits = [(np.arange(40), np.arange(40, 60))]
        >>> RoiDecoder(x, splits, DecoderSettings(n_voxels=None)).predict(x[:, :3]).shape
        (20, 3)
        """
        predicted = np.empty((len(self.test_rows), y.shape[1]))

        def decode(start: int, stop: int) -> None:
            # Beside presentations, where there are any: to the last bit as :meth:`decode` has it.
            tile, exponent, least = self._read(y, start, stop, resolution)
            groups = self._decoded(tile, start, repeats=True, resolution=least)
            for of_set, (decoded, *_) in zip(self._sets, groups, strict=True):
                predicted[of_set.places, start:stop] = (
                    np.ldexp(decoded, exponent) if exponent.any() else decoded
                )

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
        array of shape (n_units,), or (n_sets, n_units) where the decoder was given ``sets``
            Pearson r; NaN for a unit that is constant over the training or the held-out images, by
            :func:`unitdb.resolution.is_constant`.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.
        """
        nothing = np.empty(0, dtype=np.intp)
        r = self.decode(y, keep=nothing, resolution=resolution, n_jobs=n_jobs).r
        return r[0] if self._is_one else r

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
            of a set, by its number, from arrays (n_repeats, n_held_out, n_units), and the true
            (n_held_out, n_units), one of (n_values, n_units). NaN takes its place for units that
            are constant in training.
        resolution : float, optional
            By which units are constant (:func:`unitdb.resolution.resolution_of`); by default that
            of the array's type. Say it of activations that were computed in less than they are
            stored in.
        n_jobs : int
            Threads.

        Returns
        -------
        Decoded
            Accuracies of all units, and the predictions that are kept.

        Raises
        ------
        IllConditionedError
            The penalty is too small for the voxels of a unit; names its column.

        Examples
        --------
        >>> from unitdb.decoding import DecoderSettings, RoiDecoder
        >>> x = np.random.default_rng(0).normal(size=(60, 4))
        >>> splits = [(np.arange(40), np.arange(40, 60))]
        >>> decoder = RoiDecoder(x, splits, DecoderSettings(n_voxels=None))
        >>> found = decoder.decode(x[:, :3], keep=np.array([1]))
        >>> found.r.shape, found.predicted.shape
        ((1, 3), (20, 1))
        """
        found = np.empty((len(self._sets), y.shape[1]))
        predicted = np.empty((len(self.test_rows), len(keep)))
        values: list[dict[int, Array]] = [{} for _ in self._sets]

        def decode(start: int, stop: int) -> None:
            true, exponent, least = self._read(y, start, stop, resolution)
            first, last = np.searchsorted(keep, [start, stop])
            columns, train = keep[first:last] - start, true[self._trains]
            untrained = is_constant(train, resolution=least)
            # Pooled over folds, predictions are about many means: none is taken of them.
            mean = None if self._is_folded else train.mean(axis=0, dtype=np.float64)
            repeats = of_repeats is not None
            groups = self._decoded(true, start, repeats=repeats, resolution=least)
            for number, (of_set, (decoded, *single)) in enumerate(
                zip(self._sets, groups, strict=True)
            ):
                tests = true[slice_of(of_set.rows)].astype(np.float64, copy=False)
                tests = flattened(tests, resolution=least)
                constant = untrained | self._undecodable(number, decoded, mean)
                found[number, start:stop] = profile_correlation(decoded, tests)
                found[number, start:stop][constant] = np.nan
                if of_repeats is not None and single:
                    values[number][start] = of_repeats(number, np.stack(single), tests)
                    values[number][start][:, constant] = np.nan
                kept = np.ldexp(decoded[:, columns], exponent[columns])
                predicted[of_set.places, first:last] = kept

        self._each_tile(y, decode, n_jobs)
        together = (
            np.concatenate([of_set[at] for at in sorted(of_set)], axis=1) if of_set else None
            for of_set in values
        )
        return Decoded(r=found, predicted=predicted, of_repeats=tuple(together))

    def _undecodable(
        self, number: int, decoded: Array, mean: Array | None
    ) -> NDArray[np.bool_] | bool:
        """Units whose predictions vary by rounding alone.

        They are sums about the training mean, beside which they may vary little.
        """
        if mean is None:
            return False
        if self._are_still[number]:  # equal rows, whose products some processors round differently
            return True
        return is_constant(decoded - mean)

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
    ) -> list[list[Array]]:
        """For each set predictions from averages, then from each presentation if asked.

        Arrays of shape (n_held_out, n_units).
        """
        try:
            groups = [
                group
                for part in self._parts
                for group in part.predict(tile, repeats=repeats, resolution=resolution)
            ]
        except IllConditionedError as cause:
            if cause.unit is None:
                raise
            raise IllConditionedError(cause.alpha, unit=start + cause.unit) from None
        return of_sets(groups, self._sets, repeats=repeats)

    def _each_tile(self, y: UnitColumns, decode: Callable[[int, int], None], n_jobs: int) -> None:
        if y.shape[0] != self._n_rows:
            raise ResponsesError(
                f"activations have {y.shape[0]} rows, the responses have {self._n_rows}"
            )
        # Threads share the tiles and compute alone: BLAS threads would compete with them, and
        # rounding would follow their number.
        with _blas().limit(limits=1, user_api="blas"):
            if n_jobs == 1:  # a thread that waits beside would compete for the interpreter
                for some in self._together(y.shape[1]):
                    decode(*some)
                return
            with ThreadPoolExecutor(n_jobs) as pool:
                for done in [pool.submit(decode, *some) for some in self._together(y.shape[1])]:
                    done.result()

    def _together(self, n_units: int) -> Iterator[tuple[int, int]]:
        """Bounds of units that are decoded at a time: tiles, of which what is linear takes more."""
        step = TILE
        if all(isinstance(part, Smoother) for part in self._parts):
            rows = self._n_rows + sum(of_set.repeats[:, :, 0].size for of_set in self._sets)
            step = units_at_once(rows)
        bounds = {*range(0, n_units, step), n_units}
        if n_units % TILE == 1:  # sums of a single column are in another order: it stays alone
            bounds.add(n_units - 1)
        return pairwise(sorted(bounds))

    def _make_parts(self, x: Array, device: str | None) -> list[Part]:
        settings, dtype = self._settings, self._dtype
        parts: list[Part] = []
        smoothers: list[Array] = []
        for train, held_out in folds(self._splits, self._sets):
            useful = ~is_constant(x[train], resolution=self._resolution)
            if not useful.any():
                raise ResponsesError(
                    f"none of the {x.shape[1]} voxels varies over the {len(train)} training samples"
                )
            own, tests = x[:, useful], list[Array]()
            for number, (rows, repeats) in enumerate(held_out):
                x_test, still = x_of_set(
                    own, rows, repeats[:, :, useful], resolution=self._resolution
                )
                self._are_still[number] &= still
                tests.append(x_test)
            n_averages = [len(rows) for rows, _ in held_out]
            selects = settings.n_voxels is not None and settings.n_voxels < own.shape[1]
            x_train, x_tests = normalise(own[train], np.concatenate(tests), zscore=settings.zscore)
            held = dtype if selects else np.float64
            check_held(x_train, x_tests, columns=np.flatnonzero(useful), dtype=held)
            groups = np.split(x_tests, np.cumsum([len(rows) for rows in tests])[:-1])
            if settings.n_voxels is not None and selects:
                ridge = self._ridge(x_train, settings.n_voxels, device)
                parts.append(SelectedPart(ridge, groups, train, dtype, n_averages))
            else:
                matrices = smoother_matrices(x_train, groups, train, self._n_rows, settings)
                smoothers += matrices
                parts.append(Smoother(matrices, dtype, n_averages))
        has_groups = len(self._sets) > 1 or len(self._sets[0].repeats)
        if len(smoothers) < len(parts) or has_groups:
            return parts
        matrix = np.concatenate(smoothers)  # one product instead of many
        return [Smoother([matrix], dtype, [len(matrix)])]

    def _ridge(self, x_train: Array, n_voxels: int, device: str | None) -> SelectedRidge:
        make = (
            SelectedRidge
            if device is None
            else partial(TorchSelectedRidge, device=find_device(device))
        )
        return make(
            x_train,
            n_voxels=n_voxels,
            alpha=self._settings.alpha,
            scaled=self._settings.zscore,
            dtype=self._dtype,
        )


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # looking for the libraries takes milliseconds
