"""What brain activity tells beyond accuracy: identification, its course in time, modulation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np

from unitdb.errors import QueryError
from unitdb.plot._axes import check_single, new, titled
from unitdb.schema import TABLES, VIEWS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from unitdb.release import Release

_COURSES = {
    "accuracy": ("mean_r", "Accuracy (Pearson r, mean over units)"),
    "pattern": ("pattern_r", "Correlation of patterns (Pearson r)"),
    "identification": ("identification", "Identified (pairwise)"),
}
_USUAL = {"subject": "*", "trials": "means", "method": "normalised"}
# Two-sided 95 % points of Student's t by degrees of freedom from 1; of more, the last: a bit wide.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


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
    rows = _chosen(release, "identification_curve", wanted)
    axes = ax if ax is not None else new(5.0, 3.6)
    for layer in _ordered(release, rows):
        curve = rows[rows["layer"] == layer].groupby("n")["rate"].mean()
        axes.loglog(curve.index, curve, marker=".", label=layer)
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
    rows = _chosen(release, "identification_summary", wanted)
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    rows = rows.set_index("layer").loc[layers]
    _points(axes, layers, rows["rate"], rows["rate_low"], rows["rate_high"])
    places = np.arange(len(layers))
    ends = places - 0.35, places + 0.35
    axes.hlines(rows["chance_fold"], *ends, "black", "dotted", label="exchanged images")
    axes.legend(fontsize=7, loc="lower right")
    axes.set(ylim=(0, 1.02), ylabel="Identified (pairwise)")
    n = int(rows["n_candidates"].max())
    return titled(axes, release, f"Identification among {n:,} from {roi}")


def timecourse(
    release: Release,
    *,
    roi: str,
    measure: Literal["accuracy", "pattern", "identification"] = "accuracy",
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
    measure : {'accuracy', 'pattern', 'identification'}
        Mean accuracy of units, correlation of patterns, or pairwise identification.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        Other columns of ``timecourse`` and their values.

    Returns
    -------
    matplotlib.axes.Axes
        Means over people, with 95 % intervals by t where there are several.

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
    if measure not in _COURSES:
        raise QueryError(f"measure={measure!r} is none of {', '.join(_COURSES)}")
    column, label = _COURSES[measure]
    rows = _chosen(release, "timecourse", {"roi": roi, **where})
    axes = ax if ax is not None else new(5.0, 3.8)
    layers = _ordered(release, rows)
    for layer, colour in zip(layers, _colours(layers), strict=True):
        table = rows[rows["layer"] == layer].pivot_table(
            index="time", columns="subject", values=column, observed=True
        )
        mean, n = table.mean(axis=1), table.count(axis=1)
        if (n > 1).any():
            half: Any = n.map(_t) * table.std(axis=1) / np.sqrt(n)
            axes.fill_between(mean.index, mean - half, mean + half, color=colour, alpha=0.15)
        axes.plot(mean.index, mean, color=colour, marker=".", label=layer)
    axes.axhline(0.5 if measure == "identification" else 0, color="grey", linestyle=":")
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="Time from onset (s)", ylabel=label)
    axes.legend(fontsize=7, loc="upper left")
    return titled(axes, release, f"{rows['condition'].iloc[0]} from {roi}")


def lags(
    release: Release, *, roi: str, control: str = "none", ax: Axes | None = None, **where: Any
) -> Axes:
    """Lag of each layer behind the mean of layers, with its interval over people.

    Parameters
    ----------
    release : Release
        An opened release.
    roi : str
        Region that is decoded from.
    control : str
        Of ``lag.control``: ``none``, or a control.
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
    rows = _chosen(release, "lag", {"roi": roi, "control": control, **where})
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    rows = rows.set_index("layer").loc[layers]
    _points(axes, layers, rows["lag"], rows["low"], rows["high"], colours=_colours(layers))
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_ylabel("Lag (s); below 0: earlier")
    return titled(axes, release, f"Order of layers, {rows['condition'].iloc[0]} from {roi}")


def modulation(
    release: Release,
    *,
    roi: str,
    control: str = "noise",
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
    control : {'noise', 'encode-decode'}
        What the gain is held against.
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
    wanted = {"roi": roi, "control": control, "method": method, **where}
    rows = _chosen(release, "modulation_summary", wanted)
    rows = rows[rows["level"] == rows["level"].max()]
    axes = ax if ax is not None else new(4.2, 3.6)
    layers = _ordered(release, rows)
    rows = rows.set_index("layer").loc[layers]
    _points(axes, layers, rows["gain"], rows["gain_low"], rows["gain_high"])
    axes.plot(range(len(layers)), rows["bias"], "_", color="#C44E52", markersize=14, label="bias")
    axes.axhline(0, color="grey", linestyle=":")
    axes.set_ylabel("Gain towards the original (r)")
    axes.legend(fontsize=7, loc="lower right")
    return titled(axes, release, f"{rows['condition'].iloc[0]} from {roi}, control {control}")


def _chosen(release: Release, name: str, wanted: dict[str, Any]) -> pd.DataFrame:
    """Rows of a table or view in which columns have these values; text is text."""
    held = VIEWS[name] if name in VIEWS else TABLES[name]
    unknown = sorted(set(wanted) - {column.name for column in held.columns})
    if unknown:
        raise QueryError(f"{name} has no column {unknown[0]!r}")
    chosen = " AND ".join(f'"{column}" = ?' for column in wanted)
    rows = release.sql(f"SELECT * FROM {name} WHERE {chosen}", list(wanted.values()))  # noqa: S608 - values are bound
    if rows.empty:
        raise QueryError(f"{release.label} has no {name} with {wanted}")
    texts = {"layer", "subject", "condition", "model"} & set(rows)
    return rows.astype(dict.fromkeys(texts, str))


def _ordered(release: Release, rows: pd.DataFrame) -> list[str]:
    """Layers of rows by their depth; those that are put together last."""
    check_single(rows)
    known = release.table("layers").sort_values("depth")["layer"].astype(str)
    here = set(rows["layer"])
    return [layer for layer in dict.fromkeys(known) if layer in here] + sorted(here - set(known))


def _t(n: int) -> float:
    return _T[min(n - 1, len(_T)) - 1] if n > 1 else np.nan


def _colours(layers: list[str]) -> Any:
    return mpl.colormaps["cividis"](np.linspace(0, 0.95, len(layers)))


def _points(
    axes: Axes, layers: list[str], value: Any, low: Any, high: Any, *, colours: Any = None
) -> None:
    """Draw a point with its interval for each layer."""
    places = np.arange(len(layers))
    colours = colours if colours is not None else ["tab:blue"] * len(layers)
    axes.vlines(places, low, high, colors=colours)
    axes.scatter(places, value, c=colours, zorder=3)
    axes.set_xticks(places, layers, rotation=40, ha="right")
