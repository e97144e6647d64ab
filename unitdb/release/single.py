"""A release unit by unit: accuracies, class, and what part of a picture reaches it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.query.layers import parse_unit
from unitdb.release.fields import SIDES, ReceptiveField, field_of
from unitdb.release.images import Images
from unitdb.release.layerwise import unit_accuracies, unit_explainable
from unitdb.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.query import Layer

__all__ = ["Single"]


class Single(Images):
    """What a release says of one unit.

    Parameters
    ----------
    path : str or Path
        Its folder, or its http or https address.

    Raises
    ------
    CorruptReleaseError, SchemaVersionError
        As of :class:`.Tables`.
    """

    def unit(self, unit: str) -> pd.DataFrame:
        """All accuracies of one unit.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.

        Returns
        -------
        pandas.DataFrame of shape (n_rois, n_subjects)
            Pearson r; rows are dataset, condition and ROI. NaN where there is none.

        Raises
        ------
        QueryError
            It is not written so, or was not decoded.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> len(release.unit("net/fc/3"))
        4
        """
        where = f"release {self.label}"
        return unit_accuracies(self.sql, parse_unit(unit, self.layers, where=where), where=where)

    def class_name(self, unit: str) -> str | None:
        """Name of the class that a unit scores.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.

        Returns
        -------
        str or None
            As the network's library has it; None where the layer scores no classes, or the release
            does not know their names. All names are the view ``classes`` in SQL.

        Raises
        ------
        QueryError
            It is not written so.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> release.class_name("net/fc/3")
        'zebra'
        """
        layer, index = self._layer_and_unit(unit)
        return layer.classes[index] if layer.classes else None

    def receptive_field(self, unit: str) -> ReceptiveField | None:
        """Part of a picture that can reach a unit.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.

        Returns
        -------
        ReceptiveField or None
            None where the layer has no map, or the release does not know it.

        Raises
        ------
        QueryError
            It is not written so.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> release.receptive_field("net/conv1/4").bottom
        5
        """
        layer, index = self._layer_and_unit(unit)
        if SIDES[0] not in TABLES["layers"].at(self.schema_version).column_names:
            return None
        models = self.table("models", ["model", "preprocessing"]).astype(str)
        layers = self.table("layers", ["model", "layer", *SIDES])
        return field_of(layer, index, layers, models)

    def explainable(self, unit: str) -> pd.DataFrame:
        """Accuracies of one unit beside their noise ceiling, of the view ``explainable``.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.

        Returns
        -------
        pandas.DataFrame of shape (n_rows, 9)
            ``dataset``, ``condition``, ``roi``, ``subject``; ``r``; ``reliability`` of the
            predictions over presentations; ``ceiling``, its square root; ``explainable_r``, r in
            parts of the ceiling, never clamped; ``above_ceiling``. No rows where the release does
            not know the reliability.

        Raises
        ------
        QueryError
            The unit is not written so.
        UnknownLayerError
            No such layer; gives the nearest.

        Examples
        --------
        >>> found = release.explainable("net/fc/3")
        >>> bool((found["explainable_r"] == found["r"] / found["ceiling"]).all())
        True
        """
        where = f"release {self.label}"
        model, layer, index = parse_unit(unit, self.layers, where=where)
        return unit_explainable(self.sql, (model, layer, index), known="explainable" in self.views)

    def _layer_and_unit(self, unit: str) -> tuple[Layer, int]:
        place = parse_unit(unit, self.layers, where=f"release {self.label}")
        (layer,) = (one for one in self.layers if one.name == place.place)
        return layer, place.unit
