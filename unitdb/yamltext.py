"""YAML as people mean it: what programs read in different ways is refused, not guessed."""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

import yaml

__all__ = ["MOST_BYTES", "parse_yaml"]

MOST_BYTES = 1_000_000
"""The longest text that is read; the longest dataset.yaml of unitdb has 8,000."""

_DEEPEST = 40
_MOST_DIGITS = 19  # of an int64: larger ones are tracebacks of those who compute with them
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_KINDS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0|[1-9][0-9]*)",
    "float": r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
}
_INSTEAD = {
    "bool": "write true or false, or put it in quotes if it is text",
    "int": "write a number in decimal digits, or put it in quotes if it is text",
    "float": "write a number in decimal digits, or put it in quotes if it is text",
}


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases, tags, merged or repeated keys, and without ambiguous scalars."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):  # few of them can stand for very much
            raise _error("aliases (*name) are not allowed", event)
        if getattr(event, "tag", None) is not None:
            raise _error(f"tags ({event.tag}) are not allowed", event)
        if isinstance(event, yaml.ScalarEvent):
            if re.search("[\ud800-\udfff]", event.value):
                raise _error("half a character (a lone surrogate)", event)
            if found := _CONTROL.search(event.value):
                raise _error(f"a control character ({found[0]!r}), which no text has", event)
            if event.implicit[0]:
                self._check_scalar(event)
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _error(f"more than {_DEEPEST} lists and mappings in each other", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _check_scalar(self, event: yaml.ScalarEvent) -> None:
        """Refuse what YAML 1.1 and 1.2 differ in: yes, 017, 1:30, 1_000, .inf, dates."""
        given = yaml.ScalarNode, event.value, event.implicit
        older = yaml.SafeLoader.resolve(_of_older, *given)  # type: ignore[no-untyped-call]
        tag = self.resolve(*given)  # type: ignore[no-untyped-call]
        if older not in (tag, "tag:yaml.org,2002:str"):
            instead = _INSTEAD.get(older.rpartition(":")[2], "put it in quotes if it is text")
            raise _error(f"programs read {event.value!r} in different ways: {instead}", event)
        if tag.endswith(":int") and _is_beyond(event.value):
            raise _error("an integer that 64 bits do not hold", event)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # refused below
            if not isinstance(key, str):
                problem = f"the key {key_node.value!r} is no text: put it in quotes"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_of_older = yaml.SafeLoader("")
_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern in _KINDS.items():
    # None: whatever the first character is.
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?:{_pattern})\Z"), None
    )


def parse_yaml(text: str) -> Any:
    """Read a text of mappings, lists, texts, decimal numbers, true, false and null.

    Parameters
    ----------
    text : str
        One document of YAML.

    Raises
    ------
    ValueError
        What is wrong and where, in one line. Aliases, tags, keys that are no text or stand twice,
        more than 40 levels, control characters, integers that 64 bits do not hold, and scalars that
        YAML 1.1 and 1.2 read differently are wrong too.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}{cause.problem}") from None
    except (yaml.YAMLError, ValueError) as cause:  # PyYAML lets errors of its conversions through
        raise ValueError(" ".join(str(cause).split())) from None


def _is_beyond(number: str) -> bool:
    if len(number.lstrip("+-")) > _MOST_DIGITS:
        return True
    return not -(2**63) <= int(number) < 2**63


def _error(problem: str, event: Any) -> yaml.composer.ComposerError:
    return yaml.composer.ComposerError(None, None, problem, event.start_mark)
