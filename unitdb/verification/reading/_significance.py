"""Check significance: p from accuracies where a formula gives it, q from p, intervals in order."""

from __future__ import annotations

import json
import math
from functools import cache, partial
from itertools import combinations, pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unitdb.verification.reading._sets import Sets
    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Significance", "chance_of_r", "check_intervals", "check_q"]

_FARTHEST = 9.0  # artanh of the float32 next to 1 is 8.7
_SMALLEST = 1e-300
"""p of one subject that counts as no smaller; that of r = 1."""
_NEAR = 1e-3
"""Part of a p by which it may differ from the one computed here: both interpolate or round."""

_ALPHA = 0.05
_UNLIKELY = -NormalDist().inv_cdf(0.06)
_VALUES = {
    **{name: f"{name}_r" for name in ("pearson", "spearman", "partial")},
    "reliability": "reliability",
}
"""Columns whose intervals hold them."""
_ORDERED = (*_VALUES, "mean", "pattern", "identification")


class ChanceOfR:
    """How probable a correlation is by chance, as the z of its one-sided p.

    With x = artanh(r), a correlation over n images of which one side is normal has the density
    sech(x)ⁿ⁻² up to a factor; p is its integral from x on, here by Simpson's rule on a grid.

    Parameters
    ----------
    n_images : int
        Test images.
    """

    def __init__(self, n_images: int) -> None:
        m = n_images - 2
        n = int(max(20_000, 100 * n_images))
        x, step = np.linspace(0.0, _FARTHEST, n + 1, retstep=True)

        def density(at: np.ndarray) -> np.ndarray:
            values: np.ndarray = np.cosh(at) ** -float(m)
            return values

        parts = (density(x[:-1]) + 4 * density(x[:-1] + step / 2) + density(x[1:])) * step / 6
        beyond = density(x[-1:])[0] / m
        tail = np.append(np.cumsum(parts[::-1])[::-1], 0.0) + beyond
        normal = NormalDist()
        self._x = x
        self._z = np.array([-normal.inv_cdf(max(p, _SMALLEST)) for p in tail / (2 * tail[0])])

    def z(self, r: np.ndarray) -> np.ndarray:
        """Z of accuracies; NaN stays NaN."""
        inside = np.minimum(np.abs(r), np.tanh(_FARTHEST))
        size = np.interp(np.arctanh(inside), self._x, self._z)
        size[np.abs(r) >= 1] = -NormalDist().inv_cdf(_SMALLEST)
        found: np.ndarray = np.copysign(size, r)
        return found

    def r(self, z: float) -> float:
        """Correlation of a z."""
        return float(np.tanh(np.interp(z, self._z, self._x)))


@cache
def chance_of_r(n_images: int) -> ChanceOfR:
    """One for each number of images."""
    return ChanceOfR(n_images)


def p_of_z(z: np.ndarray) -> np.ndarray:
    """P(N ≥ z); NaN stays NaN."""
    values = [0.5 * math.erfc(value) for value in (z / math.sqrt(2)).tolist()]
    return np.array(values, dtype=np.float64)


