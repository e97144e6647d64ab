"""Widgets whose state is in the URL, and what happens where the URL asks for something else.

The URL alone says what is chosen: a widget takes its value from there, and writes there what the
reader chooses, each time a place in the browser's history. Streamlit's own binding of widgets to
the URL carries values from page to page where parameters share a name, and leaves no history.
What the URL asks for and does not exist is said, with the nearest values that do. Text from the URL
is shown as code: it is never read as Markdown or HTML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.errors import QueryError, closest
from unitdb.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Drops = Sequence[str] | Callable[[Any], Mapping[str, Sequence[str]]]

__all__ = [
    "code",
    "number",
    "one_of",
    "parameter",
    "plain",
    "several",
    "some_of",
    "switch",
    "text",
    "title",
    "write",
]

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


def several(key: str) -> list[str]:
    """All values of a parameter of the URL."""
    return list(st.query_params.get_all(key))


def one_of(
    place: Any,
    label: str,
    key: str,
    options: Sequence[str],
    *,
    default: str | None = None,
    drops: Drops = (),
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
    drops : sequence of str or callable
        Parameters that another choice makes void, or what gives those that one changes and what
        it leaves of each.
    help : str, optional
        As of ``st.selectbox``.
    format_func : callable
        What the reader sees of an option; the URL holds the option.

    Raises
    ------
    QueryError
        There is no option.
    """
    if not options:
        raise QueryError(
            f"{label}: this release has none here; choose another dataset, condition or network"
        )
    _say_wrong(label, key, options)
    if len(options) == 1:
        return options[0]
    usual = default if default is not None and default in options else options[0]
    given = parameter(key)
    value = given if given is not None and given in options else usual
    st.session_state[key] = value
    place.selectbox(
        label,
        list(options),
        key=key,
        on_change=_written,
        args=(key, usual, drops),
        help=help,
        format_func=format_func,
    )
    return value


def some_of(
    place: Any,
    label: str,
    key: str,
    options: Sequence[str],
    *,
    drops: Drops = (),
    help: str | None = None,  # noqa: A002
    placeholder: str = "all",
    most: int | None = None,
) -> list[str]:
    """Let the reader choose several, or none, which stands for all or what ``placeholder`` says."""
    _say_wrong(label, key, options)
    there = set(options)
    given = [one for one in dict.fromkeys(st.query_params.get_all(key)) if one in there][:most]
    st.session_state[key] = given
    place.multiselect(
        label,
        list(options),
        key=key,
        placeholder=placeholder,
        on_change=_written,
        args=(key, None, drops),
        help=help,
        max_selections=most,
    )
    return given


def number(
    place: Any,
    label: str,
    key: str,
    low: float,
    high: float,
    default: float | None,
    step: float,
    *,
    drops: Sequence[str] = (),
    help: str | None = None,  # noqa: A002
    placeholder: str | None = None,
) -> Any:
    """Let the reader type a number between two others; whole numbers where ``step`` is one."""
    whole = isinstance(step, int)
    given = parameter(key)
    value = default
    if given:
        found = _number(given, whole=whole)
        if found is None or not low <= found <= high:
            ends = f"{low:g} and {high:g}".replace("-", "\u2212")
            kind = "a whole number" if whole else "a number"
            st.warning(f"{label}: {code(given)} does not fit. Enter {kind} between {ends}.")
        else:
            value = found
    st.session_state[key] = value
    place.number_input(
        label,
        low,
        high,
        value="min" if default is not None else None,
        step=step,
        key=key,
        on_change=_written,
        args=(key, default, drops),
        help=help,
        format="%d" if whole else "%.2f",
        placeholder=placeholder,
    )
    return value


def switch(
    place: Any,
    label: str,
    key: str,
    *,
    drops: Sequence[str] = (),
    help: str | None = None,  # noqa: A002
) -> bool:
    """Let the reader say yes."""
    given = (parameter(key) or "").lower()
    if given not in {"true", "false", ""}:
        st.warning(f"{label}: {code(given)} is neither `true` nor `false`.")
    value = given == "true"
    st.session_state[key] = value
    place.toggle(label, key=key, on_change=_written, args=(key, False, drops), help=help)
    return value


def text(
    place: Any,
    label: str,
    key: str,
    *,
    most: int = 100,
    drops: Sequence[str] = (),
    help: str | None = None,  # noqa: A002
    placeholder: str | None = None,
) -> str:
    """Let the reader type a line."""
    given = parameter(key) or ""
    if len(given) > most:
        st.warning(f"{label}: longer than {most} characters.")
    value = given[:most].strip()
    st.session_state[key] = value
    place.text_input(
        label,
        key=key,
        max_chars=most,
        on_change=_written,
        args=(key, "", drops),
        help=help,
        placeholder=placeholder,
    )
    return value


def title(text: str) -> None:
    """Name what is shown: the title of the browser's tab, its history and its bookmarks."""
    st.set_page_config(page_title=printable(text)[:MESSAGE])


def write(parameters: Mapping[str, Any]) -> None:
    """Change parameters of the URL at once, in one step of the history; None removes one."""
    there = {key: st.query_params.get_all(key) for key in st.query_params}
    asked = there | {key: _texts(value) for key, value in parameters.items()}
    asked = {key: values for key, values in asked.items() if values}
    if asked != there:
        st.query_params.from_dict(asked)


def _written(key: str, usual: Any, drops: Drops) -> None:
    """Write what the reader has chosen; what is chosen anyway is left out."""
    value = st.session_state[key]
    left = drops(value) if callable(drops) else dict.fromkeys(drops)
    write({key: None if value == usual else value, **left})


def _texts(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, float):
        return [f"{value:g}"]
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def _number(given: str, *, whole: bool) -> float | None:
    try:
        return int(given) if whole else float(given)
    except ValueError:
        return None


def _say_wrong(label: str, key: str, options: Sequence[str]) -> None:
    for value in dict.fromkeys(st.query_params.get_all(key)[:_LISTED]):
        if value not in options and value:
            known = [one for one in options if one]
            near = closest(value, known)
            listed = near or known[:_LISTED]
            more = ", …" if not near and len(known) > _LISTED else ""
            hint = "the nearest:" if near else "there is:"
            valid = ", ".join(code(one) for one in listed)
            st.warning(f"{label}: {code(value)} cannot be chosen here; {hint} {valid}{more}")


def _runs(text: str) -> list[str]:
    return [run for run in "".join(c if c == "`" else " " for c in text).split() if run]


def plain(text: str) -> str:
    r"""Text for Markdown whose every mark stands for itself."""
    return "".join("\\" + c if c in _MARKS else c for c in printable(" ".join(text.split())))


_MARKS = frozenset("\\`*_{}[]()<>#+-.!|~$:&")
