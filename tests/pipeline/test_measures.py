"""A measure is one file: built, published, verified, queried, and resumed after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import unitdb
from tests.pipeline.small import contents, lay_out, run
from tests.pipeline.toy import SPREAD, Spread, SpreadStep
from tests.verification.consistent import Change
from unitdb.errors import CorruptReleaseError
from unitdb.measures import MEASURES
from unitdb.schema import SCHEMA_VERSION, TABLES
from unitdb.verification import explain, verify

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.pipeline.small import run
from tests.pipeline.toy import SPREAD, Spread, SpreadStep
from unitdb.measures import MEASURES
from unitdb.schema import TABLES

TABLES["spread"] = SPREAD
MEASURES.append(Spread())
done, compute = [], SpreadStep.run

def die(step):
    if len(done) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    compute(step)
    done.append(step)

SpreadStep.run = die
run(Path(sys.argv[1]))
"""


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "spread", SPREAD)
    MEASURES.append(Spread())
    yield
    MEASURES.pop()


def test_it_is_built_published_verified_and_queried(recipe: Path, built: Path, toy: None) -> None:
    release = unitdb.open(run(recipe))
    found = release.table("spread")
    summary = release.table("layer_summary")
    assert len(found) == len(summary)
    assert (found["sd"] > 0).all()
    joined = release.sql(
        "SELECT s.n_units AS n, l.n_pattern_units AS m FROM spread s JOIN layer_summary l "
        "USING (dataset, condition, model, layer, roi, subject)"
    )
    assert (joined["n"] == joined["m"]).all()
    assert verify(release.path).rows["spread"] == len(found)
    others = contents(release.path)
    assert "spread.parquet" in others
    for name, content in contents(built).items():
        if name.endswith(".parquet"):  # nothing else has changed
            assert others[name] == content, name


def test_verify_explains_its_columns(toy: None) -> None:
    fates = {fate.column: fate.how for fate in explain(SCHEMA_VERSION) if fate.table == "spread"}
    assert list(fates) == list(SPREAD.column_names)
    assert fates["roi"].startswith("keys: ")
    assert fates["sd"] == fates["n_units"] == "by the measure that makes it (unitdb/measures)"


def test_what_it_says_of_its_rows_is_what_verify_says(recipe: Path, toy: None) -> None:
    release = run(recipe)
    more = Change(
        name="spread.n_units: one more",
        file="spread.parquet",
        rows=lambda rows: [{**row, "n_units": row["n_units"] + 1} for row in rows],
    )
    assert more.make(release)
    with pytest.raises(CorruptReleaseError, match=r"spread: mine/perception/.* units; its patt"):
        verify(release)


def test_killed_in_its_steps_it_goes_on_to_the_same_bytes(
    recipe: Path, toy: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, recipe], cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    asked: list[SpreadStep] = []
    compute = SpreadStep.run
    with monkeypatch.context() as patched:
        patched.setattr(SpreadStep, "run", lambda step: (asked.append(step), compute(step)))
        patched.setattr("unitdb.decoding.roi.RoiDecoder", None)  # all is decoded
        found = contents(run(recipe))
    whole = lay_out(tmp_path / "whole")
    expected = contents(run(whole))
    assert found == expected
    assert 0 < len(asked) < len(unitdb.open(run(whole)).table("spread"))
