"""No damage to a file of arrays ends the process, or gives more than one line."""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.activations.fuzz import TARGETS, fuzz
from unitdb.activations.arrayfiles import read_arrays, read_npy
from unitdb.errors import DatasetError
from unitdb.npy import shape_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_little_damage(tmp_path, target):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read, refused = fuzz(target, tmp_path, number=0, examples=15)
    assert read + refused == 15
    assert refused


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_much_damage(target):
    """In a process of its own, which a library that reads damaged files may end."""
    number = str(np.random.SeedSequence().generate_state(1)[0])
    command = [sys.executable, "-m", "tests.activations.fuzz", number, "1500", target.name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1200)
    assert done.returncode == 0, f"{command}: {done.returncode}: {done.stderr[-3000:]}"
    assert " 0 refused" not in done.stdout, number


@pytest.mark.robust(
    "hostile",
    given="headers of .npy files with a byte changed",
    before="11 of 300 ended in TokenError, 'EOF in multi-line statement'",
    now="one line that names the file",
)
@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 6, }",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4, 6), ",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': ((((((4, 6), }",
        b'{"""descr',
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4L, 6), } \x00",
        b"{'descr': [('a', ], 'fortran_order': False, 'shape': (4,)}",
        b"{'descr': {'a': 1}, 'fortran_order': False, 'shape': (4,)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-4, 6)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (True, 10**9)}",
        b"(" * 300,
        b"\xff\xfe",
        b"",
    ],
)
def test_headers_that_are_none(tmp_path, header):
    size = len(header).to_bytes(2, "little")
    content = b"\x93NUMPY\x01\x00" + size + header + bytes(192)
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x\.npy") as caught:
        read_npy(tmp_path / "x.npy", error=DatasetError)
    assert str(caught.value).isprintable()
    assert shape_of(tmp_path / "x.npy") is None
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DatasetError, match=r"a\.npz"):
        read_arrays(tmp_path / "a.npz", ["x"], error=DatasetError)


@pytest.mark.parametrize("version", [(2, 0), (3, 0)])
def test_later_formats_of_npy(tmp_path, version):
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(3.0), version=version)
    if version == (2, 0):
        assert read_npy(tmp_path / "x.npy", error=DatasetError).tolist() == [0, 1, 2]
    else:
        with pytest.raises(DatasetError, match=r"format \(3, 0\) of arrays is not read"):
            read_npy(tmp_path / "x.npy", error=DatasetError)
