"""What a picture is to give: features decoded from held-out responses, and true ones beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb import npy
from unitdb.analysis import Scaling, project, true_amplitude
from unitdb.decoding import DecoderSettings
from unitdb.errors import ResponsesError, UnitdbError
from unitdb.folds import held_out_together
from unitdb.predictions import check_worker
from unitdb.resolution import is_constant
from unitdb.sealed import read_npz, sealed_shape, write_npy

if TYPE_CHECKING:
    from unitdb.decoding import RoiDecoder

__all__ = ["FeatureLayer", "Source", "TargetStep", "Wanted", "shuffled_rows"]

Rows = NDArray[np.intp]
Floats = NDArray[np.floating]
Source = Literal["brain", "recovery", "projection"]

_INNER_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class FeatureLayer:
    """Features of all stimuli in a file.

    Parameters
    ----------
    name : str
    path : Path
        ``.npy``: (n_stimuli, n_units).
    n_units : int
    resolution : float
        By which units are constant.
    """

    name: str
    path: Path
    n_units: int
    resolution: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Wanted:
    """Which units of each layer pictures are made from, where these are not all.

    Parameters
    ----------
    by : {'given', 'top', 'bottom'}
        Those given, or chosen within the samples that train by decoding accuracy.
    n : int
        Of each layer, where they are chosen.
    units : sequence of array of int
        Those given, of each layer.
    """

    by: Literal["given", "top", "bottom"]
    n: int = 0
    units: Sequence[NDArray[np.intp]] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetStep:
    """Targets of some pictures of a person.

    Parameters
    ----------
    name : str
        For messages.
    person : Path
        By :func:`unitdb.reconstruction.write_person`.
    pictures : array of shape (n_pictures,)
        Rows of the features that are reconstructed.
    layers : tuple of FeatureLayer
    wanted : Wanted or None
        None for all units.
    constant : bool
        Whether units count that are the same in all pictures that train: as pixels do.
    source : {'brain', 'recovery', 'projection'}
        Decoded; true; or true ones projected onto the span of those that train.
    control : int
        Which training pictures are shuffled, from 1; 0 for the true ones.
    scaling : {'mean-centred', 'shen2019', 'none'}
    settings : DecoderSettings
    seed : tuple of int
    target : Path
        ``.npy``: float32 (n_pictures, n_units of all layers); NaN for units that are not used.
    code : str
        Hash of the code that must do it.
    """

    name: str
    person: Path
    pictures: Rows
    layers: tuple[FeatureLayer, ...]
    wanted: Wanted | None
    constant: bool
    source: Source
    control: int
    scaling: Scaling
    settings: DecoderSettings
    seed: tuple[int, ...]
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the result is there, as it was written, and of the right shape.

        Returns
        -------
        bool
            True where nothing is left to do.
        """
        return sealed_shape(self.target) == (len(self.pictures), self._n_units)

    @property
    def _n_units(self) -> int:
        return sum(layer.n_units for layer in self.layers)

    def run(self) -> None:
        """Decode, match the amplitude, and write."""
        check_worker(self.code, self.person)
        arrays = read_npz(self.person, lambda _: True)
        with threadpool_limits(1):
            try:
                found = self._targets(arrays)
            except UnitdbError as cause:
                raise ResponsesError(f"{self.name}: {cause}") from None
        write_npy(self.target, found)

    def _targets(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        from unitdb.decoding import RoiDecoder  # numba, for who decodes

        rows: Rows = arrays["rows"].astype(np.intp)
        totals = np.zeros((len(self.pictures), self._n_units))
        counts = np.zeros(totals.shape, dtype=np.int32)
        n_splits = sum(name.startswith("train-") for name in arrays)
        for number in range(n_splits):
            train, test = arrays[f"train-{number}"], arrays[f"test-{number}"]
            test = test[np.isin(rows[test], self.pictures)]
            if not len(test):
                continue
            of_samples = shuffled_rows(
                rows, train, seed=self.seed, control=self.control, split=number
            )
            decoder = None
            if self.source == "brain":
                decoder = RoiDecoder(arrays["values"], [(train, test)], self.settings)
            # Of a picture that is held out several times, the mean.
            place = np.array([int(np.flatnonzero(self.pictures == row)[0]) for row in rows[test]])
            start = 0
            for at, layer in enumerate(self.layers):
                features = npy.map_npy(layer.path)
                found = self._of_layer(decoder, features, layer, of_samples, train, test)
                used = self._used(arrays["values"], features, at, of_samples, train, number)
                found[:, ~used] = np.nan
                columns = slice(start, start + layer.n_units)
                known = ~np.isnan(found)
                np.add.at(totals[:, columns], place, np.where(known, found, 0.0))
                np.add.at(counts[:, columns], place, known)
                start += layer.n_units
        targets = np.full(totals.shape, np.nan)
        np.divide(totals, counts, out=targets, where=counts > 0)
        return targets.astype(np.float32)

    def _of_layer(
        self,
        decoder: RoiDecoder | None,
        features: Floats,
        layer: FeatureLayer,
        rows: Rows,
        train: Rows,
        test: Rows,
    ) -> NDArray[np.float64]:
        if self.source == "recovery":
            return features[rows[test]].astype(np.float64)
        images = np.unique(rows[train])
        if decoder is None:
            return project(features[rows[test]], features[images])
        predicted = decoder.predict(_OfSamples(features, rows), resolution=layer.resolution)
        if self.scaling == "none":
            return predicted
        shown, times = np.unique(rows[train], return_counts=True)
        mean = (times / times.sum()) @ features[shown].astype(np.float64)
        return true_amplitude(features[images], mean).matched(predicted, self.scaling)

    def _used(
        self, values: Floats, features: Floats, at: int, rows: Rows, train: Rows, split: int
    ) -> NDArray[np.bool_]:
        """Units of a layer that vary in training, and that pictures are to be made from."""
        layer = self.layers[at]
        if self.constant:
            return np.ones(layer.n_units, dtype=np.bool_)
        used = ~is_constant(features[np.unique(rows[train])], resolution=layer.resolution)
        if self.wanted is None:
            return used
        if self.wanted.by == "given":
            chosen = np.zeros(layer.n_units, dtype=np.bool_)
            chosen[self.wanted.units[at]] = True
            return used & chosen
        r = self._inner_accuracy(values, features, layer, rows, train, split)
        worst = -np.inf if self.wanted.by == "top" else np.inf
        r = np.where(used & ~np.isnan(r), r, worst)
        order = np.argsort(-r if self.wanted.by == "top" else r, kind="stable")[: self.wanted.n]
        chosen = np.zeros(layer.n_units, dtype=np.bool_)
        chosen[order] = True
        return used & chosen

    def _inner_accuracy(
        self,
        values: Floats,
        features: Floats,
        layer: FeatureLayer,
        rows: Rows,
        train: Rows,
        split: int,
    ) -> NDArray[np.float64]:
        """Decoding accuracy of each unit within the samples that train."""
        from unitdb.decoding import RoiDecoder

        images, of_sample = np.unique(rows[train], return_inverse=True)
        folds = held_out_together(len(images), _INNER_FOLDS, seed=self.seed[0] + split)
        splits = [
            (train[~np.isin(of_sample, fold)], train[np.isin(of_sample, fold)]) for fold in folds
        ]
        decoder = RoiDecoder(values, splits, self.settings)
        return decoder.accuracy(_OfSamples(features, rows), resolution=layer.resolution)


def shuffled_rows(
    rows: Rows, train: Rows, *, seed: Sequence[int], control: int, split: int
) -> Rows:
    """Rows of the samples, pictures that train exchanged where this is a control.

    Parameters
    ----------
    rows : array of shape (n_samples,)
        Picture of each sample.
    train : array of int
        Samples that train.
    seed : sequence of int
    control : int
        From 1; 0 leaves all as they are.
    split : int
    """
    if not control:
        return rows
    rng = np.random.Generator(np.random.PCG64([*seed, control, split]))
    images, of_sample = np.unique(rows[train], return_inverse=True)
    found = rows.copy()
    found[train] = images[rng.permutation(len(images))[of_sample]]
    return found


class _OfSamples:
    """Features of samples, read some columns at a time."""

    def __init__(self, features: Floats, rows: Rows) -> None:
        self._features, self._rows = features, rows
        self.shape: tuple[int, ...] = (len(rows), int(features.shape[1]))

    def __getitem__(self, key: tuple[slice, slice]) -> Floats:
        return np.asarray(self._features[:, key[1]])[self._rows][key[0]]
