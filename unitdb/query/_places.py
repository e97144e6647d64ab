"""Where in its layer a unit is, in SQL: channel, row and column, as the axes of the layer say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.query.relation import Relation, marks, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unitdb.axes import Place
    from unitdb.query.layers import Layer
    from unitdb.query.source import Source

__all__ = [
    "channel",
    "in_channels",
    "in_channels_of",
    "in_columns",
    "in_rows",
    "units_of_channel",
]


def channel(source: Source) -> str:
    """Channel of a unit, by what the axes of its layer are; NULL where that is not known."""
    return _place(source, lambda layer: layer.channel)


def units_of_channel(source: Source) -> str:
    """Units of a channel, decoded or not, by the unit's layer."""
    return _by_layer(source, lambda layer: layer.n_units // layer.channel.size)


def in_channels(relation: Relation, source: Source, channels: Sequence[int]) -> Relation:
    """Units of these channels."""
    return relation.where(f"{channel(source)} IN ({marks(channels)})", *channels)


def in_channels_of(
    relation: Relation, source: Source, channels: Sequence[tuple[str, str, int]]
) -> Relation:
    """Units of these channels, each of a model and layer."""
    for position, column in enumerate(("model", "layer")):  # which files need not be opened
        kept = sorted({str(one[position]) for one in channels})
        relation = relation.where(f"{column} IN ({marks(kept)})", *kept)
    flat = [value for one in channels for value in one]
    rows = ", ".join(["(?, ?, ?)"] * len(channels))
    return relation.where(f"(model, layer, {channel(source)}) IN ({rows})", *flat)


def in_rows(relation: Relation, source: Source, first: int, last: int) -> Relation:
    """Units of these rows of the map."""
    return relation.where(f"{_place(source, lambda layer: layer.row)} BETWEEN ? AND ?", first, last)


def in_columns(relation: Relation, source: Source, first: int, last: int) -> Relation:
    """Units of these columns of the map, or of these tokens."""
    return relation.where(
        f"{_place(source, lambda layer: layer.column)} BETWEEN ? AND ?", first, last
    )


def _place(source: Source, of: Callable[[Layer], Place]) -> str:
    """``unit // step % size``, both of the unit's layer; of the first axis ``unit // step``."""
    step = _by_layer(source, lambda layer: of(layer).step)
    if all(of(layer).step * of(layer).size == layer.n_units for layer in _layers(source)):
        return f"unit // {step}"  # the first axis of each
    size = _by_layer(source, lambda layer: of(layer).size)
    return f"unit // {step} % {size}"


def _by_layer(source: Source, value: Callable[[Layer], int]) -> str:
    """A number for each layer. Names are those of folders: they are compared once for many rows.

    A join with table ``layers`` would say the same, but DuckDB does not know that it is small.
    """
    layers = _layers(source)
    if not layers:
        return "CAST(NULL AS INTEGER)"
    cases = " ".join(
        f"WHEN model = {quoted(layer.model)} AND layer = {quoted(layer.layer)} THEN {value(layer)}"
        for layer in layers
    )
    return f"CASE {cases} END"


def _layers(source: Source) -> list[Layer]:
    """Layers with units that the selection may hold, whose axes are known."""
    return [
        layer
        for layer in source.layers()
        if layer.axes is not None
        and any(partition[2:] == (layer.model, layer.layer) for partition in source.partitions)
    ]
