"""Chunks that state little and become much are refused before anything is allocated for them."""

from __future__ import annotations

import bz2
import functools
import gzip
import json
import lzma
import struct
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pyarrow as pa
import pytest
import zarr
from hypothesis import given, strategies as st

from unitdb.activations.arrayfiles import read_arrays
from unitdb.activations.expansion import COMPRESSORS, decoded_size
from unitdb.activations.zarrfiles import open_zarr
from unitdb.errors import DatasetError

MUCH = 1 << 30


def deflated(n_bytes: int, wbits: int = zlib.MAX_WBITS) -> bytes:
    """Zeros, compressed without having them all in memory."""
    made, piece = zlib.compressobj(wbits=wbits), bytes(1 << 20)
    parts = [made.compress(piece) for _ in range(n_bytes >> 20)]
    return b"".join([*parts, made.flush()])


@functools.cache
def bomb() -> bytes:
    """A gigabyte, which takes seconds to compress."""
    return deflated(MUCH)


def hdf5_chunk(path):
    """One chunk of 80 bytes that becomes a gigabyte."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset("x", (10,), "f8", chunks=(10,), compression="gzip")
        made.id.write_direct_chunk((0,), bomb())


def hdf5_wide(path):
    """Ten numbers in a chunk for a hundred million."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "x", (10,), "f8", chunks=(10**8,), maxshape=(None,), compression="gzip"
        )
        made.id.write_direct_chunk((0,), b"x" * 100)


def hdf5_twice(path):
    with h5py.File(path, "w") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((10,))
        created.set_deflate(9)
        created.set_deflate(9)
        space = h5py.h5s.create_simple((10,))
        made = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, created)
        made.write_direct_chunk((0,), zlib.compress(bomb()))


def hdf5_scale_offset(path):
    """The filter's own parameters say how many values it makes."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(10, dtype="i4"), chunks=(10,), scaleoffset=0)
        created = file["x"].id.get_create_plist()
        values = created.get_filter(0)[2]
    stored, packed = path.read_bytes(), struct.pack(f"<{len(values)}I", *values)
    assert stored.count(packed) == 1
    changed = list(values)
    changed[2] = 2**32 - 1
    path.write_bytes(stored.replace(packed, struct.pack(f"<{len(values)}I", *changed)))


HDF5 = {
    hdf5_chunk: r"'x': the chunk at \[0\] becomes more than 268,435,456 bytes, and states 80",
    hdf5_wide: "would become 800,000,000 bytes",
    hdf5_twice: "'x' is compressed more than once",
    hdf5_scale_offset: "filter 6 states another size than that of its chunks",
}


@pytest.mark.robust(
    "bounds",
    given="an HDF5 array of 80 bytes whose one chunk becomes 1 GB (gzip, also twice), or is laid "
    "out for 800 MB; scale-offset of 2³² values",
    before="1.0 GB was taken, and the ten numbers were read",
    now="one error before anything is allocated; at the most 256 MB or 100 times the file",
)
@pytest.mark.parametrize("write", HDF5)
def test_chunks_of_hdf5(tmp_path, write):
    write(tmp_path / "a.h5")
    with pytest.raises(DatasetError, match=HDF5[write]):
        read_arrays(tmp_path / "a.h5", ["x"], error=DatasetError)


PEAK = """
import re, sys
from pathlib import Path
from unitdb.activations.arrayfiles import read_arrays
from unitdb.errors import DatasetError

def peak():
    # Unlike ru_maxrss, this does not count the process that started this one.
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
try:
    read_arrays(Path(sys.argv[1]), ["x"], error=DatasetError)
except DatasetError:
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_no_memory_is_taken_for_a_chunk(tmp_path):
    hdf5_chunk(tmp_path / "a.h5")
    command = [sys.executable, "-c", PEAK, str(tmp_path / "a.h5")]
    taken = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert taken < 200_000, taken  # kB; 1,048,576 where it was decoded


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"fletcher32": True}])
@pytest.mark.parametrize("compression", ["gzip", "lzf", None])
def test_large_chunks_that_are_as_they_state_are_read(tmp_path, options, compression):
    values = np.random.default_rng(0).integers(0, 2**63, 100_000)  # chunks of 800 kB
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(100_000,), compression=compression, **options)
    found = read_arrays(tmp_path / "a.h5", ["x"], error=DatasetError)["x"]
    np.testing.assert_array_equal(found, values)


def of_zarr(path, codec, data):
    """An array of zarr's format 2 whose one chunk holds these bytes."""
    path.mkdir()
    description = {
        "zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "<f8", "fill_value": 0,
        "order": "C", "filters": None, "compressor": {"id": codec},
    }  # fmt: skip
    (path / ".zarray").write_text(json.dumps(description))
    (path / "0").write_bytes(data)
    return path


def zstd(n_bytes: int) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        for _ in range(n_bytes >> 20):
            stream.write(bytes(1 << 20))
    return sink.getvalue().to_pybytes()


