"""Images of a BIDS dataset: time series of BOLD, and ROI masks on its grid.

A grid is a number of voxels along each axis and the affine that takes their indices to mm. All runs
of a subject are on one. Masks of another are refused, or taken to it: a voxel of the grid, whose
centre lies at the indices  M⁻¹ B (i, j, k)  of the mask (B, M: affines of BOLD and mask), has the
value of the mask's voxel that is nearest, and is outside of the ROI beyond the mask's image.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.hdf5 import check_expansion
from unitdb.errors import DatasetError, MissingExtraError
from unitdb.extras import install_hint
from unitdb.reads import note_read
from unitdb.responses.bids_masks import MaskTest, inside
from unitdb.responses.types import ROI_OF_ALL

__all__ = ["Grid", "bold_grid", "bold_times", "roi_voxels", "time_series"]

Floats = NDArray[np.float64]
Voxels = NDArray[np.bool_]

_SLAB = 64 * 2**20
_PIECE = 2**20
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
_SAME_PLACE = 1e-3  # mm


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Where the voxels of BOLD images lie.

    Parameters
    ----------
    path : Path
        Image that it was read from, for messages.
    shape : tuple of int
        Voxels along x, y and z.
    affine : array of shape (4, 4)
        From indices of voxels to mm.
    """

    path: Path
    shape: tuple[int, ...]
    affine: Floats

    def difference(self, shape: tuple[int, ...], affine: Floats) -> str | None:
        """What sets another grid apart from this one, in words; None where they are the same."""
        if shape != self.shape:
            return f"has shape {shape}, {self.path} {self.shape}"
        if not np.allclose(affine, self.affine, rtol=0, atol=_SAME_PLACE):
            return f"its voxels lie elsewhere than those of {self.path} (other affine)"
        return None


def bold_grid(path: Path) -> Grid:
    """Grid of a BOLD image, of which the header alone is read.

    Raises
    ------
    DatasetError
        The file is damaged or no series of volumes.
    MissingExtraError
        nibabel is not installed.
    """
    image = _load_bold(path)
    return Grid(path=path, shape=image.shape[:3], affine=image.affine)


def bold_times(path: Path) -> tuple[int, float | None]:
    """Volumes of a BOLD image and its repetition time in seconds; None where the header has none.

    Programs write 1 of no unit, nibabel's default, where they were told none.

    Raises
    ------
    DatasetError
        The file is damaged or no series of volumes.
    MissingExtraError
        nibabel is not installed.
    """
    image = _load_bold(path)
    with _naming(path):
        unit = image.header.get_xyzt_units()[1]
        # As the shortest decimal that single precision tells from others: 0.72, not 0.7200000286.
        seconds = float(str(image.header.get_zooms()[3])) * _SECONDS.get(unit, 0.0)
    stated = seconds and (unit, seconds) != ("unknown", 1.0)
    return image.shape[3], seconds if stated else None


