"""From presentations to the samples a decoder is trained and tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ResponsesError
from unitdb.folds import held_out_together
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN
from unitdb.responses.types import Responses, TestSet

__all__ = [
    "Design",
    "HeldOut",
    "average_repeats",
    "decoding_design",
    "image_folds",
    "shuffle_images",
]

Rows = NDArray[np.intp]

_FEWEST_TEST_IMAGES = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOut:
    """Held-out rows that accuracies are over together: those of a test set, or of all folds.

    Parameters
    ----------
    name : str
        Of the test set; of what is cross-validated the condition.
    rows : array of shape (n_held_out,)
        Rows of the design, in the order of predictions.
    test : TestSet
        What the set is of.
    repeats : array of shape (n_repeats, n_held_out, n_voxels), optional
        Single presentations of each, in the order in which they were read.
    averaged : float
        How many presentations the rows average over: where images differ, the harmonic mean, by
        which the noise of an average goes.
    certain : array of shape (n_held_out,), optional
        Share of its presentations of which the subject was certain; NaN where nothing is known.
    """

    name: str
    rows: Rows
    test: TestSet
    repeats: NDArray[np.floating] | None = None
    averaged: float = 1.0
    certain: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Samples for decoding, and which of them train and which are held out.

    Parameters
    ----------
    values : array of shape (n_rows, n_voxels)
        Responses; rows that are held out are averages over an image's presentations, or single
        ones where a test set keeps them.
    stimulus_ids : array of shape (n_rows,), str
        Stimulus of each row.
    target_ids : array of shape (n_rows,), str
        Stimulus or category whose activation is decoded from it.
    splits : tuple of pairs of integer arrays
        ``(train_rows, test_rows)``; no stimulus is on both sides of a pair, unless a test set says
        that it may be, and every held-out row is so in one pair only.
    sets : tuple of HeldOut
        The held-out rows by test sets. Where there are several there is one split, whose held-out
        rows are those of all of them, one after the other; or splits are over runs, and each holds
        out rows of all sets.
    runs : array of shape (n_rows,), optional
        Number of the run of each row, where runs are held out.
    """

    values: NDArray[np.floating]
    stimulus_ids: NDArray[np.str_]
    target_ids: NDArray[np.str_]
    splits: tuple[tuple[Rows, Rows], ...]
    sets: tuple[HeldOut, ...]
    runs: Rows | None = None

    def held_out(self, name: str) -> HeldOut:
        """Held-out rows of a test set."""
        return next(each for each in self.sets if each.name == name)


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
    everything = np.arange(n_images)
    return tuple(
        (np.setdiff1d(everything, held_out), held_out)
        for held_out in held_out_together(n_images, n_folds, seed=seed)
    )


def decoding_design(
    responses: Responses, *, n_folds: int | None, seed: int, repeats: bool = False
) -> Design:
    """Arrange responses for decoding.

    With test sets, training keeps every presentation as a sample and the test presentations
    of an image are averaged. Without any, the presentations of every image are averaged, and
    images are held out fold by fold; the folds are the same for all subjects.

    Parameters
    ----------
    responses : Responses
        One subject.
    n_folds : int, optional
        Folds over images; required where there are no test sets, and refused where there are.
    seed : int
        Seed of the folds.
    repeats : bool
        Keep the single presentations of held-out images too: as many of each, the first ones, as
        of the one that was shown least. Of several test sets, those have them whose images were
        all shown twice.

    Raises
    ------
    ResponsesError
        ``n_folds`` missing, superfluous, or more than there are images; fewer than three
        held-out images, over which no correlation means anything; a stimulus of several targets
        whose presentations are averaged; or, where repeats are asked for, no test set all of whose
        images were shown twice.
    """
    if responses.has_test_sets:
        if n_folds is not None:
            raise ResponsesError(
                f"{_place(responses)}: has test sets; leave out the folds of the recipe"
            )
        design = _of_sets(responses)
    elif responses.runs is not None:
        design = _of_runs(responses, responses.runs, n_folds, seed=seed)
    else:
        design = _of_folds(responses, n_folds, seed=seed)
    for each in design.sets:
        if len(each.rows) < _FEWEST_TEST_IMAGES:
            of_set = f" of {each.name}" if len(design.sets) > 1 else ""
            raise ResponsesError(
                f"{_place(responses)}: {len(each.rows)} test images{of_set}; at least "
                f"{_FEWEST_TEST_IMAGES} are needed for a correlation"
            )
    return _with_repeats(design, responses) if repeats else design


def _place(responses: Responses) -> str:
    return f"{responses.dataset}/{responses.subject}"


