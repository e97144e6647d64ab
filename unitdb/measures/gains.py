"""Gains over pictures and subjects: rows of ``modulation_summary`` from those of ``modulation``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import Interval, q_values, sign_flip_p, two_way_difference, two_way_mean
from unitdb.measures.protocol import Release
from unitdb.tables import Rows

__all__ = ["CONTROLS", "Bias", "bias_at", "mean_of_known", "problems", "summary_rows"]

Array = NDArray[np.float64]
Key: TypeAlias = tuple[str, ...]

Bias: TypeAlias = Mapping[Key, tuple[float, float]]
"""By dataset, condition, model, layer, method, control and ROI: bias and its standard error."""

CONTROLS = ("noise", "encode-decode")
_COLUMNS = {"noise": "noise", "encode-decode": "null"}
_PLACE = ("dataset", "condition", "model", "layer", "method", "roi")
_NEAR = 1e-6
_NO_PRIOR = (None, "none")


def bias_at(reached: Array, gains: Array, r: float) -> tuple[float, float]:
    """Gain of simulated brains that decode as well as real ones.

    A parabola in r_original is fitted to all of them by least squares, a line where they have two
    noises, and read off at r, which is held within the means of the best and the worst noise.

    Parameters
    ----------
    reached, gains : arrays of shape (n_noises, n_brains)
        Mean r_original of pictures shown as they are, and gain, of each brain.
    r : float
        What real brains reach.

    Returns
    -------
    bias, standard error : float
        NaN without any.
    """
    known = ~np.isnan(reached + gains).any(axis=1)
    if math.isnan(r) or not known.any():
        return math.nan, math.nan
    means = reached[known].mean(axis=1)
    x = reached[known].ravel() - np.clip(r, means.min(), means.max())
    y = gains[known].ravel()
    terms = np.vander(x, min(3, int(known.sum())), increasing=True)
    coefficients, *_ = np.linalg.lstsq(terms, y, rcond=None)
    left = len(y) - terms.shape[1]
    variance = np.square(y - terms @ coefficients).sum() / left if left else np.nan
    se = np.sqrt(variance * np.linalg.pinv(terms.T @ terms)[0, 0])
    return float(coefficients[0]), float(se)


def mean_of_known(values: Array) -> Array:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    n = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    return np.asarray(np.where(n > 0, sums / np.maximum(n, 1), np.nan))


def summary_rows(rows: Rows, bias: Bias, as_they_are: Set[tuple[str, str]]) -> Rows:
    """Rows of ``modulation_summary``.

    Parameters
    ----------
    rows : list of dict
        Of ``modulation``; None or NaN where there is no value.
    bias : mapping
        What simulated brains give.
    as_they_are : set of (str, str)
        Dataset and condition of sets that show no degraded picture: there is nothing to test.
    """
    groups: dict[Key, Rows] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in _PLACE), []).append(row)
    matrices = {key: {c: _matrix(of, c) for c in CONTROLS} for key, of in groups.items()}
    found = []
    for key, of in groups.items():
        first = of[0]
        others = _without_prior(key, first, groups)
        for control in CONTROLS:
            gains = matrices[key][control]
            given = bias.get((*key[:5], control, key[5]), (math.nan, math.nan))
            other = None if others is None else matrices[others][control]
            tested = key[:2] not in as_they_are
            found.append(
                dict(zip(_PLACE, key, strict=True))
                | {"control": control, "level": first["level"], "prior": first["prior"]}
                | _means(of, control)
                | _gain(gains, given, tested=tested)
                | _prior(gains, other if tested else None)
            )
    _add_q(found)
    return found


def _means(rows: Rows, control: str) -> dict[str, Any]:
    prefix = _COLUMNS[control]
    columns = {
        "r_stimulus": "r_stimulus",
        "r_original": "r_original",
        "control_r_stimulus": f"{prefix}_r_stimulus",
        "control_r_original": f"{prefix}_r_original",
    }
    of_subjects = {row["subject"] for row in rows}
    return {
        "n_subjects": len(of_subjects),
        "n_images": len({row["stimulus"] for row in rows}),
    } | {name: _mean(_matrix_of(rows, column)) for name, column in columns.items()}


def _gain(gains: Array, bias: tuple[float, float], *, tested: bool) -> dict[str, float]:
    interval = two_way_mean(gains)
    excess = mean_of_known(gains) - bias[0]
    return {
        "gain": interval.value,
        "gain_low": interval.low,
        "gain_high": interval.high,
        "bias": bias[0],
        "bias_se": bias[1],
        "excess": interval.value - bias[0],
        "p": sign_flip_p(excess) if tested else math.nan,
    }


def _prior(gains: Array, others: Array | None) -> dict[str, float]:
    if others is None:
        return dict.fromkeys(("prior_effect", "prior_low", "prior_high", "prior_p"), math.nan)
    found: Interval = two_way_difference(gains, others)
    return {
        "prior_effect": found.value,
        "prior_low": found.low,
        "prior_high": found.high,
        "prior_p": sign_flip_p(mean_of_known(gains) - mean_of_known(others)),
    }


def _without_prior(key: Key, row: Mapping[str, Any], groups: Mapping[Key, Rows]) -> Key | None:
    """The one set of the same level and subjects without a prior; None without one."""
    if row["prior"] in _NO_PRIOR:
        return None
    subjects = {each["subject"] for each in groups[key]}
    found = [
        other
        for other, (first, *_) in ((other, of) for other, of in groups.items())
        if (other[0], *other[2:]) == (key[0], *key[2:])
        and first["level"] == row["level"]
        and first["prior"] in _NO_PRIOR
        and {each["subject"] for each in groups[other]} == subjects
    ]
    return found[0] if len(found) == 1 else None


def _matrix(rows: Rows, control: str) -> Array:
    return _matrix_of(rows, f"{_COLUMNS[control]}_gain")


def _matrix_of(rows: Rows, column: str) -> Array:
    """Values (n_subjects, n_images), both in code-point order; NaN where there is none."""
    subjects, images = (
        {name: place for place, name in enumerate(sorted({row[of] for row in rows}))}
        for of in ("subject", "stimulus")
    )
    values = np.full((len(subjects), len(images)), np.nan)
    for row in rows:
        if row[column] is not None:
            values[subjects[row["subject"]], images[row["stimulus"]]] = row[column]
    return values


def _mean(values: Array) -> float:
    return float(mean_of_known(mean_of_known(values)))


def _add_q(rows: Rows) -> None:
    """Q over layers, ROIs and test sets, for each dataset, network, method and control."""
    families: dict[Key, Rows] = {}
    for row in rows:
        family = tuple(row[name] for name in ("dataset", "model", "method", "control"))
        families.setdefault(family, []).append(row)
    for of in families.values():
        for row, q in zip(of, q_values(np.array([row["p"] for row in of])), strict=True):
            row["q"] = float(q)


def problems(release: Release) -> Iterator[str]:
    """What is wrong in the tables of modulation of a release, a sentence each."""
    rows, stated = (release[name].to_pylist() for name in ("modulation", "modulation_summary"))
    sets = {(row["dataset"], row["condition"]): row for row in release["test_sets"].to_pylist()}
    degraded = {
        (row["dataset"], row["stimulus"])
        for row in release["stimuli"].select(["dataset", "stimulus", "original"]).to_pylist()
        if row["original"] is not None
    }
    as_they_are = {(row["dataset"], row["condition"]) for row in rows}
    for row in rows:
        if (row["dataset"], row["stimulus"]) in degraded:
            as_they_are.discard((row["dataset"], row["condition"]))
        test = sets.get((row["dataset"], row["condition"]), {"level": None, "prior": None})
        for name in ("level", "prior"):
            if row[name] != test[name]:
                yield (
                    f"modulation: {row['dataset']}/{row['condition']}: {name} is {row[name]}, but "
                    f"table test_sets says {test[name]}"
                )
                return
    names = (*_PLACE[:5], "control", "roi")
    bias = {
        tuple(row[name] for name in names): (_number(row["bias"]), _number(row["bias_se"]))
        for row in stated
    }
    expected = {
        tuple(row[name] for name in names): row for row in summary_rows(rows, bias, as_they_are)
    }
    found = {tuple(row[name] for name in names): row for row in stated}
    for key in sorted(expected.keys() ^ found.keys()):
        where = "has no row of" if key in expected else "has rows without any in modulation:"
        yield f"modulation_summary: {where} {'/'.join(key)}"
        return
    for key, row in found.items():
        for name, value in expected[key].items():
            if not _same(row[name], value):
                yield (
                    f"modulation_summary: {'/'.join(key)}: {name} is {row[name]}, but the rows of "
                    f"modulation give {value}"
                )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _same(stated: Any, expected: Any) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return stated is None
    if isinstance(expected, float) and stated is not None:
        return math.isclose(stated, expected, rel_tol=0, abs_tol=_NEAR)
    return bool(stated == expected)
