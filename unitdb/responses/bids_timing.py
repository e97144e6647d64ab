"""When the volumes of a run were measured: repetition time and start, from header and sidecars.

Volume i is of the time  start + i · TR  after the first volume that the events count from. BIDS
states TR in the image's header and in sidecars (JSON); a sidecar holds for all files below its
folder whose names have its entities, and what a nearer one says goes before (BIDS: inheritance
principle). For a preprocessed image, sidecars of the raw run hold too, before its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitdb.errors import DatasetError
from unitdb.files import visible
from unitdb.responses.bids_files import entities_of
from unitdb.texts import read_text

__all__ = ["Timing", "run_timing", "seconds_removed", "sidecars"]

_KEYS = ("RepetitionTime", "VolumeTiming", "DelayTime", "StartTime")
_SHORTEST, _LONGEST = 0.05, 30.0
_LARGEST = 1e9  # s
_SHOWN = 60
_SAME = 1e-3  # headers and sidecars are rounded to milliseconds

Stated = Mapping[str, tuple[Any, Path]]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Repetition time in seconds, and the time of the first volume (``StartTime``; else 0)."""

    seconds: float
    start: float


def run_timing(
    bold: Path, events: Path, root: Path, *, header: float | None, given: float | None
) -> Timing:
    """Find when the volumes of a run were measured.

    Parameters
    ----------
    bold, events : Path
        Image and events of the run.
    root : Path
        The BIDS dataset.
    header : float, optional
        Repetition time that the image's header states.
    given : float, optional
        That of dataset.yaml, which goes before all others.

    Raises
    ------
    DatasetError
        No repetition time, an implausible one, two that disagree, or volumes at other times than
        multiples of it; names the files.
    """
    stated = _stated(list(dict.fromkeys([*sidecars(events, root), *sidecars(bold, root)])))
    if "VolumeTiming" in stated:
        raise DatasetError(
            f"{stated['VolumeTiming'][1]}: states VolumeTiming; volumes at unequal times are not "
            "read"
        )
    delay = _time(stated, "DelayTime")
    if delay:
        raise DatasetError(
            f"{stated['DelayTime'][1]}: states a DelayTime of {delay:g} s; sparse sequences are "
            "not read"
        )
    seconds = given if given is not None else _repetition_time(bold, stated, header)
    start = _time(stated, "StartTime") or 0.0
    if not 0 <= start < seconds:
        raise DatasetError(
            f"{stated['StartTime'][1]}: StartTime is {start:g}, expected seconds from 0 to the "
            f"repetition time, {seconds:g}"
        )
    return Timing(seconds=seconds, start=start)


def seconds_removed(removed: str | None, seconds: float) -> float:
    """Seconds of ``3 volumes`` or ``9 seconds`` that were taken from the start of each run."""
    if removed is None:
        return 0.0
    amount, unit = removed.split()
    return float(amount) * (seconds if unit.startswith("volume") else 1.0)


def sidecars(path: Path, root: Path) -> list[Path]:
    """Sidecars of the BOLD image of a run, the farthest first.

    Parameters
    ----------
    path : Path
        A file of the run: its folders and the entities of its name are those of the image.
    root : Path
        The BIDS dataset, above which none is looked for.
    """
    entities = entities_of(path).items()
    folders = [folder for folder in reversed(path.parents) if folder.is_relative_to(root)]
    found: list[Path] = []
    for folder in folders:
        here = [
            file
            for file in sorted(visible(folder.glob("*.json"), below=folder))
            if file.stem.split("_")[-1] == "bold" and entities_of(file).items() <= entities
        ]
        found += sorted(here, key=lambda file: len(entities_of(file)))
        found += [own] if (own := _own(path)).parent == folder and os.path.lexists(own) else []
    return list(dict.fromkeys(found))


def _own(path: Path) -> Path:
    """Sidecar with the very name of an image, whatever its suffix (``_bold_preproc``)."""
    return path.with_name(path.name.removesuffix(".gz").removesuffix(".nii") + ".json")


def _stated(paths: list[Path]) -> dict[str, tuple[Any, Path]]:
    """Values of the keys that tell times, each from the nearest sidecar that has it."""
    stated: dict[str, tuple[Any, Path]] = {}
    for path in paths:
        for key, value in _read(path):
            other, where = stated.get(key, (value, path))
            if where != path and where.parent == path.parent and other != value:
                raise DatasetError(
                    f"{where} states {key} {other!r}, {path} {value!r}: at most one sidecar of a "
                    "folder may hold for an image"
                )
            stated[key] = (value, path)
    return stated


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    text = read_text(path, error=DatasetError)
    try:
        content = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as cause:
        raise DatasetError(f"{path}: not valid JSON: {cause}") from None
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: must be an object of keys and values")
    return ((key, content[key]) for key in _KEYS if content.get(key) is not None)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"{twice!r} stands twice")
    return found


def _time(stated: Stated, key: str) -> float | None:
    if key not in stated:
        return None
    value, path = stated[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_LARGEST <= value <= _LARGEST:  # an int of JSON has any number of digits
        told = repr(value)
        told = told if len(told) <= _SHOWN else f"{told[:_SHOWN]}…"
        raise DatasetError(f"{path}: {key} is {told}, expected a number of seconds")
    return float(value)


def _repetition_time(bold: Path, stated: Stated, header: float | None) -> float:
    told = _time(stated, "RepetitionTime")
    if told is not None and header is not None and not abs(told - header) <= _SAME:
        raise DatasetError(
            f"{bold}: the header states a repetition time of {header:g} s, "
            f"{stated['RepetitionTime'][1]} one of {told:g} s; mend one of them, or give "
            "`repetition_time` in dataset.yaml"
        )
    # Both agree where both are there; that of the sidecar is not in single precision.
    seconds = told if told is not None else header
    where = stated["RepetitionTime"][1] if told is not None else bold
    if seconds is None:
        raise DatasetError(
            f"{bold}: the header states no repetition time, and there is no sidecar that does; "
            "give `repetition_time` in dataset.yaml"
        )
    if not _SHORTEST <= seconds <= _LONGEST:
        raise DatasetError(
            f"{where}: a repetition time of {seconds:g} s is implausible ({_SHORTEST:g} to "
            f"{_LONGEST:g} s); is it in milliseconds, or its unit wrong? `repetition_time` in "
            "dataset.yaml goes before it"
        )
    return seconds
