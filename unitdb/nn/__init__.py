"""Units in torch: chosen activations, pruning, alignment, readouts, the pictures that drive a unit.

Imported explicitly, ``from unitdb import nn``, with the extra ``torch``: ``import unitdb`` does not
load torch.
"""

from __future__ import annotations

from unitdb.extras import need

need("torch", "PIL", by="unitdb.nn", extra="torch")

from unitdb.nn.alignment import AlignmentLoss
from unitdb.nn.cost import count_flops, count_parameters
from unitdb.nn.exciting import most_exciting_images
from unitdb.nn.generator import Generator
from unitdb.nn.inversion import Inversion, invert
from unitdb.nn.networks import Critic, PictureNetwork
from unitdb.nn.pruning import PrunedLayer, PruneReport, prune
from unitdb.nn.readout import brain_readout
from unitdb.nn.selected import SelectedActivations
from unitdb.nn.trained import TrainedGenerator, load_generator
from unitdb.nn.training import SHEN2019, Training, train_generator
from unitdb.nn.transform import Transform, published_transform
from unitdb.nn.visualising import Visualisation, visualise

__all__ = [
    "SHEN2019",
    "AlignmentLoss",
    "Critic",
    "Generator",
    "Inversion",
    "PictureNetwork",
    "PruneReport",
    "PrunedLayer",
    "SelectedActivations",
    "TrainedGenerator",
    "Training",
    "Transform",
    "Visualisation",
    "brain_readout",
    "count_flops",
    "count_parameters",
    "invert",
    "load_generator",
    "most_exciting_images",
    "prune",
    "published_transform",
    "train_generator",
    "visualise",
]
