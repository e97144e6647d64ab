"""Units that a release keeps image by image: true and predicted activations, and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitdb.errors import NotKeptError, QueryError
from unitdb.resolution import DOUBLE, is_constant
from unitdb.unitids import UNIT_ID_SQL, UnitId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    Sql = Callable[[str, Sequence[Any]], pd.DataFrame]
    Unit = tuple[str, str, int]

__all__ = [
    "NEEDS",
    "PUBLISHED",
    "kept_units",
    "labelled",
    "not_kept",
    "predicted",
    "predictions",
    "recipe_line",
    "stimuli",
]

NEEDS = "prediction"
"""Table without which a release, of an older schema, keeps nothing."""
PUBLISHED = "predicted"
"""Table of the predictions that a recipe publishes."""
_LISTED = 5

_UNITS = f"""
SELECT DISTINCT {UNIT_ID_SQL} AS unit_id, model, layer, unit
FROM {{table}}
WHERE dataset = ? AND model = ? AND layer = ?
ORDER BY model, layer, unit
""".strip()  # noqa: S608 - values are bound

# Constants on both sides of the join, so that neither table is read beyond the unit's rows.
_PREDICTIONS = """
SELECT predicted.roi, predicted.subject, stimulus, activation, predicted
FROM (
  SELECT roi, subject, stimulus, {decoded} AS decoded, {presentation} AS presentation, predicted
  FROM prediction
  WHERE dataset = ? AND condition = ? AND model = ? AND layer = ? AND unit = ?{kept}
) AS predicted JOIN (
  SELECT stimulus AS decoded, activation FROM activation
  WHERE dataset = ? AND model = ? AND layer = ? AND unit = ?
) AS activation USING (decoded)
ORDER BY roi, subject, stimulus, presentation
""".strip()

_RANKED = """
SELECT stimulus, activation FROM (
  SELECT stimulus, activation,
    row_number() OVER (ORDER BY activation DESC, stimulus) AS place, count(*) OVER () AS n
  FROM activation WHERE dataset = ? AND model = ? AND layer = ? AND unit = ?
) WHERE place <= ? OR place > n - ?
ORDER BY place
""".strip()

_PICTURES = """
SELECT stimulus, split, thumbnail FROM stimuli
WHERE dataset = ? AND stimulus IN (SELECT unnest(?))
""".strip()


_PREDICTED = """
SELECT unit, predicted FROM predicted
WHERE dataset = ? AND condition = ? AND model = ? AND layer = ? AND roi = ? AND subject = ?
ORDER BY unit
""".strip()

_SAMPLES = """
SELECT stimulus, presentation FROM samples
WHERE dataset = ? AND condition = ? AND subject = ? ORDER BY sample
""".strip()


def kept_units(sql: Sql, dataset: str, layer: tuple[str, str], *, predictions: bool) -> list[str]:
    """Units of a layer that are kept (see ``Release.kept``)."""
    query = _UNITS.format(table=NEEDS if predictions else "activation")
    return list(sql(query, [dataset, *layer])["unit_id"])


def predictions(
    sql: Sql,
    scope: tuple[str, str],
    unit: Unit,
    *,
    roi: str | None,
    subject: str | None,
    has_targets: bool,
) -> pd.DataFrame:
    """Predicted and true activations of a unit (see ``Release.predictions``)."""
    named = {
        column: name for column, name in (("roi", roi), ("subject", subject)) if name is not None
    }
    kept = "".join(f" AND {column} = ?" for column in named)
    dataset, condition = scope
    asked = [dataset, condition, *unit, *named.values(), dataset, *unit]
    decoded = {"decoded": "stimulus", "presentation": "1"}
    if has_targets:  # not in releases of older schemas
        decoded = {"decoded": "coalesce(target, stimulus)", "presentation": "presentation"}
    return sql(_PREDICTIONS.format(kept=kept, **decoded), asked)


def stimuli(sql: Sql, dataset: str, unit: Unit, n: int | None) -> pd.DataFrame:
    """Pictures by how much they drive a unit (see ``Release.stimuli``)."""
    most = 2**31 - 1 if n is None else n
    ranked = sql(_RANKED, [dataset, *unit, most, most])
    # By name, and not by a join: row groups without these names are not read.
    pictures = sql(_PICTURES, [dataset, list(ranked["stimulus"])])
    found = ranked.merge(pictures, on="stimulus", how="left")
    found = found[["stimulus", "split", "activation", "thumbnail"]]
    found["thumbnail"] = [
        bytes(one) if isinstance(one, bytes | bytearray) else None for one in found["thumbnail"]
    ]
    found.attrs.update(ranked.attrs)
    return found


def predicted(
    sql: Sql, scope: tuple[str, str, str, str], roi: str, subject: str, *, where: str
) -> pd.DataFrame:
    """Published predictions of a layer (see ``Release.predicted``)."""
    import numpy as np
    import pandas as pd

    dataset, condition, *_ = scope
    rows = sql(_PREDICTED, [*scope, roi, subject])
    if rows.empty:
        raise QueryError(f"{where}: no predictions of {'/'.join([*scope, roi, subject])}")
    samples = sql(_SAMPLES, [dataset, condition, subject])
    frame = pd.DataFrame(
        np.stack(rows["predicted"].to_list()).T,
        index=pd.MultiIndex.from_frame(samples.astype({"stimulus": str})),
        columns=pd.Index(rows["unit"], name="unit"),
    )
    frame.attrs.update(rows.attrs)
    return frame


def recipe_line(unit: str) -> str:
    """What in a recipe keeps a unit."""
    return f"keep: {{also: [{unit}]}}"


def not_kept(unit: str, known: Sequence[str], *, what: str, where: str) -> NotKeptError:
    """Make the error that a unit is not among those kept; says which of its layer are."""
    layer = UnitId.parse(unit).place
    more = f", … ({len(known)} in all)" if len(known) > _LISTED else ""
    listed = ", ".join(known[:_LISTED]) + more
    there = f"those of {listed} are" if known else f"none of {layer} are"
    return NotKeptError(
        f"{where}: {what} of {unit} are not kept, {there}; to keep them, "
        f"build with {recipe_line(unit)} in the recipe"
    )


def labelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Write the correlation of predicted and true activation behind each subject's name.

    Parameters
    ----------
    rows : DataFrame
        Of ``Release.predictions``.

    Returns
    -------
    DataFrame
        The same rows; ``subject`` is a text such as ``"S1: r = 0.41"``.
    """
    labels = {
        str(subject): f"{subject}: {_r(of_subject)}"
        for subject, of_subject in rows.groupby("subject", observed=True)
    }
    return rows.assign(subject=rows["subject"].astype(str).map(labels))


def _r(rows: pd.DataFrame) -> str:
    predicted, true = rows["predicted"].to_numpy(), rows["activation"].to_numpy()
    constant = is_constant(predicted, resolution=DOUBLE) or is_constant(true)
    return "no r" if constant else f"r = {rows['predicted'].corr(rows['activation']):.2f}"
