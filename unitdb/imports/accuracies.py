"""Accuracies that somebody has, as they are given: of what, in which order, and the checks."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.axes import axes_problem, usual_axes
from unitdb.errors import AccuraciesError
from unitdb.measures import DecodedLayer
from unitdb.schema import CONDITION_PATTERN, alike_names, name_problem
from unitdb.specs import canonical_json
from unitdb.tables import AtHand, Origin

__all__ = [
    "DatasetInfo",
    "LayerAccuracies",
    "NetworkInfo",
    "check_names",
    "hash_of",
    "without_rounding",
]

NOT_STATED = "not stated"
_ROUNDING = 1e-6

Array = NDArray[np.floating[Any]]
Given = Array | Mapping[str, Array] | Callable[[], Array | Mapping[str, Array]]
"""An array whose first axis is ROIs, an array for each ROI, or a function that reads either."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """The responses that units were decoded from.

    Parameters
    ----------
    name : str
    rois : mapping of str to str
        What each ROI is, from early to late: the order of arrays, and of the hierarchy.
    subjects : sequence of str
        In the order of arrays.
    n_test : int
        Test images that each accuracy is over, after averaging of repeats; p follows from it.
    n_folds : int, optional
        Folds of a cross-validation, whose p takes controls; none where training and test images
        are apart.
    condition : str
        ``perception`` or ``imagery``, or as the column ``condition`` says.
    title, licence, source, citation : str
        Of the responses.
    """

    name: str
    rois: Mapping[str, str]
    subjects: Sequence[str]
    n_test: int
    n_folds: int | None = None
    condition: str = "perception"
    title: str = NOT_STATED
    licence: str = NOT_STATED
    source: str = NOT_STATED
    citation: str = NOT_STATED

    def __post_init__(self) -> None:
        """Take numbers and lists of NumPy as Python's: all of it is hashed as JSON."""
        for name in ("n_test", "n_folds"):
            if isinstance(value := getattr(self, name), np.integer):
                object.__setattr__(self, name, int(value))
        if hasattr(self.subjects, "tolist"):  # an array, an index or a column of pandas
            object.__setattr__(self, "subjects", self.subjects.tolist())


