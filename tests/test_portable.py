"""Reading without what Windows lacks: fcntl, resource and the calls of POSIX alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unitdb.files import files_below

_SCRIPT = """
import os, signal, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "readline"):
    sys.modules[name] = None
for name in ("numba", "PIL", "pydantic", "scipy", "sklearn", "torch", "yaml"):
    sys.modules[name] = None  # the core install
for module, names in {
    os: ["fork", "forkpty", "getuid", "geteuid", "setsid", "killpg", "fchmod"],
    signal: ["SIGKILL", "SIGALRM", "SIGHUP", "alarm", "setitimer", "pthread_sigmask"],
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

from pathlib import Path
import unitdb
from unitdb.cli import main
from unitdb.release import fetch

store, root = map(Path, sys.argv[1:])
fetch("tiny", source=str(store), releases=root)
main(["--releases", str(root), "fetch", "tiny", "--from", str(store)], standalone_mode=False)
main(["--releases", str(root), "verify", "tiny"], standalone_mode=False)
release = unitdb.open("tiny", releases=root)
units = release.units(roi="V1").top(3, by="mean_r")
units.to_csv(root / "units.csv")
release.sql("SELECT count(*) FROM accuracy")
print(len(units.to_pandas()), "units")
"""


@pytest.mark.robust(
    "publishing",
    given="`import unitdb`, `unitdb fetch`, `verify` and queries on a system without `fcntl`, "
    "`resource` and the calls of POSIX alone (Windows)",
    before="ModuleNotFoundError: No module named 'fcntl'",
    now="fetched, verified and queried",
)
def test_reading_needs_nothing_of_posix_alone(tiny_release: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, tiny_release.parents[1], tmp_path / "mine"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 units"


def test_names_of_files_do_on_every_system(tiny_release: Path) -> None:
    names = {part for path in files_below(tiny_release) for part in path.split("/")}
    assert [name for name in names if re.search(r'[<>:"\\|?*\x00-\x1f]|[. ]$', name)] == []
