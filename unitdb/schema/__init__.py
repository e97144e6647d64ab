"""Every published table: its columns, types, units, keys and meaning.

This package is the one source for the Parquet files, the checks on them, the metadata published
beside them and the data dictionary (``unitdb schema``, ``docs/schema.md``).

Two conventions hold for all tables:

- Rows are sorted, names in code-point order: by the primary key, or where a table says so by
  another key (``Table.order``) that puts what is asked for first.
- An accuracy that does not exist is NULL, never NaN: comparisons, ``ORDER BY`` and ``avg`` in SQL
  then leave it out by themselves, and Parquet statistics stay usable. pandas shows it as NaN.
"""

from unitdb.schema.columns import (
    CONDITION_PATTERN,
    NAME_PATTERN,
    alike_names,
    is_device,
    name_problem,
)
from unitdb.schema.dictionary import data_dictionary, frictionless
from unitdb.schema.spec import SCHEMA_VERSION, Column, Follows, ForeignKey, Table
from unitdb.schema.tables import TABLES, get_table, tables_of
from unitdb.schema.views import VIEWS, View, views_of

__all__ = [
    "CONDITION_PATTERN",
    "NAME_PATTERN",
    "SCHEMA_VERSION",
    "TABLES",
    "VIEWS",
    "Column",
    "Follows",
    "ForeignKey",
    "Table",
    "View",
    "alike_names",
    "data_dictionary",
    "frictionless",
    "get_table",
    "is_device",
    "name_problem",
    "tables_of",
    "views_of",
]
