"""Identification from a release: predictions among the candidates whose features it publishes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unitdb.errors import (
    NotKeptError,
    QueryError,
    UnknownCandidateError,
)
from unitdb.matching import (
    Compared,
    Matches,
    Question,
    Summary,
    hit_rate,
    identify,
    per_target,
    summarise,
)
from unitdb.query.layers import parse_unit
from unitdb.release.published import PublishedSet
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from unitdb.matching import Method
    from unitdb.query import UnitSet
    from unitdb.release.images import Images

    Sql = Callable[[str, Sequence[Any]], pd.DataFrame]

__all__ = ["Asked", "Features", "Identified", "identified", "identify_in"]


class Features(Protocol):
    """A set of candidates with their features, such as ``unitdb.candidates.CandidateSet``."""

    @property
    def ids(self) -> Sequence[str]:
        """Of the candidates."""

    def units(self, layer: str) -> NDArray[np.int32]:
        """Flat C-order indices of the units that there are features of."""

    def features(self, layer: str, units: NDArray[np.int32]) -> NDArray[np.float32]:
        """Raw features, (n_candidates, n_units)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Identified:
    """Predictions that were identified.

    Parameters
    ----------
    rows : pandas.DataFrame
        A row a prediction: its ``target``, ``target_r``, ``n_false``, ``n_below``, ``n_equal``,
        the same of candidates that ``_trained``, ``best`` candidate and ``best_r``, and
        ``chance_exchange`` of its target.
    summary : Summary
        Rates over images, with intervals and chance.
    """

    rows: pd.DataFrame
    summary: Summary

    def curve(self, n: Sequence[int]) -> pd.Series:
        """How often the true candidate is the most similar of n, exact.

        Parameters
        ----------
        n : sequence of int
            Numbers of candidates, the true one included.
        """
        import pandas as pd

        known = self.rows[self.rows["n_false"] > 0]
        w, t, big = (known[name].to_numpy() for name in ("n_below", "n_equal", "n_false"))
        rates = [float(np.mean(hit_rate(w, t, big, k))) if len(known) else np.nan for k in n]
        return pd.Series(rates, index=pd.Index(n, name="n"), name="rate")

    def __str__(self) -> str:
        numbers = asdict(self.summary)
        return "\n".join(
            f"{name:<16} {value:{'.4g' if abs(value) < 1000 else '.0f'}}"  # no exponents of counts
            for name, value in numbers.items()
            if value == value
        )


def identified(
    predicted: NDArray[np.floating],
    targets: Sequence[str],
    candidates: Features,
    *,
    layer: str,
    units: NDArray[np.int32],
    method: Method,
    scale: tuple[NDArray[np.floating], NDArray[np.floating]] | None,
    trained: NDArray[np.bool_] | None,
    categories: NDArray[np.int64] | None,
    folds: NDArray[np.intp] | None = None,
) -> Identified:
    """Compare predictions of a layer with candidates (see ``Release.identify``)."""
    import pandas as pd

    ids = list(candidates.ids)
    place = {name: column for column, name in enumerate(ids)}
    for name in targets:
        if name not in place:
            raise UnknownCandidateError(name, ids, where="the candidate set")
    own = sorted(set(targets))
    number = {name: i for i, name in enumerate(own)}
    features = candidates.features(layer, units)
    ((_, matches),) = identify(
        [
            Compared(
                name=layer,
                predicted=predicted,
                features=lambda start, stop: features[start:stop],
                mean=None if scale is None else scale[0],
                sd=None if scale is None else scale[1],
            )
        ],
        len(ids),
        {
            "own": Question(
                rows=slice(0, len(predicted)),
                candidates=np.array([place[name] for name in own]),
                targets=np.array([number[name] for name in targets]),
                trained=trained,
                categories=categories,
                folds=folds,
            )
        },
        methods=[method],
    )
    return Identified(
        rows=pd.DataFrame({"target": list(targets)} | rows_of(matches, ids)),
        summary=summarise(matches, len(ids)),
    )


