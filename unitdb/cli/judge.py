"""``unitdb judge``: what people's blind choices come to."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import click

from unitdb.cli import terminal
from unitdb.errors import QueryError
from unitdb.files import refuse_pipe
from unitdb.matching import Judged, judged_rate

__all__ = ["judge"]

_GROUP = ("release", "dataset", "condition", "model", "method", "subject", "source")
_NEEDED = (*_GROUP, "stimulus", "other", "chosen", "rater")
_HEADER = ("rate", "low", "high", "chance", "choices", "images", "raters")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE.csv...",
    type=click.Path(path_type=Path, dir_okay=False),
)
def judge(files: tuple[Path, ...]) -> None:
    """Print how often people chose the picture that was seen, with its interval.

    FILE.csv has a row for each choice between the picture seen (stimulus) and another, of one
    rater or more, and columns release, dataset, condition, model, method, subject, source,
    stimulus, other, chosen and rater. Chance is .5. A rater judges a pair of a reconstruction once.

    In Python: unitdb.matching.judged_rate(correct, images, raters)
    """
    choices: dict[tuple[str, ...], list[tuple[bool, str, str]]] = {}
    seen: dict[tuple[str, ...], str] = {}
    for path in files:
        for line, row in _choices(path):
            where = f"{path}: line {line}"
            if row["chosen"] not in (row["stimulus"], row["other"]):
                raise QueryError(
                    f"{where}: chosen is {row['chosen']!r}, neither {row['stimulus']!r} nor "
                    f"{row['other']!r}"
                )
            if row["stimulus"] == row["other"]:
                raise QueryError(f"{where}: both pictures are {row['other']!r}")
            key = tuple(row[name] for name in (*_GROUP, "stimulus", "other", "rater"))
            if key in seen:
                raise QueryError(f"{where}: is the same judgement as {seen[key]}")
            seen[key] = where
            own = choices.setdefault(key[: len(_GROUP)], [])
            own.append((row["chosen"] == row["stimulus"], row["stimulus"], row["rater"]))
    if not choices:
        raise QueryError(f"{files[0]}: holds no choices")
    rows = []
    for group, own in sorted(choices.items()):
        correct, images, raters = zip(*own, strict=True)
        rows.append([*group, *_told(judged_rate(correct, images, raters))])
    terminal.print_table([*_GROUP, *_HEADER], rows)


def _told(found: Judged) -> list[str]:
    interval = ["–" if math.isnan(end) else f"{end:.3f}" for end in (found.low, found.high)]
    counts = [str(n) for n in (found.n_choices, found.n_images, found.n_raters)]
    return [f"{found.rate:.3f}", *interval, "0.500", *counts]


def _choices(path: Path) -> list[tuple[int, dict[str, str]]]:
    rows = _rows(path)
    header = rows[0][1] if rows else []
    for name in _NEEDED:
        if header.count(name) != 1:
            have = "no column" if name not in header else "twice the column"
            raise QueryError(f"{path}: has {have} {name!r}; there are: {', '.join(header)}")
    found = []
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise QueryError(
                f"{path}: line {line}: has {len(cells)} cells, the header has {len(header)}"
            )
        row = dict(zip(header, cells, strict=True))
        if empty := [name for name in _NEEDED if not row[name]]:
            raise QueryError(f"{path}: line {line}: {empty[0]} is empty")
        found.append((line, row))
    return found


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        refuse_pipe(path)
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as cause:
        raise QueryError(f"{path}: cannot be read as text in UTF-8: {cause}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as cause:
        raise QueryError(f"{path}: line {reader.line_num}: {cause}") from None
