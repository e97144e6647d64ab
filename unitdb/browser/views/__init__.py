"""The pages: each takes a release and shows one thing about it.

Not called `pages`: Streamlit runs every file of a folder of that name as a page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from unitdb.browser.views import (
    collections,
    compare,
    console,
    identification,
    judging,
    layer,
    methods,
    modulation,
    networks,
    overview,
    reconstruction,
    subjects,
    timecourse,
    unit,
    units,
)
from unitdb.release import Release

__all__ = ["PAGES", "Page"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page.

    Parameters
    ----------
    name : str
        Its path in the URL.
    title : str
        What the reader sees.
    show : callable
        Draws it.
    needs : tuple of str
        Tables without which it has nothing to show.
    """

    name: str
    title: str
    show: Callable[[Release], None]
    needs: tuple[str, ...] = ()

    def has_what_it_shows(self, release: Release) -> bool:
        """Whether the release has the tables, with rows in them."""
        return all(name in release.tables and len(release.table(name)) for name in self.needs)


PAGES = (
    Page(name="overview", title="Overview", show=overview.show),
    Page(name="units", title="Find units", show=units.show, needs=("unit_histogram",)),
    Page(name="unit", title="Unit", show=unit.show),
    Page(name="layer", title="Layer", show=layer.show, needs=("unit_histogram",)),
    Page(name="networks", title="Networks", show=networks.show),
    Page(name="compare", title="Compare", show=compare.show),
    Page(name="subjects", title="Subjects", show=subjects.show, needs=("intersubject",)),
    Page(
        name="identification",
        title="Identification",
        show=identification.show,
        needs=("identification_summary",),
    ),
    Page(name="timecourse", title="Time course", show=timecourse.show, needs=("timecourse",)),
    Page(
        name="modulation",
        title="Modulation",
        show=modulation.show,
        needs=("modulation_summary",),
    ),
    Page(
        name="reconstruction",
        title="Reconstruction",
        show=reconstruction.show,
        needs=("reconstruction_score",),
    ),
    Page(
        name="judging",
        title="Blind judgement",
        show=judging.show,
        needs=("reconstruction_score",),
    ),
    Page(name="collections", title="Collections", show=collections.show),
    Page(name="methods", title="Data & methods", show=methods.show),
    Page(name="sql", title="SQL", show=console.show),
)
"""All pages, in the order of the menu."""
