"""Reconstructions beside what was seen, shuffled brains and the ceiling, in the order of ids."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any

from unitdb.release import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from unitdb.release import Release

__all__ = ["CAPTION", "METRICS", "PLACE", "ROWS", "gallery", "score_table"]

PLACE = ("dataset", "condition", "model", "method")
"""What names a method."""

ROWS = {
    "seen": "seen",
    "brain": "reconstructed",
    "shuffled": "shuffled brain",
    "recovery": "ceiling",
}
"""Sources that are shown of each picture, in this order."""

METRICS = {
    "identification": "identification",
    "identification_within": "within category",
    "identification_early": "judge, early",
    "identification_late": "judge, late",
    "centred_r": "centred r",
    "pixel_r": "pixel r",
    "ssim": "SSIM",
    "top1": "top 1",
}
"""Scores of the table, by column."""

CAPTION = (
    "All pictures in the order of their ids, none picked. The shuffled brain has learned the "
    "responses to other pictures: what its pictures share with the reconstructions comes from the "
    "network and the prior, not from the brain. Ceiling: from true features."
)

_LISTED = "display:flex;flex-wrap:wrap;gap:.75rem;margin:0 0 .5rem"
_FIGURE = "margin:0;width:96px;font-size:.8rem;line-height:1.3;overflow-wrap:anywhere"
_IMAGE = "width:96px;height:96px;image-rendering:pixelated;object-fit:contain;display:block"
_EMPTY = (
    "width:96px;height:96px;border:1px dashed #7F7F7F;display:flex;align-items:center;"
    "justify-content:center;font-size:.75rem;box-sizing:border-box;text-align:center"
)

# Sources that know no brain stand under the first person who has seen these pictures.
_PICTURES = """
SELECT stimulus, source, any_value(png) AS png FROM reconstruction
WHERE dataset = ? AND condition = ? AND model = ? AND method = ? AND control <= 1
  AND (subject = ? OR source IN ('seen', 'recovery'))
  AND source IN ('seen', 'brain', 'shuffled', 'recovery')
GROUP BY ALL ORDER BY stimulus
""".strip()


def gallery(
    release: Release, place: Sequence[str], subject: str, *, most: int | None = None
) -> str:
    """Pictures of a method and a person, as HTML in which names stand for themselves.

    Parameters
    ----------
    release : Release
    place : sequence of str
        Values of :data:`PLACE`.
    subject : str
    most : int, optional
        Only the first so many.
    """
    found = release.sql(_PICTURES, [*place, subject])
    pictures: dict[str, dict[str, Any]] = {}
    for row in found.to_dict("records"):
        pictures.setdefault(str(row["stimulus"]), {})[str(row["source"])] = row["png"]
    names = list(pictures)[:most]
    held = {source for of in pictures.values() for source in of}
    figures = (_figure(name, pictures[name], held) for name in names)
    return f'<div style="{_LISTED}">{"".join(figures)}</div>'


def _figure(name: str, of: Mapping[str, Any], held: set[str]) -> str:
    cells = [
        _cell(of.get(source), f"{word}: {name}", source=source)
        for source, word in ROWS.items()
        if source in held or source == "seen"
    ]
    caption = f"<figcaption>{escape(name)}</figcaption>"
    return f'<figure style="{_FIGURE}">{"".join(cells)}{caption}</figure>'


def _cell(png: Any, text: str, *, source: str) -> str:
    if isinstance(png, bytes | bytearray):
        data = b64encode(png).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{escape(text)}" style="{_IMAGE}">'
    why = "no control" if source == "shuffled" else "may not be shown"
    return f'<div style="{_EMPTY}">{escape(ROWS[source])}: {why}</div>'


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of a method and a person, a row for each source, a column for each metric.

    Parameters
    ----------
    scores : DataFrame
        Rows of ``reconstruction_score``.
    """
    kept = scores[scores["metric"].isin(METRICS)]
    wide = kept.pivot_table(index="source", columns="metric", values="value", observed=True)
    rows = [source for source in SOURCES if source in wide.index]
    columns = [metric for metric in METRICS if metric in wide.columns]
    return wide.loc[rows, columns].rename(columns=METRICS).reset_index()
