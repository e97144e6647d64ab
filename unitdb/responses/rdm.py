"""Virtual voxels from representational dissimilarity matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import DatasetError
from unitdb.responses.arrays import read_arrays
from unitdb.responses.spec import DatasetSpec, RdmResponses
from unitdb.responses.types import CROSS_VALIDATION, Responses

__all__ = ["rdm_responses", "virtual_voxels"]


def virtual_voxels(rdm: NDArray[np.floating], *, where: str = "RDM") -> NDArray[np.float64]:
    """Patterns whose dissimilarities are the given ones: X with X Xᵀ = 1 − RDM.

    1 − RDM is the Gram matrix of the measured patterns, each centred and scaled to unit norm; with
    eigenvectors V and eigenvalues λ, X = V √λ. X equals those patterns up to a rotation of voxel
    space, so ridge regression on X gives the same predictions as on them; selecting or z-scoring
    single voxels does not.

    Parameters
    ----------
    rdm : array of shape (n_stimuli, n_stimuli)
        1 − Pearson r between the patterns of two stimuli.
    where : str
        For error messages.

    Returns
    -------
    array of shape (n_stimuli, n_stimuli)
        Row for row the stimuli of the RDM; columns by decreasing eigenvalue, the largest entry of
        each positive.

    Raises
    ------
    DatasetError
        Not square and symmetric with zeros on the diagonal, or 1 − RDM is not positive
        semidefinite: then it does not hold correlations of patterns.
    """
    rdm = np.asarray(rdm, dtype=np.float64)
    if rdm.ndim != 2 or rdm.shape[0] != rdm.shape[1]:
        raise DatasetError(f"{where}: has shape {rdm.shape}, expected a square matrix")
    if not np.isfinite(rdm).all():
        raise DatasetError(f"{where}: {int((~np.isfinite(rdm)).sum())} entries are not finite")
    if np.abs(rdm - rdm.T).max() > _ROUNDING or np.abs(np.diag(rdm)).max() > _ROUNDING:
        raise DatasetError(f"{where}: must be symmetric with zeros on its diagonal")
    eigenvalues, vectors = np.linalg.eigh(1.0 - (rdm + rdm.T) / 2)
    if eigenvalues[0] < -_ROUNDING * len(rdm):
        raise DatasetError(
            f"{where}: 1 − RDM has the eigenvalue {eigenvalues[0]:.3g}; correlations of patterns "
            "have none below 0"
        )
    order = np.argsort(-eigenvalues)
    vectors = vectors[:, order]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(rdm))])
    return np.asarray(vectors * signs * np.sqrt(np.maximum(eigenvalues[order], 0.0)))


_ROUNDING = 1e-6


def rdm_responses(dataset: DatasetSpec, spec: RdmResponses, subject: str, data: Path) -> Responses:
    """Virtual voxels of one subject, the voxels of its ROIs side by side.

    Raises
    ------
    DatasetError
        Files that are missing, or that hold another number of subjects or stimuli.
    """
    place = dataset.subjects.index(subject)
    blocks: dict[str, NDArray[np.float64]] = {}
    for roi, file in spec.files.items():
        path = data / file
        rdms = read_arrays(path, [spec.key])[spec.key]
        if rdms.ndim != 3 or len(rdms) != len(dataset.subjects):
            raise DatasetError(
                f"{path}: {spec.key!r} has shape {rdms.shape}, expected "
                f"({len(dataset.subjects)} subjects, stimuli, stimuli)"
            )
        blocks[roi] = virtual_voxels(rdms[place], where=f"{path}: {subject}")
        if len(blocks[roi]) != len(next(iter(blocks.values()))):
            raise DatasetError(f"{path}: ROI {roi!r} has another number of stimuli than the others")
    n_stimuli = len(next(iter(blocks.values())))
    of_roi = np.repeat(list(blocks), [block.shape[1] for block in blocks.values()])
    return Responses(
        dataset=dataset.name,
        subject=subject,
        values=np.concatenate(list(blocks.values()), axis=1),
        stimulus_ids=np.array([spec.stimulus_ids.format(i) for i in range(1, n_stimuli + 1)]),
        split=np.full(n_stimuli, CROSS_VALIDATION),
        rois={roi: of_roi == roi for roi in blocks},
        condition=dataset.condition,
    )
