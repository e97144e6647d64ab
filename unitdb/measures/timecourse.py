"""Tables ``timecourse``, ``lag`` and ``lag_order``: what is decoded when, where a recipe asks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.analysis import CoursePoint, course_point, jackknife_interval, matched_curves
from unitdb.measures.decoded import Decoded
from unitdb.measures.lags import lag_rows
from unitdb.measures.patterns import load_predictions, training_scale, truth_path, write_truths
from unitdb.measures.protocol import Measure, Release
from unitdb.predictions import Arranged, Block, load_arranged, resolution_of_layer, true_rows
from unitdb.recipes import scope_of
from unitdb.resolution import flattened
from unitdb.schema import get_table
from unitdb.sealed import is_sealed, read_npy, read_text, write_text
from unitdb.tables import Rows, partition_keys, table_of

__all__ = ["CourseStep", "Timecourse"]

_TOLERANCE = 1e-9

_SHUFFLE = 5
"""Second number of the seed of the permutation that exchanges targets, which all steps share."""


class Timecourse(Measure):
    """Accuracy, pattern correlation and identification at each time of a window; lags of layers."""

    name = "time course"
    tables = ("timecourse", "lag", "lag_order")

    def steps(self, decoded: Decoded) -> Sequence[CourseStep]:
        """One for each layer, ROI and subject of a test set: all its times."""
        job = decoded.job
        found = []
        for condition, times in job.dataset.times.items():
            sets = {time: decoded.of_times[name] for name, time in times.items()}
            subjects = job.dataset.subjects
            targets = {
                name: [subject.targets(name).tolist() for subject in subjects] for name in times
            }
            known = sorted({one for of_time in targets.values() for of in of_time for one in of})
            first = next(iter(sets.values()))
            found += [
                CourseStep(
                    condition=condition,
                    layer=layer,
                    place=place,
                    blocks={time: of_set[layer, place] for time, of_set in sets.items()},
                    own={
                        time: np.searchsorted(known, targets[name][place[1]])
                        for name, time in times.items()
                    },
                    targets=tuple(known),
                    seed=job.recipe.seed,
                )
                for layer, place in first
            ]
        return found

    def prepare(self, decoded: Decoded, steps: Sequence[CourseStep]) -> None:
        """Write the true activations of the layers' patterns."""
        write_truths(decoded, [next(iter(step.blocks.values())) for step in steps])

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> pa.Table | None:
        """All rows at once; none where the recipe does not ask."""
        if decoded[0].job.recipe.timecourse is None:
            return None
        rows = [row for of_job in decoded for row in self._course(of_job)]
        if table == "timecourse":
            return table_of(table, rows)
        asked = decoded[0].job.recipe.timecourse
        layers = {of.job.model.spec.name: [x.name for x in of.job.model.layers] for of in decoded}
        by = asked.adjust_by
        adjusted = {
            (of.job.dataset.spec.name, name): by
            for of in decoded
            for name in (asked.test, *asked.also)
            if by is not None
        }
        lags, orders = lag_rows(rows, layers, adjusted)
        return table_of(table, lags if table == "lag" else orders)

    def _course(self, decoded: Decoded) -> Rows:
        rows: Rows = []
        steps = self.steps(decoded)
        for condition in decoded.job.dataset.times:
            scope = scope_of(decoded.job, condition)
            of_set = [step for step in steps if step.condition == condition]
            read = [(step, json.loads(read_text(step.target))) for step in of_set]
            matched = _matched(read, [layer.name for layer in decoded.job.model.layers])
            for step, times in read:
                roi, subject = step.place
                for time, values in times.items():
                    noisy = matched[step.layer, step.place, time]
                    keys = partition_keys(scope, step.layer)
                    keys |= {"roi": scope.rois[roi], "subject": scope.subjects[subject]}
                    known = {name: value for name, value in values.items() if name != "noisy"}
                    without = None if known["without"] is None else step.targets
                    rows.append(
                        keys | {"time": float(time), "matched_r": noisy, "stimuli": without} | known
                    )
        return rows

    def check(self, release: Release) -> Iterable[str]:
        """Intervals of mean_r from `without`, and all of `lag` and `lag_order` computed again."""
        if "timecourse" not in release:
            return
        course = release["timecourse"].to_pylist()
        for row in course:
            yield from _wrong_without(row)
        by_depth = sorted(release["layers"].to_pylist(), key=lambda row: row["depth"])
        layers: dict[str, list[str]] = {}
        for row in by_depth:
            layers.setdefault(row["model"], []).append(row["layer"])
        adjusted = {
            (row["dataset"], row["condition"]): row["adjusted_by"]
            for row in release["lag"].to_pylist()
            if row["adjusted_by"] is not None
        }
        made = lag_rows(course, layers, adjusted)
        for name, rows in zip(("lag", "lag_order"), made, strict=True):
            yield from _differences(name, table_of(name, rows), release[name])


