"""A network with, and without, its brain-like channels: python examples/prune.py [RELEASE]."""

import sys

import PIL.Image
import torch

import unitdb
from unitdb import col, nn
from unitdb.activations import photograph
from unitdb.activations.efficientnet import efficientnet_lite

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
# Block 12 ends in a sum with a shortcut: its own channels are those before the sum.
units = release.units(layer=["stem", "block1", "block3", "block12"]).where(col.n_subjects > 0)
layers = {"block12": "_blocks.12._bn2"}

transform = nn.published_transform(units)
cat = transform(PIL.Image.fromarray(photograph("chelsea")))[None]
for keep in (True, False):
    network = efficientnet_lite(0).eval()
    report = nn.prune(network, units, images=cat, keep=keep, quota=0.25, over="max", layers=layers)
    with torch.no_grad():
        cats = network(cat).softmax(dim=1)[0, [281, 282, 285]].sum()
    print(f"\nthe most brain-like quarter of the channels {'kept' if keep else 'dropped'}:")
    print(report)
    print(f"probability of a cat in a picture of one, without training on: {cats:.2f}")
