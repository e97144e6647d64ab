"""Which volumes of a run the presentations of a set are taken from: blocks, or single volumes.

No two responses of a set may overlap in time, nor one that trains with one of a test set: the same
volumes would train and be tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from pathlib import Path

from unitdb.errors import DatasetError
from unitdb.responses.bids_events import Event
from unitdb.responses.bids_images import bold_times
from unitdb.responses.bids_spec import BidsPart, BidsResponses
from unitdb.responses.bids_timing import run_timing, seconds_removed
from unitdb.responses.sets import Chosen
from unitdb.responses.sets_spec import TRAIN, condition_of, time_name
from unitdb.responses.volumes import block_of, volume_at

__all__ = ["ShownRun", "Taken", "TimedRun", "check_apart", "event_volumes", "taken_of", "timed_run"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownRun:
    """Files of a run, and the events in it that show a stimulus of a set, by their onsets."""

    name: str
    part: BidsPart
    bold: Path
    confounds: Path | None
    events: Path
    shown: Sequence[Event]


@dataclass(frozen=True, kw_only=True, eq=False)
class TimedRun:
    """A run, and when its volumes were measured.

    Parameters
    ----------
    run : ShownRun
    n_volumes : int
    seconds : float
        From volume to volume.
    gone : float
        Seconds of the onset that the first volume is of.
    shift : float
        Seconds from an onset to the response, counted from the first volume.
    """

    run: ShownRun
    n_volumes: int
    seconds: float
    gone: float
    shift: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Volumes of some presentations of a run: those of a set, or of a time of its windows."""

    run: ShownRun
    time: float | None
    events: Sequence[Event]
    blocks: Sequence[slice]

    @property
    def key(self) -> tuple[str, float | None]:
        """The set, and its time."""
        return self.run.name, self.time


def timed_run(run: ShownRun, spec: BidsResponses, root: Path) -> TimedRun:
    """When the volumes of a run were measured; of its image the header alone is read.

    Raises
    ------
    DatasetError
        Header and sidecars do not tell, or contradict each other.
    """
    n_volumes, header = bold_times(run.bold)
    timing = run_timing(run.bold, run.events, root, header=header, given=spec.repetition_time)
    gone = seconds_removed(spec.removed, timing.seconds) + timing.start
    own = getattr(run.part, "shift", None)
    shift = (spec.shift if own is None else own) - gone
    return TimedRun(run=run, n_volumes=n_volumes, seconds=timing.seconds, gone=gone, shift=shift)


def check_apart(runs: Sequence[TimedRun], chosen: Chosen) -> None:
    """See that no two responses of a set overlap in an image, nor one that trains with a test's.

    Volumes at the times of windows do not count.

    Raises
    ------
    DatasetError
        Names the lines, and the sets.
    """
    of_image: dict[Path, list[TimedRun]] = {}
    for each in runs:
        # Of two names that lead to one file the volumes are the same.
        of_image.setdefault(each.run.bold.resolve(), []).append(each)
    for parts in of_image.values():
        for each in parts:
            _check_sets_apart([each], chosen)
        for train in (each for each in parts if each.run.name == TRAIN):
            for test in (each for each in parts if each.run.name != TRAIN):
                _check_sets_apart([train, test], chosen)


def _check_sets_apart(parts: Sequence[TimedRun], chosen: Chosen) -> None:
    responses = [(event.onset + of.shift, event, of) for of in parts for event in of.run.shown]
    # They are in the order of time: if any two overlap, two neighbours do.
    for (start, one, its), (then, other, others) in pairwise(sorted(responses, key=itemgetter(0))):
        seconds = its.seconds
        blocks = [block_of(at, e.duration, seconds) for at, e in ((start, one), (then, other))]
        taken = all(_is_taken(of.run, chosen) for of in (its, others))
        # Times that are rounded, and volumes that are shared by rounding, are no overlap.
        if then < start + one.duration - seconds / 2 or (taken and blocks[0] == blocks[1]):
            # Of a training and a test set the responses count, and the set may shift them.
            same = "" if its is others else f", in {its.run.name} and {others.run.name},"
            raise DatasetError(
                f"{its.run.events}: lines {one.line} and {other.line} ({one.stimulus}, "
                f"{other.stimulus}){same} show stimuli at the same time, or in the same volumes "
                f"(one every {seconds:g} s); choose with `keep`"
            )


def _is_taken(run: ShownRun, chosen: Chosen) -> bool:
    """Whether the set itself is read, and not times of its windows alone."""
    return chosen.takes_set(run.name, run.part)


def taken_of(timed: TimedRun, spec: BidsResponses, chosen: Chosen) -> Iterator[Taken]:
    """Volumes of each event of a run: of the set, and of each time of its windows that is chosen.

    Raises
    ------
    DatasetError
        The response to an event lies beyond the run; or, of times, that to all of them, or two
        have one volume.
    """
    run, n_volumes, seconds = timed.run, timed.n_volumes, timed.seconds
    if _is_taken(run, chosen):
        try:
            blocks = [
                event_volumes(e, seconds, timed.shift, n_volumes, where=run.bold) for e in run.shown
            ]
        except DatasetError as cause:
            hint = "" if spec.removed else "; `removed` says that volumes were taken from its start"
            raise DatasetError(f"{cause}{hint}") from None
        yield Taken(run=run, time=None, events=run.shown, blocks=blocks)
    windows = getattr(run.part, "windows", None)
    for time in () if windows is None else windows.times(seconds):
        if chosen.takes(time_name(condition_of(run.name, run.part), time)):
            yield _at(time, timed)


def _at(time: float, timed: TimedRun) -> Taken:
    """The volume of each event of a run at a time from its onset."""
    run, seconds = timed.run, timed.seconds
    of_volume: dict[int, Event] = {}
    for event in run.shown:
        volume = volume_at(event.onset + time - timed.gone, seconds)
        if not 0 <= volume < timed.n_volumes:
            continue
        other = of_volume.setdefault(volume, event)
        if other is not event:
            raise DatasetError(
                f"{run.events}: lines {other.line} and {event.line} ({other.stimulus}, "
                f"{event.stimulus}) have one volume {time:g} s from their onsets (one every "
                f"{seconds:g} s); choose with `keep`"
            )
    if not of_volume:
        raise DatasetError(
            f"{run.bold}: has no volume {time:g} s from the onset of any of its {len(run.shown)} "
            f"events; it has {timed.n_volumes}, one every {seconds:g} s (`windows`)"
        )
    return Taken(
        run=run,
        time=time,
        events=list(of_volume.values()),
        blocks=[slice(volume, volume + 1) for volume in of_volume],
    )


def event_volumes(event: Event, seconds: float, shift: float, n: int, *, where: Path) -> slice:
    """Volumes of the response to an event, in a run of ``n``.

    Raises
    ------
    DatasetError
        They lie beyond the run.
    """
    block = block_of(event.onset + shift, event.duration, seconds)
    if block.start < 0 or block.stop > n:
        raise DatasetError(
            f"{where}: the event at {event.onset:g} s ({event.stimulus}) needs the volumes "
            f"{block.start} to {block.stop - 1}; the run has {n}, one every {seconds:g} s (shift: "
            f"{shift:g} s)"
        )
    return block
