"""Units that a reader gathers from page to page, for the time of the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.errors import QueryError
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MOST",
    "add_button",
    "add_regions",
    "file_text",
    "gathered",
    "keep_regions",
    "parsed",
    "parsed_regions",
    "regions",
    "replace",
    "short_link",
    "written",
]

MOST = 10_000
"""Units of a collection at the most."""
_KEY, _REGIONS = "unitdb collection", "unitdb collection regions"
_OF = "# roi:"
"""Line of a file that names the regions of a collection."""
_LONGEST_LINK = 6000
"""Characters of a link that browsers and mail programs leave whole."""


def gathered() -> list[str]:
    """Units of the collection, in the order in which they were added."""
    return list(st.session_state.get(_KEY, ()))


def replace(units: Iterable[str]) -> None:
    """Make the collection these units, each once, at the most ``MOST``."""
    st.session_state[_KEY] = tuple(dict.fromkeys(units))[:MOST]


def regions() -> list[str]:
    """Regions that the units were gathered for; all where there is none."""
    return list(st.session_state.get(_REGIONS, ()))


def keep_regions(rois: Iterable[str]) -> None:
    """Make these the regions of the collection."""
    st.session_state[_REGIONS] = tuple(dict.fromkeys(rois))


def add_regions(rois: Iterable[str]) -> None:
    """Add regions of other units; of some and of all together, all."""
    added = list(rois)
    keep_regions([*regions(), *added] if regions() and added else [])


def add_button(place: Any, units: list[str], rois: Iterable[str] = ()) -> None:
    """Let the reader add units to the collection, with the regions that they were found for."""
    new = [unit for unit in units if unit not in set(gathered())]
    if not new:
        place.button("In the collection", icon=":material/check:", disabled=True)
        return
    label = f"Add {new[0]}" if len(new) == 1 else f"Add {len(new)} units"
    place.button(
        f"{label} to the collection",
        icon=":material/add:",
        on_click=_add,
        args=(tuple(new), tuple(rois)),
    )


def _add(units: tuple[str, ...], rois: tuple[str, ...]) -> None:
    if gathered():
        add_regions(rois)
    else:
        keep_regions(rois)
    replace([*gathered(), *units])
    st.toast(f"The collection has {len(gathered()):,} units.")


def written(units: Iterable[str]) -> str:
    """Write units as a parameter of a URL: ``model/layer/1,2,3;model/layer2/4``."""
    layers: dict[str, list[str]] = {}
    for unit in units:
        of = UnitId.parse(unit)
        layers.setdefault(of.place, []).append(str(of.unit))
    return ";".join(f"{layer}/{','.join(indices)}" for layer, indices in layers.items())


def short_link(units: Iterable[str]) -> str | None:
    """Units as :func:`written` writes them; None where there is none, or they are too long."""
    text = written(units)
    return text if 0 < len(text) <= _LONGEST_LINK else None


def parsed(text: str) -> list[str]:
    """Read units: one a line, or as :func:`written` writes them.

    Raises
    ------
    QueryError
        Something is not MODEL/LAYER/UNIT, or there are too many.
    """
    found: dict[str, None] = {}
    for part in text.replace(";", "\n").splitlines():
        entry = part.strip()
        if not entry or entry.startswith("#"):
            continue
        layer, _, indices = entry.rpartition("/")
        units = [str(UnitId.parse(f"{layer}/{one.strip()}")) for one in indices.split(",")]
        found.update(dict.fromkeys(units))
        if len(found) > MOST:
            raise QueryError(f"more than {MOST:,} units: a collection holds no more")
    return list(found)


def parsed_regions(text: str) -> list[str]:
    """Regions that a file of a collection names; none where it is of all."""
    lines = [line.strip().removeprefix(_OF) for line in text.splitlines() if _OF in line]
    return [roi.strip() for line in lines for roi in line.split(",") if roi.strip()]


def file_text(label: str, units: Iterable[str], rois: Sequence[str]) -> str:
    """A collection as a file: its release, its regions, a unit a line."""
    head = [f"# {label}", *([f"{_OF} {','.join(rois)}"] if rois else [])]
    return "\n".join([*head, *units]) + "\n"
