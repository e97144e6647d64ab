"""Readers while a new version is published: each sees the old one or the new one, whole."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import unitdb
from tests.tiny import INFO, accuracies, stage
from unitdb.publish import publish_release

N_READERS = 16
SUMS = """
SELECT (SELECT sum(r) FROM accuracy) AS of_accuracy,
  (SELECT sum(mean_r) FROM unit_summary) AS of_summary,
  (SELECT count(*) FROM unit_summary WHERE mean_r > 0.2) AS n
"""


def read(release: unitdb.Release) -> tuple[float, float, int]:
    row = release.sql(SUMS).iloc[0]
    return round(row["of_accuracy"], 4), round(row["of_summary"], 4), int(row["n"])


@pytest.mark.slow
def test_sixteen_readers_see_one_version_or_the_other(tmp_path: Path) -> None:
    root = tmp_path / "releases"
    publish_release(stage(tmp_path / "one"), root, info=INFO)
    after = accuracies()
    after["r"] = (after["r"] + np.float32(0.05)).astype(np.float32)
    staged = stage(tmp_path / "two", after)
    info = replace(INFO, version="2.0.0")
    before = read(unitdb.open("tiny", releases=root))
    published, started = threading.Event(), threading.Barrier(N_READERS + 1)

    def reader() -> set[tuple[str, tuple[float, float, int]]]:
        seen = set()
        started.wait()
        last = False
        while not last:
            last = published.is_set()  # once more after it
            release = unitdb.open("tiny", releases=root)
            seen.add((release.version, read(release)))
        return seen

    with ThreadPoolExecutor(N_READERS) as pool:
        readers = [pool.submit(reader) for _ in range(N_READERS)]
        started.wait()
        try:
            publish_release(staged, root, info=info)
        finally:
            published.set()
        seen = set().union(*(future.result() for future in readers))
    now = read(unitdb.open("tiny", releases=root))
    assert now != before
    assert seen <= {("1.0.0", before), ("2.0.0", now)}
    assert ("2.0.0", now) in seen
