"""Arrays of zarr folders, opened after what their metadata ask for was held against a list.

Metadata name programs: a codec may unpickle, and types of objects do. So numbers alone are read,
through codecs that only compress. zarr gives the fill value for a chunk that is not there, whether
it was never written or, by zarr's own default, left out because it held that value alone: no reader
can tell, so a missing chunk is an error.
"""

from __future__ import annotations

import base64
import importlib
import itertools
import json
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from unitdb.activations.expansion import COMPRESSORS, decoded_size
from unitdb.activations.hdf5 import MISSING, PACKED, check_expansion
from unitdb.errors import MissingExtraError, UnitdbError
from unitdb.extras import install_hint
from unitdb.reads import in_one_line

__all__ = ["ZarrArray", "open_zarr"]

_Error = type[UnitdbError]

_TYPES = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)
}
_TYPE_2 = re.compile(r"[<>|][biuf][1248]")
_CODECS = {"bytes", "transpose", "blosc", "gzip", "zstd", "crc32c"}
_CODECS_2 = {"blosc", "zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "shuffle", "delta", "crc32"}
_SHARDS = "sharding_indexed"
_INDEX = ["bytes", "crc32c"]  # what all known writers pack the index of a shard with
_ABSENT = 2**64 - 1
_LONGEST = 2**20
_SLACK = 1024

_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    RuntimeError,
    MemoryError,
    AttributeError,
    ArithmeticError,
)


