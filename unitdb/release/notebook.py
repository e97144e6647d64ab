"""What notebooks show of a score and of reconstructions: HTML without scripts."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from unitdb.printable import printable

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release.pictured import Reconstructions
    from unitdb.release.scored import Score

__all__ = ["reconstructions_html", "score_html"]

SIMULATED = "SIMULATED responses: no statement about brains."
_PICTURES = 8
_SOURCES = ("brain", "shuffled")  # a picture never stands without its control


def score_html(score: Score) -> str:
    """Score, place, the matrix layer × ROI with bars, and the best channels."""
    parts = [f"<p><strong>{SIMULATED}</strong></p>"] if score.simulated else []
    title = f"{score.network}, decoded from {score.dataset} ({score.condition})"
    parts += [f"<p>{_safe(text)}</p>" for text in (title, *score.words())]
    parts += ["<p>Mean decoding accuracy (Pearson r)</p>", _bars(score.matrix)]
    channels = score.channels.to_html(index=False, border=0, float_format="{:.3f}".format)
    parts += ["<p>Most brain-like channels</p>", channels]
    return f"<div>{''.join(parts)}</div>"


def reconstructions_html(found: Reconstructions) -> str:
    """Scores, and the first pictures of each method and person in the order of their names."""
    parts = [f"<p>{_safe(line)}</p>" for line in str(found).splitlines()]
    keys = ["dataset", "condition", "model", "method", "subject"]
    for names, rows in found.pictures.groupby(keys, observed=True, sort=True):
        caption = f"{names[3]}, {names[4]}: the first {_PICTURES} pictures by name"
        strips = "".join(_strip(rows, source) for source in _SOURCES)
        parts.append(f"<p>{_safe(caption)}</p><table>{strips}</table>")
    return f"<div>{''.join(parts)}</div>"


def _strip(rows: pd.DataFrame, source: str) -> str:
    """Row of a table: pictures that were made from one source."""
    of = rows[(rows["source"] == source) & rows["png"].notna()]
    if of.empty:
        return f"<tr><th>{_safe(source)}</th><td>none here</td></tr>"
    first = of[of["control"] == of["control"].min()].sort_values("stimulus").head(_PICTURES)
    cells = "".join(
        f'<td><img width="64" alt="{_safe(str(row.stimulus))}" title="{_safe(str(row.stimulus))}" '
        f'src="data:image/png;base64,{b64encode(row.png).decode()}"></td>'
        for row in first.itertuples()
    )
    return f"<tr><th>{_safe(source)}</th>{cells}</tr>"


def _bars(matrix: pd.DataFrame) -> str:
    """Table whose cells are filled from the left as far as they are from 0 to the largest."""
    largest = max(float(np.nanmax(matrix.to_numpy(float), initial=0.0)), 1e-9)
    head = "".join(f"<th>{_safe(str(name))}</th>" for name in matrix.columns)
    lines = [f"<tr><th></th>{head}</tr>"]
    for layer, values in matrix.iterrows():
        cells = "".join(_bar(float(value), largest) for value in values)
        lines.append(f"<tr><th>{_safe(str(layer))}</th>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _bar(value: float, largest: float) -> str:
    if value != value:
        return "<td></td>"
    part = 100 * min(max(value / largest, 0.0), 1.0)
    fill = "rgba(31, 119, 180, 0.35)"
    back = f"linear-gradient(90deg, {fill} {part:.0f}%, transparent {part:.0f}%)"
    return f'<td style="background: {back}">{value:.3f}</td>'


def _safe(text: str) -> str:
    return escape(printable(text))
