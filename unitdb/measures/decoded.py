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
        """Blocks of each test set, by layer and place; in the order of these."""

        def key(block: Block) -> tuple[str, Place]:
            return block.layer, block.place

        return {
            condition: {
                of: tuple(group)
                for of, group in groupby(
                    sorted((block.of(condition) for block in self.blocks), key=key), key
                )
            }
            for condition in self.job.dataset.conditions
        }

    def results(self, condition: str, layer: str) -> LayerResults:
        """Accuracies of a layer over a test set."""
        parts = (blocks for of, blocks in self.of_sets[condition].items() if of[0] == layer)
        return LayerResults([block for blocks in parts for block in blocks], layer)
