"""Print what leaving out units that only round has changed: docs/rounding.py BEFORE AFTER [CACHE].

Two releases of the same recipe, the first by unitdb before the rule of unitdb.resolution; with the
folder of computed activations (releases/.cache of AFTER) also how many of the hundred best units of
each layer take fewer than ten values.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import unitdb
from unitdb.activations import Activations
from unitdb.release import Release

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


def main() -> None:
    """Print all of it."""
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
