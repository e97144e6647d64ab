"""Accuracies of one unit, of one layer, and how they are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unitdb.errors import CorruptReleaseError, QueryError
from unitdb.query.source import check_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unitdb.query import Source
    from unitdb.release.storage import Storage

__all__ = ["distribution", "layer_accuracies", "only", "similar_units", "unit_accuracies"]

_OF_UNIT = """
SELECT dataset, condition, roi, subject, r FROM accuracy
WHERE model = ? AND layer = ? AND unit = ?
ORDER BY dataset, condition, roi, subject
""".strip()

_OF_MEANS = """
SELECT layer, roi, bin / 100 AS lower, n_units FROM unit_histogram
WHERE dataset = ? AND condition = ? AND model = ?{layers}
ORDER BY layer, roi, bin
""".strip()
_OF_SUBJECTS = """
SELECT layer, roi, subject, bin / 100 AS lower, n_units FROM accuracy_histogram
WHERE dataset = ? AND condition = ? AND model = ?{layers}
ORDER BY layer, roi, subject, bin
""".strip()

_SIMILAR = """
WITH layer AS NOT MATERIALIZED (
  SELECT roi, unit, CAST(mean_r AS DOUBLE) AS r FROM unit_summary
  WHERE dataset = ? AND condition = ? AND model = ? AND layer = ? AND mean_r IS NOT NULL
), profile AS (SELECT roi, r FROM layer WHERE unit = ?)
SELECT ? || '/' || ? || '/' || layer.unit AS unit_id,
  sqrt(avg((layer.r - profile.r) ** 2)) AS distance
FROM layer JOIN profile USING (roi)
WHERE layer.unit <> ?
GROUP BY layer.unit
HAVING count(*) = (SELECT count(*) FROM profile)
ORDER BY distance, layer.unit LIMIT ?
""".strip()


def only(source: Source, column: str, name: str | None) -> str:
    """Return a name of the release, or the only one there is.

    Raises
    ------
    QueryError
        There are several, and none is named.
    UnknownNameError
        No such name; gives the nearest.
    """
    known = source.known[column]
    if name is not None:
        return check_names(source, column, name)[0]
    if len(known) > 1:
        raise QueryError(
            f"release {source.label} has several values of {column}: name one of {', '.join(known)}"
        )
    return known[0]


def unit_accuracies(
    sql: Callable[[str, Sequence[Any]], pd.DataFrame], unit: tuple[str, str, int], *, where: str
) -> pd.DataFrame:
    """Accuracies of one unit (see ``Release.unit``)."""
    rows = sql(_OF_UNIT, unit)
    if rows.empty:
        raise QueryError(f"{where}: unit {'/'.join(map(str, unit))} was not decoded")
    wide = rows.pivot_table(
        index=["dataset", "condition", "roi"], columns="subject", values="r", dropna=False
    )
    wide.attrs.update(rows.attrs)
    return wide


def similar_units(
    sql: Callable[[str, Sequence[Any]], pd.DataFrame],
    scope: tuple[str, str],
    unit: tuple[str, str, int],
    n: int,
) -> pd.DataFrame:
    """Units of a layer that are most like one over ROIs (see ``Release.similar``)."""
    model, layer, index = unit
    return sql(_SIMILAR, [*scope, model, layer, index, model, layer, index, n])


def layer_accuracies(
    storage: Storage, file: str, roi: str, subjects: Sequence[str] | None, *, where: str
) -> pd.DataFrame:
    """Accuracies of the units of a layer in one ROI (see ``Release.accuracies``).

    Rows lie by ROI, then unit, then subject: those of an ROI are a matrix.
    """
    table = storage.rows_of_roi(file, ["unit", "subject", "r"], roi)
    unit, r = table["unit"].to_numpy(), table["r"].to_numpy()
    n = int(np.searchsorted(unit, unit[0], side="right"))
    columns = table["subject"].slice(0, n).to_pylist()  # those of the first unit
    matrix = unit.reshape(-1, n) if len(unit) % n == 0 else unit[:0].reshape(0, n)
    if not len(matrix) or (matrix != matrix[:, :1]).any():
        raise CorruptReleaseError(f"{where}: not all units are there in all subjects")
    frame = pd.DataFrame(
        r.reshape(-1, n),
        index=pd.Index(matrix[:, 0], name="unit"),
        columns=pd.Index(columns, name="subject"),
    )
    return frame if subjects is None else frame[list(subjects)]


def distribution(
    sql: Callable[[str, Sequence[Any]], pd.DataFrame],
    partition: tuple[str, str, str],
    layers: Sequence[str] | None,
    *,
    per_subject: bool,
) -> pd.DataFrame:
    """Histograms of accuracies (see ``Release.distribution``)."""
    kept = f" AND layer IN ({', '.join('?' * len(layers))})" if layers else ""
    template = _OF_SUBJECTS if per_subject else _OF_MEANS
    return sql(template.format(layers=kept), [*partition, *(layers or ())])
