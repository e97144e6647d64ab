"""Reconstructions of a release: pictures, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from unitdb.errors import NotKeptError, UnknownNameError
from unitdb.files import replacing
from unitdb.release.notebook import reconstructions_html

if TYPE_CHECKING:
    import pandas as pd

    Sql = Callable[[str, Sequence[Any]], pd.DataFrame]

__all__ = ["SOURCES", "Reconstructions", "reconstructions"]

_NEEDS = "reconstruction_score"
_COLUMNS = ("dataset", "condition", "model", "method", "subject", "source")
SOURCES = (
    "brain",
    "shuffled",
    "recovery",
    "projection",
    "class-mean",
    "nearest-training",
    "mean",
)
"""What pictures are made from: the brain, then the control, ceilings and floors."""

_PRINTED = ("identification", "centred_r", "ssim")


@dataclass(frozen=True, kw_only=True, eq=False)
class Reconstructions:
    """Pictures made from responses, and their scores.

    Parameters
    ----------
    pictures : pandas.DataFrame
        Rows of table ``reconstruction``; ``png`` is the bytes of a picture, None where it may not
        be shown.
    scores : pandas.DataFrame
        Rows of table ``reconstruction_score``.
    """

    pictures: pd.DataFrame
    scores: pd.DataFrame

    def save(self, folder: str | Path) -> list[Path]:
        """Write the pictures: ``DATASET/CONDITION/MODEL/METHOD/SUBJECT/SOURCE/STIMULUS.png``.

        Names are written as in URLs; of a shuffled brain the source is followed by its number.

        Parameters
        ----------
        folder : str or Path

        Returns
        -------
        list of Path
            The files.
        """
        files = []
        for row in self.pictures.to_dict("records"):
            if row["png"] is None:
                continue
            source = row["source"] + (f"-{row['control']}" if row["control"] else "")
            parts = [row[name] for name in _COLUMNS[:-1]]
            names = [_file_name(str(part)) for part in (*parts, source)]
            path = Path(folder).joinpath(*names) / f"{_file_name(row['stimulus'])}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                temporary.write_bytes(row["png"])
            files.append(path)
        return files

    def __str__(self) -> str:
        """Scores that matter most, a line for each method, person and source."""
        rows = self.scores[self.scores["metric"].isin(_PRINTED)]
        lines = []
        keys = ["dataset", "condition", "model", "method", "subject", "source"]
        for found, own in rows.groupby(keys, observed=True, sort=True):
            place = [str(name) for name in found]
            told = [
                f"{row['metric']} {_number(row['value'])}{_interval(row)}"
                for row in own.sort_values("metric").to_dict("records")
            ]
            lines.append(f"{'/'.join(place[3:])} ({'/'.join(place[:3])}): {', '.join(told)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return reconstructions_html(self)


def _file_name(text: str) -> str:
    """One part of a path, whatever a release calls things: ``..`` would lead out of the folder."""
    name = quote(text, safe=" ")
    return name.replace(".", "%2E") if not name.strip(".") else name


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"


def _interval(row: dict[Any, Any]) -> str:
    low, high = _number(row["low"]), _number(row["high"])
    return "" if low == "–" else f" ({low} to {high})"


def reconstructions(
    sql: Sql, tables: Sequence[str], chosen: dict[str, str | None], *, where: str
) -> Reconstructions:
    """Read pictures and scores.

    Parameters
    ----------
    sql : callable
        Runs a SELECT.
    tables : sequence of str
        Tables that there are.
    chosen : dict of str to (str or None)
        Column → the one that is asked for.
    where : str
        For messages.

    Raises
    ------
    NotKeptError
        There are none.
    UnknownNameError
        No row has the name.
    """
    if _NEEDS not in tables:
        raise NotKeptError(
            f"{where}: no pictures are reconstructed; to have them, build with "
            "reconstruction: [{name: …, kind: …}] in the recipe"
        )
    asked = {name: value for name, value in chosen.items() if value is not None}
    for name, value in asked.items():
        known = sql(f"SELECT DISTINCT {name} FROM {_NEEDS} ORDER BY 1", [])[name]  # noqa: S608
        if name == "source":
            known = sql("SELECT DISTINCT source FROM reconstruction ORDER BY 1", [])["source"]
        if value not in (names := [str(each) for each in known]):
            raise UnknownNameError(value, names, where=f"{where}: reconstructions, {name}")
    clause = " AND ".join(f"{name} = ?" for name in asked) or "TRUE"
    values = list(asked.values())
    order = "dataset, condition, model, method, subject, source"
    pictures = sql(
        f"SELECT * FROM reconstruction WHERE {clause} ORDER BY {order}, control, stimulus",  # noqa: S608
        values,
    )
    scores = sql(
        f"SELECT * FROM reconstruction_score WHERE {clause} ORDER BY {order}, metric",  # noqa: S608
        values,
    )
    for frame in (pictures, scores):
        for name in frame.columns[frame.dtypes == "category"]:
            frame[name] = frame[name].astype(str)
    pictures["png"] = [
        bytes(one) if isinstance(one, bytes | bytearray) else None for one in pictures["png"]
    ]
    return Reconstructions(pictures=pictures, scores=scores)
