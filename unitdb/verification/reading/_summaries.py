"""Agreement of subjects, computed anew from its definitions in the schema."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Decoded",
    "pair_rows",
    "reliability_rows",
]


_ROUNDING = 1e-12  # a variance of a sum that is less, of the largest that it could be, is rounding
_DIVISIONS = 100  # of subjects into halves
_POLE = 0.01  # of Spearman and Brown's formula: nearer to it rounding decides


@dataclass(frozen=True)
class Decoded:
    """All accuracies of a partition.

    Parameters
    ----------
    parts : list of (str, list of str, array of shape (n_subjects, n_units))
        Each ROI in the order of rows, its subjects, and their accuracies: float32, NaN where there
        is none.
    units : array of shape (n_units,)
        The units, the same everywhere.
    """

    parts: list[tuple[str, list[str], np.ndarray]]
    units: np.ndarray

    @property
    def groups(self) -> list[tuple[str, str]]:
        """Each ROI and subject."""
        return [(roi, subject) for roi, subjects, _ in self.parts for subject in subjects]

    def rois(self) -> Iterator[tuple[str, list[str], np.ndarray]]:
        """Each ROI, its subjects, and their accuracies in float64."""
        for roi, subjects, r in self.parts:
            yield roi, subjects, r.astype(np.float64)


def reliability_rows(decoded: Decoded) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Rows of ``layer_reliability``: (roi,), and the values; none of one subject."""
    for roi, subjects, with_gaps in decoded.rois():
        n, half = len(subjects), len(subjects) // 2
        if not half:
            continue
        r = with_gaps[:, np.isfinite(with_gaps).all(axis=0)]
        total = _of_halves(r, half)
        factor = n / half
        below = 1 + (factor - 1) * total
        values = {
            "n_subjects": n,
            "n_units": r.shape[1],
            "reliability": factor * total / below if below >= _POLE else np.nan,
        }
        yield (roi,), values


def _of_halves(r: np.ndarray, half: int) -> float:
    """Mean correlation of the sums of two halves of the subjects, over divisions.

    With c the covariance of subjects, that of two sums is  Σ c_ij  over i in one, j in the other.
    """
    if r.shape[1] < 2:
        return math.nan
    c = np.atleast_2d(np.cov(r))
    first, second = np.zeros((2, _DIVISIONS, len(r)))
    for division, order in enumerate(_divisions(len(r))):
        first[division, order[:half]] = second[division, order[half : 2 * half]] = 1
    both = np.einsum("di,ij,dj->d", first, c, second, optimize=True)
    variances = [np.einsum("di,ij,dj->d", h, c, h, optimize=True) for h in (first, second)]
    for found, members in zip(variances, (first, second), strict=True):
        found[found <= _ROUNDING * (members @ np.sqrt(np.diag(c))) ** 2] = np.nan
    return float(np.mean(both / np.sqrt(variances[0] * variances[1])))


def _divisions(n: int) -> list[list[int]]:
    """Orders of the subjects whose halves are compared."""
    random = np.random.Generator(np.random.PCG64(0))
    orders: list[list[int]] = random.permuted(
        np.tile(np.arange(n), (_DIVISIONS, 1)), axis=1
    ).tolist()
    return orders


def pair_rows(decoded: Decoded) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Rows of ``intersubject``: (roi, subject_a, subject_b), and the values."""
    for roi, subjects, with_gaps in decoded.parts:
        r = with_gaps[:, np.isfinite(with_gaps).any(axis=0)]
        defined = np.isfinite(r)
        order = np.argsort(r, axis=1)
        everybody = _correlations(r, order, defined[0]) if defined.all() else None
        for a, b in combinations(range(len(subjects)), 2):
            common = defined[a] & defined[b]
            if everybody is not None:
                pearson, spearman = (matrix[a, b] for matrix in everybody)
            else:
                pair = [a, b]
                pearson, spearman = (m[0, 1] for m in _correlations(r[pair], order[pair], common))
            yield (
                (roi, subjects[a], subjects[b]),
                {"n_units": int(common.sum()), "pearson_r": pearson, "spearman_r": spearman},
            )


def _correlations(
    r: np.ndarray, order: np.ndarray, chosen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pearson and Spearman correlations of all pairs of rows, over the chosen columns."""
    pearson = _pearson(r[:, chosen].astype(np.float64))
    ranks = np.empty((len(r), chosen.sum()))
    for row, values, sorting in zip(ranks, r, order, strict=True):
        row[:] = _ranks(values, sorting, chosen)
    return pearson, _pearson(ranks)


def _pearson(rows: np.ndarray) -> np.ndarray:
    """Correlations of all pairs of rows; NaN for a row of fewer than two different values."""
    if rows.shape[1] < 2:
        return np.full((len(rows), len(rows)), np.nan)
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    length[np.ptp(rows, axis=1) == 0] = np.nan
    correlations: np.ndarray = centred @ centred.T / np.outer(length, length)
    return correlations


def _ranks(values: np.ndarray, order: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Ranks of the chosen values among themselves, ties at their middle.

    Parameters
    ----------
    values : array of shape (n,)
        Any values.
    order : array of shape (n,)
        Indices that sort them: sorting once serves every choice.
    chosen : array of bool of shape (n,)
        The values to rank, all finite.
    """
    if not chosen.all():
        order = order[chosen[order]]
    rising = values[order]
    first = np.diff(rising, prepend=-np.inf) > 0
    starts = np.flatnonzero(first)
    middles = (starts + np.append(starts[1:], len(rising)) - 1) / 2
    ranks: np.ndarray = np.empty(len(values))
    ranks[order] = middles[np.cumsum(first) - 1]
    chosen_ranks: np.ndarray = ranks[chosen]
    return chosen_ranks
