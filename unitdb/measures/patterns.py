"""What the patterns of a layer say: whether its units together tell images apart.

Its numbers are columns of ``layer_summary`` and ``intersubject``, which ask for them here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.analysis import (
    Interval,
    MeanProfile,
    PatternSimilarity,
    pairwise_identification,
    pattern_correlation,
    prediction_correlations,
)
from unitdb.measures.decoded import Decoded
from unitdb.measures.protocol import Measure, Predicted
from unitdb.predictions import Block, load_arranged, resolution_of_layer, true_rows
from unitdb.resolution import flattened, is_constant
from unitdb.sealed import is_sealed, read_npy, read_text, write_npy, write_text

__all__ = [
    "PatternStep",
    "Patterns",
    "load_predictions",
    "predicted",
    "training_scale",
    "truth_path",
    "write_truths",
]

_CHANCE = 0.5
"""Identification by a pattern that knows nothing, where no test image trains the decoder."""


class Patterns(Measure):
    """Patterns of a sample of a layer's units."""

    name = "patterns"

    def steps(self, decoded: Decoded) -> Sequence[PatternStep]:
        """One for each test set, layer, ROI and subject."""
        return [
            PatternStep(layer=layer, blocks=blocks)
            for of_set in decoded.of_sets.values()
            for (layer, _), blocks in of_set.items()
        ]

    def prepare(self, decoded: Decoded, steps: Sequence[PatternStep]) -> None:
        """Write the true activations of the layers' patterns, (n_stimuli, n_kept)."""
        write_truths(decoded, [step.blocks for step in steps])


def write_truths(decoded: Decoded, steps: Sequence[Sequence[Block]]) -> None:
    """Write the true activations of the layers' patterns, (n_stimuli, n_kept), a file a layer.

    Parameters
    ----------
    decoded : Decoded
    steps : sequence of sequence of Block
        All of a layer, of any place and test set.
    """
    for layer, blocks in {blocks[0].layer: blocks for blocks in steps}.items():
        parts = [
            decoded.activations.block(layer, block.start, block.stop)[:, block.patterns]
            for block in blocks
            if len(block.patterns)
        ]
        write_npy(truth_path(blocks), np.concatenate(parts, axis=1))


def truth_path(blocks: Sequence[Block]) -> Path:
    """File of :func:`write_truths` of the layer of some blocks."""
    return blocks[0].folder / "truth" / f"{blocks[0].layer}.npy"


@dataclass(frozen=True, kw_only=True, eq=False)
class PatternStep:
    """Predictions of a layer from an ROI of a subject, of a test set.

    Parameters
    ----------
    layer : str
    blocks : tuple of Block
        All that are of them, done.
    """

    layer: str
    blocks: tuple[Block, ...]

    @property
    def target(self) -> Path:
        """JSON file with columns of ``layer_summary``."""
        return self.blocks[0].target.with_name("patterns.json")

    @property
    def truth(self) -> Path:
        """``.npy`` file: float32 of shape (n_stimuli, n_kept), by :meth:`Patterns.prepare`."""
        return truth_path(self.blocks)

    def is_done(self) -> bool:
        """Whether the file is there, as it was written."""
        return is_sealed(self.target)

    def run(self) -> None:
        """Compare decoded patterns with true ones, and write what comes of it."""
        write_text(self.target, json.dumps(_summary(self)))


def predicted(decoded: Decoded, condition: str, layer: str, roi: int) -> Predicted:
    """What the predictions of the units of a layer's patterns give, of an ROI.

    Parameters
    ----------
    decoded : Decoded
        Its steps of :class:`Patterns` done.
    condition : str
        The test set.
    layer : str
    roi : int
        Position of the ROI.
    """
    dataset = decoded.job.dataset
    steps = [
        PatternStep(layer=layer, blocks=decoded.of_sets[condition][layer, (roi, subject)])
        for subject in range(len(dataset.subjects))
    ]
    alike = None
    if not dataset.share_targets(condition):
        alike = prediction_correlations(
            [load_predictions(step.blocks)[0] for step in steps],
            [subject.targets(condition) for subject in dataset.subjects],
        )
    return Predicted(patterns=[json.loads(read_text(step.target)) for step in steps], alike=alike)


def _summary(step: PatternStep) -> dict[str, float | None]:
    """Columns of ``layer_summary`` that decoded patterns give beside true ones.

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
        return {}
    predicted = load_predictions(step.blocks)[:, by_name]
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
    return {name: None if value != value else value for name, value in columns.items()}


def load_predictions(blocks: Sequence[Block]) -> NDArray[np.float32]:
    """Predictions of the units of the patterns, of the truth and of controls.

    Returns
    -------
    array of shape (1 + some controls, n_test, n_kept)
    """
    kept = [block for block in blocks if len(block.patterns)]
    return np.concatenate([read_npy(block.predictions) for block in kept], axis=2)


def _similarity(
    predicted: NDArray[np.float32],
    true: NDArray[np.float32],
    train: NDArray[np.float32],
    resolution: float,
) -> PatternSimilarity:
    found = PatternSimilarity(len(true), len(true))
    mean, sd = training_scale(train, resolution)
    found.add(predicted, true, mean=mean, sd=sd)
    return found


def training_scale(
    train: NDArray[np.floating], resolution: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and SD (ddof = 1) of each unit over training samples; SD 0 of one that is constant."""
    values = train.astype(np.float64)
    constant = is_constant(train, resolution=resolution)
    return values.mean(axis=0), np.where(constant, 0.0, values.std(axis=0, ddof=1))


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
