"""Arrays are read by threads while garbage is collected: numpy alone fails then now and then."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from unitdb.npy import map_npy, read_npy, read_npz


class Garbage:
    """A cycle that lets other threads run when it is collected."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        time.sleep(0)


def call_deep(depth: int, read: Callable[[], object]) -> None:
    if depth:
        call_deep(depth - 1, read)
    else:
        read()


def read_often(read: Callable[[], object], depth: int) -> None:
    for _ in range(1000):
        Garbage()
        call_deep(depth, read)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "b.npz", x=np.arange(3), y=np.arange(4))
    return tmp_path


@pytest.mark.slow
def test_threads_read_arrays_while_garbage_is_collected(files: Path) -> None:
    before = gc.get_threshold()
    try:
        for threshold in range(18, 34):  # somewhere here a collection falls into the middle
            gc.set_threshold(threshold)
            with ThreadPoolExecutor(3) as pool:
                read = partial(map_npy, files / "a.npy")
                done = [pool.submit(read_often, read, depth) for depth in (0, 5, 9)]
                for one in done:
                    one.result()
    finally:
        gc.set_threshold(*before)


def test_arrays_are_read_and_mapped(files: Path) -> None:
    expected = np.arange(6.0).reshape(2, 3)
    mapped = map_npy(files / "a.npy")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, expected)
    np.testing.assert_array_equal(read_npy(files / "a.npy"), expected)
    assert not isinstance(read_npy(files / "a.npy"), np.memmap)
    assert list(read_npz(files / "b.npz", "y".__eq__)) == ["y"]


def test_objects_and_cut_files_are_refused(files: Path) -> None:
    np.save(files / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (files / "cut.npy").write_bytes((files / "a.npy").read_bytes()[:-8])
    for name in ("objects.npy", "cut.npy"):
        with pytest.raises(ValueError, match=r"Python|mmap"):
            read_npy(files / name)
