"""Run the tests of docs/robustness.md on other code: python -m tests.against FOLDER [TEST…]

FOLDER is another checkout, such as ``git worktree add FOLDER COMMIT`` makes. What tests import and
it has not is stood in for by a name that raises NameError once it is used; helpers of tests are
those of FOLDER where it has them, but for this one and the web server.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import pkgutil
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest

ROOT = Path(__file__).parents[1]
MEMORY = 16 * 10**9
SETATTR = pytest.MonkeyPatch.setattr
FORMERLY = {
    "unitdb.verification.verify": "unitdb.release.verification.verify",
    "unitdb.browser.middleware": "builtins.list",
}
"""What did the work of a name before there was the name."""
MOVED = ("unitdb.measures", "unitdb.pipeline", "unitdb.predictions", "unitdb.recipes")
"""Rooms whose names were in one room."""
FOUND: dict[str, list[str]] = {}
"""Of each test the first line of each error, and nothing for each pass."""


class Absent(type):
    """Of classes that stand for what is not there: to be named, not to be used."""

    def _refuse(cls, *_: Any, **__: Any) -> NoReturn:
        raise NameError(f"there is no {cls.__name__}")

    __call__ = __getitem__ = _refuse

    def __iter__(cls) -> Iterator[Any]:
        return iter(())  # so that lists of examples can be made of it

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{cls.__name__}.{name}", (Exception,), {})


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Stand in for what is imported in vain, and let what is not there be patched."""
    for file in sorted(Path("tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unitdb"):
                for alias in node.names:
                    stand_in(str(node.module), alias.name)
    pytest.MonkeyPatch.setattr = patch_what_is_there  # type: ignore[method-assign,assignment]


def patch_what_is_there(self: pytest.MonkeyPatch, *args: Any, **keys: Any) -> None:
    """As ``setattr`` of pytest, of what is there."""
    with contextlib.suppress(ImportError, AttributeError):
        SETATTR(self, *args, **keys)


def stand_in(module: str, name: str) -> None:
    """Make ``from module import name`` possible."""
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        found = sys.modules[module] = ModuleType(module)
        found.__path__ = []
    try:
        if getattr(found, name, None) is None:
            importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        place, _, former = FORMERLY.get(f"{module}.{name}", "").rpartition(".")
        if place:
            there = getattr(importlib.import_module(place), former)
        else:
            absent = Absent(f"{module}.{name}", (Exception,), {})
            there = of_one_room(name, absent) if module.startswith(MOVED) else absent
        setattr(found, name, there)


def of_one_room(name: str, absent: object) -> object:
    """What had the name in the room that was ``unitdb.build``."""
    try:
        room = importlib.import_module("unitdb.build")
    except ModuleNotFoundError:
        return absent
    modules = (f"unitdb.build.{module.name}" for module in pkgutil.iter_modules(room.__path__))
    places = [room, *map(importlib.import_module, modules)]
    return next((getattr(it, name) for it in places if name in dir(it)), absent)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what became of a test."""
    if report.when == "call" or not report.passed:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = crash.message if crash else str(report.longrepr or "")
        kind = {"setup": "fixture: ", "teardown": "afterwards: "}.get(report.when or "", "")
        FOUND.setdefault(report.nodeid.split("[")[0], []).append(
            "" if report.passed else kind + message.strip().split("\n")[0]
        )


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print a line a test: how many of its examples fail, and the errors."""
    if hasattr(config, "workerinput"):
        return
    for test, errors in sorted(FOUND.items()):
        failed = [error for error in errors if error]
        sys.stdout.write(f"{test}: {len(failed)} of {len(errors)} fail\n")
        for error in dict.fromkeys(failed):
            sys.stdout.write(f"    {error[:200]}\n")


def main(other: Path, tests: list[str]) -> None:
    """Run the marked tests of this checkout in a copy of the other, in bounds."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "checkout"
        shutil.copytree(other, place, ignore=shutil.ignore_patterns(".*", "releases"))
        for own in [ROOT / "pyproject.toml", *(ROOT / "tests").rglob("*.*")]:
            there = place / own.relative_to(ROOT)
            if (
                own.name.startswith(("test_", "conftest", "pyproject", "web", "against"))
                or not there.exists()
            ):
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(own, there)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "robust", "--timeout=60"]
        command += ["--no-summary", "--continue-on-collection-errors"]
        command += ["-p", "tests.against", "-p", "no:randomly"]
        # Whatever does not end, in C too, ends with its process, and another goes on.
        command += ["-n1", "--timeout-method=thread", "--max-worker-restart=999"]
        real = os.environ.get("UNITDB_REALDATA", str(ROOT.parent / "shared" / "realdata"))
        environment = os.environ | {"PYTHONPATH": str(place), "UNITDB_REALDATA": real}
        subprocess.run([*command, *tests], cwd=place, env=environment, check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
