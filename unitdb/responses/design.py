"""From presentations to the samples a decoder is trained and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ResponsesError
from unitdb.responses.types import TEST, TRAIN, Responses

__all__ = ["Design", "average_repeats", "decoding_design", "image_folds", "shuffle_images"]

Rows = NDArray[np.intp]

_FEWEST_TEST_IMAGES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Samples for decoding, and which of them train and which are held out.

    Parameters
    ----------
    values : array of shape (n_rows, n_voxels)
        Responses; rows that are held out are averages over an image's presentations.
    stimulus_ids : array of shape (n_rows,), str
        Stimulus of each row.
    splits : tuple of pairs of integer arrays
        ``(train_rows, test_rows)``; no stimulus is on both sides of a pair, and every held-out
        row is so in one pair only.
    repeats : array of shape (n_repeats, n_test, n_voxels), optional
        Single presentations of the held-out images, in the order in which they were read; images
        in the order of the held-out rows of all splits.
    averaged : float
        How many presentations the held-out rows average over: where images differ, the harmonic
        mean, by which the noise of an average goes.
    """

    values: NDArray[np.floating]
    stimulus_ids: NDArray[np.str_]
    splits: tuple[tuple[Rows, Rows], ...]
    repeats: NDArray[np.floating] | None = None
    averaged: float = 1.0


def average_repeats(
    values: NDArray[np.floating], stimulus_ids: NDArray[np.str_]
) -> tuple[NDArray[np.floating], NDArray[np.str_]]:
    """Average the presentations of each stimulus; stimuli in order of first appearance.

    Parameters
    ----------
    values : array of shape (n_samples, n_voxels)
        One row a presentation.
    stimulus_ids : array of shape (n_samples,), str
        Stimulus of each presentation.

    Returns
    -------
    means : array of shape (n_stimuli, n_voxels)
    ids : array of shape (n_stimuli,), str
    """
    ids, first, inverse = np.unique(stimulus_ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    sums = np.zeros((len(ids), values.shape[1]), dtype=values.dtype)
    np.add.at(sums, place[inverse], values)
    counts = np.bincount(inverse)[order]
    return sums / counts[:, None].astype(values.dtype), ids[order]


def image_folds(n_images: int, n_folds: int, *, seed: int) -> tuple[tuple[Rows, Rows], ...]:
    """Split images at random into folds of equal size (±1), each held out once.

    Parameters
    ----------
    n_images : int
        Number of images.
    n_folds : int
        From 2 to ``n_images``.
    seed : int
        Of numpy's PCG64.

    Returns
    -------
    tuple of (train_rows, test_rows)
        Both ascending.

    Raises
    ------
    ResponsesError
        More folds than images, or fewer than two.
    """
    if not 2 <= n_folds <= n_images:
        raise ResponsesError(f"{n_folds} folds over {n_images} images; 2 to {n_images} are valid")
    shuffled = np.random.Generator(np.random.PCG64(seed)).permutation(n_images)
    everything = np.arange(n_images)
    return tuple(
        (np.setdiff1d(everything, held_out), np.sort(held_out))
        for held_out in np.array_split(shuffled, n_folds)
    )


def decoding_design(
    responses: Responses, *, n_folds: int | None, seed: int, repeats: bool = False
) -> Design:
    """Arrange responses for decoding.

    With a test split, training keeps every presentation as a sample and the test presentations
    of an image are averaged. Without one, the presentations of every image are averaged, and
    images are held out fold by fold; the folds are the same for all subjects.

    Parameters
    ----------
    responses : Responses
        One subject.
    n_folds : int, optional
        Folds over images; required where there is no test split, and refused where there is.
    seed : int
        Seed of the folds.
    repeats : bool
        Keep the single presentations of held-out images too: as many of each, the first ones, as
        of the one that was shown least.

    Raises
    ------
    ResponsesError
        ``n_folds`` missing, superfluous, or more than there are images; fewer than three
        held-out images, over which no correlation means anything; or a held-out image that was
        shown once, where repeats are asked for.
    """
    design = _arrange(responses, n_folds=n_folds, seed=seed)
    if repeats:
        shown = _presentations(responses, design)
        averaged = len(shown) / sum(1 / len(rows) for rows in shown)
        design = replace(design, repeats=_repeats(responses, shown), averaged=averaged)
    n_test = sum(len(test) for _, test in design.splits)
    if n_test < _FEWEST_TEST_IMAGES:
        raise ResponsesError(
            f"{responses.dataset}/{responses.subject}: {n_test} test images; at least "
            f"{_FEWEST_TEST_IMAGES} are needed for a correlation"
        )
    return design


def _arrange(responses: Responses, *, n_folds: int | None, seed: int) -> Design:
    place = f"{responses.dataset}/{responses.subject}"
    if responses.has_test_split:
        if n_folds is not None:
            raise ResponsesError(f"{place}: has a test split; leave out the folds of the recipe")
        train, test = responses.split == TRAIN, responses.split == TEST
        shown = responses.stimulus_ids
        test_values, test_ids = average_repeats(responses.values[test], shown[test])
        n_train = int(train.sum())
        return Design(
            values=np.concatenate([responses.values[train], test_values]),
            stimulus_ids=np.concatenate([shown[train], test_ids]),
            splits=((np.arange(n_train), np.arange(n_train, n_train + len(test_ids))),),
        )
    if n_folds is None:
        raise ResponsesError(
            f"{place}: has no test split; name `folds` in the recipe's decoder to cross-validate"
        )
    values, ids = average_repeats(responses.values, responses.stimulus_ids)
    # Folds follow the order of ids, so that they do not depend on the order of presentation.
    order = np.argsort(ids)
    return Design(
        values=values[order],
        stimulus_ids=ids[order],
        splits=image_folds(len(ids), n_folds, seed=seed),
    )


def _presentations(responses: Responses, design: Design) -> list[Rows]:
    """Rows of the responses to each held-out image."""
    held_out = design.stimulus_ids[np.concatenate([test for _, test in design.splits])]
    return [np.flatnonzero(responses.stimulus_ids == stimulus) for stimulus in held_out]


def _repeats(responses: Responses, shown: Sequence[Rows]) -> NDArray[np.floating]:
    """Single presentations of the held-out images, (n_repeats, n_test, n_voxels)."""
    least = min(shown, key=len)
    if len(least) < 2:
        raise ResponsesError(
            f"{responses.dataset}/{responses.subject}: {str(responses.stimulus_ids[least[0]])!r} "
            "was shown once; reliability over presentations needs two of each test image: leave "
            "out `reliability` in the recipe"
        )
    return responses.values[np.stack([rows[: len(least)] for rows in shown], axis=1)]


def shuffle_images(design: Design, *, seed: Sequence[int]) -> Design:
    """Give each image's responses to another image of the same side: the null of no relation.

    Training images are permuted among themselves and test images among themselves; images that are
    cross-validated are permuted all together. Presentations of an image stay together.

    Parameters
    ----------
    design : Design
        The true arrangement.
    seed : sequence of int
        Of the permutation; different for each subject.
    """
    rng = np.random.Generator(np.random.PCG64(list(seed)))
    ids = design.stimulus_ids.copy()
    sides = [side for pair in design.splits for side in pair]
    groups = sides if len(design.splits) == 1 else [np.arange(len(ids))]
    for rows in groups:
        images, of_row = np.unique(design.stimulus_ids[rows], return_inverse=True)
        ids[rows] = rng.permutation(images)[of_row]
    return replace(design, stimulus_ids=ids)
