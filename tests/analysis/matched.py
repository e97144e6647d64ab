"""Predictions and candidates of identification, made at random."""

from __future__ import annotations

import numpy as np

from unitdb.matching import (
    Matches,
    match,
    patterns,
    similarity,
)

NAN = np.nan


def made(seed: int, n: int, n_candidates: int, n_units: int, signal: float = 0.4):
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(n_candidates, n_units)).astype(np.float32)
    predicted = signal * candidates[:n] + rng.normal(size=(n, n_units))
    return predicted.astype(np.float32), candidates


def matched(seed: int, n: int = 12, n_candidates: int = 30, n_units: int = 25, **more) -> Matches:
    predicted, candidates = made(seed, n, n_candidates, n_units)
    s = similarity(patterns(predicted), patterns(candidates))
    return match(s, candidates=np.arange(n), targets=np.arange(n), **more)
