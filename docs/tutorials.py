"""Run the tutorials, and keep what they print and draw.

``python docs/tutorials.py RELEASES [NAME …]`` runs ``examples/NAME.py``, each in a process of its
own, with the releases of ``unitdb demo`` in RELEASES. What it prints is written to
``docs/tutorials/NAME.txt``, and what it draws to ``NAME.png``. The site shows both below the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN = ROOT / "docs" / "tutorials"
DRAWN = {"find_units": "sample", "identify": "sample-topdown"}
"""Scripts that draw a figure, and the release that it is of."""
BUILT = ("build_from_bids", "score_network")
"""Scripts that build a release, in the folder that they are given."""


def names() -> list[str]:
    """All tutorials."""
    return sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


def run(name: str, releases: Path, folder: Path) -> str:
    """Run a tutorial in an empty folder; gives what it prints."""
    arguments = ["sample"]
    if name in DRAWN:
        arguments = [DRAWN[name], str(folder)]
    elif name in BUILT:
        arguments = [str(folder)]
    done = subprocess.run(  # noqa: S603 - this project's
        [sys.executable, str(ROOT / "examples" / f"{name}.py"), *arguments],
        cwd=folder,
        env=os.environ | {"UNITDB_RELEASES": str(releases.resolve()), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name}.py: {done.stderr.strip()}")
    lines = done.stdout.splitlines()  # a path tells no reader anything
    return "\n".join(line.rstrip() for line in lines if not line.startswith("Release: ")) + "\n"


def main() -> None:
    """Write the text and the figure of each."""
    releases, *asked = sys.argv[1:]
    for name in asked or names():
        with tempfile.TemporaryDirectory() as folder:
            text = run(name, Path(releases), Path(folder))
            (SHOWN / f"{name}.txt").write_text(text, encoding="utf-8")
            if name in DRAWN:
                shutil.copy(Path(folder) / f"{name}.png", SHOWN)


if __name__ == "__main__":
    main()
