"""The candidates that a release publishes, with their features."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import (
    CorruptReleaseError,
    NotKeptError,
    QueryError,
    UnknownCandidatesError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Sql = Callable[[str, Sequence[Any]], pd.DataFrame]

__all__ = ["PublishedSet"]

_FEATURES = "candidate_features"
_SAMPLES = """
WITH of AS (
  SELECT stimulus, trial, target, fold FROM identification WHERE dataset = $1 AND condition = $2
    AND model = $3 AND set = $4 AND subject = $5
)
SELECT stimulus, presentation, decoded, whole.target, coalesce(single.fold, whole.fold, 0) AS fold
FROM (
  SELECT sample, stimulus, presentation, coalesce(target, stimulus) AS decoded FROM samples
  WHERE dataset = $1 AND condition = $2 AND subject = $5
) JOIN (
  SELECT DISTINCT stimulus AS decoded, target, fold FROM of WHERE trial = 0
) AS whole USING (decoded) LEFT JOIN (
  SELECT DISTINCT stimulus, trial AS presentation, fold FROM of WHERE trial > 0
) AS single USING (stimulus, presentation)
ORDER BY sample
"""
_SETS = "candidate_sets"


class PublishedSet:
    """Candidates of a test set, and their features, as a release publishes them.

    Parameters
    ----------
    sql : callable
        Runs a SELECT over the release.
    place : tuple of str
        Dataset, condition, model and set.
    where : str
        The release, for messages.
    tables : sequence of str
        Its tables.
    """

    def __init__(
        self, sql: Sql, place: tuple[str, str, str, str], *, where: str, tables: Sequence[str]
    ) -> None:
        self.place, self._sql, self._where = place, sql, where
        if _SETS not in tables:
            raise NotKeptError(
                f"{where}: nothing was identified; build with identification: {{sets: …}} in the "
                "recipe, or give a set of candidates of your own"
            )
        known = sql(f"SELECT dataset, condition, model, set FROM {_SETS}", [])  # noqa: S608
        names = sorted(set(known["set"].astype(str)))
        if place[3] not in names:
            raise UnknownCandidatesError(place[3], names, where=where)
        if not (known.astype(str) == list(place)).all(axis=1).any():
            raise QueryError(f"{where}: nothing is identified of {'/'.join(place)}")
        if _FEATURES not in tables:
            raise NotKeptError(
                f"{where}: the features of its candidates are not published; build with "
                "identification: {features: true} in the recipe, or give a set of your own"
            )

    @cached_property
    def _candidates(self) -> pd.DataFrame:
        return self._sql(
            "SELECT candidate, role, category FROM candidates WHERE dataset = ? AND condition = ? "
            "AND model = ? AND set = ? ORDER BY candidate",
            self.place,
        )

    @property
    def ids(self) -> list[str]:
        """Of the candidates, ascending."""
        return list(self._candidates["candidate"])

    @property
    def roles(self) -> list[str]:
        """Of each candidate."""
        return list(self._candidates["role"].astype(str))

    @cached_property
    def categories(self) -> NDArray[np.int64] | None:
        """Number of the category of each candidate, -1 without one; None where none has one."""
        named = self._candidates["category"]
        if named.isna().all():
            return None
        codes = {name: code for code, name in enumerate(sorted(set(named.dropna())))}
        return np.array([codes.get(name, -1) for name in named], dtype=np.int64)

    def units(self, layer: str) -> NDArray[np.int32]:
        """Flat C-order indices of the units of a layer."""
        dataset, _, model, _ = self.place
        found = self._sql(
            "SELECT DISTINCT unit FROM candidate_units WHERE dataset = ? AND model = ? AND "
            "layer = ? ORDER BY unit",
            [dataset, model, layer],
        )
        return np.asarray(found["unit"], dtype=np.int32)

    def features(self, layer: str, units: NDArray[np.int32]) -> NDArray[np.float32]:
        """Raw features, (n_candidates, n_units)."""
        dataset, _, model, name = self.place
        rows = self._sql(
            "SELECT features FROM candidate_features WHERE dataset = ? AND model = ? AND set = ? "
            "AND layer = ? AND candidate IN (SELECT candidate FROM candidates WHERE dataset = ? "
            "AND condition = ? AND model = ? AND set = ?) ORDER BY candidate",
            [dataset, model, name, layer, *self.place],
        )
        known = self.units(layer)
        if rows.empty or {len(values) for values in rows["features"]} != {len(known)}:
            raise CorruptReleaseError(
                f"{self._where}: candidate_features: {name}/{layer}: not of {len(known)} units each"
            )
        found = np.stack(rows["features"].to_list())
        return np.asarray(found[:, np.searchsorted(known, units)])

    def scale(self, layer: str, subject: str | None) -> NDArray[np.float64]:
        """Mean and SD of the units over the samples that train a subject, or the first, (2, n)."""
        dataset, _, model, _ = self.place
        rows = self._sql(
            "SELECT mean, sd FROM candidate_units WHERE dataset = ? AND model = ? AND layer = ? "
            "AND subject = coalesce(?, (SELECT min(subject) FROM candidate_units WHERE dataset = ? "
            "AND model = ?)) ORDER BY unit",
            [dataset, model, layer, subject, dataset, model],
        )
        return rows[["mean", "sd"]].to_numpy(float).T

    def samples(self, subject: str) -> pd.DataFrame:
        """Samples of a subject: ``stimulus``, ``presentation``, what is ``decoded``, its ``fold``.

        And the ``target``, which is the true candidate.
        """
        # A single sample has its own fold; where they are averaged it is that of the mean.
        return self._sql(_SAMPLES, [*self.place, subject])

    def trained(self, subject: str, folds: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Candidates that train the decoder of each fold that is named, (n, n_candidates)."""
        rows = self._sql(
            "SELECT fold, candidate FROM candidate_training WHERE dataset = ? AND condition = ? "
            "AND model = ? AND set = ? AND subject = ?",
            [*self.place, subject],
        )
        place = {name: column for column, name in enumerate(self.ids)}
        of_fold = rows["fold"].to_numpy(np.intp)
        found = np.zeros((max([0, *of_fold, *folds]) + 1, len(place)), dtype=bool)
        found[of_fold, [place[name] for name in rows["candidate"]]] = True
        return np.asarray(found[folds])
