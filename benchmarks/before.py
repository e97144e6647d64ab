"""Build a release with older checkouts and this one, and verify it: time and memory side by side.

``.venv/bin/python benchmarks/before.py FOLDER RECIPE DATA CHECKOUT [CHECKOUT …]`` builds in turns,
into FOLDER, then verifies in turns, each code what it has built; this one's also with ``--quick``,
which leaves out the bootstraps that verify did not do again at first. All checkouts run with the
packages of this environment, and read the same recipe. Last comes the peak of a release of one
layer alone: ``stem``, the largest of EfficientNet-lite0.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import yaml
from _machine import describe_machine

ROOT = Path(__file__).resolve().parents[1]
_BUILDS, _VERIFICATIONS = 1, 3
_RUN = "import sys; from unitdb.cli import main; sys.argv[0] = 'unitdb'; sys.exit(main())"
_LARGEST = "stem"


class Used(NamedTuple):
    """What a command took: seconds, those of the processor, and its peak in MB."""

    seconds: float
    processor: float
    peak: float


def run(code: Path, *words: str | Path) -> Used:
    """Run a command of the unitdb of a checkout, in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, *map(str, words)],
        env=environment,
        cwd=Path(sys.executable).parent,  # where no other unitdb is
        stdout=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise SystemExit(f"{code}: {' '.join(map(str, words))} ended with {process.returncode}")
    seconds = time.perf_counter() - start
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Measure, and print."""
    folder, recipe, data, *older = (Path(path).resolve() for path in sys.argv[1:])
    name, version = (yaml.safe_load(recipe.read_text())[key] for key in ("name", "version"))
    places = {code: folder / f"{number}-{code.name}" for number, code in enumerate([*older, ROOT])}
    print(describe_machine())

    def build(code: Path, of: Path, into: Path) -> Used:
        shutil.rmtree(into, ignore_errors=True)
        words = ("--releases", into, "build", of, "--data", data, "--cache", into / "cache")
        return run(code, *words)

    built: dict[str, list[Used]] = {}
    for _ in range(_BUILDS):
        for code, place in places.items():
            built.setdefault(code.name, []).append(build(code, recipe, place))
    _say("build", built, older)

    verified: dict[str, list[Used]] = {}
    for _ in range(_VERIFICATIONS):
        for code, place in places.items():
            for option in ((), ("--quick",)) if code == ROOT else ((),):
                label = " ".join((code.name, *option))
                used = run(code, "verify", *option, place / name / version)
                verified.setdefault(label, []).append(used)
    _say("verify", verified, older)

    spec = yaml.safe_load(recipe.read_text())
    spec["models"] = [{**model, "layers": [_LARGEST]} for model in spec["models"]]
    few = folder / "largest" / recipe.name
    few.parent.mkdir(exist_ok=True)
    few.write_text(yaml.safe_dump(spec))
    build(ROOT, few, folder / "largest-built")
    peak = run(ROOT, "verify", folder / "largest-built" / name / version).peak
    print(f"verify of {_LARGEST} alone: peak {peak:.0f} MB")


def _say(what: str, found: dict[str, list[Used]], older: list[Path]) -> None:
    """Medians of each way, and how many times as long the older ones took in the same round."""
    for label, runs in found.items():
        seconds, processor, peak = (statistics.median(each) for each in zip(*runs, strict=True))
        print(f"{what} {label}: {seconds:.1f} s, {processor:.1f} s of processor, {peak:.0f} MB")
    before = [code.name for code in older]
    for label in sorted(found.keys() - set(before)):
        for name in before:
            ratios = sorted(
                a.seconds / b.seconds for a, b in zip(found[name], found[label], strict=True)
            )
            print(
                f"{what}: {name} took {statistics.median(ratios):.2f} × as long as {label} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )


if __name__ == "__main__":
    main()
