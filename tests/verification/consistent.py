"""Changes of a release that its checksums do not show: each is made, and verified.

A change is one cell, a column that is scaled, two rows that are exchanged, a table that is emptied,
or a file of metadata that is replaced. Every checksum is then made to fit: ``SHA256SUMS``,
``croissant.json`` and ``releases.json``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.tiny import remake_sums
from unitdb.errors import UnitdbError
from unitdb.files import sha256_file
from unitdb.release.manifest import METADATA
from unitdb.schema import SCHEMA_VERSION, TABLES, Column, tables_of
from unitdb.verification import verify

Rows = list[dict[str, Any]]

STEP = 0.0137
"""What is added to a number: no multiple of what numbers of few images are multiples of."""
_JSON = {
    "decoder": ("alpha", "voxels"),
    "units": ("seed", "sample"),
    "inputs": ("model", "responses", "stimuli", "shown"),
    "packages": ("numpy", "python"),
    "significance": ("test",),
    "reliability": ("divisions",),
    "encoding": ("units",),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of one table, or of one file.

    Parameters
    ----------
    name : str
        As the table of changes says: ``table.column: what``.
    file : str
        What is changed.
    rows : callable, optional
        Of a table: given its rows, the new ones; None where nothing can be changed.
    text : callable, optional
        Of metadata: given the text, the new one.
    """

    name: str
    file: str
    rows: Callable[[Rows], Rows | None] | None = None
    text: Callable[[str], str] | None = None

    def make(self, folder: Path) -> bool:
        """Change a release, and make its checksums fit; False where nothing can be changed."""
        path = folder / self.file
        if self.text is not None:
            before = path.read_text(encoding="utf-8")
            after = self.text(before)
            path.write_text(after, encoding="utf-8")
            remake_sums(folder)
            return after != before
        assert self.rows is not None
        spec = TABLES[self.file.split("/")[0].removesuffix(".parquet")]
        before_rows = pq.ParquetFile(path).read().to_pylist()
        rows = self.rows([dict(row) for row in before_rows])
        if rows is None or rows == before_rows:
            return False
        pq.write_table(pa.Table.from_pylist(rows, schema=spec.arrow_schema()), path)
        croissant = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
        for part in croissant["distribution"]:
            if part.get("contentUrl") == self.file:
                part["sha256"] = sha256_file(path)
        text = json.dumps(croissant, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
        (folder / "croissant.json").write_text(text, encoding="utf-8")
        remake_sums(folder)
        return True


def changes(folder: Path) -> Iterator[Change]:
    """Every change of a release: of all columns of all tables, of whole tables, of metadata."""
    for table in tables_of(SCHEMA_VERSION):
        spec = TABLES[table]
        file = next(
            path.relative_to(folder).as_posix()
            for path in sorted(folder.rglob("*.parquet"))
            if path.relative_to(folder).parts[0].removesuffix(".parquet") == table
        )
        for column in spec.columns:
            for what, change in _cells(column, in_json=table == "builds"):
                yield Change(name=f"{table}.{column.name}: {what}", file=file, rows=change)
        measured = [c.name for c in spec.columns if c.name not in spec.primary_key]
        if measured:
            yield Change(name=f"{table}: two rows exchanged", file=file, rows=_exchanged(measured))
        if not spec.partition_by:
            yield Change(name=f"{table}: emptied", file=file, rows=lambda _: [])
    for name, column, factor in (
        ("prediction: all scaled by 2", "predicted", 2.0),
        ("activation: all scaled by 2", "activation", 2.0),
        ("activation: all 0", "activation", 0.0),
    ):
        yield Change(
            name=name, file=f"{name.partition(':')[0]}.parquet", rows=_scaled(column, factor)
        )
    for file in METADATA:
        yield Change(name=f"{file}: replaced", file=file, text=lambda text: _replaced(text))
    for key in ("title", "description", "version", "name"):
        yield Change(name=f"datapackage.json: {key}", file="datapackage.json", text=_key(key))
    for file in ("README.md", "CITATION.cff", "croissant.json", "dataset_description.json"):
        yield Change(
            name=f"{file}: licence", file=file, text=lambda t: t.replace("CC0-1.0", "CC-BY-4.0")
        )
    yield Change(
        name="recipe.yaml: seed", file="recipe.yaml", text=lambda text: f"{text}\nseed: 3\n"
    )


def found_by_verify(release: Path, change: Change, work: Path) -> str | None:
    """Make a change in a copy of a release, and verify it.

    Parameters
    ----------
    release : Path
        The release, in a folder with its catalogue.
    change : Change
    work : Path
        An empty folder.

    Returns
    -------
    str or None
        What verify says; empty where it finds nothing, None where nothing could be changed.
    """
    folder = work / release.parent.name / release.name
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(release, folder)
    shutil.copy(release.parent.parent / "releases.json", work / "releases.json")
    if not change.make(folder):
        return None
    try:
        verify(folder)
    except UnitdbError as cause:
        return str(cause)
    return ""


def _cells(column: Column, *, in_json: bool) -> Iterator[tuple[str, Callable[[Rows], Rows | None]]]:
    """Changes of one cell of a column."""
    name = column.name
    if in_json and name in _JSON:
        for key in _JSON[name]:
            yield f"{key} in its JSON", _in_json(name, key)
        return
    yield "one cell", _cell(column)
    if column.null is not None:
        yield "one cell NULL", _null(name)


def _cell(column: Column) -> Callable[[Rows], Rows | None]:
    def change(rows: Rows) -> Rows | None:
        known = [row for row in rows if row[column.name] is not None]
        if not known:
            return None
        row = known[len(known) // 2]
        row[column.name] = _other(column, row[column.name], rows)
        return rows

    return change


def _other(column: Column, value: Any, rows: Rows) -> Any:
    """Another value that the column may have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if column.maximum is None or value < column.maximum else value - 1
    if isinstance(value, float):
        down = column.name.endswith("_low")
        down |= column.maximum is not None and value + STEP > column.maximum
        return value - STEP if down else value + STEP
    if isinstance(value, list):
        return value[::-1] if len(set(value)) > 1 else [1, *value]
    if isinstance(value, bytes):
        others = [row[column.name] for row in rows if row[column.name] not in (None, value)]
        return others[0] if others else value
    if column.pattern and set("0123456789abcdef") >= set(value):
        return ("1" if value[0] == "0" else "0") + value[1:]
    others = sorted({row[column.name] for row in rows} - {value, None})
    return others[0] if others and len(others) < 20 else f"{value}x"


def _null(name: str) -> Callable[[Rows], Rows | None]:
    def change(rows: Rows) -> Rows | None:
        known = [row for row in rows if row[name] is not None]
        if not known:
            return None
        known[len(known) // 2][name] = None
        return rows

    return change


def _in_json(name: str, key: str) -> Callable[[Rows], Rows | None]:
    def change(rows: Rows) -> Rows | None:
        content = json.loads(rows[0][name] or "null")
        if not isinstance(content, dict) or key not in content:
            return None
        value = content[key]
        content[key] = value + 1 if isinstance(value, int | float) else f"{value}x"
        rows[0][name] = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return rows

    return change


def _exchanged(names: list[str]) -> Callable[[Rows], Rows | None]:
    def change(rows: Rows) -> Rows | None:
        first = rows[0] if rows else {}
        for other in rows[1:]:
            if any(first[name] != other[name] for name in names):
                for name in names:
                    first[name], other[name] = other[name], first[name]
                return rows
        return None

    return change


def _scaled(name: str, factor: float) -> Callable[[Rows], Rows | None]:
    return lambda rows: [{**row, name: row[name] * factor} for row in rows]


def _replaced(text: str) -> str:
    """Other content of the same kind."""
    return '{"name": "other"}\n' if text.startswith("{") else "name: other\n"


def _key(key: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        content = json.loads(text)
        content[key] = "9.9.9" if key == "version" else f"{content[key]}x"
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    return change


@dataclass(frozen=True)
class Outcome:
    """A change, and what verify says of it: nothing where it finds nothing."""

    name: str
    message: str


def outcomes(
    release: Path, work: Path, *, chosen: Callable[[str], bool] = lambda _: True
) -> list[Outcome]:
    """Make all changes of a release that can be made, one at a time.

    Parameters
    ----------
    release : Path
        The release, in a folder with its catalogue.
    work : Path
        An empty folder.
    chosen : callable, optional
        Which changes, by their name.
    """
    found = []
    for change in changes(release):
        message = found_by_verify(release, change, work) if chosen(change.name) else None
        if message is not None:
            found.append(Outcome(change.name, message))
    return found
