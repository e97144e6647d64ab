"""Whether rows of events that follow each other with one stimulus are presentations of their own.

A trial often stands in several rows of one stimulus (cue, imagery, evaluation), and only ``keep``
can say which of them is a presentation. A one-back repetition stands in two rows that both are.
Names of columns tell them apart where they are known; otherwise the table does. A *stretch* is all
rows of one stimulus with no other between. Rows of a stretch are parts of a trial where

- they differ in ``event_type`` or ``trial_type``, or have one trial: a column of a name such as
  ``trial_no``, or whole numbers that never fall and are others for each stretch;
- they follow each other without a pause, or most stretches of the run have several rows, and they
  differ in a column of words that other stimuli have too: ``phase``, say;
- more than half of the stretches of the run have the same row of values in a column, and these
  differ: 1, 2, 3, say;
- in more than half of the stretches one row is half as long again as another, or longer.

Repetitions are few, and equal but for what was answered. Values that ``keep`` names are settled.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from unitdb.errors import DatasetError
from unitdb.texts import is_missing, number

if TYPE_CHECKING:
    from unitdb.responses.bids_events import Event

__all__ = ["check_presentations"]

Shown: TypeAlias = "tuple[Event, Mapping[str, str]]"
Keep: TypeAlias = Mapping[str, Sequence[str]]

_KINDS = ("event_type", "trial_type")
_TRIAL = re.compile(
    r"trials?([ _.-]?(no|nr|n|num|number|idx|index|id|count|this(n|index|trialn)))?", re.IGNORECASE
)
_ANSWERS = ("true", "false", "yes", "no")
_NO_PAUSE = 0.5  # s
_LONGER = 1.5


def check_presentations(path: Path, shown: Sequence[Shown], *, stimulus: str, keep: Keep) -> None:
    """See that no two rows of a run are of one time, or of one trial and one stimulus.

    Parameters
    ----------
    path : Path
        Table of events, for messages.
    shown : sequence of (Event, mapping of str to str)
        Its presentations in the order of onsets, each with its row.
    stimulus : str
        Column that names the stimulus.
    keep : mapping of str to sequence of str
        Values that dataset.yaml names, by columns.

    Raises
    ------
    DatasetError
        Names the lines, and what ``keep`` could say.
    """
    for (first, _), (second, _) in pairwise(shown):
        if first.onset == second.onset:
            raise DatasetError(
                f"{path}: lines {first.line} and {second.line} both show a stimulus at "
                f"{first.onset:g} s ({first.stimulus}, {second.stimulus}); choose one with `keep`"
            )
    stretches = [list(rows) for _, rows in groupby(shown, lambda pair: pair[0].stimulus)]
    most = 2 * sum(len(rows) > 1 for rows in stretches) > len(stretches)
    columns = [name for name in shown[0][1] if name not in ("", "onset", "duration", stimulus)]
    for column in sorted(columns, key=lambda name: name not in _KINDS):
        for one, other in _parts(column, stretches, most=most):
            if column not in keep:  # what it names are presentations
                how = f"as {column} {one[1][column]!r} and {other[1][column]!r}"
                _refuse(path, one, other, how, column)
    if not set(_KINDS) & set(keep):
        for column in (name for name in columns if name not in keep):
            if _TRIAL.fullmatch(column) or (most and _counts(column, stretches)):
                _check_trials(path, shown, column, keep)
    _check_durations(path, stretches, keep)


def _parts(
    column: str, stretches: Sequence[Sequence[Shown]], *, most: bool
) -> Iterator[tuple[Shown, Shown]]:
    """Pairs of rows that follow each other and are parts of a trial, by their values in a column.

    ``most``: whether most stretches have several rows.
    """
    if column in _KINDS:
        pairs = (pair for rows in stretches for pair in pairwise(rows))
        yield from ((one, other) for one, other in pairs if one[1][column] != other[1][column])
    elif not _TRIAL.fullmatch(column):
        yield from _of_words(column, stretches, most=most)
        yield from _alike(column, stretches)


def _refuse(path: Path, one: Shown, other: Shown, how: str, column: str) -> NoReturn:
    raise DatasetError(
        f"{path}: lines {one[0].line} and {other[0].line} show {one[0].stimulus!r} one after the "
        f"other {how}; say with `keep` which are presentations, as in "
        f"`keep: {{{column}: [{other[1][column]}]}}`; all values that it names are"
    )


def _of_words(
    column: str, stretches: Sequence[Sequence[Shown]], *, most: bool
) -> Iterator[tuple[Shown, Shown]]:
    """Pairs of rows that differ in a word which does not go with their stimulus alone."""
    stimuli: dict[str, set[str]] = {}
    for rows in stretches:
        for event, row in rows:
            stimuli.setdefault(row[column], set()).add(event.stimulus)
    only = len(set().union(*stimuli.values())) == 1
    for (one, row), (other, next_row) in (pair for rows in stretches for pair in pairwise(rows)):
        words = {row[column], next_row[column]}
        shared = only or any(len(stimuli[word]) > 1 for word in words)
        close = most or other.onset - one.onset - one.duration < _NO_PAUSE
        if len(words) == 2 and all(map(_is_word, words)) and shared and close:
            yield (one, row), (other, next_row)


def _is_word(cell: str) -> bool:
    return not is_missing(cell) and number(cell) is None and cell.lower() not in _ANSWERS


def _alike(column: str, stretches: Sequence[Sequence[Shown]]) -> Iterator[tuple[Shown, Shown]]:
    """Pairs of rows that differ in stretches whose values more than half of all stretches have."""
    values = [tuple(row[column] for _, row in rows) for rows in stretches]
    [(usual, times)] = Counter(values).most_common(1)
    if len(set(usual)) > 1 and times > 1 and 2 * times > len(stretches):
        rows = stretches[values.index(usual)]
        yield from ((a, b) for a, b in pairwise(rows) if a[1][column] != b[1][column])


def _counts(column: str, stretches: Sequence[Sequence[Shown]]) -> bool:
    """Whether a column counts stretches: whole numbers, never falling, others for each."""
    found = [[number(row[column]) for _, row in rows] for rows in stretches]
    counts = [value for values in found for value in values if value is not None and value % 1 == 0]
    return (
        len(counts) == sum(map(len, found))
        and len(stretches) > 1
        and all(one <= other for one, other in pairwise(counts))
        and all(one[-1] != other[0] for one, other in pairwise(found))
    )


def _check_trials(path: Path, shown: Sequence[Shown], column: str, keep: Keep) -> None:
    """See that no trial shows a stimulus twice; trials may be counted anew in each block."""
    trial, lines = None, dict[tuple[str, ...], int]()
    for event, row in shown:
        if row[column] != trial or is_missing(row[column]):
            trial, lines = row[column], {}
        kept = (event.stimulus, *(row[name] for name in keep))
        before = lines.setdefault(kept, event.line)
        if before != event.line:
            raise DatasetError(
                f"{path}: lines {before} and {event.line} show {event.stimulus!r} in one trial "
                f"({column} {trial}); say with `keep` which of them are presentations, or, if all "
                f"are, `keep: {{{column}: ['*']}}`"
            )


def _check_durations(path: Path, stretches: Sequence[Sequence[Shown]], keep: Keep) -> None:
    uneven = [pairs[0] for rows in stretches if (pairs := _uneven(rows, keep))]
    if len(uneven) > 1 and 2 * len(uneven) > len(stretches):
        one, other = uneven[0]
        how = f"for {one[0].duration:g} s and {other[0].duration:g} s"
        _refuse(path, one, other, how, "duration")


def _uneven(rows: Sequence[Shown], keep: Keep) -> list[tuple[Shown, Shown]]:
    """Pairs of rows of which one is much longer; not those that ``keep`` tells apart."""
    return [
        (one, other)
        for one, other in pairwise(rows)
        if _LONGER * min(one[0].duration, other[0].duration)
        < max(one[0].duration, other[0].duration)
        and all(one[1][name] == other[1][name] for name in keep)
    ]
