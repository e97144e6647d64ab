"""From the samples that a reader finds of each set of dataset.yaml to responses and targets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError, UnknownConditionError, closest
from unitdb.responses.sets_spec import (
    CROSS_VALIDATION,
    TRAIN,
    HasSets,
    HeldOutSpec,
    OtherTargets,
    TestSpec,
    condition_of,
    named_parts,
    time_name,
)
from unitdb.responses.spec import DatasetSpec
from unitdb.responses.types import Responses, TestSet
from unitdb.specs import as_id
from unitdb.texts import fits, read_rows

__all__ = ["Chosen", "Found", "assemble", "check_chosen", "check_rows_apart", "read_pairs"]

_LISTED = 5


class Chosen:
    """Which test sets are read.

    Parameters
    ----------
    spec : HasSets
        Of the responses.
    tests : collection of str, optional
        Names, ``*`` for anything; by default every set but the single times of windows.
    where : str
        The dataset, for messages.

    Raises
    ------
    UnknownConditionError
        A name that the spec cannot give; says which are near.
    """

    def __init__(self, spec: HasSets, tests: Collection[str] | None, *, where: str) -> None:
        self._asked = None if tests is None else tuple(tests)
        self._where = where
        self._known = list(spec.tests)
        held_out = spec.cross_validation
        self._held_out = [] if held_out is None else [held_out.condition]
        for asked in self._asked or ():
            base = asked.partition("@")[0]
            if not any(fits(name, base) for name in [*self._known, *self._held_out]):
                self._refuse(asked, [])
        self.parts = [
            (name, part)
            for name, part in named_parts(spec)
            if name in (TRAIN, CROSS_VALIDATION) or self.takes(name) or self.takes_times(name, part)
        ]

    def takes(self, name: str) -> bool:
        """Whether a test set is read."""
        if self._asked is None:
            return "@" not in name
        return any(fits(name, asked) for asked in self._asked)

    def takes_times(self, name: str, part: Any) -> bool:
        """Whether any time of the windows of a test set may be read."""
        if self._asked is None or getattr(part, "windows", None) is None:
            return False
        name = condition_of(name, part)
        return any("@" in asked and fits(name, asked.partition("@")[0]) for asked in self._asked)

    def takes_set(self, name: str, part: Any) -> bool:
        """Whether a set itself is read, and not times of its windows alone."""
        trains = name in (TRAIN, CROSS_VALIDATION)
        return trains or getattr(part, "windows", None) is None or self.takes(name)

    def check(self, found: Collection[str], *, near: Collection[str] = ()) -> None:
        """Raise UnknownConditionError where a test set that was asked for is not among those.

        Parameters
        ----------
        found : collection of str
            What was read.
        near : collection of str
            Names that there are besides, for the message.
        """
        for asked in self._asked or ():
            if not any(fits(name, asked) for name in [*found, *self._held_out]):
                self._refuse(asked, [*found, *near])

    def _refuse(self, asked: str, found: Collection[str]) -> None:
        known = list(dict.fromkeys([*self._known, *found]))
        known = [name for name in known if name not in (TRAIN, CROSS_VALIDATION)]
        known += self._held_out
        raise UnknownConditionError(asked, known, where=f"the test sets of dataset {self._where!r}")


def check_chosen(known: Sequence[str], tests: Collection[str] | None, *, where: str) -> None:
    """See that each test set that is asked for is known.

    Raises
    ------
    UnknownConditionError
        One is not; names the nearest.
    """
    for asked in tests or ():
        if not any(fits(name, asked) for name in known):
            raise UnknownConditionError(asked, known, where=f"dataset {where!r}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Samples of a training or test set.

    Parameters
    ----------
    name : str
        ``train``, ``cross-validation``, or the name of a test set in dataset.yaml.
    part : Spec
        What dataset.yaml says of it.
    values : array of shape (n_samples, n_voxels)
    ids : sequence of str, n_samples long
        Stimuli.
    targets : sequence of str, optional
        Where a column holds them.
    time : float, optional
        Of the window that the samples are of, in seconds.
    runs : array of shape (n_samples,), optional
        Numbers of their runs, where runs are held out.
    certain : sequence of float, optional
        1 where the subject was certain, 0 where not, NaN where nothing is known.
    """

    name: str
    part: Any
    values: NDArray[np.floating]
    ids: Sequence[str]
    targets: Sequence[str] | None = None
    time: float | None = None
    runs: NDArray[np.intp] | None = None
    certain: Sequence[float] | None = None

    @property
    def split(self) -> str:
        """Name of the set, with its time."""
        if self.time is None:
            return self.name
        return time_name(condition_of(self.name, self.part), self.time)


