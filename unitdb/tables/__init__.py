"""Rows of the published tables, and what a release says of where they are from."""

from unitdb.extras import need

need("pydantic", by="unitdb.tables", extra="build")

from unitdb.tables.files import Use, code_commit, describe_files, merge_uses
from unitdb.tables.origins import Origin, build_name, code_columns, input_rows, significance
from unitdb.tables.provenance import code_sha256, own_commit, package_versions
from unitdb.tables.results import AtHand, Results
from unitdb.tables.rows import (
    Rows,
    Scope,
    constant,
    float32,
    named,
    ordered,
    partition_keys,
    set_row,
    table_of,
)

__all__ = [
    "AtHand",
    "Origin",
    "Results",
    "Rows",
    "Scope",
    "Use",
    "build_name",
    "code_columns",
    "code_commit",
    "code_sha256",
    "constant",
    "describe_files",
    "float32",
    "input_rows",
    "merge_uses",
    "named",
    "ordered",
    "own_commit",
    "package_versions",
    "partition_keys",
    "set_row",
    "significance",
    "table_of",
]
