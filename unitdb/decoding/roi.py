"""Decode units from one ROI of one subject: the door of this room."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from unitdb.decoding._metrics import is_constant, profile_correlation
from unitdb.decoding._ridge import SelectedRidge, normalise, penalty, ridge_hat
from unitdb.decoding.settings import DecoderSettings
from unitdb.errors import ResponsesError

__all__ = ["RoiDecoder"]

Rows = NDArray[np.intp]
Split = tuple[Rows, Rows]


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

    Attributes
    ----------
    test_rows : array of shape (n_test,)
        Rows of ``x`` that are held out, in the order of the predictions.

    Raises
    ------
    ResponsesError
        No voxel varies over the training rows.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037; Horikawa et al. 2019,
    doi:10.1038/sdata.2019.12.
    """

    def __init__(
        self, x: NDArray[np.floating], splits: Sequence[Split], settings: DecoderSettings
    ) -> None:
        self._x = np.asarray(x, dtype=np.float64)
        self._splits = tuple(splits)
        self._settings = settings
        self.test_rows: Rows = np.concatenate([test for _, test in self._splits])
        self._train_rows = np.unique(np.concatenate([train for train, _ in self._splits]))
        for train, _ in self._splits:
            if is_constant(self._x[train]).all():
                raise ResponsesError(
                    f"none of the {self._x.shape[1]} voxels varies over the {len(train)} "
                    "training samples"
                )
        kept = settings.n_voxels
        self._selected: tuple[SelectedRidge, ...] = ()
        self._smoother: NDArray[np.float64] | None = None
        if kept is not None and kept < self._x.shape[1]:
            self._selected = tuple(
                SelectedRidge(
                    *self._normalised(split),
                    n_voxels=kept,
                    alpha=settings.alpha,
                    scaled=settings.zscore,
                )
                for split in self._splits
            )
        else:
            self._smoother = self._linear_smoother()

    def predict(self, y: NDArray[np.floating]) -> NDArray[np.float64]:
        """Held-out predictions of activations.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw; rows as in ``x``. Held-out rows do not enter their own prediction.

        Returns
        -------
        array of shape (n_test, n_units)
            Raw activations, rows as ``test_rows``.
        """
        true = np.asarray(y, dtype=np.float64)
        if self._smoother is not None:
            return np.asarray(self._smoother @ true)
        predicted = []
        for (train, _), ridge in zip(self._splits, self._selected, strict=True):
            mean, sd = true[train].mean(axis=0), true[train].std(axis=0, ddof=1)
            z, _ = normalise(true[train], true[:0], zscore=True)
            try:
                predicted.append(mean + sd * ridge.predict(z))
            except np.linalg.LinAlgError as cause:
                raise ResponsesError(
                    f"ridge cannot be solved with alpha = {self._settings.alpha:g}: {cause}; "
                    "scale the voxels (zscore) or raise alpha"
                ) from cause
        return np.concatenate(predicted)

    def accuracy(self, y: NDArray[np.floating]) -> NDArray[np.float64]:
        """Decoding accuracy of each unit: profile correlation over the held-out images.

        Parameters
        ----------
        y : array of shape (n_rows, n_units)
            Activations, raw.

        Returns
        -------
        array of shape (n_units,)
            Pearson r; NaN for a unit that is constant over the training or the held-out images.
        """
        true = np.asarray(y, dtype=np.float64)
        r = profile_correlation(self.predict(true), true[self.test_rows])
        # Its prediction is constant too, but for rounding.
        r[is_constant(true[self._train_rows])] = np.nan
        return r

    def _normalised(self, split: Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        train, test = split
        return normalise(self._x[train], self._x[test], zscore=self._settings.zscore)

    def _linear_smoother(self) -> NDArray[np.float64]:
        """Matrix M of shape (n_test, n_rows) with  predictions = M y  for every unit.

        Without voxel selection ridge is linear in y, with the same matrix for all units:
        p = ȳ + H (y − ȳ), where ȳ averages the training rows. Scaling y by its SD and back
        cancels.
        """
        smoother = np.zeros((len(self.test_rows), len(self._x)))
        start = 0
        for train, test in self._splits:
            x_train, x_test = self._normalised((train, test))
            alpha = penalty(
                x_train, alpha=self._settings.alpha, relative=self._settings.alpha_relative
            )
            hat = ridge_hat(x_train, x_test, alpha)
            average = (1.0 - hat.sum(axis=1, keepdims=True)) / len(train)
            smoother[start : start + len(test), train] = hat + average
            start += len(test)
        return smoother