@dataclass(frozen=True, kw_only=True)
class ZarrArray:
    """An open array of numbers, all chunks of which are there; values are read when asked for."""

    path: Path
    array: Any
    missing: tuple[float, ...]
    error: _Error

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.array.shape)

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of what is best read at once."""
        return tuple(self.array.shards or self.array.chunks)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        try:
            values = np.asarray(self.array[rows])
        except _DAMAGE as cause:
            raise self.error(f"{self.path}: cannot be read: {in_one_line(cause)}") from cause
        found = np.isin(values, self.missing)
        if self.missing and found.any():
            row = int(np.argwhere(found)[0][0]) + rows.start
            raise self.error(
                f"{self.path}: row {row} has the value {values[found][0]}, which the array has for "
                "missing ones"
            )
        return values


def open_zarr(path: Path, *, error: _Error) -> ZarrArray:
    """Open an array of numbers.

    Parameters
    ----------
    path : Path
        Its folder, of zarr's format 2 or 3.
    error : type
        What to raise.

    Raises
    ------
    error
        It is damaged, holds anything but numbers, asks for a codec that does more than compress,
        is out of proportion to its files, or a chunk is not there.
    MissingExtraError
        zarr is not installed.
    """
    try:
        zarr = importlib.import_module("zarr")
    except ModuleNotFoundError:
        raise MissingExtraError(
            f"{path}: read with zarr, which is not installed: {install_hint('build')}"
        ) from None
    try:
        form, codecs = _check_metadata(path, error)
        store = zarr.storage.LocalStore(path, read_only=True)
        array = zarr.open_array(store, mode="r", zarr_format=form)
        check_expansion(int(array.nbytes), path, error=error)
        for shape in (array.chunks, array.shards or array.chunks):
            check_expansion(math.prod(shape) * array.dtype.itemsize, path, error=error)
        _check_chunks(array, path, error, _compressor(codecs, path, error))
        missing = _missing(array, path, error)
    except UnitdbError:
        raise
    except _DAMAGE as cause:
        raise error(f"{path}: cannot be read: {in_one_line(cause)}") from cause
    return ZarrArray(path=path, array=array, missing=missing, error=error)


def _missing(array: Any, path: Path, error: _Error) -> tuple[float, ...]:
    """Values that stand for missing ones; refuses numbers that stand for others."""
    for name in PACKED:
        if name in array.attrs:
            raise error(
                f"{path}: is packed (it has the attribute {name!r}); store the numbers that are "
                "meant"
            )
    # 0 is what zarr writes unless told otherwise; where an attribute says it, it is meant.
    marks = [] if array.fill_value is None or array.fill_value == 0 else [array.fill_value]
    for name in MISSING:
        stated = array.attrs.get(name, [])
        of_name = stated if isinstance(stated, list) else [stated]
        marks += [_number(mark, name, path, error) for mark in of_name]
    # NaN is refused wherever a number is needed.
    return tuple(float(mark) for mark in marks if not math.isnan(mark))


def _number(mark: Any, name: str, path: Path, error: _Error) -> float:
    """Number of an attribute; xarray writes a float as Base64 of eight bytes, or as text."""
    try:
        return float(mark)
    except (TypeError, ValueError):
        pass
    try:
        (found,) = struct.unpack("<d", base64.b64decode(mark, validate=True))
    except (TypeError, ValueError, struct.error):
        raise error(
            f"{path}: its attribute {name!r} is {in_one_line(mark)!r}: which values are missing is "
            "not known"
        ) from None
    return float(found)


def _check_metadata(path: Path, error: _Error) -> tuple[Literal[2, 3], list[str]]:
    """Refuse what is not on the lists; returns the format, and the codecs as they are applied."""
    newer, older = path / "zarr.json", path / ".zarray"
    if newer.is_file():
        found = _read_json(newer, error)
        if found.get("node_type") != "array":
            raise error(f"{path}: is no array of zarr but a {in_one_line(found.get('node_type'))}")
        kind, codecs = found.get("data_type"), _names(found.get("codecs"), "name")
        if found.get("storage_transformers"):
            raise error(f"{newer}: asks for transformers of its storage; they are not read")
        inner = found["codecs"][0].get("configuration", {}) if codecs[:1] == [_SHARDS] else {}
        if inner:
            packed = _names(inner.get("index_codecs"), "name")
            if packed != _INDEX or len(codecs) > 1:
                raise error(f"{newer}: its shards are packed by {packed}, expected {_INDEX}")
            codecs = _names(inner.get("codecs"), "name")
        _check_names(codecs, _CODECS, newer, error)
        if not isinstance(kind, str) or kind not in _TYPES:
            raise _no_numbers(kind, newer, error)
        return 3, codecs
    if not older.is_file():
        raise error(f"{path}: is no array of zarr: it has neither zarr.json nor .zarray")
    found = _read_json(older, error)
    kind = found.get("dtype")
    if not isinstance(kind, str) or not _TYPE_2.fullmatch(kind):
        raise _no_numbers(kind, older, error)
    steps = [*(found.get("filters") or []), *filter(None, [found.get("compressor")])]
    codecs = _names(steps, "id")
    _check_names(codecs, _CODECS_2, older, error)
    return 2, codecs


def _compressor(codecs: list[str], path: Path, error: _Error) -> str | None:
    """The codec that compresses: one at the most, and the last but for a checksum behind it."""
    found = [codec for codec in codecs if codec in COMPRESSORS]
    if len(found) > 1:
        raise error(f"{path}: is compressed more than once, by {', '.join(found)}; it is not read")
    last = [codec for codec in codecs if codec != "crc32c"][-1:]
    if found and found != last:
        raise error(f"{path}: {last[0]} follows the compression by {found[0]}; it is not read")
    return found[0] if found else None


def _read_json(path: Path, error: _Error) -> dict[str, Any]:
    if path.stat().st_size > _LONGEST:
        raise error(f"{path}: has more than {_LONGEST:,} bytes; it is not read")
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as cause:
        raise error(f"{path}: cannot be read: {in_one_line(cause)}") from None
    if not isinstance(found, dict):
        raise error(f"{path}: is no description of an array")
    return found


def _names(codecs: Any, key: str) -> list[Any]:
    if not isinstance(codecs, list):
        return [codecs]
    return [codec.get(key) if isinstance(codec, dict) else codec for codec in codecs]


def _check_names(codecs: list[Any], known: set[str], path: Path, error: _Error) -> None:
    for name in codecs:
        if not isinstance(name, str) or name not in known:
            raise error(
                f"{path}: asks for the codec {in_one_line(name)!r}; read are those that only "
                f"compress: {', '.join(sorted(known))}"
            )


def _no_numbers(kind: Any, path: Path, error: _Error) -> UnitdbError:
    return error(f"{path}: holds the type {in_one_line(kind)!r}, expected real numbers")


def _check_chunks(array: Any, path: Path, error: _Error, codec: str | None) -> None:
    inner, outer = array.chunks, array.shards or array.chunks
    n_bytes = 8 * math.prod(inner)  # of the largest type: a filter may have stored another
    for place in _grid(array.shape, outer):
        file = path / array.metadata.encode_chunk_key(place)
        if not file.is_file():
            start = [at * size for at, size in zip(place, outer, strict=True)]
            raise _not_there(path, start, error)
        spans = (
            _check_shard(array, file, place, inner, outer, error) if array.shards else [(0, None)]
        )
        if codec is not None:
            with file.open("rb") as opened:
                for offset, length in spans:
                    opened.seek(offset)
                    if decoded_size(codec, opened.read(length), most=n_bytes + _SLACK) > (
                        n_bytes + _SLACK
                    ):
                        raise error(
                            f"{file}: a chunk of {n_bytes:,} bytes at the most becomes more; it is "
                            "not read"
                        )


def _check_shard(
    array: Any,
    file: Path,
    place: tuple[int, ...],
    inner: tuple[int, ...],
    outer: tuple[int, ...],
    error: _Error,
) -> list[tuple[int, int]]:
    """Look for chunks that the index of a shard says are not there; gives places and lengths."""
    within = _grid(outer, inner)
    n_bytes = 16 * math.prod(whole // part for whole, part in zip(outer, inner, strict=True))
    at_start = array.metadata.codecs[0].index_location.value == "start"
    with file.open("rb") as opened:  # the index alone: a checksum of four bytes follows it
        opened.seek(0 if at_start else max(0, file.stat().st_size - n_bytes - 4))
        spans = np.frombuffer(opened.read(n_bytes), dtype="<u8").reshape(-1, 2).tolist()
    for (offset, _), chunk in zip(spans, within, strict=True):
        start = [
            at * whole + step * part
            for at, whole, step, part in zip(place, outer, chunk, inner, strict=True)
        ]
        inside = all(at < n for at, n in zip(start, array.shape, strict=True))
        if inside and offset == _ABSENT:
            raise _not_there(file, start, error)
    size = file.stat().st_size
    there = [(offset, length) for offset, length in spans if offset != _ABSENT]
    for offset, length in there:
        if offset + length > size:
            raise error(f"{file}: is cut short: its index names bytes behind its end")
    return there


def _grid(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    counts = [math.ceil(n / size) if n else 0 for n, size in zip(shape, chunks, strict=True)]
    return itertools.product(*map(range, counts))


def _not_there(path: Path, start: list[int], error: _Error) -> UnitdbError:
    return error(
        f"{path}: the chunk at {start} is not there: it was never written, or left out because it "
        "holds the fill value alone; write the array with write_empty_chunks on"
    )
