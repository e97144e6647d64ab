"""A small ``unit_summary``, and the files that a release has it in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unitdb.schema import TABLES

SUMMARY = TABLES["unit_summary"]
KEY = list(SUMMARY.primary_key)
ROIS = ["V1", "V4"]
LAYERS = {"conv1": 6, "fc'7": 4}  # a quote, to see that names are never pasted into SQL


def summary() -> pd.DataFrame:
    """Rows with ties, NULL and negative accuracies, sorted by the primary key."""
    rng = np.random.default_rng(1)
    rows = []
    for layer, n_units in LAYERS.items():
        for roi in ROIS:
            for unit in range(n_units):
                low, high = sorted(rng.integers(-3, 8, 2) / 10)
                rows.append(
                    {
                        "dataset": "sim",
                        "condition": "perception",
                        "model": "net",
                        "layer": layer,
                        "roi": roi,
                        "unit": unit,
                        "n_subjects": int(rng.integers(1, 6)),
                        "mean_r": (low + high) / 2,
                        "sd_r": 0.1,
                        "min_r": low,
                        "max_r": high,
                        "lead_r": None,
                        "p": 0.25,
                        "q": 0.5,
                    }
                )
                if unit == 2:
                    rows[-1] |= dict.fromkeys(["mean_r", "sd_r", "min_r", "max_r", "p", "q"])
                    rows[-1]["n_subjects"] = 0
    frame = pd.DataFrame(rows).sort_values(KEY, ignore_index=True)
    ranks = frame.groupby(["layer", "roi"])["mean_r"].rank(
        method="first", ascending=False, na_option="bottom"
    )
    return frame.assign(rank=ranks.astype(int))[list(SUMMARY.column_names)]


def write(folder: Path, frame: pd.DataFrame) -> dict[str, list[str]]:
    """One file a layer, as a release has it."""
    schema = SUMMARY.arrow_schema()
    files = []
    for number, (_, rows) in enumerate(frame.groupby("layer")):
        path = folder / f"part {number} [it's].parquet"
        records = [
            {key: None if value != value else value for key, value in row.items()}
            for row in rows.to_dict("records")
        ]
        pq.write_table(pa.Table.from_pylist(records, schema=schema), path)
        files.append(str(path))
    return {"unit_summary": files}
