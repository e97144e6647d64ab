"""Conditions on named values, in the form that bdpy selects columns with: ``ROI_V1 = 1``.

A condition names keys and joins them by ``|`` or ``+`` (either), ``&`` (both) and ``-`` (the first
without the second), from left to right, with parentheses. A key alone means ``key = 1``; ``*`` in
it stands for anything, and it means any of the keys that fit. Keys with signs or spaces stand in
quotes. Parentheses within parentheses mean what they say; bdpy 0.26 closes all at the first ``)``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from unitdb.errors import DatasetError

__all__ = ["Selector", "evaluate", "keys_of", "parse"]

_NEAREST = 5
_WHOLE = 2.0**53  # from there on, neighbouring whole numbers are one float


@dataclass(frozen=True)
class Equals:
    """Whether the values of a key equal a number."""

    key: str
    value: float


Step: TypeAlias = "Equals | str"
"""Of a condition in postfix order: a test, or the operator that joins the two results before it."""

_TOKEN = re.compile(
    r"""\s*(?:(?P<sign>[()|&+=-])|"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<word>[^\s()|&+=\-"']+))"""
)
_JOIN: dict[str, Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.bool_]]] = {
    "|": lambda left, right: left | right,
    "+": lambda left, right: left | right,
    "&": lambda left, right: left & right,
    "-": lambda left, right: left & ~right,
}


def parse(text: str) -> tuple[Step, ...]:
    """Read a condition.

    Parameters
    ----------
    text : str
        Such as ``(ROI_V1 = 1 | ROI_V2 = 1) & VoxelData``.

    Returns
    -------
    tuple of Equals or str
        In postfix order.

    Raises
    ------
    ValueError
        Says what is expected where.
    """
    tokens = _tokens(text)
    found: list[Step] = []
    waiting: list[str] = []
    place, operand = 0, True
    while place < len(tokens):
        sign, word = tokens[place]
        if operand and sign == "(":
            waiting.append(sign)
        elif operand and not sign:
            test, place = _equals(tokens, place, text)
            found.append(test)
            operand = False
        elif not operand and sign in _JOIN:
            _unwind(found, waiting)
            waiting.append(sign)
            operand = True
        elif not operand and sign == ")" and "(" in waiting:
            _unwind(found, waiting)
            waiting.pop()
        else:
            expected = "a key or (" if operand else "one of | + & - or the end"
            raise ValueError(f"in {text!r}: expected {expected}, not {sign or word!r}")
        place += 1
    _unwind(found, waiting)
    if operand or waiting:
        missing = "a key" if operand else "a closing )"
        raise ValueError(f"in {text!r}: {missing} is missing at the end")
    return tuple(found)


def evaluate(
    steps: tuple[Step, ...], values_of: Callable[[str], NDArray[np.float64]], *, where: str
) -> NDArray[np.bool_]:
    """Say where a condition holds.

    Parameters
    ----------
    steps : tuple
        By :func:`parse`.
    values_of : callable
        From a key, as written, to the values of all keys that it means, array of shape (n_keys, n).
    where : str
        What holds the values, for messages.

    Returns
    -------
    array of shape (n,), bool
        NaN equals no number.

    Raises
    ------
    DatasetError
        A test of the condition holds nowhere; names the values nearest to what it asks for.
    """
    stack: list[NDArray[np.bool_]] = []
    for step in steps:
        if isinstance(step, Equals):
            values = values_of(step.key)
            found = (values == step.value).any(axis=0)
            if not found.any():
                raise DatasetError(f"{where}: nothing has {_described(step, values)}")
            stack.append(found)
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_JOIN[step](left, right))
    return stack.pop()


def _described(test: Equals, values: NDArray[np.float64]) -> str:
    there = np.unique(values[np.isfinite(values)])
    near = np.sort(there[np.argsort(np.abs(there - test.value), kind="stable")[:_NEAREST]])
    told = ", ".join(f"{value:.15g}" for value in near) or "no number"
    more = f", … ({len(there)} values)" if len(there) > len(near) else ""
    return f"{test.key} = {test.value:.15g}; there {'are' if len(near) > 1 else 'is'}: {told}{more}"


def keys_of(steps: tuple[Step, ...]) -> set[str]:
    """Keys that a condition names, as written."""
    return {step.key for step in steps if isinstance(step, Equals)}


def _valid(text: str) -> str:
    parse(text)
    return text


Selector = Annotated[str, AfterValidator(_valid)]
"""A condition that can be read, for specs."""


def _tokens(text: str) -> list[tuple[str, str]]:
    """Pairs (sign, "") and ("", word)."""
    tokens, place, text = [], 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"in {text!r}: a quote is not closed")
        word = match["double"] or match["single"] or match["word"] or ""
        if match["word"] in ("top", "@"):
            raise ValueError(
                f"in {text!r}: {word!r} chooses voxels by rank; the decoder does that unit by unit"
            )
        tokens.append((match["sign"] or "", word))
        place = match.end()
    return tokens


def _equals(tokens: list[tuple[str, str]], place: int, text: str) -> tuple[Equals, int]:
    """Comparison that begins at a token, and the place of its last token."""
    key = tokens[place][1]
    if tokens[place + 1 : place + 2] != [("=", "")]:
        return Equals(key, 1.0), place
    place += 2
    minus = tokens[place : place + 1] == [("-", "")]
    place += minus
    number = tokens[place][1] if place < len(tokens) else ""
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"in {text!r}: expected a number after {key} =")
    if abs(value) >= _WHOLE:
        raise ValueError(f"in {text!r}: {number} is too large to be told exactly")
    return Equals(key, -value if minus else value), place


def _unwind(found: list[Step], waiting: list[str]) -> None:
    """Move the operators that wait since the last parenthesis to the steps."""
    while waiting and waiting[-1] != "(":
        found.append(waiting.pop())
