"""Agreement between people: whether the same units decode well in each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from unitdb.resolution import DOUBLE, is_constant, scaled

__all__ = ["PairAgreement", "intersubject_correlations"]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """Agreement of two subjects over the units of a layer.

    Parameters
    ----------
    first, second : int
        Rows of the subjects.
    n_units : int
        Units with an accuracy in both.
    pearson, spearman : float
        Correlation of the two subjects' accuracies over those units; NaN for fewer than two units
        or where all are equal in a subject.
    """

    first: int
    second: int
    n_units: int
    pearson: float
    spearman: float


def intersubject_correlations(r: NDArray[np.floating]) -> list[PairAgreement]:
    """Correlate the unit accuracies of every pair of subjects.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; NaN where a unit has none in a subject. A pair's correlations are over the
        units that both have.

    Returns
    -------
    list of PairAgreement
        For all pairs with ``first < second``, in that order.

    References
    ----------
    Horikawa, Aoki, Tsukamoto & Kamitani 2019, doi:10.1038/sdata.2019.12.

    Examples
    --------
    >>> from unitdb.analysis import intersubject_correlations
    >>> (pair,) = intersubject_correlations(np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]]))
    >>> pair.n_units, round(pair.pearson, 2), round(pair.spearman, 2)
    (3, 1.0, 1.0)
    """
    values = np.asarray(r, dtype=np.float64)
    defined = ~np.isnan(values)
    if (defined == defined.all(axis=0)).all():
        return list(_agreements(values[:, defined.all(axis=0)]))
    # Some units lack an accuracy in some subjects only: each pair has its own common units.
    found = []
    for first, second in combinations(range(len(values)), 2):
        common = defined[first] & defined[second]
        (pair,) = _agreements(values[[first, second]][:, common])
        found.append(
            PairAgreement(
                first=first,
                second=second,
                n_units=pair.n_units,
                pearson=pair.pearson,
                spearman=pair.spearman,
            )
        )
    return found


def _agreements(r: Array) -> Iterator[PairAgreement]:
    import scipy.stats  # takes a second to import

    pearson = _correlations(r, lambda row: row)
    spearman = _correlations(r, lambda row: np.asarray(scipy.stats.rankdata(row)))
    for first, second in combinations(range(len(r)), 2):
        yield PairAgreement(
            first=first,
            second=second,
            n_units=r.shape[1],
            pearson=float(pearson[first, second]),
            spearman=float(spearman[first, second]),
        )


def _correlations(r: Array, transform: Callable[[Array], Array]) -> Array:
    """Pearson correlations between the transformed rows; NaN where a row does not vary."""
    if r.shape[1] < 2:
        return np.full((len(r), len(r)), np.nan)
    constant = is_constant(r, axis=1, resolution=DOUBLE)
    rows = np.stack([transform(row) for row in scaled(r, axis=1)[0]])
    rows -= rows.mean(axis=1, keepdims=True)
    norm = np.sqrt(np.einsum("su,su->s", rows, rows))
    norm[constant] = np.nan
    return np.asarray((rows @ rows.T) / np.outer(norm, norm))
