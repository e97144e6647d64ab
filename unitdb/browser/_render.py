"""Figures as files: SVG and PNG, drawn on this machine, marked where responses are simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitdb.errors import MissingExtraError
from unitdb.extras import install_hint
from unitdb.printable import printable

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["png", "svg"]

_WIDTH = 560  # pixels
_SCALE = 3.0


def svg(chart: Any, release: Release) -> str:
    """Draw a chart as SVG, text as text.

    Parameters
    ----------
    chart : altair chart
    release : Release
        Whose numbers it shows.

    Raises
    ------
    MissingExtraError
        vl-convert is not installed.
    """
    drawn: str = _converter().vegalite_to_svg(_specification(chart, release))
    return drawn


def png(chart: Any, release: Release) -> bytes:
    """Draw a chart as PNG; errors as of :func:`svg`."""
    drawn: bytes = _converter().vegalite_to_png(_specification(chart, release), scale=_SCALE)
    return drawn


def _specification(chart: Any, release: Release) -> dict[str, Any]:
    specification: dict[str, Any] = chart.to_dict()
    specification.setdefault("width", _WIDTH)
    mark = "SIMULATED responses · " if release.simulated else ""
    specification["title"] = {
        "text": f"{mark}{release.label}",
        "anchor": "start",
        "fontSize": 11,
        "color": "#B00020" if release.simulated else "#555555",
    }
    specification["background"] = "white"
    printed: dict[str, Any] = _printable(specification)
    return printed


def _printable(value: Any) -> Any:
    """A specification whose texts hold nothing that SVG cannot: vl-convert dies of a NUL."""
    if isinstance(value, str):
        return printable(value, lines=True)
    if isinstance(value, list):
        return [_printable(one) for one in value]
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    return value


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise MissingExtraError(
            f"figures become files with vl-convert: {install_hint('app')}"
        ) from None
    return vl_convert
