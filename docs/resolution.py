"""Print what the arithmetic of a forward pass resolves: docs/resolution.py DATA.

Activations of EfficientNet-lite0 to the 92 photographs of algonauts92, as builds compute them,
beside those in double precision, in batches and two threads, and without oneDNN. The error of a
unit is the range, over images, of what they differ by, in steps of float32: 2⁻²³ of the unit's
largest activation. 128 steps are ``unitdb.resolution.SINGLE``.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from unitdb.activations import LoadedModel, get_model, load_model, to_tensor
from unitdb.activations.layers import forward
from unitdb.resolution import SINGLE, is_constant

STEP = 2.0**-23
HEAD = """\
error of a unit in steps of float32: 99.9 % of units, and (the largest)
constant: exactly, and by the rule; unsure: units with an error of a tenth of their range or more

layer      units | to double   | batch of 92 | no oneDNN   | constant         | unsure, not constant
"""


def activations(
    model: LoadedModel, network: nn.Module, pictures: torch.Tensor, batch: int
) -> dict[str, np.ndarray]:
    """Of each layer, (n_pictures, n_units)."""
    dtype = np.float64 if pictures.dtype == torch.float64 else np.float32
    found = {la.name: np.empty((len(pictures), la.n_units), dtype) for la in model.layers}
    modules = {la.name: network.get_submodule(la.module) for la in model.layers}
    for start in range(0, len(pictures), batch):

        def receive(name: str, activation: torch.Tensor, start: int = start) -> None:
            rows = slice(start, start + len(activation))
            found[name][rows] = activation.flatten(1).numpy()

        forward(network, pictures[start : start + batch], modules, receive, where="network")
    return found


def error(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Range of the difference over images, of each unit, in steps of its largest activation."""
    largest = np.abs(one).max(axis=0).astype(np.float64)
    difference = np.ptp(other - one.astype(np.float64), axis=0)
    return np.asarray(difference / np.where(largest > 0, largest, 1.0) / STEP)


def main() -> None:
    """Print a line for each layer."""
    files = sorted((Path(sys.argv[1]) / "algonauts92" / "images").glob("*.jpg"))
    model = load_model(get_model("efficientnet-lite0"))
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    pictures = torch.stack([to_tensor(image, model.spec.preprocessing) for image in images])
    torch.set_num_threads(1)
    built = activations(model, model.module, pictures, 1)
    double = copy.deepcopy(model.module).double()
    exact = activations(model, double, pictures.double(), 1)
    torch._C._set_mkldnn_enabled(False)  # the context manager of torch warns about Intel GPUs
    plain = activations(model, model.module, pictures, 1)
    torch._C._set_mkldnn_enabled(True)
    torch.set_num_threads(2)
    together = activations(model, model.module, pictures, len(pictures))
    sys.stdout.write(HEAD)
    for layer, one in built.items():
        errors = [error(one, other[layer]) for other in (exact, together, plain)]
        cells = [f"{np.quantile(of, 0.999):5.0f} {f'({of.max():.0f})':>6}" for of in errors]
        constant, exactly = is_constant(one), is_constant(one, resolution=0.0)
        spread = error(one, np.zeros_like(one, np.float64))
        unsure = (errors[0] >= spread / 10) & ~exactly
        counts = f"{exactly.sum():7,} {constant.sum():8,} | {unsure.sum():6,} "
        counts += f"{(unsure & ~constant).sum():5,}"
        line = " | ".join([f"{layer:8} {one.shape[1]:7,}", *cells, counts])
        sys.stdout.write(line + "\n")
    n_units = sum(one.shape[1] for one in built.values())
    sys.stdout.write(f"\n{n_units:,} units; SINGLE = {SINGLE / STEP:.0f} steps\n")


if __name__ == "__main__":
    main()
