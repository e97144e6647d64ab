"""Units gathered across pages: kept in the link or a file, combined, exported."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

import streamlit as st

from unitdb.browser import _collection, _links, _reads, _state
from unitdb.browser._columns import ordered, unit_columns
from unitdb.browser._words import help_on
from unitdb.errors import QueryError, UnitdbError
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Callable

    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = ["show"]

_SHOWN = 200
_OPERATIONS = {
    "add": "Add them",
    "keep": "Keep only units that are in both",
    "drop": "Take them out",
    "replace": "Replace the collection",
}


def show(release: Release) -> None:
    """Draw the page."""
    _from_link(release)
    names = _collection.gathered()
    _change(release)
    if not names:
        st.info(
            "The collection is empty. Add units from the pages *Find units* and *Unit*, or here."
        )
        _links.to(st, "units", "Find units", icon=":material/search:")
        return
    rois = _regions(release)
    try:
        units = (release.units(roi=rois) if rois else release.units()).among(names)
    except UnitdbError as error:
        st.warning(
            "The collection does not fit this release. "
            + _state.code(str(error), most=_state.MESSAGE)
        )
        return
    st.subheader(f"{len(names):,} units", help=help_on("unit"))
    page = _reads.units(release, units.sort("mean_r"), "page", _SHOWN)
    st.dataframe(
        ordered(page.rows),
        hide_index=True,
        column_config=unit_columns(),
        height=360,
        alt="Units of the collection",
    )
    if page.next is not None:
        st.caption(f"The first {_SHOWN} rows; all are in the files below.")
    _keep(release, names, rois, units)


def _regions(release: Release) -> list[str]:
    """Regions of the collection: those of the link, or those that its units were found for."""
    known = release.values("roi")
    if _state.parameter("units") is None and not _state.several("roi"):
        _state.write({"roi": [roi for roi in _collection.regions() if roi in known]})
    rois = _state.some_of(st, "Regions of interest", "roi", known, help=help_on("roi"))
    _collection.keep_regions(rois)
    return rois


def _from_link(release: Release) -> None:
    given = _state.parameter("units")
    if given is None:
        return
    try:
        units = _collection.parsed(given)
        if units:
            release.units().among(units)  # names that are there
    except UnitdbError as error:
        st.warning(
            "The units of this link cannot be shown. "
            + _state.code(str(error), most=_state.MESSAGE)
        )
    else:
        _collection.replace(units)


def _change(release: Release) -> None:
    with st.expander("Combine with other units", icon=":material/join:"):
        text = st.text_area(
            "Units, one a line",
            key="other units",
            placeholder="network/layer/index",
            max_chars=200_000,
            help="Also a file: one unit a line, as the file below.",
        )
        file = st.file_uploader("or a file", type=["txt"], max_upload_size=1)
        if file is not None:
            text = file.getvalue().decode("utf-8", errors="replace")
        operation = st.radio(
            "What to do", list(_OPERATIONS), format_func=_OPERATIONS.__getitem__, horizontal=True
        )
        first, second = st.columns(2)
        if first.button("Do it", icon=":material/check:"):
            _apply(release, text, operation)
        if second.button("Empty the collection", icon=":material/delete:"):
            _set([])


def combined(mine: list[str], others: list[str], operation: str) -> list[str]:
    """Give the union (``add``), intersection (``keep``), difference (``drop``) or the others."""
    there = set(others)
    return {
        "add": [*mine, *(unit for unit in others if unit not in set(mine))],
        "keep": [unit for unit in mine if unit in there],
        "drop": [unit for unit in mine if unit not in there],
        "replace": others,
    }[operation]


def _apply(release: Release, text: str, operation: str) -> None:
    try:
        others = _collection.parsed(text)
        if not others:
            raise QueryError("there is no unit")
        release.units().among(others)
        result = combined(_collection.gathered(), others, operation)
        if len(result) > _collection.MOST:
            raise QueryError(f"more than {_collection.MOST:,} units: a collection holds no more")
    except UnitdbError as error:
        st.warning(f"Nothing was changed. {_state.code(str(error), most=_state.MESSAGE)}")
    else:
        known = release.values("roi")
        named = [roi for roi in _collection.parsed_regions(text) if roi in known]
        if operation == "replace" or not _collection.gathered():
            _collection.keep_regions(named)
        elif operation == "add":
            _collection.add_regions(named)
        _state.write({"roi": _collection.regions()})
        _set(result)


def _set(units: list[str]) -> None:
    _collection.replace(units)
    _write_link(units)
    st.rerun()


def _write_link(units: list[str]) -> None:
    _state.write({"units": _collection.short_link(units)})


def _keep(release: Release, names: list[str], rois: list[str], units: UnitSet) -> None:
    st.subheader("Keep and use")
    name = f"{release.name}-{release.version}-collection"
    with st.container(horizontal=True):
        st.download_button(
            "File of the collection (.txt)",
            _collection.file_text(release.label, names, rois),
            file_name=f"{name}.txt",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "CSV",
            lambda: _written(lambda file: units.write(file, format="csv")),
            file_name=f"{name}.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        if len({UnitId.parse(name).model for name in names}) == 1:
            st.download_button(
                "Masks for numpy (.npz)",
                lambda: _written(lambda file: units.write_masks(file, format="npz")),
                file_name=f"{name}.npz",
                on_click="ignore",
                icon=":material/download:",
            )
        else:
            st.caption("Masks are of one network.")
    link, python, torch = st.tabs(["Link", "Python", "torch"])
    _write_link(names)
    written = _collection.short_link(names)
    if written is not None:
        query = _links.query_of({"units": written, "roi": rois})
        link.code(_links.absolute(release, "collections", query), language=None, wrap_lines=True)
    else:
        link.info("The collection is too long for a link: keep the file.")
    python.code(units.code(), language="python", wrap_lines=True)
    torch.code(
        f"{units.code()}\n"
        "masks = units.masks()  # layer → bool tensor (channel, row, column)\n"
        "for layer, mask in masks.items():\n"
        "    print(layer, int(mask.sum()), 'of', mask.numel(), 'units')\n\n"
        "from unitdb import nn\n\n"
        "model = ...  # your network, with the release's weights\n"
        "chosen = nn.SelectedActivations(model, units)  # their activations in one pass\n",
        language="python",
        wrap_lines=True,
    )


def _written(write: Callable[[BinaryIO], None]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
