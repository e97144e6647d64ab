"""Which voxels of a mask image are an ROI: those inside, those of a label, or those above a number.

``mask.nii.gz``           a mask: 0 and 1, or 0 and one other number above it, such as 255
``atlas.nii.gz = 3``      the voxels of a label
``prob.nii.gz > 0.5``     the voxels above a number, of a map of probabilities
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from unitdb.errors import DatasetError
from unitdb.resolution import SINGLE
from unitdb.specs import RelativePath
from unitdb.texts import number

__all__ = ["Mask", "MaskTest", "inside", "mask_path", "mask_test"]

Voxels = NDArray[np.bool_]

_TESTED = re.compile(r"(?P<path>.+?(?:\.nii|\.nii\.gz|[*?\]]))\s*(?P<sign>[=<>!|&])\s*(?P<rest>.*)")
_SHOWN = 5


class MaskTest(NamedTuple):
    """What a voxel of the ROI passes: ``= value``, ``> value``, or, with no sign, being inside."""

    sign: str = ""
    value: float = 1.0


def mask_path(text: str) -> str:
    """Pattern of the images that a mask of dataset.yaml is in."""
    return _read(text)[0]


def mask_test(text: str) -> MaskTest:
    """Test that the voxels of a mask of dataset.yaml pass."""
    return _read(text)[1]


def inside(values: NDArray[Any], test: MaskTest, path: Path) -> Voxels:
    """Voxels of an image that are in the ROI; array of the shape of ``values``, bool.

    Parameters
    ----------
    values : array of shape (n_x, n_y, n_z)
        The image.
    test : MaskTest
        What dataset.yaml says of it.
    path : Path
        The image, for messages.

    Raises
    ------
    DatasetError
        A voxel has no number, no voxel passes the test, or the image holds more than a mask does
        and dataset.yaml does not say which of it is the ROI.
    """
    strange = ~np.isfinite(values)
    if strange.any():
        raise DatasetError(
            f"{path}: {int(strange.sum())} voxels are NaN or infinite, neither inside nor outside; "
            "save the mask with 0 there"
        )
    if not test.sign:
        return _of_mask(values, path)
    found: Voxels = values == test.value if test.sign == "=" else values > test.value
    if not found.any():
        raise DatasetError(
            f"{path}: no voxel is {test.sign} {test.value:.15g}; it holds "
            f"{_told(np.unique(values))}"
        )
    return found


def _of_mask(values: NDArray[Any], path: Path) -> Voxels:
    there = np.unique(values)
    lowest, highest = float(there[0]), float(there[-1])
    # Scaled whole numbers may miss 0 by rounding.
    two = len(there) == 2 and highest > 0 and abs(lowest) <= SINGLE * highest
    if not (two or set(there.tolist()) <= {0, 1}):
        raise DatasetError(
            f"{path}: holds {_told(there)}; a mask holds 0 and 1, or 0 and one other number above "
            f'it: say which voxels are the ROI, as in "{path.name} = {highest:.15g}" for those '
            f'of a label, or "{path.name} > 0.5"'
        )
    return values > lowest if two else values == 1


def _told(there: NDArray[Any]) -> str:
    if len(there) <= 2 * _SHOWN:
        return ", ".join(f"{value:.15g}" for value in there.tolist())
    return f"{len(there)} numbers from {there[0]:.15g} to {there[-1]:.15g}"


def _read(text: str) -> tuple[str, MaskTest]:
    match = _TESTED.fullmatch(text)
    value = number(match["rest"]) if match else None
    if match and value is not None and match["sign"] in "=>":
        return match["path"], MaskTest(match["sign"], value)
    if match and match["path"].endswith((".nii", ".nii.gz")):
        raise ValueError(
            f"{text!r}: expected the path of a mask, or PATH = LABEL, or PATH > NUMBER"
        )
    return text, MaskTest()


def _valid(text: str) -> str:
    _read(text)
    return text


Mask = Annotated[RelativePath, AfterValidator(_valid)]
"""A mask as the module describes, for specs."""