def rows_of(matches: Matches, ids: Sequence[str]) -> dict[str, Any]:
    """Columns of a row a prediction."""
    columns: dict[str, Any] = {"target_r": matches.target_r}
    for ending, counts in (("", matches.all), ("_trained", matches.trained)):
        for name, values in zip(("n_false", "n_below", "n_equal"), counts, strict=True):
            columns[f"{name}{ending}"] = values
    columns["best"] = [ids[i] if i >= 0 else None for i in matches.best.tolist()]
    columns["best_r"] = matches.best_r
    columns["chance_exchange"] = per_target(matches, matches.rates)[matches.targets]
    return columns


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What ``Release.identify`` was asked, as there."""

    layer: str
    predicted: ArrayLike | None
    targets: Sequence[str] | None
    roi: str | None
    subject: str | None
    method: Method
    mean: ArrayLike | None
    sd: ArrayLike | None
    trained: Sequence[str] | None
    units: UnitSet | Sequence[str] | None


def identify_in(
    release: Images, names: tuple[str, str], candidates: str | Features, asked: Asked
) -> Identified:
    """Identify predictions among candidates of a release, or others (see ``Release.identify``)."""
    where = f"release {release.label}"
    model, layer, _ = parse_unit(f"{asked.layer}/0", release.layers, where=where)
    published = None
    if isinstance(candidates, str):
        place = (*names, model, candidates)
        published = PublishedSet(release.sql, place, where=where, tables=release.tables)
        candidates = published
    folds = None
    known = candidates.units(layer)
    if asked.predicted is None:
        values, units, targets, trained, folds = _published(release, names, published, asked, known)
    else:
        values, units = _own(asked.predicted, known)
        targets = list(asked.targets or ())
        trained = None if published is None else np.array([r == "trained" for r in published.roles])
    if asked.units is not None:
        few = _chosen(asked.units, (model, layer), where=where)
        kept = np.isin(units, few)
        if kept.sum() < 2:
            raise QueryError(
                f"{int(kept.sum())} of the units named are predicted and have features of "
                "candidates; patterns need two or more"
            )
        values, units = values[:, kept], units[kept]
    if len(targets) != len(values):
        raise QueryError(f"{len(values)} predictions and {len(targets)} targets: one each")
    if asked.trained is not None:
        of = frozenset(asked.trained)
        for name in of - set(candidates.ids):
            raise UnknownCandidateError(name, candidates.ids, where="the candidate set")
        trained = np.array([name in of for name in candidates.ids])
    return identified(
        values,
        targets,
        candidates,
        layer=layer,
        units=units,
        method=asked.method,
        scale=_scale(release, (names[0], model, layer), asked, units),
        trained=trained,
        categories=None if published is None else published.categories,
        folds=folds,
    )


def _chosen(
    units: UnitSet | Sequence[str], place: tuple[str, str], *, where: str
) -> NDArray[np.int32]:
    """Units of a layer among those that are named."""
    named = list(units) if not hasattr(units, "to_pandas") else list(units.to_pandas()["unit_id"])
    found = [UnitId.parse(str(unit)) for unit in named]
    own = [of.unit for of in found if of[:2] == place]
    if not own:
        raise QueryError(f"{where}: none of {len(named)} units is of {'/'.join(place)}")
    return np.unique(np.array(own, dtype=np.int32))


def _published(
    release: Images,
    names: tuple[str, str],
    published: PublishedSet | None,
    asked: Asked,
    known: NDArray[np.int32],
) -> tuple[
    NDArray[np.float64],
    NDArray[np.int32],
    list[str],
    NDArray[np.bool_] | None,
    NDArray[np.intp] | None,
]:
    """Predictions of the release: values, units, targets, what trained, and folds."""
    if asked.roi is None or asked.subject is None:
        raise QueryError("give predictions of your own, or roi= and subject= of those published")
    dataset, condition = names
    frame = release.predicted(
        asked.layer, asked.roi, asked.subject, dataset=dataset, condition=condition
    )
    units = np.intersect1d(np.asarray(frame.columns, dtype=np.int32), known)
    values = frame[units].to_numpy(float)
    if published is not None:
        samples = published.samples(asked.subject)
        folds = samples["fold"].to_numpy(np.intp)
        trained = published.trained(asked.subject, folds)
        return values, units, list(asked.targets or samples["target"]), trained, folds
    samples = release.sql(
        "SELECT coalesce(target, stimulus) AS decoded FROM samples WHERE dataset = ? AND "
        "condition = ? AND subject = ? ORDER BY sample",
        [dataset, condition, asked.subject],
    )
    return values, units, list(asked.targets or samples["decoded"]), None, None


def _own(
    predicted: ArrayLike, known: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Predictions of somebody's own, and the units that they are of."""
    columns = getattr(predicted, "columns", None)
    try:
        values = np.asarray(predicted, dtype=np.float64)
    except (TypeError, ValueError):
        raise QueryError("predictions should be numbers, samples × units") from None
    if values.ndim != 2 or not values.size:
        raise QueryError(f"predictions of shape {values.shape}; they should be samples × units")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0].tolist()
        raise QueryError(f"predictions are not finite: row {row}, column {column}")
    if columns is None:
        if values.shape[1] != len(known):
            raise QueryError(
                f"predictions of {values.shape[1]} units; the candidates have features of "
                f"{len(known)}, of which a DataFrame may name some as columns"
            )
        return values, known
    named = np.asarray(columns)
    if not np.isin(named, known).all():
        other = named[~np.isin(named, known)][0]
        raise QueryError(f"column {other!r} is no unit that the candidates have features of")
    order = np.argsort(named)
    return values[:, order], named[order].astype(np.int32)


def _scale(
    release: Images, place: tuple[str, str, str], asked: Asked, units: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Mean and SD of units that patterns are normalised by; None for raw ones."""
    if asked.method == "horikawa2017":
        return None
    if asked.mean is not None and asked.sd is not None:
        mean, sd = (np.asarray(given, dtype=np.float64) for given in (asked.mean, asked.sd))
        if mean.shape != units.shape or sd.shape != units.shape:
            raise QueryError(f"mean and SD of {mean.size} and {sd.size} units, of {len(units)}")
        return mean, sd
    if "candidate_units" not in release.tables:
        raise NotKeptError(
            f"release {release.label}: mean and SD of units are not published: give mean= and sd=, "
            "or method='horikawa2017' for raw patterns"
        )
    rows = release.sql(
        "SELECT subject, unit, mean, sd FROM candidate_units WHERE dataset = ? AND model = ? AND "
        "layer = ? ORDER BY subject, unit",
        place,
    )
    subject = asked.subject or str(rows["subject"].min())
    own = rows[rows["subject"].astype(str) == subject].set_index("unit")
    missing = np.setdiff1d(units, own.index)
    if len(missing):
        raise NotKeptError(f"release {release.label}: no mean and SD of unit {missing[0]}")
    return own.loc[units, "mean"].to_numpy(float), own.loc[units, "sd"].to_numpy(float)
