"""What comes from outside: names that become paths, values of JSON, texts of bounded size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from unitdb.schema import is_device

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "LARGEST_TEXT",
    "SHA256_PATTERN",
    "VERSION_PATTERN",
    "bounded_bytes",
    "bounded_text",
    "check_paths",
    "matching",
    "typed",
]

LARGEST_TEXT = 1 << 26
"""Bytes of a text file, or of one whose size nobody states, at the most."""

VERSION_PATTERN = r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
SHA256_PATTERN = r"[0-9a-f]{64}"

# What every file system takes as one name, and no shell, glob, address or git reads otherwise.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}(?<!\.)")
_LONGEST = 1000


def check_paths(paths: Iterable[Any]) -> None:
    """See that texts can be files of one folder, on any system: relative, with ``/``, distinct.

    Raises
    ------
    TypeError, ValueError
        One is no text, leaves the folder, holds what some system does not take in a name (control
        characters, drive letters, names of devices), or is another in other case, or its folder.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        parts = typed(path, str).split("/")
        if path.startswith("/") or ".." in parts or "\\" in path or ":" in path:
            raise ValueError(f"{path[:80]!r} leaves the folder of the release")
        if len(path) > _LONGEST or not all(map(_is_name, parts)):
            raise ValueError(f"{path[:80]!r} cannot be the name of a file on every system")
        folded = path.casefold()
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        clashes = [files.get(folded), folders.get(folded)]
        clashes += [files.get(folder.casefold()) for folder in above]
        clashes += [
            known
            for folder in above
            if (known := folders.setdefault(folder.casefold(), folder)) != folder
        ]
        for clash in filter(None, clashes):
            raise ValueError(f"{path!r} and {clash!r} cannot lie in one folder")
        files[folded] = path


def _is_name(part: str) -> bool:
    return bool(_PART.fullmatch(part)) and not is_device(part)


def bounded_text(path: Path) -> str:
    """Read a text file (UTF-8) that is no pipe, no device, and not larger than texts are.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError, UnicodeDecodeError
        It is something else, too large, or not UTF-8.
    """
    return bounded_bytes(path, most=LARGEST_TEXT).decode("utf-8")


def bounded_bytes(path: Path, *, most: int) -> bytes:
    """Read a file that is no pipe, no device, and has ``most`` bytes at the most.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    OSError
        It is something else, or larger.
    """
    if path.exists() and not path.is_file():
        raise OSError(f"{path}: not a file")
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"{path}: larger than {most / 1e6:.0f} MB")
    return content


def typed(value: Any, kind: type) -> Any:
    """Give the value, if it is of exactly this type.

    Raises
    ------
    TypeError
        It is not.
    """
    if type(value) is not kind:
        raise TypeError(f"{_short(value)} is not of type {kind.__name__}")
    return value


def matching(value: Any, pattern: str) -> str:
    """Give the value, if it is a text that is as a regular expression says.

    Raises
    ------
    TypeError, ValueError
        It is not.
    """
    if not re.fullmatch(pattern, typed(value, str)):
        raise ValueError(f"{_short(value)} does not match {pattern!r}")
    return str(value)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
