"""Brain-like units as masks, channels and soft weights: python examples/masks.py [RELEASE]."""

import sys

import unitdb
from unitdb import col

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
units = release.units(roi="V4").where(col.min_r > 0.1).top(200, by="mean_r")

masks, weights, channels = units.masks(), units.weights("mean_r"), units.channels()
print(f"{'layer':<10}{'shape':<18}{'units':>7}{'channels':>10}{'mean accuracy':>15}")
for layer, mask in masks.items():
    shape, n_units = tuple(mask.shape), int(mask.sum())
    mean = float(weights[layer].sum()) / n_units
    print(f"{layer:<10}{shape!s:<18}{n_units:>7}{len(channels[layer]):>10}{mean:>15.2f}")
