"""A release, opened for reading: its units, its layers, and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from unitdb.errors import (
    QueryError,
    UnknownColumnError,
    UnknownSubjectError,
)
from unitdb.query import (
    UnitSet,
    choose_layers,
    expand_globs,
)
from unitdb.query.layers import parse_unit
from unitdb.query.selection import positive
from unitdb.query.source import check_names
from unitdb.release.layerwise import (
    distribution,
    layer_accuracies,
    only,
    scatter,
    similar_units,
)
from unitdb.release.matrix import layer_by_roi
from unitdb.release.single import Single

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from unitdb.release.trace import Trace

__all__ = ["Release"]

_Names = str | Sequence[str] | None


class Release(Single):
    """A published release, opened for reading.

    Its tables are read by :class:`~unitdb.release.tables.Tables`, what it keeps image by image by
    :class:`~unitdb.release.images.Images`, what it knows of one unit by
    :class:`~unitdb.release.single.Single`.

    Parameters
    ----------
    path : str or Path
        Its folder, or its http or https address.

    Raises
    ------
    CorruptReleaseError
        It is not a release, or files are missing.
    SchemaVersionError
        It follows a newer schema than this version of unitdb reads.
    """

    def layer_by_roi(
        self,
        measure: Literal["accuracy", "agreement"] = "accuracy",
        *,
        dataset: str | None = None,
        condition: str | None = None,
        model: str | None = None,
    ) -> pd.DataFrame:
        """Layer × ROI matrix of a network: how well each layer decodes from each region.

        Parameters
        ----------
        measure : {'accuracy', 'agreement'}
            Mean accuracy over units, then subjects; or the correlation over units of two subjects'
            accuracies, mean over pairs (inter-subject correlation). Both are Pearson r.
        dataset, condition, model : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame of shape (n_layers, n_rois)
            Layers in the order of depth, ROIs in the dataset's own order; NaN where there is none.

        Raises
        ------
        QueryError
            The release has several and none is named, or there is no such measure.
        UnknownDatasetError, UnknownConditionError, UnknownModelError
            No such name in the release; gives the nearest.

        Examples
        --------
        >>> release.layer_by_roi("accuracy", dataset="sim-a").columns.tolist()
        ['V1', 'V4']
        """
        return layer_by_roi(
            self.table, measure, self._source, dataset=dataset, condition=condition, model=model
        )

    def units(
        self,
        *,
        dataset: _Names = None,
        condition: _Names = None,
        model: _Names = None,
        layer: _Names = None,
        roi: _Names = None,
        kind: _Names = None,
        depth: int | tuple[int, int] | None = None,
        subjects: _Names = None,
    ) -> UnitSet:
        """Select units by name; nothing is read until the selection is used.

        Parameters
        ----------
        dataset, condition, model, layer, roi : str or list of str, optional
            Names to keep; all where they are not given. Of layers also patterns, ``"conv5_*"``.
        kind : str or list of str, optional
            Classes of torch modules, as in column ``layers.kind``: ``"Conv2d"``.
        depth : int or (int, int), optional
            Place of layers in their network from 0, or the first and the last of a range.
        subjects : str or list of str, optional
            Summarise over these subjects alone, from their accuracies; columns that speak of all
            subjects are NULL then.

        Returns
        -------
        UnitSet
            The selection; :meth:`UnitSet.where` and :meth:`UnitSet.top` narrow it.

        Raises
        ------
        UnknownDatasetError, UnknownConditionError, UnknownModelError, UnknownLayerError, \
