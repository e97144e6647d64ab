"""Write ``docs/results.md``: what a release found, beside the same with shuffled images.

``python docs/results.py RELEASE CONTROL > docs/results.md``, folders of releases of
``pipelines/algonauts92-hierarchy.yaml`` and ``pipelines/algonauts92-hierarchy-shuffled.yaml``.

``python docs/results.py timecourse RELEASE OTHER DATA`` prints the section on time courses, of
``pipelines/figure-images.yaml`` and ``figure-images-100.yaml``, and of the folder of the data.

``python docs/results.py modulation RELEASE`` prints the section on simulated brains that view
blurred photographs, of the release of ``docs/blurred.py``.

``python docs/results.py reconstruction RELEASE`` prints the section on reconstruction, of
``pipelines/digits69-reconstruction.yaml``.

``python docs/results.py identification RELEASE`` prints the section on identification, of
``pipelines/algonauts92-identification.yaml``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import unitdb
from tests.acceptance.figure_loop import nested_course
from unitdb.release import SOURCES, Release

if TYPE_CHECKING:
    import pandas as pd

HEAD = """# Results

{title}. Printed, not typed:

```
unitdb build pipelines/algonauts92-hierarchy.yaml --data DATA
unitdb build pipelines/algonauts92-hierarchy-shuffled.yaml --data DATA
python docs/results.py releases/algonauts92-hierarchy/1.0.0 \\
    releases/algonauts92-hierarchy-shuffled/1.0.0 > docs/results.md
```

{subjects} people, {stimuli} images in {folds} folds, {rois}.
*Shuffled* is the second release. Its images are shuffled independently in each person before
anything is decoded. *Controls* are part of each release: {controls} times the images are shuffled,
alike in all people, and all is decoded again. p comes from these ([methods.md](methods.md)).

Intervals are about other units and other people, not about other images. So the result of a single
shuffle of the images may lie outside of them more often than once in twenty. Use p among the
controls to judge it.
"""

SCORES = """## Hierarchy

Decoding-based BH score from EVC to IT, with its 95 % interval over units and people. Beside it are
the mean score of the controls, and p among them. p cannot be below 1 / ({controls} + 1).
"""

UNITS = """## Significance

Share of the units of all layers with p < .05, and with q < .05, among units with an accuracy. p is
over people; q is within network and ROI.
"""

AGREEMENT = """## Agreement between people

Correlation over units of two people's accuracies, with its 95 % interval over channels: means over
all pairs and layers. *Partial* holds log variance and sparseness of units' activations constant.
"""

RANKING = """## The same best units

How many of a person's 1,000 best units of a network are among the 1,000 best of another person, and
of the mean of all others: means over people. *Unrelated* is the number shared by unrelated
rankings. *Controls* are two people whose images are shuffled independently. p is the largest of any
person against the mean of the others. *Reliability* is for the map of a layer's mean accuracies:
its correlation with the map of as many other people (split halves, Spearman-Brown), mean over
layers.
"""

LAYERS = """## {model}

Columns of the table:

- units significant at q < .05 (over people; within network and ROI), of those decoded;
- mean accuracy over units and people;
- pairwise identification of the images from the pattern of up to 500 units, mean over people;
- Pearson correlation of two people's accuracies, mean over pairs.

Beside each is the value for shuffled images, from the second release or from the controls.
"""


TIMECOURSE = """## Time course

{title}. Printed by

```
unitdb build pipelines/figure-images.yaml --data DATA
unitdb build pipelines/figure-images-100.yaml --data DATA
python docs/results.py timecourse releases/figure-images/1.0.0 releases/figure-images-100/1.0.0 DATA
```

{responses}: {n_voxels} voxels, {n_runs} runs. Each run is
decoded by weights from the others. Identification is pairwise, among the {n_stimuli} shapes.
Intervals are jackknives over these, and reach beyond 1. p permutes shapes among blocks, one time at
a time.

