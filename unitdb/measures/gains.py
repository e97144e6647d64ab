"""Gains over pictures and subjects: rows of ``modulation_summary`` from those of ``modulation``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import TwoWay, q_values, sign_flip_p, two_way_difference, two_way_mean
from unitdb.measures.biases import COLUMNS, CONTROLS, Key, biases, mean_of_known
from unitdb.measures.protocol import Release
from unitdb.tables import Rows

__all__ = ["problems", "summary_rows"]

Array = NDArray[np.float64]

_PLACE = ("dataset", "condition", "model", "layer", "method", "roi")
_NEAR = 1e-6
_NO_PRIOR = (None, "none")


def summary_rows(rows: Rows, simulated: Rows, degraded: Set[tuple[str, str]]) -> Rows:
    """Rows of ``modulation_summary``.

    Parameters
    ----------
    rows : list of dict
        Of ``modulation``; None or NaN where there is no value.
    simulated : list of dict
        Of ``modulation_simulated``.
    degraded : set of (str, str)
        Dataset and stimulus of those that were not shown as they are. In sets without any there is
        nothing to test.
    """
    bias = biases(rows, simulated, degraded)
    to_test = {
        (row["dataset"], row["condition"])
        for row in rows
        if (row["dataset"], row["stimulus"]) in degraded
    }
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
            given = bias.get((*key, control), (math.nan, math.nan))
            other = None if others is None else matrices[others][control]
            tested = key[:2] in to_test
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
    prefix = COLUMNS[control]
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
    of_gain = two_way_mean(gains)
    excess = of_gain.less(bias[0], se=bias[1])
    return {
        "gain": of_gain.value,
        "gain_low": of_gain.low,
        "gain_high": of_gain.high,
        "bias": bias[0],
        "bias_se": bias[1],
        "excess": excess.value,
        "excess_low": excess.low,
        "excess_high": excess.high,
        "p": excess.p if tested else math.nan,
        "sign_p": sign_flip_p(mean_of_known(gains) - bias[0]) if tested else math.nan,
    }


def _prior(gains: Array, others: Array | None) -> dict[str, float]:
    names = ("prior_effect", "prior_low", "prior_high", "prior_p", "prior_sign_p")
    if others is None:
        return dict.fromkeys(names, math.nan)
    found: TwoWay = two_way_difference(gains, others)
    sign_p = sign_flip_p(mean_of_known(gains) - mean_of_known(others))
    return dict(zip(names, (found.value, found.low, found.high, found.p, sign_p), strict=True))


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
    return _matrix_of(rows, f"{COLUMNS[control]}_gain")


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
        for q_name, p_name in (("q", "p"), ("prior_q", "prior_p")):
            values = q_values(np.array([row[p_name] for row in of]))
            for row, q in zip(of, values, strict=True):
                row[q_name] = float(q)


def problems(release: Release) -> Iterator[str]:
    """What is wrong in the tables of modulation of a release, a sentence each."""
    rows, simulated, stated = (
        release[f"modulation{of}"].to_pylist() for of in ("", "_simulated", "_summary")
    )
    sets = {(row["dataset"], row["condition"]): row for row in release["test_sets"].to_pylist()}
    degraded = {
        (row["dataset"], row["stimulus"])
        for row in release["stimuli"].select(["dataset", "stimulus", "original"]).to_pylist()
        if row["original"] is not None
    }
    for row in rows:
        test = sets.get((row["dataset"], row["condition"]), {"level": None, "prior": None})
        for name in ("level", "prior"):
            if row[name] != test[name]:
                yield (
                    f"modulation: {row['dataset']}/{row['condition']}: {name} is {row[name]}, but "
                    f"table test_sets says {test[name]}"
                )
                return
    names = (*_PLACE[:5], "control", "roi")
    expected = {
        tuple(row[name] for name in names): row for row in summary_rows(rows, simulated, degraded)
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
                    f"modulation_summary: {'/'.join(key)}: {name} is {row[name]}, but modulation "
                    f"and modulation_simulated give {value}"
                )


def _same(stated: Any, expected: Any) -> bool:
    if isinstance(expected, float) and math.isnan(expected):
        return stated is None
    if isinstance(expected, float) and stated is not None:
        return math.isclose(stated, expected, rel_tol=0, abs_tol=_NEAR)
    return bool(stated == expected)
