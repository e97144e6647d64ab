"""Which layers a selection is of, and where in a layer a unit lies."""

from __future__ import annotations

import fnmatch
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unitdb.axes import Place, axes_problem, place_of
from unitdb.errors import QueryError, UnknownLayerError, UnknownNameError, closest
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Layer", "channel_place", "checked_range", "choose_layers", "expand_globs", "parse_unit"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a network in a release.

    Parameters
    ----------
    model, layer : str
        Names.
    depth : int
        Place in the order of the network's layers, from 0.
    kind : str
        Class of its torch module.
    shape : tuple of int
        Shape of the activation of one image.
    axes : str, optional
        What its axes are (:mod:`unitdb.axes`); None where that is not known.
    classes : tuple of str
        Name of the class that each unit scores; empty where units score none, or it is not known.
    """

    model: str
    layer: str
    depth: int
    kind: str
    shape: tuple[int, ...]
    axes: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``model/layer``."""
        return f"{self.model}/{self.layer}"

    @property
    def n_units(self) -> int:
        """Number of units."""
        return math.prod(self.shape)

    @property
    def channel(self) -> Place:
        """Channel of a unit.

        Raises
        ------
        QueryError
            It is not known what the axes are.
        """
        return channel_place(self.axes, self.shape, self.name)

    @property
    def row(self) -> Place:
        """Row of a unit in the map; 0 where there is none. QueryError as :attr:`channel`."""
        return _other_place(self, "H")

    @property
    def column(self) -> Place:
        """Column of a unit in the map, or its token; 0 where there is none. QueryError likewise."""
        return _other_place(self, "WT")

    @property
    def map_size(self) -> tuple[int, int] | None:
        """Rows and columns of the map (1 and tokens); None without places, or where not known."""
        if self.axes is None or place_of(self.axes, self.shape, "WT") is None:
            return None
        return self.row.size, self.column.size


def channel_place(axes: str | None, shape: Sequence[int], name: str) -> Place:
    """Channel of a unit of a layer of these axes and this shape.

    Raises
    ------
    QueryError
        It is not known what the axes are.
    """
    if axes is None or (problem := axes_problem(axes, shape)):
        known = "not known" if axes is None else f"not as stated: {problem}"
        raise QueryError(
            f"layer {name!r} has shape {tuple(shape)}, and which of its axes are channels is "
            f"{known}"
        )
    place = place_of(axes, shape, "NCD")
    assert place is not None  # noqa: S101  # axes_problem sees that there is one
    return place


def _other_place(layer: Layer, letters: str) -> Place:
    channel_place(layer.axes, layer.shape, layer.name)
    return place_of(layer.axes or "", layer.shape, letters) or Place(step=1, size=1)


def expand_globs(
    names: str | Sequence[str] | None, known: Sequence[str], *, where: str
) -> str | Sequence[str] | None:
    """Replace patterns with ``*`` or ``?`` by the names that match; other names stay.

    Raises
    ------
    UnknownLayerError
        Nothing matches a pattern.
    """
    if names is None or (isinstance(names, str) and not _is_pattern(names)):
        return names
    found: list[str] = []
    for name in [names] if isinstance(names, str) else names:
        if not (isinstance(name, str) and _is_pattern(name)):
            found.append(name)
            continue
        matching = [one for one in known if fnmatch.fnmatchcase(one, name)]
        if not matching:
            raise UnknownLayerError(name, known, where=where, hint="release.values('layer')")
        found += matching
    return list(dict.fromkeys(found))


def choose_layers(
    layers: Iterable[Layer],
    *,
    kind: str | Sequence[str] | None = None,
    depth: int | tuple[int, int] | None = None,
    where: str,
) -> list[Layer]:
    """Layers of a kind, within a range of depth.

    Parameters
    ----------
    layers : iterable of Layer
        All there are.
    kind : str or sequence of str, optional
        Classes of torch modules, as in table ``layers``.
    depth : int or (int, int), optional
        Place in the order of layers from 0, or the first and the last of a range.
    where : str
        The release, for messages.

    Raises
    ------
    UnknownNameError
        No layer is of such a kind; gives the nearest.
    QueryError
        ``depth`` is no range, or no layer is left.
    """
    chosen = list(layers)
    if kind is not None:
        wanted = [kind] if isinstance(kind, str) else list(kind)
        kinds = sorted({layer.kind for layer in chosen})
        for one in wanted:
            if one not in kinds:
                raise UnknownNameError(one, kinds, where=f"the kinds of layers of {where}")
        chosen = [layer for layer in chosen if layer.kind in wanted]
    if depth is not None:
        first, last = checked_range("depth", depth)
        deepest = max((layer.depth for layer in chosen), default=0)
        chosen = [layer for layer in chosen if first <= layer.depth <= last]
        if not chosen:
            raise QueryError(
                f"depth={depth!r}: no layer of {where} is there; depths go from 0 to {deepest}"
            )
    return chosen


def checked_range(name: str, value: Any) -> tuple[int, int]:
    """Return a number, or a pair of numbers, as the first and last of a range.

    Raises
    ------
    QueryError
        It is neither, or they are below 0 or falling.
    """
    pair = tuple(value) if _is_pair(value) else (value, value)
    if not all(type(one) is int for one in pair) or not 0 <= pair[0] <= pair[1]:
        raise QueryError(
            f"{name}={value!r} is not a number from 0, or a pair (first, last) of them"
        )
    return pair


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2


def _is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


def parse_unit(unit: str, layers: Sequence[Layer], *, where: str) -> UnitId:
    """Read ``model/layer/unit`` of a layer that a release has.

    Raises
    ------
    QueryError
        It is not of that form, or the layer has fewer units.
    UnknownLayerError
        No such layer; gives the nearest.
    """
    found = UnitId.parse(unit, example=f"{layers[0].name}/0")
    by_name = {layer.name: layer for layer in layers}
    if found.place not in by_name:
        near = closest(found.place, by_name) or list(by_name)
        raise UnknownLayerError(found.place, near, where=where, hint="release.values('layer')")
    n_units = by_name[found.place].n_units
    if found.unit >= n_units:
        raise QueryError(f"{unit}: {found.place} has {n_units:,} units, 0 to {n_units - 1}")
    return found
