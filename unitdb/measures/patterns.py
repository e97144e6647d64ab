"""What the patterns of a layer say: steps that workers share, after the blocks are decoded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Activations
from unitdb.analysis import (
    Interval,
    MeanProfile,
    PatternSimilarity,
    pairwise_identification,
    pattern_correlation,
)
from unitdb.predictions import Block, load_arranged, resolution_of_layer, true_rows
from unitdb.resolution import flattened, is_constant
from unitdb.sealed import read_npy, write_npy, write_text

__all__ = [
    "PatternStep",
    "load_predictions",
    "pattern_steps",
    "summarise_patterns",
    "write_truth",
]

_CHANCE = 0.5
"""Identification by a pattern that knows nothing, where no test image trains the decoder."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PatternStep:
    """Predictions of a layer from an ROI of a subject, of a test set.

    Parameters
    ----------
    layer : str
    place : tuple of int
        Positions of the ROI and of the subject.
    blocks : tuple of Block
        All that are of them, done.
    """

    layer: str
    place: tuple[int, int]
    blocks: tuple[Block, ...]

    @property
    def target(self) -> Path:
        """JSON file with columns of ``layer_summary``."""
        return self.blocks[0].target.with_name("patterns.json")

    @property
    def truth(self) -> Path:
        """``.npy`` file by :func:`write_truth`."""
        return self.blocks[0].folder / "truth" / f"{self.layer}.npy"


def pattern_steps(blocks: Sequence[Block]) -> list[PatternStep]:
    """One step for each layer, ROI and subject of the blocks, which are of one test set."""

    def key(block: Block) -> tuple[str, tuple[int, int]]:
        return block.layer, block.place

    return [
        PatternStep(layer=layer, place=place, blocks=tuple(group))
        for (layer, place), group in groupby(sorted(blocks, key=key), key)
    ]


def write_truth(step: PatternStep, activations: Activations) -> None:
    """Write the true activations of a layer's patterns, (n_stimuli, n_kept), for all its steps."""
    parts = [
        activations.block(step.layer, block.start, block.stop)[:, block.patterns]
        for block in step.blocks
        if len(block.patterns)
    ]
    write_npy(step.truth, np.concatenate(parts, axis=1))


def summarise_patterns(step: PatternStep) -> PatternStep:
    """Compare decoded patterns with true ones, and write what comes of it; gives the step back.

    Units are normalised with the mean and SD of the images that train, over all folds. The
    candidates are the test images, in the order of their ids: bootstraps over images then follow
    from what a release holds. Where samples of a test set share what is decoded from them, nothing
    is written of it: intervals and candidates are over images that differ.
    """
    arranged = load_arranged(step.blocks[0].responses)
    resolution = resolution_of_layer(step.blocks[0])
    train = np.unique(np.concatenate([train for train, _ in arranged.splits]))
    by_name = arranged.by_name[step.blocks[0].test]
    test = arranged.held_out(step.blocks[0].test)[by_name]
    rows = arranged.rows
    if len(np.unique(rows[0, test])) < len(test):
        write_text(step.target, json.dumps({}))
        return step
    predicted = load_predictions(step)[:, by_name]
    truth = true_rows(read_npy(step.truth), arranged)
    with threadpool_limits(1):
        true, *controls = (
            _similarity(of_control, truth[samples[test]], truth[samples[train]], resolution)
            for of_control, samples in zip(predicted, rows[: len(predicted)], strict=True)
        )
        columns = _columns(true)
        profile = MeanProfile(len(test))
        profile.add(predicted[0], flattened(truth[rows[0, test]], resolution=resolution))
        columns |= _ends("mean", profile.mean())
        columns["mean_of_patterns"] = profile.mean().value
        columns["identification_chance"] = _CHANCE if len(arranged.splits) == 1 else None
        if controls:
            columns["identification_chance"] = float(
                np.mean([_rate(similarity.similarity()) for similarity in controls])
            )
    known = {name: None if value != value else value for name, value in columns.items()}
    write_text(step.target, json.dumps(known))
    return step


def load_predictions(step: PatternStep) -> NDArray[np.float32]:
    """Predictions of the units of the patterns, of the truth and of controls.

    Returns
    -------
    array of shape (1 + some controls, n_test, n_kept)
    """
    kept = [block for block in step.blocks if len(block.patterns)]
    return np.concatenate([read_npy(block.predictions) for block in kept], axis=2)


def _similarity(
    predicted: NDArray[np.float32],
    true: NDArray[np.float32],
    train: NDArray[np.float32],
    resolution: float,
) -> PatternSimilarity:
    found = PatternSimilarity(len(true), len(true))
    values = train.astype(np.float64)
    constant = is_constant(train, resolution=resolution)
    sd = np.where(constant, 0.0, values.std(axis=0, ddof=1))
    found.add(predicted, true, mean=values.mean(axis=0), sd=sd)
    return found


def _columns(patterns: PatternSimilarity) -> dict[str, float | None]:
    similarity = patterns.similarity()
    n_images = len(similarity)
    identification = pairwise_identification(similarity)
    _, pattern = pattern_correlation(similarity)
    others = similarity[~np.eye(n_images, dtype=bool)]
    known = others[~np.isnan(others)]
    return {
        "n_pattern_units": patterns.n_units,
        "n_candidates": identification.n_candidates,
        "pattern_r": pattern.value,
        **_ends("pattern", pattern),
        "pattern_chance": float(known.mean()) if len(known) else np.nan,
        "identification": identification.mean.value,
        **_ends("identification", identification.mean),
    }


def _ends(name: str, interval: Interval) -> dict[str, float | None]:
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}


def _rate(similarity: NDArray[np.float64]) -> float:
    rates = pairwise_identification(similarity, n_bootstrap=2).rates
    return float(np.nanmean(rates)) if not np.isnan(rates).all() else np.nan
