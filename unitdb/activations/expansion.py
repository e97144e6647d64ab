"""What the bytes of one stored chunk become, counted before anything is allocated for it.

A chunk states little and may become much: a thousandfold with zlib, without bound with others. The
libraries that decode it believe it. Here it is decoded piece by piece, and what comes is dropped;
of formats that state their size, and are held to it, that is read.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Any

import pyarrow as pa

__all__ = ["COMPRESSORS", "decoded_size"]

COMPRESSORS = frozenset({"zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "blosc"})
"""Names, as zarr has them, of what can enlarge; other codecs only change the order of bytes."""

_PIECE = 1 << 20
_DEFLATED = 1032  # at the most, of zlib
_SMALL = 1 << 18  # bytes: what zlib cannot make large
_STATED = {"lz4": slice(0, 4), "blosc": slice(4, 8)}
"""Where a size is stated, of 32 bits, which the decoder does not exceed."""


def decoded_size(codec: str, data: bytes, *, most: int) -> int:
    """Count the bytes that a chunk becomes.

    Parameters
    ----------
    codec : str
        One of :data:`COMPRESSORS`.
    data : bytes
        As it is stored; where it is damaged, what comes before the damage counts.
    most : int
        Above it, counting ends.

    Returns
    -------
    int
        The number; above ``most`` somewhere above it. For short ones of zlib what they can become
        at the most, if that is not above ``most``.
    """
    if codec in _STATED:
        return int.from_bytes(data[_STATED[codec]], "little")
    if codec in {"zlib", "gzip"} and len(data) <= _SMALL and len(data) * _DEFLATED <= most:
        return len(data) * _DEFLATED
    if codec == "zstd":
        return _of_zstd(data, most)
    try:
        if codec == "bz2":
            return _count(bz2.BZ2Decompressor(), data, most)
        if codec == "lzma":
            return _count(lzma.LZMADecompressor(memlimit=max(most, 1 << 26)), data, most)
        return _of_zlib(data, most)
    except (lzma.LZMAError, zlib.error, OSError, EOFError):
        return 0  # the library that reads it says so too


def _count(decoder: Any, data: bytes, most: int) -> int:
    counted, rest = 0, data
    while not decoder.eof and counted <= most:
        piece = decoder.decompress(rest, _PIECE)
        if not piece and decoder.needs_input:
            break
        counted, rest = counted + len(piece), b""
    return counted


def _of_zlib(data: bytes, most: int) -> int:
    """Of zlib or gzip, whose members follow each other."""
    counted, rest = 0, data
    while rest and counted <= most:
        decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        try:
            while rest and not decoder.eof and counted <= most:
                counted += len(decoder.decompress(rest, _PIECE))
                rest = decoder.unconsumed_tail
        except zlib.error:
            return counted
        rest = decoder.unused_data if decoder.eof else b""
    return counted


def _of_zstd(data: bytes, most: int) -> int:
    counted = 0
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            while counted <= most and (piece := stream.read(_PIECE)):
                counted += len(piece)
    except (OSError, ValueError):
        pass
    return counted
