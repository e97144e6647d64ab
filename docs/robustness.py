"""Print docs/robustness.md: odd inputs, what came of each before, and what comes of it now.

The rows stand beside the tests that check them, as ``pytest.mark.robust``:

    @pytest.mark.robust("BIDS", given="…", before="…", now="…")

so that a row without a test, or a test whose row is forgotten, cannot be.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HEAD = """\
# Robustness

Odd but real inputs, and what comes out. Written by `make docs`; do not edit.

Each row is a test. *Before* is what the code gave before the mend: `python -m tests.against FOLDER`
runs the tests on that code, and they fail there. Where *before* begins with *read:*, *no key* or
*no option*, the test could not run on it, and the cell was read from the code. Where it begins with
*right already*, the test passes on both.
"""
ROOT = Path(__file__).parents[1]
SUBJECTS = {
    "numbers": "Numbers",
    "networks": "Networks and features",
    "BIDS": "BIDS",
    "arrays": "Arrays and tables",
    "pictures": "Pictures",
    "datasets": "Datasets",
    "recipes": "Recipes and identity",
    "publishing": "Publishing and fetching",
    "verification": "Verification",
    "hostile": "Hostile input",
    "bounds": "Bounds and waits",
}


class Case(NamedTuple):
    """A row: what is given, what came out before, what comes out now, and the test."""

    subject: str
    given: str
    before: str
    now: str
    test: str


def cases(file: Path) -> Iterator[Case]:
    """Rows of the marks in a file of tests.

    Raises
    ------
    ValueError
        A mark has other keys than given, before and now, or a subject that there is not.
    """
    place = file.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.robust":
                    yield _case(mark, f"{place}::{node.name}")


def _case(mark: ast.Call, test: str) -> Case:
    texts = {key.arg: ast.literal_eval(key.value) for key in mark.keywords}
    subject = ast.literal_eval(mark.args[0]) if len(mark.args) == 1 else None
    if subject not in SUBJECTS or set(texts) != {"given", "before", "now"}:
        raise ValueError(f"{test}: a mark is robust(SUBJECT, given=…, before=…, now=…)")
    return Case(subject, texts["given"], texts["before"], texts["now"], test)


def page() -> str:
    """Markdown of all rows, a table a subject."""
    found = sorted(
        case for file in sorted((ROOT / "tests").rglob("test_*.py")) for case in cases(file)
    )
    lines = [*HEAD.splitlines(), ""]
    for subject, title in SUBJECTS.items():
        rows = [case for case in found if case.subject == subject]
        if rows:
            lines += [f"## {title}", "", "| given | before | now | test |", "|---|---|---|---|"]
            for case in rows:
                cells = [cell.replace("|", "\\|") for cell in case[1:4]]
                lines.append("| " + " | ".join([*cells, f"`{case.test}`"]) + " |")
            lines.append("")
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    sys.stdout.write(page() + "\n")