@dataclass(frozen=True, kw_only=True, eq=False)
class CourseStep:
    """All times of a layer, an ROI and a subject.

    Parameters
    ----------
    condition : str
        The test set that has windows.
    layer : str
    place : tuple of int
        Positions of ROI and subject.
    blocks : mapping of float to tuple of Block
        Of the test set of each time, done.
    own : mapping of float to array of int
        Target of each sample of each time, counted in the order of the ids of all.
    targets : tuple of str
        Ids of all, ascending.
    seed : int
        Of the recipe.
    """

    condition: str
    layer: str
    place: tuple[int, int]
    blocks: Mapping[float, tuple[Block, ...]]
    own: Mapping[float, NDArray[np.intp]]
    targets: tuple[str, ...]
    seed: int

    @property
    def target(self) -> Path:
        """JSON file: columns of ``timecourse`` by time, and accuracies with noise added."""
        first = next(iter(self.blocks.values()))[0]
        roi, subject = self.place
        name = f"{subject:03d}-{roi:03d}.json"
        return first.folder / "time course" / self.condition / self.layer / name

    def is_done(self) -> bool:
        """Whether the file is there, as it was written."""
        return is_sealed(self.target)

    def run(self) -> None:
        """Hold each time's predictions against what they are of, and write what comes of it."""
        with threadpool_limits(1):
            found = {str(time): _columns(point) for time, point in self._points()}
        write_text(self.target, json.dumps(found))

    def _points(self) -> Iterator[tuple[float, CoursePoint]]:
        first = next(iter(self.blocks.values()))
        arranged = _arranged(first[0].responses)
        resolution = resolution_of_layer(first[0])
        stored = read_npy(truth_path(first))
        truth = true_rows(stored, arranged).astype(np.float64)
        rows = np.full(len(self.targets), -1)
        for time, blocks in self.blocks.items():
            rows[self.own[time]] = arranged.rows[0, arranged.held_out(blocks[0].test)]
        targets = np.where(rows[:, None] < 0, np.nan, truth[rows])
        train = np.unique(np.concatenate([train for train, _ in arranged.splits]))
        mean, sd = training_scale(truth[arranged.rows[0, train]], resolution)
        had = np.flatnonzero(rows >= 0)
        shuffled = np.arange(len(rows))
        shuffled[had] = had[_exchange(len(had), self.seed)]
        for number, (time, blocks) in enumerate(self.blocks.items()):
            own = self.own[time]
            present = np.unique(own)
            flat = targets.copy()
            flat[present] = flattened(targets[present], resolution=resolution)
            yield (
                time,
                course_point(
                    load_predictions(blocks)[0],
                    flat,
                    own,
                    mean=mean,
                    sd=sd,
                    shuffled=shuffled,
                    seed=[self.seed, 1 + number, *self.place],
                ),
            )


@lru_cache(maxsize=2)
def _arranged(path: Path) -> Arranged:
    """Arrangement of a subject's samples, which all layers and ROIs share."""
    return load_arranged(path)


def _exchange(n: int, seed: int) -> NDArray[np.intp]:
    """A random permutation that leaves nothing in its place (a derangement): one in e does."""
    rng = np.random.Generator(np.random.PCG64([seed, _SHUFFLE]))
    while True:
        found = rng.permutation(n)
        if n < 2 or (found != np.arange(n)).all():
            return found