def check_rows_apart(taken: Sequence[tuple[str, str, NDArray[np.intp]]]) -> None:
    """See that no row of an array or file trains and is tested, whatever it shows.

    Parameters
    ----------
    taken : sequence of (str, str, array of int)
        Name of each set, where its samples stand, and which rows of it they are.

    Raises
    ------
    DatasetError
        Names the place and the row.
    """
    trained = {place: rows for name, place, rows in taken if name == TRAIN}
    for name, place, rows in taken:
        if name == TRAIN or place not in trained:
            continue
        both = np.intersect1d(rows, trained[place])
        if len(both):
            raise DatasetError(
                f"{place}: row {both[0]} and {len(both) - 1} others are of train and of {name}: "
                "say with `rows` which are of one alone (`seen_in_training` is about stimuli)"
            )


def assemble(
    dataset: DatasetSpec,
    subject: str,
    found: Sequence[Found],
    rois: Mapping[str, NDArray[np.bool_]],
    *,
    data: Path,
) -> Responses:
    """Responses of a subject from the samples of each set, with the targets of each sample.

    Parameters
    ----------
    dataset : DatasetSpec
    subject : str
    found : sequence of Found
        Training samples first.
    rois : mapping of str to array of shape (n_voxels,), bool
    data : Path
        Data folder, which tables of targets are in.

    Raises
    ------
    DatasetError
        A stimulus without target.
    ResponsesError
        Responses that contradict themselves.
    """
    held_out = [each.part.condition for each in found if each.name == CROSS_VALIDATION]
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=found[0].values if len(found) == 1 else np.concatenate([e.values for e in found]),
        stimulus_ids=np.array([name for each in found for name in each.ids], dtype=np.str_),
        target_ids=np.array(
            [name for each in found for name in _targets(each, data)], dtype=np.str_
        ),
        split=np.array([each.split for each in found for _ in each.ids], dtype=np.str_),
        rois=rois,
        condition=held_out[0] if held_out else "perception",
        tests={
            each.split: _test_set(each.part, each.time)
            for each in found
            if each.name not in (TRAIN, CROSS_VALIDATION) or each.time is not None
        },
        average=all(each.part.average for each in found if each.name == CROSS_VALIDATION),
        runs=np.concatenate([each.runs for each in found if each.runs is not None])
        if all(each.runs is not None for each in found)
        else None,
        certain=np.concatenate([_certain(each) for each in found])
        if any(each.certain is not None for each in found)
        else None,
    )


def _certain(found: Found) -> NDArray[np.float64]:
    given = [np.nan] * len(found.ids) if found.certain is None else found.certain
    return np.array(given, dtype=np.float64)


def _test_set(part: TestSpec | HeldOutSpec, time: float | None) -> TestSet:
    if isinstance(part, HeldOutSpec):
        return TestSet(average=part.average, seen_in_training=True, time=time)
    return TestSet(
        average=part.average,
        targets="stimuli" if isinstance(part.targets, OtherTargets) else part.targets,
        seen_in_training=part.seen_in_training,
        time=part.time if time is None else time,
        level=part.level,
        prior=part.prior,
        labels=part.labels,
    )


def _targets(found: Found, data: Path) -> Sequence[str]:
    if found.targets is not None:
        return found.targets
    ways = getattr(found.part, "targets", "pictures")
    if not isinstance(ways, OtherTargets):
        return found.ids
    if ways.table is not None:
        return list(_by_table(found.ids, data / ways.table))
    return list(_by_ending(found, ways.ending or "", ways.by or ""))


def _by_table(ids: Sequence[str], path: Path) -> Iterator[str]:
    targets = read_pairs(path, "stimulus", "target")
    for name in ids:
        if name not in targets:
            near = closest(name, targets)
            raise DatasetError(
                f"{path}: has no target of {name!r}"
                + (f"; near: {', '.join(near)}" if near else "")
            )
        yield targets[name]


def _by_ending(found: Found, ending: str, by: str) -> Iterator[str]:
    for name in found.ids:
        if not name.endswith(ending):
            raise DatasetError(
                f"{found.name}: the stimulus {name!r} does not end with {ending!r} (`targets`)"
            )
        yield name.removesuffix(ending) + by


def read_pairs(path: Path, key: str, value: str) -> dict[str, str]:
    """Read a CSV file of two columns; each key has one value.

    Parameters
    ----------
    path : Path
        The file.
    key, value : str
        Names of its columns.

    Raises
    ------
    DatasetError
        The file is missing or has another form; names the line.
    """
    rows = list(read_rows(path, delimiter=",", error=DatasetError))
    if not rows or rows[0][1][:2] != [key, value]:
        given = ",".join(rows[0][1])[:60] if rows else "nothing"
        raise DatasetError(f"{path}: begins with {given!r}, expected the columns {key},{value}")
    found: dict[str, str] = {}
    for line, cells in rows[1:]:
        if len(cells) < 2 or not cells[0] or not cells[1]:
            raise DatasetError(f"{path}: line {line}: expected a {key} and a {value}")
        name, of = as_id(cells[0]), as_id(cells[1])
        if found.setdefault(name, of) != of:
            raise DatasetError(f"{path}: line {line}: {name!r} has another {value} above")
    return found
