"""The command line on the tiny release."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from unitdb.cli import main


@pytest.fixture
def run(tiny_release: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNITDB_RELEASES", str(tiny_release.parent.parent))

    def run_(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    return run_


def table(result: Result) -> pd.DataFrame:
    assert result.exit_code == 0, result.output
    return pd.read_csv(io.StringIO(result.stdout), comment="#")
