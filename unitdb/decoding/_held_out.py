"""Held-out rows: of test sets, of splits, and the order of their predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ResponsesError
from unitdb.resolution import is_constant

__all__ = ["HeldOutRows", "folds", "make_sets", "of_sets", "slice_of", "x_of_set"]

Rows = NDArray[np.intp]
Split = tuple[Rows, Rows]
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutRows:
    """Held-out rows that accuracies are over together.

    Parameters
    ----------
    rows : array of shape (n_held_out,)
        Rows of the responses.
    places : slice or array of int
        Where they stand among the predictions.
    repeats : array of shape (n_repeats, n_held_out, n_voxels)
        Their single presentations; n_repeats may be 0.
    """

    rows: Rows
    places: slice | Rows
    repeats: Array


def make_sets(
    sets: Sequence[Rows],
    repeats: NDArray[np.floating] | Sequence[NDArray[np.floating] | None],
    n_voxels: int,
    test_rows: Rows,
) -> list[HeldOutRows]:
    """Test sets, each with its single presentations, and where it stands among all held-out rows.

    Raises
    ------
    ResponsesError
        Presentations of another shape, or rows that are not the held-out ones.
    """
    if not np.array_equal(np.sort(np.concatenate(list(sets))), np.sort(test_rows)):
        raise ResponsesError("the rows of the test sets are not the held-out rows")
    if not np.array_equal(np.concatenate(list(sets)), test_rows):
        return _apart(sets, n_voxels, test_rows)
    found, start = [], 0
    for rows, single in zip(sets, repeats, strict=True):
        own = np.empty((0, len(rows), n_voxels))
        if single is not None:
            own = np.asarray(single, dtype=np.float64)
        if own.shape[1:] != (len(rows), n_voxels):
            raise ResponsesError(
                f"repeats of shape {own.shape}; they should be (n_repeats, {len(rows)} "
                f"held-out rows, {n_voxels} voxels)"
            )
        stop = start + len(rows)
        found.append(HeldOutRows(rows=np.asarray(rows), places=slice(start, stop), repeats=own))
        start = stop
    return found


def _apart(sets: Sequence[Rows], n_voxels: int, test_rows: Rows) -> list[HeldOutRows]:
    """Test sets of which each split holds out some rows."""
    order = np.argsort(test_rows)
    nothing = np.empty((0, 0, n_voxels))
    return [
        HeldOutRows(
            rows=np.asarray(rows),
            places=order[np.searchsorted(test_rows, rows, sorter=order)],
            repeats=nothing,
        )
        for rows in sets
    ]


def folds(
    splits: Sequence[Split], sets: Sequence[HeldOutRows]
) -> Iterator[tuple[Rows, list[tuple[Rows, Array]]]]:
    """Training rows of each split, and its groups of held-out rows with their repeats.

    The groups of a split of several test sets are the sets; of one set a fold is one group.
    """
    if len(sets) > 1 and len(splits) == 1:
        yield splits[0][0], [(of_set.rows, of_set.repeats) for of_set in sets]
        return
    if len(sets) > 1:
        for train, test in splits:
            parts = (of_set.rows[np.isin(of_set.rows, test)] for of_set in sets)
            yield (
                train,
                [(rows, np.empty((0, len(rows), sets[0].repeats.shape[2]))) for rows in parts],
            )
        return
    ends = np.cumsum([len(test) for _, test in splits])[:-1]
    repeats = np.split(sets[0].repeats, ends, axis=1)
    for (train, test), of_split in zip(splits, repeats, strict=True):
        yield train, [(test, of_split)]


def x_of_set(x: Array, rows: Rows, repeats: Array, *, resolution: float) -> tuple[Array, bool]:
    """Held-out images of a group, below them single presentations; whether all are the same."""
    averages = x[rows]
    if not len(averages):
        return averages, True
    # Averages of unequally many presentations differ by an ulp.
    still = is_constant(averages, resolution=resolution)
    averages[:, still] = averages[0, still]
    return np.concatenate([averages, *repeats]), bool(still.all())


def of_sets(
    groups: Sequence[Array], sets: Sequence[HeldOutRows], *, repeats: bool
) -> list[list[Array]]:
    """For each set predictions from averages, then from each presentation if asked.

    Parameters
    ----------
    groups : sequence of array of shape (n_rows, n_units)
        Predictions of the groups of :func:`folds`, as :func:`x_of_set` stacks them.
    sets : sequence of HeldOutRows
    repeats : bool
        Whether they are from single presentations too.

    Returns
    -------
    list of list of array of shape (n_held_out, n_units)
    """
    n_units = groups[0].shape[1]
    if len(groups) > len(sets) > 1:  # of each split its part of all sets
        return [[np.concatenate(groups[number :: len(sets)])] for number in range(len(sets))]
    if len(sets) > 1:
        return [
            list(rows.reshape(-1, of_set.repeats.shape[1], n_units))
            for of_set, rows in zip(sets, groups, strict=True)
        ]
    if not repeats or not len(sets[0].repeats):
        return [[np.concatenate(groups) if len(groups) > 1 else groups[0]]]
    # A split has its averages, then its first presentations, …
    n = 1 + len(sets[0].repeats)
    splits = [rows.reshape(n, -1, n_units) for rows in groups]
    return [list(np.concatenate(splits, axis=1))]


def slice_of(rows: Rows) -> Rows | slice:
    """Rows as a slice where they follow each other, which then need not be copied."""
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(rows[0]), int(rows[0]) + len(rows))
    return rows