def time_series(path: Path, voxels: Voxels, grid: Grid) -> Floats:
    """Time series of some voxels.

    Parameters
    ----------
    path : Path
        A BOLD image.
    voxels : array of shape (n_x, n_y, n_z), bool
        Which voxels.
    grid : Grid
        On which the image must be.

    Returns
    -------
    array of shape (n_volumes, n_voxels)

    Raises
    ------
    DatasetError
        The image is damaged, on another grid, or NaN in these voxels.
    """
    image = _load_bold(path)
    difference = grid.difference(image.shape[:3], image.affine)
    if difference:
        raise DatasetError(f"{path}: {difference}; all runs must be on one grid")
    _check_whole(path, image)
    n_volumes = image.shape[3]
    found = np.empty((n_volumes, int(voxels.sum())))
    step = max(1, _SLAB // (8 * voxels.size))
    for start in range(0, n_volumes, step):
        with _naming(path), np.errstate(over="ignore"):  # what overflows is infinite, and named
            slab = np.asarray(image.dataobj[..., start : start + step], dtype=np.float64)
        found[start : start + step] = slab[voxels].T
    _check_finite(path, found, voxels)
    return found


def roi_voxels(
    name: str,
    images: Sequence[tuple[Path, MaskTest]],
    grid: Grid,
    *,
    resample: Literal["nearest"] | None,
) -> Voxels:
    """Voxels of an ROI on the grid of the BOLD images: the union of its masks.

    Parameters
    ----------
    name : str
        The ROI, for messages.
    images : sequence of (Path, MaskTest)
        Its mask images, and what the voxels of the ROI pass there.
    grid : Grid
        Of the BOLD images.
    resample : {'nearest'} or None
        Whether masks of another grid are taken to this one or refused.

    Returns
    -------
    array of shape (n_x, n_y, n_z), bool

    Raises
    ------
    DatasetError
        A mask is damaged, no mask or on another grid, or the ROI has no voxels.
    """
    voxels = np.zeros(grid.shape, dtype=np.bool_)
    n_drawn = 0
    for path, test in images:
        mask, affine = _load_mask(path, test)
        n_drawn += int(mask.sum())
        difference = grid.difference(mask.shape, affine)
        if difference and resample is None:
            raise DatasetError(
                f"{path}: {difference}; `resample_masks: nearest` in dataset.yaml takes masks to "
                "the grid of the BOLD images"
            )
        voxels |= _nearest(path, mask, affine, grid) if difference else mask
    first = images[0][0]
    if not n_drawn:
        raise DatasetError(f"{first}: ROI {name!r} has no voxels; {ROI_OF_ALL}")
    if not voxels.any():
        raise DatasetError(
            f"{first}: ROI {name!r} has no voxels on the grid of {grid.path}: none of its "
            f"{n_drawn} is the nearest to one there; is it in the space of the BOLD images?"
        )
    return voxels


def _nearest(path: Path, mask: Voxels, affine: Floats, grid: Grid) -> Voxels:
    import nibabel as nib
    from nibabel.processing import resample_from_to

    with _naming(path):
        image = nib.Nifti1Image(mask.astype(np.uint8), affine)
        # "constant" would lose the outer half of the voxels at the mask's border.
        moved: Any = resample_from_to(
            image, (grid.shape, grid.affine), order=0, mode="grid-constant"
        )
        return np.asarray(moved.dataobj) > 0


def _load_mask(path: Path, test: MaskTest) -> tuple[Voxels, Floats]:
    image = _load(path)
    if len(image.shape) < 3 or math.prod(image.shape[3:]) != 1:
        raise DatasetError(f"{path}: has shape {image.shape}, expected one volume (x, y, z)")
    _check_whole(path, image)
    with _naming(path):
        values = np.asarray(image.dataobj)
    return inside(values.reshape(image.shape[:3]), test, path), image.affine


def _load_bold(path: Path) -> Any:
    image = _load(path)
    if len(image.shape) != 4:
        raise DatasetError(f"{path}: has shape {image.shape}, expected (x, y, z, volumes)")
    return image


def _load(path: Path) -> Any:
    """Load a NIfTI image, its voxels when they are asked for."""
    try:
        import nibabel as nib
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: read with nibabel, which is not installed: {install_hint('build')}"
        ) from None
    if not path.name.endswith((".nii", ".nii.gz")):
        raise DatasetError(f"{path}: expected a NIfTI image, .nii or .nii.gz")
    with _naming(path):
        note_read(path)
        image: Any = nib.load(path, keep_file_open=True)
        if not isinstance(image, nib.Nifti1Image):  # CIFTI, which has the same ending
            raise DatasetError(f"{path}: is a {type(image).__name__}, expected a NIfTI image")
        _check_kind(path, image.header)
        n_bytes = _n_bytes(image)
    if min(image.shape, default=0) < 0 or 0 in image.shape[:3]:
        raise DatasetError(f"{path}: has shape {image.shape}, which holds no voxels")
    check_expansion(n_bytes, path, error=DatasetError)
    return image


def _check_kind(path: Path, header: Any) -> None:
    """Refuse what is no real number a voxel, and a scale that makes none of it."""
    from nibabel.openers import ImageOpener

    kind = header.get_data_dtype()
    if kind.kind not in "fiu":
        what = "complex numbers" if kind.kind == "c" else "colours, or other groups of numbers"
        raise DatasetError(f"{path}: holds {what} ({kind}), expected one real number a voxel")
    with ImageOpener(str(path)) as file:  # nibabel forgets the scale that it read
        scale = float(type(header).from_fileobj(file, check=False)["scl_slope"])
    if math.isinf(scale):  # NaN and 0 mean that there is none
        raise DatasetError(f"{path}: its voxels are scaled by {scale}; save the image anew")


def _check_whole(path: Path, image: Any) -> None:
    """Refuse a file whose length, or checksum of gzip, is not that of the image in its header."""
    with _naming(path):
        expected = int(image.dataobj.offset) + _n_bytes(image)
        volume = _n_bytes(image) // max(1, math.prod(image.shape[3:]))
        size = path.stat().st_size
        if path.name.endswith(".gz"):
            size = 0
            with gzip.open(path) as file:  # to the end, where the checksum stands
                while size < expected + volume and (piece := file.read(_PIECE)):
                    size += len(piece)
    if size < expected or (volume and size >= expected + volume):
        raise DatasetError(
            f"{path}: cannot be read: the header states shape {image.shape}, {expected:,} bytes; "
            f"the file holds {'less' if size < expected else 'a volume more, or more'}"
        )


def _n_bytes(image: Any) -> int:
    n_values: int = math.prod(image.shape)
    return n_values * int(image.get_data_dtype().itemsize)


def _check_finite(path: Path, series: Floats, voxels: Voxels) -> None:
    bad = ~np.isfinite(series)
    if bad.any():
        volume, column = (int(i) for i in np.argwhere(bad)[0])
        place = tuple(int(i) for i in np.argwhere(voxels)[column])
        raise DatasetError(
            f"{path}: {int(bad.any(axis=0).sum())} voxels of the ROIs are NaN or infinite, the "
            f"first {place} in volume {volume}; mask them out"
        )


class _naming:  # noqa: N801 - reads as a verb
    """Name the file in what its reader complains of."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, cause: BaseException | None, trace: object) -> None:
        from nibabel.filebasedimages import ImageFileError
        from nibabel.spatialimages import HeaderDataError, ImageDataError

        damage = (
            *(OSError, EOFError, ValueError, KeyError, OverflowError, zlib.error),
            *(ImageFileError, HeaderDataError, ImageDataError),
        )
        if isinstance(cause, damage) and not isinstance(cause, DatasetError):
            raise DatasetError(f"{self._path}: cannot be read: {cause}") from cause
