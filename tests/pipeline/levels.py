"""Test sets of blurred pictures for the small dataset, by level and by what was known of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.pipeline.small import N_TEST, N_TRAIN, SUBJECTS, edit

TESTED = [f"picture-{number:02d}" for number in range(N_TRAIN, N_TRAIN + N_TEST)]
HALVES = {"none": TESTED[:4], "category": TESTED[4:]}
BLURRED = "blurred: {kind: box, levels: {._2: 0.9, ._1: 0.4}, of: [PICTURES]}"
ENDINGS = {"sharp": "", "little": "._1", "much": "._2"}


def add_sets(
    folder: Path,
    halves: Mapping[str, list[str]] = HALVES,
    endings: Mapping[str, str] = ENDINGS,
) -> None:
    """Test sets of levels of blur, pictures of a prior each; three levels and two priors."""
    tests = ""
    for prior, pictures in halves.items():
        for level, (name, ending) in enumerate(endings.items()):
            own = name + ("" if prior == "none" else "-category")
            tests += f"    {own}:\n      responses: x_{own}\n      stimulus_ids: ids_{own}\n"
            tests += f"      level: {level}\n      prior: {prior}\n"
            if ending:
                tests += f'      targets: {{ending: {ending}, by: ""}}\n'
            for subject in SUBJECTS:
                with np.load(folder / f"{subject}.npz") as file:
                    arrays = dict(file)
                rng = np.random.default_rng([level, *own.encode(), *subject.encode()])
                of = {k: arrays["x_test"][arrays["ids_test"] == k].mean(axis=0) for k in pictures}
                means = np.stack(list(of.values()))
                x = means * (1 - 0.2 * level) + rng.normal(0, 2, means.shape)
                arrays |= {f"x_{own}": x, f"ids_{own}": [name + ending for name in pictures]}
                np.savez(folder / f"{subject}.npz", **arrays)
    edit(
        folder / "mine.yaml",
        "    perception: {responses: x_test, stimulus_ids: ids_test}\n",
        f"    perception: {{responses: x_test, stimulus_ids: ids_test}}\n{tests}",
    )
    versions = BLURRED.replace("PICTURES", ", ".join(TESTED))
    edit(folder / "mine.yaml", "ending: .png}", f"ending: .png, {versions}}}")