def _of_sets(responses: Responses) -> Design:
    """Training rows, and below them those of each test set."""
    train = responses.split == TRAIN
    values, sets = [responses.values[train]], list[HeldOut]()
    ids, targets = [responses.stimulus_ids[train]], [responses.target_ids[train]]
    n_rows = n_train = int(train.sum())
    for name, test in responses.tests.items():
        of_set = responses.split == name
        samples, shown = responses.values[of_set], responses.stimulus_ids[of_set]
        of_rows = responses.target_ids[of_set]
        averaged = 1.0
        certain = None if responses.certain is None else responses.certain[of_set]
        if test.average:
            certain = None if certain is None else _shares(certain, shown)
            _, counts = np.unique(shown, return_counts=True)
            averaged = float(len(counts) / (1 / counts).sum())
            target_of = _one_target_each(shown, of_rows, where=f"{_place(responses)}: {name}")
            samples, shown = average_repeats(samples, shown)
            of_rows = np.array([target_of[each] for each in shown.tolist()], dtype=np.str_)
        rows = np.arange(n_rows, n_rows + len(shown))
        sets.append(HeldOut(name=name, rows=rows, test=test, averaged=averaged, certain=certain))
        n_rows += len(shown)
        values.append(samples)
        ids.append(shown)
        targets.append(of_rows)
    return Design(
        values=np.concatenate(values),
        stimulus_ids=np.concatenate(ids),
        target_ids=np.concatenate(targets),
        splits=((np.arange(n_train), np.arange(n_train, n_rows)),),
        sets=tuple(sets),
    )


def _shares(certain: NDArray[np.float64], shown: NDArray[np.str_]) -> NDArray[np.float64]:
    """Mean of what is known of each stimulus, in the order of :func:`average_repeats`."""
    found = []
    for name in dict.fromkeys(shown.tolist()):
        own = certain[shown == name]
        known = own[~np.isnan(own)]
        found.append(known.mean() if len(known) else np.nan)
    return np.array(found, dtype=np.float64)


def _one_target_each(
    shown: NDArray[np.str_], targets: NDArray[np.str_], *, where: str
) -> dict[str, str]:
    """Target of each stimulus, whose presentations are averaged."""
    target_of: dict[str, str] = {}
    for stimulus, target in zip(shown.tolist(), targets.tolist(), strict=True):
        first = target_of.setdefault(stimulus, target)
        if first != target:
            raise ResponsesError(
                f"{where}: presentations of {stimulus!r} have several targets, {first!r} and "
                f"{target!r}, and cannot be averaged; `average: false` keeps them single"
            )
    return target_of


def _of_folds(responses: Responses, n_folds: int | None, *, seed: int) -> Design:
    if n_folds is None:
        raise ResponsesError(
            f"{_place(responses)}: has no test sets; name `folds` in the recipe's decoder to "
            "cross-validate"
        )
    values, ids = average_repeats(responses.values, responses.stimulus_ids)
    # Folds follow the order of ids, so that they do not depend on the order of presentation.
    order = np.argsort(ids)
    splits = image_folds(len(ids), n_folds, seed=seed)
    rows = np.concatenate([test for _, test in splits])
    return Design(
        values=values[order],
        stimulus_ids=ids[order],
        target_ids=ids[order],
        splits=splits,
        sets=(HeldOut(name=responses.condition, rows=rows, test=TestSet()),),
    )


def _of_runs(responses: Responses, runs: Rows, n_folds: int | None, *, seed: int) -> Design:
    """All presentations, of which those of other runs train, and below them what is tested.

    What is tested is of a run, and predicted by what the runs of other folds have trained: the same
    presentations, or their averages within a run, and single volumes at the times of windows.
    """
    trains = responses.split == CROSS_VALIDATION
    numbers = np.unique(runs[trains])
    if n_folds is None or n_folds > len(numbers):
        raise ResponsesError(
            f"{_place(responses)}: holds out its {len(numbers)} runs; name `folds` in the recipe's "
            f"decoder, 2 to {len(numbers)}: as many as runs leave out one at a time"
        )
    values, of_run = [responses.values[trains]], [runs[trains]]
    ids, targets = [responses.stimulus_ids[trains]], [responses.target_ids[trains]]
    n_rows, sets = int(trains.sum()), list[HeldOut]()
    base = TestSet(average=responses.average, seen_in_training=True)
    for name, test in {responses.condition: base, **responses.tests}.items():
        of_set = trains if name == responses.condition else responses.split == name
        parts = [
            _of_one_run(responses, of_set & (runs == number), average=test.average)
            for number in numbers
        ]
        sizes = [len(shown) for _, shown, _ in parts]
        sets.append(HeldOut(name=name, rows=n_rows + np.arange(sum(sizes)), test=test))
        n_rows += sum(sizes)
        of_run.append(np.repeat(numbers, sizes))
        for stack, place in ((values, 0), (ids, 1), (targets, 2)):
            stack += [part[place] for part in parts]
    run_of = np.concatenate(of_run)
    tested = np.arange(n_rows) >= int(trains.sum())
    splits = []
    for _, fold in image_folds(len(numbers), n_folds, seed=seed):
        held_out = np.isin(run_of, numbers[fold])
        splits.append((np.flatnonzero(~tested & ~held_out), np.flatnonzero(tested & held_out)))
    return Design(
        values=np.concatenate(values),
        stimulus_ids=np.concatenate(ids),
        target_ids=np.concatenate(targets),
        splits=tuple(splits),
        sets=tuple(_in_order_of(splits, each) for each in sets),
        runs=run_of,
    )


