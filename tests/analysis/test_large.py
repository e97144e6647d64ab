"""At full size, and with more simulations: memory is bounded, sums are exact, intervals cover."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from unitdb.analysis import agreement_intervals, channel_blocks, tile_blocks
from unitdb.analysis.moments import BlockMoments, correlation_matrix

pytestmark = pytest.mark.slow

SHAPE = (64, 224, 224)

MEASURE = """
import re
from pathlib import Path
import numpy as np
from unitdb.analysis import (
    MeanProfile, PatternSimilarity, accuracy_p, channel_blocks, permutation_p, permuted_orders
)
from unitdb.analysis.moments import BlockMoments

def peak():
    return 1024 * int(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])

rng = np.random.default_rng(0)
orders = permuted_orders(50, 5, seed=0)
patterns, profile = PatternSimilarity(50, 50), MeanProfile(50, n_bootstrap=20)
moments = BlockMoments(5, 64)
labels = channel_blocks((64, 224, 224))
before = None
for start in range(0, 3_211_264, 50_176):
    predicted, true = rng.standard_normal((2, 50, 50_176), dtype=np.float32)
    patterns.add(predicted, true)
    r = profile.add(predicted, true)
    accuracy_p(r, n_images=50), permutation_p(predicted, true, orders)
    moments.add(np.tile(r, (5, 1)), labels[start:start + 50_176])
    before = before or peak()
assert patterns.n_units == profile.n_units == moments.n.sum() == 3_211_264
print(peak() - before)
"""


@pytest.mark.whole
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_memory_does_not_grow_with_the_units_of_a_layer():
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    # After the first of 64 blocks; all activations would be 1.3 GB.
    assert int(done.stdout) < 40e6


def test_sums_of_millions_of_units_are_exact():
    rng = np.random.default_rng(0)
    r = rng.normal(0.2, 0.1, (5, np.prod(SHAPE))).astype(np.float32)
    r[:, 1] += r[:, 0]
    moments = BlockMoments(5, SHAPE[0])
    blocks = channel_blocks(SHAPE)
    for part in np.array_split(np.arange(r.shape[1]), 7):
        moments.add(r[:, part], blocks[part])
    found = correlation_matrix(moments.totals()[2])[0]
    for a, b in ((0, 1), (2, 4)):
        expected = scipy.stats.pearsonr(r[a].astype(np.float64), r[b].astype(np.float64)).statistic
        assert found[a, b] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("by", ["channel", "tile"])
def test_more_simulations_of_maps_are_covered(by):
    """2,000 simulations: the binomial standard error is .005."""
    rng = np.random.default_rng(3)
    shape, tile = (30, 12, 12), 2
    hits = np.zeros(2)
    for seed in range(2000):
        if by == "channel":
            common, blocks = rng.normal(size=(3, 30, 1, 1)), channel_blocks(shape)
        else:
            places = rng.normal(size=(3, 1, 6, 6))
            common = places.repeat(tile, axis=2).repeat(tile, axis=3)
            blocks = tile_blocks(shape, tile)
        parts = (common + rng.normal(size=(3, *shape))).reshape(3, -1) / np.sqrt(2)
        r = (parts[0] + parts[1:]) / np.sqrt(2)
        (pair,) = agreement_intervals(r, blocks, n_bootstrap=300, seed=seed)
        hits[0] += pair.pearson.low <= 0.5 <= pair.pearson.high
        hits[1] += pair.spearman.low <= 6 / np.pi * np.arcsin(0.25) <= pair.spearman.high
    share = hits / 2000
    assert (share >= 0.93).all(), share
    assert (share <= 0.97).all(), share
