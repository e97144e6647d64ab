"""Responses of one subject: what every dataset reader returns and the build decodes from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import ResponsesError, UnknownRoiError
from unitdb.specs import as_id

__all__ = ["SPLITS", "Responses"]

TRAIN, TEST, CROSS_VALIDATION = "train", "test", "cross-validation"
SPLITS = (TRAIN, TEST, CROSS_VALIDATION)

_SHOWN = 5


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
        ``"train"`` or ``"test"`` for each sample, or ``"cross-validation"`` for all of them.
    rois : mapping of str to array of shape (n_voxels,), bool
        Voxels of each region of interest. Regions may overlap.
    condition : str
        What the subject did.

    Raises
    ------
    ResponsesError
        Shapes that disagree, values that are not finite, an empty region, a stimulus in both
        splits, or only one of the two splits.
    """

    dataset: str
    subject: str
    values: NDArray[np.floating]
    stimulus_ids: NDArray[np.str_]
    split: NDArray[np.str_]
    rois: Mapping[str, NDArray[np.bool_]]
    condition: str = "perception"

    def __post_init__(self) -> None:
        place = f"{self.dataset}/{self.subject}"
        ids = np.array([as_id(str(name)) for name in self.stimulus_ids.ravel()], dtype=np.str_)
        object.__setattr__(self, "stimulus_ids", ids)
        if (ids == "").any():
            raise ResponsesError(f"{place}: sample {int((ids == '').argmax())} has an empty id")
        if self.values.ndim != 2:
            raise ResponsesError(
                f"{place}: responses have shape {self.values.shape}, expected (samples, voxels)"
            )
        n_samples, n_voxels = self.values.shape
        for name, array in (("stimulus ids", self.stimulus_ids), ("splits", self.split)):
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
                raise ResponsesError(f"{place}: ROI {roi!r} has no voxels")
        self._check_splits(place)

    def _check_splits(self, place: str) -> None:
        found = set(self.split.tolist())
        if found not in ({TRAIN, TEST}, {CROSS_VALIDATION}):
            raise ResponsesError(
                f"{place}: splits are {sorted(found)}; expected train and test, or "
                "cross-validation alone"
            )
        both = set(self.stimulus_ids[self.split == TRAIN].tolist()) & set(
            self.stimulus_ids[self.split == TEST].tolist()
        )
        if both:
            raise ResponsesError(
                f"{place}: {len(both)} stimuli are both in train and in test: "
                f"{', '.join(sorted(both)[:_SHOWN])}"
            )

    @property
    def has_test_split(self) -> bool:
        """Whether the dataset names its test images; otherwise images are cross-validated."""
        return bool((self.split == TEST).any())

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
        """Hash of values, ids, splits, masks and condition: the identity of these responses."""
        digest = hashlib.sha256()
        parts = [self.values, *(self.rois[roi] for roi in sorted(self.rois))]
        for array in parts:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        names = [*self.stimulus_ids.tolist(), *self.split.tolist(), *sorted(self.rois)]
        digest.update("\0".join([self.condition, *names]).encode())
        return digest.hexdigest()
