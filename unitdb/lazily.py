"""Rooms whose names are imported when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

__all__ = ["lazily"]


def lazily(room: str, places: Mapping[str, str]) -> Callable[[str], object]:
    """Make the ``__getattr__`` of a room, which imports some names when they are asked for.

    Parameters
    ----------
    room : str
        Name of the package.
    places : mapping of str to str
        The module below it that each name is from.

    Returns
    -------
    callable
        Gives what a name stands for; raises AttributeError where the room has no such name.
    """

    def found(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{room}.{places[name]}"), name)
        return value

    return found
