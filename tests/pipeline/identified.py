"""Rows of identification."""

from __future__ import annotations

import pandas as pd

import unitdb


def stated(release: unitdb.Release, condition: str, subject: str, **more: object) -> pd.DataFrame:
    names = {"layer": "conv", "roi": "V1", "method": "normalised", "condition": condition}
    names |= {"subject": subject} | more
    rows = release.table("identification")
    for name, value in names.items():
        rows = rows[rows[name] == value]
    return rows.sort_values(["trial", "stimulus", "target"])
