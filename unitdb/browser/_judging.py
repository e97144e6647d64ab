"""Blind pairs of a reconstruction and two pictures, and the file of what was chosen."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["COLUMNS", "Question", "choices_csv", "questions"]

_CHOSEN = ("release", "dataset", "condition", "model", "method", "subject", "source")
COLUMNS = (*_CHOSEN, "stimulus", "other", "chosen", "rater")
"""Of the file of choices, as ``unitdb judge`` reads it."""

_PICTURES = """
SELECT stimulus, source, any_value(png) AS png FROM reconstruction
WHERE dataset = ? AND condition = ? AND model = ? AND method = ? AND control <= 1
  AND (subject = ? OR source = 'seen') AND source IN ('seen', 'brain', 'shuffled')
  AND png IS NOT NULL
GROUP BY ALL ORDER BY source, stimulus
""".strip()


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which of two pictures a reconstruction is of.

    Parameters
    ----------
    source : str
        ``brain`` or ``shuffled``, which who judges is not told.
    stimulus, other : str
        The picture seen, and another.
    made : bytes
        The reconstruction, PNG.
    shown : tuple of (str, bytes)
        Both pictures, left and right.
    """

    source: str
    stimulus: str
    other: str
    made: bytes
    shown: tuple[tuple[str, bytes], tuple[str, bytes]]


def questions(release: Release, place: Sequence[str], subject: str, rater: str) -> list[Question]:
    """All reconstructions of a person, and those of a shuffled brain among them, in random order.

    The order, the other picture and its side are drawn from the names of all that is chosen, so
    that the same rater has the same questions again. The other picture is the same for both brains:
    of two others, who sees what comes again would know the right one.

    Parameters
    ----------
    release : Release
    place : sequence of str
        Dataset, test set, network and method.
    subject, rater : str
    """
    pictures: dict[str, dict[str, bytes]] = {"seen": {}, "brain": {}, "shuffled": {}}
    for row in release.sql(_PICTURES, [*place, subject]).to_dict("records"):
        pictures[str(row["source"])][str(row["stimulus"])] = bytes(row["png"])
    seen = pictures["seen"]
    names = sorted(seen)
    words = "\n".join((release.label, *place, subject, rater)).encode()
    rng = np.random.default_rng(list(hashlib.sha256(words).digest()[:8]))
    others = {
        name: rest[int(rng.integers(len(rest)))]
        for name in names
        if (rest := [one for one in names if one != name])
    }
    found = []
    for source in ("brain", "shuffled"):
        for stimulus in sorted(set(pictures[source]).intersection(others)):
            other, made = others[stimulus], pictures[source][stimulus]
            pair = (stimulus, seen[stimulus]), (other, seen[other])
            shown = pair if rng.integers(2) else pair[::-1]
            found.append(
                Question(source=source, stimulus=stimulus, other=other, made=made, shown=shown)
            )
    return [found[place] for place in rng.permutation(len(found))]


def choices_csv(choices: Sequence[Mapping[str, Any]]) -> str:
    """Choices as a file of :data:`COLUMNS`."""
    written = io.StringIO()
    writer = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(choices)
    return written.getvalue()