@dataclass(frozen=True, kw_only=True)
class NetworkInfo:
    """The network that units are of.

    Parameters
    ----------
    name : str
    title, licence, source, citation : str
        Of its weights.
    factory, preprocessing : str
        Import path of what makes it, and the way from picture to input, as JSON.
    depths : mapping of str to int, optional
        Places of layers in the network, where some are left out; by default the order that they
        are given in.
    origin : Origin, optional
        Files that the accuracies are from, which name the build in place of the accuracies.
    """

    name: str
    title: str = NOT_STATED
    licence: str = NOT_STATED
    source: str = NOT_STATED
    citation: str = NOT_STATED
    factory: str = NOT_STATED
    preprocessing: str = field(default_factory=lambda: canonical_json({"note": NOT_STATED}))
    depths: Mapping[str, int] | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Take numbers of NumPy as Python's."""
        if self.depths is not None:
            depths = {name: int(depth) for name, depth in self.depths.items()}
            object.__setattr__(self, "depths", depths)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerAccuracies:
    r"""Decoding accuracies of the units of a layer.

    Parameters
    ----------
    model, layer : str
        Names in the database. Layers of a network are given from early to late.
    r : array of shape (n_rois, n_subjects, \*shape), or mapping, or callable
        Pearson r of predicted and true activations over test images; NaN where a unit has none.
        ROIs and subjects are in the order of :class:`DatasetInfo`; units may also be one axis, in
        C order. A mapping has an array of shape (n_subjects, \*shape) for each ROI, or a table of
        pandas, whose rows may name the subjects in any order. A callable
        that gives either is called whenever the layer is needed, so that one layer at a time is in
        memory.
    shape : tuple of int, optional
        Of the layer's activation of one image; by default that of ``r``.
    axes : str, optional
        What the axes of ``shape`` are (:mod:`unitdb.axes`), such as ``"HWC"`` or ``"TD"``; (N,)
        and (C, H, W) where it is not given.
    units : array of int, optional
        Which units these are where they are a sample: flat C-order indices into ``shape``,
        ascending. All by default.
    reliability : as ``r``, optional
        Split-half reliability of predictions over presentations, after Spearman-Brown.
    controls : array of shape (n_controls, n_rois, n_subjects, \*shape), optional
        Accuracies with shuffled images, the same images in all subjects; p is taken among them.
        Also a callable.
    module, kind : str
        Torch module that the activations are the output of, and its class.
    """

    model: str
    layer: str
    r: Given
    shape: Sequence[int] | None = None
    axes: str | None = None
    units: NDArray[np.integer[Any]] | None = None
    reliability: Given | None = None
    controls: Array | Callable[[], Array] | None = None
    module: str = NOT_STATED
    kind: str = NOT_STATED

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.model}/{self.layer}"

    def read(self, dataset: DatasetInfo) -> tuple[DecodedLayer, AtHand]:
        """Read and check; ROIs and subjects are sorted, as rows are.

        Returns
        -------
        DecodedLayer, AtHand
            Accuracies, and those that went along with them.

        Raises
        ------
        AccuraciesError
            Names the layer, and the value that is not an accuracy or does not fit.
        """
        r = self._stacked(self.r, dataset)
        if r.ndim < 3:
            raise AccuraciesError(
                f"{self.where}: r has shape {r.shape}; expected (n_rois, n_subjects, *shape)"
            )
        shape = tuple(map(int, r.shape[2:] if self.shape is None else self.shape))
        axes = usual_axes(shape) if self.axes is None else self.axes
        if axes is None:
            raise AccuraciesError(
                f"{self.where}: what the axes of {shape} are cannot be told: give axes, such as "
                "'TD' (tokens, features) or 'HWC'"
            )
        if problem := axes_problem(axes, shape):
            raise AccuraciesError(f"{self.where}: axes {problem}")
        units = self._units(shape)
        values = {"r": self._checked("r", r, dataset, shape, len(units))}
        if self.reliability is not None:
            stacked = self._stacked(self.reliability, dataset)
            values["reliability"] = self._checked(
                "reliability", stacked, dataset, shape, len(units), least=-np.inf
            )
        controls = self.controls() if callable(self.controls) else self.controls
        if controls is not None:
            each = [
                self._checked(f"controls[{number}]", one, dataset, shape, len(units))
                for number, one in enumerate(controls)
            ]
            if not each:
                raise AccuraciesError(f"{self.where}: controls are empty; leave them out")
            values["controls"] = np.stack(each)
        layer = DecodedLayer(name=self.layer, shape=shape, axes=axes, units=units)
        r = values.pop("r")
        if np.isnan(r).all():
            raise AccuraciesError(f"{self.where}: no unit has an accuracy; leave the layer out")
        return layer, AtHand(r, **values)

    def _units(self, shape: tuple[int, ...]) -> NDArray[np.int32]:
        n = prod(shape)
        if not 0 < n < 2**31:
            raise AccuraciesError(f"{self.where}: a layer of shape {shape} has {n} units")
        if self.units is None:
            return np.arange(n, dtype=np.int32)
        units = np.asarray(self.units)
        whole = units.ndim == 1 and len(units) and np.issubdtype(units.dtype, np.integer)
        if not whole or (units[1:] <= units[:-1]).any() or units[0] < 0 or units[-1] >= n:
            raise AccuraciesError(
                f"{self.where}: units are not ascending whole numbers below {n}, as {shape} has"
            )
        return units.astype(np.int32)

    def _stacked(self, given: Given, dataset: DatasetInfo) -> Array:
        found = given() if callable(given) else given
        if not isinstance(found, Mapping):
            return _filled(found)
        for roi in dict.fromkeys([*dataset.rois, *found]):
            if roi not in found or roi not in dataset.rois:
                lacking = f"accuracies of {self.where}" if roi in dataset.rois else "dataset.rois"
                raise AccuraciesError(f"{self.where}: ROI {roi!r} is missing in the {lacking}")
        parts = [_filled(self._labelled(roi, found[roi], dataset)) for roi in dataset.rois]
        if len({part.shape for part in parts}) > 1:
            shapes = ", ".join(
                f"{roi} {part.shape}" for roi, part in zip(dataset.rois, parts, strict=True)
            )
            raise AccuraciesError(f"{self.where}: ROIs have arrays of other shapes: {shapes}")
        return np.stack(parts)

    def _labelled(self, roi: str, values: Any, dataset: DatasetInfo) -> Any:
        """Accuracies of an ROI in the order of subjects, where a table of pandas has their names.

        Rows and columns that are merely counted say nothing.
        """
        if not (hasattr(values, "index") and hasattr(values, "columns")):
            return values
        rows, columns = values.index.tolist(), values.columns.tolist()
        if rows != list(range(len(rows))):
            if sorted(map(str, rows)) != sorted(dataset.subjects) or len(set(rows)) < len(rows):
                raise AccuraciesError(
                    f"{self.where}: rows of {roi} are of {', '.join(map(repr, rows[:5]))}; "
                    f"expected the subjects {', '.join(dataset.subjects)}, or no names"
                )
            values = values.iloc[[list(map(str, rows)).index(name) for name in dataset.subjects]]
        units = range(len(columns)) if self.units is None else np.asarray(self.units).tolist()
        if columns != list(range(len(columns))) and columns != list(units):
            raise AccuraciesError(
                f"{self.where}: columns of {roi} are of {', '.join(map(repr, columns[:5]))}, and "
                "`units` of others"
            )
        return values

    def _checked(
        self,
        name: str,
        values: Array,
        dataset: DatasetInfo,
        shape: tuple[int, ...],
        n_units: int,
        *,
        least: float = -1.0,
    ) -> NDArray[np.float32]:
        values = _filled(values)
        if values.dtype.kind not in "fiu":
            raise AccuraciesError(f"{self.where}: {name} is of {values.dtype}, not of real numbers")
        outer = (len(dataset.rois), len(dataset.subjects))
        if values.shape not in {
            (*outer, n_units),
            *([(*outer, *shape)] if self.units is None else []),
        }:
            each = "×".join(map(str, shape)) if self.units is None else f"{n_units}"
            raise AccuraciesError(
                f"{self.where}: {name} has shape {values.shape}; expected ({outer[0]} ROIs, "
                f"{outer[1]} subjects, {each} units)"
            )
        rois, subjects = sorted(dataset.rois), sorted(dataset.subjects)
        places = np.ix_(
            [list(dataset.rois).index(roi) for roi in rois],
            [list(dataset.subjects).index(subject) for subject in subjects],
        )
        # In C order: sums of an array that is laid out otherwise round otherwise.
        found = np.ascontiguousarray(values.reshape(*outer, n_units)[places], dtype=np.float32)
        found = without_rounding(found, least=least)
        wrong = (found > 1) | (found < least) | np.isinf(found)
        if wrong.any():
            roi, subject, unit = np.argwhere(wrong)[0]
            raise AccuraciesError(
                f"{self.where}: {name} is {found[roi, subject, unit]} in {rois[roi]} of "
                f"{subjects[subject]}, unit {unit} of {n_units}; a correlation lies between -1 and "
                "1, and is NaN where there is none"
            )
        return found


