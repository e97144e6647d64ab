"""Accuracies of one unit, of one layer, and how they are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError, QueryError
from unitdb.query.source import check_names
from unitdb.unitids import UNIT_ID_SQL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from unitdb.query import Source
    from unitdb.release.storage import Storage

__all__ = [
    "distribution",
    "layer_accuracies",
    "only",
    "scatter",
    "similar_units",
    "unit_accuracies",
    "unit_explainable",
]

_OF_UNIT = """
SELECT dataset, condition, roi, subject, r FROM accuracy
WHERE model = ? AND layer = ? AND unit = ?
ORDER BY dataset, condition, roi, subject
""".strip()

_EXPLAINABLE_COLUMNS = (
    *("dataset", "condition", "roi", "subject"),
    *("r", "reliability", "ceiling", "explainable_r", "above_ceiling"),
)
_EXPLAINABLE = """
SELECT dataset, condition, roi, subject, r, reliability, ceiling, explainable_r, above_ceiling
FROM explainable WHERE model = ? AND layer = ? AND unit = ?
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

_SIMILAR = f"""
WITH decoded AS NOT MATERIALIZED (
  SELECT roi, unit, CAST(mean_r AS DOUBLE) AS r FROM unit_summary
  WHERE dataset = ? AND condition = ? AND model = ? AND layer = ? AND mean_r IS NOT NULL
), profile AS (SELECT roi, r FROM decoded WHERE unit = ?)
SELECT {UNIT_ID_SQL} AS unit_id, distance FROM (
  SELECT ? AS model, ? AS layer, decoded.unit,
    sqrt(avg((decoded.r - profile.r) ** 2)) AS distance
  FROM decoded JOIN profile USING (roi)
  WHERE decoded.unit <> ?
  GROUP BY decoded.unit
  HAVING count(*) = (SELECT count(*) FROM profile)
  ORDER BY distance, decoded.unit LIMIT ?
)
ORDER BY distance, unit
""".strip()  # noqa: S608


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
    import pandas as pd

    rows = sql(_OF_UNIT, unit)
    if rows.empty:
        raise QueryError(f"{where}: unit {'/'.join(map(str, unit))} was not decoded")
    # By hand: pandas takes a third of the query's time to turn forty rows into a table.
    names = ("dataset", "condition", "roi")
    places = list(zip(*(rows[name].tolist() for name in names), strict=True))
    subjects = rows["subject"].tolist()
    index = {place: number for number, place in enumerate(dict.fromkeys(places))}
    columns = {subject: number for number, subject in enumerate(sorted(set(subjects)))}
    values = np.full((len(index), len(columns)), np.nan, dtype=np.float32)
    values[[index[place] for place in places], [columns[subject] for subject in subjects]] = rows[
        "r"
    ]
    wide = pd.DataFrame(
        values,
        index=pd.MultiIndex.from_tuples(index, names=names),
        columns=pd.Index(list(columns), name="subject"),
    )
    wide.attrs.update(rows.attrs)
    return wide


def unit_explainable(
    sql: Callable[[str, Sequence[Any]], pd.DataFrame], unit: tuple[str, str, int], *, known: bool
) -> pd.DataFrame:
    """Accuracies of one unit and their ceilings (see ``Release.explainable``).

    Parameters
    ----------
    sql : callable
        Runs SQL on the release's tables.
    unit : tuple
        Model, layer and index.
    known : bool
        Whether the release has the view; without it there are no rows.
    """
    import pandas as pd

    return sql(_EXPLAINABLE, unit) if known else pd.DataFrame(columns=_EXPLAINABLE_COLUMNS)


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
    storage: Storage, file: str, roi: str, everybody: Sequence[str], *, where: str
) -> pd.DataFrame:
    """Accuracies of the units of a layer in one ROI (see ``Release.accuracies``).

    Rows lie by ROI, then unit, then subject: those of an ROI are a matrix.

    Parameters
    ----------
    storage : Storage
        The release.
    file : str
        The partition of ``accuracy``.
    roi : str
        The ROI.
    everybody : sequence of str
        Subjects of the dataset, sorted.
    where : str
        The file, for messages.

    Raises
    ------
    CorruptReleaseError
        Not all units are there in all subjects.
    """
    import pandas as pd

    n = len(everybody)
    table = storage.rows_of_roi(file, ["unit", "r"], roi)
    units = table["unit"].to_numpy()
    matrix = units.reshape(-1, n) if len(units) % n == 0 else units[:0].reshape(0, n)
    # Keys are distinct: as many rows as there are subjects are of all of them, in their order.
    if not len(matrix) or (matrix[:, 0] != matrix[:, -1]).any() or not _rises(matrix[:, 0]):
        raise CorruptReleaseError(f"{where}: not all units are there in all subjects")
    return pd.DataFrame(
        table["r"].to_numpy().reshape(-1, n),
        index=pd.Index(matrix[:, 0], name="unit"),
        columns=pd.Index(everybody, name="subject"),
    )


def _rises(units: np.ndarray) -> bool:
    return bool((units[1:] > units[:-1]).all())


def scatter(x: np.ndarray, y: np.ndarray, *, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Count pairs in square bins (see ``Release.scatter``).

    Parameters
    ----------
    x, y : array of shape (n_units,)
        Accuracies; pairs with NaN are left out.
    bins : int
        Bins of each axis, of equal width between the lowest and the highest of all values.

    Returns
    -------
    counts : array of shape (bins, bins)
        Rows are bins of x.
    edges : array of shape (bins + 1,)
        Edges of both axes.
    """
    both = ~(np.isnan(x) | np.isnan(y))
    if not both.all():
        x, y = x[both], y[both]
    low, high = (-1.0, 1.0) if not len(x) else (min(x.min(), y.min()), max(x.max(), y.max()))
    low, high = float(low), float(high)  # float32 would make edges of float32
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    # The last bin holds the highest value too.
    scale = bins / (edges[-1] - edges[0])
    places = [
        np.minimum(((values - edges[0]) * scale).astype(np.int32), bins - 1) for values in (x, y)
    ]
    counts = np.bincount(places[0] * bins + places[1], minlength=bins * bins)
    return counts.reshape(bins, bins), edges


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
