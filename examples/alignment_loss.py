"""A small network pulled towards brain-like units: python examples/alignment_loss.py [RELEASE]."""

import sys

import PIL.Image
import torch

import unitdb
from unitdb import nn
from unitdb.activations import PHOTOGRAPHS, photograph
from unitdb.activations.efficientnet import efficientnet_lite

release = unitdb.open(sys.argv[1] if len(sys.argv) > 1 else "sample")
print(f"{release.label}: {'SIMULATED' if release.simulated else 'measured'} responses")
units = release.units(roi="HVC").top(200, by="mean_r")

# Crops of photographs; those of the last four photographs test.
transform = nn.published_transform(units)
names = [name for name in PHOTOGRAPHS if min(photograph(name).shape[:2]) >= 300]
crops = [
    transform(PIL.Image.fromarray(photograph(name)[top : top + 150, top : top + 150]))
    for name in names
    for top in (0, 50, 100, 150)
]
images, n_test = torch.stack(crops), 16

torch.manual_seed(0)
student = torch.nn.Sequential(
    torch.nn.Conv2d(3, 12, 7, stride=4),
    torch.nn.ReLU(),
    torch.nn.Conv2d(12, 24, 5, stride=2),
    torch.nn.ReLU(),
    torch.nn.AdaptiveAvgPool2d(4),
    torch.nn.Flatten(),
)
loss = nn.AlignmentLoss(units, teacher=efficientnet_lite(0), kind="cka-debiased")
target = loss.target(images)  # the teacher does not change: once is enough
optimiser = torch.optim.Adam(student.parameters(), lr=3e-4)
for step in range(41):  # so few photographs are soon learnt by heart
    optimiser.zero_grad()
    value = loss(student(images[:-n_test]), target[:-n_test])
    value.backward()
    optimiser.step()
    if step % 10 == 0:
        with torch.no_grad():
            unseen = loss(student(images[-n_test:]), target[-n_test:])
        print(f"step {step:>2}: 1 - CKA {value.item():.3f}, of unseen photographs {unseen:.3f}")
