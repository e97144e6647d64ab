"""Reconstruction, of ``pipelines/*-reconstruction.yaml``."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sections.markdown import markdown_table
from unitdb.release import SOURCES, Release

RECONSTRUCTION = """## Reconstruction

Printed, not typed:

```
{builds}
python docs/results.py reconstruction{releases}
```

Methods of a recipe without rows here were not built. Means over pictures, with 95 % intervals
over these. *Identification* is by correlation less the mean training picture, *raw* with it,
*within* among pictures of the same category.
[How to read these rows](reconstruction.md): compare a brain with *shuffled*. *Class-mean* is the
result of knowing the category alone, *mean* that of knowing nothing: both stand once for methods of
the same pictures. *Projection* is the ceiling of linear decoding.
"""

JUDGED = """Identification by features of the judge, {judge}: never the network that is inverted.
Rows *over ridge*: how much the brain's rate exceeds that of ridge on the same pictures, with the
paired interval.
"""

PEOPLE = """Each person alone:
"""

SETS = """Do brain-like units help? All units of {layers}, and {n} units of each layer: those
decoded best or worst within the training pictures, or drawn at random.
"""

_SHOWN = {
    "identification": "identification",
    "raw": "identification_raw",
    "within": "identification_within",
    "centred r": "centred_r",
    "pixel r": "pixel_r",
    "SSIM": "ssim",
}
_FLOORS = ("class-mean", "mean")
_DRAWN = ("brain", "shuffled", "recovery", "projection")
_JUDGED = ("early", "middle", "late", "last")
_UNITS = ("top", "bottom", "random")


def reconstruction(*releases: Release) -> str:
    """Markdown of reconstruction."""
    names = [f"{release.name}/{release.version}" for release in releases]
    recipes = [f"unitdb build pipelines/{one.name}.yaml --data DATA" for one in releases]
    parts = [
        RECONSTRUCTION.format(
            builds="\n".join(recipes),
            releases="".join(f" \\\n    releases/{name}" for name in names),
        )
    ]
    for release in releases:
        parts += _of(release)
    return "\n".join(parts)


def _of(release: Release) -> Iterator[str]:
    scores = release.reconstructions().scores
    names = ["method", "subject", "source", "metric"]
    scores = scores.astype(dict.fromkeys(names, str)).set_index(names)
    if not scores.index.is_unique:
        raise ValueError(f"{release.title}: results are of one dataset, test set and network")
    methods = release.sql("SELECT * FROM reconstruction_method ORDER BY method")
    yield f"### {release.title}\n"
    subjects = scores.index.get_level_values("subject")
    people = sorted(set(subjects) - {"mean"})
    main = "mean" if "mean" in subjects else people[0]
    chosen = methods[methods["unit_choice"].str.split().str[0].isin(_UNITS)]
    made = scores.xs(main, level="subject").index.unique("method")
    yield _table(scores, main, [one for one in made if one not in set(chosen["method"])], "method")
    judged = methods[methods["judge"].notna()]
    if len(judged):
        yield JUDGED.format(judge=judged["judge"].iloc[0])
        yield _judged(scores, main)
    if len(chosen):
        yield from _sets(scores, methods, chosen, main)
    if len(people) > 1:
        yield PEOPLE
        yield _people(scores, people)


def _table(
    scores: pd.DataFrame,
    subject: str,
    methods: Sequence[str],
    called: str,
    sources: Sequence[str] = SOURCES,
) -> str:
    of = scores.xs(subject, level="subject").sort_index()
    rows: list[list[str]] = []
    floors: list[list[str]] = []
    for method in methods:
        for source in sources:
            if (method, source) not in of.index.droplevel("metric"):
                continue
            row = [source, *_cells(of, method, source)]
            if source in _FLOORS and row in floors:
                continue
            floors.append(row)
            rows.append([method, *row])
    return markdown_table(f"{called} | source | pictures | {' | '.join(_SHOWN)}", rows)


def _cells(of: pd.DataFrame, method: str, source: str) -> list[str]:
    n = max(of.loc[(method, source), "n_images"])
    return [str(n), *(_cell(of, (method, source, metric)) for metric in _SHOWN.values())]


def _judged(scores: pd.DataFrame, subject: str) -> str:
    of = scores.xs(subject, level="subject")
    metrics = [f"identification_{place}" for place in _JUDGED]
    rows: list[list[Any]] = []
    for method in of.index.unique("method"):
        if not any((method, "brain", metric) in of.index for metric in metrics):
            continue
        rows += [
            [method, source, *(_cell(of, (method, source, metric)) for metric in metrics)]
            for source in ("brain", "shuffled")
        ]
        gains = [_gain(of, (method, "brain", metric)) for metric in metrics]
        if set(gains) != {"–"}:
            rows.append([method, "over ridge", *gains])
    return markdown_table(f"method | source | {' | '.join(_JUDGED)}", rows)


def _sets(
    scores: pd.DataFrame, methods: pd.DataFrame, chosen: pd.DataFrame, subject: str
) -> Iterator[str]:
    layers = chosen["layers"].iloc[0]
    alike = (methods["layers"] == layers) & (methods["kind"] == "inversion")
    asked = json.loads(chosen["settings"].iloc[0])["units"]
    n = next(value for key, value in asked.items() if key in _UNITS and value is not None)
    yield SETS.format(layers=", ".join(json.loads(layers)), n=n)
    yield _table(scores, subject, methods.loc[alike, "method"].tolist(), "units", _DRAWN)


def _people(scores: pd.DataFrame, people: list[str]) -> str:
    rows: list[list[Any]] = []
    for subject in people:
        of = scores.xs(subject, level="subject")
        for method in of.index.unique("method"):
            cells = [
                _cell(of, (method, source, metric))
                for metric in ("identification", "centred_r")
                for source in ("brain", "shuffled")
            ]
            rows.append(
                [subject, method, *cells, _gain(of, (method, "brain", "identification_early"))]
            )
    header = (
        "subject | method | identification | shuffled | centred r | shuffled | early, over ridge"
    )
    return markdown_table(header, rows)


def _cell(scores: pd.DataFrame, key: tuple[str, ...]) -> str:
    return _number(scores, key, ("value", "low", "high"))


def _gain(scores: pd.DataFrame, key: tuple[str, ...]) -> str:
    return _number(scores, key, ("over_ridge", "over_ridge_low", "over_ridge_high"))


def _number(scores: pd.DataFrame, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    if key not in scores.index:
        return "–"
    value, low, high = (float(scores.loc[key, column]) for column in columns)
    if math.isnan(value):
        return "–"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"
