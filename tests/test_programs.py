"""Programs that hang are stopped, and those that work silently are not."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from unitdb import programs, watching
from unitdb.errors import ProgramError
from unitdb.programs import json_lines, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")

HANGS = "import subprocess, sys; subprocess.run(['sleep', '600'])"
WORKS = "import time\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass\nprint('{}')"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(watching, "SECONDS", 1.5)
    monkeypatch.setattr(watching, "_SECONDS_BETWEEN", 0.1)
    monkeypatch.setattr(programs, "find_program", lambda _: sys.executable)


@pytest.mark.robust(
    "bounds",
    given="git, git-annex or DataLad that hang, or wait for a server that says nothing",
    before="waited for for ever",
    now="stopped, with what they have started, after 600 s without a sign of work (time on a "
    "processor, bytes read or written); a transfer may take days",
)
@pytest.mark.parametrize("call", [run, lambda *args, **to: list(json_lines(*args, **to))])
def test_a_program_that_hangs_is_stopped(call, tmp_path: Path):
    began = time.monotonic()
    with pytest.raises(ProgramError, match=r"^git -c: stopped after 2 s without a sign of work"):
        call("git", "-c", HANGS, folder=tmp_path)
    assert time.monotonic() - began < 300


@pytest.mark.parametrize("call", [run, lambda *args, **to: list(json_lines(*args, **to))])
def test_a_program_that_works_silently_is_not(call, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(watching, "SECONDS", 3.0)
    assert call("git", "-c", WORKS, folder=tmp_path) in ("{}\n", [{}])
