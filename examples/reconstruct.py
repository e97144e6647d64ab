"""A photograph from activations of units: reconstruct.py [RELEASE] [FOLDER].

From its own, true activations: how well a picture can come out at all from these units. First from
all units of two early layers, then from those that the release has decoded. Beside the correlation
with the photograph stands the highest with any of the other photographs: a picture that looks real
and is of something else has a higher one there. With a FOLDER, pictures are written into it.
"""

import sys
from pathlib import Path

import numpy as np
import PIL.Image
import torch

import unitdb
from unitdb import col, nn
from unitdb.activations import PHOTOGRAPHS, photograph
from unitdb.activations.efficientnet import efficientnet_lite
from unitdb.analysis import picture_correlation, structural_similarity

SEEN, STEPS = "chelsea", 60

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
decoded = release.units(roi="V1").where(col.n_subjects > 0)
best = decoded.top(200, by="mean_r")
transform = nn.published_transform(decoded)
network = efficientnet_lite(0).eval()
modules = {"stem": "_bn0", "block1": "_blocks.1"}
masks = decoded.masks()
early = {module: torch.ones_like(masks[layer]) for layer, module in modules.items()}


def square(name: str) -> np.ndarray:
    """The middle of a photograph, of the size that the network takes."""
    whole = PIL.Image.fromarray(photograph(name))
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(whole.crop(box).resize((transform.size, transform.size)))


seen = square(SEEN)
others = np.stack([square(name) for name in PHOTOGRAPHS if name != SEEN])
image = torch.from_numpy(seen.copy()).permute(2, 0, 1)
image = (image - torch.tensor(transform.mean)[:, None, None]) / torch.tensor(transform.std)[0]

print(f"{SEEN}, {STEPS} steps      units   pixel r    SSIM   highest r with another photograph")
for title, units in (("stem, block1", early), ("decoded", decoded), ("decoded best", best)):
    selected = nn.SelectedActivations(network, units)
    with torch.no_grad():
        targets = selected(image[None])
    found = nn.invert(network, units, targets, transform=transform, steps=STEPS).images
    r = picture_correlation(found, seen[None])[0]
    other = picture_correlation(found.repeat(len(others), axis=0), others).max()
    ssim = structural_similarity(found, seen[None])[0]
    print(f"{title:<20} {targets.shape[1]:>8,} {r:>9.2f} {ssim:>7.2f} {other:>9.2f}")
    if len(sys.argv) > 2:
        PIL.Image.fromarray(found[0]).save(Path(sys.argv[2]) / f"{title.replace(', ', '-')}.png")
