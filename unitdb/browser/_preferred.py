"""Pictures that drive units most, of many units at once: for galleries and strips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.browser import _reads
from unitdb.browser._own import has_folder, with_own
from unitdb.release.kept import NEEDS
from unitdb.unitids import UNIT_ID_SQL, UnitId

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from unitdb.query import Layer
    from unitdb.release import Release

__all__ = ["alike", "of_channel", "preferred", "shown_units"]

# Few units are kept: the table is small, whatever the size of the release.
_PREFERRED = f"""
SELECT unit_id, stimulus, place, thumbnail FROM (
  SELECT *, row_number() OVER (PARTITION BY unit_id ORDER BY place) AS shown FROM (
    SELECT dataset, stimulus, {UNIT_ID_SQL} AS unit_id,
      row_number() OVER (PARTITION BY model, layer, unit ORDER BY activation DESC, stimulus)
        AS place
    FROM activation WHERE dataset = ? AND model IN (SELECT unnest(?))
      AND layer IN (SELECT unnest(?)) AND (model, layer, unit) IN (
        SELECT (m, l, u) FROM (SELECT unnest(?) AS m, unnest(?) AS l, unnest(?) AS u))
  ) JOIN stimuli USING (dataset, stimulus) WHERE thumbnail IS NOT NULL OR place <= ?
) WHERE shown <= ? ORDER BY unit_id, place
""".strip()  # noqa: S608 - values are bound

_LOOKED_FOR = 24
"""Pictures of a unit that are looked for in the reader's own folder."""

_ALIKE = f"""
SELECT {UNIT_ID_SQL} AS unit_id, corr(activation, own) AS r FROM activation JOIN (
  SELECT stimulus, activation AS own FROM activation
  WHERE dataset = ? AND model = ? AND layer = ? AND unit = ?
) USING (stimulus) WHERE dataset = ? AND model = ? AND NOT (layer = ? AND unit = ?)
GROUP BY ALL HAVING NOT isnan(r) ORDER BY r DESC, unit_id LIMIT ?
""".strip()  # noqa: S608

_SHOWN = f"""
SELECT DISTINCT {UNIT_ID_SQL} AS unit_id FROM activation WHERE dataset = ? AND model = ?
  AND EXISTS (FROM stimuli WHERE dataset = ? AND thumbnail IS NOT NULL)
""".strip()  # noqa: S608

_OF_CHANNEL = f"""
SELECT DISTINCT {UNIT_ID_SQL} AS unit_id, unit FROM activation
WHERE model = ? AND layer = ? AND unit // ? % ? = ? ORDER BY unit
""".strip()  # noqa: S608


def preferred(release: Release, dataset: str, units: Sequence[str], n: int) -> pd.DataFrame:
    """The pictures that drive each unit most, of those that may be shown.

    Parameters
    ----------
    release : Release
    dataset : str
    units : sequence of str
        ``model/layer/unit``.
    n : int
        Pictures of a unit, at the most.

    Returns
    -------
    DataFrame
        ``unit_id``, ``stimulus``, ``place`` (among all pictures, from 1), ``thumbnail``; no rows
        of units that are not kept.
    """
    import pandas as pd

    if NEEDS not in release.tables or not units:
        return pd.DataFrame(columns=["unit_id", "stimulus", "place", "thumbnail"])
    parsed = [UnitId.parse(unit) for unit in units]
    models, layers, indices = ([one[i] for one in parsed] for i in range(3))
    asked = [dataset, sorted(set(models)), sorted(set(layers)), models, layers, indices]
    few = _LOOKED_FOR if has_folder() else 0
    found: pd.DataFrame = _reads.read_sql(release, _PREFERRED, [*asked, few, n + few])
    found = with_own(release, dataset, found, most=n).dropna(subset="thumbnail")
    return found.groupby("unit_id").head(n)


def alike(release: Release, dataset: str, unit: str, n: int) -> pd.DataFrame:
    """Kept units of the same network whose activations over pictures are most like the unit's.

    Returns
    -------
    DataFrame
        ``unit_id`` and ``r``: Pearson correlation over pictures; the highest first.
    """
    model, layer, index = UnitId.parse(unit)
    found: pd.DataFrame = _reads.read_sql(
        release, _ALIKE, [dataset, model, layer, index, dataset, model, layer, index, n]
    )
    return found


def of_channel(release: Release, layer: Layer, channel: int) -> list[str]:
    """Units of a channel that are kept, so that their pages have pictures."""
    if NEEDS not in release.tables or layer.axes is None:
        return []
    axis = layer.channel
    asked = [layer.model, layer.layer, axis.step, axis.size, channel]
    return list(_reads.read_sql(release, _OF_CHANNEL, asked)["unit_id"])


def shown_units(release: Release, dataset: str, model: str) -> list[str]:
    """Units of a network that are kept, where there are pictures that may be shown."""
    if NEEDS not in release.tables:
        return []
    found = _reads.read_sql(release, _SHOWN, [dataset, model, dataset])
    return sorted(found["unit_id"])
