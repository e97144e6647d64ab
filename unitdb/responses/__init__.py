"""fMRI in: dataset.yaml and its files → stimuli and Responses."""

from unitdb.responses.dataset import Dataset, dataset_specs, find_dataset, open_dataset
from unitdb.responses.design import Design, decoding_design, shuffle_images
from unitdb.responses.rdm import virtual_voxels
from unitdb.responses.simulation import Truth, simulated_truth
from unitdb.responses.spec import DatasetSpec, Transformations
from unitdb.responses.types import Responses

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Design",
    "Responses",
    "Transformations",
    "Truth",
    "dataset_specs",
    "decoding_design",
    "find_dataset",
    "open_dataset",
    "shuffle_images",
    "simulated_truth",
    "virtual_voxels",
]
