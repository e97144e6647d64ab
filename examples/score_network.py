"""Score a network: score_network.py [RELEASES].

How brain-like is a network of your own? `unitdb.score` takes a live module, decodes a sample of its
units, and says which layers are decoded from which regions and whether their order is that of the
brain. Here a small network with random weights meets the sample, whose brains are simulated from
another network. RELEASES is the folder that the release behind the score is built in.
"""

import sys

import torch
from torch import nn

import unitdb

torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(3, 16, 7, stride=4), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(),
    nn.Conv2d(32, 32, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
)  # fmt: skip
score = unitdb.score(
    network,
    dataset="sample",
    units=50,
    layers={"conv1": "0", "conv2": "2", "conv3": "4"},
    rois=["V1", "V4", "HVC"],
    preprocessing={"size": 64, "mean": [127, 127, 127], "std": [128, 128, 128]},
    name="mine",
    releases=sys.argv[1] if len(sys.argv) > 1 else None,
)
print(score)
