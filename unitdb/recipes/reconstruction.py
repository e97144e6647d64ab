"""Whether what a recipe's ``reconstruction`` asks for can be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unitdb.activations import LoadedFeatures
from unitdb.errors import RecipeError, UnknownLayerError, UnknownRoiError, UnknownSubjectError
from unitdb.recipes.picturing import EndToEndSpec, InversionSpec
from unitdb.texts import fits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.activations import LoadedModel
    from unitdb.recipes.dataset import DatasetInput
    from unitdb.recipes.picturing import ReconstructionSpec

__all__ = [
    "CROSS_VALIDATED",
    "MEAN",
    "category_codes",
    "check_reconstruction",
    "reconstructed_sets",
]

MEAN = "mean"
"""Name of the mean of people."""

CROSS_VALIDATED = "cross-validation"
"""Condition of pictures that are all held out fold by fold, whatever set they are of."""


def reconstructed_sets(dataset: DatasetInput) -> tuple[str, ...]:
    """Test sets whose pictures can be made: those that decode pictures, at no time of a window."""
    return tuple(
        each.name
        for each in dataset.sets
        if each.test.targets != "categories" and each.test.time is None
    )


def check_reconstruction(
    asked: Sequence[ReconstructionSpec],
    datasets: Sequence[DatasetInput],
    models: Sequence[LoadedModel | LoadedFeatures],
    judges: Mapping[str, LoadedModel],
) -> None:
    """See that everything that is asked for can be made.

    Raises
    ------
    RecipeError
        No set shows pictures; a judge is the network that is inverted; the network is files of
        activations, or takes pictures of another size.
    UnknownLayerError, UnknownRoiError, UnknownSubjectError
        Not there.
    """
    for spec in asked:
        where = f"reconstruction {spec.name!r}"
        for dataset in datasets:
            _check_dataset(spec, dataset, where)
        for model in models:
            if spec.judge is not None:
                judge = judges[spec.judge]
                if judge.weights_sha256 == model.weights_sha256:
                    raise RecipeError(
                        f"{where}: judge {spec.judge!r} is the network whose units are used, "
                        f"{model.spec.name!r}, which its pictures are made to please; name another"
                    )
            if isinstance(spec, InversionSpec):
                _check_network(spec, model, where)
            elif isinstance(spec, EndToEndSpec):
                _check_features(spec, model, where)


def _check_dataset(spec: ReconstructionSpec, dataset: DatasetInput, where: str) -> None:
    people = [subject.subject for subject in dataset.subjects]
    if MEAN in people:
        raise RecipeError(f"{where}: a subject of {dataset.spec.name!r} has the name {MEAN!r}")
    for name in spec.subjects or ():
        if name not in (MEAN, *people):
            raise UnknownSubjectError(name, [MEAN, *people], where=where)
    for roi in spec.rois or ():
        if roi not in dataset.rois:
            raise UnknownRoiError(roi, dataset.rois, where=where)
    category_codes(spec, dataset.stimuli.ids)
    if isinstance(spec, EndToEndSpec):
        _check_sizes(spec, dataset, where)
    sets = reconstructed_sets(dataset)
    if not sets:
        raise RecipeError(f"{where}: no test set of {dataset.spec.name!r} decodes pictures")
    if spec.folds is not None and len(sets) > 1:
        raise RecipeError(
            f"{where}: folds pool what trains and one test set; {dataset.spec.name!r} has "
            f"{', '.join(sets)}: name one in `tests` of the recipe"
        )


def _check_sizes(spec: EndToEndSpec, dataset: DatasetInput, where: str) -> None:
    for subject in dataset.subjects:
        design = subject.design
        train = [np.unique(design.target_ids[rows]) for rows, _ in design.splits]
        least = min(len(images) for images in train)
        if spec.folds is not None:
            every = {*design.target_ids[design.sets[0].rows].tolist(), *np.concatenate(train)}
            least = len(every) - -(-len(every) // spec.folds)
        for n in spec.sizes:
            if n >= least:
                raise RecipeError(
                    f"{where}: sizes: {n}, and {least} pictures of {subject.subject} train; all of "
                    "them are the method without a number"
                )


def _check_network(spec: InversionSpec, model: LoadedModel | LoadedFeatures, where: str) -> None:
    if isinstance(model, LoadedFeatures):
        raise RecipeError(
            f"{where}: {model.spec.name!r} is files of activations; pictures take the network"
        )
    names = [layer.name for layer in model.layers]
    for layer in spec.layers:
        if layer not in names:
            raise UnknownLayerError(layer, names, where=f"{where}: the layers that are decoded")
    own = model.spec.preprocessing.size
    if spec.prior.size not in (None, own):
        raise RecipeError(
            f"{where}: prior {spec.prior.name}: {spec.prior.size}, and the network takes pictures "
            f"of {own} pixels; register it with another size in own_models"
        )
    if spec.prior.grid is not None and spec.prior.grid > own:
        raise RecipeError(f"{where}: grid {spec.prior.grid} is more than the network's {own}")


def _check_features(spec: EndToEndSpec, model: LoadedModel | LoadedFeatures, where: str) -> None:
    if not spec.layers:
        return
    if isinstance(model, LoadedFeatures):
        raise RecipeError(
            f"{where}: {model.spec.name!r} is files of activations; the feature loss takes a "
            "network"
        )
    names = [layer.name for layer in model.layers]
    for layer in spec.layers:
        if layer not in names:
            raise UnknownLayerError(layer, names, where=f"{where}: the layers that are decoded")


def category_codes(spec: ReconstructionSpec, stimuli: Sequence[str]) -> tuple[int, ...]:
    """Number of the category of each stimulus; -1 where it has none.

    Raises
    ------
    RecipeError
        A stimulus has two, or a pattern fits none.
    """
    codes = dict.fromkeys(stimuli, -1)
    where = f"reconstruction {spec.name!r}: categories"
    for number, (category, patterns) in enumerate(spec.categories.items()):
        for pattern in patterns:
            found = [name for name in stimuli if fits(name, pattern)]
            if not found:
                raise RecipeError(f"{where}: {category}: {pattern!r} fits no stimulus")
            for name in found:
                if codes[name] not in (-1, number):
                    raise RecipeError(f"{where}: {name!r} is in two of them")
                codes[name] = number
    return tuple(codes.values())
