"""A dataset as it is decoded: the designs of its subjects, and what is common to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli
from unitdb.responses import DatasetSpec, Design, HeldOut
from unitdb.tables import Use

__all__ = ["DatasetInput", "SubjectInput"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectInput:
    """Responses of one subject, arranged for decoding.

    Parameters
    ----------
    subject : str
        Identifier.
    design : Design
        Samples and splits.
    rois : dict of str to array of shape (n_voxels,), bool
        The ROIs to decode, by name in code-point order.
    categories : dict of str to tuple of str
        Stimuli of each category that a test set decodes.
    sha256 : str
        Hash of the responses.
    """

    subject: str
    design: Design
    rois: dict[str, NDArray[np.bool_]]
    categories: dict[str, tuple[str, ...]]
    sha256: str

    def shown(self, condition: str) -> NDArray[np.str_]:
        """Stimuli of the held-out rows of a test set, in the order of predictions."""
        ids: NDArray[np.str_] = self.design.stimulus_ids[self.design.held_out(condition).rows]
        return ids

    def targets(self, condition: str) -> NDArray[np.str_]:
        """What is decoded from these."""
        ids: NDArray[np.str_] = self.design.target_ids[self.design.held_out(condition).rows]
        return ids

    @property
    def n_presentations(self) -> int:
        """Single presentations of test images that are decoded besides their averages."""
        repeats = (each.repeats for each in self.design.sets)
        return sum(each[..., 0].size for each in repeats if each is not None)


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetInput:
    """A dataset, read.

    Parameters
    ----------
    spec : DatasetSpec
        Its description.
    stimuli : Stimuli
        Its pictures.
    split_of : dict of str to str
        Use of each stimulus that was shown.
    subjects : tuple of SubjectInput
        In code-point order of their ids.
    rois : tuple of str
        The ROIs to decode, in code-point order.
    categories : dict of str to tuple of str
        Stimuli of each category that a test set decodes.
    hierarchy : tuple of str
        Those that BH scores are over, from early to late.
    uses : tuple of Use
        The files that were read, and what for.
    times : dict of str to dict of str to float
        Of each test set whose time course is asked for, the names of the sets of its times, and the
        times in seconds, ascending.
    unpublished : frozenset of str
        Test sets that are decoded for measures alone.
    """

    spec: DatasetSpec
    stimuli: Stimuli
    split_of: dict[str, str]
    subjects: tuple[SubjectInput, ...]
    rois: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    hierarchy: tuple[str, ...]
    uses: tuple[Use, ...]
    times: dict[str, dict[str, float]] = field(default_factory=dict)
    unpublished: frozenset[str] = frozenset()

    @property
    def sets(self) -> tuple[HeldOut, ...]:
        """The test sets of the release, as those of the first subject are."""
        return tuple(each for each in self.all_sets if each.name not in self.unpublished)

    @property
    def all_sets(self) -> tuple[HeldOut, ...]:
        """All that are decoded."""
        return self.subjects[0].design.sets

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the test sets of the release."""
        return tuple(each.name for each in self.sets)

    def n_targets(self, condition: str) -> int:
        """Different targets of a test set, of the subject with the fewest: independent images."""
        return min(len(set(subject.targets(condition).tolist())) for subject in self.subjects)

    def n_presentations(self, condition: str) -> int | None:
        """Single presentations of each image of a test set, of the subject with the fewest."""
        repeats = [subject.design.held_out(condition).repeats for subject in self.subjects]
        return min((len(each) for each in repeats if each is not None), default=None)

    def share_targets(self, condition: str) -> bool:
        """Whether samples of a test set share targets: they are then not independent images."""
        return self.n_targets(condition) < len(self.subjects[0].targets(condition))
