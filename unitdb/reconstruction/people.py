"""Whose responses pictures are made from: a person's, or all people's side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import RecipeError
from unitdb.recipes import CROSS_VALIDATED, MEAN, DatasetInput, ReconstructionSpec
from unitdb.responses import average_repeats, image_folds
from unitdb.sealed import sealing

__all__ = ["Person", "people_of", "write_person"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Responses of a person, arranged for the pictures of a test set.

    Parameters
    ----------
    name : str
        The subject, or ``mean``.
    subjects : tuple of int
        Positions of those whose voxels stand side by side.
    targets : array of shape (n_rows,), str
        Stimulus that each sample is of.
    splits : tuple of (train_rows, test_rows)
    """

    name: str
    subjects: tuple[int, ...]
    targets: NDArray[np.str_]
    splits: tuple[tuple[Rows, Rows], ...]

    @property
    def pictures(self) -> tuple[str, ...]:
        """Stimuli that are held out, by id."""
        held_out = np.concatenate([test for _, test in self.splits])
        return tuple(np.unique(self.targets[held_out]).tolist())

    @property
    def trained(self) -> tuple[str, ...]:
        """Stimuli that train, by id."""
        train = np.concatenate([train for train, _ in self.splits])
        return tuple(np.unique(self.targets[train]).tolist())

    def same_pictures(self, other: Person) -> bool:
        """Whether the same samples train and are held out.

        Returns
        -------
        bool
            One set of targets serves both.
        """
        return self.targets.tolist() == other.targets.tolist() and all(
            np.array_equal(a, b)
            for own, its in zip(self.splits, other.splits, strict=False)
            for a, b in zip(own, its, strict=True)
        )


def people_of(
    spec: ReconstructionSpec, dataset: DatasetInput, condition: str, *, seed: int
) -> list[Person]:
    """Whose pictures a method makes: the mean first, then people in the order of the dataset.

    Returns
    -------
    list of Person
        The mean where it is asked for, or can be made of several people.

    Raises
    ------
    RecipeError
        The mean is asked for, and people have seen other pictures, or in other folds.
    """
    single = [
        _person(spec, dataset, number, condition, seed) for number in range(len(dataset.subjects))
    ]
    names = [person.name for person in single]
    several = len(single) > 1
    asked = spec.subjects or [*([MEAN] if several else []), *names]
    chosen = [person for person in single if person.name in asked]
    if MEAN not in asked:
        return chosen
    first = single[0]
    other = next((p for p in single if not first.same_pictures(p)), None)
    if other is not None:
        if spec.subjects is None:
            return chosen
        raise RecipeError(
            f"reconstruction {spec.name!r}: no mean of people: the samples of {first.name} and "
            f"{other.name} in {dataset.spec.name}, {condition}, are of other pictures; name people "
            "in `subjects`"
        )
    mean = Person(
        name=MEAN,
        subjects=tuple(range(len(single))),
        targets=first.targets,
        splits=first.splits,
    )
    return [mean, *chosen]


def _person(
    spec: ReconstructionSpec, dataset: DatasetInput, number: int, condition: str, seed: int
) -> Person:
    subject = dataset.subjects[number]
    targets, splits, _ = _arranged(spec, dataset, number, condition, seed)
    return Person(name=subject.subject, subjects=(number,), targets=targets, splits=splits)


def _arranged(
    spec: ReconstructionSpec, dataset: DatasetInput, number: int, condition: str, seed: int
) -> tuple[
    NDArray[np.str_],
    tuple[tuple[Rows, Rows], ...],
    Callable[[NDArray[np.floating]], NDArray[np.floating]],
]:
    """Targets and splits in an order that does not depend on that of presentation.

    And what brings the responses of all samples into it.
    """
    design = dataset.subjects[number].design
    if condition == CROSS_VALIDATED:
        of_set = design.sets[0].rows
        used = np.concatenate([design.splits[0][0], of_set]) if len(design.splits) == 1 else of_set
        ids = np.unique(design.target_ids[used])
        folds = image_folds(len(ids), spec.folds or 2, seed=seed)

        def averaged(values: NDArray[np.floating]) -> NDArray[np.floating]:
            means, names = average_repeats(values[used], design.target_ids[used])
            found: NDArray[np.floating] = means[np.argsort(names)]
            return found

        return ids, folds, averaged
    tested = design.held_out(condition).rows
    used = np.unique(np.concatenate([tested, *(train for train, _ in design.splits)]))
    order = used[np.argsort(design.target_ids[used], kind="stable")]
    place = np.full(len(design.values), -1)
    place[order] = np.arange(len(order))
    splits = tuple(
        (np.sort(place[train]), np.sort(place[own]))
        for train, test in design.splits
        if len(own := test[np.isin(test, tested)])
    )

    def ordered(values: NDArray[np.floating]) -> NDArray[np.floating]:
        found: NDArray[np.floating] = values[order]
        return found

    return design.target_ids[order], splits, ordered


def write_person(
    path: Path,
    person: Person,
    spec: ReconstructionSpec,
    dataset: DatasetInput,
    condition: str,
    *,
    rows: dict[str, int],
    seed: int,
) -> None:
    """Write what decoding a person takes: a sealed ``.npz`` file.

    ``values`` (n_samples, n_voxels): voxels of all ROIs and people side by side, those of each ROI
    and person divided by one number, so that they vary alike in the samples that train (their
    kernels have trace 1). ``rows``: row of the features of each sample. ``train-K``, ``test-K``.

    Parameters
    ----------
    path : Path
    person : Person
    spec : ReconstructionSpec
    dataset : DatasetInput
    condition : str
    rows : dict of str to int
        Row of the features of each stimulus.
    seed : int
        Of the folds.
    """
    train = np.unique(np.concatenate([train for train, _ in person.splits]))
    blocks = []
    for number in person.subjects:
        _, _, arrange = _arranged(spec, dataset, number, condition, seed)
        subject = dataset.subjects[number]
        values = arrange(subject.design.values)
        blocks += [values[:, subject.rois[roi]] for roi in spec.rois or dataset.rois]
    if len(blocks) > 1:
        blocks = [_alike(block, train, len(blocks)) for block in blocks]
    arrays = {"values": np.concatenate(blocks, axis=1)}
    arrays["rows"] = np.array([rows[name] for name in person.targets.tolist()])
    for number, (own, test) in enumerate(person.splits):
        arrays |= {f"train-{number}": own, f"test-{number}": test}
    with sealing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _alike(block: NDArray[np.floating], train: Rows, n_blocks: int) -> NDArray[np.float64]:
    own = block[train].astype(np.float64)
    trace = float(((own - own.mean(axis=0)) ** 2).sum())
    return np.asarray(block / np.sqrt(trace * n_blocks if trace > 0 else 1.0), dtype=np.float64)


def positions(names: Sequence[str], of: Sequence[str]) -> Rows:
    """Place of each name among others."""
    place = {name: number for number, name in enumerate(of)}
    return np.array([place[name] for name in names], dtype=np.intp)
