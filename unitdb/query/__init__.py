"""Selections of units, and read-only SQL: from a release to a result that says where it is from."""

from unitdb.query.conditions import ColumnExpression, Condition, col
from unitdb.query.layers import Layer, choose_layers, expand_globs
from unitdb.query.paging import Page
from unitdb.query.sandbox import connect, run_sql
from unitdb.query.source import Source
from unitdb.query.units import UnitSet

__all__ = [
    "ColumnExpression",
    "Condition",
    "Layer",
    "Page",
    "Source",
    "UnitSet",
    "choose_layers",
    "col",
    "connect",
    "expand_globs",
    "run_sql",
]
