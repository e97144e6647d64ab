"""Plumbing of the command line: commands loaded when they are run, and errors in one line."""

from __future__ import annotations

import errno
import importlib
import warnings
from typing import IO, Any, NamedTuple

import click

from unitdb.errors import MissingExtraError, UnitdbError

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
        click.echo(f"unitdb: error: {' '.join(self.message.split())}", file=file, err=file is None)


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
                f"pip install 'unitdb[{self._lazy.extra}]'"
            ) from error
        return command


class Commands(click.Group):
    """Turns errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes one line, and exit code 2."""
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except UnitdbError as error:
                raise _Failure(str(error)) from error
            except OSError as error:
                if error.errno == errno.EPIPE:  # `| head` has seen enough; click ends quietly
                    raise
                raise _Failure(str(error)) from error
            except KeyboardInterrupt:
                ctx.exit(_INTERRUPTED)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"unitdb: warning: {message}", err=True)
