"""Ids of stimuli that files tell by number: by a pattern, or by a table of numbers and ids.

``imagenet``           1443537.022563 → ``n01443537_22563``: the whole part is the category, the six
                       digits after it the picture
``imagenet-category``  1443537.022563 → ``n01443537``: the category alone, as one is imagined
``image_{:04d}``, …    a format of Python for whole numbers, or (``{:.6f}``) for others
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.errors import DatasetError
from unitdb.specs import RelativePath, Spec
from unitdb.texts import number, read_rows, read_text

__all__ = ["StimulusNaming", "read_names", "stimulus_id"]

_DIGITS = 6
_SHOWN = 60
_NO_NUMBER = ("n/a", "na", "nan", "inf", "infinity", "none", "null")
_FORMAT = r"^[A-Za-z0-9_.-]*\{:(\d{0,2}d|\d{0,2}\.\d{1,2}f)\}[A-Za-z0-9_.-]*$"


class StimulusNaming(Spec):
    """How the ids of stimuli are made of numbers; where neither is given, the file names them.

    Parameters
    ----------
    pattern : str, optional
        As the module describes.
    names : str, optional
        Text file below the data folder with two columns, number and id, in place of a pattern.
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


def stimulus_id(
    value: float, *, pattern: str = "", names: Mapping[float, str] | None = None, where: str
) -> str:
    """Make the id of a stimulus of its number.

    Parameters
    ----------
    value : float
        The number.
    pattern : str
        As the module describes.
    names : mapping of float to str, optional
        In place of a pattern: the ids, by numbers of six decimals.
    where : str
        What holds the number, for messages.

    Raises
    ------
    DatasetError
        A number that the pattern does not take, or without a name.
    """
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


def read_names(path: Path) -> dict[float, str]:
    """Ids by number, from the first two columns of a text file, by tabs, or two by a comma.

    Numbers are rounded to six decimals, to which those of a picture agree. A first row whose first
    cell is a word without digits is a header.

    Raises
    ------
    DatasetError
        The file is missing or has another form; names the line.
    """
    names: dict[float, str] = {}
    by_tabs = "\t" in read_text(path, error=DatasetError)
    rows = read_rows(path, delimiter="\t" if by_tabs else ",", error=DatasetError)
    for place, (line, cells) in enumerate(rows):
        if place == 0 and _is_header(cells[0]):
            continue
        value = number(cells[0])
        if value is None or len(cells) < 2 or not cells[1]:
            given = ", ".join(cells)[:_SHOWN]
            raise DatasetError(f"{path}: line {line}: expected a number and an id: {given!r}")
        if any(cells[2:]) and not by_tabs:
            raise DatasetError(
                f"{path}: line {line}: has {len(cells)} cells; an id with commas stands in quotes"
            )
        if names.setdefault(round(value, _DIGITS), cells[1]) != cells[1]:
            raise DatasetError(f"{path}: line {line}: {cells[0]} stands for two ids")
    return names


def _is_header(cell: str) -> bool:
    # What is neither a number nor a word for one is a row that is wrong, not a header.
    return bool(re.search(r"[^\W\d_]", cell)) and not (
        re.search(r"\d", cell) or cell.lower() in _NO_NUMBER
    )
