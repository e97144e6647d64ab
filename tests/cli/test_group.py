"""The group of commands: help, commands that are loaded late, interrupts, warnings."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from unitdb.cli import LAZY, main
from unitdb.cli.lazy import Commands, Lazy, LazyCommand
from unitdb.extras import install_hint


def test_help_lists_all_commands_without_loading_them() -> None:
    code = (
        "import sys\nfrom unitdb.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'torch', 'pydantic', 'streamlit', 'duckdb', 'unitdb.pipeline'}\n"
        "heavy |= {'unitdb.recipes', 'unitdb.browser'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, lazy in LAZY.items():
        assert name in done.stdout
        assert lazy.short_help in done.stdout


@pytest.mark.parametrize("room", ["pipeline", "imports", "publish", "verification.recomputed"])
def test_what_runs_no_network_and_decodes_nothing_is_there_at_once(room: str) -> None:
    heavy = {"torch", "numba", "scipy.stats", "sklearn"}
    code = f"import sys, unitdb.{room}; print(*{heavy} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"


@pytest.mark.parametrize("command", sorted(set(main.commands) - set(LAZY)))
def test_help_names_the_python_call(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert result.exit_code == 0
    assert "In Python: " in result.stdout
    assert all(
        option.help for option in main.commands[command].params if isinstance(option, click.Option)
    )


def group(command: click.Command) -> Commands:
    return Commands(commands={command.name or "": command})


def test_a_missing_extra_says_what_to_install() -> None:
    lazy = LazyCommand("build", Lazy("no_such_package.commands:build", "build", "Build."))
    result = CliRunner().invoke(group(lazy), ["build", "recipe.yaml"])
    assert result.exit_code == 2
    assert "needs the package 'no_such_package'" in result.stderr
    assert install_hint("build") in result.stderr


def test_a_lazy_command_runs_with_its_own_options() -> None:
    lazy = LazyCommand("app", LAZY["app"])
    result = CliRunner().invoke(group(lazy), ["app", "--help"])
    assert result.exit_code == 0
    assert "[RELEASE]" in result.stdout


def test_an_interrupt_is_exit_code_130() -> None:
    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(group(wait), ["wait"])
    assert result.exit_code == 130


def test_a_bug_is_not_dressed_up() -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    result = CliRunner().invoke(group(broken), ["broken"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_warning_is_one_line() -> None:
    code = (
        "import click, warnings\nfrom unitdb.cli.lazy import Commands\n"
        "@click.command()\ndef warn(): warnings.warn('old')\n"
        "Commands(commands={'warn': warn})(['warn'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == "unitdb: warning: old\n"


def test_a_closed_pipe_is_quiet(tiny_release: Path) -> None:
    head = shutil.which("head")
    assert head is not None
    code = "from unitdb.cli import main; main()"
    query = "SELECT * FROM range(200000)"
    with subprocess.Popen(
        [sys.executable, "-c", code, "sql", str(tiny_release), query, "--format", "csv"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.readline()
        command.stdout.close()
        assert b"Traceback" not in command.stderr.read()
    assert command.returncode in {0, 1}


def test_terminal_tables_show_brackets_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from unitdb.cli import terminal

    out = io.StringIO()
    monkeypatch.setattr(
        terminal, "Console", lambda: Console(file=out, force_terminal=True, width=60)
    )
    terminal.print_table(["[red]a"], [["[bold]b"]], title="[x] SIMULATED")
    assert all(text in out.getvalue() for text in ("[red]a", "[bold]b", "SIMULATED"))


def test_a_build_beside_that_fails_is_one_line(tmp_path, capfd):
    from unitdb.cli.building.build import _built_beside

    with (
        pytest.raises(SystemExit) as ended,
        _built_beside(tmp_path, tmp_path / "absent.yaml", replace=True, datasets=()) as wait,
    ):
        wait()
    assert ended.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "absent.yaml" in line
