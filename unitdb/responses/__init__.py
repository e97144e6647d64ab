"""fMRI in: dataset.yaml and its files → stimuli and Responses."""

from unitdb.responses.bdata import open_bdata
from unitdb.responses.categories import category_means, category_pairs
from unitdb.responses.dataset import Dataset, dataset_specs, find_dataset, open_dataset
from unitdb.responses.design import Design, HeldOut, decoding_design, shuffle_images
from unitdb.responses.rdm import virtual_voxels
from unitdb.responses.sets import read_pairs
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN, TestSpec
from unitdb.responses.simulation import Truth, simulated_truth
from unitdb.responses.spec import DatasetSpec, Transformations
from unitdb.responses.stimuli import folder_stimuli
from unitdb.responses.stimuli_spec import CategoryRule, FolderStimuli
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
    "category_means",
    "category_pairs",
    "dataset_specs",
    "decoding_design",
    "find_dataset",
    "folder_stimuli",
    "open_bdata",
    "open_dataset",
    "read_pairs",
    "shuffle_images",
    "simulated_truth",
    "virtual_voxels",
]
