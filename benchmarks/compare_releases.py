"""Say which tables, columns and rows of two releases differ: ``compare_releases.py BEFORE AFTER``.

Columns that tell code and its inputs apart (hashes, builds, versions) are listed, not compared; so
are tables and columns that one of the two has not got. Ends with 1 where a number differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd

import unitdb
from unitdb.release import Release

_IDENTITY = frozenset(
    {"build", "recipe_sha256", "code_sha256", "inputs", "unitdb_version", "packages", "git_commit"}
) | {"responses_sha256"}
"""Columns that follow from the code, or from how a dataset is written down."""
_ABOUT_CODE = frozenset({"inputs"})
"""Tables of what was read: the code, dataset.yaml."""


def differences(before: Release, after: Release) -> Iterator[str]:
    """Tables and columns that differ, with the number of rows that do."""
    for name in sorted(set(before.tables) & set(after.tables) - _ABOUT_CODE):
        old, new = (_rows(release, name) for release in (before, after))
        shared = [c for c in old.columns if c in new.columns and c not in _IDENTITY]
        if len(old) != len(new):
            yield f"{name}: {len(old)} rows, now {len(new)}"
            continue
        for column in shared:
            differ = ~((old[column] == new[column]) | (old[column].isna() & new[column].isna()))
            if differ.any():
                at = int(differ.argmax())
                yield (
                    f"{name}.{column}: {int(differ.sum())} of {len(old)} rows, as "
                    f"{old[column].iloc[at]!r}, now {new[column].iloc[at]!r}"
                    f"{_apart(old[column][differ], new[column][differ])}"
                )


def _apart(old: pd.Series, new: pd.Series) -> str:
    if not all(pd.api.types.is_float_dtype(column) for column in (old, new)):
        return ""
    return f"; at most {(old - new).abs().max():.1g} apart"


def not_compared(before: Release, after: Release) -> Iterator[str]:
    """Tables and columns that are not compared."""
    for name in sorted(set(before.tables) ^ set(after.tables)):
        yield f"table {name}: {'new' if name in after.tables else 'gone'}"
    for name in sorted(set(before.tables) & set(after.tables)):
        old, new = (set(release.table(name).columns) for release in (before, after))
        for column in sorted(old ^ new):
            yield f"{name}.{column}: {'new' if column in new else 'gone'}"
    yield f"identity: {', '.join(sorted(_IDENTITY))}; tables {', '.join(sorted(_ABOUT_CODE))}"


def _rows(release: Release, name: str) -> pd.DataFrame:
    found = release.table(name)
    plain = {c: found[c].map(_plain) if found[c].dtype == object else found[c] for c in found}
    rows = pd.DataFrame(plain)
    for column in rows.select_dtypes("category"):
        rows[column] = rows[column].astype(object)
    return rows


def _plain(value: object) -> object:
    return str(list(value)) if hasattr(value, "__len__") and not isinstance(value, str) else value


@click.command()
@click.argument("before", type=click.Path(path_type=Path, exists=True))
@click.argument("after", type=click.Path(path_type=Path, exists=True))
def main(before: Path, after: Path) -> None:
    """Compare two folders of releases, table by table."""
    releases = unitdb.open(before), unitdb.open(after)
    n_cells = 0
    for name in set(releases[0].tables) & set(releases[1].tables):
        n_cells += releases[0].table(name).size
    for line in not_compared(*releases):
        click.echo(f"not compared: {line}")
    found = list(differences(*releases))
    for line in found:
        click.echo(f"DIFFERS: {line}")
    click.echo(
        f"{n_cells:,} values of {len(releases[0].tables)} tables; {len(found)} columns differ"
    )
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
