"""The pictures that drive brain-like units most: most_exciting_images.py [RELEASE] [FOLDER].

Without a folder of pictures, crops of the photographs that scikit-image and scikit-learn ship.
"""

import sys
import tempfile
from pathlib import Path

import PIL.Image

import unitdb
from unitdb import nn
from unitdb.activations import PHOTOGRAPHS, photograph
from unitdb.activations.efficientnet import efficientnet_lite


def write_crops(folder: Path) -> Path:
    """Three squares of each photograph."""
    for name in PHOTOGRAPHS:
        pixels = photograph(name)
        side = min(pixels.shape[:2]) // 2
        for number, left in enumerate((0, side // 2, side)):
            crop = PIL.Image.fromarray(pixels[left : left + side, left : left + side])
            crop.save(folder / f"{name}-{number}.png")
    return folder


release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
units = release.units(roi="FFA", layer="block14").top(4, by="mean_r")
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else write_crops(Path(temporary))
    table = nn.most_exciting_images(units, folder, model=efficientnet_lite(0), n=3)
print(table.to_string(index=False, float_format="%.2f"))