def _columns(point: CoursePoint) -> dict[str, Any]:
    known = bool(np.isfinite(point.r_without).all())
    return {
        "n_samples": point.n_samples,
        "n_stimuli": point.n_targets,
        "n_units": point.n_units,
        "mean_r": point.r.value,
        "r_low": point.r.low,
        "r_high": point.r.high,
        "p": point.p,
        "shuffled_r": point.r_shuffled,
        "pattern_r": point.pattern.value,
        "pattern_low": point.pattern.low,
        "pattern_high": point.pattern.high,
        "pattern_chance": point.pattern_chance,
        "identification": point.identification.value,
        "identification_low": point.identification.low,
        "identification_high": point.identification.high,
        "chance": point.identification_chance,
        "without": point.r_without.tolist() if known else None,
        "noisy": point.r_noisy.tolist(),
    }


_Read = Sequence[tuple[CourseStep, Mapping[str, Mapping[str, Any]]]]


def _matched(read: _Read, layers: Sequence[str]) -> dict[tuple[str, tuple[int, int], str], float]:
    """Accuracies with noise that brings all layers of an ROI to peaks of one height."""
    found: dict[tuple[str, tuple[int, int], str], float] = {}
    for roi in {step.place[0] for step, _ in read}:
        of_roi = {
            (step.place[1], step.layer): times for step, times in read if step.place[0] == roi
        }
        subjects = sorted({subject for subject, _ in of_roi})
        times = list(next(iter(of_roi.values())))
        noisy = [
            [[of_roi[subject, layer][time]["noisy"] for time in times] for layer in layers]
            for subject in subjects
        ]
        matched = matched_curves(np.array(noisy, dtype=np.float64))
        for (i, j, k), value in np.ndenumerate(matched):
            found[layers[j], (roi, subjects[i]), times[k]] = float(value)
    return found


def _wrong_without(row: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing that `without` and what is made of it do not have in common."""
    where = f"timecourse: {'/'.join(str(row[key]) for key in get_table('timecourse').primary_key)}"
    without, stimuli, r = row["without"], row["stimuli"], row["mean_r"]
    ends = {name: row[name] for name in ("r_low", "r_high")}
    if without is None:  # without one of them nothing varies: there is no interval either
        known = {
            name: value
            for name, value in (ends | {"stimuli": stimuli}).items()
            if value is not None
        }
        for name, value in known.items():
            yield f"{where}: {name} is {value}, where `without` is NULL"
        return
    if r is None or stimuli is None:
        yield f"{where}: {'mean_r' if r is None else 'stimuli'} is NULL, where `without` is not"
        return
    n_absent = len(without) - row["n_stimuli"]
    if len(stimuli) != len(without) or n_absent < 0:
        yield (
            f"{where}: `without` has {len(without)} values of {len(stimuli)} stimuli, "
            f"n_stimuli is {row['n_stimuli']}"
        )
        return
    if len(set(stimuli)) < len(stimuli):
        yield f"{where}: a stimulus is twice in `stimuli`"
    # A stimulus without a volume at this time changes nothing where it is left out.
    values = np.array(without, dtype=np.float64)
    order = np.argsort(np.abs(values - r), kind="stable")
    absent, present = values[order[:n_absent]], values[order[n_absent:]]
    if not np.allclose(absent, r, rtol=0, atol=_TOLERANCE):
        yield f"{where}: `without` changes for more stimuli than n_stimuli, {row['n_stimuli']}"
        return
    expected = jackknife_interval(r, present)
    for name, value in (("r_low", expected.low), ("r_high", expected.high)):
        if ends[name] is None or not np.isclose(ends[name], value, rtol=0, atol=_TOLERANCE):
            yield f"{where}: {name} is {ends[name]}; `without` gives {value:.6g}"


def _differences(name: str, made: pa.Table, found: pa.Table) -> Iterator[str]:
    """A sentence for each row of a release that is not as it is made of the time course."""
    keys = get_table(name).primary_key
    expected, given = (
        {tuple(row[key] for key in keys): row for row in table.to_pylist()}
        for table in (made, found)
    )
    for place in sorted(expected.keys() ^ given.keys()):
        what = "is missing" if place in expected else "follows from no row of timecourse"
        yield f"{name}: {'/'.join(place)}: {what}"
    for place, row in expected.items():
        for column, value in row.items():
            has = given.get(place, row)[column]
            both = isinstance(value, float) and isinstance(has, float)
            if not (np.isclose(has, value, rtol=0, atol=_TOLERANCE) if both else has == value):
                yield f"{name}: {'/'.join(place)}: {column} is {has}; timecourse gives {value}"
