"""``unitdb identify``: predictions among the candidates of a release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pyarrow as pa

from unitdb.cli import terminal
from unitdb.cli.results import result_options, write_results
from unitdb.errors import QueryError
from unitdb.files import refuse_pipe
from unitdb.query import export
from unitdb.release import Release, open_release

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["identify"]

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("release")
@click.argument("candidates")
@click.argument("layer", metavar="MODEL/LAYER")
@click.option("--roi", help="Region whose published predictions are identified.")
@click.option("--subject", help="Subject of these, and whose samples units are normalised by.")
@click.option(
    "--predicted",
    type=_FILE,
    help="Predictions of your own: CSV or Parquet, a row a sample, with a column `target` and a "
    "column for each unit, named by its number.",
)
@click.option(
    "--unit-set",
    type=_FILE,
    help="Compare these units alone: CSV or Parquet with a column unit_id, as unitdb units writes.",
)
@click.option(
    "--method",
    type=click.Choice(["normalised", "horikawa2017"]),
    default="normalised",
    show_default=True,
    help="Whether units are normalised, or patterns compared raw.",
)
@click.option("--dataset", help="Which, where the release has several.")
@click.option("--condition", help="Test set, where the release has several.")
@click.option("--rows", is_flag=True, help="Print a row for each prediction.")
@result_options
@click.pass_obj
def identify(
    root: Path,
    /,
    release: str,
    candidates: str,
    layer: str,
    predicted: Path | None,
    unit_set: Path | None,
    rows: bool,
    format_: str | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Identify predictions among the set CANDIDATES of a release, whose features it publishes.

    In Python: unitdb.open(RELEASE).identify(CANDIDATES, "MODEL/LAYER", …)
    """
    opened = open_release(release, releases=root)
    given: dict[str, Any] = {}
    if predicted is not None:
        given |= _own(predicted)
    if unit_set is not None:
        given["units"] = _column(_read(unit_set), "unit_id", unit_set)
    found = opened.identify(candidates, layer, **given, **options)
    if rows or format_ or output:
        write_results(_labelled(opened, found.rows, candidates, layer), format_, output)
        return
    terminal.echo(str(found))


def _own(path: Path) -> dict[str, Any]:
    table = _read(path)
    targets = _column(table, "target", path)
    units = table.drop(columns="target")
    if not all(str(name).isdecimal() for name in units.columns):
        other = next(name for name in units.columns if not str(name).isdecimal())
        raise QueryError(f"{path}: column {other!r} is no number of a unit")
    units.columns = [int(name) for name in units.columns]
    return {"predicted": units, "targets": [str(name) for name in targets]}


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        refuse_pipe(path)
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, comment="#", dtype={"target": str, "unit_id": str})
    except (ValueError, OSError, pa.ArrowException) as cause:
        raise QueryError(f"{path}: cannot be read as CSV or Parquet: {cause}") from None


def _column(table: pd.DataFrame, name: str, path: Path) -> list[Any]:
    if name not in table:
        raise QueryError(
            f"{path}: has no column {name!r}; there are: {', '.join(map(str, table.columns))[:200]}"
        )
    return list(table[name])


def _labelled(opened: Release, rows: pd.DataFrame, candidates: str, layer: str) -> pa.Table:
    return export.with_provenance(
        pa.Table.from_pandas(rows, preserve_index=False),
        release=opened.label,
        query=f"release.identify({candidates!r}, {layer!r}, …)",
        citation=opened.citation,
        simulated=opened.simulated,
    )
