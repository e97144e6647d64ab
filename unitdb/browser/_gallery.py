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

__all__ = ["CAPTION", "LABELS", "METRICS", "PLACE", "ROWS", "gallery", "score_table"]

PLACE = ("dataset", "condition", "model", "method")
"""What names a method."""

LABELS = {
    "dataset": "Dataset",
    "condition": "Test set",
    "model": "Network",
    "method": "Method",
    "subject": "Person",
}
"""What a page calls these, and whose brain it is."""

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
_WORD = "font-size:.75rem;opacity:.82;margin-top:.2rem"
_IMAGE = "width:96px;height:96px;image-rendering:pixelated;object-fit:contain;display:block"
_EMPTY = (
    "width:96px;height:96px;border:1px dashed #7F7F7F;display:flex;align-items:center;"
    "justify-content:center;font-size:.75rem;box-sizing:border-box;text-align:center"
)

# Sources that know no brain stand under the first person who has seen these pictures.
_PICTURES = """
SELECT stimulus, source, any_value(png) AS png, any_value(problem) AS problem
FROM reconstruction
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
        pictures.setdefault(str(row["stimulus"]), {})[str(row["source"])] = row
    names = list(pictures)[:most]
    held = {source for of in pictures.values() for source in of}
    figures = (_figure(name, pictures[name], held) for name in names)
    return f'<div style="{_LISTED}">{"".join(figures)}</div>'


def _figure(name: str, of: Mapping[str, Any], held: set[str]) -> str:
    cells = [
        _cell(of.get(source), word, name)
        for source, word in ROWS.items()
        if source in held or source == "seen"
    ]
    caption = f"<figcaption>{escape(name)}</figcaption>"
    return f'<figure style="{_FIGURE}">{"".join(cells)}{caption}</figure>'


def _cell(row: Mapping[str, Any] | None, word: str, name: str) -> str:
    """A picture below the word for what it is made from, or why there is none."""
    if row is not None and isinstance(row["png"], bytes | bytearray):
        data = b64encode(row["png"]).decode()
        alt = escape(f"{word}: {name}")
        shown = f'<img src="data:image/png;base64,{data}" alt="{alt}" style="{_IMAGE}">'
        return f'<div style="{_WORD}" aria-hidden="true">{escape(word)}</div>{shown}'
    why = "may not be shown"
    if row is not None and isinstance(row["problem"], str):
        why = "could not be made"
    elif row is None and word != ROWS["seen"]:
        why = "none was made"  # of fewer pictures: control_images, ceiling_images
    return f'<div style="{_WORD}">{escape(word)}</div><div style="{_EMPTY}">{why}</div>'


def score_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of a method and a person by source, and chance in the last row; a column each metric.

    How many pictures they are means of stands before them.

    Parameters
    ----------
    scores : DataFrame
        Rows of ``reconstruction_score``.
    """
    kept = scores[scores["metric"].isin(METRICS)]
    wide = kept.pivot_table(index="source", columns="metric", values="value", observed=True)
    rows = [source for source in SOURCES if source in wide.index]
    columns = [metric for metric in METRICS if metric in wide.columns]
    chance = kept.groupby("metric", observed=True)["chance"].max()
    shown = wide.loc[rows, columns].astype(float)
    shown.loc["chance"] = chance.reindex(columns).astype(float)
    n_images = kept.groupby("source", observed=True)["n_images"].max()
    shown.insert(0, "pictures", n_images.reindex(shown.index).astype("Int64"))
    return shown.rename(columns=METRICS).reset_index()
