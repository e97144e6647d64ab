"""A job whose units are decoded: what measures of predictions read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from unitdb.activations import Activations
from unitdb.predictions import Block, LayerResults
from unitdb.recipes import Job

__all__ = ["Decoded", "Place"]

Place = tuple[int, int]
"""Positions of an ROI and of a subject."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Decoded:
    """A network decoded from a dataset.

    Parameters
    ----------
    job : Job
        What was decoded from what.
    activations : Activations
        Of the job's stimuli and layers.
    blocks : sequence of Block
        Of all test sets, done.
    work : Path
        Folder of the build's unfinished work.
    """

    job: Job
    activations: Activations
    blocks: Sequence[Block]
    work: Path

    @property
    def folder(self) -> Path:
        """Of the job's blocks."""
        return self.blocks[0].folder

    @cached_property
    def of_sets(self) -> Mapping[str, Mapping[tuple[str, Place], tuple[Block, ...]]]:
        """Blocks of each test set of the release, by layer and place; in the order of these."""
        return {name: self._blocks_of(name) for name in self.job.dataset.conditions}

    @cached_property
    def of_times(self) -> Mapping[str, Mapping[tuple[str, Place], tuple[Block, ...]]]:
        """Those of each time of the windows whose time course is asked for."""
        return {
            name: self._blocks_of(name)
            for times in self.job.dataset.times.values()
            for name in times
        }

    def _blocks_of(self, name: str) -> Mapping[tuple[str, Place], tuple[Block, ...]]:
        def key(block: Block) -> tuple[str, Place]:
            return block.layer, block.place

        of_set = sorted((block.of(name) for block in self.blocks), key=key)
        return {of: tuple(group) for of, group in groupby(of_set, key)}

    def results(self, condition: str, layer: str) -> LayerResults:
        """Accuracies of a layer over a test set."""
        parts = (blocks for of, blocks in self.of_sets[condition].items() if of[0] == layer)
        return LayerResults([block for blocks in parts for block in blocks], layer)