def _of_one_run(
    responses: Responses, rows: NDArray[np.bool_], *, average: bool
) -> tuple[NDArray[np.floating], NDArray[np.str_], NDArray[np.str_]]:
    """Samples of a run, their stimuli and targets; single, or averaged over presentations."""
    values, shown = responses.values[rows], responses.stimulus_ids[rows]
    targets = responses.target_ids[rows]
    if not average or not len(values):
        return values, shown, targets
    target_of = _one_target_each(shown, targets, where=_place(responses))
    values, shown = average_repeats(values, shown)
    return values, shown, np.array([target_of[each] for each in shown.tolist()], dtype=np.str_)


def _in_order_of(splits: Sequence[tuple[Rows, Rows]], each: HeldOut) -> HeldOut:
    """A set whose rows are in the order of the splits that hold them out."""
    return replace(each, rows=np.concatenate([t[np.isin(t, each.rows)] for _, t in splits]))


def _with_repeats(design: Design, responses: Responses) -> Design:
    """The design with single presentations of the sets all of whose images were shown twice."""
    sets, once = list[HeldOut](), None
    for each in design.sets:
        of_set = responses.split == each.name if responses.has_test_sets else responses.split != ""
        shown = [
            np.flatnonzero(of_set & (responses.stimulus_ids == stimulus))
            for stimulus in design.stimulus_ids[each.rows]
        ]
        least = min(shown, key=len)
        if len(least) < 2 or not each.test.average:
            once = once if len(least) > 1 else str(responses.stimulus_ids[least[0]])
            sets.append(each)
            continue
        first = np.stack([rows[: len(least)] for rows in shown], axis=1)
        averaged = len(shown) / sum(1 / len(rows) for rows in shown)
        sets.append(replace(each, repeats=responses.values[first], averaged=averaged))
    if all(each.repeats is None for each in sets):
        what = "no test set averages presentations" if once is None else f"{once!r} was shown once"
        raise ResponsesError(
            f"{_place(responses)}: {what}; reliability over presentations needs two of each test "
            "image: leave out `reliability` in the recipe"
        )
    return replace(design, sets=tuple(sets))


def shuffle_images(design: Design, *, seed: Sequence[int]) -> Design:
    """Give each image's responses to another image of the same side: the null of no relation.

    Training images are permuted among themselves, and what is decoded from the rows of a test set
    among its own; images that are cross-validated are permuted all together. Presentations of an
    image stay together. Where runs are held out, targets are permuted among samples of each run.

    Parameters
    ----------
    design : Design
        The true arrangement.
    seed : sequence of int
        Of the permutation; different for each subject.
    """
    rng = np.random.Generator(np.random.PCG64(list(seed)))
    targets = design.target_ids.copy()
    groups = [np.arange(len(targets))]
    if design.runs is not None:
        # Shuffled alike in all runs, images would be decoded as the others that they became.
        tested = [each.rows for each in design.sets]
        trains = np.setdiff1d(groups[0], np.concatenate(tested))
        of_runs = [(rows, design.runs[rows]) for rows in (trains, *tested)]
        for rows, runs in of_runs:
            for number in np.unique(runs):
                at = rows[runs == number]
                targets[at] = rng.permutation(design.target_ids[at])
        groups = []
    if len(design.splits) == 1:
        groups = [design.splits[0][0], *(each.rows for each in design.sets)]
    for rows in groups:
        images, of_row = np.unique(design.target_ids[rows], return_inverse=True)
        targets[rows] = rng.permutation(images)[of_row]
    # What is decoded is what was shown, but for test sets that say otherwise.
    shown = np.where(design.stimulus_ids == design.target_ids, targets, design.stimulus_ids)
    return replace(design, stimulus_ids=shown, target_ids=targets)
