"""What a recipe says of modulation: degraded pictures and their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from unitdb.errors import RecipeError, TransformationError, UnknownRoiError
from unitdb.specs import Name, Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unitdb.recipes.dataset import DatasetInput

__all__ = ["ModulationSpec", "check_modulation", "modulated_sets"]

_Noise = Annotated[float, Field(gt=0, le=100)]


class ModulationSpec(Spec):
    """Whether what is decoded from degraded pictures is nearer to their originals.

    Of the test sets that have a `level`; some must show pictures as they are. Units are those whose
    predictions are published, where the recipe says all or how many (`predictions`), else a sample
    of 500 of each layer.

    Parameters
    ----------
    rois : list of str, optional
        ROIs that it is measured in; by default all that are decoded.
    draws : int
        Draws of noise that each control is the mean over.
    simulations : int
        Simulated brains without top-down effect, for each of `noise`.
    noise : list of float
        SDs of their noise, in parts of that of a voxel's signal.
    """

    rois: Annotated[list[Name], Field(min_length=1)] | None = None
    draws: Annotated[int, Field(ge=1, le=1000)] = 20
    simulations: Annotated[int, Field(ge=2, le=100)] = 8
    noise: Annotated[list[_Noise], Field(min_length=1)] = Field(
        default_factory=lambda: [0.7, 1.2, 2.0, 3.5]
    )


def modulated_sets(dataset: DatasetInput) -> tuple[str, ...]:
    """Test sets of degraded pictures, and of these as they are: those that have a level.

    Not the times of a window: responses at other times are not as good, and noise is matched.
    """
    return tuple(
        each.name
        for each in dataset.sets
        if each.test.level is not None
        and each.test.targets != "categories"
        and each.test.time is None
    )


def check_modulation(asked: ModulationSpec, datasets: Sequence[DatasetInput]) -> None:
    """See that modulation can be measured in the datasets that have degraded pictures.

    Raises
    ------
    UnknownRoiError
        An ROI that is decoded in none of these.
    RecipeError
        No test set has a level; or some have, and no picture is shown as it is.
    TransformationError
        A dataset does not allow voxels to be looked at one by one.
    """
    found = [(dataset, names) for dataset in datasets if (names := modulated_sets(dataset))]
    if not found:
        raise RecipeError("modulation: no test set that is decoded has a `level` (dataset.yaml)")
    rois = sorted({roi for dataset, _ in found for roi in dataset.rois})
    for roi in asked.rois or ():
        if roi not in rois:
            raise UnknownRoiError(roi, rois, where="modulation.rois of the recipe")
    for dataset, names in found:
        allowed = dataset.spec.transformations
        if not allowed.voxel_selection:
            raise TransformationError(
                f"dataset {dataset.spec.name!r} does not allow voxels to be looked at one by one, "
                f"as an encoder does (modulation in the recipe; leave it out): {allowed.reason}"
            )
        first = dataset.subjects[0]
        if not any((first.shown(name) == first.targets(name)).any() for name in names):
            raise RecipeError(
                f"modulation: the test sets of {dataset.spec.name!r} with a level "
                f"({', '.join(names)}) show no picture as it is, on which noise is matched: decode "
                "such a set too, and give it a level"
            )
