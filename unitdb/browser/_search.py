"""What a reader searches for: from the URL to a selection, to code, and to counts."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np

from unitdb.errors import QueryError
from unitdb.query import Condition, Counted, at_least, counted_by

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = ["KEPT", "MEASURES", "MOST", "NAMES", "Search", "parsed_range"]

NAMES = ("dataset", "condition", "model", "layer", "roi")
"""Parameters of the URL that hold names, several of them."""
MEASURES = {
    "mean_r": "mean over people",
    "min_r": "lowest of any person",
    "max_r": "highest of any person",
    "lead_r": "lead over other ROIs",
}
"""Columns that a search is by."""
KEPT = {"all": "all of them", "units": "the best units", "channels": "the best channels"}
"""What is kept of what is found."""
MOST = {"several subjects": 8_000_000, "a subject's places": 7_000_000, "units": 30_000_000}
"""Rows that may be looked through, of ``accuracy`` for several subjects and of ``unit_summary``
otherwise: as many as take two cores a second or two."""
_COUNT = re.compile(r"[1-9][0-9]{0,5}")
_SIGNIFICANT = Condition("q", "<=", 0.05)
_LOWEST = -2
"""No accuracy, and no lead, is lower."""
_RANGE = re.compile(r"(\d{1,9})(?:\s*[-–]\s*(\d{1,9}))?")
_MOST_NAMES = 500


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which units, as the page *Find units* asks for them; each field is a parameter of the URL.

    Parameters
    ----------
    dataset, condition, model, layer, roi, kind, subject : tuple of str
        Names to keep; all where there is none. ``subject`` summarises over these alone.
    by : str
        A key of ``MEASURES``.
    minimum : float or None
        Least value of it, in hundredths of Pearson r.
    people : int or None
        Units that reach the minimum in at least so many subjects, whatever ``by`` is.
    significant : bool
        Units with q ≤ .05.
    everybody : bool
        Units with an accuracy in every subject.
    preferred : bool
        Rows of the unit's preferred ROI.
    keep : str
        A key of ``KEPT``: all rows, or the best ``n`` units, each once, or channels.
    n : int
        How many, of ``keep``.
    each : int or None
        At the most so many units of a channel, of the best units.
    channel, rows, columns : str
        A number, or the first and last of a range (``"3-5"``); all where it is empty.
    """

    dataset: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    layer: tuple[str, ...] = ()
    roi: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    by: str = "mean_r"
    minimum: float | None = None
    people: int | None = None
    significant: bool = False
    everybody: bool = False
    preferred: bool = False
    keep: str = "all"
    n: int = 200
    each: int | None = None
    channel: str = ""
    rows: str = ""
    columns: str = ""

    @property
    def least(self) -> float | None:
        """The least value of ``by``; None where bins are of what is found above it."""
        return None if self.is_own else self.minimum

    @property
    def is_own(self) -> bool:
        """Whether another minimum would find other rows among the highest too."""
        return self.people is not None or self.keep != "all"

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Sequence[str]]) -> Search:
        """Read the parameters of a URL.

        Raises
        ------
        QueryError
            A value is of another kind, or there are too many; unknown names are found by
            :meth:`units`.
        """

        def last(key: str) -> str:
            return parameters[key][-1] if parameters.get(key) else ""

        several: dict[str, Any] = {}
        for key in (*NAMES, "kind", "subject"):
            several[key] = tuple(dict.fromkeys(parameters.get(key, ())))
            if len(several[key]) > _MOST_NAMES:
                raise QueryError(f"{key}: more than {_MOST_NAMES} names")
            for name in several[key]:
                if "*" in name or "?" in name:
                    raise QueryError(f"{key}={name!r}: names, not patterns of names")
        by = last("by") or "mean_r"
        if by not in MEASURES:
            raise QueryError(f"by={by!r}: there is {', '.join(MEASURES)}")
        try:
            minimum = float(last("minimum")) if last("minimum") else None
        except ValueError:
            raise QueryError(f"minimum={last('minimum')!r} is no number") from None
        counts: dict[str, int | None] = {}
        for key in ("people", "n", "each"):
            if last(key) and not _COUNT.fullmatch(last(key)):
                raise QueryError(f"{key}={last(key)!r} is no number from 1")
            counts[key] = int(last(key)) if last(key) else None
        keep = last("keep") or "all"
        if keep not in KEPT:
            raise QueryError(f"keep={keep!r}: there is {', '.join(KEPT)}")
        return cls(
            **several,
            by=by,
            minimum=minimum,
            people=counts["people"],
            keep=keep,
            n=counts["n"] or cls.n,
            each=counts["each"],
            significant=last("significant").lower() == "true",
            everybody=last("everybody").lower() == "true",
            preferred=last("preferred").lower() == "true",
            channel=last("channel"),
            rows=last("rows"),
            columns=last("columns"),
        )

    def parameters(self) -> str:
        """The search as the query of a URL, what is not chosen left out."""
        pairs: list[tuple[str, str]] = []
        for key, value in vars(self).items():
            if value == getattr(type(self), key):
                continue
            if isinstance(value, tuple):
                pairs += [(key, one) for one in value]
            elif value is True or (isinstance(value, str) and value):
                pairs.append((key, str(value).lower() if value is True else str(value)))
            elif isinstance(value, float) or (isinstance(value, int) and value is not False):
                pairs.append((key, repr(value)))
        return urlencode(pairs)

    def units(self, release: Release, *, ordered: bool = True) -> UnitSet:
        """The selection, the best first if ``ordered``.

        Raises
        ------
        UnknownNameError, QueryError
            A name that is not there, with the nearest; a range that is none.
        """
        names: dict[str, Any] = {
            key: list(getattr(self, key)) for key in (*NAMES, "kind") if getattr(self, key)
        }
        if self.subject:
            names["subjects"] = list(self.subject)
        found = release.units(**names)
        place: dict[str, Any] = {
            key: parsed_range(key, getattr(self, key))
            for key in ("channel", "rows", "columns")
            if getattr(self, key)
        }
        if "channel" in place:
            first, last = place["channel"]
            if last - first >= _MOST_NAMES:
                raise QueryError(f"channel={self.channel!r}: at the most {_MOST_NAMES} channels")
            place["channel"] = list(range(first, last + 1))
        if place:
            found = found.at(**place)
        conditions = []
        if self.people is None and self.minimum is not None:
            conditions.append(at_least(self.by, self.minimum))
        if self.significant:
            conditions.append(_SIGNIFICANT)
        if self.preferred:
            conditions.append(Condition("lead_r", ">", 0))
        if conditions or self.everybody:
            found = found.where(*conditions, every_subject=self.everybody)
        if self.people is not None:
            # Without a minimum: any accuracy.
            least = -1.0 if self.minimum is None else _from(self.minimum)
            found = found.reaching(least, subjects=self.people)
        if self.keep != "all":
            return self.best(found, release)
        if ordered:
            return found.sort(self.by)
        # Sorting leaves out units without an accuracy; so do files that are not sorted.
        return found.where(Condition(self.by, ">=", _LOWEST)) if self.least is None else found

    def best(self, found: UnitSet, release: Release) -> UnitSet:
        """The best units or channels of what is found, a unit by its best row."""
        if self.keep == "channels":
            return found.top_channels(self.n, by=self.by)
        rows = self._rows_of_unit(release)
        if self.each:
            found = found.top(self.each * rows, by=self.by, per="channel")
            if rows > 1:
                found = found.top(1, by=self.by, per="unit")
                found = found.top(self.each, by=self.by, per="channel")
        elif rows > 1:  # so many rows are of n units at the least
            found = found.top(self.n * rows, by=self.by).top(1, by=self.by, per="unit")
        return found.top(self.n, by=self.by)

    def _rows_of_unit(self, release: Release) -> int:
        """Rows of a unit at the most: one for each dataset, condition and ROI."""
        places = ("dataset", "condition") if self.preferred else ("dataset", "condition", "roi")
        return math.prod(len(getattr(self, name) or release.values(name)) for name in places)

    def resolved(self, subjects: Mapping[str, Collection[str]]) -> Search:
        """The same search by the lowest or highest accuracy, where these say how many reach it.

        Parameters
        ----------
        subjects : mapping of str to collection of str
            Subjects of each dataset of the release.
        """
        if self.people is None:
            return self
        by = "mean_r" if self.by == "lead_r" else self.by
        sizes = {n for n in self.n_people(subjects).values() if n}
        if sizes == {self.people}:
            return replace(self, people=None, by="min_r", everybody=True)
        if self.people == 1:
            return replace(self, people=None, by="max_r")
        return replace(self, by=by)

    def n_people(self, subjects: Mapping[str, Collection[str]]) -> dict[str, int]:
        """People of each dataset that is asked for: those chosen, or all."""
        return {
            dataset: len(set(names) & set(self.subject) if self.subject else set(names))
            for dataset, names in subjects.items()
            if not self.dataset or dataset in self.dataset
        }

    def counted(self, tables: Collection[str]) -> Counted | None:
        """Which table counts the units, whatever the minimum; None where none does.

        Parameters
        ----------
        tables : collection of str
            Names of the release's tables.
        """
        if self.channel or self.rows or self.columns or len(self.subject) > 1:
            return None
        if self.significant or self.is_own:
            return None
        return counted_by(
            self.by,
            tables,
            subject="".join(self.subject),
            everybody=self.everybody,
            preferred=self.preferred,
        )

    def refusal(self, n_rows: int, *, counted: bool, n_subjects: int = 1) -> str | None:
        """Say why the search is not carried out on so many rows; None where it is.

        Parameters
        ----------
        n_rows : int
            Rows of the names that it asks for.
        counted : bool
            Whether a table of the release counts what it finds.
        n_subjects : int
            Subjects of a dataset, at the most.
        """
        if counted:
            return None
        what, n, most = "This search reads unit by unit", n_rows, MOST["units"]
        if self.people is not None:
            what = "How many people reach an accuracy is counted unit by unit"
            n, most = n_rows * n_subjects, MOST["several subjects"]
        elif len(self.subject) > 1:
            what = "Several subjects are summarised unit by unit"
            n, most = n_rows * len(self.subject), MOST["several subjects"]
        elif self.subject:
            most = MOST["a subject's places"]
        if n <= most:
            return None
        return (
            f"{what}: {n:,} rows are more than the {most:,} that this page looks through. Choose "
            "a layer, an ROI, or both."
        )


def _from(minimum: float) -> float:
    """The least float32 from a minimum on: bins count by the number, not by its nearest float32."""
    near = np.float32(minimum)
    return float(near if float(near) >= minimum else np.nextafter(near, np.float32(2)))


def parsed_range(name: str, text: str) -> tuple[int, int]:
    """Read ``"3"`` or ``"3-5"``.

    Raises
    ------
    QueryError
        It is neither.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise QueryError(f"{name}={text[:40]!r} is neither a number nor a range such as 3-5")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if last < first:
        raise QueryError(f"{name}={text!r}: the range falls")
    return first, last
