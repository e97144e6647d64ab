from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
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


PROJECT = Path(unitdb.__file__).parents[1]


def test_the_script_by_itself_has_the_same_options() -> None:
    """`streamlit run app.py` reads them from a file beside it."""
    settings = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text("utf-8"))
    found = {
        f"--{part}.{name}={str(value).lower() if isinstance(value, bool) else value}"
        for part, values in settings.items()
        for name, value in values.items()
    }
    assert found == set(unitdb.browser._OPTIONS)


@pytest.mark.robust(
    "hostile",
    given="`streamlit run app.py` without options, in the project or in another folder",
    before="listened on all interfaces (and refused who asked from elsewhere)",
    now="listens on 127.0.0.1 alone, as `unitdb app` does",
)
@pytest.mark.parametrize("folder", [PROJECT, None])
def test_the_script_by_itself_listens_to_this_machine(folder: Path | None, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    pytest.importorskip("streamlit", reason="needs the extra app")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")}
    options = ["--server.headless=true", f"--server.port={port}"]
    with subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(PROJECT / "app.py"), *options],
        cwd=folder or tmp_path,
        env=environment | {"HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            listens: set[str] = set()
            deadline = time.monotonic() + 120
            while not listens and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
                known = psutil.Process(process.pid).net_connections(kind="tcp")
                listens = {one.laddr.ip for one in known if one.status == "LISTEN"}
        finally:
            process.kill()
            said = process.communicate()[0].decode()
    assert listens == {"127.0.0.1"}, said
