"""Rows of table ``timecourse`` → rows of ``lag`` and ``lag_order``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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
    subjects : list of str
    times : array of shape (n_times,)
    curves : dict of str to array of shape (n_subjects, n_layers, n_times)
        By control.
    stimuli : list of str
        Those that ``without`` leaves out; none where it does not exist for all.
    without : array of shape (n_stimuli, n_subjects, n_layers, n_times)
        Without each stimulus.
    """

    layers: list[str]
    subjects: list[str]
    times: Array
    curves: dict[str, Array]
    stimuli: list[str]
    without: Array

    def having(self, control: str) -> list[str]:
        """Subjects that have a value."""
        known = np.asarray(~np.isnan(self.curves[control]).all(axis=(1, 2)))
        return [name for name, has in zip(self.subjects, known, strict=True) if has]

    def of(self, subjects: Sequence[str]) -> _Courses:
        """Those of some subjects, in their order."""
        rows = [self.subjects.index(name) for name in subjects]
        curves = {control: values[rows] for control, values in self.curves.items()}
        known = self.without[:, rows]
        return replace(self, subjects=list(subjects), curves=curves, without=known)

    def mean(self, control: str) -> Array:
        """Mean over the subjects that have values; NaN where none has."""
        curves = self.of(self.having(control)).curves[control]
        return curves.mean(axis=0) if len(curves) else np.full(curves.shape[1:], np.nan)

    def lags(self, control: str) -> Lags:
        """Lags, and those without each subject that has values."""
        known = self.having(control) or self.subjects[:1]
        return course_lags(self.of(known).curves[control], self.times)

    def lags_of_stimuli(self, stimuli: Sequence[str] | None = None) -> Lags:
        """Lags, and those without each stimulus: of these, or of those there are.

        Without a stimulus that there is not, lags are as they are.
        """
        lags = template_lags(self.mean("none"), self.times)
        without = self.of(self.having("none")).without
        if not without[:, :1].size or np.isnan(without).all():
            return Lags(lags=lags, without=np.empty((0, len(lags))))
        left_out = {
            name: template_lags(curves, self.times)
            for name, curves in zip(self.stimuli, without.mean(axis=1), strict=True)
        }
        names = self.stimuli if stimuli is None else stimuli
        return Lags(lags=lags, without=np.array([left_out.get(name, lags) for name in names]))


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
    known = [row for row in rows if not np.isnan(_number(row["mean_r"]))]
    names = {tuple(row["stimuli"] or () if row["without"] else ()) for row in known}
    stimuli = list(names.pop()) if len(names) == 1 else []
    without = np.full((len(stimuli), *shape), np.nan)
    at = {name: place for names in (subjects, layers, times) for place, name in enumerate(names)}
    for row in rows:
        place = at[row["subject"]], at[row["layer"]], at[row["time"]]
        for control, column in _CURVES.items():
            curves[control][place] = _number(row[column])
        if stimuli and row["without"] is not None and len(row["without"]) == len(stimuli):
            without[(slice(None), *place)] = row["without"]
    return _Courses(
        layers=layers,
        subjects=subjects,
        times=np.array(times),
        curves=curves,
        stimuli=stimuli,
        without=without,
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _alike(found: _Courses, beside: _Courses | None) -> tuple[_Courses, _Courses] | None:
    """Both, of the subjects that have values in both; nothing where layers differ or none has."""
    if beside is None or beside.layers != found.layers:
        return None
    there = set(beside.having("none"))
    both = [name for name in found.having("none") if name in there]
    return (found.of(both), beside.of(both)) if both else None


def _lags(
    found: _Courses, beside: _Courses | None, reference: str | None
) -> Iterator[dict[str, Any]]:
    alike = _alike(found, beside)
    for control in _CURVES:
        lags = found.lags(control)
        rows = [
            _row(layer, control, each)
            for layer, each in zip(found.layers, lags.intervals(), strict=True)
        ]
        at, highest = peaks(found.mean(control), found.times)
        for row, time, r in zip(rows, at.tolist(), highest.tolist(), strict=True):
            row |= {"peak_time": time, "peak_r": r}
        if control == "none":
            for row, each in zip(rows, found.lags_of_stimuli().intervals(), strict=True):
                row |= {"stimuli_low": each.low, "stimuli_high": each.high}
            if alike is not None:
                other = alike[1].lags(control)
                between = adjusted_lags(alike[0].lags(control), other).intervals()
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
        n_subjects = len(found.having(control))
        yield _order(control, n_subjects, found.lags(control), of_stimuli)
    if (alike := _alike(found, beside)) is not None:
        mine, other = alike
        stimuli = sorted({*mine.stimuli, *other.stimuli})
        left_out = [each.lags_of_stimuli(stimuli) for each in alike]
        yield _order(
            "adjusted",
            len(mine.subjects),
            adjusted_lags(mine.lags("none"), other.lags("none")),
            adjusted_lags(*left_out) if all(len(each.without) for each in left_out) else None,
        )


def _order(control: str, n_subjects: int, lags: Lags, of_stimuli: Lags | None) -> dict[str, Any]:
    order = lag_order(lags)
    row = {
        "control": control,
        "n_layers": int((~np.isnan(lags.lags)).sum()),
        "n_subjects": n_subjects,
        "slope": order.slope.value,
        **_ends("", order.slope),
        "p": order.p,
    }
    if of_stimuli is not None:
        other: Order = lag_order(of_stimuli)
        row |= {**_ends("stimuli_", other.slope), "stimuli_p": other.p}
    return row
