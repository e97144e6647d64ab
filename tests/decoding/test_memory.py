"""Memory stays within its budget, also at the size of VGG19's first layer."""

from __future__ import annotations

import subprocess
import sys

import pytest

from unitdb.decoding import TILE, DecoderSettings
from unitdb.decoding.memory import block_units
from unitdb.errors import MemoryBudgetError

SIZES = {"n_stimuli": 1250, "n_rows": 1250, "n_splits": 1, "settings": DecoderSettings()}


def test_blocks_are_whole_tiles_and_grow_with_the_budget():
    sizes = [block_units(mb * 10**6, n_voxels=4500, **SIZES) for mb in (1045, 1050, 1060, 8000)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert all(size % TILE == 0 for size in sizes)


def test_a_budget_too_small_says_what_is_needed():
    with pytest.raises(MemoryBudgetError, match=r"300 MB for a thread .* MB are needed"):
        block_units(300 * 10**6, n_voxels=4500, **SIZES)


MEASURE = """
import re, sys
from pathlib import Path
import numpy as np
from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.decoding.memory import block_units

n_voxels, n_units, budget = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
train, test = np.arange(1200), np.arange(1200, 1250)
settings = DecoderSettings()
size = block_units(
    budget, n_stimuli=1250, n_rows=1250, n_voxels=n_voxels, n_splits=1, settings=settings
)
decoder = RoiDecoder(rng.normal(size=(1250, n_voxels)), [(train, test)], settings)
for start in range(0, n_units, size):
    stored = rng.standard_normal((1250, min(size, n_units - start)), dtype=np.float32)
    y = stored[np.arange(1250)]
    if start == 0 or n_voxels <= 500:
        r = decoder.accuracy(y, n_jobs=1)
        assert np.isfinite(r).all()
# Unlike ru_maxrss, this does not count the process that started this one.
print(re.search(r'VmHWM:\\s*(\\d+)', Path('/proc/self/status').read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("n_voxels", "n_units", "budget"),
    [
        pytest.param(450, 3_211_264, 2 * 10**9, marks=pytest.mark.whole),
        (450, 100_000, 700 * 10**6),
        (4500, 5000, 1200 * 10**6),
    ],
)
def test_peak_memory_stays_within_the_budget(n_voxels, n_units, budget):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(n_voxels), str(n_units), str(budget)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 1024 * int(done.stdout) < budget
