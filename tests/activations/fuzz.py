"""Damaged files of every kind of array: what comes out is arrays, or one line that names the file.

Run by itself, ``python -m tests.activations.fuzz SEED EXAMPLES [KIND …]``, since a library that
reads damaged files may end the process.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import hdf5storage
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import scipy.sparse
import zarr
from bdpy import BData
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies as st

from unitdb.activations.arrayfiles import read_arrays, read_npy
from unitdb.activations.zarrfiles import open_zarr
from unitdb.errors import DatasetError, PublishedFileError
from unitdb.imports.matfile import read_accuracy
from unitdb.responses.bdata import open_bdata

X = np.arange(24.0).reshape(4, 6)
NAMES = np.array(["cat", "a dög", "", "狗"], dtype=object)
MEMORY = 6 << 30


class Target(NamedTuple):
    """How a whole file (or folder) is written, and how it is read."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]


def _arrays(*keys: str) -> Callable[[Path], object]:
    return lambda path: read_arrays(path, keys, error=DatasetError)


def _write_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=X, chunks=(2, 3), compression="gzip", shuffle=True)
        file["names"] = ["cat", "dog"]
        file["fixed"] = np.array([b"cat", b"dog"])
        file["g/y"] = X


def _write_matlab5(path: Path) -> None:
    content = {"x": X, "c": NAMES, "t": np.array(["ab", "cd"]), "s": scipy.sparse.csc_array(X)}
    scipy.io.savemat(path, content)


def _write_parquet(path: Path) -> None:
    table = {"x": X[:, 0], "c": ["a", "b", "a", "c"], "l": X.tolist(), "n": [1, 2, 3, 4]}
    pq.write_table(pa.table(table), path)


def _write_bdata(path: Path) -> None:
    bdata = BData()
    bdata.add(X, "VoxelData")
    bdata.add(np.array([1.0, 2, 1, 2]), "stimulus_name")
    bdata.add_metadata("ROI_V1", np.array([1.0, 0, 1, 0, 1, 0]), "", where="VoxelData")
    bdata.add_vmap("stimulus_name", {1: "cat", 2: "dog"})
    bdata.save(str(path))


def _read_bdata(path: Path) -> object:
    with open_bdata(path) as bdata:
        columns = bdata.columns("ROI_V1 = 1")
        return bdata.labels("stimulus_name"), bdata.values(bdata.rows(None), columns)


def _write_zarr(path: Path) -> None:
    array = zarr.create_array(path, shape=X.shape, chunks=(2, 6), dtype="f8", overwrite=True)
    array[:] = X + 1


TARGETS = (
    Target("a.npy", lambda path: np.save(path, X), lambda path: read_npy(path, error=DatasetError)),
    Target("a.npz", lambda path: np.savez(path, x=X, n=["a", "b"]), _arrays("x", "n")),
    Target("5.mat", _write_matlab5, _arrays("x", "c", "t", "s")),
    Target(
        "7.mat",
        lambda path: hdf5storage.savemat(str(path), {"x": X, "c": NAMES, "b": X > 1}),
        _arrays("x", "c", "b"),
    ),
    Target("a.h5", _write_hdf5, _arrays("x", "names", "fixed", "g/y")),
    Target("bdata.h5", _write_bdata, _read_bdata),
    Target("a.zarr", _write_zarr, lambda path: open_zarr(path, error=DatasetError)[0:4]),
    Target("a.parquet", _write_parquet, _arrays("x", "c", "l", "n")),
    Target(
        "accuracy.mat",
        lambda path: hdf5storage.savemat(str(path), {"accuracy": X[:1] / 100}),
        read_accuracy,
    ),
)


def fuzz(target: Target, folder: Path, *, number: int, examples: int) -> tuple[int, int]:
    """Damage the files of a target in turn; returns how often it was read, and refused."""
    path = folder / target.name
    target.write(path)
    files = sorted(filter(Path.is_file, path.rglob("*"))) if path.is_dir() else [path]
    whole = {file: file.read_bytes() for file in files}
    counts = [0, 0]

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def damaged(data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(files))
        content = bytearray(whole[file])
        near, far = (st.integers(0, min(most, len(content)) - 1) for most in (600, len(content)))
        for place in data.draw(st.lists(near | far, min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        if data.draw(st.integers(0, 5)) == 0:
            content = content[: data.draw(far)]
        file.write_bytes(content)
        try:
            target.read(path)
            counts[0] += 1
        except (DatasetError, PublishedFileError) as error:
            counts[1] += 1
            assert str(error).isprintable(), error  # noqa: PT017
            assert target.name in str(error), error  # noqa: PT017
        finally:
            file.write_bytes(whole[file])

    damaged()
    return counts[0], counts[1]


def main(number: int, examples: int, names: list[str]) -> None:
    """Fuzz the targets of these names, or all, and print what came of each."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for target in TARGETS:
            if not names or target.name in names:
                read, refused = fuzz(target, Path(folder), number=number, examples=examples)
                print(f"{target.name}: {read} read, {refused} refused", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
