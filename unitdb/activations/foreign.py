"""Errors of code that is not ours, in one line that says where."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unitdb.errors import ModelError, UnitdbError

__all__ = ["as_model_error", "told"]

_MOST = 300
_OURS = str(Path(__file__).parents[1])
_INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platlib", "purelib")})


def told(cause: BaseException) -> str:
    """Type and text of an error, and the line of the user's code that it is from.

    That is the last line that is neither of an installed package nor of unitdb; where there is
    none, the last of a package.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(cause.__traceback__)
        if not frame.filename.startswith((_OURS, "<"))
    ]
    users = [frame for frame in frames if not frame.filename.startswith(_INSTALLED)]
    place = "".join(f" ({frame.filename}:{frame.lineno})" for frame in (users or frames)[-1:])
    text = " ".join(str(cause).split())
    shown = text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
    return f"{type(cause).__name__}{': ' if shown else ''}{shown}{place}"


@contextmanager
def as_model_error(where: str) -> Iterator[None]:
    """Make a ModelError of whatever code of others raises here, an end of the program included.

    Raises
    ------
    ModelError
        ``where``, and what :func:`told` says.
    """
    try:
        yield
    except UnitdbError:
        raise
    except (Exception, SystemExit) as cause:
        raise ModelError(f"{where}: {told(cause)}") from cause
