"""Recipe → what there is to build: everything that it names, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.lazily import lazily
from unitdb.recipes.identification import IdentificationSpec
from unitdb.recipes.identity import (
    build_id,
    recipe_columns,
    release_info,
    sets_sha256,
    shown_sha256,
)
from unitdb.recipes.modulation import modulated_sets
from unitdb.recipes.picturing import (
    ChosenUnits,
    EndToEndSpec,
    InversionSpec,
    PriorSpec,
    ReconstructionSpec,
    RidgeSpec,
)
from unitdb.recipes.priors import PriorSource
from unitdb.recipes.recipe import BestUnits, Recipe, read_recipe, shipped_recipe
from unitdb.recipes.reconstruction import (
    CROSS_VALIDATED,
    MEAN,
    category_codes,
    reconstructed_sets,
)

if TYPE_CHECKING:
    from unitdb.recipes.dataset import DatasetInput, SubjectInput
    from unitdb.recipes.inputs import read_jobs, read_models
    from unitdb.recipes.jobs import Job, Progress, named, plan_sha256
    from unitdb.recipes.origins import reference_rows, scope_of
    from unitdb.recipes.rated import RatedUnits
    from unitdb.recipes.reading import read_datasets

__all__ = [
    "CROSS_VALIDATED",
    "MEAN",
    "BestUnits",
    "ChosenUnits",
    "DatasetInput",
    "EndToEndSpec",
    "IdentificationSpec",
    "InversionSpec",
    "Job",
    "PriorSource",
    "PriorSpec",
    "Progress",
    "RatedUnits",
    "Recipe",
    "ReconstructionSpec",
    "RidgeSpec",
    "SubjectInput",
    "build_id",
    "category_codes",
    "modulated_sets",
    "named",
    "plan_sha256",
    "read_datasets",
    "read_jobs",
    "read_models",
    "read_recipe",
    "recipe_columns",
    "reconstructed_sets",
    "reference_rows",
    "release_info",
    "scope_of",
    "sets_sha256",
    "shipped_recipe",
    "shown_sha256",
]

# Who reads a recipe alone waits for neither torch nor the decoders.
__getattr__ = lazily(
    __name__,
    {
        "DatasetInput": "dataset",
        "Job": "jobs",
        "Progress": "jobs",
        "RatedUnits": "rated",
        "SubjectInput": "dataset",
        "named": "jobs",
        "plan_sha256": "jobs",
        "read_datasets": "reading",
        "read_jobs": "inputs",
        "read_models": "inputs",
        "reference_rows": "origins",
        "scope_of": "origins",
    },
)
