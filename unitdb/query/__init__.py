"""Selections of units, and read-only SQL: from a release to a result that says where it is from."""

from unitdb.query.conditions import ColumnExpression, Condition, col
from unitdb.query.counting import (
    Counted,
    at_least,
    chosen_bins,
    counted_by,
    from_minimum,
    is_edge,
    narrowed,
)
from unitdb.query.layers import Layer, choose_layers, expand_globs
from unitdb.query.paging import Page
from unitdb.query.sandbox import connect, run_sql
from unitdb.query.source import Source
from unitdb.query.units import UnitSet

__all__ = [
    "ColumnExpression",
    "Condition",
    "Counted",
    "Layer",
    "Page",
    "Source",
    "UnitSet",
    "at_least",
    "choose_layers",
    "chosen_bins",
    "col",
    "connect",
    "counted_by",
    "expand_globs",
    "from_minimum",
    "is_edge",
    "narrowed",
    "run_sql",
]
