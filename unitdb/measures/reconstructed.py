"""Scores over images, and what is wrong with the tables of reconstruction in a release."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from unitdb.analysis import (
    mean_over_images,
    pairwise_identification,
    picture_correlation,
    structural_similarity,
)
from unitdb.matching import category_chance, patterns, similarity
from unitdb.measures.protocol import Release
from unitdb.recipes import ChosenUnits, InversionSpec
from unitdb.specs import canonical_json
from unitdb.tables import Rows

if TYPE_CHECKING:
    from unitdb.measures.picturing import Making

__all__ = ["method_rows", "problems", "score_rows"]

Array = NDArray[np.float64]
Key = tuple[str, ...]

_KEY = ("dataset", "condition", "model", "method")
_SUMMED = ("source", "subject", "metric")
_TOLERANCE = 1e-9
_MOST_PIXELS = 2**24
_BOMBS = (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning)


def method_rows(each: Making) -> Rows:
    """Rows of ``reconstruction_method``, without what recovery says."""
    job, spec = each.decoded.job, each.spec
    judge = None if spec.judge is None else job.judges[spec.judge]
    person = each.people[0]
    units = spec.units if isinstance(spec, InversionSpec) else "all"
    choice = "all"
    if isinstance(units, ChosenUnits):
        choice = "random" if units.random is not None else "top" if units.top else "bottom"
        choice += "" if units.by is None else f" by {units.by}"
    rated = job.rated.get(spec.name)
    return [
        {
            "dataset": job.dataset.spec.name,
            "condition": each.condition,
            "model": job.model.spec.name,
            "method": method,
            "kind": spec.kind,
            "rois": json.dumps(list(spec.rois or job.dataset.rois)),
            "layers": json.dumps(
                list(layers) if isinstance(spec, InversionSpec) else getattr(spec, "layers", [])
            ),
            "n_units": each.n_units(method),
            "unit_choice": choice,
            "units_from": None if rated is None else f"{rated.label} {rated.sha256}",
            "settings": canonical_json(spec),
            "judge": spec.judge,
            "judge_sha256": None if judge is None else judge.model_sha256,
            "judge_layers": None
            if judge is None
            else json.dumps([layer.name for layer in judge.layers]),
            "width": each.side,
            "height": each.side,
            "scored_at": min(spec.scored_at, each.side),
            "n_candidates": len(person.pictures),
            "n_training": len(set(person.trained).difference(person.pictures)),
        }
        for method, layers in each.methods.items()
    ]


def score_rows(methods: Iterable[Mapping[str, Any]], values: Iterable[Mapping[str, Any]]) -> Rows:
    """Rows of ``reconstruction_score``.

    Parameters
    ----------
    methods : iterable of mapping
        Rows of ``reconstruction_method``.
    values : iterable of mapping
        Rows of ``reconstruction_value``.
    """
    of = {_key(row): row for row in methods}
    by: dict[Key, dict[tuple[str, str, str], dict[int, dict[str, float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for row in values:
        place = row["source"], row["subject"], row["metric"]
        value = np.nan if row["value"] is None else float(row["value"])
        by[_key(row)][place][int(row["control"])][str(row["stimulus"])] = value
    rows = Rows()
    for key, method in sorted(of.items()):
        ridge = _ridge(key, of)
        for place in sorted(by[key]):
            base = dict(zip(_KEY, key, strict=True)) | {"kind": method["kind"]}
            base |= dict(zip(_SUMMED, place, strict=True))
            rows.append(base | _score(by[key], place, method, None if ridge is None else by[ridge]))
    return rows


_Places = Mapping[tuple[str, str, str], Mapping[int, Mapping[str, float]]]


def _ridge(key: Key, of: Mapping[Key, Mapping[str, Any]]) -> Key | None:
    """The first baseline of the same dataset, test set and network."""
    same = sorted(
        other for other, row in of.items() if row["kind"] == "ridge" and other[:3] == key[:3]
    )
    return None if not same or same[0] == key else same[0]


def _score(
    by: _Places,
    place: tuple[str, str, str],
    method: Mapping[str, Any],
    ridge: _Places | None,
) -> dict[str, Any]:
    source, subject, metric = place
    own = by[place]
    controls = {n: of for n, of in by.get(("shuffled", subject, metric), {}).items() if n > 0}
    images = sorted({name for of in own.values() for name in of})
    values = np.array([_mean([of[name] for of in own.values() if name in of]) for name in images])
    mean = mean_over_images(values)
    row: dict[str, Any] = {
        "value": _known(mean.value),
        "low": _known(mean.low),
        "high": _known(mean.high),
        "chance": _chance(metric, method),
        "n_images": int((~np.isnan(values)).sum()),
        "n_controls": len(controls),
    }
    if metric == "identification":
        row["category_chance"] = _of_category(by, source, subject)
    if source != "brain":
        return row
    means = {n: _mean(list(of.values())) for n, of in controls.items()}
    row["control_mean"] = _known(_mean(list(means.values())))
    row["p"] = _p(own[0], controls, means)
    if ridge is not None and (theirs := ridge.get(place, {}).get(0)):
        common = [name for name in images if name in theirs]
        gain = mean_over_images(np.array([own[0][name] - theirs[name] for name in common]))
        row |= {
            "over_ridge": _known(gain.value),
            "over_ridge_low": _known(gain.low),
            "over_ridge_high": _known(gain.high),
        }
    return row


def _p(
    own: Mapping[str, float],
    controls: Mapping[int, Mapping[str, float]],
    means: Mapping[int, float],
) -> float | None:
    """Share of shuffled brains that are as good, on their pictures."""
    known = {n: mean for n, mean in means.items() if not np.isnan(mean)}
    if not known:
        return None
    as_good = 0
    for n in known:
        both = [
            (theirs, own[name])
            for name, theirs in controls[n].items()
            if name in own and not np.isnan([theirs, own[name]]).any()  # pictures that were found
        ]
        if not both:
            return None
        theirs, value = np.mean(both, axis=0)
        as_good += int(theirs >= value)
    return (1 + as_good) / (1 + len(known))


def _chance(metric: str, method: Mapping[str, Any]) -> float | None:
    if metric.startswith("identification"):
        return 0.5
    if metric == "top1":
        return 1 / (int(method["n_candidates"]) + int(method["n_training"]))
    return 0.0 if metric == "centred_r" else None


def _of_category(by: _Places, source: str, subject: str) -> float | None:
    rated, shares, rates = (
        {
            (control, name): value
            for control, each in by.get((source, subject, metric), {}).items()
            for name, value in each.items()
        }
        for metric in ("identification", "category_share", "identification_between")
    )
    # The rate is among all candidates: what some of them have says nothing of it.
    if any(not np.isnan(rated[at]) and np.isnan(shares.get(at, np.nan)) for at in rated):
        return None
    share, between = _mean(list(shares.values())), _mean(list(rates.values()))
    if np.isnan(share) or np.isnan(between) or share <= 0:
        return None
    return category_chance(1 / share, between)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _key(row: Mapping[str, Any]) -> Key:
    return tuple(str(row[name]) for name in _KEY)


def problems(release: Release) -> Iterator[str]:
    """What is wrong with the tables, a sentence each."""
    if "reconstruction_score" not in release:
        return
    methods = release["reconstruction_method"].to_pylist()
    values = release["reconstruction_value"].to_pylist()
    given = {
        (*_key(row), *(row[name] for name in _SUMMED)): row
        for row in release["reconstruction_score"].to_pylist()
    }
    made = {
        (*_key(row), *(row[name] for name in _SUMMED)): row for row in score_rows(methods, values)
    }
    for place in sorted(given.keys() ^ made.keys()):
        what = "is missing" if place in made else "follows from no row of reconstruction_value"
        yield f"reconstruction_score: {'/'.join(place)}: {what}"
    for place, row in made.items():
        for column, value in given.get(place, {}).items():
            if not _alike(value, row.get(column)):
                yield (
                    f"reconstruction_score: {'/'.join(place)}: {column} is {value}; "
                    f"reconstruction_value gives {row.get(column)}"
                )
    yield from _recovered(methods, made)
    yield from _shares(methods, values)
    yield from _shown(release["reconstruction"].to_pylist(), methods, values)


def _recovered(methods: Sequence[Mapping[str, Any]], made: Mapping[Key, Any]) -> Iterator[str]:
    for row in methods:
        found = [
            score["value"]
            for place, score in made.items()
            if place[:4] == _key(row) and (place[4], place[6]) == ("recovery", "identification")
        ]
        value = row["recovery_identification"]
        where = f"reconstruction_method: {'/'.join(_key(row))}"
        if not _alike(value, found[0] if found else None):
            yield f"{where}: recovery_identification is {value}; its pictures give {found}"
        if row["invertible"] != (None if value is None else value >= 0.95):
            yield f"{where}: invertible is {row['invertible']} at {value}"


def _shares(
    methods: Sequence[Mapping[str, Any]], values: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Shares of a category are of all rivals: so many of them."""
    rivals = {_key(row): int(row["n_candidates"]) - 1 for row in methods}
    for row in values:
        if row["metric"] != "category_share" or row["value"] is None:
            continue
        n = rivals[_key(row)]
        if not _alike(float(round(row["value"] * n)), row["value"] * n):
            yield (
                f"reconstruction_value: {'/'.join(_key(row))}: category_share of "
                f"{row['stimulus']!r} is {row['value']}, of {n} rivals no whole number"
            )


