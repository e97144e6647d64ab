"""MATLAB 5 files are looked through before scipy reads them.

scipy trusts the types and sizes that such a file states: of a damaged one it reads beyond its
buffers, and the process ends. The layout is that of MathWorks' "MAT-File Format" (R2019b), level 5.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["COMPRESSED", "check_mat5"]

COMPRESSED = 15
_MATRIX = 14
_NUMBER_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT = {1, 2, 4, 16, 17, 18}
_CELL, _CHAR, _NUMBERS = 1, 4, range(6, 16)
_COMPLEX = 0x08
_MOST_DEEP = 8  # cells within cells


@dataclass(frozen=True)
class _Element:
    kind: int
    body: memoryview


def check_mat5(path: Path, names: Collection[str]) -> None:
    """Raise ValueError unless numbers, text and cells of these names are laid out as they state.

    Parameters
    ----------
    path : Path
        A file that scipy takes for one of MATLAB 5; what it would become when decompressed must
        have been held against a limit.
    names : collection of str
        Variables to look through; variables of other classes are left to scipy.

    Raises
    ------
    ValueError
        Says what does not fit.
    """
    content = memoryview(path.read_bytes())
    order: Literal["little", "big"] = "little" if bytes(content[126:128]) == b"IM" else "big"
    for element in _elements(content[128:], order, padded=False):
        inner = element
        if element.kind == COMPRESSED:
            (inner,) = _elements(memoryview(zlib.decompress(element.body)), order)
        _check_matrix(inner, order, names, depth=0)


def _elements(
    content: memoryview, order: Literal["little", "big"], *, padded: bool = True
) -> Iterator[_Element]:
    """Elements one after the other; within a matrix each fills whole eights of bytes."""
    at = 0
    while at < len(content):
        tag = content[at : at + 8]
        if len(tag) < 8:
            raise ValueError("ends within the tag of an element")
        kind, size = int.from_bytes(tag[:4], order), int.from_bytes(tag[4:], order)
        start, stop = at + 8, at + 8 + size
        if kind >> 16:  # up to four bytes, within the tag
            kind, size = kind & 0xFFFF, kind >> 16
            start, stop = at + 4, at + 4 + size
            if size > 4:
                raise ValueError(f"states an element of {size} bytes where there is room for 4")
            at += 8
        else:
            at = stop + (-size % 8 if padded else 0)
        if stop > len(content):
            raise ValueError(f"states an element of {size:,} bytes, of which not all are there")
        yield _Element(kind, content[start:stop])


def _check_matrix(
    matrix: _Element,
    order: Literal["little", "big"],
    names: Collection[str] | None,
    *,
    depth: int,
) -> None:
    """Check a variable, or a cell of one, which has no name."""
    if matrix.kind != _MATRIX:
        raise ValueError(f"holds an element of type {matrix.kind} where a variable should be")
    if depth > _MOST_DEEP:
        raise ValueError(f"holds cells within cells, more than {_MOST_DEEP} deep")
    if not len(matrix.body) and depth:
        return  # an empty cell
    parts = _elements(matrix.body, order)
    flags, sizes, name = (next(parts, None) for _ in range(3))
    if flags is None or sizes is None or name is None:
        raise ValueError("holds a variable that ends before its data")
    if (flags.kind, len(flags.body)) != (6, 8) or name.kind not in (1, 16):
        raise ValueError("holds a variable whose flags or name are not such")
    if sizes.kind != 5 or len(sizes.body) < 8 or len(sizes.body) % 4:
        raise ValueError("holds a variable whose shape is none")
    if names is not None and bytes(name.body).decode("latin-1") not in names:
        return
    shape = [
        int.from_bytes(sizes.body[at : at + 4], order, signed=True)
        for at in range(0, len(sizes.body), 4)
    ]
    if min(shape) < 0:
        raise ValueError(f"states the shape {shape}")
    word = int.from_bytes(flags.body[:4], order)
    class_, is_complex = word & 0xFF, bool((word >> 8) & _COMPLEX)
    if class_ == _CELL:
        cells = list(parts)
        if len(cells) != math.prod(shape):
            raise ValueError(f"states the shape {shape} and holds {len(cells)} cells")
        for cell in cells:
            _check_matrix(cell, order, None, depth=depth + 1)
    elif class_ == _CHAR:
        _check_text(list(parts), shape)
    elif class_ in _NUMBERS:
        _check_numbers(list(parts), shape, n_parts=2 if is_complex else 1)
    elif depth:
        raise ValueError(f"holds a cell of class {class_}: expected numbers or text")


def _check_numbers(parts: list[_Element], shape: list[int], *, n_parts: int) -> None:
    if len(parts) != n_parts:
        raise ValueError(f"holds a variable of {len(parts)} parts of numbers, expected {n_parts}")
    for part in parts:
        if part.kind not in _NUMBER_BYTES:
            raise ValueError(f"states numbers of type {part.kind}, which is none")
        stated = math.prod(shape) * _NUMBER_BYTES[part.kind]
        if len(part.body) != stated:
            raise ValueError(f"states {stated:,} bytes of numbers and holds {len(part.body):,}")


def _check_text(parts: list[_Element], shape: list[int]) -> None:
    if len(parts) != 1 or parts[0].kind not in _TEXT:
        raise ValueError("holds text of a type that is none")
    if math.prod(shape) > len(parts[0].body):
        raise ValueError(f"states the shape {shape} and {len(parts[0].body)} bytes of text")
