"""Rows of the tiny release in plain pandas."""

from __future__ import annotations

import pandas as pd

from tests.tiny import SHAPES
from unitdb.query.relation import KEY


def keys(frame: pd.DataFrame) -> list[tuple]:
    return list(frame[list(KEY)].astype({"unit": int}).itertuples(index=False, name=None))


def place(row: pd.Series) -> tuple[int, int, int]:
    shape = SHAPES[row["layer"]]
    if len(shape) == 1:
        return row["unit"], 0, 0
    channel, rest = divmod(row["unit"], shape[1] * shape[2])
    return channel, *divmod(rest, shape[2])
