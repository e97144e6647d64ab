"""How the samples of a subject are arranged for decoding, in the file that workers read.

The ``.npz`` file holds ``values`` (n_rows, n_voxels); ``rows`` (1 + n_controls, n_rows), for each
sample the row of the activations that is decoded from it, then the same with images shuffled;
``train-K`` and ``test-K`` of each split; ``sets``, names of the test sets, and ``set-K``, their
rows, ``by-K``, the order of these by the ids of their stimuli, as a release has them, with
``repeats-K`` and ``averaged-K`` where single presentations are decoded; and ``members`` with
``ends``: rows of the activations whose mean is that of a category, one category after the other.
Categories stand below the stored activations (:func:`true_rows`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations
from unitdb.responses import Design, category_means
from unitdb.sealed import read_npz

__all__ = ["Arranged", "arranged_of", "load_arranged", "true_rows"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranged:
    """Which samples train, which are held out, and what is decoded from each.

    Parameters
    ----------
    splits : list of (train_rows, test_rows)
    rows : array of shape (1 + n_controls, n_rows)
        Row of the activations of each sample, by :func:`true_rows`.
    set_rows : list of array of int
        Held-out rows of each test set.
    sets : dict of str to array of int
        Places of these among all held-out rows, which predictions are in the order of.
    by_name : dict of str to array of int
        Order of the samples of each test set by the ids of their stimuli, as a release has them.
    members : list of array of int
        Rows of the stored activations of each category.
    """

    splits: list[tuple[Rows, Rows]]
    rows: Rows
    set_rows: list[Rows]
    sets: dict[str, Rows]
    by_name: dict[str, Rows]
    members: list[Rows]

    def held_out(self, name: str) -> Rows:
        """Rows of a test set, in the order of predictions."""
        return self.set_rows[list(self.sets).index(name)]

    def only(self, names: Collection[str]) -> Arranged:
        """The same without the held-out rows of other test sets."""
        if len(names) == len(self.sets):
            return self
        set_rows = [self.held_out(name) for name in self.sets if name in names]
        tested = np.concatenate(set_rows)
        splits = [(train, test[np.isin(test, tested)]) for train, test in self.splits]
        place = np.empty(self.rows.shape[1], dtype=np.intp)
        held_out = np.concatenate([test for _, test in splits])
        place[held_out] = np.arange(len(held_out))
        kept = [name for name in self.sets if name in names]
        return replace(
            self,
            splits=splits,
            set_rows=set_rows,
            sets={name: place[rows] for name, rows in zip(kept, set_rows, strict=True)},
            by_name={name: self.by_name[name] for name in kept},
        )


def arranged_of(
    designs: Sequence[Design], activations: Activations, categories: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Arrays of the file, all but the masks.

    Parameters
    ----------
    designs : sequence of Design
        The true one, then those with images shuffled.
    activations : Activations
    categories : mapping of str to sequence of str
        Stimuli of each category.
    """
    design = designs[0]
    targets = np.unique(design.target_ids).tolist()
    averages = [name for name in targets if name in categories]
    pictures = [name for name in targets if name not in categories]
    row_of = dict(zip(pictures, activations.rows(pictures).tolist(), strict=True))
    row_of |= {name: len(activations.stimulus_ids) + place for place, name in enumerate(averages)}
    members = [activations.rows(list(categories[name])) for name in averages]
    arrays: dict[str, Any] = {
        "values": design.values,
        "rows": np.array([[row_of[name] for name in d.target_ids.tolist()] for d in designs]),
        "sets": np.array([each.name for each in design.sets]),
        "members": np.concatenate([np.empty(0, dtype=np.intp), *members]),
        "ends": np.cumsum([len(one) for one in members], dtype=np.intp),
    }
    for number, (train, test) in enumerate(design.splits):
        arrays |= {f"train-{number}": train, f"test-{number}": test}
    for number, each in enumerate(design.sets):
        arrays[f"set-{number}"] = each.rows
        arrays[f"by-{number}"] = np.argsort(design.stimulus_ids[each.rows], kind="stable")
        if each.repeats is not None:
            arrays[f"repeats-{number}"] = each.repeats
            arrays[f"averaged-{number}"] = np.float64(each.averaged)
    return arrays


def load_arranged(path: Path) -> Arranged:
    """Read the arrangement of a subject's samples, without the samples."""
    kinds = ("train-", "test-", "set", "by-", "rows", "members", "ends")
    arrays = read_npz(path, lambda name: name.startswith(kinds))
    n_splits = sum(name.startswith("train-") for name in arrays)
    splits = [(arrays[f"train-{i}"], arrays[f"test-{i}"]) for i in range(n_splits)]
    names = arrays["sets"].tolist()
    set_rows = [arrays[f"set-{number}"] for number in range(len(names))]
    held_out = np.concatenate([test for _, test in splits])
    place = np.empty(arrays["rows"].shape[1], dtype=np.intp)
    place[held_out] = np.arange(len(held_out))
    return Arranged(
        splits=splits,
        rows=arrays["rows"],
        set_rows=set_rows,
        sets={name: place[rows] for name, rows in zip(names, set_rows, strict=True)},
        by_name={name: arrays[f"by-{number}"] for number, name in enumerate(names)},
        members=np.split(arrays["members"], arrays["ends"][:-1]) if len(arrays["ends"]) else [],
    )


def true_rows(stored: NDArray[np.floating], arranged: Arranged) -> NDArray[np.floating]:
    """Stored activations, and below them the mean of each category, rounded as they are.

    Parameters
    ----------
    stored : array of shape (n_stimuli, n_units)
    arranged : Arranged

    Returns
    -------
    array of shape (n_stimuli + n_categories, n_units)
    """
    if not arranged.members:
        return stored
    return np.concatenate([stored, category_means(stored, arranged.members)])