def _filled(values: Any) -> Array:
    """As an array; what is masked has no accuracy, and what lies below the mask does not count."""
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))
    return np.asarray(values)


def without_rounding(r: NDArray[np.float32], *, least: float = -1.0) -> NDArray[np.float32]:
    """Accuracies that rounding of float32 put beyond 1 or ``least`` by at most 1e-6, as these.

    Returns
    -------
    array of the shape of r
        All others as they are, also those that are no accuracies.
    """
    near = (r <= 1 + _ROUNDING) & (r >= least - _ROUNDING)
    return np.where(near, np.clip(r, least, 1), r)


def check_names(accuracies: Sequence[LayerAccuracies], dataset: DatasetInfo) -> None:
    """See that names can be names in the database, and that none is there twice.

    Raises
    ------
    AccuraciesError
        Names it.
    """
    if not accuracies:
        raise AccuraciesError("no accuracies: give a LayerAccuracies for each layer")
    if not isinstance(dataset.rois, Mapping):
        raise AccuraciesError(
            f"dataset {dataset.name}: rois is {dataset.rois!r}; expected what each is, as in "
            "{'V1': 'primary visual cortex'}"
        )
    if isinstance(dataset.subjects, str):
        raise AccuraciesError(
            f"dataset {dataset.name}: subjects is the text {dataset.subjects!r}; expected a list"
        )
    known: dict[str, Iterable[str]] = {
        "dataset": [dataset.name],
        "ROI": dataset.rois,
        "subject": dataset.subjects,
        "model": {of.model for of in accuracies},
        "layer": {of.layer for of in accuracies},
    }
    for what, names in known.items():
        if not names:
            raise AccuraciesError(f"dataset {dataset.name}: there is no {what}")
        for name in names:
            if problem := name_problem(name) if isinstance(name, str) else "must be a text":
                raise AccuraciesError(f"{what} {name!r} becomes a folder: it {problem}")
    _check_folders(accuracies, dataset)
    for what, counted in {
        "subject": Counter(dataset.subjects),
        "layer": Counter(of.where for of in accuracies),
    }.items():
        twice = [name for name, n in counted.items() if n > 1]
        if twice:
            raise AccuraciesError(f"{what} {twice[0]!r} is there twice")
    if not isinstance(dataset.n_test, int) or dataset.n_test < 3:
        raise AccuraciesError(
            f"dataset {dataset.name}: n_test is {dataset.n_test!r}, not a number of test images "
            "from 3"
        )
    if len({of.controls is None for of in accuracies}) > 1:
        raise AccuraciesError("some layers have controls, and others have none")


def _check_folders(accuracies: Sequence[LayerAccuracies], dataset: DatasetInfo) -> None:
    if not re.fullmatch(CONDITION_PATTERN, str(dataset.condition)):
        raise AccuraciesError(
            f"condition {dataset.condition!r} becomes a folder: it must be written as 'perception' "
            "or 'imagery@+6s'"
        )
    paths = sorted({f"{of.model}/{of.layer}" for of in accuracies})
    if alike := alike_names(paths):
        raise AccuraciesError(f"{alike[0]!r} and {alike[1]!r} are one folder on some systems")


def hash_of(layers: Iterable[tuple[DecodedLayer, AtHand]], dataset: DatasetInfo) -> str:
    """SHA-256 of accuracies, and of what they are of."""
    # The order of ROIs is the hierarchy; that of subjects is none.
    names = [dataset.name, dataset.condition, list(dataset.rois), sorted(dataset.subjects)]
    digest = hashlib.sha256(repr([*names, dataset.n_test, dataset.n_folds]).encode())
    for layer, results in layers:
        about = [layer.name, list(layer.shape), layer.axes, results.n_controls]
        digest.update(repr(about).encode() + layer.units.tobytes())
        for array in results.arrays:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
