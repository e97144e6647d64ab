"""The command line's view of published figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import pyarrow as pa

from unitdb import reference as published
from unitdb.cli.results import result_options, write_results
from unitdb.cli.terminal import echo
from unitdb.query import export
from unitdb.reference import Score

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

__all__ = ["reference"]

_TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "scores": published.bhscore,
    "layers": published.bhscore_layers,
    "properties": published.bhscore_properties,
    "correlations": published.bhscore_correlations,
}


@click.group()
def reference() -> None:
    """Show published figures to set results beside.

    In Python: unitdb.reference
    """


@reference.command()
@click.argument("table", type=click.Choice(list(_TABLES)), default="scores")
@click.option(
    "--place", "score", type=float, metavar="SCORE", help="Place a new network's score among them."
)
@click.option(
    "--by", type=click.Choice(get_args(Score)), help="Kind of the score.  [default: bh_average]"
)
@result_options
def bhscore(
    table: str, score: float | None, by: Score | None, format_: str | None, output: Path | None
) -> None:
    """Show the brain hierarchy scores of 29 published networks.

    Of Nonaka et al. 2021. TABLE: scores; correlations with ImageNet accuracy and properties of the
    networks; those properties, each with its source; layers that entered the scores.

    In Python: unitdb.reference.bhscore(), unitdb.reference.place(SCORE)
    """
    if by is not None and score is None:
        raise click.UsageError("--by is the kind of score of --place: give --place SCORE")
    if score is None:
        function = _TABLES[table]
        rows = pa.Table.from_pandas(function(), preserve_index=False)
        query = f"unitdb.reference.{function.__name__}()"
    else:
        found = published.place(score, by=by or "bh_average")
        if format_ is None and output is None:
            echo(str(found))
            return
        rows = pa.Table.from_pylist([_row(found)])
        query = f"unitdb.reference.place({score!r}, by={found.by!r})"
    origin = export.with_provenance(
        rows,
        release="published BH scores",
        query=query,
        citation=published.CITATION,
        simulated=False,
    )
    write_results(origin, format_, output)


def _row(found: published.Placement) -> dict[str, float | str | None]:
    above, below = found.above or (None, None), found.below or (None, None)
    return {
        "score": found.score,
        "by": found.by,
        "rank": found.rank,
        "n": found.n,
        "above": above[0],
        "above_score": above[1],
        "below": below[0],
        "below_score": below[1],
    }