def _shown(
    pictures: Sequence[Mapping[str, Any]],
    methods: Sequence[Mapping[str, Any]],
    values: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Pictures are what their columns say, and score so where the seen ones are shown too."""
    of = {_key(row): row for row in methods}
    known = {
        (
            *_key(row),
            row["subject"],
            row["source"],
            row["control"],
            row["stimulus"],
            row["metric"],
        ): row["value"]
        for row in values
    }
    stacks: dict[Key, dict[tuple[Any, ...], NDArray[np.uint8]]] = defaultdict(dict)
    for row in pictures:
        if row["png"] is None:
            continue
        where = f"reconstruction: {'/'.join(_key(row))}: {row['source']} of {row['stimulus']!r}"
        try:
            with PIL.Image.open(io.BytesIO(row["png"]), formats=["PNG"]) as opened:
                width, height = opened.size
                if (width, height) != (row["width"], row["height"]):
                    yield f"{where}: png is {width} × {height}, not as it says"
                    continue
                if width * height > _MOST_PIXELS:  # before they are decoded
                    yield f"{where}: png has {width} × {height} pixels, more than are read"
                    continue
                picture = np.asarray(opened.convert("RGB"))
        except (OSError, ValueError, SyntaxError, *_BOMBS) as cause:
            yield f"{where}: png cannot be read: {cause}"
            continue
        place = (row["subject"], row["source"], row["control"], row["stimulus"])
        stacks[_key(row)][place] = picture
    for key, found in stacks.items():
        seen = {place[3]: picture for place, picture in found.items() if place[1] == "seen"}
        if seen:
            yield from _scored(key, found, seen, of[key], known)


def _scored(
    key: Key,
    found: Mapping[tuple[Any, ...], NDArray[np.uint8]],
    seen: Mapping[str, NDArray[np.uint8]],
    method: Mapping[str, Any],
    known: Mapping[tuple[Any, ...], float | None],
) -> Iterator[str]:
    from unitdb.reconstruction import resized

    side, names = int(method["scored_at"]), sorted(seen)
    small = resized(np.stack([seen[name] for name in names]), side)
    for place, picture in found.items():
        subject, source, _, stimulus = place
        if source == "seen" or stimulus not in seen:
            continue
        made, own = resized(picture[None], side), small[[names.index(stimulus)]]
        scores = {"pixel_r": picture_correlation(made, own)[0]}
        if (*key, *place, "ssim") in known:
            scores["ssim"] = structural_similarity(made, own)[0]
        if len(names) == method["n_candidates"] and len(names) > 1:
            s = similarity(patterns(_flat(made)), patterns(_flat(small)))
            at = np.array([names.index(stimulus)])
            rates = pairwise_identification(s, targets=at, n_bootstrap=2).rates
            scores["identification_raw"] = rates[0]
        for metric, value in scores.items():
            given = known.get((*key, *place, metric))
            if not _alike(given, _known(float(value))):
                yield (
                    f"reconstruction_value: {'/'.join((*key, subject, source))}: {metric} of "
                    f"{stimulus!r} is {given}; the pictures give {value}"
                )


def _flat(pictures: NDArray[np.uint8]) -> Array:
    return pictures.reshape(len(pictures), -1).astype(np.float64)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=0, atol=_TOLERANCE))
    return bool(one == other)
