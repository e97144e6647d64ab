"""What runs a network, or traces it, and leaves it as it was."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from unitdb.chance import seeds_kept

__all__ = ["unchanged"]

_DEPTH = 3
"""Dictionaries of lists of sets are looked through, in what a module keeps."""


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Give modules their attributes, modes and buffers back when the block ends, and seeds.

    Dictionaries, lists and sets that modules keep hold again what they held; buffers have their
    values; the shared generators of random numbers go on from where they were.

    Parameters
    ----------
    network : torch.nn.Module
        Its parameters are not looked after.
    """
    held: dict[int, tuple[Any, Any]] = {}
    for module in network.modules():
        _hold(vars(module), _DEPTH, held)
    values = [
        (buffer, buffer.detach().clone())
        for buffer in network.buffers()
        if not buffer.is_meta and not nn.parameter.is_lazy(buffer)
    ]
    try:
        with seeds_kept():
            yield
    finally:
        for value, before in held.values():
            _give_back(value, before)
        with torch.no_grad():
            for buffer, before in values:
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


def _hold(value: Any, depth: int, held: dict[int, tuple[Any, Any]]) -> None:
    if not isinstance(value, dict | list | set) or id(value) in held:
        return
    held[id(value)] = value, (dict if isinstance(value, dict) else list)(value)
    if depth:
        for inner in list(value.values() if isinstance(value, dict) else value):
            _hold(inner, depth - 1, held)


def _give_back(value: Any, before: Any) -> None:
    """Only where it is other than before: a thread may look into it."""
    if isinstance(value, dict):
        now, old = [*value, *value.values()], [*before, *before.values()]
    else:
        now, old = list(value), before
    if len(now) == len(old) and all(map(operator.is_, now, old)):
        return
    value.clear()
    (value.extend if isinstance(value, list) else value.update)(before)
