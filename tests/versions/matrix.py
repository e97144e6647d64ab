"""Reads and builds at the lowest and the newest versions of packages, on each Python that is here.

Run as ``python -m tests.versions.matrix``, or ``make test-versions``. Each combination has a venv
of its own. The lowest versions are those that ``pyproject.toml`` states, or the lowest above that
have a wheel for the Python. torch is a CPU build where one can be had (``PIP_FIND_LINKS``,
``PIP_EXTRA_INDEX_URL``); without it, all of building is tested but the networks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOWEST, NEWEST = 11, 20  # minor versions of Python 3 that are looked for
TORCH = "torch==2.13.0+cpu"
READING = ("remote",)
BUILDING = ("remote", "build")


def pythons() -> dict[int, Path]:
    """The Pythons of this machine, by minor version: on PATH, or of pyenv."""
    found: dict[int, Path] = {}
    pyenv = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    for minor in range(LOWEST, NEWEST + 1):
        named = [shutil.which(f"python3.{minor}"), sys.executable]
        named += sorted(Path(pyenv).glob(f"versions/3.{minor}.*/bin/python"))
        for candidate in filter(None, named):
            asked = [str(candidate), "-c", "import sys; print(*sys.version_info[:2])"]
            said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
            if said.split() == ["3", str(minor)]:
                found[minor] = Path(candidate)
                break
    return found


def uv(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run uv, with the places of packages that pip is told of."""
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never")
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL"):
        if f"PIP_{name}" in os.environ:
            environment.setdefault(f"UV_{name}", os.environ[f"PIP_{name}"])
    return subprocess.run(
        [sys.executable, "-m", "uv", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=check,
    )


def requirements(folder: Path, python: Path, which: str, extras: tuple[str, ...]) -> Path:
    """Resolve the packages of extras to exact versions, without torch where none can be had."""
    for torch in (TORCH, "torch; python_version < '3'"):
        override, found = folder / "override.txt", folder / f"{which}-{len(extras)}.txt"
        override.write_text(torch + "\n")
        done = uv(
            *("pip", "compile", "pyproject.toml", "--quiet", "--only-binary", ":all:"),
            *("--python", str(python), "--override", str(override), "-o", str(found)),
            *("--resolution", "lowest-direct" if which == "lowest" else "highest"),
            *(f"--extra={extra}" for extra in extras),
            check=False,
        )
        if not done.returncode:
            return found
    raise SystemExit(done.stderr)


def tried(folder: Path, minor: int, python: Path, which: str) -> list[str]:
    """Read and build in a new venv; gives what failed."""
    start = time.monotonic()
    folder.mkdir()
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    venv = folder / "venv"
    uv("venv", "--quiet", "--python", str(python), str(venv))
    own = venv / ("Scripts" if os.name == "nt" else "bin") / "python"
    failed = []
    for name, extras in (("building", BUILDING), ("reading", READING)):
        packages = requirements(folder, python, which, extras)
        uv("pip", "sync", "--quiet", "--python", str(own), str(packages))
        uv("pip", "install", "--quiet", "--python", str(own), "--no-deps", "--editable", ".")
        has_torch = "torch==" in packages.read_text(encoding="utf-8")
        arguments = [str(folder / "built"), *([str(folder / "out")] if name == "reading" else [])]
        if name == "reading":
            arguments[0] = str(folder / "built" / "published" / "tiny" / "1.0.0")
        done = subprocess.run(
            [str(own), "-m", f"tests.versions.{name}", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            check=False,
        )
        label = f"Python 3.{minor}, {which} versions: {name}"
        without = "" if has_torch or name == "reading" else " (networks not: no torch for it here)"
        mark = "FAILED" if done.returncode else "well"
        sys.stdout.write(f"{label}: {mark}{without} ({time.monotonic() - start:.0f} s)\n")
        sys.stdout.flush()
        if done.returncode:
            failed.append(label)
            sys.stdout.write(done.stderr[-3000:] + packages.read_text(encoding="utf-8"))
    return failed


def main() -> int:
    """Try all combinations; exit code 1 where one fails."""
    here = pythons()
    missing = [minor for minor in range(LOWEST, max(here) + 1) if minor not in here]
    chosen = sorted({min(here), max(here)})
    sys.stdout.write(f"Pythons here: {', '.join(f'3.{minor}' for minor in here)}")
    sys.stdout.write(f"; tried: {', '.join(f'3.{minor}' for minor in chosen)}")
    sys.stdout.write(f"; not here: {', '.join(f'3.{m}' for m in missing) or 'none between'}\n")
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for minor, which in product(chosen, ("lowest", "newest")):
            failed += tried(Path(folder) / f"{minor}-{which}", minor, here[minor], which)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
