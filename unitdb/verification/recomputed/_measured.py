"""Tables whose measures check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.errors import CorruptReleaseError
from unitdb.schema import TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

__all__ = ["check_measures"]


def check_measures(small: Mapping[str, pa.Table]) -> None:
    """Ask the measures of tables that they check themselves.

    Parameters
    ----------
    small : mapping of str to pyarrow.Table
        All tables that are one file.

    Raises
    ------
    CorruptReleaseError
        With the first sentence that one has to say.
    """
    asked = {name for name in small if TABLES[name].measured}
    if not asked:
        return
    from unitdb.measures import MEASURES  # the decoders: only for those who need them

    for measure in MEASURES:
        if asked.intersection(measure.tables):
            for problem in measure.check(small):
                raise CorruptReleaseError(problem)
