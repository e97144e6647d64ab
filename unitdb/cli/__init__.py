"""The command line: every command is a thin wrapper of one Python call."""

from unitdb.cli.commands import LAZY, main

__all__ = ["LAZY", "main"]
