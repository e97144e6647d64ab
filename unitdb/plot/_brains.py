"""What brain activity tells beyond accuracy: identification, its course in time, modulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np

from unitdb.errors import QueryError
from unitdb.plot._axes import check_single, chosen_rows, matrix, new, shown, titled
from unitdb.printable import printable
from unitdb.release import (
    COURSES,
    LAG_CONTROLS,
    chance_of,
    course_rows,
    in_order,
    lag_points,
    layer_matrix,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from unitdb.release import Release

_USUAL = {"subject": "*", "trials": "means", "method": "normalised"}


def identification(
    release: Release, *, candidates: str, roi: str, ax: Axes | None = None, **where: Any
) -> Axes:
    """Share of right identifications by the number of candidates, a line for each layer.

    Parameters
    ----------
    release : Release
        An opened release.
    candidates : str
        Name of the candidate set, ``identification_curve.set``.
    roi : str
        Region that is decoded from.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``identification_curve`` and their values. Without them: of the mean over
        people (``subject="*"``), of means over trials, by the method ``normalised``.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes logarithmic; dashed, the rate of exchanged images, mean over layers.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.
    """
    wanted = {"set": candidates, "roi": roi, "among": "all", **_USUAL, **where}
    rows = chosen_rows(release, "identification_curve", wanted)
    axes = ax if ax is not None else new(5.0, 3.6)
    for layer in _ordered(release, rows):
        curve = rows[rows["layer"] == layer].groupby("n")["rate"].mean()
        axes.loglog(curve.index, curve, marker=".", label=printable(layer))
    chance = rows.groupby("n")["chance"].mean()
    axes.loglog(chance.index, chance, "--", color="0.5", label="exchanged images")
    axes.set(xlabel="Candidates", ylabel="Share identified")
    axes.legend(fontsize=7)
    return titled(axes, release, f"Identification among {candidates}, from {roi}")


def identified(
    release: Release, *, candidates: str, roi: str, ax: Axes | None = None, **where: Any
) -> Axes:
    """Rate of pairwise identification by layer, with its interval and that of exchanged images.

    Parameters
    ----------
    release : Release
        An opened release.
    candidates : str
        Name of the candidate set, ``identification_summary.set``.
    roi : str
        Region that is decoded from.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``identification_summary`` and their values. Without them: of the mean
        over people (``subject="*"``), of means over trials, by the method ``normalised``.

    Returns
    -------
    matplotlib.axes.Axes
        Points with 95 % intervals over images; dotted, the rate of exchanged images of a fold.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.
    """
    wanted = {"set": candidates, "roi": roi, **_USUAL, **where}
    rows = chosen_rows(release, "identification_summary", wanted)
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    rows = rows.set_index("layer").loc[layers]
    _points(axes, layers, {"": rows[["rate", "rate_low", "rate_high"]]})
    places = np.arange(len(layers))
    ends = places - 0.35, places + 0.35
    axes.hlines(rows["chance_fold"], *ends, "black", "dotted", label="exchanged images")
    axes.legend(fontsize=7, loc="lower right")
    axes.set(ylim=(0, 1.02), ylabel="Identified (pairwise)")
    n = int(rows["n_candidates"].max())
    return titled(axes, release, f"Identification among {n:,} from {roi}")


def identified_by_roi(
    release: Release, *, candidates: str, ax: Axes | None = None, **where: Any
) -> Axes:
    """Rate of pairwise identification by layer and region, mean over people.

    Parameters
    ----------
    release : Release
        An opened release.
    candidates : str
        Name of the candidate set, ``identification_summary.set``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``identification_summary`` and their values. Without them: of means over
        trials, by the method ``normalised``.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture and its colour bar.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.
    """
    wanted = {"set": candidates, "trials": "means", "method": "normalised", **where}
    rows = chosen_rows(release, "identification_summary", wanted)
    if "subject" not in where:
        rows = rows[rows["subject"] != "*"]
    layers = _ordered(release, rows)
    places = release.table("rois").astype({"dataset": str, "roi": str}).sort_values("place")
    rois = places[places["dataset"] == str(rows["dataset"].iloc[0])]["roi"].tolist()
    values = layer_matrix(rows.astype({"roi": str}), "rate", layers, rois)
    axes = matrix(values, "Identified (pairwise)", ax)
    return titled(axes, release, f"Identification among {candidates}")


def timecourse(
    release: Release,
    *,
    roi: str,
    measure: Literal["accuracy", "patterns", "identification"] = "accuracy",
    ax: Axes | None = None,
    **where: Any,
) -> Axes:
    """Decoding at each time from onset, a line for each layer, with intervals over people.

    Parameters
    ----------
    release : Release
        An opened release.
    roi : str
        Region that is decoded from.
    measure : {'accuracy', 'patterns', 'identification'}
        Mean accuracy of units, correlation of patterns, or pairwise identification.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``timecourse`` and their values.

    Returns
    -------
    matplotlib.axes.Axes
        Means over people, with 95 % intervals by t; of one person, over stimuli. Dotted: chance.

    Raises
    ------
    QueryError
        No row is left, or there is no such column or measure.

    Examples
    --------
    >>> from unitdb import plot
    >>> plot.timecourse(release, roi="V4").get_title()
    'SIMULATED: imagery from V4'
    """
    if measure not in COURSES:
        raise QueryError(f"measure={measure!r} is none of {', '.join(COURSES)}")
    rows = chosen_rows(release, "timecourse", {"roi": roi, **where})
    axes = ax if ax is not None else new(5.0, 3.8)
    layers = _ordered(release, rows)
    means = course_rows(rows, measure)
    for layer, colour in zip(layers, _colours(layers), strict=True):
        of = means[means["layer"] == layer].sort_values("time")
        axes.fill_between(of["time"], of["low"], of["high"], color=colour, alpha=0.15)
        axes.plot(of["time"], of["value"], color=colour, marker=".", label=printable(layer))
    chance = chance_of(rows, measure)
    axes.axhline(chance, color="grey", linestyle=":", label="chance")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="Time from onset (s)", ylabel=COURSES[measure][3])
    axes.legend(fontsize=7, loc="upper left")
    return titled(axes, release, f"{rows['condition'].iloc[0]} from {roi}")


def lags(
    release: Release,
    *,
    roi: str,
    control: str | Sequence[str] = "none",
    ax: Axes | None = None,
    **where: Any,
) -> Axes:
    """Lag of each layer behind the mean of layers, with its interval over people.

    Parameters
    ----------
    release : Release
        An opened release.
    roi : str
        Region that is decoded from.
    control : str or sequence of str
        Of ``lag.control``: ``none``, ``matched`` or ``shuffled``; or ``adjusted``: less those of
        another test set. Of several, those that there are, side by side.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``lag`` and their values.

    Returns
    -------
    matplotlib.axes.Axes
        Seconds; layers below 0 come first.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.

    Examples
    --------
    >>> from unitdb import plot
    >>> plot.lags(release, roi="V4").get_ylabel()
    'Lag (s); below 0: earlier'
    """
    rows = chosen_rows(release, "lag", {"roi": roi, **where})
    wanted = [control] if isinstance(control, str) else list(control)
    points = rows if "shuffled" in wanted else lag_points(rows)
    points = points[points["control"].isin(wanted)]
    if points.empty:
        raise QueryError(f"{release.label} has no lag with control={control!r}")
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    groups = _by(points, "control", wanted, ["lag", "low", "high"])
    _points(axes, layers, {LAG_CONTROLS.get(name, name): of for name, of in groups.items()})
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_ylabel("Lag (s); below 0: earlier")
    if len(wanted) > 1:
        axes.legend(fontsize=7)
    return titled(axes, release, f"Order of layers, {rows['condition'].iloc[0]} from {roi}")


def modulation(
    release: Release,
    *,
    roi: str,
    control: str | Sequence[str] = "noise",
    method: str = "abdelhack2018",
    ax: Axes | None = None,
    **where: Any,
) -> Axes:
    """Gain of decoded features towards the original picture by layer, beside its known bias.

    Parameters
    ----------
    release : Release
        An opened release.
    roi : str
        Region that is decoded from.
    control : {'noise', 'encode-decode'} or sequence of these
        What the gain is held against. Of several, those that there are, side by side.
    method : str
        Of ``modulation_summary.method``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``modulation_summary`` and their values. Without ``level``, the highest.

    Returns
    -------
    matplotlib.axes.Axes
        Points with 95 % intervals over people; red, the gain of simulated brains that only feed
        forward.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.
    """
    rows = chosen_rows(release, "modulation_summary", {"roi": roi, "method": method, **where})
    wanted = [control] if isinstance(control, str) else list(control)
    rows = rows[(rows["level"] == rows["level"].max()) & rows["control"].isin(wanted)]
    if rows.empty:
        raise QueryError(f"{release.label} has no modulation_summary with control={control!r}")
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    groups = _by(rows, "control", wanted, ["gain", "gain_low", "gain_high", "bias"])
    for at, of in zip(_points(axes, layers, groups), groups.values(), strict=True):
        axes.plot(at, of["bias"], "_", color="#C44E52", markersize=14)
    axes.lines[0].set_label("bias")
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_ylabel("Gain towards the original (r)")
    axes.legend(fontsize=7, loc="lower right")
    against = f", control {control}" if isinstance(control, str) else ""
    return titled(axes, release, f"{rows['condition'].iloc[0]} from {roi}{against}")


def _ordered(release: Release, rows: pd.DataFrame) -> list[str]:
    """Layers of rows by their depth; those that are put together last."""
    check_single(rows)
    layers = release.table("layers").astype({"model": str, "layer": str})
    return in_order(layers, rows["model"].iloc[0], rows["layer"])


def _by(
    rows: pd.DataFrame, column: str, names: Sequence[str], values: list[str]
) -> dict[str, pd.DataFrame]:
    """Values by layer of each of some names of a column, of those that occur."""
    found = {name: rows[rows[column] == name] for name in names}
    return {name: of.set_index("layer")[values] for name, of in found.items() if len(of)}


def _colours(layers: list[str]) -> Any:
    return mpl.colormaps["cividis"](np.linspace(0, 0.95, len(layers)))


def _points(axes: Axes, layers: list[str], groups: Mapping[str, pd.DataFrame]) -> list[Any]:
    """Draw a point with its interval for each layer and group, groups side by side.

    A group has the value, its low and its high end in its first columns. Gives the places of each.
    """
    steps = np.linspace(-0.15, 0.15, len(groups)) if len(groups) > 1 else np.zeros(1)
    places = []
    for number, (name, step) in enumerate(zip(groups, steps, strict=True)):
        of = groups[name].reindex(layers)
        at = np.arange(len(layers)) + step
        colour = f"C{number}"
        axes.vlines(at, of.iloc[:, 1], of.iloc[:, 2], colors=colour)
        axes.scatter(at, of.iloc[:, 0], c=colour, zorder=3, label=name if len(groups) > 1 else None)
        places.append(at)
    axes.set_xticks(range(len(layers)), shown(layers), rotation=40, ha="right")
    return places
