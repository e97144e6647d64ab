"""The brain hierarchy (BH) score: how far early layers go with early regions, late with late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.best import BHMethod, Chooser
from unitdb.analysis.contingency import spearman_of_counts
from unitdb.errors import AnalysisError

__all__ = [
    "BHScore",
    "average_bh_score",
    "bh_score",
    "checked",
    "drawn_layers",
    "encoding_bh_score",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class BHScore:
    """A BH score, and the numbers behind it.

    Parameters
    ----------
    score : float
        Mean of the repeats; NaN where one of them has none.
    repeats : array of shape (n_repeats,)
        Spearman correlations, one for each draw of layers.
    counts : array of shape (n_layers, n_rois)
        Units of each layer with their best region there: all layers that were given. Of an
        encoding-based score: (n_rois, n_layers), voxels of each region with their best layer.
    n_units : int
        Units (or voxels) given, those of each subject counted.
    method : {"corrected", "nonaka2021"}
    """

    score: float
    repeats: Array
    counts: NDArray[np.int64]
    n_units: int
    method: BHMethod

    @property
    def n_counted(self) -> int:
        """Units (or voxels) with a best region (or layer)."""
        return int(self.counts.sum())

    @property
    def proportions(self) -> Array:
        """Counts in parts of their row; NaN in a row without any."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.counts / self.counts.sum(axis=1, keepdims=True))


def bh_score(
    accuracies: Sequence[NDArray[np.floating]],
    *,
    n_stimuli: int,
    method: BHMethod = "corrected",
    n_layers: int = 5,
    n_repeats: int = 100,
    seed: int = 0,
) -> BHScore:
    """Decoding-based brain hierarchy score of a network.

    The Spearman correlation, over units, of the number of a unit's layer and the number of the
    region that it is decoded best from (:func:`.best_rois`). As networks differ in depth, n_layers
    layers count at a time: the first, the last, and others drawn in between; the score is the mean
    over draws. Units of all subjects are pooled.

    A layer counts by its units: draw as many of each at random (1,000 by default in the authors'
    code), or early convolutional layers outweigh all others.

    Best regions are found once for each layer, and correlations follow from counts of (layer,
    region), whatever the number of units.

    Parameters
    ----------
    accuracies : sequence of arrays of shape (n_rois, n_units) or (n_subjects, n_rois, n_units)
        Pearson r of a layer each, in the order of the network; regions in the order of the brain.
        NaN where a unit has none. Nothing is written to them.
    n_stimuli : int
        Test images that each accuracy is over; 50 in the publication.
    method : {"corrected", "nonaka2021"}
        What makes a region the best one of a unit: :func:`.best_rois`.
    n_layers : int
        Layers a draw; all layers, where there are no more.
    n_repeats : int
        Draws.
    seed : int
        Of the draws of layers (MT19937: the published code's, after ``numpy.random.seed(seed)``)
        and of ties (PCG64).

    Returns
    -------
    BHScore
        Mean score over draws, and the units that count.

    Raises
    ------
    AnalysisError
        Fewer than two layers, shapes that do not agree, or options out of range.

    References
    ----------
    Nonaka, Majima, Aoki & Kamitani 2021, doi:10.1016/j.isci.2021.103013.

    Examples
    --------
    >>> from unitdb.analysis import bh_score
    >>> early = np.tile([[0.8], [0.3]], 20)
    >>> late = early[::-1]
    >>> layers = [early, early, early, late, late]
    >>> round(bh_score(layers, n_stimuli=50).score, 3)
    0.866
    """
    layers = checked(accuracies)
    draws = drawn_layers(len(layers), n_layers, n_repeats, seed)
    return _score(layers, draws, n_stimuli, method, seed)


def encoding_bh_score(
    accuracies: NDArray[np.floating],
    rois: NDArray[np.integer],
    *,
    n_stimuli: int,
    method: BHMethod = "corrected",
    seed: int = 0,
) -> BHScore:
    """Encoding-based brain hierarchy score of a network.

    The Spearman correlation, over voxels, of the number of a voxel's region and the number of the
    layer that predicts it best: :func:`bh_score` with layers and regions exchanged. All layers
    take part. Voxels of all subjects stand side by side.

    Parameters
    ----------
    accuracies : array of shape (n_layers, n_voxels)
        Pearson r of predicted and measured response over test images: the layer's units predict
        the voxel (:func:`unitdb.decoding.encoding_accuracies`). NaN where there is none.
    rois : array of shape (n_voxels,)
        Region of each voxel, from 0 for the earliest.
    n_stimuli, method, seed
        As of :func:`bh_score`.

    Returns
    -------
    BHScore
        Score, and the voxels that count.

    Raises
    ------
    AnalysisError
        Fewer than two regions, shapes that do not agree, or options out of range.

    References
    ----------
    Nonaka, Majima, Aoki & Kamitani 2021, doi:10.1016/j.isci.2021.103013.

    Examples
    --------
    >>> from unitdb.analysis import encoding_bh_score
    >>> first = np.array([[0.8] * 20 + [0.2] * 20])
    >>> accuracies = np.concatenate([first, 1 - first])
    >>> encoding_bh_score(accuracies, np.repeat([0, 1], 20), n_stimuli=50).score
    1.0
    """
    r, label = np.asarray(accuracies), np.asarray(rois)
    if r.ndim != 2 or label.shape != r.shape[1:] or label.dtype.kind not in "iu":
        raise AnalysisError(
            f"accuracies of shape {r.shape} and regions of shape {label.shape} and type "
            f"{label.dtype}; they should be (n_layers, n_voxels) and whole numbers, (n_voxels,)"
        )
    if label.min(initial=0) < 0:
        raise AnalysisError(f"region {label.min()} of a voxel; regions count from 0")
    regions = checked([r[:, label == roi] for roi in range(label.max(initial=0) + 1)])
    draws = np.arange(len(regions))[None]
    return _score(regions, draws, n_stimuli, method, seed)


