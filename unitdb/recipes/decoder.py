"""The decoder as a recipe describes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.decoding import DecoderSettings
from unitdb.specs import Name, Spec

__all__ = ["DecoderSpec"]

_Voxels = Annotated[int, Field(ge=1)] | Literal["all"]


class DecoderSpec(Spec):
    """The decoder; the defaults are those of the published work.

    Parameters
    ----------
    voxels : int, 'all', or mapping of str to these
        Voxels of the ROI kept for each unit; of some ROIs another number than ``default``:
        ``{default: 500, VC: 1000}``.
    alpha : float
        Ridge penalty.
    alpha_unit : {'absolute', 'mean-eigenvalue'}
        Whether ``alpha`` is the penalty, or multiplies the mean eigenvalue of the training Gram
        matrix.
    zscore : bool
        Whether voxels are scaled by their training SD.
    precision : {'single', 'double'}
        Of the systems solved; accuracies differ by less than 1e-5.
    folds : int, optional
        Folds over images, for datasets without test sets.
    """

    voxels: _Voxels | dict[Name, _Voxels] = 500
    alpha: Annotated[float, Field(ge=0)] = 100.0
    alpha_unit: Literal["absolute", "mean-eigenvalue"] = "absolute"
    zscore: bool = True
    precision: Literal["single", "double"] = "single"
    folds: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _relative_alpha_needs_all_voxels(self) -> DecoderSpec:
        if isinstance(self.voxels, dict) and "default" not in self.voxels:
            raise ValueError("voxels: by ROI, they need `default`, for the ROIs not named")
        if self.alpha_unit == "mean-eigenvalue" and self.all_voxels != {"all"}:
            raise ValueError("alpha_unit mean-eigenvalue is defined only with `voxels: all`")
        return self

    @property
    def all_voxels(self) -> set[int | str]:
        """Numbers of voxels that any ROI may have."""
        return set(self.voxels.values()) if isinstance(self.voxels, dict) else {self.voxels}

    def voxels_of(self, roi: str | None) -> int | str:
        """Voxels of an ROI kept for each unit, or those of the ROIs not named."""
        if not isinstance(self.voxels, dict):
            return self.voxels
        return self.voxels.get(roi or "default", self.voxels["default"])

    def settings(self, roi: str | None = None) -> DecoderSettings:
        """The settings that the decoding engine takes, for an ROI; by default those not named."""
        voxels = self.voxels_of(roi)
        return DecoderSettings(
            n_voxels=voxels if isinstance(voxels, int) else None,
            alpha=self.alpha,
            alpha_relative=self.alpha_unit == "mean-eigenvalue",
            zscore=self.zscore,
            precision=self.precision,
        )
