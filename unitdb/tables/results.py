"""Accuracies of a layer, as what makes tables of them asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["AtHand", "Results"]

Accuracies = NDArray[np.float32]


class Results(Protocol):
    """Accuracies of a layer and of its controls, read as they are needed.

    Iterating gives those of each ROI: arrays of shape (n_subjects, n_units), NaN where a unit has
    none.
    """

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""

    @property
    def n_units(self) -> int:
        """Number of units."""

    @property
    def n_controls(self) -> int:
        """Number of controls."""

    def __iter__(self) -> Iterator[Accuracies]: ...

    def accuracies(self, roi: int, control: int = 0, /) -> Accuracies:
        """Accuracies of all subjects in an ROI, or those of a control, counted from 1."""

    def controls(self, roi: int, size: int) -> Iterator[Accuracies]:
        """Accuracies of all controls, (n_controls, n_subjects, n_units), some units at a time."""

    def reliability(self, roi: int) -> Accuracies | None:
        """Reliability of the predictions of all subjects, (n_subjects, n_units)."""

    def reliabilities(self) -> Iterator[Accuracies] | None:
        """Those of each ROI, as iterating gives accuracies."""

    def halves(self, roi: int) -> Accuracies | None:
        """Accuracies in either half of the presentations, (2, n_subjects, n_units)."""


class AtHand:
    """Accuracies that are in memory, as :class:`Results`.

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
        _, self.n_subjects, self.n_units = r.shape
        self.n_controls = 0 if controls is None else len(controls)

    @property
    def arrays(self) -> list[Accuracies]:
        """What there is of accuracies, reliability and controls."""
        found = (self._r, self._reliability, self._controls)
        return [array for array in found if array is not None]

    def __iter__(self) -> Iterator[Accuracies]:
        return iter(self._r)

    def accuracies(self, roi: int, control: int = 0, /) -> Accuracies:
        """Accuracies of all subjects in an ROI, or those of a control, counted from 1."""
        if control and self._controls is not None:
            return self._controls[control - 1, roi]  # type: ignore[no-any-return]
        return self._r[roi]  # type: ignore[no-any-return]

    def controls(self, roi: int, size: int) -> Iterator[Accuracies]:
        """Accuracies of all controls, (n_controls, n_subjects, n_units), some units at a time."""
        if self._controls is not None:
            for start in range(0, self.n_units, size):
                yield self._controls[:, roi, :, start : start + size]

    def reliability(self, roi: int) -> Accuracies | None:
        """Reliability of the predictions of all subjects, (n_subjects, n_units)."""
        return None if self._reliability is None else self._reliability[roi]

    def reliabilities(self) -> Iterator[Accuracies] | None:
        """Those of each ROI, as iterating gives accuracies."""
        return None if self._reliability is None else iter(self._reliability)

    def halves(self, roi: int) -> Accuracies | None:  # noqa: ARG002 - they are not known
        """Accuracies in halves of the presentations: none."""
        return None
