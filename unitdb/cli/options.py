"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

__all__ = ["taking"]

Decorator = Callable[[Any], Any]


def taking(*options: Decorator) -> Decorator:
    """Decorate a command with several options, which its help lists in this order."""
    return lambda command: reduce(lambda found, option: option(found), options[::-1], command)