def average_bh_score(decoding: BHScore, encoding: BHScore) -> float:
    """Mean of a decoding-based and an encoding-based score, by which the publication ranks.

    Parameters
    ----------
    decoding : BHScore
        From :func:`bh_score`.
    encoding : BHScore
        From :func:`encoding_bh_score`, of the same method.

    Returns
    -------
    float
        (decoding + encoding) / 2.

    Raises
    ------
    AnalysisError
        The methods differ.

    Examples
    --------
    >>> from unitdb.analysis import average_bh_score, bh_score, encoding_bh_score
    >>> first = np.array([[0.8] * 20 + [0.2] * 20])
    >>> both = np.concatenate([first, 1 - first])
    >>> encoding = encoding_bh_score(both, np.repeat([0, 1], 20), n_stimuli=50)
    >>> decoding = bh_score([both[:, :20], both[:, 20:]], n_stimuli=50)
    >>> average_bh_score(decoding, encoding)
    1.0
    """
    if decoding.method != encoding.method:
        raise AnalysisError(
            f"scores of methods {decoding.method!r} and {encoding.method!r} have no common average"
        )
    return (decoding.score + encoding.score) / 2


def _score(
    groups: list[NDArray[np.floating]],
    draws: NDArray[np.intp],
    n_stimuli: int,
    method: BHMethod,
    seed: int,
) -> BHScore:
    chooser = Chooser(method, n_stimuli, seed)
    n_choices = groups[0].shape[-2]
    # Those without a best one are counted first, and left out.
    counts = np.stack(
        [np.bincount(chooser.best(r).ravel() + 1, minlength=1 + n_choices)[1:] for r in groups]
    )
    repeats = spearman_of_counts(counts[draws])
    return BHScore(
        score=float(np.mean(repeats)),
        repeats=repeats,
        counts=counts,
        n_units=sum(r.size // n_choices for r in groups),
        method=method,
    )


def checked(accuracies: Sequence[NDArray[np.floating]]) -> list[NDArray[np.floating]]:
    """Layers as arrays of the same regions and subjects.

    Raises
    ------
    AnalysisError
        Fewer than two, or shapes that do not agree.
    """
    layers = [np.asarray(layer) for layer in accuracies]
    if len(layers) < 2:
        raise AnalysisError(f"a BH score of {len(layers)} layers or regions; it needs 2 at least")
    shapes = [layer.shape for layer in layers]
    if {len(shape) for shape in shapes} not in ({2}, {3}) or len({s[:-1] for s in shapes}) > 1:
        raise AnalysisError(
            f"accuracies of shapes {', '.join(map(str, shapes))}; they should be (n_rois, n_units) "
            "or (n_subjects, n_rois, n_units), with the same regions and subjects in all layers"
        )
    return layers


def drawn_layers(n_given: int, n_layers: int, n_repeats: int, seed: int) -> NDArray[np.intp]:
    """Layers of each draw, as the published code draws them: the first, some between, the last.

    Returns
    -------
    array of shape (n_repeats, min(n_layers, n_given))

    Raises
    ------
    AnalysisError
        Options out of range.
    """
    if n_layers < 2 or n_repeats < 1:
        raise AnalysisError(
            f"{n_repeats} draws of {n_layers} layers; 1 draw at least, of the first and the last"
        )
    if n_given <= n_layers:
        return np.tile(np.arange(n_given), (n_repeats, 1))
    rng = np.random.RandomState(seed)  # the generator behind numpy.random.choice
    between = np.arange(1, n_given - 1)
    drawn = [rng.choice(between, size=n_layers - 2, replace=False) for _ in range(n_repeats)]
    ends = [np.full((n_repeats, 1), end) for end in (0, n_given - 1)]
    return np.hstack([ends[0], np.sort(drawn, axis=1), ends[1]]).astype(np.intp)
