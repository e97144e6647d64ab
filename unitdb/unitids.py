"""Names of units, ``model/layer/unit``, as commands, URLs, queries and recipes write them.

``unit`` is the flat C-order index into the layer's activation of one image: ASCII digits alone, and
zeros in front do not count.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from unitdb.errors import QueryError
from unitdb.schema import NAME_PATTERN

__all__ = ["UNIT_ID_SQL", "UnitId"]

UNIT_ID_SQL = "model || '/' || layer || '/' || unit"
"""The name of a row's unit in SQL."""

_PATTERN = re.compile(rf"({NAME_PATTERN})/({NAME_PATTERN})/([0-9]{{1,10}})")
_EXAMPLE = "alexnet/conv5/1234"


class UnitId(NamedTuple):
    """A unit by name.

    Parameters
    ----------
    model, layer : str
        Names.
    unit : int
        Index in the layer, from 0.
    """

    model: str
    layer: str
    unit: int

    @classmethod
    def parse(cls, text: str, *, example: str = _EXAMPLE) -> UnitId:
        """Read ``model/layer/unit``.

        Parameters
        ----------
        text : str
            The name.
        example : str
            A unit that the error shows.

        Returns
        -------
        UnitId
            The unit; no release is asked whether there is one.

        Raises
        ------
        QueryError
            It is not written so.

        Examples
        --------
        >>> UnitId.parse("alexnet/conv5/12")
        UnitId(model='alexnet', layer='conv5', unit=12)
        """
        found = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            shown = text[:60] if isinstance(text, str) else text
            raise QueryError(f"{shown!r} is not MODEL/LAYER/UNIT, such as {example}")
        model, layer, unit = found.groups()
        return cls(model, layer, int(unit))

    @property
    def place(self) -> str:
        """``model/layer``."""
        return f"{self.model}/{self.layer}"

    def __str__(self) -> str:
        return f"{self.place}/{self.unit}"
