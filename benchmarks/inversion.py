"""Photographs from their own activations: how near, and what a picture costs.

python benchmarks/inversion.py [--steps 150] [--side 224] [--batch 4]

Sought are four photographs that unitdb ships, by all units of five layers of EfficientNet-lite0
(stem to block 9): one by one with several weights of total variation, then so many together. Scores
are of the bytes that are found.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import PIL.Image
import torch

from unitdb import nn
from unitdb.activations import get_model, photograph
from unitdb.activations.efficientnet import efficientnet_lite
from unitdb.analysis import picture_correlation, structural_similarity

LAYERS = ("stem", "block1", "block3", "block6", "block9")
NAMES = ("astronaut", "chelsea", "china", "coffee")
ROUGHNESS = (0.01, 0.1, 1.0)


def squares(side: int) -> np.ndarray:
    """The photographs, their central squares made this size."""
    found = []
    for name in NAMES:
        picture = PIL.Image.fromarray(np.asarray(photograph(name)))
        short = min(picture.size)
        left, top = (picture.width - short) // 2, (picture.height - short) // 2
        picture = picture.crop((left, top, left + short, top + short))
        found.append(np.asarray(picture.resize((side, side))))
    return np.stack(found)


def main() -> None:
    """Seek the photographs, and print what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = efficientnet_lite(0).eval()
    scale = {"mean": (127.0,) * 3, "std": (128.0,) * 3}
    look = nn.Transform(size=args.side, crop=1.0, interpolation="bicubic", **scale)
    paths = {layer: get_model("efficientnet-lite0").layers[layer] for layer in LAYERS}
    pictures = squares(args.side)
    images = torch.stack([look(PIL.Image.fromarray(picture)) for picture in pictures])
    shapes = {}
    hooks = [
        network.get_submodule(path).register_forward_hook(
            lambda _m, _i, output, layer=layer: shapes.update({layer: output.shape[1:]})
        )
        for layer, path in paths.items()
    ]
    with torch.no_grad():
        network(images[:1])
        for hook in hooks:
            hook.remove()
        masks = {layer: torch.ones(shapes[layer], dtype=torch.bool) for layer in LAYERS}
        selected = nn.SelectedActivations(network, masks, layers=paths)
        targets = torch.cat([selected(image[None]) for image in images])
    print(f"{len(pictures)} photographs, {args.side} px, {args.steps} steps, one thread")
    print("together  tv    pixel r  SSIM   processor seconds a picture")
    for batch, tv in [*((1, tv) for tv in ROUGHNESS), (args.batch, ROUGHNESS[0])]:
        start = time.process_time()
        found = nn.invert(
            network,
            masks,
            targets,
            layers=paths,
            transform=look,
            steps=args.steps,
            tv=tv,
            batch=batch,
        )
        seconds = (time.process_time() - start) / len(pictures)
        r = picture_correlation(found.images, pictures)
        ssim = structural_similarity(found.images, pictures)
        print(
            f"{batch:<9} {tv:<5} {min(r):.3f}    {min(ssim):.3f}  {seconds:.1f}   "
            f"(least of the pictures; mean SSIM {np.mean(ssim):.3f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
