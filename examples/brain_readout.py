"""Do 200 brain-like units tell digits apart better than 200 others? brain_readout.py [RELEASE].

A logistic regression on the activations of 200 units of EfficientNet-lite0, for 240 of the
handwritten digits of scikit-learn: half of them train it, half test it, in ten random halvings. The
units that it is compared with are drawn ten times: from all decoded units, or with as many of each
layer as the brain-like ones.
"""

import sys

import numpy as np
import PIL.Image
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import unitdb
from unitdb import col, nn
from unitdb.activations.efficientnet import efficientnet_lite

N_UNITS, N_IMAGES, N_DRAWS = 200, 240, 10

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
decoded = release.units(roi="HVC").where(col.n_subjects > 0)
rows = decoded.to_pandas()
best = set(decoded.top(N_UNITS, by="mean_r").to_pandas()["unit_id"])

digits = load_digits()
chosen = np.random.default_rng(0).permutation(len(digits.images))[:N_IMAGES]
transform = nn.published_transform(decoded)
pictures = [
    transform(PIL.Image.fromarray((digits.images[number] * 15.9375).astype(np.uint8)))
    for number in chosen
]
network = efficientnet_lite(0).eval()
features = nn.brain_readout(network, decoded, torch.stack(pictures), batch_size=16).numpy()
unit_ids = nn.SelectedActivations(network, decoded).unit_ids
layer = np.array([unit_id.split("/")[1] for unit_id in unit_ids])
brain_like = np.flatnonzero([unit_id in best for unit_id in unit_ids])
labels = digits.target[chosen]


def probe(units: np.ndarray) -> float:
    """Share of test digits that are recognised, mean over halvings."""
    halves = StratifiedShuffleSplit(N_DRAWS, test_size=0.5, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    scores = [
        model.fit(features[train][:, units], labels[train]).score(
            features[test][:, units], labels[test]
        )
        for train, test in halves.split(features, labels)
    ]
    return float(np.mean(scores))


rng = np.random.default_rng(0)
anywhere = [rng.choice(len(unit_ids), N_UNITS, replace=False) for _ in range(N_DRAWS)]
same_layers = [
    np.concatenate(
        [
            rng.choice(np.flatnonzero(layer == name), np.sum(layer[brain_like] == name), False)
            for name in dict.fromkeys(layer)
        ]
    )
    for _ in range(N_DRAWS)
]
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
print(
    f"{N_UNITS} of {len(rows)} decoded units, {N_IMAGES} digits, chance 0.10; accuracy of a probe"
)
print(f"brain-like (top by accuracy in HVC)   {probe(brain_like):.3f}")
for title, draws in (("random", anywhere), ("random, same number of each layer", same_layers)):
    scores = [probe(units) for units in draws]
    print(f"{title:<36}  {np.mean(scores):.3f}  SD over {N_DRAWS} draws {np.std(scores):.3f}")
if release.simulated:
    print("Which units are brain-like was simulated: this says nothing about brains.")
