"""Just the brain-like units, in one pass: python examples/selected_activations.py [RELEASE]."""

import sys

import PIL.Image
import torch

import unitdb
from unitdb import nn
from unitdb.activations import photograph
from unitdb.activations.efficientnet import efficientnet_lite

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
units = release.units(roi="V1").top(100, by="mean_r")

names = ["camera", "chelsea", "coffee", "rocket"]
transform = nn.published_transform(units)
images = torch.stack([transform(PIL.Image.fromarray(photograph(name))) for name in names])

selected = nn.SelectedActivations(efficientnet_lite(0).eval(), units)
activations = selected(images)
print(f"{tuple(activations.shape)} activations, by layer {selected.sizes}")
for name, row in zip(names, activations.tolist(), strict=True):
    print(f"{name:<10}", *(f"{value:7.2f}" for value in row[:5]), "…")
print("columns:  ", *selected.unit_ids[:5], "…")

activations.square().mean().backward()  # gradients reach the network
all_of_it = sum(parameter.numel() for parameter in efficientnet_lite(0).parameters())
needed = sum(parameter.numel() for parameter in selected.parameters())
print(f"{needed:,} of the network's {all_of_it:,} parameters are needed")
exported = torch.export.export(selected, (images,))
print("torch.export gives the same:", torch.equal(exported.module()(images), activations))
