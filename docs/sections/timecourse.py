"""Time courses, of ``pipelines/figure-images.yaml`` and ``figure-images-100.yaml``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sections.markdown import interval, markdown_table
from tests.acceptance.figure_loop import nested_course
from unitdb.release import Release

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
            interval(row.identification_low, row.identification_high),
            row.chance,
            row.mean_r,
            interval(row.r_low, row.r_high),
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
    return "\n".join([head, markdown_table(names, rows), markdown_table(columns, others)])


def _times(times: Iterable[float]) -> str:
    found = list(times)
    return f"{min(found):+g} … {max(found):+g} s"
