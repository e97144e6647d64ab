"""Accuracies of units, agreement between people, and the brain hierarchy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unitdb.errors import QueryError
from unitdb.plot._axes import new, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unitdb.release import Release

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
    axes = ax if ax is not None else new(2.6 + 0.5 * values.shape[1], 1.4 + 0.28 * len(values))
    numbers = values.to_numpy(dtype=float)
    image = axes.imshow(numbers, aspect="auto", cmap="cividis", vmin=0)
    middle = image.get_clim()[1] / 2
    for (row, column), value in np.ndenumerate(numbers):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.2f}", color=colour, ha="center", va="center", fontsize=8)
    axes.set_xticks(range(values.shape[1]), [str(roi) for roi in values.columns])
    axes.set_yticks(range(values.shape[0]), [str(layer) for layer in values.index])
    axes.invert_yaxis()
    axes.set(xlabel="Region of interest", ylabel="Layer")
    axes.figure.colorbar(image, ax=axes, label="Pearson r")
    return titled(axes, release, _TITLES[measure])


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
    names = [f"{row.model}, {row.kind}" for row in rows.itertuples()]
    axes = ax if ax is not None else new(5.0, 1.0 + 0.3 * len(rows))
    places = range(len(rows))
    axes.hlines(places, rows["score_low"], rows["score_high"], color="tab:blue")
    axes.plot(rows["score"], places, "o", color="tab:blue")
    axes.set_yticks(places, names)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_xlabel("BH score")
    return titled(axes, release, f"Brain hierarchy, {method}")
