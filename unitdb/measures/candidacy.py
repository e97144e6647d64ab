"""What predictions of a test set are identified among: candidates, targets, roles, categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations, LayerInfo
from unitdb.candidates import CandidateSet
from unitdb.errors import RecipeError, closest
from unitdb.predictions import sample_positions, stored_positions
from unitdb.recipes import IdentificationSpec, Job, SubjectInput
from unitdb.sealed import is_sealed, sealing
from unitdb.texts import fits

__all__ = ["Among", "Candidates", "conditions_of", "trained_of", "units_of", "write_features"]

_BYTES = 1 << 26  # of features that are copied together
_LISTED = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """A candidate set of a recipe, as a job has it: its candidates for all test sets together.

    Parameters
    ----------
    name : str
        Of the set.
    job : Job
    activations : Activations
        Of the job's stimuli.
    """

    name: str
    job: Job
    activations: Activations

    @property
    def spec(self) -> IdentificationSpec:
        """What the recipe says."""
        return _spec(self.job)

    @property
    def given(self) -> CandidateSet | None:
        """The set beside the targets; None of kind ``own``."""
        return self.job.candidates.get(self.name)

    @property
    def by_set(self) -> bool:
        """Whether the true candidate is one of the set, with its features."""
        return self.spec.targets_of(self.name) == "set"

    @cached_property
    def own(self) -> CandidateSet:
        """What is decoded from any test set that is identified, as candidates."""
        subjects, conditions = self.job.dataset.subjects, conditions_of(self.job)
        ids = {t for s in subjects for c in conditions for t in s.targets(c).tolist()}
        return CandidateSet.from_activations(
            name=self.name,
            activations=self.activations,
            ids=sorted(ids),
            categories=self.job.dataset.categories,
        )

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """All candidates, ascending: rows of the features."""
        names = set() if self.by_set else set(self.own.ids)
        return tuple(sorted(names | (set() if self.given is None else set(self.given.ids))))

    @cached_property
    def sources(self) -> tuple[tuple[CandidateSet, NDArray[np.intp], NDArray[np.intp]], ...]:
        """Of either set which of its rows are candidates, and which candidates these are."""
        place, found, taken = {name: i for i, name in enumerate(self.ids)}, [], set[str]()
        for each in (None if self.by_set else self.own, self.given):
            rows = [] if each is None else [(i, name) for i, name in enumerate(each.ids)]
            rows = [(i, name) for i, name in rows if name not in taken]
            taken.update(name for _, name in rows)
            if each is not None and rows:
                own, at = zip(*((i, place[name]) for i, name in rows), strict=True)
                found.append((each, np.array(own, np.intp), np.array(at, np.intp)))
        return tuple(found)

    def true_of(self, target: str) -> str:
        """The true candidate of what is decoded from a sample.

        Raises
        ------
        RecipeError
            The set has neither the target nor its category.
        """
        if not self.by_set or self.given is None:
            return target
        known = frozenset(self.given.ids)
        for name in (target, self.category_of.get(target)):
            if name in known:
                return str(name)
        near = closest(target, self.given.ids) or list(self.given.ids[:_LISTED])
        raise RecipeError(
            f"identification.targets: {self.name}: the set has no candidate of target {target!r}, "
            f"nor of its category; near: {', '.join(near)}"
        )

    @cached_property
    def category_of(self) -> Mapping[str, str]:
        """Category of each stimulus of the dataset that has one."""
        found = {}
        rule = getattr(self.job.dataset.spec.stimuli, "categories", None)
        if rule is not None and rule.before is not None:  # also where the category is a stimulus
            cut = ((name, name.rpartition(rule.before)[0]) for name in self.job.dataset.stimuli.ids)
            found = {name: category for name, category in cut if category}
        of = self.job.dataset.subjects[0].categories
        return found | {member: name for name, members in of.items() for member in members}

    @cached_property
    def categories(self) -> tuple[str | None, ...]:
        """Category of each candidate, for rates within and between."""
        stated = self.spec.categories
        found: list[str | None] = []
        for name in self.ids:
            fitting = (c for c, patterns in stated.items() if any(fits(name, p) for p in patterns))
            found.append(next(fitting, None) if stated else self.category_of.get(name))
        return tuple(found)

    def among(self, condition: str) -> Among:
        """The candidates of a test set."""
        return Among(self, condition)


class Among:
    """Candidates that predictions of a test set are identified among.

    Parameters
    ----------
    candidates : Candidates
    condition : str
    """

    def __init__(self, candidates: Candidates, condition: str) -> None:
        self.set, self.condition = candidates, condition
        self._trained: dict[str, NDArray[np.bool_]] = {}
        subjects = candidates.job.dataset.subjects
        decoded = sorted({t for s in subjects for t in s.targets(condition).tolist()})
        self.true_of = {target: candidates.true_of(target) for target in decoded}
        names = set(self.true_of.values())
        if candidates.given is not None:
            names |= set(candidates.given.ids)
        self.columns = np.flatnonzero([name in names for name in candidates.ids])
        self.ids = tuple(candidates.ids[i] for i in self.columns)
        self.place = {name: i for i, name in enumerate(self.ids)}
        self.targets = tuple(sorted(set(self.true_of.values())))

    @cached_property
    def own(self) -> NDArray[np.intp]:
        """Columns of the targets."""
        return np.array([self.place[name] for name in self.targets], dtype=np.intp)

    def of_targets(self, decoded: Sequence[str]) -> NDArray[np.intp]:
        """Which target each prediction is of, by what is decoded from it."""
        at = {name: i for i, name in enumerate(self.targets)}
        return np.array([at[self.true_of[name]] for name in decoded], dtype=np.intp)

    @cached_property
    def codes(self) -> NDArray[np.int32] | None:
        """Category of each candidate as a number, -1 without one; None where there is none."""
        names = [self.set.categories[i] for i in self.columns]
        known = sorted({name for name in names if name is not None})
        if not known:
            return None
        code = {name: number for number, name in enumerate(known)}
        return np.array([-1 if name is None else code[name] for name in names], dtype=np.int32)

    def trained(self, subject: SubjectInput) -> NDArray[np.bool_]:
        """Candidates that train a subject's decoders: of each split, (n_splits, n_candidates)."""
        if subject.subject not in self._trained:
            self._trained[subject.subject] = trained_of(subject, self.ids)
        return self._trained[subject.subject]

    @cached_property
    def roles(self) -> list[str]:
        """Role of each candidate, as table ``candidates`` has it."""
        subjects = self.set.job.dataset.subjects
        trains = np.any([self.trained(subject).any(axis=0) for subject in subjects], axis=0)
        targets = frozenset(self.targets)
        return [
            "target" if name in targets else "trained" if trained else "other"
            for name, trained in zip(self.ids, trains.tolist(), strict=True)
        ]


