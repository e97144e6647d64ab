"""What is missing is installed by a command that works where unitdb is from."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import unitdb.extras
from unitdb.extras import install_hint, upgrade_hint

CHECKOUT = Path(unitdb.__file__).parents[1]
COMMIT = "a" * 40


class _Distribution:
    def __init__(self, noted: dict[str, object] | None) -> None:
        self._noted = None if noted is None else json.dumps(noted)

    def read_text(self, _: str) -> str | None:
        return self._noted


@pytest.fixture
def noted(monkeypatch):
    """Let the installation be from elsewhere, as pip notes it."""

    def note(origin: dict[str, object] | None) -> None:
        monkeypatch.setattr(importlib.metadata, "distribution", lambda _: _Distribution(origin))
        monkeypatch.setattr("unitdb.extras._pip", lambda: "pip")

    return note


GIT = {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"}


@pytest.mark.parametrize(
    ("origin", "install", "upgrade"),
    [
        (
            {"url": "file://{here}", "dir_info": {"editable": True}},
            "pip install -e '{here}[build]'",
            "bring {here} up to date, then pip install -e {here}",
        ),
        (
            {"url": "file://{here}", "dir_info": {}},
            "pip install '{here}[build]'",
            "bring {here} up to date, then pip install {here}",
        ),
        (
            {"url": "file://{here}/a%20b", "dir_info": {"editable": True}},
            "pip install -e '{here}/a b[build]'",
            "bring {here}/a b up to date, then pip install -e '{here}/a b'",
        ),
        (
            {"url": "https://host/lab/unitdb.git", "vcs_info": GIT},
            f"pip install 'unitdb[build] @ git+https://host/lab/unitdb.git@{COMMIT}'",
            "pip install --upgrade 'unitdb @ git+https://host/lab/unitdb.git'",
        ),
        (
            {"url": "file://{here}", "vcs_info": GIT, "subdirectory": "code"},
            f"pip install 'unitdb[build] @ git+file://{{here}}@{COMMIT}#subdirectory=code'",
            "pip install --upgrade 'unitdb @ git+file://{here}#subdirectory=code'",
        ),
        (
            {"url": "file://{here}/w.whl", "archive_info": {}},
            "pip install 'unitdb[build] @ file://{here}/w.whl'",
            "install a newer one from a checkout of it (pip install .)",
        ),
        (
            {"url": "file://{here}/gone", "dir_info": {"editable": True}},
            "in a checkout of unitdb, pip install -e '.[build]'",
            "install a newer one from a checkout of it (pip install .)",
        ),
        (  # no note, as of an index or a folder of wheels: the checkout that the code runs in
            None,
            f"pip install -e '{CHECKOUT}[build]'",
            f"bring {CHECKOUT} up to date, then pip install -e {CHECKOUT}",
        ),
    ],
)  # fmt: skip
def test_the_hint_names_where_it_was_installed_from(origin, install, upgrade, noted, tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "w.whl").touch()
    here = str(tmp_path)
    noted(json.loads(json.dumps(origin).replace("{here}", here)))
    assert install_hint("build") == install.replace("{here}", here)
    assert upgrade_hint() == upgrade.replace("{here}", here)


def test_without_note_or_checkout_it_says_what_to_do_in_one(noted, monkeypatch, tmp_path):
    noted(None)
    monkeypatch.setattr(unitdb.extras, "__file__", str(tmp_path / "unitdb" / "extras.py"))
    assert install_hint("app") == "in a checkout of unitdb, pip install -e '.[app]'"
    assert upgrade_hint() == "install a newer one from a checkout of it (pip install .)"


def test_pip_is_that_of_this_environment(monkeypatch, tmp_path):
    (tmp_path / "pip").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert f"{shlex.quote(sys.executable)} -m pip install" in install_hint("app")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert " -m pip" not in install_hint("app")


def test_the_command_works(noted, tmp_path):
    """pip takes it, with the extra, in a folder with a blank: a project of nothing else."""
    folder = tmp_path / "my unitdb"
    folder.mkdir()
    wheel = folder / "unitdb-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        named = "Metadata-Version: 2.1\nName: unitdb\nVersion: 1.0\nProvides-Extra: build\n"
        file.writestr("unitdb-1.0.dist-info/METADATA", named)
        kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr("unitdb-1.0.dist-info/WHEEL", kind)
        file.writestr("unitdb-1.0.dist-info/RECORD", "")
    noted({"url": wheel.as_uri(), "archive_info": {}})
    _, *options = shlex.split(install_hint("build"))
    done = subprocess.run(
        [sys.executable, "-m", "pip", *options, "--dry-run", "--no-index", "--ignore-installed"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Would install unitdb-1.0" in done.stdout


def test_no_text_names_an_index_that_has_no_unitdb():
    """Hints are made in one place; guides say what works in a checkout."""
    texts = [CHECKOUT / "README.md", CHECKOUT / "app.py"]
    for folder in ("unitdb", "docs", "examples", "datasets", "pipelines"):
        texts += [*(CHECKOUT / folder).rglob("*.py"), *(CHECKOUT / folder).rglob("*.md")]
    wrong = re.compile(r"pip install (?:-\S+ )*['\"]?unitdb(?!.* @ )")
    said = [path.name for path in texts if wrong.search(path.read_text("utf-8"))]
    assert not said
