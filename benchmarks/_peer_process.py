"""The other decoders' environment and process, seen from this side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import numpy as np
from _data import ALPHA, KEPT, N_TRAIN, Problem
from numpy.typing import NDArray

__all__ = ["PeerProcess", "make_environment"]

_REQUIRED = ("fastl2lir==0.11", "numpy<2.4", "scipy<1.18", "scikit-learn<1.10")
_OPTIONAL = ("himalaya==0.4.11", "packaging")  # which it imports without requiring it


def make_environment(folder: Path) -> Path:
    """Python of the environment with the other decoders, which is made if it is not there.

    fastl2lir cannot run on the NumPy that the engine may use.
    """
    python = folder / "bin" / "python"
    if not _runs(python, "import fastl2lir, sklearn"):
        print(f"Setting up {folder.name} (a minute) …", flush=True)
        venv.create(folder, with_pip=True)
        if not _install(python, *_REQUIRED):
            sys.exit("The other decoders could not be installed.")
    if not _runs(python, "import himalaya") and not _install(python, *_OPTIONAL, "numpy<2.4"):
        print("himalaya could not be installed: skipped.", flush=True)
    return python


def _install(python: Path, *packages: str) -> bool:
    command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", *packages]
    return subprocess.run(command, check=False).returncode == 0


def _runs(python: Path, code: str) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


class PeerProcess:
    """The other decoders, in a process that lives as long as the measurement.

    Parameters
    ----------
    python : Path
        Of their environment.

    Attributes
    ----------
    ways : list of str
        What can be measured on the problem that is loaded.
    versions : dict
        Packages of their environment.
    """

    def __init__(self, python: Path) -> None:
        self.ways: list[str] = []
        self.versions: dict[str, str] = {}
        self._folder = TemporaryDirectory()
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("_peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TQDM_DISABLE": "1"},  # fastl2lir's progress bars
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def load(self, problem: Problem) -> None:
        """Hand over the arrays of a problem."""
        folder = Path(self._folder.name)
        np.save(folder / "x.npy", problem.x)
        np.save(folder / "y.npy", problem.y)
        settings = {"n_train": N_TRAIN, "n_kept": KEPT, "alpha": ALPHA}
        (folder / "problem.json").write_text(json.dumps(settings))
        answer = self._ask({"folder": str(folder)})
        self.ways, self.versions = answer["ways"], answer["versions"]

    def run(self, way: str, n_units: int) -> tuple[dict[str, float], NDArray[np.float64]]:
        """Seconds (``decode``, ``whole``) and accuracies of the first units."""
        seconds = self._ask({"way": way, "n_units": n_units})
        return seconds, np.load(Path(self._folder.name) / "r.npy").astype(np.float64)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        if pipe_in is None or pipe_out is None:
            raise RuntimeError("the process has no pipes")
        pipe_in.write(json.dumps(request) + "\n")
        pipe_in.flush()
        line = pipe_out.readline()
        if not line:
            sys.exit(f"The other decoders' process ended at {request}.")
        answer: dict[str, Any] = json.loads(line)
        return answer
