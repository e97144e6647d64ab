"""Plumbing of the command line: commands loaded when they are run, and errors in one line."""

from __future__ import annotations

import errno
import importlib
import io
import sys
import traceback
import warnings
from typing import IO, Any, NamedTuple

import click

from unitdb.errors import MissingExtraError, UnitdbError
from unitdb.extras import install_hint
from unitdb.printable import printable

__all__ = ["Commands", "Lazy", "LazyCommand"]

_INTERRUPTED = 130


class Lazy(NamedTuple):
    """Where a command of an optional extra stands: import path, extra, and its short help."""

    path: str
    extra: str
    short_help: str


class _Failure(click.ClickException):
    """An error that is the user's to mend: one line, no traceback."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        line = printable(" ".join(self.message.split()))
        click.echo(f"unitdb: error: {line}", file=file, err=file is None)


class LazyCommand(click.Command):
    """Stands for a command until it is run."""

    def __init__(self, name: str, lazy: Lazy) -> None:
        super().__init__(name, short_help=lazy.short_help, help=lazy.short_help)
        self._lazy = lazy

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Load the command and let it parse its own arguments."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """Import the command.

        Raises
        ------
        MissingExtraError
            A package of the extra is not installed.
        """
        module, _, attribute = self._lazy.path.partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.partition(".")[0] == "unitdb":
                raise
            raise MissingExtraError(
                f"unitdb {self.name} needs the package {missing!r}: "
                f"{install_hint(self._lazy.extra)}"
            ) from error
        return command


class Commands(click.Group):
    """Turns errors into one line and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run as a program; what the encoding of the terminal lacks is spelled out."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes one line, and exit code 2."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except Exception as error:
                line = _one_line(error)
                if line is None:
                    raise
                _let_go(error)
            except KeyboardInterrupt:
                click.echo("unitdb: interrupted", err=True)
                ctx.exit(_INTERRUPTED)
            raise _Failure(line)


def _one_line(error: Exception) -> str | None:
    """What to say of an error that is the user's to mend; None of others, and of ``| head``."""
    if isinstance(error, UnitdbError):
        return str(error)
    if isinstance(error, OSError):  # `| head` has seen enough; click ends quietly
        return None if error.errno == errno.EPIPE else _of_system(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {error}".rstrip(": ")
    if isinstance(error, UnicodeEncodeError):  # a name that the locale has no letters for
        return f"{error.object!r} cannot be written in the locale's encoding, {error.encoding}"
    return None


def _let_go(error: BaseException) -> None:
    """Drop what the frames of an error hold, as open databases, before the interpreter ends."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
        error = error.__cause__ or error.__context__  # type: ignore[assignment]


def _of_system(error: OSError) -> str:
    """What the system said, and of which file."""
    if error.strerror is None or error.errno is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"unitdb: warning: {printable(' '.join(str(message).split()))}", err=True)
