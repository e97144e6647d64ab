"""Responses of one subject: what every dataset reader returns and the build decodes from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ResponsesError, UnknownRoiError
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN, TestSpec
from unitdb.specs import as_id, canonical_json

__all__ = ["ROI_OF_ALL", "Responses", "TestSet"]

ROI_OF_ALL = (
    "all subjects need each ROI: leave it out of `rois` in dataset.yaml, or make a dataset of the "
    "subjects that have it"
)
"""The way out where an ROI was not found in a subject."""

_SHOWN = 5
_NO_TEST = (TRAIN, CROSS_VALIDATION)
_NO_IDS: NDArray[np.str_] = np.empty(0, dtype=np.str_)


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """What a test set shows, and under which condition; its samples stand in :class:`Responses`.

    Parameters
    ----------
    average : bool
        Whether presentations of a stimulus are averaged before they are decoded.
    targets : {'pictures', 'categories', 'stimuli'}
        What is decoded: the stimulus shown, its category, or another stimulus.
    seen_in_training : bool
        That its stimuli may train the decoder too.
    time, level : float, optional
        Seconds from the onset of a presentation, and how strong a manipulation is.
    prior : str, optional
        What the subject knew beforehand.
    labels : str
        Anything else, for people.
    """

    __test__ = False  # no class of tests, for pytest

    average: bool = True
    targets: str = "pictures"
    seen_in_training: bool = False
    time: float | None = None
    level: float | None = None
    prior: str | None = None
    labels: str = ""

    def identity(self) -> str:
        """All that numbers depend on, as text: not the words that :class:`TestSpec` names."""
        names = {each.name for each in fields(self)} - TestSpec.no_number
        return canonical_json({name: getattr(self, name) for name in names})


@dataclass(frozen=True, kw_only=True, eq=False)
class Responses:
    """fMRI responses of one subject to stimuli that are named by id.

    Parameters
    ----------
    dataset : str
        Name of the dataset.
    subject : str
        Identifier of the subject.
    values : array of shape (n_samples, n_voxels), float
        Responses as the dataset gives them (not z-scored); a sample is one presentation.
    stimulus_ids : array of shape (n_samples,), str
        Stimulus of each sample. Repeated presentations repeat the id.
    split : array of shape (n_samples,), str
        ``"train"`` or the name of a test set for each sample, or ``"cross-validation"`` for all.
    target_ids : array of shape (n_samples,), str, optional
        What each sample is of: a stimulus or a category whose activation is decoded from it. By
        default the stimulus that was shown.
    tests : mapping of str to TestSet, optional
        The test sets, by name.
    rois : mapping of str to array of shape (n_voxels,), bool
        Voxels of each region of interest. Regions may overlap.
    condition : str
        Name of what is cross-validated; where there are test sets, these have names of their own.
    average : bool
        Whether presentations that are cross-validated are averaged before they are decoded.
    runs : array of shape (n_samples,), int, optional
        Number of the run of each sample, where runs are cross-validated: what is
        ``cross-validation`` trains as well, and test sets are of times from onset.
    certain : array of shape (n_samples,), optional
        1 where the subject was certain of what they saw, 0 where not, NaN where nothing is known.

    Raises
    ------
    ResponsesError
        Shapes that disagree, values that are not finite, an empty region, a stimulus that trains
        and is tested, or nothing that trains, or is tested.
    """

    dataset: str
    subject: str
    values: NDArray[np.floating]
    stimulus_ids: NDArray[np.str_]
    split: NDArray[np.str_]
    rois: Mapping[str, NDArray[np.bool_]]
    condition: str = "perception"
    target_ids: NDArray[np.str_] = field(default_factory=lambda: _NO_IDS)
    tests: Mapping[str, TestSet] = field(default_factory=dict)
    average: bool = True
    runs: NDArray[np.intp] | None = None
    certain: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        place = f"{self.dataset}/{self.subject}"
        ids = _as_ids(self.stimulus_ids)
        object.__setattr__(self, "stimulus_ids", ids)
        targets = ids if self.target_ids is _NO_IDS else _as_ids(self.target_ids)
        object.__setattr__(self, "target_ids", targets)
        if not self.tests:
            names = dict.fromkeys(name for name in self.split.tolist() if name not in _NO_TEST)
            object.__setattr__(self, "tests", {name: TestSet() for name in names})
        if (ids == "").any():
            raise ResponsesError(f"{place}: sample {int((ids == '').argmax())} has an empty id")
        if self.values.ndim != 2:
            raise ResponsesError(
                f"{place}: responses have shape {self.values.shape}, expected (samples, voxels)"
            )
        n_samples, n_voxels = self.values.shape
        for name, array in (
            ("stimulus ids", self.stimulus_ids),
            ("targets", self.target_ids),
            ("splits", self.split),
            ("runs", self.stimulus_ids if self.runs is None else self.runs),
        ):
            if array.shape != (n_samples,):
                raise ResponsesError(
                    f"{place}: {n_samples} rows of responses but {array.size} {name}"
                )
        bad = ~np.isfinite(self.values)
        if bad.any():
            row, voxel = (int(i) for i in np.argwhere(bad)[0])
            raise ResponsesError(
                f"{place}: {int(bad.sum())} responses are NaN or infinite, the first in sample "
                f"{row} (stimulus {str(self.stimulus_ids[row])!r}), voxel {voxel}"
            )
        for roi, mask in self.rois.items():
            if mask.shape != (n_voxels,) or mask.dtype != np.bool_:
                raise ResponsesError(
                    f"{place}: the mask of ROI {roi!r} has shape {mask.shape} and type "
                    f"{mask.dtype}, expected ({n_voxels},) bool"
                )
            if not mask.any():
                raise ResponsesError(f"{place}: ROI {roi!r} has no voxels; {ROI_OF_ALL}")
        self._check_splits(place)

    def _check_splits(self, place: str) -> None:
        found = set(self.split.tolist())
        if self.runs is not None and found == {CROSS_VALIDATION, *self.tests}:
            return  # no row is of two sets, and no run on both sides of a fold
        if (found != {CROSS_VALIDATION} and found != {TRAIN, *self.tests}) or found == {TRAIN}:
            raise ResponsesError(
                f"{place}: splits are {sorted(found)}; expected train and test sets, or "
                "cross-validation alone"
            )
        trains = self.split == TRAIN
        trained = set(self.stimulus_ids[trains].tolist())
        for name, test in self.tests.items():
            tested = self.split == name
            named = {*self.stimulus_ids[tested].tolist(), *self.target_ids[tested].tolist()}
            both = sorted(trained & named)
            if both and not test.seen_in_training:
                raise ResponsesError(
                    f"{place}: {len(both)} stimuli are both in train and in {name}: "
                    f"{', '.join(both[:_SHOWN])}; `seen_in_training: true` says that it is meant"
                )

    @property
    def has_test_sets(self) -> bool:
        """Whether the dataset names its test sets; otherwise images or runs are cross-validated."""
        return bool(self.tests) and self.runs is None

    def roi(self, name: str) -> NDArray[np.floating]:
        """Responses of the voxels of a region.

        Returns
        -------
        array of shape (n_samples, n_roi_voxels)

        Raises
        ------
        UnknownRoiError
            Lists the nearest names.
        """
        try:
            mask = self.rois[name]
        except KeyError:
            raise UnknownRoiError(name, self.rois, where=f"dataset {self.dataset!r}") from None
        return self.values[:, mask]

    @cached_property
    def sha256(self) -> str:
        """Hash of values, ids, targets, splits, masks and test sets: identity of the responses."""
        digest = hashlib.sha256()
        parts = [self.values, *(self.rois[roi] for roi in sorted(self.rois))]
        for array in parts:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        names = [*self.stimulus_ids.tolist(), *self.target_ids.tolist(), *self.split.tolist()]
        names += sorted(self.rois)
        names += [f"{name} {test.identity()}" for name, test in self.tests.items()]
        if self.runs is not None:
            names += [f"runs {self.average}", *map(str, self.runs.tolist())]
        if self.certain is not None:
            names += [str(value) for value in self.certain.tolist()]
        digest.update("\0".join([self.condition, *names]).encode())
        return digest.hexdigest()


def _as_ids(ids: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.array([as_id(str(name)) for name in ids.ravel()], dtype=np.str_)
