"""Draw the time course of a release: identification of each layer, and the lags of layers.

python docs/course.py releases/sample-imagery/1.0.0 V4 docs/course.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from scipy.special import stdtrit

import unitdb


def curves(axes: Axes, course: object, layers: list[str], colours: np.ndarray) -> None:
    """Draw mean accuracy of each layer, with 95 % intervals over subjects."""
    for layer, colour in zip(layers, colours, strict=True):
        of_layer = course[course["layer"] == layer]
        table = of_layer.pivot_table(index="time", columns="subject", values="mean_r")
        n = table.shape[1]
        mean = table.mean(axis=1)
        half = stdtrit(n - 1, 0.975) * table.std(axis=1) / np.sqrt(n) if n > 1 else 0 * mean
        axes.fill_between(mean.index, mean - half, mean + half, color=colour, alpha=0.15)
        axes.plot(mean.index, mean, color=colour, marker=".", label=layer)
    axes.axhline(0, color="grey", linestyle=":")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set_xlabel("Time from onset (s)")
    axes.set_ylabel("Accuracy (Pearson r, mean over units)")
    axes.legend(fontsize=7, ncols=2)


def lags(axes: Axes, found: object, layers: list[str], colours: np.ndarray) -> None:
    """Draw the lag of each layer, with 95 % intervals over subjects."""
    of = found[found["control"] == "none"].set_index("layer").reindex(layers)
    for place, colour in enumerate(colours):
        row = of.iloc[place]
        axes.plot([place, place], [row["low"], row["high"]], color=colour)
        axes.plot(place, row["lag"], "o", color=colour)
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_xticks(range(len(layers)), layers, rotation=40, ha="right")
    axes.set_ylabel("Lag (s); above 0: late")


def draw(release: unitdb.Release, roi: str, path: Path) -> None:
    """Draw both panels of an ROI to a PNG file."""
    course, found = (
        table[table["roi"] == roi] for table in map(release.table, ("timecourse", "lag"))
    )
    order = release.table("layers").sort_values("depth")["layer"]
    layers = [layer for layer in order if layer in set(course["layer"])]
    colours = mpl.colormaps["cividis"](np.linspace(0, 0.95, len(layers)))
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    curves(left, course.astype({"layer": str, "subject": str}), layers, colours)
    lags(right, found.astype({"layer": str, "control": str}), layers, colours)
    what = "simulated responses" if release.simulated else "measured responses"
    condition = course["condition"].iloc[0]
    figure.suptitle(f"{release.title}: {condition}, {roi} ({what})", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    draw(unitdb.open(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3]))
