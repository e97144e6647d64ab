"""Tables of a run in a BIDS dataset: events that show a stimulus, and confounds.

Events are taken by ``keep``, those without a stimulus (``n/a``) are left out, and the rest stands
in the order of its onsets. A trial often shows its stimulus in several rows (cue, imagery,
evaluation): which of them are presentations is for ``keep`` to say
(:mod:`unitdb.responses.bids_trials`). With ``repeats: drop`` a
presentation of the stimulus that was shown just before it, in the same run, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError, closest
from unitdb.resolution import is_constant
from unitdb.responses.bids_spec import BidsPart
from unitdb.responses.bids_trials import check_presentations
from unitdb.responses.naming import Numbered, file_id, stimulus_id
from unitdb.specs import as_id
from unitdb.texts import Table, fits, is_missing, number, read_table

__all__ = ["Event", "check_kept", "read_confounds", "read_events"]

Floats = NDArray[np.float64]

_LISTED = 5
_HUGE = 1e15  # neighbouring floats are then an eighth apart: no time and no number of a picture


@dataclass(frozen=True, kw_only=True)
class Event:
    """A presentation: onset and duration in seconds, and the line that it stands in.

    ``target`` is the stimulus that is decoded from it, where a column tells it; ``certain`` is 1 or
    0 where the subject was asked and answered.
    """

    onset: float
    duration: float
    stimulus: str
    line: int
    target: str | None = None
    certain: float = math.nan


def read_events(
    path: Path, part: BidsPart, names: Mapping[float, str] | None = None
) -> list[Event]:
    """Events that show a stimulus, in the order of their onsets.

    Parameters
    ----------
    path : Path
        An ``_events.tsv``.
    part : BidsPart
        Which events are taken, and how stimuli are named.
    names : mapping of float to str, optional
        Ids by number, where ``part.names`` gives them.

    Raises
    ------
    DatasetError
        A row cannot be read, two rows are at one time or in one trial and the spec does not say
        which of them counts, or no row shows a stimulus; names the lines.
    """
    table = _table(path, part)
    numbered = part.pattern is not None or names is not None
    by = Numbered(pattern=part.pattern or "", names=names) if numbered else None
    shown = [
        (_event(row, part, by, f"{path}: line {line}", line), row)
        for line, row in table.rows
        if _is_presentation(row, part)
    ]
    if not shown:
        kept = ", ".join(f"{key}: {values}" for key, values in part.keep.items())
        raise DatasetError(f"{path}: no event names a stimulus ({kept or part.stimulus})")
    shown.sort(key=lambda pair: pair[0].onset)
    check_presentations(path, shown, stimulus=part.stimulus, keep=part.keep)
    events = [event for event, _ in shown]
    return list(_without_repeats(events)) if part.repeats == "drop" else events


def check_kept(paths: Sequence[Path], part: BidsPart) -> None:
    """See that each value of ``keep`` is that of a presentation in one of the runs of a part.

    A value that is not, such as a misspelt one, would keep nothing, and nobody would see it.

    Raises
    ------
    DatasetError
        Names the value, and the nearest that its column has.
    """
    tables = [_table(path, part) for path in paths] if part.keep else []
    rows = [row for table in tables for _, row in table.rows]
    for column, values in part.keep.items():
        kept = {row[column] for row in rows if _is_presentation(row, part)}
        there = sorted({row[column] for row in rows})
        for value in values:
            if not any(_is_one_of(cell, [value]) for cell in kept):
                near = closest(value, there) or there[:_LISTED]
                why = (
                    "its events name no stimulus, or `keep` leaves them out by other columns"
                    if any(_is_one_of(cell, [value]) for cell in there)
                    else f"there are: {', '.join(map(repr, near)) or 'no events'}"
                )
                raise DatasetError(
                    f"{paths[0]}: keep: {column} is {value!r} in no presentation of this run or of "
                    f"the {len(paths) - 1} others; {why}"
                )


def read_confounds(path: Path, columns: Sequence[str], n_volumes: int) -> Floats:
    """Confounds of a run; where the first row has no value, as of derivatives, that of the second.

    So does :func:`nilearn.interfaces.fmriprep.load_confounds`.

    Parameters
    ----------
    path : Path
        A ``_timeseries.tsv`` of fMRIPrep, or another table with a row a volume.
    columns : sequence of str
        Which of its columns.
    n_volumes : int
        Volumes of the run.

    Returns
    -------
    array of shape (n_volumes, n_columns)

    Raises
    ------
    DatasetError
        A column is missing, without numbers or varies by rounding alone
        (:func:`unitdb.resolution.is_constant`), a value is missing elsewhere, or rows are not as
        many as volumes.
    """
    table = read_table(path, error=DatasetError)
    for column in columns:
        table.check_column(column)
    if len(table.rows) != n_volumes:
        raise DatasetError(f"{path}: has {len(table.rows)} rows, the run has {n_volumes} volumes")
    found = [_confound(table, column) for column in columns]
    return np.array(found, dtype=np.float64).reshape(len(columns), n_volumes).T


def _table(path: Path, part: BidsPart) -> Table:
    table = read_table(path, error=DatasetError)
    answers = getattr(part, "certain", None)
    if table.rows:
        asked = (getattr(part, "target_column", None), getattr(answers, "column", None))
        named = (part.stimulus, *(column for column in asked if column is not None))
        for column in ("onset", "duration", *named, *part.keep, *part.drop):
            table.check_column(column)
    return table


def _is_presentation(row: Mapping[str, str], part: BidsPart) -> bool:
    kept = all(_is_one_of(row[key], values) for key, values in part.keep.items())
    dropped = any(_is_one_of(row[key], values) for key, values in part.drop.items())
    return kept and not dropped and not is_missing(row[part.stimulus])


def _confound(table: Table, column: str) -> list[float]:
    cells = [(line, row[column]) for line, row in table.rows]
    if not any(number(cell) is not None for _, cell in cells):
        raise DatasetError(f"{table.path}: the column {column!r} holds no numbers")
    if len(cells) > 1 and is_missing(cells[0][1]):
        cells[0] = cells[1]
    found = [_number(cell, column, f"{table.path}: line {line}") for line, cell in cells]
    low, high = min(found), max(found)
    # A constant takes nothing away; what it rounds by, standardised, would be a regressor.
    if low < high and is_constant(np.array(found)):
        raise DatasetError(
            f"{table.path}: the column {column!r} varies by rounding alone, from {low!r} to "
            f"{high!r}; leave it out of `regress`, or take its mean away"
        )
    return found


def _number(cell: str, column: str, where: str, *, least: float = -_HUGE) -> float:
    value = number(cell)
    if value is None or not least <= value <= _HUGE:
        wanted = "a number" if least < 0 else f"a number from {least:g} on"
        raise DatasetError(f"{where}: {column} is {cell!r}, expected {wanted}")
    return value


def _is_one_of(cell: str, values: Sequence[str]) -> bool:
    """Whether a cell is one of some values, in which ``*`` stands for anything."""
    return any(cell == value or fits(cell, value) for value in values)


def _event(
    row: Mapping[str, str],
    part: BidsPart,
    by: Numbered | None,
    where: str,
    line: int,
) -> Event:
    target = getattr(part, "target_column", None)
    if target is not None and is_missing(row[target]):
        raise DatasetError(f"{where}: {target} is {row[target]!r}, expected the target")
    return Event(
        onset=_number(row["onset"], "onset", where),
        duration=_number(row["duration"], "duration", where, least=0),
        stimulus=_stimulus(row, part.stimulus, part, by, where),
        line=line,
        target=None if target is None else _stimulus(row, target, part, by, where),
        certain=_certain(row, part),
    )


def _certain(row: Mapping[str, str], part: BidsPart) -> float:
    """1 where the answer says that the subject was certain, 0 where not; else NaN."""
    asked = getattr(part, "certain", None)
    if asked is None:
        return math.nan
    cell = row[asked.column]
    return 1.0 if cell in asked.certain else 0.0 if cell in asked.uncertain else math.nan


def _stimulus(
    row: Mapping[str, str], column: str, part: BidsPart, by: Numbered | None, where: str
) -> str:
    cell = row[column]
    if by is None:
        return part.prefix + (file_id(cell) if column == "stim_file" else as_id(cell))
    value = _number(cell, column, where)
    return part.prefix + stimulus_id(value, by, where=f"{where}: {column!r}")


def _without_repeats(events: Sequence[Event]) -> Iterator[Event]:
    before = None
    for event in events:
        if event.stimulus != before:
            yield event
        before = event.stimulus
