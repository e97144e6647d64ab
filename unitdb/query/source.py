"""What a query needs of the release it is asked of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from unitdb.errors import (
    QueryError,
    UnknownColumnError,
    UnknownConditionError,
    UnknownDatasetError,
    UnknownLayerError,
    UnknownModelError,
    UnknownNameError,
    UnknownRoiError,
    UnknownSubjectError,
)
from unitdb.query.layers import Layer

if TYPE_CHECKING:
    import duckdb

__all__ = ["Source", "check_names"]

_UNKNOWN: dict[str, type[UnknownNameError]] = {
    "dataset": UnknownDatasetError,
    "condition": UnknownConditionError,
    "model": UnknownModelError,
    "layer": UnknownLayerError,
    "roi": UnknownRoiError,
    "subject": UnknownSubjectError,
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a selection needs of the release it is from.

    Parameters
    ----------
    connect : callable
        Gives a connection with a view for each table (:func:`connect`).
    label : str
        Name and version of the release.
    citation : str
        How to cite it.
    simulated : bool
        Whether it rests on simulated responses.
    known : mapping of str to list of str
        The names that occur: keys ``dataset``, ``condition``, ``model``, ``layer``, ``roi``,
        ``subject``.
    partitions : sequence of (str, str, str, str)
        Dataset, condition, model and layer of all accuracies.
    subjects : mapping of str to list of str
        Subjects of each dataset.
    layers : callable
        Gives the layers of all networks.
    """

    connect: Callable[[], duckdb.DuckDBPyConnection] = field(repr=False)
    label: str
    citation: str
    simulated: bool
    known: Mapping[str, Sequence[str]] = field(repr=False)
    partitions: Sequence[tuple[str, str, str, str]] = field(repr=False, default=())
    subjects: Mapping[str, Sequence[str]] = field(repr=False, default_factory=dict)
    layers: Callable[[], Sequence[Layer]] = field(repr=False, default=tuple)


def check_names(source: Source, column: str, names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return names as a tuple if the release has them all in a column.

    Raises
    ------
    UnknownColumnError
        There is no selecting by this column.
    QueryError
        No name, or something else than names.
    UnknownDatasetError, UnknownConditionError, UnknownModelError, UnknownLayerError, \
UnknownRoiError, UnknownSubjectError
        A name does not occur in the release; gives the nearest.
    """
    if column not in _UNKNOWN:
        raise UnknownColumnError(column, source.known, where="the filters of units()")
    kept = (names,) if isinstance(names, str) else () if names is None else tuple(names)
    if not kept or not all(isinstance(name, str) for name in kept):
        raise QueryError(f"{column}={names!r} is not a name or a list of names")
    known = source.known.get(column, kept)
    for name in kept:
        if name not in known:
            raise _UNKNOWN[column](
                name,
                known,
                where=f"release {source.label}",
                hint="release.describe(), or unitdb describe RELEASE",
            )
    return kept