**Alpha was chosen by the result.** With the alpha of the recipe, 100,000, rates are at chance from
18 s on. It was chosen for this reason, after others had been seen. So the first table is no
evidence for the absence of decoding there. The second table has alpha 100, and alpha chosen by the
training runs alone. For each run left out, the other three are left out in turn. The chosen alpha
of 1, 10, … 1,000,000 has the highest mean r of block means ({chosen};
a loop of numpy's, `tests/acceptance/figure_loop.py`). Both differ from the first table. With alpha
100 mean r is above chance at {above} (p < .05) and below it at {below} (p > .95), and with
it identification.

Mean r is below 0 at {negative} with the alpha of the recipe too. There all 999
permutations give more (p near 1 in this one-sided table, .001 to the other side), though the
jackknife over five shapes includes 0. So the undershoot of the response is decoded, as the opposite
of the shape. The alpha of the recipe weighs voxels one by one, and its rates do not show this.
"""


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

IDENTIFICATION = """## Identification among many candidates

{title}. Printed, not typed:

```
unitdb build pipelines/algonauts92-identification.yaml --data DATA
python docs/results.py identification releases/algonauts92-identification/1.0.0
```

{people} people, {folds} folds, {units} units of each layer of {models}. Pairwise identification is
among the 92 photographs (*own*) and among these and 1,000 others (*outside*). Patterns are
normalised by unit, or *raw* as published. Rates are means over people, with the mean ends of their
95 % intervals over images.

- *Exchange*: the same for one image's prediction and the target of another image of its fold.
- *Specific*: the rate less *exchange*.
- *10*: top-1 among ten candidates drawn at random (chance .1). *All*: top-1 among all.
- *Untrained*: top-1 among candidates that did not train. These are those of the fold and the
  outside ones, {fresh:.0f} together, the true one included.
- *Exchanged*: the same for another image of the fold. Compare *untrained* with it.
- *Category*: the rate from knowing animate from inanimate alone. The outside photographs are of
  neither.
- *People*: the rate of the mean of all people's predictions.
- A layer of * is all layers together.

Raw, the rate among outside photographs is near 1 for any prediction, as *exchange* shows. In a
cross-validation predictions are mixtures of the training photographs, which as candidates beat the
true one. So *all* of the own photographs is below its chance, 1/92 = .011. The chance of
*untrained* is not 1/{fresh:.0f}. The photographs of the fold are cut-out objects on grey, the
others are not. Knowing this alone would find one of four.
"""

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


def main() -> None:
    """Print the page, or a section."""
    if sys.argv[1] == "timecourse":
        first, other = (unitdb.open(Path(path)) for path in sys.argv[2:4])
        print(timecourse(first, other, Path(sys.argv[4])), end="")  # noqa: T201
        return
    if sys.argv[1] == "modulation":
        print(modulation(unitdb.open(Path(sys.argv[2]))), end="")  # noqa: T201
        return
    if sys.argv[1] == "reconstruction":
        print(reconstruction(unitdb.open(Path(sys.argv[2]))), end="")  # noqa: T201
        return
    if sys.argv[1] == "identification":
        print(identification(unitdb.open(Path(sys.argv[2]))), end="")  # noqa: T201
        return
    release, control = (unitdb.open(Path(path)) for path in sys.argv[1:])
    print(page(release, control), end="")  # noqa: T201 - what it is for


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


def identification(release: Release) -> str:
    """Markdown of identification."""
    about = release.sql(
        "SELECT (SELECT count(DISTINCT subject) FROM subjects) AS people, "
        "(SELECT max(n_folds) FROM builds) AS folds, (SELECT max(model) FROM models) AS models, "
        "max(n_units) FILTER (layer NOT LIKE '*%') AS units, "
        "(SELECT max(n_false - n_false_trained) + 1 FROM identification) AS fresh "
        "FROM identification_summary"
    ).iloc[0]
    rows = release.sql("""
        WITH people AS (
            SELECT layer, roi, set, method, avg(rate) AS rate, avg(rate_low) AS low,
                avg(rate_high) AS high, avg(chance_fold) AS exchange, avg(specific) AS specific,
                avg(top1) AS top1, avg(exchange_top1) AS exchanged, avg(chance_category) AS category
            FROM identification_summary WHERE subject <> '*' GROUP BY ALL
        ), together AS (
            SELECT layer, roi, set, method, rate AS mean_rate FROM identification_summary
            WHERE subject = '*'
        ), curve AS (
            SELECT layer, roi, set, method, avg(rate) FILTER (n = 10) AS ten,
                avg(rate) FILTER (n IN (92, 1092)) AS whole
            FROM identification_curve WHERE subject <> '*' AND among = 'all' GROUP BY ALL
        )
        SELECT * FROM people JOIN together USING (layer, roi, set, method)
            JOIN curve USING (layer, roi, set, method) LEFT JOIN layers USING (layer)
            JOIN rois USING (roi)
        ORDER BY set DESC, method DESC, rois.place, depth NULLS LAST, layer
    """)
    table = _table(
        "set | units | ROI | layer | rate | interval | exchange | specific | category | 10 | all | "
        "untrained | exchanged | people",
        (
            [
                row.set,
                "raw" if row.method == "horikawa2017" else "normalised",
                row.roi,
                row.layer.replace("*", "\\*"),
                row.rate,
                _interval(row.low, row.high),
                *(row.exchange, row.specific, row.category if row.set == "own" else ""),
                *(row.ten, row.whole),
                *((row.top1, row.exchanged) if row.set == "outside" else ("", "")),
                row.mean_rate,
            ]
            for row in rows.itertuples()
        ),
    )
    head = IDENTIFICATION.format(title=release.title, **about)
    return f"{head}\n{table}"


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
            _table(header, rows),
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


def page(release: Release, control: Release) -> str:
    """Markdown of all results."""
    build = release.sql("SELECT n_folds, significance->>'n' AS n FROM builds LIMIT 1").iloc[0]
    rois = release.sql("SELECT description, roi FROM rois ORDER BY place")
    dataset = release.table("datasets").iloc[0]
    head = HEAD.format(
        title=release.title,
        subjects=dataset["n_subjects"],
        stimuli=dataset["n_stimuli"],
        folds=build["n_folds"],
        rois=" and ".join(f"{name} ({roi})" for name, roi in rois.itertuples(index=False)),
        controls=build["n"],
    )
    parts = [head, SCORES.format(controls=build["n"]), _scores(release, control)]
    parts += [UNITS, _units(release, control)]
    parts += [AGREEMENT, _pairs(release, control)]
    parts += [RANKING, _ranking(release, control)]
    for model in release.sql("SELECT model FROM models ORDER BY model")["model"]:
        parts += [LAYERS.format(model=model), _layers(release, control, model)]
    return "\n".join(parts)


def timecourse(release: Release, other: Release, data: Path) -> str:
    """Markdown of the section on time courses."""
    course = release.table("timecourse").sort_values("time")
    hundred = other.table("timecourse").sort_values("time")
    alphas, nested = nested_course(data)
    head = TIMECOURSE.format(
        title=release.title,
        responses=release.table("datasets")["title"].iloc[0],
        n_voxels=release.table("subjects")["n_voxels"].iloc[0],
        n_runs=release.table("builds")["n_folds"].iloc[0],
        n_stimuli=course["n_stimuli"].max(),
        chosen="chosen: " + ", ".join(f"{alpha:,}" for alpha in alphas),
        above=_times(hundred["time"][hundred["p"] < 0.05]),
        below=_times(hundred["time"][hundred["p"] > 0.95]),
        negative=_times(course["time"][course["p"] == 1]),
    )
    rows = (
        [
            f"{row.time:+g}",
            row.n_samples,
            row.identification,
            _interval(row.identification_low, row.identification_high),
            row.chance,
            row.mean_r,
            _interval(row.r_low, row.r_high),
            row.p,
        ]
        for row in course.itertuples()
    )
    names = "s from onset | blocks | identification | 95 % | chance | mean r | 95 % | p"
    others = (
        [f"{row.time:+g}", row.identification, row.mean_r, row.p, *nested[row.time]]
        for row in hundred.itertuples()
    )
    columns = (
        "s from onset | alpha 100: identification | mean r | p | nested: identification | mean r"
    )
    return "\n".join([head, _table(names, rows), _table(columns, others)])


def _times(times: Iterable[float]) -> str:
    found = list(times)
    return f"{min(found):+g} … {max(found):+g} s"


def _table(header: str, rows: Iterable[list[Any]]) -> str:
    names = [name.strip() for name in header.split("|")]
    lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [
            ("–" if math.isnan(cell) else f"{cell:.3f}") if isinstance(cell, float) else str(cell)
            for cell in row
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _both(release: Release, control: Release, query: str, *values: str) -> Iterable[Any]:
    """Rows of a query, and those of the control."""
    found, null = (each.sql(query, list(values)) for each in (release, control))
    return zip(found.itertuples(), null.itertuples(), strict=True)


def _interval(low: float, high: float) -> str:
    return f"{low:.3f} … {high:.3f}"


def _scores(release: Release, control: Release) -> str:
    query = "SELECT * FROM hierarchy WHERE kind = 'decoding' ORDER BY model, method"
    return _table(
        "network | method | score | interval | controls | p | shuffled | interval",
        (
            [
                *(row.model, row.method, row.score, _interval(row.score_low, row.score_high)),
                *(row.chance_score, row.p),
                *(other.score, _interval(other.score_low, other.score_high)),
            ]
            for row, other in _both(release, control, query)
        ),
    )


def _units(release: Release, control: Release) -> str:
    query = """
        SELECT model, roi, count(*) AS n, avg((p < 0.05)::DOUBLE) AS p, avg((q < 0.05)::DOUBLE) AS q
        FROM unit_summary GROUP BY model, roi ORDER BY model, roi
    """
    return _table(
        "network | ROI | units | p < .05 | shuffled | q < .05 | shuffled",
        (
            [row.model, row.roi, row.n, row.p, other.p, row.q, other.q]
            for row, other in _both(release, control, query)
        ),
    )


def _pairs(release: Release, control: Release) -> str:
    query = """
        SELECT model, roi, avg(pearson_r) AS r, avg(pearson_low) AS low, avg(pearson_high) AS high,
            avg(spearman_r) AS rho, avg(spearman_low) AS rho_low, avg(spearman_high) AS rho_high,
            avg(partial_r) AS partial, avg(chance_r) AS chance
        FROM intersubject GROUP BY model, roi ORDER BY model, roi
    """
    return _table(
        "network | ROI | Pearson | interval | Spearman | interval | partial | controls | shuffled",
        (
            [
                *(row.model, row.roi, row.r, _interval(row.low, row.high)),
                *(row.rho, _interval(row.rho_low, row.rho_high)),
                *(row.partial, row.chance, other.r),
            ]
            for row, other in _both(release, control, query)
        ),
    )


def _ranking(release: Release, control: Release) -> str:
    query = """
        WITH best AS (
            SELECT model, roi, any_value(n_units) AS n, any_value(n_expected) AS expected,
                avg(n_shared) FILTER (among = 'subject') AS one,
                avg(n_chance) FILTER (among = 'subject') AS one_chance,
                avg(n_shared) FILTER (among = 'others') AS others,
                avg(n_chance) FILTER (among = 'others') AS others_chance,
                max(p) FILTER (among = 'others') AS p
            FROM recurrence GROUP BY model, roi
        )
        SELECT best.*, reliability FROM best JOIN (
            SELECT model, roi, avg(reliability) AS reliability FROM layer_reliability GROUP BY ALL
        ) USING (model, roi) ORDER BY model, roi
    """
    return _table(
        "network | ROI | units | unrelated | in another | controls | shuffled | in all others | "
        "controls | shuffled | p | reliability | shuffled",
        (
            [
                *(row.model, row.roi, row.n, row.expected),
                *(row.one, row.one_chance, other.one),
                *(row.others, row.others_chance, other.others, row.p),
                *(row.reliability, other.reliability),
            ]
            for row, other in _both(release, control, query)
        ),
    )


def _layers(release: Release, control: Release, model: str) -> str:
    query = """
        WITH units AS (
            SELECT model, layer, roi, count(*) AS decoded, count(*) FILTER (q < 0.05) AS n
            FROM unit_summary GROUP BY ALL
        ), people AS (
            SELECT model, layer, roi, avg(mean_r) AS r, avg(chance_r) AS chance_r,
                avg(identification) AS rate, avg(identification_chance) AS chance
            FROM layer_summary GROUP BY ALL
        ), pairs AS (
            SELECT model, layer, roi, avg(pearson_r) AS agreement FROM intersubject GROUP BY ALL
        )
        SELECT units.*, people.*, agreement
        FROM units JOIN people USING (model, layer, roi) JOIN pairs USING (model, layer, roi)
            JOIN layers USING (model, layer) JOIN rois USING (roi)
        WHERE model = ? ORDER BY layers.depth, rois.place
    """
    return _table(
        "layer | ROI | units | significant | shuffled | accuracy | controls | identification | "
        "controls | agreement | shuffled",
        (
            [
                *(row.layer, row.roi, row.decoded, row.n, other.n, row.r, row.chance_r),
                *(row.rate, row.chance, row.agreement, other.agreement),
            ]
            for row, other in _both(release, control, query, model)
        ),
    )


if __name__ == "__main__":
    main()
