"""Categories of stimuli, by the rule that dataset.yaml gives, and their mean activations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError
from unitdb.responses.sets import read_pairs
from unitdb.responses.stimuli_spec import CategoryRule
from unitdb.sources import data_folder

__all__ = ["category_means", "category_pairs", "members_of"]


def members_of(stimuli: Any, ids: Sequence[str], data: Path | None) -> dict[str, tuple[str, ...]]:
    """Stimuli of each category, in their order; none of categories that are stimuli themselves.

    Parameters
    ----------
    stimuli : Spec
        The part of dataset.yaml, with the rule if there is one.
    ids : sequence of str
        Of all stimuli.
    data : Path, optional
        Data folder, which a table is in.

    Raises
    ------
    DatasetError
        The table cannot be read, or names no stimulus of the dataset.
    """
    rule = getattr(stimuli, "categories", None)
    if rule is None:
        return {}
    known, found = frozenset(ids), dict[str, list[str]]()
    for name, category in category_pairs(rule, ids, data):
        if category not in known:
            found.setdefault(category, []).append(name)
    return {category: tuple(names) for category, names in found.items()}


def category_pairs(
    rule: CategoryRule, ids: Sequence[str], data: Path | None
) -> list[tuple[str, str]]:
    """Stimuli that have a category, each with its own, in the order of ``ids``.

    Raises
    ------
    DatasetError
        The table cannot be read, or names none of the stimuli.
    """
    if rule.before is not None:
        cut = ((name, name.rpartition(rule.before)[0]) for name in ids)
        return [(name, category) for name, category in cut if category]
    path = data_folder(data) / str(rule.table)
    table = read_pairs(path, "stimulus", "category")
    pairs = [(name, table[name]) for name in ids if name in table]
    if not pairs:
        raise DatasetError(f"{path}: names none of the {len(ids)} stimuli of the dataset")
    return pairs


def category_means(
    stored: NDArray[np.floating], members: Sequence[NDArray[np.intp]]
) -> NDArray[np.floating]:
    """Mean activation of each category, rounded as activations are.

    Summed one by one: the same bits however many units stand side by side.

    Parameters
    ----------
    stored : array of shape (n_stimuli, n_units)
    members : sequence of array of int
        Rows of each category.

    Returns
    -------
    array of shape (n_categories, n_units)
    """
    means = np.zeros((len(members), stored.shape[1]))
    for mean, rows in zip(means, members, strict=True):
        for row in rows.tolist():
            mean += stored[row]
        mean /= len(rows)
    return means.astype(stored.dtype)
