"""Chosen units as arrays of the shape of their layer: flat C-order indices, masks and weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from unitdb.axes import usual_axes
from unitdb.errors import CorruptReleaseError, MissingExtraError, QueryError
from unitdb.extras import install_hint
from unitdb.query.conditions import check_numeric
from unitdb.query.layers import channel_place
from unitdb.query.sandbox import run_sql
from unitdb.unitids import UNIT_ID_SQL

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from unitdb.axes import Place
    from unitdb.query.selection import Selection

__all__ = ["LayerUnits", "channels", "chosen_units", "masks", "unit_weights", "weights"]

_LISTED = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerUnits:
    """Units chosen of one layer.

    Parameters
    ----------
    model, layer : str
        Names in the database; ``model`` is empty where the units are of no release.
    module : str
        Name of the torch module whose output the activations are (column ``module`` of ``layers``).
    shape : tuple of int
        Shape of the activation of one image.
    axes : str or None
        What its axes are (:mod:`unitdb.axes`); None where that is not known.
    units : array of shape (n_chosen,), int64
        Flat C-order indices into that activation, ascending, each once.
    """

    model: str
    layer: str
    module: str
    shape: tuple[int, ...]
    axes: str | None
    units: NDArray[np.int64]

    @property
    def n_units(self) -> int:
        """Number of units of the layer, chosen or not."""
        return math.prod(self.shape)

    @property
    def channel(self) -> Place:
        """Channel of a unit; QueryError where it is not known what the axes are."""
        return channel_place(self.axes, self.shape, self.layer)

    @property
    def unit_ids(self) -> tuple[str, ...]:
        """``model/layer/unit`` of the chosen units."""
        prefix = f"{self.model}/{self.layer}" if self.model else self.layer
        return tuple(f"{prefix}/{unit}" for unit in self.units.tolist())


def chosen_units(selection: Selection) -> tuple[LayerUnits, ...]:
    """Distinct units of a selection by layer, in the order of depth.

    Layers without a chosen unit are left out. A unit that stands in several rows (ROIs, datasets,
    conditions) is chosen once: the union.

    Raises
    ------
    QueryError
        The units are of several models.
    CorruptReleaseError
        The release does not describe a layer, or a unit lies outside of its layer.
    """
    rows = selection.read_over("SELECT DISTINCT model, layer, unit FROM {} ORDER BY unit")
    models = sorted(set(rows["model"].to_pylist()))
    if len(models) > 1:
        raise QueryError(
            f"the selection has units of {len(models)} models: {', '.join(models)}; tensors are of "
            f"one network: keep one, for example release.units(model={models[0]!r})"
        )
    if not models:
        return ()
    described = run_sql(
        selection.source.connect(),
        "SELECT * FROM layers WHERE model = ? ORDER BY depth",
        models,
    ).to_pylist()
    units = _by_layer(rows, "unit", np.int64)
    missing = sorted(units.keys() - {row["layer"] for row in described})
    if missing:
        raise CorruptReleaseError(
            f"release {selection.source.label}: table layers lacks layer {missing[0]!r} of model "
            f"{models[0]!r}"
        )
    found = tuple(
        LayerUnits(
            model=models[0],
            layer=row["layer"],
            module=row["module"],
            shape=tuple(row["shape"]),
            # The schema of older releases says (C, H, W) or (N,), and has no such column.
            axes=row.get("axes", usual_axes(row["shape"])),
            units=units[row["layer"]],
        )
        for row in described
        if row["layer"] in units
    )
    for layer in found:
        if layer.units[-1] >= layer.n_units or layer.units[0] < 0:
            raise CorruptReleaseError(
                f"release {selection.source.label}: unit {layer.model}/{layer.layer}/"
                f"{layer.units[-1]} lies outside of its layer of shape {layer.shape}"
            )
    return found


def unit_weights(
    selection: Selection,
    by: str = "mean_r",
    *,
    over: Literal["max", "mean"] | None = None,
    missing: float | None = None,
) -> dict[str, NDArray[np.float32]]:
    """One value of a column for each unit of :func:`chosen_units`, in the same order.

    Parameters
    ----------
    selection : Selection
        Units of one model.
    by, over, missing
        As in :func:`weights`.

    Returns
    -------
    dict of str to array of shape (n_chosen,)
        By layer.
    """
    check_numeric(by)
    if over not in ("max", "mean", None):
        raise QueryError(f"over={over!r} is neither 'max' nor 'mean'")
    # max() and avg() leave NULL out, and give NULL where there is nothing else.
    combined = {"max": f"max({by})", "mean": f"avg({by})", None: f"any_value({by})"}[over]
    rows = selection.read_over(
        f"SELECT layer, unit, {UNIT_ID_SQL} AS unit_id, "  # noqa: S608
        f"count(*) AS n_rows, {combined} AS value FROM {{}} "
        "GROUP BY model, layer, unit ORDER BY layer, unit"
    )
    if over is None:
        _refuse_repeated(rows, by)
    values = rows["value"]
    if values.null_count:
        without = rows.filter(values.is_null())["unit_id"]
        if missing is None:
            raise QueryError(
                f"{len(without)} of {len(rows)} chosen units have no {by}: {_some(without)}; leave "
                f"them out, for example with where(col.n_subjects > 0), or state their weight: "
                "missing=0.0"
            )
        rows = rows.set_column(
            rows.column_names.index("value"), "value", values.fill_null(float(missing))
        )
    return _by_layer(rows, "value", np.float32)


def masks(selection: Selection) -> dict[str, torch.Tensor]:
    """See :meth:`unitdb.UnitSet.masks`."""
    return {layer.layer: _tensor(_mask(layer)) for layer in chosen_units(selection)}


def channels(
    selection: Selection, *, min_units: int = 1, min_share: float = 0.0
) -> dict[str, torch.Tensor]:
    """See :meth:`unitdb.UnitSet.channels`."""
    if min_units < 1:
        raise QueryError(f"min_units must be at least 1, not {min_units!r}")
    if not 0 <= min_share <= 1:
        raise QueryError(f"min_share is a share of a channel's units, 0 to 1, not {min_share!r}")
    found = {}
    for layer in chosen_units(selection):
        step, size = layer.channel.step, layer.channel.size
        counts = np.bincount(layer.units // step % size, minlength=size)
        # Divided: 7 / 100 is .07 to the last digit, and .07 × 100 is more than 7.
        shares = counts / (layer.n_units // size)
        enough = (counts >= min_units) & (shares >= min_share)
        found[layer.layer] = _tensor(np.flatnonzero(enough))
    return found


def weights(
    selection: Selection,
    by: str = "mean_r",
    *,
    over: Literal["max", "mean"] | None = None,
    missing: float | None = None,
) -> dict[str, torch.Tensor]:
    """See :meth:`unitdb.UnitSet.weights`."""
    values = unit_weights(selection, by, over=over, missing=missing)
    found = {}
    for layer in chosen_units(selection):
        flat = np.zeros(layer.n_units, np.float32)
        flat[layer.units] = values[layer.layer]
        found[layer.layer] = _tensor(flat.reshape(layer.shape))
    return found


def _mask(layer: LayerUnits) -> NDArray[np.bool_]:
    flat = np.zeros(layer.n_units, np.bool_)
    flat[layer.units] = True
    return flat.reshape(layer.shape)


def _by_layer(rows: pa.Table, column: str, dtype: type) -> dict[str, NDArray[Any]]:
    """Values of a column for each layer, in the order of the rows."""
    encoded = rows["layer"].combine_chunks().dictionary_encode()
    places = encoded.indices.to_numpy()
    values = rows[column].to_numpy().astype(dtype)
    return {
        name: values[places == place] for place, name in enumerate(encoded.dictionary.to_pylist())
    }


def _refuse_repeated(rows: pa.Table, by: str) -> None:
    counts = rows["n_rows"].to_numpy()
    repeated = np.flatnonzero(counts > 1)
    if len(repeated):
        unit, times = rows["unit_id"][int(repeated[0])], counts[repeated[0]]
        raise QueryError(
            f"{len(repeated)} units stand in several rows (ROIs, datasets or conditions), for "
            f"example {unit} in {times}: which {by}? Choose over='max' or over='mean', or restrict "
            "the selection, for example units(roi='V4')"
        )


def _some(names: pa.ChunkedArray) -> str:
    more = ", …" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED].to_pylist()) + more


def _tensor(array: NDArray[np.generic]) -> torch.Tensor:
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            f"units become tensors with torch, which is not installed: {install_hint('torch')}"
        ) from None
    return torch.from_numpy(array)