UnknownRoiError, UnknownSubjectError
            No such name in the release; gives the nearest.
        UnknownNameError
            No layer is of such a kind.
        QueryError
            ``depth`` is no range, or no layer is left.

        Examples
        --------
        >>> units = release.units(roi="V4", layer="conv*")
        >>> len(units.top(3))
        3
        """
        where = f"release {self.label}"
        chosen: dict[str, _Names] = {
            "dataset": dataset,
            "condition": condition,
            "model": model,
            "layer": expand_globs(layer, self._source.known["layer"], where=where),
            "roi": roi,
        }
        layers = None
        if kind is not None or depth is not None:
            found = choose_layers(self.layers, kind=kind, depth=depth, where=where)
            layers = [(one.model, one.layer) for one in found]
        over = [subjects] if isinstance(subjects, str) else subjects
        return UnitSet(self._source, chosen, layers, over)

    def similar(
        self, unit: str, n: int = 10, *, dataset: str | None = None, condition: str | None = None
    ) -> pd.DataFrame:
        """Units of the same layer that are decoded from the same ROIs as well as a unit is.

        distance = √ mean over ROIs of (mean_r(unit) − mean_r(other))²

        Reads the summaries of the whole layer.

        Parameters
        ----------
        unit : str
            ``model/layer/unit``.
        n : int
            How many at the most.
        dataset, condition : str, optional
            Which, where the release has several.

        Returns
        -------
        pandas.DataFrame
            ``unit_id`` and ``distance`` in Pearson r, the nearest first; units without an accuracy
            in one of the unit's ROIs are left out.

        Raises
        ------
        UnknownDatasetError, UnknownConditionError, UnknownLayerError
            No such name; gives the nearest.
        QueryError
            The unit is not written so, or the release has several datasets or conditions, and none
            is named.

        Examples
        --------
        >>> release.similar("net/fc/3", 2, dataset="sim-a")["unit_id"].tolist()
        ['net/fc/1', 'net/fc/9']
        """
        n = positive(n, "similar() takes a positive number of units")
        names = (only(self._source, "dataset", dataset), only(self._source, "condition", condition))
        place = parse_unit(unit, self.layers, where=f"release {self.label}")
        return similar_units(self.sql, names, place, n)

    def values(self, column: str) -> list[str]:
        """Names that occur in a column and can be asked for.

        Parameters
        ----------
        column : str
            ``dataset``, ``condition``, ``model``, ``layer``, ``roi``, ``subject`` or ``kind``.

        Returns
        -------
        list of str
            Each name once.

        Raises
        ------
        UnknownColumnError
            There is no selecting by this column.

        Examples
        --------
        >>> release.values("roi")
        ['V1', 'V4']
        """
        known = {**self._source.known, "kind": sorted({layer.kind for layer in self.layers})}
        if column not in known:
            raise UnknownColumnError(column, known, where="what units can be selected by")
        return list(known[column])

    def __getitem__(self, name: str) -> UnitSet:
        """Units of ``"model"`` or ``"model/layer"``: notebooks complete the names."""
        model, slash, layer = name.partition("/")
        return self.units(model=model, layer=layer) if slash else self.units(model=model)

    def _ipython_key_completions_(self) -> list[str]:
        return [*self.values("model"), *(layer.name for layer in self.layers)]

    def accuracies(
        self,
        model: str,
        layer: str,
        roi: str,
        *,
        dataset: str | None = None,
        condition: str | None = None,
        subjects: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Accuracies of all decoded units of a layer in one ROI: one person against another.

        Parameters
        ----------
        model, layer, roi : str
            Names in the release.
        dataset, condition : str, optional
            Which, where the release has several.
        subjects : sequence of str, optional
            Columns; all subjects of the dataset by default.

        Returns
        -------
        pandas.DataFrame of shape (n_units, n_subjects)
            Pearson r in float32, rows in C order of units; NaN where there is none.

        Raises
        ------
        UnknownModelError, UnknownLayerError, UnknownRoiError, UnknownSubjectError
            No such name; gives the nearest.
        QueryError
            The release has several datasets or conditions, and none is named.

        Examples
        --------
        >>> release.accuracies("net", "fc", "V1", dataset="sim-a").columns.tolist()
        ['S1', 'S2', 'S3']
        """
        where = f"release {self.label}"
        names = {"dataset": dataset, "condition": condition, "model": model}
        keys = {column: only(self._source, column, name) for column, name in names.items()}
        parse_unit(f"{keys['model']}/{layer}/0", self.layers, where=where)
        check_names(self._source, "roi", roi)
        folder = "/".join(f"{column}={name}" for column, name in [*keys.items(), ("layer", layer)])
        files = [file for file in self._manifest.files["accuracy"] if f"/{folder}/" in file]
        if not files:
            raise QueryError(f"{where}: no accuracies of {folder}")
        (file,) = files
        everybody = self._source.subjects[keys["dataset"]]
        frame = layer_accuracies(self._storage, file, roi, everybody, where=f"{where}: {file}")
        if subjects is not None:
            missing = [subject for subject in subjects if subject not in everybody]
            if missing:
                raise UnknownSubjectError(missing[0], everybody, where=f"dataset {keys['dataset']}")
            frame = frame[list(subjects)]
        frame.attrs.update(
            release=self.label, simulated=self.simulated, citation=self.citation, roi=roi
        )
        return frame

    def scatter(
        self,
        model: str,
        layer: str,
        roi: str,
        subject: str,
        other: str,
        *,
        dataset: str | None = None,
        condition: str | None = None,
        bins: int = 100,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Count a layer's units by their accuracies in two people: one person against another.

        Parameters
        ----------
        model, layer, roi : str
            Names in the release.
        subject, other : str
            The people.
        dataset, condition : str, optional
            Which, where the release has several.
        bins : int
            Bins of each axis, of equal width between the lowest and the highest accuracy.

        Returns
        -------
        counts : array of shape (bins, bins)
            Units; rows are bins of ``subject``, columns of ``other``. Units that lack an accuracy
            in either are left out.
        edges : array of shape (bins + 1,)
            Edges of both axes, Pearson r.

        Raises
        ------
        QueryError
            ``bins`` is not a positive number; and as of :meth:`accuracies`.

        Examples
        --------
        >>> counts, edges = release.scatter("net", "fc", "V1", "S1", "S2", dataset="sim-a", bins=4)
        >>> counts.shape, edges.shape
        ((4, 4), (5,))
        """
        if type(bins) is not int or not 0 < bins <= 4096:
            raise QueryError(f"bins={bins!r} is not a number from 1 to 4096")
        r = self.accuracies(
            model, layer, roi, dataset=dataset, condition=condition, subjects=[subject, other]
        ).to_numpy()
        return scatter(r[:, 0], r[:, 1], bins=bins)

    def distribution(
        self,
        model: str,
        *,
        layer: _Names = None,
        dataset: str | None = None,
        condition: str | None = None,
        per_subject: bool = False,
    ) -> pd.DataFrame:
        """Histograms of accuracies, in bins of a hundredth, of each layer and ROI of a network.

        Parameters
        ----------
        model : str
            The network.
        layer : str or list of str, optional
            Layers, or patterns; all by default.
        dataset, condition : str, optional
            Which, where the release has several.
        per_subject : bool
            Of the accuracies in each subject; by default of their means over subjects.

        Returns
        -------
        pandas.DataFrame
            ``layer``, ``roi``, (``subject``), ``lower`` edge of the bin in Pearson r, ``n_units``.

        Raises
        ------
        UnknownModelError, UnknownLayerError
            No such name; gives the nearest.
        QueryError
            The release has several datasets or conditions, and none is named.

        Examples
        --------
        >>> release.distribution("net", layer="fc", dataset="sim-a").columns.tolist()
        ['layer', 'roi', 'lower', 'n_units']
        """
        source = self._source
        layers = expand_globs(layer, source.known["layer"], where=f"release {self.label}")
        return distribution(
            self.sql,
            (
                only(source, "dataset", dataset),
                only(source, "condition", condition),
                only(source, "model", model),
            ),
            None if layers is None else check_names(source, "layer", layers),
            per_subject=per_subject,
        )

    def trace(self, unit: str, *, roi: str | None = None, subject: str | None = None) -> Trace:
        """Follow a unit's accuracies back to the input files (:mod:`unitdb.release.trace`).

        Returns
        -------
        Trace
            Accuracies of the unit, their builds, and the files that these have read.

        Examples
        --------
        >>> trace = release.trace("net/fc/3", roi="V1")
        >>> [row["subject"] for row in trace.accuracies if row["dataset"] == "sim-a"]
        ['S1', 'S2', 'S3']
        """
        from unitdb.release.trace import trace

        return trace(self, unit, roi=roi, subject=subject)
