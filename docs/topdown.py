"""Draw what is identified, imagined in time and made of blurred pictures, in one picture.

python docs/topdown.py releases/sample-topdown/1.0.0 LOC docs/topdown.png
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


def identified(axes: Axes, release: unitdb.Release, roi: str, layers: list[str]) -> None:
    """Draw rates of identification by layer, and exchange chance, over people."""
    rows = release.sql(
        "SELECT layer, avg(rate) AS rate, avg(chance_fold) AS chance, min(n_candidates) AS n FROM "
        "identification_summary WHERE roi = ? AND set = (SELECT set FROM candidate_sets ORDER BY "
        "n_candidates DESC, set LIMIT 1) AND method = 'normalised' AND trials = 'means' AND "
        "subject <> '*' GROUP BY layer",
        [roi],
    )
    rows = rows.astype({"layer": str}).set_index("layer").reindex(layers)
    axes.bar(range(len(layers)), rows["rate"], color="#4C72B0")
    for place, chance in enumerate(rows["chance"]):
        axes.plot([place - 0.4, place + 0.4], [chance, chance], color="black", linestyle=":")
    axes.set_ylim(0, 1)
    axes.set_ylabel(f"Identified among {int(rows['n'].iloc[0])} (pairwise)")
    axes.set_title("Seen; dotted: exchanged images", fontsize=9)
    _named(axes, layers)


def gains(axes: Axes, release: unitdb.Release, roi: str, layers: list[str]) -> None:
    """Draw the gain of the highest level, with its interval, and the bias of simulated brains."""
    rows = release.sql(
        "SELECT layer, condition, gain, gain_low, gain_high, bias FROM modulation_summary WHERE "
        "roi = ? AND control = 'noise' AND method = 'abdelhack2018' AND level = (SELECT max(level) "
        "FROM modulation_summary)",
        [roi],
    )
    rows = rows.astype({"layer": str}).set_index("layer").reindex(layers)
    for place, row in enumerate(rows.itertuples()):
        axes.plot([place, place], [row.gain_low, row.gain_high], color="#4C72B0")
    axes.plot(range(len(layers)), rows["gain"], "o", color="#4C72B0")
    axes.plot(range(len(layers)), rows["bias"], "_", color="#C44E52", markersize=14)
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_ylabel("Gain towards the original (r)")
    axes.set_title(f"{rows['condition'].iloc[0]}; red: bias, only fed forward", fontsize=9)
    _named(axes, layers)


def _named(axes: Axes, layers: list[str]) -> None:
    axes.set_xticks(range(len(layers)), layers, rotation=40, ha="right")


def draw(release: unitdb.Release, roi: str, path: Path) -> None:
    """Draw the panels of an ROI that the release has numbers of to a PNG file."""
    names = release.table("layers").sort_values("depth")["layer"].astype(str).tolist()
    colours = mpl.colormaps["cividis"](np.linspace(0, 0.95, len(names)))
    has = release.tables
    n = 2 * ("lag" in has) + ("identification_summary" in has) + ("modulation_summary" in has)
    figure, found = plt.subplots(1, n, figsize=(4.2 * n, 3.8), layout="constrained", squeeze=False)
    axes = list(found[0])
    if "identification_summary" in has:
        identified(axes.pop(0), release, roi, names)
    if "lag" in has:
        course, of_lags = (
            table[table["roi"] == roi] for table in map(release.table, ("timecourse", "lag"))
        )
        left, right = axes.pop(0), axes.pop(0)
        curves(left, course.astype({"layer": str, "subject": str}), names, colours)
        left.set_title(str(course["condition"].iloc[0]), fontsize=9)
        lags(right, of_lags.astype({"layer": str, "control": str}), names, colours)
    if "modulation_summary" in has:
        gains(axes.pop(0), release, roi, names)
    what = "simulated responses" if release.simulated else "measured responses"
    figure.suptitle(f"{release.title}: {roi} ({what})", fontsize=10)
    figure.savefig(path, dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    draw(unitdb.open(Path(sys.argv[1])), sys.argv[2], Path(sys.argv[3]))
