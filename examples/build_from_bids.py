"""Build from BIDS: build_from_bids.py [FOLDER].

Made-up images of two people in the layout of BIDS, a dataset that says where things lie, a recipe,
and a release. Leave out the first part, and name your own files in the second. FOLDER keeps it all.
"""

import json
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np

import unitdb
from unitdb.pipeline import build

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
rng = np.random.default_rng(0)
N_TRAIN, N_TEST, TR, SHAPE = 40, 12, 2.0, (6, 6, 4)
pictures = [f"picture-{number:02d}" for number in range(N_TRAIN + N_TEST)]
features = rng.normal(size=(len(pictures), 60)).astype("float32")  # of a network's layer
(folder / "features").mkdir(parents=True)
np.save(folder / "features" / "conv.npy", features)
(folder / "features" / "stimuli.txt").write_text("\n".join(pictures))

# 1. Images and events. A picture every eight seconds; the response comes four seconds later.
for subject in ("sub-01", "sub-02"):
    func = folder / "bids" / subject / "func"
    func.mkdir(parents=True)
    seen_by = rng.normal(size=(60, int(np.prod(SHAPE))))
    for task, shown in (("train", range(N_TRAIN)), ("test", range(N_TRAIN, len(pictures)))):
        volumes = rng.normal(0, 4, size=(4 * len(shown) + 4, int(np.prod(SHAPE))))
        rows = ["onset\tduration\tstimulus"]
        for place, picture in enumerate(shown):
            rows.append(f"{8.0 * place}\t8.0\t{pictures[picture]}")
            volumes[4 * place + 2 : 4 * place + 6] += features[picture] @ seen_by
        image = nibabel.Nifti1Image((1000 + volumes.T).reshape(*SHAPE, -1).astype("f4"), np.eye(4))
        image.header.set_zooms((1, 1, 1, TR))
        name = f"{subject}_task-{task}_run-01"
        nibabel.save(image, func / f"{name}_bold.nii.gz")
        (func / f"{name}_bold.json").write_text(json.dumps({"RepetitionTime": TR}))
        (func / f"{name}_events.tsv").write_text("\n".join(rows) + "\n")
    mask = np.zeros(SHAPE, np.uint8)
    mask[:4] = 1
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), folder / "bids" / subject / "V1.nii.gz")

# 2. What they are.
(folder / "dataset.yaml").write_text("""
name: mine
title: Two people who see pictures
description: Made-up numbers, to show the form.
simulated: true
licence: CC0-1.0
source: this script
citation: none
subjects: [sub-01, sub-02]
rois: {V1: primary visual cortex}
stimuli: {kind: names, file: features/stimuli.txt}
responses:
  kind: bids
  root: bids
  train:
    bold: "{subject}/func/*_task-train_*_bold.nii.gz"
    events: "{subject}/func/*_task-train_*_events.tsv"
    stimulus: stimulus
  tests:
    perception:
      bold: "{subject}/func/*_task-test_*_bold.nii.gz"
      events: "{subject}/func/*_task-test_*_events.tsv"
      stimulus: stimulus
  masks: {V1: ["{subject}/V1.nii.gz"]}
  shift: 4.0
  trend: 1
  normalise: percent
""")
(folder / "recipe.yaml").write_text("""
name: mine
version: 1.0.0
title: Units of a layer, decoded from two people
description: An example.
licence: CC0-1.0
citation: none
datasets: [dataset.yaml]
own_models:
  - name: mynet
    title: Activations in a file
    features: {folders: [features], format: stacked}
    layers: {conv: conv}
    licence: CC0-1.0
    source: this script
    citation: none
models: [{name: mynet}]
decoder: {voxels: 50, alpha: 100}
""")

# 3. The release.
release = unitdb.open(build(folder / "recipe.yaml", data=folder, releases=folder / "releases"))
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
best = release.units(roi="V1").top(5).to_pandas()
print(best[["unit_id", "mean_r", "min_r"]].round(2).to_string(index=False))
