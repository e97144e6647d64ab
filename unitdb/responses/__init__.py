"""fMRI in: dataset.yaml and its files → stimuli and Responses."""

from unitdb.responses.categories import category_means
from unitdb.responses.dataset import Dataset, dataset_specs, find_dataset, open_dataset
from unitdb.responses.design import Design, HeldOut, decoding_design, shuffle_images
from unitdb.responses.rdm import virtual_voxels
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN, TestSpec
from unitdb.responses.simulation import Truth, simulated_truth
from unitdb.responses.spec import DatasetSpec, Transformations
from unitdb.responses.stimuli_spec import CategoryRule
from unitdb.responses.types import Responses, TestSet

__all__ = [
    "CROSS_VALIDATION",
    "TRAIN",
    "CategoryRule",
    "Dataset",
    "DatasetSpec",
    "Design",
    "HeldOut",
    "Responses",
    "TestSet",
    "TestSpec",
    "Transformations",
    "Truth",
    "category_means",
    "dataset_specs",
    "decoding_design",
    "find_dataset",
    "open_dataset",
    "shuffle_images",
    "simulated_truth",
    "virtual_voxels",
]
