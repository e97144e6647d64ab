"""Reconstructions of a hostile release: names that lead elsewhere, pictures that fill memory."""

from __future__ import annotations

import struct
import zlib

import pandas as pd
import pytest

from unitdb.measures.reconstructed import _shown
from unitdb.release import Reconstructions

NAMES = ("dataset", "condition", "model", "method", "subject", "source", "stimulus")


@pytest.mark.robust(
    "hostile",
    given="a release of reconstructions whose dataset, people or stimuli are called `..`",
    before="`unitdb export --pictures` wrote up to six folders above the folder asked for",
    now="such names are written as `%2E%2E`",
)
@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc/x", "..\\x", "a/../../x"])
def test_pictures_are_written_within_the_folder(name, tmp_path):
    folder = tmp_path / "1" / "2" / "3" / "4" / "5" / "6" / "7" / "in"
    row = dict.fromkeys(NAMES, name) | {"control": 0, "png": b"\x89PNG"}
    found = Reconstructions(pictures=pd.DataFrame([row]), scores=pd.DataFrame())
    (file,) = found.save(folder)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [file]
    assert file.resolve().is_relative_to(folder.resolve())
    assert len(file.relative_to(folder).parts) == len(NAMES)


def png(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.robust(
    "hostile",
    given="a reconstruction whose PNG says that it has 10⁸ to 4·10⁹ pixels",
    before="`verify` decoded it, or ended with Pillow's DecompressionBombError",
    now="one problem is told, and nothing is decoded",
)
@pytest.mark.parametrize("side", [5000, 10_000, 60_000])
@pytest.mark.parametrize("honest", [True, False])
def test_pictures_that_would_fill_memory_are_not_decoded(side, honest):
    stated = side if honest else 112
    row = dict.fromkeys(NAMES, "a") | {"control": 0, "png": png(side, side)}
    row |= {"width": stated, "height": stated}
    (problem,) = _shown([row], [], [])
    assert "reconstruction: a/a/a/a: a of 'a': png" in problem
    assert f"{side}" in problem or "cannot be read" in problem
