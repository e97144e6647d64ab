"""What a measure is: all that the code knows of a number, in one file.

Measures of *accuracies* see the layers of a network one at a time, wherever the accuracies are
from: :meth:`Measure.of_layer` alone, then :meth:`Measure.over_layers` for what takes all of them.
Measures of *predictions* have steps, which are shared out and resumed as blocks are, and rows of
their own. A measure may do both. Its tables are declared in the schema.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.analysis import Blocks, channel_blocks
from unitdb.measures.significance import Tested, by_controls, by_formula
from unitdb.tables import Results, Rows, Scope

if TYPE_CHECKING:
    from unitdb.measures.decoded import Decoded

__all__ = [
    "DecodedLayer",
    "Encoded",
    "Found",
    "Layer",
    "Measure",
    "Network",
    "Predicted",
    "Release",
    "Step",
    "Taking",
]

Encoded = Callable[[str, int], Sequence[NDArray[np.float32]]]
"""Given an ROI and the number of a control, from 1 (0 is none), encoding accuracies of each
subject's voxels, (n_layers, n_voxels)."""

Release = Mapping[str, pa.Table]
"""Tables of a release that are one file, by name."""


class Measure:
    """A number of the field. Every method does nothing unless it says otherwise.

    Attributes
    ----------
    name : str
        Of its steps, for progress and the log of a run; without steps, none.
    tables : tuple of str
        Tables of the schema that its rows are of.
    """

    name: ClassVar[str] = ""
    tables: ClassVar[tuple[str, ...]] = ()

    def of_layer(self, layer: Layer) -> Found:
        """What one layer gives; done once, and found again by a build that was killed."""
        return Found()

    def over_layers(self, network: Network) -> Taking | None:
        """What is fed with all layers in their order, after :meth:`of_layer` of each."""
        return None

    def steps(self, decoded: Decoded) -> Sequence[Step]:
        """What is to be computed of a job: none where the recipe does not ask for it."""
        return ()

    # What steps are is a measure's own.
    def prepare(self, decoded: Decoded, steps: Sequence[Any]) -> None:
        """Write what steps that are not done yet read."""

    def conclude(self, decoded: Decoded, steps: Sequence[Any]) -> None:
        """Put together what all steps of a job have found."""

    def pieces(
        self,
        table: str,
        decoded: Sequence[Decoded],
    ) -> pa.Table | Iterator[pa.Table] | None:
        """Rows of one of its tables from the steps of all jobs.

        At once in any order, or in pieces in the order of keys; None where they are from layers.
        """
        return None

    def check(self, release: Release) -> Iterable[str]:
        """What is wrong with its rows in a release, a sentence each, for ``verify``.

        Where a table follows from others by a SELECT, the schema declares it instead.
        """
        return ()


class Step(Protocol):
    """A part of a measure that a worker does: it names its inputs and its result by files."""

    def is_done(self) -> bool:
        """Whether the result is there, as it was written."""

    def run(self) -> None:
        """Compute the result and write it, whole or not at all."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a measure makes of a layer.

    Parameters
    ----------
    rows : dict of str to list of dict
        Rows of tables that are one file.
    files : list of Path
        What it has written.
    """

    rows: dict[str, Rows] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


class Taking(ABC):
    """A measure that is being taken of a network, layer by layer."""

    @abstractmethod
    def add(self, layer: Layer) -> Found:
        """See the next layer."""

    def finish(self) -> dict[str, Rows]:
        """Rows that take all layers."""
        return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedLayer:
    """A layer, and which of its units were decoded.

    Parameters
    ----------
    name : str
    shape : sequence of int
        Of the activation of one image.
    axes : str, optional
        What its axes are (:mod:`unitdb.axes`).
    units : array of shape (n_units,)
        Flat C-order indices, ascending.
    """

    name: str
    shape: Sequence[int]
    axes: str | None
    units: NDArray[np.int32]

    @property
    def blocks(self) -> Blocks:
        """Channel of each unit: what intervals draw as a whole."""
        return channel_blocks(self.shape, self.units, axes=self.axes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """What the predictions of a layer's units in an ROI give besides accuracies.

    Parameters
    ----------
    patterns : sequence of mapping
        For each subject columns of ``layer_summary``, and ``mean_of_patterns``.
    alike : array of shape (n_subjects, n_subjects), optional
        Correlations of the subjects' predictions.
    """

    patterns: Sequence[Mapping[str, Any]]
    alike: NDArray[np.float64] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network decoded from a dataset, over a test set.

    Parameters
    ----------
    scope : Scope
        What the accuracies are of.
    layers : sequence of str
        From early to late.
    staged : Path
        Folder of the tables of the release.
    scratch : Path
        Folder for p and q until all are known; this network's own.
    hierarchy : sequence of str
        ROIs from early to late, for BH scores.
    n_test : int
        Independent test images that an accuracy is over: different targets.
    formula : bool
        Whether p follows from the number of test images: not so in cross-validation.
    n_controls : int
        Controls of each layer.
    seed : int
        Of BH scores.
    encoded : callable, optional
        Encoding accuracies of the same layers.
    """

    scope: Scope
    layers: Sequence[str]
    staged: Path
    scratch: Path
    hierarchy: Sequence[str]
    n_test: int
    formula: bool = True
    n_controls: int = 0
    seed: int = 0
    encoded: Encoded | None = None


class Layer:
    """A layer whose accuracies are known. What measures share is computed once.

    Parameters
    ----------
    network : Network
    decoded : DecodedLayer
    results : Results
        Its accuracies.
    covariates : callable, optional
        Gives what partial correlations of subjects hold constant, (n_covariates, n_units).
    predicted : callable, optional
        Given the position of an ROI in the scope, what its predictions give.
    """

    def __init__(
        self,
        network: Network,
        decoded: DecodedLayer,
        results: Results,
        *,
        covariates: Callable[[], NDArray[np.float64] | None] = lambda: None,
        predicted: Callable[[int], Predicted | None] = lambda _: None,
    ) -> None:
        self.network, self.results = network, results
        self.name, self.units = decoded.name, decoded.units
        self._decoded, self._covariates, self._predicted = decoded, covariates, predicted
        self._of_rois: dict[int, Predicted | None] = {}
        self._tested: dict[int, Tested | None] = {}

    @cached_property
    def blocks(self) -> Blocks:
        """Channel of each unit: what intervals draw as a whole."""
        return self._decoded.blocks

    @cached_property
    def covariates(self) -> NDArray[np.float64] | None:
        """What partial correlations hold constant, (n_covariates, n_units)."""
        return self._covariates()

    def alike(self, roi: int) -> NDArray[np.float64] | None:
        """Correlations of the subjects' predictions in an ROI, (n_subjects, n_subjects)."""
        found = self._of_roi(roi)
        return None if found is None else found.alike

    def patterns(self, roi: int) -> Sequence[Mapping[str, Any]] | None:
        """For each subject what the patterns of an ROI give."""
        found = self._of_roi(roi)
        return None if found is None else found.patterns

    def tested(self, roi: int) -> Tested | None:
        """Significance of the units in an ROI; None where none is known."""
        if roi not in self._tested:
            self._tested[roi] = self._test(roi)
        return self._tested[roi]

    def _test(self, roi: int) -> Tested | None:
        if self.results.n_controls:
            return by_controls(self.results, roi)
        if not self.network.formula:
            return None
        return by_formula(self.results.accuracies(roi), self.network.n_test, self.alike(roi))

    def _of_roi(self, roi: int) -> Predicted | None:
        if roi not in self._of_rois:
            self._of_rois[roi] = self._predicted(roi)
        return self._of_rois[roi]
