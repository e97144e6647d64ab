"""Build a release of SIMULATED brains that view blurred photographs, to test modulation with.

``python docs/blurred.py DATA FOLDER``: DATA holds ``imagenet1000`` (1,000 photographs as JPEG), and
the release becomes ``FOLDER/releases/blurred-simulated/1.0.0``, in ten minutes.
``UNITDB_BLURRED=RELEASE pytest tests/acceptance/test_modulation.py`` judges it.

Eight brains view 500 photographs, and 40 others sharp and at three levels of box blur, once each.
Voxels are sums of six units of one of seven layers of EfficientNet-lite0, and noise of 1.5 SD of
that signal. Those of the ROI ``forward`` answer to what is shown; those of ``sharpened`` to .7 of
it and .3 of its original.

The bias of a release is that of brains made as ``forward`` is, so that these two can only show that
it is consistent. Those of ``otherwise`` are only fed forward too, and made differently, in the way
of the sample: early layers have more voxels than late ones (1.5 times as many a layer), some units
are in many voxels and most in few, and .4 of the noise is smooth over a sheet of voxels.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from unitdb.activations import UnitSelection, extract, get_model, load_model
from unitdb.errors import DatasetError
from unitdb.pipeline import build
from unitdb.responses import Dataset, DatasetSpec
from unitdb.specs import read_spec

LAYERS = ("stem", "block3", "block6", "block9", "block12", "block14", "fc")
ENDINGS = {"blur-00": "", "blur-06": "._1", "blur-12": "._2", "blur-25": "._3"}
SHARPENING = {"forward": 0.0, "sharpened": 0.3, "otherwise": 0.0}
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
rois:
  forward: only fed forward (simulated)
  sharpened: .3 of the original (simulated)
  otherwise: only fed forward, of another make (simulated)
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
  masks: {{forward: is_forward, sharpened: is_sharpened, otherwise: is_otherwise}}
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
        for roi, part in SHARPENING.items():
            make, noise = MAKES.get(roi, (_signal, _white))
            signal = make(features, stored.rows(train), rng)
            for name in ("x_train", *ENDINGS):
                shown = [each + ENDINGS.get(name, "") for each in test]
                of = signal[stored.rows(train if name == "x_train" else shown)]
                if name in ENDINGS:
                    arrays[f"ids-{name}"] = np.array(shown)
                    of = (1 - part) * of + part * signal[stored.rows(test)]
                of_sets.setdefault(name, []).append(of + NOISE * noise(of.shape, rng))
        arrays |= {name: np.concatenate(parts, axis=1) for name, parts in of_sets.items()}
        of_voxel = np.repeat(list(SHARPENING), N_VOXELS)
        arrays |= {f"is_{roi}": of_voxel == roi for roi in SHARPENING}
        np.savez(folder / f"{subject}.npz", allow_pickle=False, **arrays)
    recipe = folder / "recipe.yaml"
    text = RECIPE.format(layers=", ".join(LAYERS), n_units=N_UNITS)
    recipe.write_text(text, encoding="utf-8")
    return recipe


def _signal(
    features: list[NDArray[np.float32]], train: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Voxel by voxel: six units of one layer, each of unit variance, and so is the sum."""
    layers = [number % len(features) for number in range(N_VOXELS)]
    weights = [np.ones(of_layer.shape[1]) for of_layer in features]
    return _mixed(features, layers, weights, train, rng)


def _otherwise(
    features: list[NDArray[np.float32]], train: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The same, but for unequal shares of layers and of units."""
    shares = 1.5 ** -np.arange(len(features))
    layers = rng.choice(len(features), N_VOXELS, p=shares / shares.sum()).tolist()
    weights = [np.exp(1.5 * rng.normal(size=of_layer.shape[1])) for of_layer in features]
    return _mixed(features, layers, weights, train, rng)


def _mixed(
    features: list[NDArray[np.float32]],
    layers: list[int],
    weights: list[NDArray[np.float64]],
    train: NDArray[np.intp],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    voxels = []
    for layer in layers:
        of_layer = features[layer].astype(np.float64)
        varies = np.ptp(of_layer[train], axis=0) > 1e-4 * np.abs(of_layer[train]).max(axis=0)
        p = np.where(varies, weights[layer], 0.0)
        units = of_layer[:, rng.choice(len(p), 6, p=p / p.sum())]
        z = (units - units[train].mean(axis=0)) / units[train].std(axis=0)
        voxel = z @ rng.normal(size=6)
        voxels.append((voxel - voxel[train].mean()) / voxel[train].std())
    return np.stack(voxels, axis=1)


def _white(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(size=shape)


def _smooth(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
    """Of unit variance, .4 of it smooth over a square sheet of voxels."""
    side = int(np.ceil(np.sqrt(shape[1])))
    sheet = scipy.ndimage.gaussian_filter(
        rng.normal(size=(shape[0], side, side)), sigma=(0, 2, 2), mode="wrap"
    )
    smooth = (sheet / sheet.std()).reshape(shape[0], -1)[:, : shape[1]]
    return np.asarray(np.sqrt(0.6) * rng.normal(size=shape) + np.sqrt(0.4) * smooth)


MAKES = {"otherwise": (_otherwise, _smooth)}


def main() -> None:
    """Lay out and build."""
    data, folder = map(Path, sys.argv[1:])
    recipe = lay_out(data, folder)
    build(recipe, data=folder, releases=folder / "releases", cache=folder / "cache")


if __name__ == "__main__":
    main()
