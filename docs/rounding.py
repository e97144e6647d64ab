"""Print what leaving out units that only round has changed: docs/rounding.py BEFORE AFTER [CACHE].

Two releases of the same recipe, the first by unitdb before the rule of unitdb.resolution; with the
folder of computed activations (releases/.cache of AFTER) also how many of the hundred best units of
each layer take fewer than ten values. Without releases: what simulated voxels that only round do to
accuracies, by the unitdb that is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import unitdb
from unitdb.activations import Activations
from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.errors import ResponsesError
from unitdb.release import Release
from unitdb.responses.design import average_repeats, image_folds

UNITS = """
SELECT roi, layer, unit, mean_r FROM unit_summary
WHERE mean_r IS NOT NULL ORDER BY roi, layer, mean_r DESC, unit
"""
REMOVED = """
SELECT layer, count(*) FILTER (WHERE n_subjects = 0) AS n FROM unit_summary
WHERE roi = ? GROUP BY layer
"""


def table(before: Release, after: Release, rois: list[str]) -> str:
    """Units without an accuracy, mean accuracy and agreement of each layer and ROI."""
    lines = ["layer    ROI    units without r       mean accuracy      agreement"]
    matrices = {
        (name, kind): release.layer_by_roi(kind)
        for name, release in (("before", before), ("after", after))
        for kind in ("accuracy", "agreement")
    }
    for layer in matrices["before", "accuracy"].index:
        for roi in rois:
            counts = [
                dict(r.sql(REMOVED, [roi]).itertuples(index=False))[layer] for r in (before, after)
            ]
            cells = [
                f"{matrices[name, kind].loc[layer, roi]:.4f}"
                for kind in ("accuracy", "agreement")
                for name in ("before", "after")
            ]
            if counts[0] != counts[1]:
                lines.append(
                    f"{layer:8} {roi:4} {counts[0]:8,} → {counts[1]:7,}   {cells[0]} → {cells[1]}"
                    f"   {cells[2]} → {cells[3]}"
                )
    return "\n".join(lines)


def best(before: Release, after: Release, roi: str, layer: str) -> str:
    """The ten best units of a layer, before and after."""
    found = []
    for release in (before, after):
        units = release.sql(UNITS)
        rows = units[(units["roi"] == roi) & (units["layer"] == layer)].head(10)
        found.append(
            [f"{unit} {r:.3f}" for unit, r in zip(rows["unit"], rows["mean_r"], strict=True)]
        )
    lines = [f"{layer} from {roi}: the ten best units and their mean r"]
    return "\n".join(
        [*lines, "  before  " + ", ".join(found[0]), "  after   " + ", ".join(found[1])]
    )


def few_values(release: Release, store: Activations) -> dict[str, int]:
    """Of the hundred best of each layer in some ROI, those of fewer than ten values."""
    counts: dict[str, int] = {}
    units = release.sql(UNITS)
    for layer, rows in units.groupby("layer", observed=True):
        chosen = rows.groupby("roi", observed=True).head(100)["unit"].unique()
        name = str(layer)
        ids = store.units(name)
        values = store.block(name, 0, store.n_units(name))[:, np.searchsorted(ids, chosen)]
        distinct = np.array([len(np.unique(column)) for column in values.T])
        counts[name] = int((distinct < 10).sum())
    return counts


def voxels() -> str:
    """Accuracies of 200 units from constant voxels averaged over 1 to 5 presentations, simulated.

    100 images, five folds, the 15 best voxels of 400 alone, and of 400 beside 20 that answer to
    the units and have noise; 20 times.
    """
    alone, means = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ids = np.repeat(np.arange(100), rng.integers(1, 6, 100)).astype(str)
        level = np.float32(0.1) * rng.uniform(1, 9, 400).astype(np.float32)
        still, _ = average_repeats(np.tile(level, (len(ids), 1)), ids)
        units = rng.normal(size=(100, 200)).astype(np.float32)
        signal = units @ rng.normal(size=(200, 20)) / np.sqrt(200)
        real = (signal + 0.5 * rng.normal(size=(100, 20))).astype(np.float32)
        splits, settings = image_folds(100, 5, seed=0), DecoderSettings(n_voxels=15, alpha=10.0)
        means.append(
            [
                RoiDecoder(values, splits, settings).accuracy(units).mean()
                for values in (real, np.hstack([still, real]))
            ]
        )
        try:
            alone.append(RoiDecoder(still, splits, settings).accuracy(units))
        except ResponsesError as error:
            said = str(error)
    without, beside = np.mean(means, axis=0)
    if alone:
        said = f"mean r {np.mean(alone):.3f}, the largest {np.max(alone):.2f}"
    return f"400 alone: {said}\n20 with signal: mean r {without:.3f}, with 400 beside {beside:.3f}"


def main() -> None:
    """Print all of it."""
    if not sys.argv[1:]:
        sys.stdout.write(voxels() + "\n")
        return
    before, after = (unitdb.open(folder) for folder in sys.argv[1:3])
    rois = before.table("rois")["roi"].tolist()
    removed = table(before, after, rois)
    sys.stdout.write(f"{removed}\n\n(layers in which nothing changes are left out)\n\n")
    changed = dict.fromkeys(line.split()[0] for line in removed.splitlines()[1:])
    for layer in changed:
        for roi in rois:
            sys.stdout.write(best(before, after, roi, layer) + "\n")
    if len(sys.argv) > 3:
        layers = set(after.table("layers")["layer"])
        folders = [p for p in Path(sys.argv[3]).iterdir() if (p / "meta.json").exists()]
        stores = [Activations.open(folder) for folder in folders]
        store = next(store for store in stores if layers <= set(store.layers))
        for name, release in (("before", before), ("after", after)):
            counts = few_values(release, store)
            shown = {layer: n for layer, n in counts.items() if n} or "none"
            sys.stdout.write(f"\nfewer than ten values among the hundred best, {name}: {shown}")
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
