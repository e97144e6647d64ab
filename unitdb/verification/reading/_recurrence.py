"""Check how many of the best units recur: the best of each ranking from the accuracies again."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Recurrence"]

_MOST = 1000
_NEAR = 1e-6
"""Means over subjects that differ by less may change places by rounding."""

Best = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Accuracies of the best units, the depths of their layers, and their places in these."""


class Recurrence:
    """Rows of ``recurrence`` that the partitions are held against.

    Parameters
    ----------
    rows : list of dict, optional
        Rows of the table; None where the schema has none.
    depths : mapping of (str, str) to int
        Place of each layer, by model and layer.
    with_halves : callable
        Given dataset, condition and model, whether single presentations were decoded.
    """

    def __init__(
        self,
        rows: list[dict[str, Any]] | None,
        depths: Mapping[tuple[str, str], int],
        with_halves: Callable[[str, str, str], bool],
    ) -> None:
        self._depths, self._stated = depths, rows is not None
        self._with_halves = with_halves
        self._rows: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, Any]]]
        self._rows = defaultdict(dict)
        for row in rows or []:
            place = (row["dataset"], row["condition"], row["model"], row["roi"])
            self._rows[place][row["among"], row["subject"], row["other"]] = row
        self._best: dict[tuple[str, ...], Best] = {}
        self._n_units: dict[tuple[str, ...], int] = defaultdict(int)
        self._subjects: dict[tuple[str, ...], list[str]] = {}

    def add(self, data: Decoded, keys: tuple[str, ...]) -> None:
        """Rank the units of a partition: of dataset, condition, model and layer."""
        if not self._stated:
            return
        *network, layer = keys
        depth = self._depths[keys[2], layer]
        for roi, subjects, r in data.rois():
            place = (*network, roi)
            complete = np.isfinite(r).all(axis=0)
            self._n_units[place] += int(complete.sum())
            self._subjects[place] = subjects
            kept = r[:, complete]
            total = kept.sum(axis=0)
            for subject, own in zip(subjects, kept, strict=True):
                self._rank((*place, "subject", subject), own, depth)
                if len(subjects) > 1:
                    others = (total - own) / (len(subjects) - 1)
                    self._rank((*place, "others", subject), others, depth)

    def _rank(self, ranking: tuple[str, ...], r: np.ndarray, depth: int) -> None:
        known = self._best.get(ranking)
        least = known[0][-1] if known is not None and len(known[0]) > _MOST else -np.inf
        high = np.flatnonzero(r >= least)  # those that may be among the best, in their order
        if len(high) > _MOST:
            high = high[r[high] >= np.partition(r[high], -_MOST - 1)[-_MOST - 1]]
        at = high[np.argsort(-r[high], kind="stable")[: _MOST + 1]]
        found = (r[at], np.full(len(at), depth), at)
        if known is not None:
            joined = [np.concatenate(pair) for pair in zip(known, found, strict=True)]
            order = np.lexsort((joined[2], joined[1], -joined[0]))[: _MOST + 1]
            found = (joined[0][order], joined[1][order], joined[2][order])
        self._best[ranking] = found

    def check(self) -> None:
        """Raise CorruptReleaseError where a row is not what all partitions give."""
        for place, subjects in self._subjects.items():
            rows = self._rows.pop(place, {})
            n = self._n_units[place]
            k = min(_MOST, -(-n // 10))
            expected = {("subject", *pair) for pair in combinations(subjects, 2)}
            expected |= {("others", name, name) for name in subjects if len(subjects) > 1}
            if self._with_halves(*place[:3]):
                expected |= {("halves", name, name) for name in subjects}
            differ = expected ^ rows.keys()
            if differ:
                names = ["/".join((*place, *key)) for key in sorted(differ)]
                raise CorruptReleaseError(f"recurrence: missing or of nobody: {', '.join(names)}")
            for row in rows.values():
                own, other = row["subject"], row["other"]
                where = "/".join((*place, row["among"], own, other))
                chance = k * k / n if n else None
                if row["n_units"] != n or row["k"] != k or not _same(row["n_expected"], chance):
                    raise CorruptReleaseError(
                        f"recurrence: {where}: the {row['k']} best of {row['n_units']} units, "
                        f"{row['n_expected']} by chance; the accuracies give {k}, {n} and {chance}"
                    )
                if row["among"] == "halves":  # of presentations, which are no part of a release
                    continue
                first = self._best[*place, "subject", own]
                among = (
                    self._best[*place, "subject", other]
                    if row["among"] == "subject"
                    else self._best[*place, "others", own]
                )
                shared = len(_names(first, k) & _names(among, k))
                doubtful = 0 if row["among"] == "subject" else _doubtful(among, k)
                if abs(row["n_shared"] - shared) > doubtful:
                    raise CorruptReleaseError(
                        f"recurrence: {where}: n_shared is {row['n_shared']}, but the accuracies "
                        f"give {shared}" + (f" (± {doubtful})" if doubtful else "")
                    )
        if self._rows:
            names = ["/".join(place) for place in self._rows]
            raise CorruptReleaseError(f"recurrence: rows without accuracies: {', '.join(names)}")


def _same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return abs(found - expected) <= _NEAR * max(1.0, expected)


def _names(best: Best, k: int) -> set[tuple[int, int]]:
    _, depths, places = best
    return set(zip(depths[:k].tolist(), places[:k].tolist(), strict=True))


def _doubtful(best: Best, k: int) -> int:
    """Units that rounding may put among the k best, or take away."""
    r = best[0]
    return int((np.abs(r - r[k - 1]) < _NEAR).sum()) - 1 if 0 < k <= len(r) else 0
