"""Print the BH scores of a release by both methods, with intervals.

python docs/hierarchy.py releases/sample/1.0.0 V1 V2 V3 V4 HVC
python docs/hierarchy.py releases/algonauts92/1.0.0 EVC IT --units 1000
python docs/hierarchy.py releases/NAME/VERSION V1 HVC --condition imagery
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np

import unitdb
from unitdb.analysis import BHMethod, bh_interval, bh_score, channel_blocks

ACCURACIES = """
SELECT unit, coalesce(r, 'nan'::FLOAT) AS r FROM accuracy JOIN rois USING (dataset, roi)
WHERE condition = $condition AND model = $model AND layer = $layer AND list_contains($rois, roi)
ORDER BY subject, place, unit
"""


def accuracies(
    release: unitdb.Release, layer: Any, rois: list[str], condition: str, n_units: int | None
) -> tuple[Any, Any]:
    """Accuracies (subjects, regions, units) of a layer, and the channel of each unit."""
    place = {"model": layer.model, "layer": layer.layer, "condition": condition}
    found = release.sql(ACCURACIES, place | {"rois": rois})
    units = found["unit"].unique()
    r = found["r"].to_numpy().reshape(-1, len(rois), len(units))
    if n_units is not None and n_units < len(units):
        drawn = np.sort(np.random.default_rng(0).choice(len(units), n_units, replace=False))
        r, units = r[:, :, drawn], units[drawn]
    return r, channel_blocks(layer.shape, units)


def n_images(release: unitdb.Release, condition: str) -> int:
    """Test images, or other targets, of a test set."""
    if "test_sets" in release.tables:
        query, names = "SELECT max(n_targets) AS n FROM test_sets WHERE condition = ?", [condition]
    else:  # a release of an older schema
        query, names = "SELECT max(n_test) AS n FROM subjects", []
    return int(release.sql(query, names)["n"].item())


def print_scores(
    release: unitdb.Release, rois: list[str], condition: str, n_units: int | None
) -> None:
    """Print the scores of each network of a release of one dataset, of n_units of each layer."""
    n_stimuli = n_images(release, condition)
    mark = "SIMULATED " if release.simulated else ""
    chosen = "all units" if n_units is None else f"{n_units:,} units of each layer at most"
    print(  # noqa: T201
        f"{mark}{release.label}: {', '.join(rois)}; {n_stimuli} test pictures; {chosen}"
    )
    layers = release.sql("SELECT model, layer, shape FROM layers ORDER BY model, depth")
    for model, of_model in layers.groupby("model"):
        r, channels = zip(
            *(
                accuracies(release, layer, rois, condition, n_units)
                for layer in of_model.itertuples()
            ),
            strict=True,
        )
        for method in get_args(BHMethod):
            score = bh_score(r, n_stimuli=n_stimuli, method=method)
            interval = bh_interval(
                r, n_stimuli=n_stimuli, method=method, over="both", blocks=channels
            )
            print(  # noqa: T201
                f"  {model} {method:10} {interval.value:.3f} "
                f"[{interval.low:.3f}, {interval.high:.3f}], "
                f"{score.n_counted / score.n_units:.0%} of units count"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", type=Path)
    parser.add_argument("rois", nargs="+", metavar="ROI")
    parser.add_argument("--units", type=int, help="units to draw of each layer; all by default")
    parser.add_argument("--condition", help="test set; need not be given where there is one")
    options = parser.parse_args()
    opened = unitdb.open(options.release)
    conditions = opened.values("condition")
    chosen = options.condition or (conditions[0] if len(conditions) == 1 else None)
    if chosen not in conditions:
        parser.error(f"--condition: choose one of {', '.join(conditions)}")
    print_scores(opened, options.rois, chosen, options.units)
