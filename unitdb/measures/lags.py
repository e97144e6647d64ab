"""Rows of table ``timecourse`` → rows of ``lag`` and ``lag_order``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis import (
    Interval,
    Lags,
    Order,
    adjusted_lags,
    course_lags,
    lag_order,
    peaks,
    template_lags,
)
from unitdb.tables import Rows

__all__ = ["Place", "lag_rows"]

Array = NDArray[np.float64]
Place = tuple[str, str, str, str]
"""Dataset, condition, model and ROI."""

_PLACE = ("dataset", "condition", "model", "roi")
_CURVES = {"none": "mean_r", "matched": "matched_r", "shuffled": "shuffled_r"}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Courses:
    """Courses of the layers of a network from an ROI.

    Parameters
    ----------
    layers : list of str
        In the network's order.
    n_subjects : int
    times : array of shape (n_times,)
    curves : dict of str to array of shape (n_subjects, n_layers, n_times)
        By control.
    without : array of shape (n_stimuli, n_subjects, n_layers, n_times), optional
        Without each stimulus.
    """

    layers: list[str]
    n_subjects: int
    times: Array
    curves: dict[str, Array]
    without: Array | None

    def lags(self, control: str) -> Lags:
        """Lags, and those without each subject."""
        return course_lags(self.curves[control], self.times)

    def lags_of_stimuli(self) -> Lags:
        """Lags, and those without each stimulus."""
        lags = template_lags(self.curves["none"].mean(axis=0), self.times)
        left_out = () if self.without is None else self.without.mean(axis=1)
        without = [template_lags(curves, self.times) for curves in left_out]
        return Lags(lags=lags, without=np.array(without).reshape(len(without), len(lags)))


def lag_rows(
    course: Sequence[Mapping[str, Any]],
    layers: Mapping[str, Sequence[str]],
    adjusted_by: Mapping[tuple[str, str], str],
) -> tuple[Rows, Rows]:
    """Rows of ``lag`` and of ``lag_order``.

    Parameters
    ----------
    course : sequence of mapping
        Rows of ``timecourse``.
    layers : mapping of str to sequence of str
        Layers of each network, in its order.
    adjusted_by : mapping of (str, str) to str
        Of a dataset and condition that whose lags are taken away.
    """
    key = _place
    courses = {
        place: _courses(list(rows), layers[place[2]])
        for place, rows in groupby(sorted(course, key=key), key)
    }
    lags: Rows = []
    orders: Rows = []
    for place, found in courses.items():
        dataset, condition, model, roi = place
        named = dict(zip(_PLACE, place, strict=True))
        reference = adjusted_by.get((dataset, condition))
        beside = courses.get((dataset, reference, model, roi)) if reference else None
        lags += [named | row for row in _lags(found, beside, reference)]
        orders += [named | row for row in _orders(found, beside)]
    return lags, orders


def _place(row: Mapping[str, Any]) -> Place:
    return row["dataset"], row["condition"], row["model"], row["roi"]


def _courses(rows: Sequence[Mapping[str, Any]], order: Sequence[str]) -> _Courses:
    layers = [layer for layer in order if any(row["layer"] == layer for row in rows)]
    subjects = sorted({row["subject"] for row in rows})
    times = sorted({row["time"] for row in rows})
    shape = len(subjects), len(layers), len(times)
    curves = {control: np.full(shape, np.nan) for control in _CURVES}
    sizes = {len(row["without"] or ()) for row in rows}
    n_stimuli = sizes.pop() if len(sizes) == 1 else 0
    without = np.full((n_stimuli, *shape), np.nan)
    at = {name: place for names in (subjects, layers, times) for place, name in enumerate(names)}
    for row in rows:
        place = at[row["subject"]], at[row["layer"]], at[row["time"]]
        for control, column in _CURVES.items():
            curves[control][place] = np.nan if row[column] is None else row[column]
        if n_stimuli:
            without[(slice(None), *place)] = row["without"]
    return _Courses(
        layers=layers,
        n_subjects=len(subjects),
        times=np.array(times),
        curves=curves,
        without=without if n_stimuli else None,
    )


def _lags(
    found: _Courses, beside: _Courses | None, reference: str | None
) -> Iterator[dict[str, Any]]:
    for control in _CURVES:
        lags = found.lags(control)
        rows = [
            _row(layer, control, each)
            for layer, each in zip(found.layers, lags.intervals(), strict=True)
        ]
        at, highest = peaks(found.curves[control].mean(axis=0), found.times)
        for row, time, r in zip(rows, at.tolist(), highest.tolist(), strict=True):
            row |= {"peak_time": time, "peak_r": r}
        if control == "none":
            for row, each in zip(rows, found.lags_of_stimuli().intervals(), strict=True):
                row |= {"stimuli_low": each.low, "stimuli_high": each.high}
            if beside is not None and beside.layers == found.layers:
                other = beside.lags(control)
                between = adjusted_lags(lags, other).intervals()
                for row, lag, each in zip(rows, other.lags.tolist(), between, strict=True):
                    row |= {"adjusted_by": reference, "perception_lag": lag}
                    row |= _ends("adjusted_", each) | {"adjusted_lag": each.value}
        yield from rows


def _row(layer: str, control: str, lag: Interval) -> dict[str, Any]:
    return {"layer": layer, "control": control, "lag": lag.value, **_ends("", lag)}


def _ends(name: str, interval: Interval) -> dict[str, Any]:
    return {f"{name}low": interval.low, f"{name}high": interval.high}


def _orders(found: _Courses, beside: _Courses | None) -> Iterator[dict[str, Any]]:
    for control in _CURVES:
        of_stimuli = found.lags_of_stimuli() if control == "none" else None
        yield _order(control, found, found.lags(control), of_stimuli)
    if beside is not None and beside.layers == found.layers:
        mine, other = found.lags_of_stimuli(), beside.lags_of_stimuli()
        same = len(mine.without) == len(other.without)
        yield _order(
            "adjusted",
            found,
            adjusted_lags(found.lags("none"), beside.lags("none")),
            adjusted_lags(mine, other) if same else None,
        )


def _order(control: str, found: _Courses, lags: Lags, of_stimuli: Lags | None) -> dict[str, Any]:
    order = lag_order(lags)
    row = {
        "control": control,
        "n_layers": int((~np.isnan(lags.lags)).sum()),
        "n_subjects": found.n_subjects,
        "slope": order.slope.value,
        **_ends("", order.slope),
        "p": order.p,
    }
    if of_stimuli is not None:
        other: Order = lag_order(of_stimuli)
        row |= {**_ends("stimuli_", other.slope), "stimuli_p": other.p}
    return row
