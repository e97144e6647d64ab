"""Image by image: pictures in a row, as HTML in which names stand for themselves."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import ReceptiveField

__all__ = ["PICTURES", "most_and_least", "strip", "thumbnail"]

PICTURES = 6
"""In a row."""

_ROW = "display:flex;flex-wrap:wrap;gap:.75rem;margin:0 0 .5rem"
_FIGURE = "margin:0;width:96px"
_NAME = "font-size:.8rem;line-height:1.3;overflow-wrap:anywhere"
_EMPTY = (
    "width:96px;height:96px;border:1px dashed #7F7F7F;display:flex;align-items:center;"
    "justify-content:center;font-size:.75rem;box-sizing:border-box;text-align:center"
)


def most_and_least(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Pictures that drive a unit most, and those that drive it least, the extremes first.

    Parameters
    ----------
    rows : DataFrame
        From ``Release.stimuli``; a picture is on one side alone where they are few.
    """
    n = min(PICTURES, len(rows) // 2)
    return [("most", rows[:n]), ("least", rows[len(rows) - n :][::-1])]


def strip(rows: pd.DataFrame, *, shown: bool, field: ReceptiveField | None = None) -> str:
    """A row of pictures, each with its name and the activation.

    Parameters
    ----------
    rows : DataFrame
        From ``Release.stimuli``.
    shown : bool
        Whether the dataset's pictures may be shown: those that may not have then an empty place;
        otherwise names stand alone.
    field : ReceptiveField, optional
        Of the unit: a box in each picture.
    """
    figures = "".join(_figure(row, shown=shown, field=field) for row in rows.to_dict("records"))
    return f'<div style="{_ROW}">{figures}</div>'


def thumbnail(row: dict[Any, Any], *, width: int = 96) -> str:
    """A picture alone, named for those who do not see it; ``stimulus`` and ``thumbnail``."""
    name = escape(str(row["stimulus"]))
    data = b64encode(bytes(row["thumbnail"])).decode()
    return (
        f'<img src="data:image/jpeg;base64,{data}" alt="{name}" title="{name}" '
        f'style="width:{width}px;max-width:100%;display:block">'
    )


def _box(field: ReceptiveField, picture: bytes) -> str:
    """The frame of a receptive field, above a picture: white within black, seen on any ground."""
    from PIL import Image  # of Streamlit

    try:
        with Image.open(BytesIO(picture), formats=("JPEG",)) as opened:
            width, height = opened.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""  # the browser shows that it is damaged
    left, top, across, down = (f"{100 * part:.2f}%" for part in field.within(width, height))
    return (
        f'<div style="position:absolute;left:{left};top:{top};width:{across};height:{down};'
        'box-sizing:border-box;border:1px solid #FFF;outline:1px solid #000"></div>'
    )


def _figure(row: dict[Any, Any], *, shown: bool, field: ReceptiveField | None) -> str:
    name, picture = escape(str(row["stimulus"])), row["thumbnail"]
    if isinstance(picture, bytes):
        data = b64encode(picture).decode()
        place = (
            '<div style="position:relative;width:fit-content;line-height:0">'
            f'<img src="data:image/jpeg;base64,{data}" alt="{name}" style="max-width:100%">'
            f"{'' if field is None else _box(field, picture)}</div>"
        )
    else:
        place = f'<div style="{_EMPTY}">may not be shown</div>' if shown else ""
    caption = f'<figcaption style="{_NAME}">{name}<br>{row["activation"]:.3g}</figcaption>'
    return f'<figure style="{_FIGURE}">{place}{caption}</figure>'
