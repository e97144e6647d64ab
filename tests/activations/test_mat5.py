"""Damaged MATLAB 5 files: one error that names the file, and the process goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from unitdb.activations.arrayfiles import read_arrays
from unitdb.errors import DatasetError

NUMBERS = np.arange(50.0).reshape(1, 50)
CELLS = np.array(["a", "bc", ""], dtype=object)


def written(path, *, compress=False):
    scipy.io.savemat(path, {"r": NUMBERS, "names": CELLS}, do_compression=compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_whole_files_are_read(tmp_path, compress):
    more = {"z": np.array([1 + 2j]), "t": "text", "none": np.zeros((0, 3)), "f": np.float32(3)}
    path = tmp_path / "whole.mat"
    scipy.io.savemat(path, {"r": NUMBERS, "names": CELLS} | more, do_compression=compress)
    found = read_arrays(path, ["r", "names", *more], error=DatasetError)
    np.testing.assert_array_equal(found["r"], NUMBERS)
    assert found["names"].tolist() == ["a", "bc", ""]
    assert found["z"].item() == 1 + 2j
    assert found["t"].item() == "text"
    assert found["none"].shape == (0, 3)
    assert found["f"].item() == 3


def test_files_of_matlab_4_are_read(tmp_path):
    path = tmp_path / "old.mat"
    scipy.io.savemat(path, {"r": NUMBERS}, format="4")
    np.testing.assert_array_equal(read_arrays(path, ["r"], error=DatasetError)["r"], NUMBERS)


# Of the file that `written` gives, the variable r: tag at 128, flags, shape, name, data.
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (145, 0x08, "1 parts of numbers, expected 2"),  # complex
        (164, 49, "states 392 bytes of numbers and holds 400"),  # the shape, 1 × 49
        (176, 109, "states numbers of type 109, which is none"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path, place, value, message):
    path = written(tmp_path / "spoiled.mat")
    content = bytearray(path.read_bytes())
    assert content[176] == 9  # doubles
    content[place] = value
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"spoiled\.mat: .*({message})"):
        read_arrays(path, ["r", "names"], error=DatasetError)


_SPOIL = """
import random, sys
from pathlib import Path
from unitdb.activations.arrayfiles import read_arrays
from unitdb.errors import DatasetError

whole, path, dice = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), random.Random(0)
for _ in range(1500):
    content = bytearray(whole)
    for _ in range(dice.choice([1, 1, 2])):
        content[dice.randrange(128, len(content))] = dice.randrange(256)
    if dice.random() < 0.2:
        content = content[: dice.randrange(len(content))]
    path.write_bytes(content)
    try:
        read_arrays(path, ["r", "names"], error=DatasetError)
    except DatasetError as error:
        assert path.name in str(error), error
        print("refused")
"""


@pytest.mark.parametrize("compress", [False, True])
def test_no_damage_ends_the_process(tmp_path, compress):
    """Bytes changed and cut off at random: without the check, one file in a hundred did."""
    whole = written(tmp_path / "whole.mat", compress=compress)
    arguments = [sys.executable, "-W", "ignore", "-c", _SPOIL, whole, tmp_path / "spoiled.mat"]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("refused") > 100
