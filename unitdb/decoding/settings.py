"""What a recipe may choose about the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["AT_ONCE", "TILE", "DecoderSettings", "units_at_once"]

TILE = 256
"""Units computed together. Results of a unit follow from its tile alone, so that blocks of any
size give the same bits, if they begin at multiples of it."""

AT_ONCE = 2**19
"""Values looked at together, where tiles are smaller. Of small arrays much of the time goes into
calls, between which threads wait for each other."""


def units_at_once(n_rows: int) -> int:
    """Units that a linear decoder takes at a time: whole tiles, of about :data:`AT_ONCE` values.

    Parameters
    ----------
    n_rows : int
        Samples, and single presentations beside them.

    Returns
    -------
    int
        A multiple of :data:`TILE`.

    Examples
    --------
    >>> from unitdb.decoding import units_at_once
    >>> units_at_once(92), units_at_once(1250)
    (5632, 256)
    """
    return TILE * max(1, AT_ONCE // (n_rows * TILE))


@dataclass(frozen=True, kw_only=True)
class DecoderSettings:
    """A linear decoder: voxels kept, penalty, scaling. The defaults are the published ones.

    Parameters
    ----------
    n_voxels : int, optional
        Voxels of the ROI kept for each unit, those with the largest |Pearson r| to the unit
        in the training data; None keeps all.
    alpha : float
        Ridge penalty; 0 is least squares, refused where the voxels depend on each other.
    alpha_relative : bool
        If True, the penalty is ``alpha`` times the mean eigenvalue of the training Gram matrix
        X Xᵀ of the centred responses. Only without voxel selection.
    zscore : bool
        If True, voxels are divided by their training SD (ddof = 1); they are always centred.
    precision : {'single', 'double'}
        Of the systems solved and the matrix products. The voxels kept and what units share are
        computed in double with both; accuracies differ by less than 1e-5.

    Raises
    ------
    ValueError
        A value out of range, or a relative penalty with voxel selection.
    """

    n_voxels: int | None = 500
    alpha: float = 100.0
    alpha_relative: bool = False
    zscore: bool = True
    precision: Literal["single", "double"] = "single"

    def __post_init__(self) -> None:
        if self.n_voxels is not None and self.n_voxels < 1:
            raise ValueError(f"n_voxels must be at least 1 (got {self.n_voxels})")
        if not 0 <= self.alpha < float("inf"):
            raise ValueError(f"alpha must be at least 0 and finite (got {self.alpha})")
        if self.alpha_relative and self.n_voxels is not None:
            raise ValueError("a relative alpha is defined only without voxel selection")
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision must be single or double (got {self.precision!r})")
