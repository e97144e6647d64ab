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
from unitdb.folds import held_out_together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Sql = Callable[[str, Sequence[Any]], pd.DataFrame]

__all__ = ["PublishedSet"]

_FEATURES = "candidate_features"
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
        """Samples of a subject: ``stimulus``, ``presentation``, what is ``decoded``, ``target``."""
        dataset, condition, model, name = self.place
        return self._sql(
            "SELECT stimulus, presentation, decoded, true_of.target FROM (SELECT sample, stimulus, "
            "presentation, coalesce(target, stimulus) AS decoded FROM samples WHERE dataset = ? "
            "AND condition = ? AND subject = ?) JOIN (SELECT DISTINCT stimulus AS decoded, target "
            "FROM identification WHERE dataset = ? AND condition = ? AND model = ? AND set = ? AND "
            "trial = 0) AS true_of USING (decoded) ORDER BY sample",
            [dataset, condition, subject, dataset, condition, model, name],
        )

    def trained(self, decoded: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Candidates that train the decoder of each sample, and its fold, by what is decoded."""
        dataset, _, model, _ = self.place
        shown = self._sql("SELECT stimulus, split FROM stimuli WHERE dataset = ?", [dataset])
        split_of: dict[str, str] = dict(
            shown[["stimulus", "split"]].astype(str).itertuples(index=False)
        )
        trains = np.array(
            [
                role == "trained" or split_of.get(name) == "train"
                for name, role in zip(self.ids, self.roles, strict=True)
            ]
        )
        build = self._sql(
            "SELECT n_folds, seed FROM builds WHERE dataset = ? AND model = ?", [dataset, model]
        )
        if build["n_folds"].isna().all():
            return np.tile(trains, (len(decoded), 1)), np.zeros(len(decoded), dtype=np.intp)
        images = sorted(name for name, split in split_of.items() if split == "cross-validation")
        fold_of = {
            images[image]: fold
            for fold, members in enumerate(
                held_out_together(len(images), int(build["n_folds"][0]), seed=int(build["seed"][0]))
            )
            for image in members.tolist()
        }
        folds = np.array([fold_of.get(name, -1) for name in self.ids])
        own = np.array([fold_of[name] for name in decoded])
        return np.asarray((folds >= 0) & (folds != own[:, None])), own
