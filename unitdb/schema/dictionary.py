"""The schema for readers: the data dictionary, and Frictionless Table Schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from unitdb.schema.spec import SCHEMA_VERSION, Column, Table
from unitdb.schema.tables import TABLES
from unitdb.schema.views import VIEWS


def data_dictionary() -> str:
    """Markdown of all tables, columns, units, keys and meanings of NULL (``docs/schema.md``)."""
    lines = [
        "# Data dictionary",
        "",
        f"Schema {SCHEMA_VERSION}. Printed by `unitdb schema --format markdown`; do not edit.",
        "",
    ]
    for table in TABLES.values():
        lines += [f"## {table.name}", "", f"A row is {table.row}.", ""]
        if table.order == table.primary_key:
            lines += [f"Primary key, and order of the rows: {_code(table.primary_key)}.  "]
        else:
            lines += [f"Primary key: {_code(table.primary_key)}.  "]
            lines += [f"Order of the rows: {_code(table.order)}.  "]
        if table.partition_by:
            lines += [f"A folder for each: {_code(table.partition_by)}.  "]
        for key in table.foreign_keys:
            lines += [f"{_code(key.columns)} refers to `{key.table}`.  "]
        lines += ["", *_columns(table.columns), ""]
        for follows in table.follows:
            lines += ["Follows from:", "", *_sql(follows.sql), ""]
    for view in VIEWS.values():
        lines += [f"## {view.name}", "", f"A view, no file. A row is {view.row}.", ""]
        lines += [*_columns(view.columns), "", *_sql(view.sql), ""]
    return "\n".join(lines)


def _sql(text: str) -> list[str]:
    return ["```sql", *text.splitlines(), "```"]


def _columns(columns: Iterable[Column]) -> list[str]:
    lines = ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for column in columns:
        meaning = column.description + (f". {column.null}" if column.null else "")
        unit = (column.unit or "") + _range(column)
        cells = [f"`{column.name}`", column.logical_type, unit, f"{meaning}."]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]
    return lines


def frictionless(table: Table) -> dict[str, Any]:
    """Table Schema of the Frictionless Data standard, for ``datapackage.json``."""
    fields = []
    for column in table.columns:
        constraints: dict[str, Any] = {"required": column.null is None}
        if column.minimum is not None:
            constraints["minimum"] = column.minimum
        if column.maximum is not None:
            constraints["maximum"] = column.maximum
        if column.pattern is not None:
            constraints["pattern"] = column.pattern
        entry = {
            "name": column.name,
            "type": _frictionless_type(column.type),
            "description": column.description + (f". {column.null}" if column.null else ""),
            "constraints": constraints,
        }
        if column.unit:
            entry["unit"] = column.unit
        fields.append(entry)
    return {
        "fields": fields,
        "primaryKey": list(table.primary_key),
        "foreignKeys": [
            {
                "fields": list(key.columns),
                "reference": {"resource": key.table, "fields": list(key.columns)},
            }
            for key in table.foreign_keys
        ],
    }


def _frictionless_type(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_):
        return "integer"
    if pa.types.is_floating(type_):
        return "number"
    if pa.types.is_list(type_):
        return "array"
    return "string"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _range(column: Column) -> str:
    if column.minimum is None:
        return ""
    low = f"{column.minimum:g}"
    limits = f"≥ {low}" if column.maximum is None else f"{low} … {column.maximum:g}"
    return f" ({limits})" if column.unit else limits
