"""A part of the page of a unit: image by image, what drives it and what is predicted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _figure, _links, _reads, _state, charts
from unitdb.browser._images import PICTURES, most_and_least, strip
from unitdb.browser._layerview import layer_of
from unitdb.browser._own import with_own
from unitdb.browser._preferred import alike, of_channel
from unitdb.browser._words import help_on
from unitdb.release import labelled
from unitdb.release.kept import NEEDS, recipe_line
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import ReceptiveField, Release

__all__ = ["SUBJECT", "likes", "show"]

SUBJECT = "subject"
"""Parameter of the URL."""
_ALL = "all"
_POINTS = 5000
_LINKED = 3
_LOOKED_AT = 60
"""Pictures that are looked through for some that may be shown."""


def show(release: Release, unit: str, roi: str, chosen: dict[str, str]) -> None:
    """Draw the figures of a unit that is kept.

    Parameters
    ----------
    release : Release
    unit : str
        ``model/layer/unit``.
    roi : str
        Region of interest that is predicted from.
    chosen : dict
        Dataset and condition.
    """
    dataset = chosen["dataset"]
    if unit in _known(release, unit, dataset, predictions=True):
        _predictions(release, unit, roi, chosen)
    if unit in _known(release, unit, dataset):
        _least(release, unit, chosen["dataset"])
        _alike(release, unit, chosen)


def _known(release: Release, unit: str, dataset: str, *, predictions: bool = False) -> list[str]:
    layer = UnitId.parse(unit).place
    known: list[str] = _reads.read(release, "kept", layer, predictions=predictions, dataset=dataset)
    return known


def likes(release: Release, unit: str, chosen: dict[str, str]) -> None:
    """Draw the pictures that drive a unit most, or say what keeps it.

    Parameters
    ----------
    release : Release
    unit : str
        ``model/layer/unit``.
    chosen : dict
        Dataset, whose pictures they are, and condition.
    """
    dataset = chosen["dataset"]
    st.subheader("Pictures that drive it most", help=help_on("driving"))
    known = _known(release, unit, dataset)
    if unit not in known:
        _say_what_keeps_it(release, unit, known, chosen)
        return
    rows: pd.DataFrame = _reads.read(release, "stimuli", unit, _LOOKED_AT, dataset=dataset)
    most = len(rows) // 2 if len(rows) < 2 * PICTURES else PICTURES
    terms = _terms(release, dataset)
    looked_at = rows.head(min(_LOOKED_AT, max(most, len(rows) // 2)))
    filled = with_own(release, dataset, looked_at, most=most)
    may = filled.assign(place=range(1, len(filled) + 1)).dropna(subset="thumbnail").head(most)
    shown = filled.head(most) if may.empty else may
    field: ReceptiveField | None = _reads.read(release, "receptive_field", unit)
    box = None if field is None or field.is_all else field
    st.html(strip(shown, shown=terms is not None or not may.empty, field=box))
    skipped = 0 if may.empty else int(may["place"].max()) - len(may)
    said = (
        "the dataset does not say that its pictures may be shown, so their names stand alone"
        if terms is None and may.empty
        else "pictures: your own copies"
        if terms is None
        else f"pictures: {_state.plain(terms.rstrip('.'))}"
    )
    left = f" {skipped} without a picture are left out." if skipped else ""
    st.caption(f"Below each: its name, and the unit's activation (raw); {said}.{left}")
    if field is not None:
        st.caption(field_said(field), help=help_on("field"))


def field_said(field: ReceptiveField) -> str:
    """Say what the box on pictures is, or why there is none."""
    if field.is_all:
        return "All of a picture can reach this unit: it has no smaller receptive field."
    rows, columns = (
        f"{a} to {b}" for a, b in ((field.top, field.bottom), (field.left, field.right))
    )
    return (
        f"Box: its receptive field, the part that can reach the unit (rows {rows}, columns "
        f"{columns} of the {field.size} × {field.size} pixels that the network sees)."
    )


def _predictions(release: Release, unit: str, roi: str, chosen: dict[str, str]) -> None:
    st.subheader("Predicted and true activation", help=help_on("predicted"))
    rows: pd.DataFrame = _reads.read(release, "predictions", unit, roi=roi, **chosen)
    rows = rows.astype({"subject": str, "stimulus": str})
    subjects = sorted(rows["subject"].unique())
    asked = _state.one_of(
        st, "Subject", SUBJECT, [_ALL, *subjects] if len(subjects) > 1 else subjects
    )
    n_images = rows.groupby("subject").size().max()
    every = labelled(rows)
    colours = sorted(every["subject"].unique())
    shown = every if asked == _ALL else every[rows["subject"] == asked]
    step = -(-len(shown) // _POINTS)
    some = "" if step == 1 else f"; one image in {step} is drawn"
    _figure.draw(release, charts.predictions(shown.iloc[::step], colours), "predictions")
    st.caption(
        f"{n_images:,} test images, from {_state.code(roi)}{some}. Dashed: predicted = true."
    )


def _least(release: Release, unit: str, dataset: str) -> None:
    st.subheader("Pictures that drive it least", help=help_on("driving"))
    rows: pd.DataFrame = _reads.read(release, "stimuli", unit, PICTURES, dataset=dataset)
    least = with_own(release, dataset, most_and_least(rows)[1][1], most=PICTURES)
    shown = _terms(release, dataset) is not None or bool(least["thumbnail"].notna().any())
    st.html(strip(least, shown=shown))


def _alike(release: Release, unit: str, chosen: dict[str, str]) -> None:
    found = alike(release, chosen["dataset"], unit, PICTURES)
    if found.empty:
        return
    st.subheader(
        "Units that like the same pictures",
        help="Units that are kept, by the correlation of their activations over pictures.",
    )
    with st.container(horizontal=True):
        for row in found.to_dict("records"):
            other = str(row["unit_id"])
            label = f"{other.partition('/')[2]} (r = {row['r']:.2f})"
            _links.to(st, "unit", label, {"unit": other, **chosen})


def _of_its_channel(release: Release, unit: str) -> list[str]:
    model, name, index = UnitId.parse(unit)
    layer = layer_of(release, model, name)
    if layer.axes is None:
        return []
    return of_channel(release, layer, index // layer.channel.step % layer.channel.size)


def _terms(release: Release, dataset: str) -> str | None:
    datasets = _reads.table(release, "datasets").set_index("dataset")
    terms = datasets["pictures"].get(dataset)
    return terms if isinstance(terms, str) else None


def _say_what_keeps_it(
    release: Release, unit: str, known: list[str], chosen: dict[str, str]
) -> None:
    if NEEDS not in release.tables:
        st.info(
            "The pictures that drive the unit, and predicted against true activation, are not part "
            f"of this release: it is of schema {release.schema_version}. A new build keeps them."
        )
        return
    st.info(
        "The pictures that drive the unit, and predicted against true activation, are kept of few "
        "units, and not of this one. A build keeps them with this line in its recipe:"
    )
    st.code(recipe_line(unit), language=None)  # colours of YAML stand out by 2.8 to 1
    near = [one for one in _of_its_channel(release, unit) if one in known]
    words = "Kept of its channel" if near else "Kept"
    with st.container(horizontal=True):
        for other in (near or known)[:_LINKED]:
            _links.to(st, "unit", f"{words}: {other}", {"unit": other, **chosen})
