"""Builds a release, with the packages of the venv it runs in.

Run as ``python -m tests.versions.building FOLDER``. Without torch, a release is published from
tables; with it, BIDS images are read and a network is decoded too. Ends without a word where all is
well.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

import unitdb
from tests.tiny import INFO, stage
from unitdb.decoding import VoxelSelectionRidge
from unitdb.publish import publish_release


def publish(folder: Path) -> Path:
    """Publish a release from tables, and verify it."""
    found = publish_release(stage(folder / "staged"), folder / "published", info=INFO)
    unitdb.open(found).verify()
    return found


def decode() -> None:
    """Decode units by the numerics alone."""
    rng = np.random.default_rng(0)
    voxels = rng.normal(size=(60, 40))
    units = voxels[:, :5] @ rng.normal(size=(5, 7)) + rng.normal(size=(60, 7))
    decoder = VoxelSelectionRidge(alpha=1.0, n_voxels=10).fit(voxels[:40], units[:40])
    predicted = decoder.predict(voxels[40:])
    assert np.corrcoef(predicted[:, 0], units[40:, 0])[0, 1] > 0.5


def read_images(folder: Path) -> None:
    """Read BOLD images, trend and motion regressed out by nilearn; the means of runs stay."""
    from tests.responses.raw import read, write

    write(folder / "bids")
    plain = read(folder)
    cleaned = read(folder, trend=1, regress=["trans_x", "rot_z"])
    assert cleaned.values.shape == plain.values.shape
    assert not np.array_equal(cleaned.values, plain.values)
    np.testing.assert_allclose(cleaned.values.mean(), plain.values.mean(), rtol=0.01)


def build(folder: Path) -> None:
    """Decode a network, as a user would, and verify what comes of it."""
    from tests.pipeline.small import lay_out, run

    unitdb.open(run(lay_out(folder / "lab"))).verify()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    publish(folder)
    decode()
    if importlib.util.find_spec("torch") is not None:
        read_images(folder / "images")
        build(folder)
