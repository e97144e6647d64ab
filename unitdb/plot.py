"""The published figures, as axes of matplotlib: of a release in, an axes out.

Imported explicitly, ``from unitdb import plot``, with the extra ``plot``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from unitdb.errors import QueryError
from unitdb.extras import need
from unitdb.schema import VIEWS

need("matplotlib", by="unitdb.plot", extra="plot")

import numpy as np
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unitdb.release import Release

__all__ = ["hierarchy", "identification", "layer_by_roi", "subjects"]

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
    axes = ax if ax is not None else _new(2.6 + 0.5 * values.shape[1], 1.4 + 0.28 * len(values))
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
    plt.colorbar(image, ax=axes, label="Pearson r")
    return _titled(axes, release, _TITLES[measure])


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
    axes = ax if ax is not None else _new(4.2, 4.0)
    axes.axline((0, 0), slope=1, color="0.7", linewidth=0.8)
    axes.scatter(r[subject], r[other], s=6, alpha=0.5, linewidths=0, rasterized=len(r) > 5000)
    axes.set(xlabel=f"Accuracy in {subject}", ylabel=f"Accuracy in {other}")
    found = r[subject].corr(r[other])
    return _titled(axes, release, f"{layer} from {roi}: r = {found:.2f} over {len(r):,} units")


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
    axes = ax if ax is not None else _new(5.0, 1.0 + 0.3 * len(rows))
    places = range(len(rows))
    axes.hlines(places, rows["score_low"], rows["score_high"], color="tab:blue")
    axes.plot(rows["score"], places, "o", color="tab:blue")
    axes.set_yticks(places, names)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set_xlabel("BH score")
    return _titled(axes, release, f"Brain hierarchy, {method}")


def identification(
    release: Release, *, candidates: str, roi: str, ax: Axes | None = None, **where: str
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
        Other columns of ``identification_curve`` and their values: ``subject``, ``method``, ….

    Returns
    -------
    matplotlib.axes.Axes
        Both axes logarithmic, chance dashed; the mean where rows of several people remain.

    Raises
    ------
    QueryError
        No row is left, or there is no such column.
    """
    wanted = {"set": candidates, "roi": roi, "among": "all", **where}
    unknown = sorted(
        set(wanted) - {column.name for column in VIEWS["identification_curve"].columns}
    )
    if unknown:
        raise QueryError(f"identification_curve has no column {unknown[0]!r}")
    chosen = " AND ".join(f"{name} = ?" if name != "set" else '"set" = ?' for name in wanted)
    rows = release.sql(
        "SELECT layer, n, avg(rate) AS rate, any_value(chance) AS chance "  # noqa: S608 - values are bound
        f"FROM identification_curve WHERE {chosen} GROUP BY layer, n ORDER BY layer, n",
        list(wanted.values()),
    )
    if rows.empty:
        raise QueryError(f"{release.label} has no identification with {wanted}")
    axes = ax if ax is not None else _new(5.0, 3.6)
    for layer, curve in rows.groupby("layer", sort=False, observed=True):
        axes.loglog(curve["n"], curve["rate"], marker=".", label=str(layer))
    chance = rows.drop_duplicates("n").sort_values("n")
    axes.loglog(chance["n"], chance["chance"], "--", color="0.5", label="chance")
    axes.set(xlabel="Candidates", ylabel="Share identified")
    axes.legend(fontsize=7)
    return _titled(axes, release, f"Identification among {candidates}, from {roi}")


def _new(width: float, height: float) -> Axes:
    _, axes = plt.subplots(figsize=(width, height), layout="constrained")
    return axes


def _titled(axes: Axes, release: Release, title: str) -> Axes:
    """Title that says where the responses are simulated."""
    axes.set_title(f"SIMULATED: {title}" if release.simulated else title, fontsize=10)
    return axes
