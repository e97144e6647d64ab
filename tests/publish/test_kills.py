"""A publish that is killed is finished by the same command, whatever it was doing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.publish.kills import Whole, say, try_kill

N = int(os.environ.get("UNITDB_KILLS", "6"))


@pytest.fixture(scope="module")
def wholes() -> dict[str, Whole]:
    return {}


@pytest.mark.slow
@pytest.mark.robust(
    "publishing",
    given="`unitdb publish` killed with SIGKILL (process group, or its main process alone) to a "
    "folder, a RIA store and a bare git remote, at files that appear and at random times",
    before="13 of 48 targets refused every later publish: a repository without `.datalad`, a stale "
    "`index.lock`, `target-storage is already configured`",
    now="the same command finishes all: sound stores with the same bytes",
)
@pytest.mark.parametrize("seed", range(N))
def test_a_killed_publish_is_finished_by_the_same_command(
    seed: int, tmp_path: Path, tiny_release: Path, wholes: dict[str, Whole]
) -> None:
    say(try_kill(seed, tmp_path, tiny_release, wholes))
