"""Choices that narrow a table: each is among what those before it leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from unitdb.browser import _state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

__all__ = ["chosen_in_turn", "mean_first"]


def chosen_in_turn(
    rows: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    options: Callable[[str, pd.DataFrame], list[str]] | None = None,
    helps: Mapping[str, str | None] | None = None,
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
                drops=_lost(rows, column, columns[number + 1 :], listed),
                help=(helps or {}).get(column),
            )
            rows = rows[rows[column] == chosen[column]]
    return chosen, rows


def mean_first(column: str, rows: pd.DataFrame) -> list[str]:
    """Values of a column by name, the mean of all people before single ones."""
    return sorted(rows[column].unique().tolist(), key=lambda name: (name != "mean", name))


def _lost(
    rows: pd.DataFrame,
    column: str,
    later: list[str],
    listed: Callable[[str, pd.DataFrame], list[str]],
) -> Callable[[str], list[str]]:
    def lost(value: str) -> list[str]:
        left, found = rows[rows[column] == value], []
        for one in later:
            there, given = listed(one, left), _state.parameter(one)
            if given is not None and given not in there:
                found.append(one)
            left = left[left[one] == (given if given in there else there[0])]
        return found

    return lost


def _as_they_come(column: str, rows: pd.DataFrame) -> list[str]:
    found: list[str] = rows[column].unique().tolist()
    return found
