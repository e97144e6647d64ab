"""Activations of ten layers of ResNet-50 to 1,000 pictures: unitdb and thingsvision's extractor.

``python benchmarks/extraction.py PEER PICTURES`` with the Python of an environment that has
thingsvision, and a folder of pictures (default: noise). Each runs alone in a process of its own,
twice, in turns; both store all units of all layers on disk. The same random weights are given to
both, and what they stored is compared. thingsvision imports tensorflow, which its extractor of
torch does not use: here it is an empty module. Names that numpy 2 has elsewhere are
given back. Where torchvision's compiled part does not fit
torch, the operators that its import asks for are defined before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import types
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import PIL.Image
import torch

LAYERS = [
    *("layer2.3", "layer3.2", "layer3.3", "layer3.4", "layer3.5"),
    *("layer4.0", "layer4.1", "layer4.2", "avgpool", "fc"),
]
_BATCH = 10
_STEP = 10  # batches that thingsvision keeps before it writes


def operators() -> torch.library.Library | None:
    """Define what torchvision asks for where its compiled part cannot be loaded."""
    try:
        torch.ops.torchvision.nms  # noqa: B018
    except AttributeError:
        defined = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            defined.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return defined
    return None


def network() -> torch.nn.Module:
    """ResNet-50 with random weights, always the same."""
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.resnet50(weights=None).eval()


def of_unitdb(pictures: list[Path], to: Path) -> None:
    """Ten layers, all units, by a batch of pictures at a time."""
    from unitdb.activations import (
        Stimuli,
        UnitSelection,
        extract,
        get_model,
        load_model,
        own_module,
    )
    from unitdb.errors import ActivationsError
    from unitdb.pictures import read_picture

    spec, lent = own_module(
        network(),
        name="resnet50",
        layers=LAYERS,
        preprocessing=get_model("torchvision/resnet50:IMAGENET1K_V1").preprocessing,
    )
    stimuli = Stimuli(
        ids=tuple(path.stem for path in pictures),
        sources=tuple(path.name for path in pictures),
        read=lambda place: read_picture(pictures[place], error=ActivationsError),
    )
    with lent:
        model = load_model(spec)
    extract(model, stimuli, folder=to, units=UnitSelection(sample=None), batch_size=_BATCH)


def of_peer(pictures: list[Path], to: Path) -> None:
    """The same by thingsvision, with its own loop and torchvision's transform of these weights."""
    import torchvision
    from torch.utils.data import DataLoader, Dataset

    empty = types.ModuleType("tensorflow")
    for name in ("keras", "keras.applications", "keras.layers"):
        sys.modules[f"tensorflow.{name}"] = types.ModuleType(f"tensorflow.{name}")
    empty.keras = sys.modules["tensorflow.keras"]
    empty.keras.applications = sys.modules["tensorflow.keras.applications"]
    empty.keras.layers = sys.modules["tensorflow.keras.layers"]
    empty.keras.layers.Lambda = object
    empty.keras.Model = empty.Tensor = object
    empty.config = types.SimpleNamespace(list_physical_devices=lambda _: [])
    sys.modules["tensorflow"] = empty
    vars(np)["AxisError"] = np.exceptions.AxisError
    from thingsvision import get_extractor_from_model

    transform = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.transforms()

    class Pictures(Dataset):
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, place: int) -> torch.Tensor:
            return transform(PIL.Image.open(pictures[place]).convert("RGB"))

    extractor = get_extractor_from_model(model=network(), device="cpu", backend="pt")
    extractor.extract_features(
        batches=DataLoader(Pictures(), batch_size=_BATCH),
        module_names=LAYERS,
        flatten_acts=True,
        output_dir=str(to),
        step_size=_STEP,
    )


def stored(of: str, to: Path, layer: str) -> np.ndarray:
    """What was stored of a layer, pictures × units."""
    if of == "peer":
        parts = (to / layer).glob("features_*.npy")
        ordered = sorted(parts, key=lambda path: int(path.stem.split("-")[1]))
        return np.concatenate([np.load(path) for path in ordered])
    from unitdb.activations import Activations

    (folder,) = [path for path in to.iterdir() if path.is_dir()]
    return Activations.open(folder).mapped(layer)


def compare(folder: Path, layer: str) -> dict[str, float]:
    """Units of a layer, and the largest difference in parts of the range of its values."""
    ours, theirs = (stored(of, folder / f"{of}-0", layer) for of in ("unitdb", "peer"))
    most = max(float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))
    return {"units": ours.shape[1], "of_range": most / float(theirs.max() - theirs.min())}


def watch_memory(most: list[int], ended: threading.Event) -> None:
    """Note the most memory, in KiB, but for pages of files, which the system takes back."""
    while not ended.wait(0.05):
        status = Path("/proc/self/status").read_text()
        most[0] = max(most[0], int(status.partition("RssAnon:")[2].split()[0]))


def child(of: str, pictures: Path, n: int, to: Path) -> dict[str, Any]:
    """Extract in this process; seconds, and the most memory."""
    held = operators()
    paths = sorted(pictures.iterdir())[:n]
    start, processor = perf_counter(), sum(os.times()[:2])
    most, ended = [0], threading.Event()
    watch = threading.Thread(target=watch_memory, args=(most, ended))
    watch.start()
    (of_peer if of == "peer" else of_unitdb)(paths, to)
    ended.set()
    watch.join()
    del held
    return {
        "seconds": round(perf_counter() - start, 1),
        "processor_seconds": round(sum(os.times()[:2]) - processor, 1),
        "gb": round(most[0] / 2**20, 2),
        "gb_with_files": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def run(python: str, of: str, pictures: Path, n: int, to: Path) -> dict[str, Any]:
    """Run a child; its answer."""
    made = subprocess.run(
        [python, __file__, "--child", of, str(to), python, str(pictures), "-n", str(n)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return answer


def main() -> None:
    """Time both in turns, and compare what they stored."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("peer", help="Python that has thingsvision")
    asked.add_argument("pictures", type=Path, nargs="?", help="folder of pictures")
    asked.add_argument("-n", type=int, default=1000)
    asked.add_argument("--rounds", type=int, default=2)
    asked.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.child:
        print(json.dumps(child(given.child[0], given.pictures, given.n, Path(given.child[1]))))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        pictures = given.pictures or Path(folder, "pictures")
        if given.pictures is None:
            pictures.mkdir()
            rng = np.random.default_rng(0)
            for place in range(given.n):
                noise = rng.integers(0, 256, (240, 240, 3), dtype=np.uint8)
                PIL.Image.fromarray(noise).save(pictures / f"{place:04d}.png")
        times: dict[str, list[dict[str, Any]]] = {"unitdb": [], "peer": []}
        for turn in range(given.rounds):
            for of, python in (("unitdb", sys.executable), ("peer", given.peer)):
                to = Path(folder, f"{of}-{turn}")
                times[of].append(run(python, of, pictures, given.n, to))
                print(of, times[of][-1], flush=True)
                if turn:  # those of the first are compared
                    subprocess.run(["rm", "-r", str(to)], check=True)
        shown = {layer: compare(Path(folder), layer) for layer in LAYERS}
    print(json.dumps({"torch": version("torch"), "times": times, "differences": shown}))


if __name__ == "__main__":
    main()