def trained_of(subject: SubjectInput, ids: Sequence[str]) -> NDArray[np.bool_]:
    """Candidates that train a subject's decoders: they, or one of the category that they are.

    Returns
    -------
    array of bool of shape (n_splits, n_candidates)
    """
    names, of_row = np.unique(subject.design.target_ids, return_inverse=True)
    trains = np.zeros((len(subject.design.splits), len(names)), dtype=bool)
    for split, (rows, _) in enumerate(subject.design.splits):
        trains[split, of_row[rows]] = True
    place = {name: i for i, name in enumerate(names.tolist())}
    found = np.zeros((len(trains), len(ids)), dtype=bool)
    for column, name in enumerate(ids):
        members = (place.get(one) for one in (name, *subject.categories.get(name, ())))
        if own := [at for at in members if at is not None]:
            found[:, column] = trains[:, own].any(axis=1)
    return found


def _spec(job: Job) -> IdentificationSpec:
    if job.recipe.identification is None:
        raise RecipeError("the recipe identifies nothing (`identification`)")
    return job.recipe.identification


def conditions_of(job: Job) -> list[str]:
    """Test sets whose predictions are identified.

    Raises
    ------
    RecipeError
        A pattern fits none of those that are decoded.
    """
    patterns, known = _spec(job).tests, job.dataset.conditions
    if patterns is None:
        return [each.name for each in job.dataset.sets if each.test.time is None]
    for pattern in patterns:
        if not any(fits(name, pattern) for name in known):
            raise RecipeError(
                f"identification.tests: {pattern!r} fits none of the test sets that are decoded "
                f"of {job.dataset.spec.name}: {', '.join(known)}"
            )
    return [name for name in known if any(fits(name, pattern) for pattern in patterns)]


def units_of(
    job: Job, activations: Activations, layer: LayerInfo
) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Units of a layer that patterns are of, and their places among those that are stored.

    Raises
    ------
    RecipeError
        Fewer than two are stored and in all candidate sets.
    """
    spec, every = _spec(job), activations.units(layer.name)
    stored = stored_positions(job, layer, every)
    few = sample_positions(layer, every, spec.units, seed=job.recipe.selection.seed)
    chosen = np.intersect1d(stored, few)
    if len(chosen) < min(len(stored), spec.units):  # those stored are no such sample
        chosen = stored[: spec.units]
    units = every[chosen]
    for each in job.candidates.values():
        units = np.intersect1d(units, each.units(layer.name))
    if len(units) < 2:
        raise RecipeError(
            f"identification: layer {layer.name}: {len(units)} units are stored and in all "
            f"candidate sets ({', '.join(job.candidates)}); patterns need two or more"
        )
    return units, np.searchsorted(every[stored], units)


def write_features(
    path: Path, candidates: Candidates, layer: str, units: NDArray[np.int32]
) -> None:
    """Write the features of all candidates to a ``.npy`` file, (n_candidates, n_units), float32."""
    if is_sealed(path):
        return
    shape = (len(candidates.ids), len(units))
    size = max(1, _BYTES // (4 * len(units)))
    with sealing(path) as temporary:
        found = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        for each, rows, at in candidates.sources:
            for start in range(0, len(each), size):
                stop = min(start + size, len(each))
                some = slice(*np.searchsorted(rows, [start, stop]))
                if some.start < some.stop:
                    block = each.features(layer, units, start=start, stop=stop)
                    found[at[some]] = block[rows[some] - start]
        found.flush()
        del found
