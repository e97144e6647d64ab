"""The page on publishing and fetching, line by line, with a tiny release."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import unitdb
from tests.pipeline.small import contents

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "publish.md").read_text()
UNITDB = [sys.executable, "-c", "from unitdb.cli import main; main()"]


def test_as_written(tiny_copy: Path, tmp_path: Path) -> None:
    release = tiny_copy
    blocks = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert [shlex.split(line, comments=True)[0] for line in lines] == ["unitdb"] * 4
    for line in lines:
        _, *arguments = shlex.split(
            line.replace("sample", "tiny").replace("VERSION", "1.0.0"), comments=True
        )
        done = subprocess.run([*UNITDB, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)
    fetched = tmp_path / "mine" / "tiny" / "1.0.0"
    assert contents(fetched) == contents(release)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the store was published before the retraction
        assert unitdb.open(fetched).verify().rows["accuracy"] == 224
