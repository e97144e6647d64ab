"""Ids of stimuli that files tell by number: by a pattern, or by a table of numbers and ids.

``imagenet``           1443537.022563 → ``n01443537_22563``: the whole part is the category, the six
                       digits after it the picture
``imagenet-category``  1443537.022563 → ``n01443537``: the category alone, as one is imagined
``image_{:04d}``, …    a format of Python for whole numbers, or (``{:.6f}``) for others
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.errors import DatasetError
from unitdb.reads import note_read
from unitdb.specs import RelativePath, Spec

__all__ = ["StimulusNaming", "read_names", "stimulus_id"]

_DIGITS = 6
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
    """Ids by number, from the two columns of a text file: number and id, by tab or comma.

    Numbers are rounded to six decimals, to which those of a picture agree.

    Raises
    ------
    DatasetError
        The file is missing or has another form; names the line.
    """
    try:
        note_read(path)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise DatasetError(f"{path}: cannot be read: {cause}") from None
    names: dict[float, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            cells = next(csv.reader([line], delimiter="\t" if "\t" in line else ","), [])
        except csv.Error as cause:
            raise DatasetError(f"{path}: line {number}: cannot be read: {cause}") from None
        if not cells or (number == 1 and not _is_number(cells[0])):
            continue  # empty, or a header
        if len(cells) < 2 or not _is_number(cells[0]):
            raise DatasetError(f"{path}: line {number}: expected a number and an id: {line[:60]!r}")
        value = round(float(cells[0]), _DIGITS)
        if names.setdefault(value, cells[1].strip()) != cells[1].strip():
            raise DatasetError(f"{path}: line {number}: {cells[0]} stands for two ids")
    return names


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
