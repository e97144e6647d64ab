"""What reaches a terminal: one line for every error, and nothing that steers it."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import click
import psutil
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, strategies as st

from tests.hostile.liar import catalogue
from tests.rarely import rarely
from unitdb.cli import main, terminal
from unitdb.cli.lazy import Commands
from unitdb.printable import printable

UNITDB = [sys.executable, "-c", "from unitdb.cli import main; main()"]
STEERING = "\x1b[31mred\x07\r\x9b2J\u202eelif\u2066\u200f\x00\x7f\u2028\ud800\U000e0041"


def test_steering_characters_are_spelled_out() -> None:
    assert printable("a b ß 漢 é e\u0301 👩\u200d🔬") == "a b ß 漢 é e\u0301 👩\u200d🔬"
    assert printable("\x1b[31m\u202e") == "\\u001b[31m\\u202e"
    assert printable("a\nb\tc") == "a\\u000ab\\u0009c"
    assert printable("a\nb\tc\r", lines=True) == "a\nb\tc\\u000d"
    odd = "x\x7f\x9by"
    assert json.loads(f'"{printable(odd)}"') == odd  # JSON stays JSON


@given(st.text())
def test_what_is_printable_shows_itself_alone(text: str) -> None:
    shown = printable(text)
    assert not set(shown) & set("\x1b\r\n\x07\x9b\u202e\u2066\u2028\x00\x7f")
    shown.encode()
    assert len(shown.splitlines()) <= 1


@pytest.mark.robust(
    "hostile",
    given="escapes of terminals, marks that turn text around and rich's `[red]` in titles, names "
    "and values",
    before="sent to the terminal as they were",
    now="spelled out, as `\\u001b`, in tables, errors, warnings, JSON and CSV; no markup is read",
)
def test_titles_do_not_steer_the_terminal(tiny_copy: Path) -> None:
    root = tiny_copy.parents[1]
    title = STEERING.replace("\ud800", "") + "[red]\nsecond line"
    for path in (root / "releases.json", tiny_copy / "datapackage.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "releases" in content:
            version = content["releases"]["tiny"]["versions"]["1.0.0"]
            version["title"] = title
            version["errata"] = [title]
            version["retracted"] = {"reason": title, "replacement": None}
        else:
            content["title"] = content["licenses"][0]["name"] = title
            content["unitdb"]["citation"] = title
        path.write_text(json.dumps(content), encoding="utf-8")
    name, query = str(tiny_copy), f"SELECT '{title}' AS \"{title}\""
    for arguments in (
        ["releases"],
        ["describe", name],
        ["sql", name, query],
        ["sql", name, f"SELECT error('{title}')"],
        ["describe", title],
        ["units", name, "--roi", title],
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("always")  # as in a program: a retraction is a warning
            done = CliRunner().invoke(main, ["--releases", str(root), *arguments])
        assert done.exit_code in {0, 2}, done.output
        assert not set(done.output) & set(title) & set(STEERING) - set("[31mredJ2elif"), arguments
        assert "[red]" in done.output
        if done.exit_code:
            assert len(done.stderr.replace("SIMULATED", "").strip().splitlines()) <= 3


def test_rows_for_programs_are_as_they_are_and_those_for_terminals_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = terminal.output()
    for piece in ("é\x1b[31m".encode()[:1], "é\x1b[31m".encode()[1:]):
        assert shown.write(piece) == len(piece)
    assert capsys.readouterr().out == "é\\u001b[31m"
    assert terminal.cells(pa.table({"a": ["x\ny"]})) == [["x\ny"]]
    assert terminal.aligned(["a"], [["x\ny"]]).splitlines() == ["a", "x\\u000ay"]


def test_only_the_door_prints() -> None:
    """What commands print of a release goes through ``terminal.echo``."""
    package = Path(terminal.__file__).parents[1]
    files = [path for path in package.rglob("*.py") if "click.echo(" in path.read_text("utf-8")]
    found = {path.relative_to(package).as_posix() for path in files}
    assert found == {"cli/terminal.py", "cli/lazy.py", "cli/app.py"}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "x\x1b"), "x\\u001b: Permission denied"),
        (MemoryError("Unable to allocate 9 TiB"), "not enough memory: Unable to allocate 9 TiB"),
        (MemoryError(), "there is not enough memory"),
        (UnicodeEncodeError("ascii", "ä", 0, 1, "no"), "'ä' cannot be written"),
    ],
)
def test_errors_of_the_system_are_one_line(error: Exception, line: str) -> None:
    @click.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(Commands(commands={"fail": fail}), ["fail"])
    assert done.exit_code == 2
    (said,) = done.stderr.splitlines()
    assert line in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")
def test_a_full_disk(tiny_release: Path) -> None:
    command = [*UNITDB, "sql", str(tiny_release), "FROM accuracy", "--format", "csv"]
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    lines = done.stderr.splitlines()
    assert lines[-1] == "unitdb: error: No space left on device", done.stderr
    assert len(lines) == 2  # the other says that it is simulated


@pytest.mark.robust(
    "bounds",
    given="a full disk, or a folder that is not there, in `export`, `units --output`, `sql`",
    before="43 lines of `leaked instance` behind the error, a traceback of DuckDB, and a "
    "`.tmp.wal` that stayed; `.duckdb` files made the folder",
    now="one line, exit code 2, nothing left",
)
@pytest.mark.parametrize("ending", ["csv", *map(rarely, ("json", "parquet", "arrow")), "duckdb"])
def test_a_disk_that_fills(tiny_release: Path, tmp_path: Path, ending: str) -> None:
    resource = pytest.importorskip("resource")
    (tmp_path / "here").mkdir()
    table = [] if ending == "duckdb" else ["--table", "accuracy"]
    command = [*UNITDB, "export", str(tiny_release), *table, "--output"]
    # What counts lines writes files too, as this program ends.
    uncounted = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    done = subprocess.run(
        [*command, str(tmp_path / "here" / f"x.{ending}")],
        capture_output=True,
        text=True,
        check=False,
        env=uncounted,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("ending", ["csv", "json", "parquet", "arrow", "duckdb"])
def test_a_folder_that_is_not_there(tiny_release: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / "no" / f"x.{ending}"
    done = CliRunner().invoke(main, ["export", str(tiny_release), "--output", str(path)])
    assert done.exit_code == 2
    assert "no such folder" in done.stderr
    assert not path.parent.exists()


@pytest.mark.robust(
    "bounds",
    given="a locale without UTF-8 (`LC_ALL=C`, `POSIX`, code page 1252, ASCII)",
    before="UnicodeEncodeError where a text had a letter that the locale lacks",
    now="the letter is spelled out; files are UTF-8 whatever the locale is",
)
@pytest.mark.parametrize(
    "environment",
    [
        rarely({"LC_ALL": "C"}),
        rarely({"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        rarely({"PYTHONIOENCODING": "ascii"}),
        rarely({"PYTHONIOENCODING": "cp1252"}),
    ],
)
def test_locales_without_utf8(environment: dict[str, str], tiny_copy: Path, tmp_path: Path) -> None:
    root = tiny_copy.parents[1]
    listed = catalogue(root)
    listed["releases"]["tiny"]["versions"]["1.0.0"]["title"] = "τίτλος 漢字"
    (root / "releases.json").write_text(json.dumps(listed), encoding="utf-8")
    folder = tmp_path / "ürf"
    folder.mkdir()
    for arguments in (
        ["releases"],
        ["sql", "tiny", "SELECT chr(28450) AS a", "--output", str(folder / "x.csv")],
        ["units", "tiny", "--roi", "ß漢"],
    ):
        done = subprocess.run(
            [*UNITDB, "--releases", str(root), *arguments],
            capture_output=True,
            check=False,
            env=os.environ | environment,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.returncode == (2 if "--roi" in arguments else 0), done.stderr
    assert "漢" in (folder / "x.csv").read_text(encoding="utf-8")


def test_an_interrupt_is_one_line() -> None:
    @click.command()
    def wait() -> None:
        raise KeyboardInterrupt

    done = CliRunner().invoke(Commands(commands={"wait": wait}), ["wait"])
    assert (done.exit_code, done.stderr) == (130, "unitdb: interrupted\n")


def wait_till_computing(pid: int) -> None:
    """Return when a process has computed for half a second more."""
    process, deadline = psutil.Process(pid), time.monotonic() + 300
    started = process.cpu_times().user
    while process.cpu_times().user - started <= 0.5:
        assert time.monotonic() < deadline, "it does not compute"
        time.sleep(0.05)


def test_ctrl_c_in_a_query(tiny_release: Path) -> None:
    endless = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(1000000000) b"
    with subprocess.Popen(
        [*UNITDB, "sql", str(tiny_release), endless], stderr=subprocess.PIPE, text=True
    ) as command:
        try:
            assert command.stderr is not None
            assert command.stderr.readline().startswith("SIMULATED")
            wait_till_computing(command.pid)
            command.send_signal(signal.SIGINT)
            _, said = command.communicate(timeout=300)
        finally:
            command.kill()
    assert (command.returncode, said) == (130, "unitdb: interrupted\n")


def test_a_reader_that_has_gone(tiny_release: Path) -> None:
    arguments = ["units", str(tiny_release), "--format", "json"]
    with subprocess.Popen(
        [*UNITDB, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        try:
            assert b"Traceback" not in command.communicate(timeout=300)[1]
        finally:
            command.kill()


def test_a_terminal_reads_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    out = io.StringIO()
    monkeypatch.setattr(
        terminal, "Console", lambda: Console(file=out, force_terminal=True, width=80)
    )
    terminal.print_table(["a\x1b[1m"], [["[link=x]b[/link]\r"]], title="t\u202e")
    assert "[link=x]b[/link]\\u000d" in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert "\x1b[1mb" not in out.getvalue()
