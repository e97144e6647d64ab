"""Patterns over units: whether what is decoded for an image looks like its true activations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import scaled

__all__ = ["PatternSimilarity"]

Array = NDArray[np.float64]

_CHUNK = 8192  # units converted to float64 together


class PatternSimilarity:
    """Correlations of predicted patterns with candidates, from units that come in blocks.

    s_ij = Pearson r over units of prediction i and candidate j. Where candidates are the images'
    own true patterns, s_ii is the **pattern correlation** of image i. As all images share much of
    their mean pattern, its chance level is not 0 but the mean of s_ij over i ≠ j; normalise each
    unit with its training mean and SD to take that mean away.

    Memory is that of the similarities and of a few thousand units. Sums are of float64, of
    differences to each pattern's first unit.

    Parameters
    ----------
    n_images, n_candidates : int
        Predicted patterns, and patterns that they are compared with.

    Attributes
    ----------
    n_units : int
        Units that counted so far: those defined in all predictions and candidates.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037; Shen et al. 2019,
    doi:10.1371/journal.pcbi.1006633 (normalised by unit).

    Examples
    --------
    >>> from unitdb.analysis import PatternSimilarity
    >>> found = PatternSimilarity(n_images=1, n_candidates=2)
    >>> predicted, candidates = np.array([[1.0, 2, 3]]), np.array([[2.0, 4, 6], [3, 2, 1]])
    >>> found.add(predicted, candidates)
    >>> found.similarity().round(2)
    array([[ 1., -1.]])
    """

    def __init__(self, n_images: int, n_candidates: int) -> None:
        self.n_units = 0
        self._shifts: tuple[Array, Array] | None = None
        self._exponents = (0, 0)  # of the first units: squares of sizes like theirs can be held
        self._shape = (n_images, n_candidates)
        self._products = np.zeros(self._shape)
        self._sums = (np.zeros(n_images), np.zeros(n_candidates))
        self._squares = (np.zeros(n_images), np.zeros(n_candidates))

    def add(
        self,
        predicted: NDArray[np.floating],
        candidates: NDArray[np.floating],
        *,
        mean: NDArray[np.floating] | None = None,
        sd: NDArray[np.floating] | None = None,
    ) -> None:
        """Count some units.

        Parameters
        ----------
        predicted : array of shape (n_images, n_units)
        candidates : array of shape (n_candidates, n_units)
            True patterns of the images themselves, of others, or both.
        mean, sd : arrays of shape (n_units,), optional
            Taken from each unit, in predictions and candidates alike, and divided by; a unit whose
            SD is 0 does not count.

        Raises
        ------
        AnalysisError
            Other shapes than these.
        """
        n_units = predicted.shape[-1]
        expected = tuple((n, n_units) for n in self._shape)
        if (predicted.shape, candidates.shape) != expected:
            raise AnalysisError(
                f"patterns of shapes {predicted.shape} and {candidates.shape}; they should be "
                f"{expected[0]} and {expected[1]}"
            )
        centre = np.zeros(n_units) if mean is None else mean
        scale = np.ones(n_units) if sd is None else sd
        if centre.shape != (n_units,) or scale.shape != (n_units,):
            raise AnalysisError(f"mean and SD of shapes {centre.shape}, {scale.shape}: {n_units}")
        for start in range(0, n_units, _CHUNK):
            part = slice(start, start + _CHUNK)
            self._add(predicted[:, part], candidates[:, part], centre[part], scale[part])

    def _add(
        self,
        predicted: NDArray[np.floating],
        candidates: NDArray[np.floating],
        mean: NDArray[np.floating],
        sd: NDArray[np.floating],
    ) -> None:
        scale = np.where(sd > 0, sd, np.nan).astype(np.float64)
        p, c = (predicted - mean) / scale, (candidates - mean) / scale
        # A row's sum finds NaN in one pass, without a mask of the whole.
        complete = ~np.isnan(p.sum(axis=0) + c.sum(axis=0))
        if not complete.all():
            p, c = p[:, complete], c[:, complete]
        if not p.shape[1]:
            return
        if self._shifts is None:
            self._exponents = int(scaled(p.ravel())[1]), int(scaled(c.ravel())[1])
        p, c = (np.ldexp(x, -e) if e else x for x, e in zip((p, c), self._exponents, strict=True))
        if self._shifts is None:
            self._shifts = p[:, 0].copy(), c[:, 0].copy()
        p, c = p - self._shifts[0][:, None], c - self._shifts[1][:, None]
        self.n_units += p.shape[1]
        self._products += p @ c.T
        for x, sums, squares in zip((p, c), self._sums, self._squares, strict=True):
            sums += x.sum(axis=1)
            squares += np.einsum("iu,iu->i", x, x)

    def similarity(self) -> Array:
        """Correlations s of all predictions with all candidates.

        Returns
        -------
        array of shape (n_images, n_candidates)
            NaN where a pattern does not vary over units.
        """
        n = max(self.n_units, 1)
        left, right = self._sums
        covariance = self._products - np.outer(left, right) / n
        norms = []
        for sums, squares in zip(self._sums, self._squares, strict=True):
            variance = squares - sums**2 / n
            norms.append(np.sqrt(np.where(variance > 1e-13 * squares, variance, np.nan)))
        return np.asarray(covariance / np.outer(*norms))
