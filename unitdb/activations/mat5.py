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
from typing import Literal, NamedTuple

__all__ = ["COMPRESSED", "Variable", "check_mat5"]

COMPRESSED = 15
_MATRIX = 14
_NUMBER_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXT = {1, 2, 4, 16, 17, 18}
_CELL, _CHAR, _SPARSE, _NUMBERS, _OPAQUE = 1, 4, 5, range(6, 16), 17
_COMPLEX, _LOGICAL = 0x08, 0x02
_MOST_DEEP = 8  # cells within cells
_CLASSES = (
    "unknown", "cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8",
    "int16", "uint16", "int32", "uint32", "int64", "uint64", "function handle", "object",
)  # fmt: skip


class Variable(NamedTuple):
    """A variable of a file: its name, its shape and MATLAB's class of it."""

    name: str
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class _Element:
    kind: int
    body: memoryview


def check_mat5(path: Path, names: Collection[str]) -> list[Variable]:
    """List the variables of a file, and see that those of these names are laid out as they state.

    Parameters
    ----------
    path : Path
        A file that scipy takes for one of MATLAB 5; what it would become when decompressed must
        have been held against a limit.
    names : collection of str
        Variables to look through: numbers, text, cells and sparse arrays. Others are only listed;
        so are objects (strings, tables, dates), on which scipy's own list of variables fails.

    Raises
    ------
    ValueError
        Says what does not fit.
    """
    content = memoryview(path.read_bytes())
    order: Literal["little", "big"] = "little" if bytes(content[126:128]) == b"IM" else "big"
    found = []
    for element in _elements(content[128:], order, padded=False):
        inner = element
        if element.kind == COMPRESSED:
            (inner,) = _elements(memoryview(zlib.decompress(element.body)), order)
        found.append(_check_matrix(inner, order, names, depth=0))
    return found


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
) -> Variable:
    """Check a variable, or a cell of one, which has no name."""
    if matrix.kind != _MATRIX:
        raise ValueError(f"holds an element of type {matrix.kind} where a variable should be")
    if depth > _MOST_DEEP:
        raise ValueError(f"holds cells within cells, more than {_MOST_DEEP} deep")
    if not len(matrix.body) and depth:
        return Variable("", (0, 0), "double")  # an empty cell
    variable, class_, is_complex, parts = _read_header(matrix, order)
    if class_ == _OPAQUE:
        if depth:
            raise ValueError(f"holds a cell that is an {variable.kind}: expected numbers or text")
    elif names is None or variable.name in names:
        _check_data(variable, class_, list(parts), order, is_complex=is_complex, depth=depth)
    return variable


def _read_header(
    matrix: _Element, order: Literal["little", "big"]
) -> tuple[Variable, int, bool, Iterator[_Element]]:
    """Read what a variable is, its class, whether it is complex, and the elements of its data."""
    parts = _elements(matrix.body, order)
    flags, sizes, name = (next(parts, None) for _ in range(3))
    if flags is None or sizes is None or name is None:
        raise ValueError("holds a variable that ends before its data")
    if (flags.kind, len(flags.body)) != (6, 8) or name.kind not in (1, 16):
        raise ValueError("holds a variable whose flags or name are not such")
    word = int.from_bytes(flags.body[:4], order)
    class_, is_complex = word & 0xFF, bool((word >> 8) & _COMPLEX)
    if class_ == _OPAQUE:  # in place of a shape its name, then what makes it, then its class
        called, made = (bytes(part.body).decode("latin-1") for part in (sizes, next(parts, name)))
        return Variable(called, (1, 1), f"object of class {made!r}"), class_, is_complex, parts
    if sizes.kind != 5 or len(sizes.body) < 8 or len(sizes.body) % 4:
        raise ValueError("holds a variable whose shape is none")
    shape = [
        int.from_bytes(sizes.body[at : at + 4], order, signed=True)
        for at in range(0, len(sizes.body), 4)
    ]
    if min(shape) < 0:
        raise ValueError(f"states the shape {shape}")
    called = bytes(name.body).decode("latin-1")
    kind = _CLASSES[class_] if class_ < len(_CLASSES) else "unknown"
    if class_ in _NUMBERS and (word >> 8) & _LOGICAL:
        kind = "logical"
    return Variable(called, tuple(shape), kind), class_, is_complex, parts


def _check_data(
    variable: Variable,
    class_: int,
    parts: list[_Element],
    order: Literal["little", "big"],
    *,
    is_complex: bool,
    depth: int,
) -> None:
    shape = list(variable.shape)
    if class_ == _CELL:
        if len(parts) != math.prod(shape):
            raise ValueError(f"states the shape {shape} and holds {len(parts)} cells")
        for cell in parts:
            _check_matrix(cell, order, None, depth=depth + 1)
    elif class_ == _CHAR:
        _check_text(parts, shape)
    elif class_ in _NUMBERS:
        _check_numbers(parts, math.prod(shape), n_parts=2 if is_complex else 1)
    elif class_ == _SPARSE and not depth:
        _check_sparse(parts, shape, n_parts=4 if is_complex else 3)
    elif depth:
        raise ValueError(f"holds a cell of class {variable.kind}: expected numbers or text")


def _check_sparse(parts: list[_Element], shape: list[int], *, n_parts: int) -> None:
    """Check row numbers, beginnings of columns, and values; what they say is looked at later."""
    if len(parts) != n_parts or len(shape) != 2 or any(part.kind != 5 for part in parts[:2]):
        raise ValueError("holds a sparse variable whose parts are not such")
    if len(parts[1].body) != 4 * (shape[1] + 1):
        raise ValueError(f"states {shape[1]} columns of a sparse variable and holds others")
    _check_numbers(parts[2:], None, n_parts=n_parts - 2)


def _check_numbers(parts: list[_Element], n_stated: int | None, *, n_parts: int) -> None:
    if len(parts) != n_parts:
        raise ValueError(f"holds a variable of {len(parts)} parts of numbers, expected {n_parts}")
    for part in parts:
        if part.kind not in _NUMBER_BYTES:
            raise ValueError(f"states numbers of type {part.kind}, which is none")
        stated = (n_stated or 0) * _NUMBER_BYTES[part.kind]
        if n_stated is not None and len(part.body) != stated:
            raise ValueError(f"states {stated:,} bytes of numbers and holds {len(part.body):,}")


def _check_text(parts: list[_Element], shape: list[int]) -> None:
    if len(parts) != 1 or parts[0].kind not in _TEXT:
        raise ValueError("holds text of a type that is none")
    if math.prod(shape) > len(parts[0].body):
        raise ValueError(f"states the shape {shape} and {len(parts[0].body)} bytes of text")
