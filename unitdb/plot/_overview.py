"""One figure of what a release has found beyond accuracies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from unitdb.errors import QueryError
from unitdb.plot._brains import identified, lags, modulation, timecourse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unitdb.release import Release


def overview(release: Release, *, roi: str, **where: Any) -> Figure:
    """Identification, course in time, order of layers and modulation, side by side.

    Parameters
    ----------
    release : Release
        An opened release; of what it has no table of, there is no panel.
    roi : str
        Region that is decoded from.
    **where
        ``dataset`` and ``model``, where the release has several.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each measure; it says where responses are simulated.

    Raises
    ------
    QueryError
        The release has none of these tables, one has no row of this ROI, or several test sets,
        of which each panel shows one: draw the panels alone.

    Examples
    --------
    >>> from unitdb import plot
    >>> len(plot.overview(release, roi="V4").axes)
    2
    """
    panels: list[Callable[[Axes], object]] = []
    if "identification_summary" in release.tables:
        sets = release.table("candidate_sets").sort_values(["n_candidates", "set"])
        largest = str(sets["set"].iloc[-1])
        panels.append(lambda ax: identified(release, candidates=largest, roi=roi, ax=ax, **where))
    if "timecourse" in release.tables:
        panels.append(lambda ax: timecourse(release, roi=roi, ax=ax, **where))
    if "lag" in release.tables:
        panels.append(lambda ax: lags(release, roi=roi, ax=ax, **where))
    if "modulation_summary" in release.tables:
        panels.append(lambda ax: modulation(release, roi=roi, ax=ax, **where))
    if not panels:
        raise QueryError(f"{release.label} has neither identification, course nor modulation")
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.6 * columns, 3.7 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place, panel in zip(places, panels, strict=False):
        panel(place)
    for spare in places[len(panels) :]:
        spare.remove()
    figure.suptitle(f"{release.title} ({release.label})", fontsize=11)
    return figure
