"""Build a release of SIMULATED brains that view blurred photographs, to test modulation with.

``python docs/blurred.py DATA FOLDER``: DATA holds ``imagenet1000`` (1,000 photographs as JPEG), and
the release becomes ``FOLDER/releases/blurred-simulated/1.0.0``.

Eight brains view 500 photographs, and 40 others sharp and at three levels of box blur, once each.
Voxels are sums of six units of one of seven layers of EfficientNet-lite0, and noise of 1.5 SD of
that signal. Those of the ROI ``forward`` answer to what is shown; those of ``sharpened`` to .7 of
it and .3 of its original.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import UnitSelection, extract, get_model, load_model
from unitdb.errors import DatasetError
from unitdb.pipeline import build
from unitdb.responses import Dataset, DatasetSpec
from unitdb.specs import read_spec

LAYERS = ("stem", "block3", "block6", "block9", "block12", "block14", "fc")
ENDINGS = {"blur-00": "", "blur-06": "._1", "blur-12": "._2", "blur-25": "._3"}
SHARPENING = {"forward": 0.0, "sharpened": 0.3}
N_BRAINS, N_TRAIN, N_TEST, N_VOXELS, N_UNITS, NOISE = 8, 500, 40, 840, 200, 1.5

DATASET = """\
name: blurred-simulated
title: Simulated brains viewing blurred photographs (not measured)
description: SIMULATED. Voxels are sparse mixtures of units, with noise.
simulated: true
licence: CC0-1.0
source: docs/blurred.py
citation: none
subjects: [{subjects}]
rois: {{forward: only fed forward (simulated), sharpened: .3 of the original (simulated)}}
stimuli:
  kind: folder
  folder: imagenet1000
  ending: .jpg
  blurred:
    kind: box
    levels: {{._3: 0.25, ._2: 0.12, ._1: 0.06}}
    of: [{pictures}]
responses:
  kind: arrays
  file: "{{subject}}.npz"
  train: {{responses: x_train, stimulus_ids: ids_train}}
  tests:
{tests}
  masks: {{forward: is_forward, sharpened: is_sharpened}}
"""

RECIPE = """\
name: blurred-simulated
version: 1.0.0
title: Simulated brains viewing blurred photographs
description: For the acceptance test of modulation; no statement about brains follows from it.
licence: CC0-1.0
citation: none
datasets: [dataset.yaml]
models: [{{name: efficientnet-lite0, layers: [{layers}]}}]
units: {{sample: {n_units}, seed: 0}}
keep: {{units: 0}}
modulation: {{noise: [1.0, 1.4, 2.0], simulations: 8}}
"""


def lay_out(data: Path, folder: Path) -> Path:
    """Write dataset, responses and recipe; returns the recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "imagenet1000"
    if not link.exists():
        link.symlink_to((data / "imagenet1000").resolve(), target_is_directory=True)
    names = sorted(path.stem for path in link.glob("*.jpg"))
    chosen = np.random.default_rng(0).permutation(names)[: N_TRAIN + N_TEST].tolist()
    train, test = chosen[:N_TRAIN], chosen[N_TRAIN:]
    subjects = [f"sub-{number:02d}" for number in range(1, 1 + N_BRAINS)]
    tests = [
        f"    {name}: {{responses: {name}, stimulus_ids: ids-{name}, level: {int(name[5:])}"
        + (f', targets: {{ending: {ending}, by: ""}}}}' if ending else "}")
        for name, ending in ENDINGS.items()
    ]
    text = DATASET.format(
        subjects=", ".join(subjects), pictures=", ".join(test), tests="\n".join(tests)
    )
    (folder / "dataset.yaml").write_text(text, encoding="utf-8")
    spec = read_spec(folder / "dataset.yaml", DatasetSpec, DatasetError)
    dataset = Dataset(spec=spec, data=folder, cache=folder / "cache")
    stored = extract(
        load_model(get_model("efficientnet-lite0"), layers=list(LAYERS)),
        dataset.stimuli,
        folder=folder / "cache",
        units=UnitSelection(sample=N_UNITS, seed=0),
    )
    features = [stored.block(layer, 0, stored.n_units(layer)) for layer in LAYERS]
    for number, subject in enumerate(subjects):
        rng = np.random.default_rng([1, number])
        arrays: dict[str, NDArray[np.generic]] = {"ids_train": np.array(train)}
        of_sets: dict[str, list[NDArray[np.float64]]] = {}
        for part in SHARPENING.values():
            signal = _signal(features, stored.rows(train), rng)
            for name in ("x_train", *ENDINGS):
                shown = [each + ENDINGS.get(name, "") for each in test]
                of = signal[stored.rows(train if name == "x_train" else shown)]
                if name in ENDINGS:
                    arrays[f"ids-{name}"] = np.array(shown)
                    of = (1 - part) * of + part * signal[stored.rows(test)]
                of_sets.setdefault(name, []).append(of + NOISE * rng.normal(size=of.shape))
        arrays |= {name: np.concatenate(parts, axis=1) for name, parts in of_sets.items()}
        arrays["is_forward"] = np.arange(2 * N_VOXELS) < N_VOXELS
        arrays["is_sharpened"] = ~arrays["is_forward"]
        np.savez(folder / f"{subject}.npz", **arrays)
    recipe = folder / "recipe.yaml"
    text = RECIPE.format(layers=", ".join(LAYERS), n_units=N_UNITS)
    recipe.write_text(text, encoding="utf-8")
    return recipe


def _signal(
    features: list[NDArray[np.float32]], train: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Voxel by voxel: six units of one layer, each of unit variance, and so is the sum."""
    voxels = []
    for number in range(N_VOXELS):
        of_layer = features[number % len(features)].astype(np.float64)
        varies = np.ptp(of_layer[train], axis=0) > 1e-4 * np.abs(of_layer[train]).max(axis=0)
        units = of_layer[:, rng.choice(np.flatnonzero(varies), 6)]
        z = (units - units[train].mean(axis=0)) / units[train].std(axis=0)
        voxel = z @ rng.normal(size=6)
        voxels.append((voxel - voxel[train].mean()) / voxel[train].std())
    return np.stack(voxels, axis=1)


def main() -> None:
    """Lay out and build."""
    data, folder = map(Path, sys.argv[1:])
    recipe = lay_out(data, folder)
    build(recipe, data=folder, releases=folder / "releases", cache=folder / "cache")


if __name__ == "__main__":
    main()
