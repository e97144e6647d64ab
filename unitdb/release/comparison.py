"""Two releases compared: which units came, went or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unitdb.errors import QueryError
from unitdb.release.opened import Release
from unitdb.release.opening import open_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

__all__ = ["Comparison", "compare"]

_KEYS = ["dataset", "condition", "model", "layer", "roi"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """What differs between two releases.

    Parameters
    ----------
    before, after : str
        ``name@version``.
    tolerance : float
        Largest difference of two accuracies, Pearson r, that counts as none.
    cells : pandas.DataFrame
        For each dataset, condition, model, layer and ROI of either: ``n_before``, ``n_after``,
        ``n_added``, ``n_removed`` and ``n_changed`` units, and ``largest_difference`` of an
        accuracy that both have (NaN where there is none). A unit has changed where an accuracy in a
        subject of both differs by more than the tolerance, or exists in one alone; subjects of one
        release alone stand in ``subjects_added`` and ``subjects_removed``.
    units : pandas.DataFrame
        Units added, removed and changed (column ``change``), at the most ``limit`` of a cell: those
        that differ most, then by index.
    """

    before: str
    after: str
    tolerance: float
    cells: pd.DataFrame
    units: pd.DataFrame

    @property
    def equal(self) -> bool:
        """Whether all units, subjects and accuracies are the same, up to the tolerance."""
        counts = self.cells[["n_added", "n_removed", "n_changed"]].to_numpy().sum()
        subjects = self.cells["subjects_added"] + self.cells["subjects_removed"]
        return bool(counts == 0 and (subjects == "").all())

    def __str__(self) -> str:
        total = self.cells[["n_added", "n_removed", "n_changed"]].sum()
        lines = [
            f"{self.before} → {self.after}: units of {len(self.cells)} layers × ROIs",
            f"  added   {total['n_added']:>13,}",
            f"  removed {total['n_removed']:>13,}",
            f"  changed {total['n_changed']:>13,}  (|Δr| > {self.tolerance:g})",
        ]
        differences = self.cells["largest_difference"].dropna()
        if len(differences):
            lines.append(f"  largest |Δr| {differences.max():.3g}")
        for column, word in (("subjects_added", "new"), ("subjects_removed", "missing")):
            names = sorted({name for text in self.cells[column] for name in text.split()})
            if names:
                lines.append(f"  subjects {word}: {', '.join(names)}")
        return "\n".join(lines)


def compare(
    before: Release | str | Path,
    after: Release | str | Path,
    *,
    tolerance: float = 1e-6,
    limit: int = 1000,
    releases: str | Path | None = None,
) -> Comparison:
    """Compare the accuracies of two releases, a layer and an ROI at a time.

    Parameters
    ----------
    before, after : Release, str or Path
        Opened, or as :func:`unitdb.open` takes them.
    tolerance : float
        Largest difference of two accuracies, Pearson r, that counts as none.
    limit : int
        Units to list of each layer and ROI.
    releases : str or Path, optional
        Folder of the catalogue.

    Returns
    -------
    Comparison
        Counts by layer and ROI, and the units that differ most.

    Raises
    ------
    QueryError
        The tolerance is below 0 or no number.
    UnknownReleaseError, CorruptReleaseError
        A release is not there or cannot be read.

    Examples
    --------
    >>> unitdb.compare(release, release).equal
    True
    """
    import pandas as pd

    if not tolerance >= 0:
        raise QueryError(f"tolerance={tolerance!r} is not a number from 0")
    one, other = (
        found if isinstance(found, Release) else open_release(found, releases=releases)
        for found in (before, after)
    )
    cells, units = [], []
    for key, a, b in _cells(one, other):
        cell, listed = _compared(a, b, tolerance, limit)
        cells.append(dict(zip(_KEYS, key, strict=True)) | cell)
        units.append(listed.assign(**dict(zip(_KEYS, key, strict=True))))
    columns = [*_KEYS, "unit", "change", "difference"]
    return Comparison(
        before=one.label,
        after=other.label,
        tolerance=tolerance,
        cells=pd.DataFrame(cells),
        units=pd.concat(units, ignore_index=True)[columns],
    )


def _cells(
    one: Release, other: Release
) -> Iterator[tuple[tuple[str, ...], pd.DataFrame, pd.DataFrame]]:
    """Accuracies (n_units, n_subjects) of both, of each cell of either."""
    import pandas as pd

    keys = [
        set(release.table("layer_summary", _KEYS).astype(str).itertuples(index=False, name=None))
        for release in (one, other)
    ]
    nothing = pd.DataFrame(np.empty((0, 0), np.float32), index=pd.Index([], dtype=np.int32))
    for key in sorted(keys[0] | keys[1]):
        dataset, condition, model, layer, roi = key
        a, b = (
            release.accuracies(model, layer, roi, dataset=dataset, condition=condition)
            if key in of_release
            else nothing
            for release, of_release in zip((one, other), keys, strict=True)
        )
        yield key, a, b


def _compared(
    a: pd.DataFrame, b: pd.DataFrame, tolerance: float, limit: int
) -> tuple[dict[str, object], pd.DataFrame]:
    import pandas as pd

    added, removed = b.index.difference(a.index), a.index.difference(b.index)
    common = a.index.intersection(b.index)
    subjects = [subject for subject in a.columns if subject in b.columns]
    r_a, r_b = (frame.loc[common, subjects].to_numpy(np.float64) for frame in (a, b))
    difference = np.abs(r_a - r_b)
    one_alone = np.isnan(r_a) != np.isnan(r_b)
    largest = np.fmax.reduce(difference, axis=1, initial=-1.0)  # -1: no accuracy in common
    changed = one_alone.any(axis=1) | (largest > tolerance)
    listed = pd.concat(
        [
            pd.DataFrame(
                {
                    "unit": common[changed],
                    "change": "changed",
                    "difference": np.where(largest < 0, np.nan, largest)[changed],
                }
            ).sort_values(["difference", "unit"], ascending=[False, True]),
            pd.DataFrame({"unit": added, "change": "added", "difference": np.nan}),
            pd.DataFrame({"unit": removed, "change": "removed", "difference": np.nan}),
        ]
    )
    cell = {
        "n_before": len(a),
        "n_after": len(b),
        "n_added": len(added),
        "n_removed": len(removed),
        "n_changed": int(changed.sum()),
        "largest_difference": largest.max() if len(common) and largest.max() >= 0 else np.nan,
        "subjects_added": " ".join(b.columns.difference(a.columns)) if len(a) else "",
        "subjects_removed": " ".join(a.columns.difference(b.columns)) if len(b) else "",
    }
    return cell, listed.head(limit)