SMALL_MUCH = 64 << 20
ZARR = {
    "zlib": lambda: deflated(SMALL_MUCH),
    "gzip": lambda: deflated(SMALL_MUCH, zlib.MAX_WBITS | 16),
    "bz2": lambda: bz2.compress(bytes(SMALL_MUCH)),
    "lzma": lambda: lzma.compress(bytes(SMALL_MUCH), preset=0),
    "zstd": lambda: zstd(SMALL_MUCH),
    "lz4": lambda: (2**31 - 1).to_bytes(4, "little") + b"\x10",
    "blosc": lambda: b"\x02\x01\x02\x08" + (2**31 - 1).to_bytes(4, "little") + bytes(8),
}


@pytest.mark.robust(
    "bounds",
    given="a chunk of a zarr array that states 32 bytes and becomes 64 MB (zlib, gzip, bz2, lzma, "
    "zstd; 2 GB with lz4, blosc), chunks laid out for 80 GB, or compressed twice",
    before="read: decoded whole, 128 MB for four numbers, before the size was compared",
    now="one error before zarr sees it",
)
@pytest.mark.parametrize("codec", ZARR)
def test_chunks_of_zarr(tmp_path, codec):
    path = of_zarr(tmp_path / "a.zarr", codec, ZARR[codec]())
    with pytest.raises(DatasetError, match=r"0: a chunk of 32 bytes at the most becomes more"):
        open_zarr(path, error=DatasetError)


@pytest.mark.parametrize("shards", [None, (4, 6)])
def test_chunks_of_zarr_3(tmp_path, shards):
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        path, shape=(4, 6), chunks=(2, 3), shards=shards, dtype="f4",
        compressors=zarr.codecs.GzipCodec(), config={"write_empty_chunks": True},
    )  # fmt: skip
    array[:] = 1
    file = next(file for file in (path / "c").rglob("*") if file.is_file())
    much = ZARR["gzip"]()
    if shards is None:
        file.write_bytes(much)
    else:
        stored = file.read_bytes()
        index = np.frombuffer(stored[-68:-4], "<u8").copy()
        index[:2] = (len(stored) - 68, len(much))
        file.write_bytes(stored[:-68] + much + index.tobytes() + stored[-4:])
    with pytest.raises(DatasetError, match="a chunk of 48 bytes at the most becomes more"):
        open_zarr(path, error=DatasetError)


def test_chunks_of_zarr_beyond_the_array(tmp_path):
    path = of_zarr(tmp_path / "a.zarr", "zlib", zlib.compress(bytes(32)))
    text = (path / ".zarray").read_text()
    (path / ".zarray").write_text(text.replace('"chunks": [4]', '"chunks": [10000000000]'))
    with pytest.raises(DatasetError, match="would become 80,000,000,000 bytes"):
        open_zarr(path, error=DatasetError)
    (path / ".zarray").write_text(text.replace('"filters": null', '"filters": [{"id": "zlib"}]'))
    with pytest.raises(DatasetError, match="compressed more than once, by zlib, zlib"):
        open_zarr(path, error=DatasetError)
    text = text.replace('"filters": null', '"filters": [{"id": "zlib"}]')
    (path / ".zarray").write_text(text.replace('{"id": "zlib"}}', '{"id": "shuffle"}}'))
    with pytest.raises(DatasetError, match="shuffle follows the compression by zlib"):
        open_zarr(path, error=DatasetError)


@pytest.mark.parametrize("codec", [*sorted(COMPRESSORS), None])
def test_every_compressor_that_is_as_it_states_is_read(tmp_path, codec):
    values = np.random.default_rng(0).integers(0, 9, (300, 1000)).astype("i2")
    compressor = None if codec is None else {"id": codec}
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=values.shape, chunks=(200, 700), dtype="i2", zarr_format=2,
        compressors=numcodec(compressor),
    )  # fmt: skip
    array[:] = values
    np.testing.assert_array_equal(open_zarr(tmp_path / "a.zarr", error=DatasetError)[0:300], values)


def numcodec(compressor):
    import numcodecs

    return None if compressor is None else numcodecs.get_codec(compressor)


@given(st.binary(max_size=3000), st.sampled_from(["zlib", "gzip", "bz2", "lzma", "zstd"]))
def test_sizes_are_those_of_what_is_decoded(data, codec):
    made = {
        "zlib": zlib.compress, "gzip": gzip.compress, "bz2": bz2.compress, "lzma": lzma.compress,
        "zstd": lambda plain: pa.Codec("zstd").compress(plain, asbytes=True),
    }[codec](data)  # fmt: skip
    assert decoded_size(codec, made, most=0) >= len(data) > 0 or not data
    # No deflated byte becomes more than 1032, so that what may be larger is taken as that.
    most = len(made) * 1032 - 1 if codec in {"zlib", "gzip"} else 10**6
    assert decoded_size(codec, made, most=most) == len(data)


@given(st.binary(max_size=200), st.sampled_from(sorted(COMPRESSORS)))
def test_bytes_of_nothing_are_counted_too(data, codec):
    assert decoded_size(codec, data, most=10**6) >= 0
