"""Kills of ``unitdb publish``, the real command, at files that appear and at random times.

``python -m tests.publish.kills 60`` does sixty over the kinds of target, and says what came of it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import unitdb
from tests.pipeline.small import contents
from tests.tiny import INFO, stage
from unitdb.programs import run
from unitdb.publish import publish_release
from unitdb.release import fetch

KINDS = ("folder", "ria", "bare")
MOMENTS = ("time", "file", "lock")
SECONDS = 600.0
_OF_OBJECTS = 5  # folders named by hashes, which are many and alike


@dataclass(frozen=True)
class Kill:
    """What a seed means: where to, when, and whether children are killed too."""

    seed: int
    kind: str = field(init=False)
    moment: str = field(init=False)
    group: bool = field(init=False)
    part: float = field(init=False)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)  # noqa: S311
        object.__setattr__(self, "kind", KINDS[self.seed % 3])
        object.__setattr__(self, "moment", MOMENTS[self.seed // 3 % 3])
        object.__setattr__(self, "group", rng.random() < 0.5)
        object.__setattr__(self, "part", rng.random())

    def __str__(self) -> str:
        whom = "group" if self.group else "main process"
        return f"seed {self.seed}: {self.kind}, {whom} killed by {self.moment} {self.part:.2f}"


@dataclass
class Whole:
    """How long a publish that is not killed takes, and how many files and locks appear."""

    seconds: float
    n_files: int
    n_locks: int


class Place:
    """A folder of releases, and a target that nothing has been published to."""

    def __init__(self, kind: str, folder: Path, release: Path) -> None:
        self.kind, self.folder = kind, folder
        shutil.copytree(release.parents[1], folder / "releases")
        self.release = folder / "releases" / "tiny" / "1.0.0"
        self.target = folder / {"folder": "store", "ria": "ria", "bare": "bare.git"}[kind]
        if kind == "bare":
            run("git", "init", "--quiet", "--bare", self.target, folder=folder)

    @property
    def command(self) -> list[str | Path]:
        to = f"ria+file://{self.target}" if self.kind == "ria" else str(self.target)
        unitdb_ = Path(sys.executable).with_name("unitdb")
        return [unitdb_, "--releases", self.folder / "releases", "publish", "tiny", "--to", to]

    def files(self) -> set[str]:
        """What publishing has made so far, here and at the target."""
        found = set()
        for top in (self.target, self.folder / "releases" / ".stores"):
            for folder, folders, names in os.walk(top):
                found.update(f"{folder}/{name}" for name in names)
                found.add(folder)
                if folder.endswith("/objects"):
                    folders[:] = folders[:_OF_OBJECTS]
        return found


def watch(place: Place, until: Callable[[float, int, int], bool]) -> subprocess.Popen[str]:
    """Start the command; give it back when it has ended, or when ``until`` says so.

    Parameters
    ----------
    until : callable
        Called with the seconds since the first file appeared, and the files and locks seen.
    """
    before, seen, began = place.files(), set(), None
    process = subprocess.Popen(
        place.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    while process.poll() is None:
        seen |= place.files() - before
        time.sleep(0.002)
        began = began or (time.monotonic() if seen else None)
        if began and until(time.monotonic() - began, len(seen), sum(map(_is_lock, seen))):
            break
        assert time.monotonic() < deadline, f"{place.command}: still runs"
    return process


def _is_lock(path: str) -> bool:
    return path.endswith(".lock") and not path.endswith(("publish.lock", "unitdb.lock"))


def measure(place: Place) -> Whole:
    seen = [0.0, 0, 0]

    def until(*now: float) -> bool:
        seen[:] = now
        return False

    process = watch(place, until)
    said = process.communicate()
    assert process.returncode == 0, said
    return Whole(seen[0], int(seen[1]), int(seen[2]))


def kill(place: Place, kill: Kill, whole: Whole) -> bool:
    """Start a publish and kill it; False where it had ended before."""

    def until(seconds: float, n_files: int, n_locks: int) -> bool:
        return {
            "time": seconds >= kill.part * whole.seconds,
            "file": n_files >= 1 + int(kill.part * whole.n_files),
            "lock": n_locks >= 1 + int(kill.part * whole.n_locks),
        }[kill.moment]

    process = watch(place, until)
    running = process.poll() is None
    if running:
        (os.killpg if kill.group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdout, process.stderr):
        pipe.close()  # children may have them open still
    return running


def finish(place: Place, release: Path) -> None:
    """Give the same command again, and see that the store is sound and has the same bytes."""
    done = subprocess.run(
        place.command, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    store = _clone(place)
    assert contents(store / "tiny" / "1.0.0") == contents(release)
    run("git", "fsck", "--strict", folder=store)
    run("git", "annex", "fsck", "--quiet", folder=store)
    assert run("git", "status", "--porcelain", folder=store) == ""
    assert run("git", "tag", "--list", folder=store) == "tiny-1.0.0\n"
    unitdb.open("tiny@1.0.0", releases=store).verify()
    fetched = fetch("tiny", source=str(store), releases=place.folder / "fetched")
    assert contents(fetched) == contents(release)


def _clone(place: Place) -> Path:
    """The store itself where it is a folder; a clone of it with all content else."""
    clone = place.folder / "clone"
    if place.kind == "folder":
        return place.target
    run("git", "fsck", "--strict", folder=next(place.target.glob("???/*"), place.target)
        if place.kind == "ria" else place.target)  # fmt: skip
    if place.kind == "ria":
        run("datalad", "clone", f"ria+file://{place.target}#~releases", clone, folder=place.folder)
    else:
        run("git", "clone", "--quiet", place.target, clone, folder=place.folder)
    run("git", "annex", "get", "--quiet", ".", folder=clone)
    return clone


def try_kill(seed: int, folder: Path, release: Path, wholes: dict[str, Whole]) -> str:
    """A kill and what follows it; says what was done, raises where a check failed."""
    plan = Kill(seed)
    if plan.kind not in wholes:
        wholes[plan.kind] = measure(Place(plan.kind, _new(folder / plan.kind), release))
    place = Place(plan.kind, _new(folder / str(seed)), release)
    was_killed = kill(place, plan, wholes[plan.kind])
    finish(place, release)
    return f"{plan}{'' if was_killed else ' (had ended)'}"


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main(n: int, first: int = 0) -> None:
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    release = publish_release(stage(folder / "staged"), folder / "releases", info=INFO)
    wholes: dict[str, Whole] = {}
    failed = []
    for seed in range(first, first + n):
        try:
            say(try_kill(seed, folder, release, wholes))
        except Exception as error:  # what comes of the others is wanted too
            failed.append(seed)
            say(f"{Kill(seed)}: FAILED: {type(error).__name__}: {error}")
    say(f"{n - len(failed)} of {n} finished by the same command; failed: {failed}; {wholes}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
