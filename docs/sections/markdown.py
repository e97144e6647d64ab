"""Tables and intervals in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any


def markdown_table(header: str, rows: Iterable[list[Any]]) -> str:
    """Rows below the names of columns, ``a | b``; – for what is none."""
    names = [name.strip() for name in header.split("|")]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [
            ("–" if math.isnan(cell) else f"{cell:.3f}") if isinstance(cell, float) else str(cell)
            for cell in row
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def interval(low: float, high: float) -> str:
    """Both ends."""
    return f"{low:.3f} … {high:.3f}"
