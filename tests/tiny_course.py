"""A time course for the tiny release: rows of ``timecourse``, and lags of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny import INFO, stage
from tests.tiny_tables import MODEL, SUBJECTS
from unitdb.measures.lags import lag_rows
from unitdb.publish import publish_release, write_table
from unitdb.tables import table_of

TIMES = np.arange(-4.0, 17, 2)
LAYERS = ["conv1", "fc"]
LAGS = {"conv1": 1.0, "fc": -1.0}
N_STIMULI = 6


def course_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Of two layers, the second early, in V4 and V1."""
    rows = []
    for layer in LAYERS:
        curve = np.exp(-(((TIMES - 6 - LAGS[layer]) / 3) ** 2))
        for roi in ("V1", "V4"):
            for subject in SUBJECTS["sim-a"]:
                for time, height in zip(TIMES, curve, strict=True):
                    r = float(np.clip(0.4 * height + rng.normal(0, 0.02), -1, 1))
                    without = r + rng.normal(0, 0.01, N_STIMULI)
                    spread = ((without - without.mean()) ** 2).sum()
                    half = 2.5705818356363146 * np.sqrt((N_STIMULI - 1) / N_STIMULI * spread)
                    rate = 0.5 + 0.45 * height
                    rows.append(
                        {
                            "dataset": "sim-a",
                            "condition": "imagery",
                            "model": MODEL,
                            "layer": layer,
                            "roi": roi,
                            "subject": subject,
                            "time": time,
                            "n_samples": N_STIMULI,
                            "n_stimuli": N_STIMULI,
                            "n_units": 9,
                            "mean_r": r,
                            "r_low": r - half,
                            "r_high": r + half,
                            "p": 0.5,
                            "shuffled_r": 0.0,
                            "matched_r": r,
                            "pattern_r": r,
                            "pattern_low": r - 0.1,
                            "pattern_high": r + 0.1,
                            "pattern_chance": 0.0,
                            "identification": rate,
                            "chance": 0.5,
                            "identification_low": rate - 0.1,
                            "identification_high": rate + 0.1,
                            "without": without.tolist(),
                            "stimuli": [f"n{number}" for number in range(N_STIMULI)],
                        }
                    )
    return rows


def publish_with_course(root: Path) -> Path:
    """The tiny release with a time course."""
    staged = stage(root / ".staging" / "tiny")
    rows = course_rows(np.random.default_rng(0))
    lags, orders = lag_rows(rows, {MODEL: LAYERS}, {})
    for table, made in (("timecourse", rows), ("lag", lags), ("lag_order", orders)):
        write_table(staged, table, table_of(table, made))
    return publish_release(staged, root, info=INFO)
