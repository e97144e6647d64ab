"""All tables by name."""

from __future__ import annotations

from unitdb.errors import UnknownTableError
from unitdb.schema import (
    candidates,
    identification,
    kept,
    layerwise,
    modulation,
    networks,
    origins,
    reconstruction,
    timecourse,
    units,
)
from unitdb.schema.spec import Table, numbers

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        *origins.TABLES,
        *units.TABLES,
        *layerwise.TABLES,
        *networks.TABLES,
        *kept.TABLES,
        *candidates.TABLES,
        *identification.TABLES,
        *timecourse.TABLES,
        *modulation.TABLES,
        *reconstruction.TABLES,
    )
}
"""All published tables by name, what is referred to before what refers to it."""


def get_table(name: str) -> Table:
    """Return the spec of the table of this name.

    Raises
    ------
    UnknownTableError
        Lists the nearest names.
    """
    try:
        return TABLES[name]
    except KeyError:
        raise UnknownTableError(name, TABLES, hint="unitdb schema") from None


def tables_of(version: str, *, optional: bool = False) -> list[str]:
    """Names of the tables that releases of a schema version have.

    Parameters
    ----------
    version : str
        MAJOR.MINOR.
    optional : bool
        Also those that a release may be without.
    """
    return [
        name
        for name, table in TABLES.items()
        if numbers(table.since) <= numbers(version) and (optional or not table.optional)
    ]
