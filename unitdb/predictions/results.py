"""Accuracies of a layer, read from the files of its blocks as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.predictions.blocks import Block
from unitdb.sealed import map_npy
from unitdb.tables import Results

__all__ = ["LayerResults"]

Accuracies = NDArray[np.float32]


class LayerResults(Results):
    """Accuracies of a layer and of its controls; in memory is what was asked for last.

    Parameters
    ----------
    blocks : sequence of Block
        All blocks of a job, done.
    layer : str
    """

    def __init__(self, blocks: Sequence[Block], layer: str) -> None:
        self._blocks: dict[tuple[int, int], list[Block]] = {}
        for block in blocks:
            if block.layer == layer:
                self._blocks.setdefault(block.place, []).append(block)
        self.n_rois, self.n_subjects = (
            1 + max(places) for places in zip(*self._blocks, strict=True)
        )
        first = self._blocks[0, 0]
        self.n_units = sum(block.n_units for block in first)
        self.n_controls = first[0].n_controls
        self.has_repeats = first[0].n_divisions > 0

    def reliability(self, roi: int) -> Accuracies | None:
        """Reliability of the predictions of all subjects, (n_subjects, n_units)."""
        return self._of_repeats(roi, slice(0, 1))[0] if self.has_repeats else None

    def halves(self, roi: int) -> Accuracies | None:
        """Accuracies in either half of the presentations, (2, n_subjects, n_units)."""
        return self._of_repeats(roi, slice(1, 3)) if self.has_repeats else None

    def _of_repeats(self, roi: int, rows: slice) -> Accuracies:
        return self._read(roi, lambda block: block.repeats, rows, 3, 0, self.n_units)

    def read(self, roi: int, rows: slice, start: int, stop: int) -> Accuracies:
        """Rows of the files of blocks, side by side; see :meth:`Results.read`."""
        return self._read(roi, lambda block: block.target, rows, 1 + self.n_controls, start, stop)

    def _read(
        self,
        roi: int,
        file: Callable[[Block], Path],
        rows: slice,
        n_rows: int,
        start: int,
        stop: int,
    ) -> Accuracies:
        n = len(range(n_rows)[rows])
        found = np.empty((n, self.n_subjects, stop - start), dtype=np.float32)
        for subject in range(self.n_subjects):
            for block in self._blocks[roi, subject]:
                first, last = max(start, block.start), min(stop, block.stop)
                if first < last:
                    r = map_npy(file(block))
                    part = r[rows, first - block.start : last - block.start]
                    found[:, subject, first - start : last - start] = part
        return found
