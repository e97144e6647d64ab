"""Write ``docs/results.md``: what a release found, beside the same with shuffled images.

``python docs/results.py RELEASE CONTROL > docs/results.md``, folders of releases of
``pipelines/algonauts92-hierarchy.yaml`` and ``pipelines/algonauts92-hierarchy-shuffled.yaml``.

``python docs/results.py timecourse RELEASE OTHER DATA`` prints the section on time courses, of
``pipelines/figure-images.yaml`` and ``figure-images-100.yaml``, and of the folder of the data.

``python docs/results.py modulation RELEASE`` prints the section on simulated brains that view
blurred photographs, of the release of ``docs/blurred.py``.

``python docs/results.py reconstruction RELEASE …`` prints the section on reconstruction, of
``pipelines/algonauts92-reconstruction.yaml`` and ``digits69-reconstruction.yaml``.

``python docs/results.py identification RELEASE`` prints the section on identification, of
``pipelines/algonauts92-identification.yaml``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from sections.identification import identification
from sections.markdown import interval, markdown_table
from sections.modulation import modulation
from sections.reconstruction import reconstruction
from sections.timecourse import timecourse

import unitdb
from unitdb.release import Release

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
        print(reconstruction(*(unitdb.open(Path(one)) for one in sys.argv[2:])), end="")  # noqa: T201
        return
    if sys.argv[1] == "identification":
        print(identification(unitdb.open(Path(sys.argv[2]))), end="")  # noqa: T201
        return
    release, control = (unitdb.open(Path(path)) for path in sys.argv[1:])
    print(page(release, control), end="")  # noqa: T201 - what it is for


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


def _both(release: Release, control: Release, query: str, *values: str) -> Iterable[Any]:
    """Rows of a query, and those of the control."""
    found, null = (each.sql(query, list(values)) for each in (release, control))
    return zip(found.itertuples(), null.itertuples(), strict=True)


def _scores(release: Release, control: Release) -> str:
    query = "SELECT * FROM hierarchy WHERE kind = 'decoding' ORDER BY model, method"
    return markdown_table(
        "network | method | score | interval | controls | p | shuffled | interval",
        (
            [
                *(row.model, row.method, row.score, interval(row.score_low, row.score_high)),
                *(row.chance_score, row.p),
                *(other.score, interval(other.score_low, other.score_high)),
            ]
            for row, other in _both(release, control, query)
        ),
    )


def _units(release: Release, control: Release) -> str:
    query = """
        SELECT model, roi, count(*) AS n, avg((p < 0.05)::DOUBLE) AS p, avg((q < 0.05)::DOUBLE) AS q
        FROM unit_summary GROUP BY model, roi ORDER BY model, roi
    """
    return markdown_table(
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
    return markdown_table(
        "network | ROI | Pearson | interval | Spearman | interval | partial | controls | shuffled",
        (
            [
                *(row.model, row.roi, row.r, interval(row.low, row.high)),
                *(row.rho, interval(row.rho_low, row.rho_high)),
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
    return markdown_table(
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
    return markdown_table(
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
