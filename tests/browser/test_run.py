from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

import unitdb.browser
from unitdb.errors import MissingExtraError
from unitdb.extras import install_hint


def test_without_streamlit_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=re.escape(install_hint("app"))):
        unitdb.browser.run("tiny")


def test_it_serves_this_machine_only_and_reports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    def record(command, *, env, check):
        started.append((command, env))
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(subprocess, "run", record)
    assert unitdb.browser.run("tiny@1.0.0", releases=Path("somewhere")) == 7
    ((command, environment),) = started
    assert {"--browser.gatherUsageStats=false", "--server.address=127.0.0.1"} <= set(command)
    assert environment["UNITDB_RELEASE"] == "tiny@1.0.0"
    assert environment["UNITDB_RELEASES"] == "somewhere"
