"""Figures of :mod:`unitdb.plot` as SVG inside a page: text as text, the same bytes each time."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["svg"]

_WIDTH = 7.2  # inches: of a page
_SETTINGS: Any = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "text.parse_math": False,  # names are no formulas
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_IDENTIFIER = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(\bid="|url\(#|href="#)([^")]+)("|\))')


def svg(draw: Callable[..., object], name: str, *, height: float) -> str:
    """Draw into new axes, and give them as SVG.

    Parameters
    ----------
    draw : callable
        Of :mod:`unitdb.plot`, with all but ``ax``.
    name : str
        Begins the identifiers in it, which must differ between the figures of a page.
    height : float
        In inches.

    Returns
    -------
    str
        One element; it names no other file.
    """
    written = io.StringIO()
    with mpl.rc_context():
        mpl.rcdefaults()  # whoever asks has the same figure
        mpl.rcParams.update({**_SETTINGS, "svg.hashsalt": name})
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        draw(ax=figure.subplots())
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    drawn = written.getvalue()
    drawn = drawn[drawn.index("<svg") :].rstrip()
    found = dict.fromkeys(_IDENTIFIER.findall(drawn))
    numbered = {one: f"{name}-{number}" for number, one in enumerate(found)}
    return _REFERENCE.sub(lambda match: f"{match[1]}{numbered[match[2]]}{match[3]}", drawn)
