"""Amplitude of decoded features: regression towards the mean taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError

__all__ = ["Amplitude", "Scaling", "true_amplitude"]

Array = NDArray[np.float64]
Scaling = Literal["mean-centred", "shen2019", "none"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Amplitude:
    """How much the true features of a layer vary over its units, in pictures that train.

    Parameters
    ----------
    mean : array of shape (n_units,)
        m, over the pictures.
    about_mean : float
        Mean over pictures of the SD over units of φ − m.
    raw : float
        The same of φ.
    """

    mean: Array
    about_mean: float
    raw: float

    def matched(self, predicted: Array, scaling: Scaling) -> Array:
        """Predictions with the amplitude of true features.

        ``"mean-centred"``: m + (p − m) s₀ / s(p − m), s the SD over units and s₀ its mean over true
        deviations. ``"shen2019"``: p s₀ / s(p), mean and all. ``"none"``: p.

        Parameters
        ----------
        predicted : array of shape (n_images, n_units)
            p, decoded.
        scaling : {"mean-centred", "shen2019", "none"}

        Returns
        -------
        array of shape (n_images, n_units)
            p where it does not vary over units.

        Raises
        ------
        AnalysisError
            Another shape or scaling.

        References
        ----------
        Shen, Horikawa, Majima & Kamitani 2019, doi:10.1371/journal.pcbi.1006633, whose SD of a
        convolutional layer is that over space, averaged over channels; about the mean as in
        KamitaniLab/brain-decoding-cookbook-public, ``feature_std_train_mean_center``.

        Examples
        --------
        >>> from unitdb.analysis import Amplitude
        >>> true = Amplitude(mean=np.array([1.0, 3]), about_mean=1.0, raw=1.0)
        >>> true.matched(np.array([[1.0, 2]]), "mean-centred")
        array([[1., 1.]])
        """
        if predicted.ndim != 2 or predicted.shape[1:] != self.mean.shape:
            raise AnalysisError(f"predictions of shape {predicted.shape}; {len(self.mean)} units")
        if scaling not in get_args(Scaling):
            raise AnalysisError(f"scaling {scaling!r}; one of {', '.join(get_args(Scaling))}")
        if scaling == "none":
            return predicted
        centre = self.mean if scaling == "mean-centred" else np.zeros_like(self.mean)
        size = self.about_mean if scaling == "mean-centred" else self.raw
        deviations = predicted - centre
        sd = deviations.std(axis=1, keepdims=True)
        factor = np.divide(size, sd, out=np.ones_like(sd), where=sd > 0)
        return np.asarray(centre + deviations * factor)


def true_amplitude(features: NDArray[np.floating], mean: Array) -> Amplitude:
    """Amplitude of true features.

    Parameters
    ----------
    features : array of shape (n_images, n_units)
        Of pictures that train.
    mean : array of shape (n_units,)
        m: over the samples that train.

    Returns
    -------
    Amplitude
        Of the true features of the layer.

    Examples
    --------
    >>> from unitdb.analysis import true_amplitude
    >>> true = true_amplitude(np.array([[0.0, 4], [2, 2]]), np.array([1.0, 3]))
    >>> true.raw, true.about_mean
    (1.0, 1.0)
    >>> true.matched(np.array([[1.0, 2]]), "mean-centred")
    array([[1., 1.]])
    """
    deviations = features - mean
    return Amplitude(
        mean=mean,
        about_mean=float(deviations.std(axis=1).mean()),
        raw=float(features.std(axis=1, dtype=np.float64).mean()),
    )
