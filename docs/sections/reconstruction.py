"""Reconstruction, of ``pipelines/digits69-reconstruction.yaml``."""

from __future__ import annotations

import math
from typing import Any

from unitdb.release import SOURCES, Release

RECONSTRUCTION = """## Reconstruction

{title}. Printed, not typed. Only these methods of
the recipe were built:

```
unitdb build pipelines/digits69-reconstruction.yaml --data DATA
python docs/results.py reconstruction releases/digits69-reconstruction/1.0.0
```

Means over pictures, with 95 % intervals over these. *Identification* is by correlation less the
mean training picture, *raw* with it, *within* among pictures of the same category.
[How to read these rows](reconstruction.md): compare a brain with *shuffled*. *Class-mean* is the
result of knowing the category alone. *Projection* is the ceiling of linear decoding.
"""


def reconstruction(release: Release) -> str:
    """Markdown of reconstruction."""
    found = release.reconstructions().scores
    title = release.sql("SELECT max(title) AS title FROM datasets")["title"][0]
    shown = (
        "identification",
        "identification_raw",
        "identification_within",
        "centred_r",
        "pixel_r",
        "ssim",
    )
    lines = [RECONSTRUCTION.format(title=title)]
    keys = ["method", "subject"]
    lines.append(
        "| method | from | source | identification | raw | within | centred r | pixel r | SSIM |"
    )
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for (method, subject), own in found.groupby(keys, observed=True, sort=True):
        for source in SOURCES:
            of = own[own["source"] == source].set_index("metric")
            if of.empty:
                continue
            cells = [_cell(of.loc[metric]) if metric in of.index else "–" for metric in shown]
            lines.append(f"| {method} | {subject} | {source} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(row: Any) -> str:
    if math.isnan(row["low"]):
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
