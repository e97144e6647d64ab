"""The wheel, built from the sdist and installed anew: ``unitdb demo`` in an empty folder.

Run as ``python -m tests.versions.package``, or ``make test-package``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
WITHIN = (
    "unitdb/py.typed",
    "unitdb/_datasets/sample/dataset.yaml",
    "unitdb/_pipelines/sample.yaml",
)
"""Files that a wheel must hold besides code."""


def run(*command: object, cwd: Path) -> str:
    """Run a program without this checkout on its path; what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = done.stdout[-2000:] + done.stderr[-3000:]
        raise SystemExit(f"{' '.join(map(str, command))}\n{said}")
    return done.stdout


def built(folder: Path) -> Path:
    """Wheel that is made from the sdist, not from the checkout."""
    run(sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    missing = set(WITHIN) - set(zipfile.ZipFile(wheel).namelist())
    if missing:
        raise SystemExit(f"{wheel.name} lacks {', '.join(sorted(missing))}")
    return wheel


def main() -> int:
    """Build, install and try the wheel."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "install")
        options = ("--quiet", "--constraint", ROOT / "constraints.txt")
        run(*pip, *options, f"unitdb[demo] @ {wheel.as_uri()}", cwd=folder)
        empty = folder / "empty"
        empty.mkdir()
        printed = run(programs / "unitdb", "demo", cwd=empty)
        if "SIMULATED" not in printed or not list(empty.glob("releases/sample/*/SHA256SUMS")):
            raise SystemExit(f"unitdb demo printed\n{printed[-2000:]}")
        run(programs / "unitdb", "verify", "sample", cwd=empty)
    sys.stdout.write(f"{wheel.name}: well ({time.monotonic() - start:.0f} s)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
