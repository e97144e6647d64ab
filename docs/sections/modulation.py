"""Simulated brains that view blurred photographs, of the release of ``docs/blurred.py``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from sections.markdown import markdown_table
from unitdb.release import Release

MODULATION = """## Modulation (SIMULATED)

Eight simulated brains view 500 photographs of ImageNet, and 40 others sharp and blurred by a box of
6, 12 and 25 % of their side, once each. Their 840 voxels are sums of six units of one of seven
layers of EfficientNet-lite0, with noise of 1.5 SD. Printed, not typed (`DATA/imagenet1000` holds
the photographs):

```
python docs/blurred.py DATA FOLDER
python docs/results.py modulation FOLDER/releases/blurred-simulated/1.0.0
```

Gains against both controls, by the published method (units centred), beside the bias stated in the
release. The bias comes from 24 other simulated brains, with noises of 1, 1.4 and 2 SD
([methods.md](methods.md)). p is of gain − bias, over brains and pictures and with the error of the
bias. No statement about people follows from these numbers.
"""


OF_BRAINS = {
    "forward": (
        "Only fed forward",
        "Made like the brains behind the bias. They show only its consistency.",
    ),
    "sharpened": ("Sharpened by .3", "Made in the same way, plus .3 of the original."),
    "otherwise": (
        "Only fed forward, made otherwise",
        "Unequal shares of layers and units, smooth noise. They show how far the bias holds.",
    ),
}


def modulation(release: Release) -> str:
    """Markdown of the gains of simulated brains, beside the stated bias."""
    parts = [MODULATION]
    for roi, (title, words) in OF_BRAINS.items():
        found = release.sql(
            """
            SELECT layer, level, control, gain, bias, bias_se, excess, p
            FROM modulation_summary JOIN layers USING (model, layer)
            WHERE roi = ? AND level > 0 AND method = 'abdelhack2018' ORDER BY depth, level
            """,
            [roi],
        )
        if found.empty:
            continue
        header = "layer | blur | " + " | ".join(
            f"{name}: {what}"
            for name in ("noise", "encode-decode")
            for what in ("gain", "bias ± SE", "gain − bias", "p")
        )
        rows = []
        for (layer, level), of in found.groupby(["layer", "level"], sort=False, observed=True):
            row: list[Any] = [layer, f"{level:.0f} %"]
            for control in ("noise", "encode-decode"):
                (one,) = of[of["control"] == control].itertuples()
                stated = "–" if math.isnan(one.bias) else f"{one.bias:.3f} ± {one.bias_se:.3f}"
                row += [one.gain, stated, one.excess, one.p]
            rows.append(row)
        parts += [
            f"### {title} (SIMULATED)\n\n{words}\n",
            markdown_table(header, rows),
            *_errors(release, roi, found),
        ]
    return "\n".join(parts)


def _errors(release: Release, roi: str, found: pd.DataFrame) -> Iterator[str]:
    """How well the bias foretells gains of brains that are only fed forward."""
    if roi == "sharpened":
        return
    gains = release.sql(
        """
        SELECT layer, level, subject, avg(noise_gain) AS noise, avg(null_gain) AS "encode-decode"
        FROM modulation WHERE roi = ? AND level > 0 AND method = 'abdelhack2018' GROUP BY ALL
        """,
        [roi],
    )
    over_brains = gains.groupby(["layer", "level"], observed=True)[["noise", "encode-decode"]]
    for control, of in found.groupby("control", sort=False, observed=True):
        own = of.dropna(subset=["excess"]).set_index(["layer", "level"])
        size = own["excess"].abs()
        squares = over_brains.sem()[control].reindex(own.index) ** 2 + own["bias_se"] ** 2
        worst = size.idxmax()
        yield (
            f"|gain − bias| against {control}: mean {size.mean():.3f}, below .02 in "
            f"{(size < 0.02).sum()} of {len(of)} cells ({len(of) - len(own)} without), at most "
            f"{size.max():.3f} ({worst[0]}, {worst[1]:.0f} %). Mean of (gain − bias)² in parts of "
            f"what the scatter of brains lets expect: {(size**2 / squares).mean():.2f}.\n"
        )