class Significance:
    """What a build's p must be.

    Parameters
    ----------
    build : mapping of str to object
        Row of ``builds``.
    condition : str
        The test set; empty to see no more than whether the row can be read.
    sets : Sets
        Test sets, with the samples of each.

    Raises
    ------
    CorruptReleaseError
        ``builds.significance`` cannot be read.
    """

    def __init__(self, build: Mapping[str, Any], condition: str, sets: Sets) -> None:
        text = build.get("significance")
        try:
            stated: Any = {"test": None} if text is None else json.loads(text)
            self._test = stated["test"]
            self._correlated = "prediction_r" in stated.get("over_subjects", "")
        except (ValueError, KeyError, TypeError, AttributeError):
            self._test = ""
        if self._test == "t" and build["n_folds"] is not None:
            raise CorruptReleaseError(
                f"builds: {build['build']}: significance is {text!r}, which does not hold where "
                "images are cross-validated"
            )
        if self._test not in (None, "t", "controls"):
            raise CorruptReleaseError(
                f"builds: {build['build']}: significance is {text!r}; it should name the test: t "
                "or controls"
            )
        if self._test == "t" and condition and sets.share_targets(build["dataset"], condition):
            self._test = None
        self._n_samples = partial(sets.n_samples, build["dataset"], condition)

    def _z(self, roi: str, subject: str, r: np.ndarray) -> np.ndarray:
        return chance_of_r(self._n_samples(roi, subject)).z(r)

    def check_p(
        self,
        data: Decoded,
        roi: str,
        stated: tuple[np.ndarray, np.ndarray],
        alike: Mapping[tuple[str, ...], float],
        *,
        where: str,
    ) -> None:
        """Raise CorruptReleaseError unless p is what the accuracies of an ROI give.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        roi : str
            The ROI.
        stated : arrays of shape (n_units,)
            Columns ``mean_r`` and ``p`` of ``unit_summary``.
        alike : mapping of (str, str, str) to float
            Correlation of predictions, by ROI and both subjects.
        where : str
            Its file, for the message.
        """
        mean_r, p = stated
        if self._test == "t":
            subjects, r = next((names, r) for name, names, r in data.rois() if name == roi)
            z = np.stack([self._z(roi, *pair) for pair in zip(subjects, r, strict=True)])
            known = np.isfinite(z)
            variance = known.sum(axis=0).astype(np.float64)
            for (a, first), (b, second) in combinations(enumerate(subjects), 2):
                if self._correlated:
                    both = known[a] & known[b]
                    variance += 2 * max(alike[roi, first, second], 0.0) * both
            with np.errstate(invalid="ignore"):
                scale = np.sqrt(np.where(variance > 0, variance, np.nan))
                expected = p_of_z(np.nansum(z, axis=0) / scale)
            wrong = ~np.isclose(p, expected, rtol=_NEAR, atol=1e-12, equal_nan=True)
        else:
            absent = np.isnan(mean_r) if self._test == "controls" else np.ones(len(p), dtype=bool)
            expected, wrong = np.full(len(p), np.nan), absent & ~np.isnan(p)
        if wrong.any():
            at = int(np.argmax(wrong))
            raise CorruptReleaseError(
                f"{where}: {roi}/{data.units[at]}: p is {p[at]}, but the accuracies and "
                f"builds.significance give {expected[at]}"
            )

    def check_counts(
        self, data: Decoded, n_significant: Mapping[tuple[str, str], int | None], *, where: str
    ) -> None:
        """Raise CorruptReleaseError unless as many units are significant as stated.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        n_significant : mapping of (str, str) to int
            Column of ``layer_summary`` by ROI and subject.
        where : str
            The partition, for the message.
        """
        rows = (row for _, _, r in data.parts for row in r)
        for pair, r in zip(data.groups, rows, strict=True):
            stated = n_significant[pair]
            if self._test == "t":
                # Above .06 none can be: of the z that are left, p is computed.
                z = self._z(*pair, r[~np.isnan(r)])
                p = p_of_z(z[z > _UNLIKELY])
                low, high = (_n_discoveries(p * (1 + sign * _NEAR), len(z)) for sign in (1, -1))
            elif self._test == "controls":
                low, high = 0, int((~np.isnan(r)).sum())
            if (stated is None) != (self._test is None) or (
                stated is not None and not low <= stated <= high
            ):
                raise CorruptReleaseError(
                    f"layer_summary: {where}/{'/'.join(pair)}: n_significant is {stated}, but the "
                    f"accuracies and builds.significance give "
                    f"{None if self._test is None else f'{low} to {high}'}"
                )


def _n_discoveries(p: np.ndarray, m: int) -> int:
    """Of m units, those below q = .05: the largest k of which k are at .05 k / m or below."""
    rising = np.sort(p)
    below = np.flatnonzero(rising < _ALPHA * np.arange(1, len(p) + 1) / m)
    return int(below[-1]) + 1 if len(below) else 0


def check_q(p: np.ndarray, q: np.ndarray, *, where: str) -> None:
    """Raise CorruptReleaseError unless q are the false discovery rates of p.

    Parameters
    ----------
    p, q : arrays of shape (n_units,)
        Of all units of a model in an ROI.
    where : str
        Which, for the message.
    """
    known = ~np.isnan(p)
    order = np.argsort(p[known])
    m = len(order)
    rates = p[known][order].astype(np.float64) * (m / np.arange(1.0, m + 1))
    expected = np.full(len(p), np.nan)
    in_order = np.empty(m)
    in_order[order] = np.minimum.accumulate(rates[::-1])[::-1]
    expected[known] = in_order
    wrong = ~np.isclose(q, expected, rtol=1e-5, atol=1e-30, equal_nan=True)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise CorruptReleaseError(
            f"unit_summary: {where}: q of p = {p[at]} is {q[at]}, but all p of the model give "
            f"{expected[at]}"
        )


def check_intervals(table: str, rows: Mapping[tuple[str, ...], Mapping[str, Any]]) -> None:
    """Raise CorruptReleaseError where an interval has one end, or its ends are exchanged."""
    for key, row in rows.items():
        for name in _ORDERED:
            low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
            value = row.get(_VALUES.get(name, ""))
            if low is None and high is None:
                continue
            ends = [end for end in (low, value, high) if end is not None]
            # tanh(artanh(r)) of an interval without width is r but for rounding.
            ordered = all(a <= b + 1e-12 for a, b in pairwise(ends))
            if low is None or high is None or not ordered:
                raise CorruptReleaseError(
                    f"{table}: {'/'.join(key)}: {name} {value} has the interval {low} to {high}"
                )
