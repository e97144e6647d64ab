"""Choices that narrow a table: each is among what those before it leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["chosen_in_turn", "left_of", "mean_first"]


def chosen_in_turn(
    rows: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    options: Callable[[str, pd.DataFrame], list[str]] | None = None,
    helps: Mapping[str, str | None] | None = None,
    later: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], pd.DataFrame]:
    """Let the reader choose a value of each column in turn; one that is alone is not asked for.

    Another choice leaves those after it as they are where they exist with it; the others are
    dropped from the URL, so that no page warns of what the reader did not ask for.

    Parameters
    ----------
    rows : DataFrame
        At least one row.
    labels : mapping of str to str
        What is chosen, by column, in this order. Columns are parameters of the URL.
    options : callable, optional
        Gives the values of a column of rows, in order; by default in the order of the rows.
    helps : mapping of str to str, optional
        Explanations, by column.
    later : mapping of str to str, optional
        Parameters that the page lets the reader choose after these, and the column of the rows
        that holds their values.

    Returns
    -------
    chosen : dict of str to str
        A value of each column.
    rows : DataFrame
        Rows that have these.
    """
    listed = options or _as_they_come
    columns, chosen = list(labels), {}
    with st.container(horizontal=True):
        for number, column in enumerate(columns):
            chosen[column] = _state.one_of(
                st,
                labels[column],
                column,
                listed(column, rows),
                drops=_lost(rows, column, columns[number + 1 :], listed, later or {}),
                help=(helps or {}).get(column),
            )
            rows = rows[rows[column] == chosen[column]]
    return chosen, rows


def mean_first(column: str, rows: pd.DataFrame) -> list[str]:
    """Values of a column by name, the mean of all people before single ones."""
    return sorted(rows[column].unique().tolist(), key=lambda name: (name != "mean", name))


def left_of(rows: pd.DataFrame, later: Mapping[str, str]) -> dict[str, list[str]]:
    """Parameters of the URL whose values do not all occur in rows, and those values that do.

    Parameters
    ----------
    rows : DataFrame
    later : mapping of str to str
        The column that holds the values of each parameter.
    """
    found = {}
    for key, column in later.items():
        given, there = _state.several(key), set(rows[column])
        kept = [one for one in given if one in there]
        if kept != given:
            found[key] = kept
    return found


def _lost(
    rows: pd.DataFrame,
    column: str,
    others: list[str],
    listed: Callable[[str, pd.DataFrame], list[str]],
    later: Mapping[str, str],
) -> Callable[[str], dict[str, list[str]]]:
    def lost(value: str) -> dict[str, list[str]]:
        left, found = rows[rows[column] == value], {}
        for one in others:
            there, given = listed(one, left), _state.parameter(one)
            if given is not None and given not in there:
                found[one] = list[str]()
            left = left[left[one] == (given if given in there else there[0])]
        return found | left_of(left, later)

    return lost


def _as_they_come(column: str, rows: pd.DataFrame) -> list[str]:
    found: list[str] = rows[column].unique().tolist()
    return found
