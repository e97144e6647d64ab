"""Text from elsewhere as a terminal may be given it: what would steer it is spelled out."""

from __future__ import annotations

import unicodedata

__all__ = ["printable"]

# Controls (escapes, bells, carriage returns), what turns the direction of text, what is invisible,
# halves of pairs, and ends of lines that are no newline.
_STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_KEPT = {"\u200c", "\u200d"}  # joiners, which scripts and emoji need


def printable(text: str, *, lines: bool = False) -> str:
    r"""Spell out, as ``\u001b``, each character that does more than to show itself.

    Parameters
    ----------
    text : str
        Any text.
    lines : bool
        Leave newlines and tabs as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    left = _KEPT | ({"\n", "\t"} if lines else set())
    return "".join(c if c in left or not _steers(c) else _spelled(c) for c in text)


def _steers(character: str) -> bool:
    return unicodedata.category(character) in _STEERING


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
