"""Virtual voxels from representational dissimilarity matrices."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

from unitdb.errors import DatasetError
from unitdb.resolution import DOUBLE
from unitdb.responses.arrays import read_arrays
from unitdb.responses.sets_spec import CROSS_VALIDATION
from unitdb.responses.spec import DatasetSpec, RdmResponses
from unitdb.responses.types import Responses

__all__ = ["full_rdm", "rdm_responses", "virtual_voxels"]

_ROUNDING = 1e-6
_SUBJECT = "{subject}"


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
        Not square and symmetric with zeros on the diagonal, entries that are no 1 − r, or 1 − RDM
        is not positive semidefinite: then it does not hold correlations of patterns.
    """
    rdm = np.asarray(rdm, dtype=np.float64)
    if rdm.ndim != 2 or rdm.shape[0] != rdm.shape[1] or len(rdm) < 2:
        raise DatasetError(f"{where}: has shape {rdm.shape}, expected a square matrix")
    if not np.isfinite(rdm).all():
        row, column = np.argwhere(~np.isfinite(rdm))[0].tolist()
        raise DatasetError(
            f"{where}: {int((~np.isfinite(rdm)).sum())} entries are not finite, the first of the "
            f"stimuli {row + 1} and {column + 1}"
        )
    if np.abs(np.diag(rdm) - 1).max() <= _ROUNDING:
        raise DatasetError(
            f"{where}: has 1 on its diagonal, as similarities have; give dissimilarities, 1 − r"
        )
    if np.abs(rdm - rdm.T).max() > _ROUNDING or np.abs(np.diag(rdm)).max() > _ROUNDING:
        raise DatasetError(f"{where}: must be symmetric with zeros on its diagonal")
    if rdm.min() < -_ROUNDING or rdm.max() > 2 + _ROUNDING:
        raise DatasetError(
            f"{where}: holds {rdm.min():.3g} to {rdm.max():.3g}, and 1 − r is from 0 to 2; "
            "similarities and other distances are not taken for it"
        )
    eigenvalues, vectors = np.linalg.eigh(1.0 - (rdm + rdm.T) / 2)
    if eigenvalues[0] < -_ROUNDING * len(rdm):
        raise DatasetError(
            f"{where}: 1 − RDM has the eigenvalue {eigenvalues[0]:.3g}; correlations of patterns "
            "have none below 0: similarities, ranks and other distances are not taken for 1 − r"
        )
    eigenvalues[eigenvalues <= DOUBLE * len(rdm) * eigenvalues[-1]] = 0.0  # what rounding leaves
    order = np.argsort(-eigenvalues, kind="stable")
    vectors = vectors[:, order]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.sign(vectors[largest, np.arange(len(rdm))])
    return np.asarray(vectors * signs * np.sqrt(np.maximum(eigenvalues[order], 0.0)))


def full_rdm(found: NDArray[Any], *, where: str) -> NDArray[np.float64]:
    """Square matrix of an RDM that is square already, or condensed.

    Condensed are the entries above the diagonal, row by row, as scipy's ``squareform`` and
    ``pdist`` have them; MATLAB's functions of these names give the same, as one row.

    Parameters
    ----------
    found : array of shape (n_stimuli, n_stimuli), (n_pairs,), (1, n_pairs) or (n_pairs, 1)
    where : str
        For error messages.

    Raises
    ------
    DatasetError
        Neither; n_pairs is n (n − 1) / 2 of some n.
    """
    if found.dtype.kind not in "fiu":
        raise DatasetError(f"{where}: holds {found.dtype}, expected real numbers")
    if found.ndim == 2 and found.shape[0] == found.shape[1] and found.size > 1:
        return np.asarray(found, dtype=np.float64)
    if not found.size or found.ndim > 2 or found.size != max(found.shape, default=0):
        raise DatasetError(
            f"{where}: has shape {found.shape}, expected a square matrix, or the entries above its "
            "diagonal as a vector"
        )
    n = (1 + math.isqrt(1 + 8 * found.size)) // 2
    if n * (n - 1) // 2 != found.size:
        raise DatasetError(
            f"{where}: has {found.size} entries; {n} stimuli have {n * (n - 1) // 2} pairs, "
            f"{n + 1} have {n * (n + 1) // 2}"
        )
    return np.asarray(squareform(found.ravel().astype(np.float64), checks=False))


def rdm_responses(dataset: DatasetSpec, spec: RdmResponses, subject: str, data: Path) -> Responses:
    """Virtual voxels of one subject, the voxels of its ROIs side by side.

    Parameters
    ----------
    dataset, spec : DatasetSpec, RdmResponses
        Its dataset.yaml.
    subject : str
    data : Path
        Folder that the paths in the spec are relative to.

    Raises
    ------
    DatasetError
        Files that are missing, or that hold another number of subjects or stimuli.
    """
    blocks: dict[str, NDArray[np.float64]] = {}
    for roi, file in spec.files.items():
        path = data / file.replace(_SUBJECT, subject)
        found = read_arrays(path, [spec.key])[spec.key]
        if _SUBJECT not in file:
            found = _of_subject(found, dataset, subject, where=f"{path}: {spec.key!r}")
        where = f"{path}: {subject}"
        blocks[roi] = virtual_voxels(full_rdm(found, where=where), where=where)
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
        condition=spec.condition,
    )


def _of_subject(
    found: NDArray[Any], dataset: DatasetSpec, subject: str, *, where: str
) -> NDArray[Any]:
    """RDM of a subject in a file of all of them, whose first axis is theirs."""
    n = len(dataset.subjects)
    is_one = found.ndim == 2 and found.shape[0] == found.shape[1] and not np.diag(found).any()
    if found.ndim not in (2, 3) or len(found) != n or is_one:
        raise DatasetError(
            f"{where} has shape {found.shape}, expected ({n} subjects, stimuli, stimuli) or "
            f"({n} subjects, pairs of stimuli); of a file a subject write {{subject}} in its path"
        )
    return np.asarray(found[dataset.subjects.index(subject)])
