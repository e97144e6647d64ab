"""Accuracies of units, agreement between people, and the brain hierarchy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from unitdb.errors import QueryError
from unitdb.plot._axes import check_single, chosen_rows, matrix, new, shown, titled
from unitdb.printable import printable
from unitdb.release import labelled, relative_depth, spaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from unitdb.release import Release

_DASHES = ("-", "--", ":", "-.")
_TITLES = {"accuracy": "Mean decoding accuracy", "agreement": "Inter-subject correlation"}


def layer_by_roi(
    release: Release,
    measure: Literal["accuracy", "agreement"] = "accuracy",
    *,
    ax: Axes | None = None,
    **where: Any,
) -> Axes:
    """Matrix of layers and regions, the first layer at the bottom, with its numbers.

    Parameters
    ----------
    release : Release
        An opened release.
    measure : {'accuracy', 'agreement'}
        Mean accuracy, or the mean correlation of two people's accuracies over units.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        ``dataset``, ``condition`` and ``model``, where the release has several.

    Returns
    -------
    matplotlib.axes.Axes
        With the picture and its colour bar.

    Raises
    ------
    QueryError
        As :meth:`Release.layer_by_roi`.

    Examples
    --------
    >>> from unitdb import plot
    >>> plot.layer_by_roi(release, dataset="sim-a").get_title()
    'SIMULATED: Mean decoding accuracy'
    """
    values = release.layer_by_roi(measure, **where)
    axes = matrix(values, "Pearson r", ax)
    return titled(axes, release, _TITLES[measure])


def depth(
    release: Release, *, rois: Sequence[str] | None = None, ax: Axes | None = None, **where: Any
) -> Axes:
    """Mean accuracy by relative depth, a line for each region; networks differ in their dashes.

    Parameters
    ----------
    release : Release
        An opened release.
    rois : sequence of str, optional
        Regions; by default up to four, from early to late.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        ``dataset``, ``condition`` and ``model``; all networks without ``model``.

    Returns
    -------
    matplotlib.axes.Axes
        Depth is 0 for the first decoded layer and 1 for the last.

    Raises
    ------
    QueryError
        No row is left, or there are several datasets or test sets.

    Examples
    --------
    >>> from unitdb import plot
    >>> plot.depth(release, dataset="sim-a").get_xlabel()
    'Relative depth'
    """
    rows = chosen_rows(release, "layer_summary", where)
    check_single(rows, ("dataset", "condition"))
    names = release.table("rois").astype({"dataset": str, "roi": str}).sort_values("place")
    known = names[names["dataset"] == rows["dataset"].iloc[0]]["roi"].tolist()
    layers = release.table("layers").astype({"model": str, "layer": str})
    found = relative_depth(rows.astype({"roi": str}), layers).sort_values("depth")
    axes = ax if ax is not None else new(5.0, 3.6)
    models = list(dict.fromkeys(found["model"]))
    for number, roi in enumerate(rois or spaced(known)):
        for model, dash in zip(models, itertools.cycle(_DASHES), strict=False):
            of = found[(found["roi"] == roi) & (found["model"] == model)]
            label = f"{roi}, {model}" if len(models) > 1 else roi
            axes.plot(of["depth"], of["r"], dash, color=f"C{number}", marker=".", label=label)
    axes.set(xlabel="Relative depth", ylabel="Mean decoding accuracy (Pearson r)")
    axes.legend(fontsize=7)
    return titled(axes, release, "Accuracy by depth")


def predictions(
    release: Release, unit: str, *, roi: str, ax: Axes | None = None, **where: Any
) -> Axes:
    """Predicted against true activation of a unit, a point for each sample and person.

    Parameters
    ----------
    release : Release
        An opened release that keeps the unit image by image.
    unit : str
        ``model/layer/unit``.
    roi : str
        Region that is decoded from.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        ``subject``; ``dataset`` and ``condition``, where the release has several.

    Returns
    -------
    matplotlib.axes.Axes
        Raw activations; the legend has each person's correlation.

    Raises
    ------
    NotKeptError
        As :meth:`Release.predictions`.

    Examples
    --------
    >>> from unitdb import plot
    >>> axes = plot.predictions(release, "net/fc/3", roi="V1", dataset="sim-a")
    >>> len(axes.get_legend().get_texts())
    3
    """
    rows = labelled(release.predictions(unit, roi=roi, **where))
    axes = ax if ax is not None else new(4.4, 4.0)
    for number, (subject, of) in enumerate(rows.groupby("subject")):
        label = printable(str(subject))
        axes.scatter(of["activation"], of["predicted"], 10, f"C{number % 10}", label=label)
    axes.axline((0, 0), slope=1, color="0.7", linewidth=0.8, linestyle="--")
    axes.set(xlabel="True activation (raw)", ylabel="Predicted activation (raw)")
    axes.legend(fontsize=7)
    return titled(axes, release, f"{unit} from {roi}")


def subjects(
    release: Release,
    model: str,
    layer: str,
    roi: str,
    subject: str,
    other: str,
    *,
    ax: Axes | None = None,
    **where: Any,
) -> Axes:
    """Accuracies of a layer's units in two people, one against the other.

    Parameters
    ----------
    release : Release
        An opened release.
    model, layer, roi : str
        Names in the release.
    subject, other : str
        The people on the horizontal and on the vertical axis.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.
    **where
        ``dataset`` and ``condition``, where the release has several.

    Returns
    -------
    matplotlib.axes.Axes
        A point for each unit that has an accuracy in both; the correlation in the title.

    Raises
    ------
    QueryError
        As :meth:`Release.accuracies`.

    Examples
    --------
    >>> from unitdb import plot
    >>> axes = plot.subjects(release, "net", "fc", "V1", "S1", "S2", dataset="sim-a")
    >>> axes.get_xlabel()
    'Accuracy in S1'
    """
    r = release.accuracies(model, layer, roi, subjects=[subject, other], **where)
    r = r[[subject, other]].dropna()
    axes = ax if ax is not None else new(4.2, 4.0)
    axes.axline((0, 0), slope=1, color="0.7", linewidth=0.8)
    axes.scatter(r[subject], r[other], s=6, alpha=0.5, linewidths=0, rasterized=len(r) > 5000)
    axes.set(xlabel=f"Accuracy in {subject}", ylabel=f"Accuracy in {other}")
    found = r[subject].corr(r[other])
    return titled(axes, release, f"{layer} from {roi}: r = {found:.2f} over {len(r):,} units")


def hierarchy(release: Release, *, method: str = "corrected", ax: Axes | None = None) -> Axes:
    """Brain hierarchy scores of all networks, with their intervals.

    Parameters
    ----------
    release : Release
        An opened release.
    method : {'corrected', 'nonaka2021'}
        As :func:`unitdb.analysis.bh_score` explains.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        A row for each network and kind of score.

    Raises
    ------
    QueryError
        The release has no score by this method.

    Examples
    --------
    >>> from unitdb import plot
    >>> plot.hierarchy(release).get_xlabel()
    'BH score'
    """
    rows = release.table("hierarchy")
    rows = rows[(rows["method"] == method) & rows["score"].notna()]
    if rows.empty:
        raise QueryError(f"{release.label} has no BH score by method {method!r}")
    names = shown(f"{row.model}, {row.kind}" for row in rows.itertuples())
    axes = ax if ax is not None else new(5.0, 1.0 + 0.3 * len(rows))
    places = range(len(rows))
    axes.hlines(places, rows["score_low"], rows["score_high"], color="tab:blue")
    axes.plot(rows["score"], places, "o", color="tab:blue")
    axes.set_yticks(places, names)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_xlabel("BH score")
    return titled(axes, release, f"Brain hierarchy, {method}")
