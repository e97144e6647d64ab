"""Identify again what a release says was identified, where it publishes all that this takes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from unitdb.errors import CorruptReleaseError
from unitdb.matching import (
    COMBINED,
    METHODS,
    Compared,
    Method,
    Question,
    chance_curve,
    identify,
    per_target,
    summarise,
)
from unitdb.release import PublishedSet, Release

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["check_identified", "not_identified"]

_NEAR = 1e-9
_PEOPLE = "*"
_TAKES = {
    "samples": "the predictions are not published (`predictions`)",
    "candidate_features": "the features of candidates are not (`identification: {features: true}`)",
}
_COUNTS = ("", "_trained", "_within", "_between")


def not_identified(tables: Mapping[str, pa.Table]) -> str | None:
    """Why identification cannot be done again; None where it can, or there is none."""
    if "identification" not in tables:
        return None
    return next((why for name, why in _TAKES.items() if name not in tables), None)


def check_identified(folder: Path) -> None:
    """Identify all predictions of a release again, by its features of candidates.

    Parameters
    ----------
    folder : Path
        The release.

    Raises
    ------
    CorruptReleaseError
        Names a row that is not what the predictions give.
    """
    release = Release(folder)
    rows = _text(release.table("identification"))
    summaries = _text(release.table("identification_summary"))
    keys = ["dataset", "condition", "model", "set", "subject"]
    stated = dict(list(summaries.groupby(keys, sort=False)))
    exchanged = dict(list(_text(release.table("identification_exchange")).groupby(keys)))
    for place, of in rows.groupby(keys, sort=False):
        _check(release, tuple(map(str, place)), of.copy(), stated[place], exchanged[place])


def _text(table: pd.DataFrame) -> pd.DataFrame:
    names = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(names, str))


def _check(
    release: Release,
    place: tuple[str, ...],
    rows: pd.DataFrame,
    summaries: pd.DataFrame,
    exchanged: pd.DataFrame,
) -> None:
    """Check the predictions of a subject, of a test set, among the candidates of a set."""
    *names, subject = place
    dataset, condition, model, name = names
    candidates = PublishedSet(
        release.sql, (dataset, condition, model, name), where=release.label, tables=release.tables
    )
    own = release.sql("SELECT DISTINCT subject FROM samples WHERE dataset = ?", [dataset])
    subjects = sorted(own["subject"].astype(str)) if subject == _PEOPLE else [subject]
    samples = {one: candidates.samples(one) for one in subjects}
    first = samples[subjects[0]]
    decoded = sorted(set(first["decoded"]))
    kinds = {"means": decoded} | ({"single": list(first["decoded"])} if _single(rows) else {})
    layers = [one for one in dict.fromkeys(rows["layer"]) if not one.startswith("*")]
    depth = {one.layer: one.depth for one in release.layers if one.model == model}
    layers.sort(key=depth.__getitem__)
    rois = sorted(set(rows["roi"]))
    target_of = dict(zip(first["decoded"], first["target"], strict=True))
    trains = {
        one: candidates.trained(one, of["fold"].to_numpy(np.intp)) for one, of in samples.items()
    }

    compared = [
        _compared(release, candidates, layer, rois, samples, kinds, place) for layer in layers
    ]
    questions = dict(_questions(candidates, rois, kinds, target_of, samples, trains))
    methods: list[Method] = [one for one in METHODS if one in set(rows["method"])]
    combined = [way for way in COMBINED if way in set(rows["layer"])]
    order = {
        "means": pd.Index(decoded, name="stimulus"),
        "single": pd.MultiIndex.from_frame(first[["stimulus", "presentation"]]),
    }
    rows["kind"] = np.where(rows["trial"] == 0, "means", "single")
    stated = {
        (row["roi"], row["trials"], row["layer"], row["method"]): row
        for row in summaries.to_dict("records")
    }
    curves = dict(list(exchanged.groupby(["roi", "trials", "layer", "method"], sort=False)))
    places = dict(list(rows.groupby(["roi", "kind", "layer", "method"], sort=False)))
    found = identify(compared, len(candidates.ids), questions, methods=methods, combined=combined)
    for (question, layer, method), matches in found:
        roi, kind = cast("tuple[str, str]", question)
        of = places.get((roi, kind, layer, method))
        if of is None:
            raise CorruptReleaseError(
                f"identification: {'/'.join((*place, layer, roi, method))}: no rows of {kind}"
            )
        by = "stimulus" if kind == "means" else ["stimulus", "trial"]
        where = "/".join((*place, layer, roi, method))
        _hold_rows(where, of.set_index(by).reindex(order[kind]), matches, candidates)
        row = stated[roi, kind, layer, method]
        for column, value in asdict(summarise(matches, len(candidates.ids))).items():
            if column in row:
                _hold(where, column, row[column], value)
        curve = curves.get((roi, kind, layer, method))
        _hold_curve(where, {} if curve is None else _by_size(curve), chance_curve(matches))


def _by_size(curve: pd.DataFrame) -> dict[tuple[str, int], float]:
    keys = zip(curve["among"], curve["n"].tolist(), strict=True)
    return dict(zip(keys, curve["chance"].to_numpy(float), strict=True))


def _hold_curve(
    where: str, stated: dict[tuple[str, int], float], found: dict[tuple[str, int], float]
) -> None:
    table = "identification_exchange"
    for among, n in sorted(stated.keys() ^ found.keys()):
        wrong = "there is no row of" if (among, n) in found else "no predictions have"
        raise CorruptReleaseError(f"{table}: {where}: {wrong} {n} candidates among {among}")
    for (among, n), value in found.items():
        _hold(f"{where}: {among}, {n}", "chance", stated[among, n], value, table=table)


def _single(rows: pd.DataFrame) -> bool:
    return bool((rows["trial"] > 0).any())


def _compared(
    release: Release,
    candidates: PublishedSet,
    layer: str,
    rois: Sequence[str],
    samples: Mapping[str, pd.DataFrame],
    kinds: Mapping[str, Sequence[str]],
    place: tuple[str, ...],
) -> Compared:
    dataset, condition, model, _, subject = place
    units = candidates.units(layer)
    parts = []
    for roi in rois:
        means = []
        for one, of in samples.items():
            frame = release.predicted(
                f"{model}/{layer}", roi, one, dataset=dataset, condition=condition
            )
            values = frame[units].to_numpy(float)
            means.append(_means(values, list(of["decoded"])))
        parts.append(np.mean(means, axis=0).astype(np.float32))
        if "single" in kinds:
            parts.append(values.astype(np.float32))
    features = candidates.features(layer, units)
    mean, sd = candidates.scale(layer, None if subject == _PEOPLE else subject)
    return Compared(
        name=layer,
        predicted=np.concatenate(parts),
        features=lambda start, stop: features[start:stop],
        mean=mean,
        sd=sd,
    )


def _means(values: NDArray[np.float64], decoded: Sequence[str]) -> NDArray[np.float64]:
    """Mean over the samples of each that is decoded, in code-point order."""
    names, of = np.unique(np.array(decoded), return_inverse=True)
    sums = np.zeros((len(names), values.shape[1]))
    np.add.at(sums, of, values)
    return np.asarray(sums / np.bincount(of)[:, None])


def _questions(
    candidates: PublishedSet,
    rois: Sequence[str],
    kinds: Mapping[str, Sequence[str]],
    target_of: Mapping[str, str],
    samples: Mapping[str, pd.DataFrame],
    trains: Mapping[str, NDArray[np.bool_]],
) -> Iterator[tuple[Hashable, Question]]:
    column = {name: i for i, name in enumerate(candidates.ids)}
    targets = sorted(set(target_of.values()))
    number = {name: i for i, name in enumerate(targets)}
    trained = np.any([trains[one][_of_means(of)] for one, of in samples.items()], axis=0)
    first = next(iter(samples.values()))
    folds = first["fold"].to_numpy(np.intp)
    masks = {"means": trained, "single": next(iter(trains.values()))}
    held_out = {"means": folds[_of_means(first)], "single": folds}
    start = 0
    for roi in rois:
        for kind, names in kinds.items():
            yield (
                (roi, kind),
                Question(
                    rows=slice(start, start + len(names)),
                    candidates=np.array([column[name] for name in targets]),
                    targets=np.array([number[target_of[name]] for name in names]),
                    trained=masks[kind],
                    categories=candidates.categories,
                    folds=held_out[kind],
                ),
            )
            start += len(names)


def _of_means(samples: pd.DataFrame) -> NDArray[np.intp]:
    """The first sample of each that is decoded."""
    return np.unique(samples["decoded"].to_numpy(str), return_index=True)[1]


def _hold_rows(where: str, rows: pd.DataFrame, matches: Any, candidates: PublishedSet) -> None:
    for ending, kind in zip(_COUNTS, ("all", "trained", "within", "between"), strict=True):
        counts = getattr(matches, kind)
        for name, values in zip(("n_false", "n_below", "n_equal"), counts, strict=True):
            own = rows[f"{name}{ending}"].fillna(0).to_numpy(np.int64)
            if (own != values).any():
                row = int((own != values).argmax())
                raise CorruptReleaseError(
                    f"identification: {where}: {rows.index[row]}: {name}{ending} is {own[row]}, "
                    f"but the predictions give {values[row]}"
                )
    ids = candidates.ids
    best = [ids[i] if i >= 0 else None for i in matches.best.tolist()]
    chance = per_target(matches, matches.rates)[matches.targets]
    for row, (stated, found) in enumerate(zip(rows["best"], best, strict=True)):
        if stated != found and not (found is None and stated != stated):
            raise CorruptReleaseError(
                f"identification: {where}: {rows.index[row]}: best is {stated!r}, but the "
                f"predictions give {found!r}"
            )
    for name, values in (
        ("target_r", matches.target_r),
        ("best_r", matches.best_r),
        ("chance_exchange", chance),
    ):
        for row, (stated, found) in enumerate(zip(rows[name], values, strict=True)):
            _hold(f"{where}: {rows.index[row]}", name, stated, found, table="identification")


def _hold(
    where: str, name: str, stated: Any, found: float, *, table: str = "identification_summary"
) -> None:
    value = np.nan if stated is None else float(stated)
    if not (abs(value - found) <= _NEAR or (np.isnan(value) and np.isnan(found))):
        raise CorruptReleaseError(
            f"{table}: {where}: {name} is {stated}, but the predictions give {found}"
        )
