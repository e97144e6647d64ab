"""Draw a release: accuracy and agreement of subjects, layer × ROI.

python docs/figure.py releases/sample/1.0.0 docs/sample.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import unitdb

PANELS = {
    "accuracy": "Mean decoding accuracy",
    "agreement": "Inter-subject correlation",
}


def heat_map(axes: Axes, values: pd.DataFrame, title: str) -> None:
    """Draw one matrix, layers from the bottom up, with its numbers."""
    image = axes.imshow(values, aspect="auto", cmap="cividis", vmin=0)
    limit = image.norm.vmax or 1.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values.iloc[row, column]
            axes.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="black" if value > limit / 2 else "white",
            )
    axes.set_xticks(range(values.shape[1]), [str(roi) for roi in values.columns])
    axes.set_yticks(range(values.shape[0]), [str(layer) for layer in values.index])
    axes.invert_yaxis()
    axes.set_title(title, fontsize=10)
    plt.colorbar(image, ax=axes, label="Pearson r")


def draw(release: unitdb.Release, path: Path) -> None:
    """Draw both matrices of a release to a PNG file."""
    matrices = {measure: release.layer_by_roi(measure) for measure in PANELS}
    n_layers, n_rois = matrices["accuracy"].shape
    width = 2 * (2.4 + 0.5 * n_rois)
    figure, panels = plt.subplots(
        1, 2, figsize=(width, 1.4 + 0.28 * n_layers), layout="constrained"
    )
    for axes, (measure, title) in zip(panels, PANELS.items(), strict=True):
        heat_map(axes, matrices[measure], title)
        axes.set_xlabel("Region of interest")
    panels[0].set_ylabel("Layer")
    mark = "SIMULATED responses — " if release.simulated else ""
    figure.suptitle(f"{mark}{release.title} ({release.label})", fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(unitdb.open(Path(sys.argv[1])), Path(sys.argv[2]))
