"""Presentations in arrays whose rows are volumes: stretches of rows of one stimulus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError
from unitdb.responses.arrays_spec import ArrayPart, Volumes
from unitdb.responses.series import clean, normalised
from unitdb.responses.sets import Chosen, Found
from unitdb.responses.sets_spec import condition_of, time_name
from unitdb.responses.volumes import block_of, volume_at

__all__ = ["ShownRows", "by_run", "presentations", "runs_of"]

Rows = NDArray[np.intp]


class _Shown(NamedTuple):
    """A presentation: its first row and how many, the rows of its run, its place among ids."""

    first: int
    n: int
    start: int
    stop: int
    place: int


def runs_of(
    spec: Volumes, arrays: Mapping[str, NDArray[Any]], n_rows: int, *, where: str
) -> NDArray[np.intp]:
    """Number of the run, from 1, that each row is of; 0 for rows of none.

    Parameters
    ----------
    spec : Volumes
    arrays : mapping of str to array
        With that of the runs, if the spec names one.
    n_rows : int
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        The array does not tell runs whose rows follow each other.
    """
    if spec.runs is None:
        return np.ones(n_rows, dtype=np.intp)
    told, what = arrays[spec.runs], f"{where}: {spec.runs!r}"
    if told.dtype.kind not in "iuf" or not (np.asarray(told) == np.floor(told)).all():
        raise DatasetError(f"{what} holds {told.dtype}, expected numbers of runs or of rows")
    if told.size == n_rows and max(told.shape) == n_rows:
        runs: NDArray[np.intp] = told.ravel().astype(np.intp)
    else:
        # MATLAB's arrays may have a column a run; only one way to read them makes runs.
        pairs = [a.astype(int) for a in (told, told.T) if a.ndim == 2 and a.shape[1] == 2]
        ends = next((found for found in pairs if _are_runs(found, n_rows)), None)
        if ends is None:
            raise DatasetError(
                f"{what} has shape {told.shape}, expected a number a row, or first and last row "
                f"of each run, one after the other, of {n_rows} rows"
            )
        runs = np.zeros(n_rows, dtype=np.intp)
        for number, (first, last) in enumerate(ends.tolist(), 1):
            runs[first - 1 : last] = number
    for number in np.unique(runs[runs > 0]).tolist():
        rows = np.flatnonzero(runs == number)
        if len(rows) != rows[-1] - rows[0] + 1:
            raise DatasetError(f"{what}: the rows of run {number} do not follow each other")
    return runs


def _are_runs(ends: NDArray[np.int_], n_rows: int) -> bool:
    """Whether pairs of a first and a last row, from 1, are runs, one after the other."""
    if not len(ends):
        return False
    in_order = ends.ravel()
    return bool((np.diff(in_order) >= 0).all() and (np.diff(in_order)[1::2] > 0).all()) and (
        in_order[0] >= 1 and in_order[-1] <= n_rows
    )


def by_run(
    spec: Volumes, values: NDArray[np.float64], runs: Rows, *, where: str
) -> NDArray[np.float64]:
    """Time series without the trend of each run, normalised within it; rows of no run stay.

    Parameters
    ----------
    spec : Volumes
    values : array of shape (n_rows, n_voxels)
    runs : array of shape (n_rows,)
        By :func:`runs_of`.
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        A run that is too short for its trend, or of which nothing is a percentage.
    """
    if not spec.trend and spec.normalise is None:
        return values
    found = values.copy()
    for number in np.unique(runs[runs > 0]).tolist():
        rows = runs == number
        n = int(rows.sum())
        if spec.trend >= n - 1:
            raise DatasetError(
                f"{where}: run {number} has {n} volumes, of which a trend of degree {spec.trend} "
                "and the mean leave nothing"
            )
        try:
            series = clean(values[rows], np.empty((n, 0)), trend=spec.trend)
            found[rows] = normalised(series, spec.normalise)
        except DatasetError as cause:
            raise DatasetError(f"{where}: run {number}: {cause}") from cause
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownRows:
    """Rows that show a stimulus of a set.

    Parameters
    ----------
    name, part : str, ArrayPart
        The set.
    rows : array of shape (n_shown,)
        Ascending.
    ids : sequence of str, n_shown long
    targets : sequence of str, optional
        Where a column holds them.
    """

    name: str
    part: ArrayPart
    rows: Rows
    ids: Sequence[str]
    targets: Sequence[str] | None


def presentations(
    of: ShownRows,
    spec: Volumes,
    values: NDArray[np.float64],
    runs: Rows,
    chosen: Chosen,
    *,
    where: str,
) -> list[Found]:
    """Samples of the presentations of a set, and of each time of its windows that was chosen.

    Parameters
    ----------
    of : ShownRows
    spec : Volumes
    values : array of shape (n_rows, n_voxels)
        All volumes.
    runs : array of shape (n_rows,)
        By :func:`runs_of`.
    chosen : Chosen
    where : str
        The file, for messages.

    Raises
    ------
    DatasetError
        A stimulus is shown in no run, the response to one lies beyond its run, or nothing is shown.
    """
    name, part = of.name, of.part
    unknown = np.flatnonzero(runs[of.rows] < 1)
    if len(unknown):
        place = unknown[0]
        row, run = int(of.rows[place]), int(runs[of.rows[place]])
        raise DatasetError(
            f"{where}: {name}: row {row} shows {of.ids[place]!r} and is of no run ({run}); runs "
            "are counted from 1, and 0 is for rows that show nothing"
        )
    shown = list(_shown(of.rows, of.ids, runs))
    if not shown:
        raise DatasetError(f"{where}: {name}: no row of its runs shows a stimulus")
    seconds, found = spec.repetition_time, list[Found]()
    held_out = getattr(part, "hold_out", None) == "runs"

    def add(blocks: Sequence[tuple[_Shown, slice]], time: float | None) -> None:
        places = [one.place for one, _ in blocks]
        found.append(
            Found(
                name=name,
                part=part,
                values=np.stack([values[block].mean(axis=0) for _, block in blocks]),
                ids=[of.ids[place] for place in places],
                targets=None if of.targets is None else [of.targets[place] for place in places],
                time=time,
                runs=np.array([runs[one.first] for one, _ in blocks]) if held_out else None,
            )
        )

    windows = getattr(part, "windows", None)
    if chosen.takes_set(name, part):
        add([(one, _block(one, spec, of.ids[one.place], where)) for one in shown], None)
    for time in () if windows is None else windows.times(seconds):
        if chosen.takes(time_name(condition_of(name, part), time)):
            at = [(one, one.first + volume_at(time, seconds)) for one in shown]
            inside = [(o, slice(row, row + 1)) for o, row in at if o.start <= row < o.stop]
            if not inside:
                raise DatasetError(f"{where}: {name}: no run has volumes at {time:g} s")
            add(inside, time)
    return found


def _block(one: _Shown, spec: Volumes, name: str, where: str) -> slice:
    """Rows of the response to a presentation."""
    seconds = spec.repetition_time
    onset = (one.first - one.start) * seconds
    block = block_of(onset + spec.shift, one.n * seconds, seconds)
    first, stop = one.start + block.start, one.start + block.stop
    if block.start < 0 or stop > one.stop:
        raise DatasetError(
            f"{where}: the presentation of {name!r} from row {one.first} on needs the rows {first} "
            f"to {stop - 1} (shift: {spec.shift:g} s); its run has {one.start} to {one.stop - 1}"
        )
    return slice(first, stop)


def _shown(rows: Rows, ids: Sequence[str], runs: Rows) -> Iterator[_Shown]:
    """Stretches of rows that follow each other in a run and show one stimulus."""
    place = 0
    while place < len(rows):
        stop = place + 1
        first, run = int(rows[place]), int(runs[rows[place]])
        while (
            stop < len(rows)
            and rows[stop] == rows[stop - 1] + 1
            and ids[stop] == ids[place]
            and runs[rows[stop]] == run
        ):
            stop += 1
        of_run = np.flatnonzero(runs == run)
        yield _Shown(first, stop - place, int(of_run[0]), int(of_run[-1]) + 1, place)
        place = stop
