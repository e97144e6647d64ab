"""fMRI in: dataset.yaml and its files → stimuli and Responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.lazily import lazily
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN, TestSpec
from unitdb.responses.spec import DatasetSpec, Transformations
from unitdb.responses.stimuli_spec import CategoryRule, FolderStimuli

if TYPE_CHECKING:
    from unitdb.responses.bdata import open_bdata
    from unitdb.responses.blurring import blur_picture
    from unitdb.responses.categories import category_means, category_pairs
    from unitdb.responses.dataset import Dataset, dataset_specs, find_dataset, open_dataset
    from unitdb.responses.design import (
        Design,
        HeldOut,
        average_repeats,
        decoding_design,
        image_folds,
        shuffle_images,
    )
    from unitdb.responses.rdm import virtual_voxels
    from unitdb.responses.sets import read_pairs
    from unitdb.responses.simulation import Truth, simulated_truth
    from unitdb.responses.stimuli import folder_stimuli
    from unitdb.responses.types import Responses, TestSet

__all__ = [
    "CROSS_VALIDATION",
    "TRAIN",
    "CategoryRule",
    "Dataset",
    "DatasetSpec",
    "Design",
    "FolderStimuli",
    "HeldOut",
    "Responses",
    "TestSet",
    "TestSpec",
    "Transformations",
    "Truth",
    "average_repeats",
    "blur_picture",
    "category_means",
    "category_pairs",
    "dataset_specs",
    "decoding_design",
    "find_dataset",
    "folder_stimuli",
    "image_folds",
    "open_bdata",
    "open_dataset",
    "read_pairs",
    "shuffle_images",
    "simulated_truth",
    "virtual_voxels",
]

# What reads files, and what computes, is for those who read them: recipes need the keys alone.
__getattr__ = lazily(
    __name__,
    {
        "Dataset": "dataset",
        "Design": "design",
        "HeldOut": "design",
        "Responses": "types",
        "TestSet": "types",
        "Truth": "simulation",
        "average_repeats": "design",
        "blur_picture": "blurring",
        "category_means": "categories",
        "category_pairs": "categories",
        "dataset_specs": "dataset",
        "decoding_design": "design",
        "find_dataset": "dataset",
        "folder_stimuli": "stimuli",
        "image_folds": "design",
        "open_bdata": "bdata",
        "open_dataset": "dataset",
        "read_pairs": "sets",
        "shuffle_images": "design",
        "simulated_truth": "simulation",
        "virtual_voxels": "rdm",
    },
)
