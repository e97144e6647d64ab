"""Similarity of decoded patterns with those of candidates, in one layer or in several together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE, is_constant, scaled

__all__ = ["ALMOST", "Concatenated", "Patterns", "fisher_mean", "patterns", "similarity"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patterns:
    """Patterns over units, each split into direction, mean and length.

    Parameters
    ----------
    directions : array of shape (n_patterns, n_units)
        Without their mean, of norm 1; NaN where a pattern does not vary over units.
    means : array of shape (n_patterns,)
        Over units.
    norms : array of shape (n_patterns,)
        Of the pattern without its mean; 0 where it does not vary.
    """

    directions: Array
    means: Array
    norms: Array

    @property
    def n_units(self) -> int:
        """Count the units."""
        return int(self.directions.shape[1])

    def __len__(self) -> int:
        return len(self.means)


def patterns(
    values: NDArray[np.floating],
    *,
    mean: NDArray[np.floating] | None = None,
    sd: NDArray[np.floating] | None = None,
) -> Patterns:
    """Patterns ready to be compared:  z_u = (x_u − mean_u) / sd_u, less its mean over units.

    Parameters
    ----------
    values : array of shape (n_patterns, n_units)
        Raw activations, predicted or true.
    mean, sd : arrays of shape (n_units,), optional
        Of each unit over the images that train. Without them patterns stay raw.

    Returns
    -------
    Patterns
        Patterns and their sizes.

    Raises
    ------
    AnalysisError
        Other shapes, or an SD that is not above 0: leave such units out.

    Examples
    --------
    >>> from unitdb.matching import patterns
    >>> found = patterns(np.array([[1.0, 2, 3]]))
    >>> found.means, found.norms.round(2)
    (array([2.]), array([1.41]))
    """
    if values.ndim != 2:
        raise AnalysisError(f"patterns of shape {values.shape}; they should be patterns × units")
    n_units = values.shape[1]
    centre, scale = _of_units(mean, 0.0, n_units), _of_units(sd, 1.0, n_units)
    if not (scale > 0).all():
        raise AnalysisError("a unit's SD is not above 0: leave units out that do not vary")
    found = Patterns(
        directions=np.empty(values.shape),
        means=np.full(len(values), np.nan),
        norms=np.zeros(len(values)),
    )
    if n_units:
        size = max(1, _AT_ONCE // n_units)
        for start in range(0, len(values), size):
            _split(values, slice(start, start + size), centre, scale, found)
    return found


_AT_ONCE = 1 << 16  # values that are worked on together: what a processor's cache holds


def _of_units(given: NDArray[np.floating] | None, default: float, n_units: int) -> Array:
    values = np.full(n_units, default) if given is None else np.asarray(given, dtype=np.float64)
    if values.shape != (n_units,):
        raise AnalysisError(f"a mean or SD of shape {values.shape}, of {n_units} units")
    return values


def _split(
    values: NDArray[np.floating], rows: slice, centre: Array, scale: Array, found: Patterns
) -> None:
    """Fill in some rows."""
    x = values[rows].astype(np.float64)
    x -= centre
    x /= scale
    constant = is_constant(x, axis=1, resolution=DOUBLE)
    # Exact powers of two, so that squares can be held.
    small, exponents = scaled(x, axis=1)
    means = small.mean(axis=1)
    x = np.asarray(small - means[:, None], dtype=np.float64)
    norms = np.sqrt(np.einsum("iu,iu->i", x, x))
    norms[constant] = 0.0
    np.divide(x, np.where(norms > 0, norms, np.nan)[:, None], out=found.directions[rows])
    found.means[rows] = np.ldexp(means, exponents)
    found.norms[rows] = np.ldexp(norms, exponents)


def similarity(predicted: Patterns, candidates: Patterns) -> Array:
    """Pearson r over units of each prediction with each candidate.

    s_ic = Σ_u (p_iu − p̄_i)(c_cu − c̄_c) / (‖p_i − p̄_i‖ ‖c_c − c̄_c‖)

    Parameters
    ----------
    predicted, candidates : Patterns
        Of the same units.

    Returns
    -------
    array of shape (n_predictions, n_candidates)
        NaN where a pattern does not vary.

    Raises
    ------
    AnalysisError
        They are of different numbers of units.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037.

    Examples
    --------
    >>> from unitdb.matching import patterns, similarity
    >>> predicted = patterns(np.array([[1.0, 2, 3]]))
    >>> similarity(predicted, patterns(np.array([[2.0, 4, 6], [3, 2, 1]]))).round(2)
    array([[ 1., -1.]])
    """
    if predicted.n_units != candidates.n_units:
        raise AnalysisError(
            f"predictions of {predicted.n_units} units and candidates of {candidates.n_units}"
        )
    if not predicted.n_units:
        return np.full((len(predicted), len(candidates)), np.nan)
    return np.asarray(predicted.directions @ candidates.directions.T)


def fisher_mean(similarities: Sequence[Array]) -> Array:
    """Layers combined by their similarities:  tanh( mean over layers of artanh s ).

    Parameters
    ----------
    similarities : sequence of array of shape (n_predictions, n_candidates)
        One a layer.

    Returns
    -------
    array of shape (n_predictions, n_candidates)
        NaN where any layer has none.

    Examples
    --------
    >>> from unitdb.matching import fisher_mean
    >>> fisher_mean([np.array([[0.2]]), np.array([[0.6]])]).round(3)
    array([[0.42]])
    """
    total = np.zeros_like(similarities[0])
    for s in similarities:
        total += np.arctanh(np.clip(s, -ALMOST, ALMOST))
    return np.asarray(np.tanh(total / len(similarities)))


ALMOST = 1 - 2.0**-50
"""artanh of a correlation of 1 is taken of the largest number below that means something."""


class Concatenated:
    """Layers combined by their units: r over all units of all layers, one after the other.

    x = ( z_1 / √n_1, z_2 / √n_2, … ) for layers of n_1, n_2, … units, so that a layer counts by
    what it says and not by its size. Follows from the similarities in each layer, and the means
    and norms of patterns there: nothing is multiplied twice.

    Examples
    --------
    >>> from unitdb.matching import Concatenated, patterns, similarity
    >>> one = patterns(np.eye(3))
    >>> both = Concatenated()
    >>> both.add(similarity(one, one), one, one)
    >>> both.add_moments(similarity(one, one), *[(one.means, one.norms)] * 2, n_units=3)
    >>> both.similarity().round(2)
    array([[ 1. , -0.5, -0.5],
           [-0.5,  1. , -0.5],
           [-0.5, -0.5,  1. ]])
    """

    def __init__(self) -> None:
        self._products: Array | None = None
        self._n_units = 0
        self._sums: tuple[Array, Array]
        self._squares: tuple[Array, Array]

    def add(self, s: Array, predicted: Patterns, candidates: Patterns) -> None:
        """Add a layer.

        Parameters
        ----------
        s : array of shape (n_predictions, n_candidates)
            Their :func:`similarity`.
        predicted, candidates : Patterns
            Normalised by unit.
        """
        self.add_moments(
            s,
            (predicted.means, predicted.norms),
            (candidates.means, candidates.norms),
            n_units=predicted.n_units,
        )

    def add_moments(
        self,
        s: Array,
        predicted: tuple[Array, Array],
        candidates: tuple[Array, Array],
        *,
        n_units: int,
    ) -> None:
        """The same from means and norms alone, where patterns are no longer at hand."""
        if self._products is None:
            self._products = np.zeros(s.shape)
            shapes = s.shape
            self._sums = (np.zeros(shapes[0]), np.zeros(shapes[1]))
            self._squares = (np.zeros(shapes[0]), np.zeros(shapes[1]))
        (mean_p, norm_p), (mean_c, norm_c) = predicted, candidates
        # A pattern that does not vary within a layer still has a mean there.
        self._products += np.nan_to_num(s) * np.outer(norm_p, norm_c) / n_units
        self._products += np.outer(mean_p, mean_c)
        for sums, squares, mean, norm in zip(
            self._sums, self._squares, (mean_p, mean_c), (norm_p, norm_c), strict=True
        ):
            sums += np.sqrt(n_units) * mean
            squares += norm**2 / n_units + mean**2
        self._n_units += n_units

    def similarity(self) -> Array:
        """Pearson r over all units, (n_predictions, n_candidates).

        Returns
        -------
        array of shape (n_predictions, n_candidates)
            NaN where there is no correlation.
        """
        if self._products is None:
            raise AnalysisError("no layer to combine")
        left, right = self._sums
        covariance = self._products - np.outer(left, right) / self._n_units
        norms = []
        for sums, squares in zip(self._sums, self._squares, strict=True):
            variance = squares - sums**2 / self._n_units
            norms.append(np.sqrt(np.where(variance > 1e-13 * squares, variance, np.nan)))
        return np.asarray(covariance / np.outer(*norms))
