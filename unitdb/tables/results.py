"""Accuracies of a layer, as what makes tables of them asks for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["AtHand", "Results"]

Accuracies = NDArray[np.float32]


class Results(ABC):
    """Accuracies of a layer and of its controls, read as they are needed.

    Iterating gives those of each ROI: arrays of shape (n_subjects, n_units), NaN where a unit has
    none.
    """

    n_rois: int
    n_subjects: int
    n_units: int
    n_controls: int

    @abstractmethod
    def read(self, roi: int, rows: slice, start: int, stop: int) -> Accuracies:
        """Accuracies (row 0) and those of controls, of units from start up to stop.

        Returns
        -------
        array of shape (n_rows, n_subjects, stop - start)
        """

    @abstractmethod
    def reliability(self, roi: int) -> Accuracies | None:
        """Reliability of the predictions of all subjects, (n_subjects, n_units)."""

    def halves(self, roi: int) -> Accuracies | None:  # noqa: ARG002 - they need not be known
        """Accuracies in either half of the presentations, (2, n_subjects, n_units)."""
        return None

    def __iter__(self) -> Iterator[Accuracies]:
        return (self.accuracies(roi) for roi in range(self.n_rois))

    def accuracies(self, roi: int, control: int = 0) -> Accuracies:
        """Accuracies of all subjects, or those of a control, counted from 1."""
        found: Accuracies = self.read(roi, slice(control, control + 1), 0, self.n_units)[0]
        return found

    def controls(self, roi: int, size: int) -> Iterator[Accuracies]:
        """Accuracies of all controls, (n_controls, n_subjects, n_units), some units at a time."""
        for start in range(0, self.n_units, size):
            yield self.read(roi, slice(1, None), start, min(start + size, self.n_units))

    def reliabilities(self) -> Iterator[Accuracies] | None:
        """Reliability in each ROI, as iterating gives accuracies."""
        if self.reliability(0) is None:
            return None
        found = (self.reliability(roi) for roi in range(self.n_rois))
        return (of_roi for of_roi in found if of_roi is not None)


class AtHand(Results):
    """Accuracies that are in memory.

    Parameters
    ----------
    r : array of shape (n_rois, n_subjects, n_units)
        NaN where a unit has none.
    reliability : array of shape (n_rois, n_subjects, n_units), optional
        Of predictions over presentations.
    controls : array of shape (n_controls, n_rois, n_subjects, n_units), optional
        Accuracies with shuffled images.
    """

    def __init__(
        self,
        r: Accuracies,
        *,
        reliability: Accuracies | None = None,
        controls: Accuracies | None = None,
    ) -> None:
        self._r, self._reliability, self._controls = r, reliability, controls
        self.n_rois, self.n_subjects, self.n_units = r.shape
        self.n_controls = 0 if controls is None else len(controls)

    @property
    def arrays(self) -> list[Accuracies]:
        """What there is of accuracies, reliability and controls."""
        found = (self._r, self._reliability, self._controls)
        return [array for array in found if array is not None]

    def read(self, roi: int, rows: slice, start: int, stop: int) -> Accuracies:
        """See :meth:`Results.read`."""
        every = [self._r, *(() if self._controls is None else self._controls)]
        return np.stack([one[roi, :, start:stop] for one in every[rows]])

    def reliability(self, roi: int) -> Accuracies | None:
        """See :meth:`Results.reliability`."""
        return None if self._reliability is None else self._reliability[roi]
