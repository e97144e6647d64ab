"""Widgets whose state is in the URL, and what happens where the URL asks for something else.

Streamlit itself binds a widget to the query parameter of its key, and drops what does not fit. Here
that is said, with the nearest values that do, before it is dropped. Text from the URL is shown as
code: it is never read as Markdown or HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.errors import closest
from unitdb.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["code", "number", "one_of", "parameter", "plain", "some_of", "switch", "text"]

_LONGEST = 80
_LISTED = 6
MESSAGE = 600
"""Characters of an error that are shown."""


def code(text: str, *, most: int = _LONGEST) -> str:
    """Show text in Markdown as it is, whatever is in it, cut after so many characters."""
    shown = printable(" ".join(text.split()))
    shown = shown if len(shown) <= most else shown[: most - 1] + "…"
    fence = "`" * (1 + max((len(run) for run in _runs(shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}" if shown else "nothing"


def parameter(key: str) -> str | None:
    """A parameter of the URL, the last where it is given several times."""
    value = st.query_params.get(key)
    return None if value is None else str(value)


def one_of(
    place: Any,
    label: str,
    key: str,
    options: Sequence[str],
    *,
    default: str | None = None,
    on_change: Callable[[], None] | None = None,
    help: str | None = None,  # noqa: A002
    format_func: Callable[[str], str] = str,
) -> str:
    """Let the reader choose one; where there is no choice, nothing is shown.

    Parameters
    ----------
    place : streamlit container
    label : str
        What is chosen.
    key : str
        Parameter of the URL.
    options : sequence of str
        Valid values, at least one.
    default : str, optional
        Value where the URL has none; the first by default.
    on_change, help, format_func
        As of ``st.selectbox``; what the URL holds is what ``format_func`` gives.
    """
    shown = [format_func(option) for option in options]
    _say_wrong(label, key, shown)
    if len(options) == 1:
        return options[0]
    index = options.index(default) if default in options else 0
    chosen = place.selectbox(
        label,
        list(options),
        index=index,
        key=key,
        bind="query-params",
        on_change=on_change,
        help=help,
        format_func=format_func,
    )
    return str(chosen)


def some_of(
    place: Any,
    label: str,
    key: str,
    options: Sequence[str],
    *,
    on_change: Callable[[], None] | None = None,
    help: str | None = None,  # noqa: A002
    most: int | None = None,
    default: Sequence[str] = (),
) -> list[str]:
    """Let the reader choose several, or none, which stands for all."""
    _say_wrong(label, key, options)
    chosen = place.multiselect(
        label,
        list(options),
        default=list(default),
        key=key,
        bind="query-params",
        placeholder="all",
        on_change=on_change,
        help=help,
        max_selections=most,
    )
    return [str(one) for one in chosen]


def number(
    place: Any,
    label: str,
    key: str,
    low: float,
    high: float,
    default: float | None,
    step: float,
    *,
    on_change: Callable[[], None] | None = None,
    help: str | None = None,  # noqa: A002
) -> Any:
    """Let the reader type a number between two others; whole numbers where ``step`` is one."""
    given = parameter(key)
    if given is not None and not _within(given, low, high):
        st.warning(f"{label}: {code(given)} is no number from {low:g} to {high:g}.")
    return place.number_input(
        label,
        low,
        high,
        default,
        step,
        key=key,
        bind="query-params",
        on_change=on_change,
        help=help,
        format="%d" if isinstance(step, int) else "%.2f",
    )


def switch(
    place: Any,
    label: str,
    key: str,
    *,
    on_change: Callable[[], None] | None = None,
    help: str | None = None,  # noqa: A002
) -> bool:
    """Let the reader say yes."""
    given = parameter(key)
    if given is not None and given.lower() not in {"true", "false"}:
        st.warning(f"{label}: {code(given)} is neither `true` nor `false`.")
    return bool(place.toggle(label, key=key, bind="query-params", on_change=on_change, help=help))


def text(
    place: Any,
    label: str,
    key: str,
    *,
    most: int = 100,
    on_change: Callable[[], None] | None = None,
    help: str | None = None,  # noqa: A002
    placeholder: str | None = None,
) -> str:
    """Let the reader type a line."""
    given = parameter(key)
    if given is not None and len(given) > most:
        st.warning(f"{label}: longer than {most} characters.")
    found = place.text_input(
        label,
        key=key,
        bind="query-params",
        max_chars=most,
        on_change=on_change,
        help=help,
        placeholder=placeholder,
    )
    return str(found or "").strip()


def _say_wrong(label: str, key: str, options: Sequence[str]) -> None:
    for value in dict.fromkeys(st.query_params.get_all(key)[:_LISTED]):
        if value not in options and value:
            near = closest(value, options)
            listed = near or list(options[:_LISTED])
            more = ", …" if not near and len(options) > _LISTED else ""
            hint = "the nearest:" if near else "there is:"
            valid = ", ".join(code(one) for one in listed)
            st.warning(f"{label}: {code(value)} is not in this release; {hint} {valid}{more}")


def _within(given: str, low: float, high: float) -> bool:
    try:
        return low <= float(given) <= high
    except ValueError:
        return False


def _runs(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def plain(text: str) -> str:
    r"""Text for Markdown whose every mark stands for itself."""
    return "".join("\\" + c if c in _MARKS else c for c in printable(" ".join(text.split())))


_MARKS = frozenset("\\`*_{}[]()<>#+-.!|~$:&")
