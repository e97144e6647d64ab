"""Ids of stimuli as people wrote them: of text, of numbers, and of the paths of files.

Text stays what it is, and whole numbers lose the ``.0`` that MATLAB's doubles have. Other numbers
become ids by a pattern, or by a table of numbers and ids:

``imagenet``           1443537.022563 → ``n01443537_22563``: the whole part is the category, the six
                       digits after it the picture
``imagenet-category``  1443537.022563 → ``n01443537``: the category alone, as one is imagined
``image_{:04d}``, …    a format of Python for whole numbers, or (``{:.6f}``) for others
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray
from pydantic import Field, model_validator

from unitdb.activations.hdf5 import text_of
from unitdb.errors import DatasetError
from unitdb.specs import RelativePath, Spec, as_id
from unitdb.texts import number, read_rows, read_text

__all__ = [
    "Numbered",
    "StimulusNaming",
    "array_ids",
    "check_named",
    "file_id",
    "read_names",
    "stimulus_id",
]

_DIGITS = 6
_SHOWN = 60
_WHOLE = 2.0**53  # from there on, neighbouring whole numbers are one float
_HEADER = re.compile(
    r"((stim|stimulus|image|img|picture|category|object|item)[ _-]?)?"
    r"(number|num|nr|index|idx|id|key|code|value|label)s?|stimulus|image|picture|category",
    re.IGNORECASE,
)
_ENDINGS = {
    ".avi", ".bmp", ".gif", ".jpeg", ".jpg", ".mkv", ".mov", ".mp3", ".mp4", ".npy", ".pgm", ".png",
    ".ppm", ".tif", ".tiff", ".wav", ".webp",
}  # fmt: skip
_FORMAT = r"^[A-Za-z0-9_.-]*\{:(\d{0,2}d|\d{0,2}\.\d{1,2}f)\}[A-Za-z0-9_.-]*$"


class StimulusNaming(Spec):
    """How the ids of stimuli are made of numbers; where neither is given, the file names them.

    Parameters
    ----------
    pattern : str, optional
        Where ids are numbers, what makes ids of them: ``imagenet`` (1443537.022563 is
        n01443537_22563), ``imagenet-category`` (n01443537), or a format such as ``image_{:04d}``.
    names : str, optional
        In place of a pattern: text file below the data folder with two columns, number and id.
    """

    pattern: (
        Literal["imagenet", "imagenet-category"] | Annotated[str, Field(pattern=_FORMAT)] | None
    ) = None
    names: RelativePath | None = None

    @model_validator(mode="after")
    def _one_way_to_name(self) -> StimulusNaming:
        if self.pattern is not None and self.names is not None:
            raise ValueError("give `pattern` or `names`, not both")
        return self


def check_named(naming: StimulusNaming, *, stimulus_ids: str | None) -> None:
    """See that what makes ids of numbers has an array of numbers."""
    if stimulus_ids is None and (naming.pattern is not None or naming.names is not None):
        raise ValueError("`pattern` and `names` need `stimulus_ids`, the numbers that they name")


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbered:
    """What makes ids of the numbers of a column.

    Parameters
    ----------
    pattern : str
        As the module describes.
    names : mapping of float to str, optional
        In place of a pattern: the ids, by numbers of six decimals.
    """

    pattern: str = ""
    names: Mapping[float, str] | None = None

    @cached_property
    def digits(self) -> int:
        """Decimals that tell ids apart."""
        if self.names is not None:
            return 0 if all(number == round(number) for number in self.names) else _DIGITS
        if "d}" in self.pattern:
            return 0
        decimals = re.search(r"\.(\d+)f\}", self.pattern)
        return int(decimals[1]) if decimals else _DIGITS


def stimulus_id(value: float, by: Numbered, *, where: str, dtype: DTypeLike = np.float64) -> str:
    """Make the id of a stimulus of its number.

    Parameters
    ----------
    value : float
        The number.
    by : Numbered
        A pattern, or names.
    where : str
        What holds the number, for messages.
    dtype : data type
        What it was stored as: single precision has no 1443537.022563.

    Raises
    ------
    DatasetError
        A number that the pattern does not take, without a name, or that its neighbours of other
        ids were rounded to.
    """
    pattern, names = by.pattern, by.names
    if math.isfinite(value):
        _check_exact(value, by, np.dtype(dtype), where)
    if names is not None:
        if round(value, _DIGITS) not in names:
            raise DatasetError(f"{where} is {value:.15g}, which has no name")
        return names[round(value, _DIGITS)]
    if not math.isfinite(value):
        raise DatasetError(f"{where} is missing")
    if pattern in ("imagenet", "imagenet-category"):
        category, picture = divmod(round(value * 10**_DIGITS), 10**_DIGITS)
        return f"n{category:08d}" + (f"_{picture}" if pattern == "imagenet" else "")
    if "d}" not in pattern:
        return pattern.format(value)
    if value != round(value):
        raise DatasetError(
            f"{where} is {value:.15g}, but the pattern {pattern!r} takes whole numbers"
        )
    return pattern.format(int(value))


def array_ids(
    values: NDArray[Any],
    *,
    pattern: str | None = None,
    names: Mapping[float, str] | None = None,
    where: str,
) -> list[str]:
    """Ids of the stimuli that an array of text or of numbers tells, one a row.

    Parameters
    ----------
    values : array of shape (n_rows,), (n_rows, 1) or (1, n_rows)
        Text, which loses the spaces that pad it, or whole numbers; with a pattern or names numbers.
    pattern : str, optional
        As the module describes.
    names : mapping of float to str, optional
        In place of a pattern.
    where : str
        What holds the array, for messages.

    Raises
    ------
    DatasetError
        An id is missing, or not what its kind of array gives; names the row, from 0.
    """
    if values.ndim == 0 or values.size != max(values.shape):
        raise DatasetError(f"{where} has shape {values.shape}, expected one id for each row")
    by_number = pattern is not None or names is not None
    if values.dtype.kind not in ("iuf" if by_number else "iufUS"):
        wanted = "numbers, for `pattern` or `names`" if by_number else "text or whole numbers"
        raise DatasetError(f"{where} holds {values.dtype}, expected {wanted}")
    rows = [(value, f"{where}: row {row}") for row, value in enumerate(values.ravel())]
    if by_number:
        by, kind = Numbered(pattern=pattern or "", names=names), values.dtype
        return [stimulus_id(float(value), by, where=where, dtype=kind) for value, where in rows]
    if values.dtype.kind in "US":
        return [_written(value, w) for value, w in rows]
    return [_whole(value, w) for value, w in rows]


def _written(value: np.str_ | np.bytes_, where: str) -> str:
    text = text_of(value.item(), where, error=DatasetError).strip()
    if not text:
        raise DatasetError(f"{where} is empty, expected an id")
    if "\ufffd" in text:  # what libraries put in place of characters that they could not read
        raise DatasetError(f"{where} is {text!r}: characters of it could not be read")
    return as_id(text)


def _whole(value: np.integer[Any] | np.floating[Any], where: str) -> str:
    if not np.isfinite(value):
        raise DatasetError(f"{where} is missing ({value:g}), expected an id")
    # From there on, neighbouring whole numbers are one float.
    largest = 2 ** (np.finfo(value).nmant + 1) if isinstance(value, np.floating) else math.inf
    if int(value) != value or abs(int(value)) >= largest:
        raise DatasetError(
            f"{where} is {float(value):.15g}, no whole number that a {value.dtype} tells from its "
            "neighbours: say with `pattern` or `names` how ids are made of it"
        )
    return str(int(value))


def _check_exact(value: float, by: Numbered, dtype: np.dtype[Any], where: str) -> None:
    """Refuse a number whose neighbours, in its type, lie farther apart than ids do."""
    single = dtype.kind == "f" and dtype.itemsize < np.dtype(np.float64).itemsize
    stored = dtype if single else np.dtype(np.float64)  # whole numbers come as such
    step = float(np.spacing(stored.type(abs(value))))
    if step > 10.0**-by.digits:
        made_of = repr(by.pattern) if by.names is None else "names"
        raise DatasetError(
            f"{where} is {value:.15g} in {stored}, which has no number nearer to it than "
            f"{step:.3g}: ids by {made_of} cannot be told"
        )


def file_id(path: str) -> str:
    """Id of a stimulus of the path of its file: ``faces/01.png`` → ``faces/01``.

    Folders stay, and so does what follows a dot without being the ending of a picture, film or
    sound: ``v1.0`` is not ``v1``.
    """
    found = PurePosixPath(path)
    return as_id(str(found.with_suffix("") if found.suffix.lower() in _ENDINGS else found))


def read_names(path: Path, *, column: str | None = None) -> dict[float, str]:
    """Ids by number, from the first two columns of a text file, by tabs, or two by a comma.

    Numbers are rounded to six decimals, to which those of a picture agree. A first row whose first
    cell is a usual name of a column (``number``, ``id``, ``image_index``, …) is a header.

    Parameters
    ----------
    path : Path
        The file.
    column : str, optional
        What dataset.yaml calls the numbers; may be the name of the column too.

    Raises
    ------
    DatasetError
        The file is missing or has another form; names the line.
    """
    names: dict[float, str] = {}
    by_tabs = "\t" in read_text(path, error=DatasetError)
    rows = read_rows(path, delimiter="\t" if by_tabs else ",", error=DatasetError)
    for place, (line, cells) in enumerate(rows):
        if place == 0 and (cells[0] == column or _HEADER.fullmatch(cells[0])):
            continue
        value = number(cells[0])
        if value is None or len(cells) < 2 or not cells[1]:
            given = ", ".join(cells)[:_SHOWN]
            header = "" if place else ", or a header: number, id"
            raise DatasetError(
                f"{path}: line {line}: expected a number and an id{header}: {given!r}"
            )
        if abs(value) >= _WHOLE:
            raise DatasetError(f"{path}: line {line}: {cells[0]} is too large to be told exactly")
        if any(cells[2:]) and not by_tabs:
            raise DatasetError(
                f"{path}: line {line}: has {len(cells)} cells; an id with commas stands in quotes"
            )
        name = as_id(cells[1])
        if names.setdefault(round(value, _DIGITS), name) != name:
            raise DatasetError(f"{path}: line {line}: {cells[0]} stands for two ids")
    return names
