"""One figure of what a release has found beyond accuracies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from unitdb.errors import QueryError
from unitdb.plot._brains import identified, lags, modulation, timecourse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unitdb.release import Release


def overview(release: Release, *, roi: str) -> Figure:
    """Identification, course in time, order of layers and modulation, side by side.

    Parameters
    ----------
    release : Release
        An opened release; of what it has no table of, there is no panel.
    roi : str
        Region that is decoded from.

    Returns
    -------
    matplotlib.figure.Figure
        A panel for each measure; it says where responses are simulated.

    Raises
    ------
    QueryError
        The release has none of these tables, or not of this ROI.
    """
    panels: list[Callable[[Axes], object]] = []
    if "identification_summary" in release.tables:
        sets = release.table("candidate_sets").sort_values(["n_candidates", "set"])
        largest = str(sets["set"].iloc[-1])
        panels.append(lambda ax: identified(release, candidates=largest, roi=roi, ax=ax))
    if "timecourse" in release.tables:
        panels.append(lambda ax: timecourse(release, roi=roi, ax=ax))
    if "lag" in release.tables:
        panels.append(lambda ax: lags(release, roi=roi, ax=ax))
    if "modulation_summary" in release.tables:
        panels.append(lambda ax: modulation(release, roi=roi, ax=ax))
    if not panels:
        raise QueryError(f"{release.label} has neither identification, course nor modulation")
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.6 * columns, 3.7 * rows), layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).flat
    for place, panel in zip(places, panels, strict=False):
        panel(place)
    figure.suptitle(f"{release.title} ({release.label})", fontsize=11)
    return figure
