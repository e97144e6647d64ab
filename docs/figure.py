"""Draw a release: accuracy and agreement of subjects, layer × ROI.

python docs/figure.py releases/sample/1.0.0 docs/sample.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

import unitdb
from unitdb import plot


def draw(release: unitdb.Release, path: Path) -> None:
    """Draw both matrices of a release to a PNG file."""
    n_layers, n_rois = release.layer_by_roi("accuracy").shape
    width = 2 * (2.4 + 0.5 * n_rois)
    figure, panels = plt.subplots(
        1, 2, figsize=(width, 1.4 + 0.28 * n_layers), layout="constrained"
    )
    plot.layer_by_roi(release, "accuracy", ax=panels[0])
    plot.layer_by_roi(release, "agreement", ax=panels[1]).set_ylabel("")
    mark = "SIMULATED responses — " if release.simulated else ""
    figure.suptitle(f"{mark}{release.title} ({release.label})", fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(unitdb.open(Path(sys.argv[1])), Path(sys.argv[2]))
