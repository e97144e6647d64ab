"""What a release found, as text: its most brain-like units, and its layer × ROI matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unitdb.cli.terminal import aligned, cells
from unitdb.release import order_words

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["findings"]

_UNITS = 10


def findings(release: Release) -> str:
    """Print-ready findings of a release.

    Parameters
    ----------
    release : Release
        With one dataset, one network and one test set.

    Returns
    -------
    str
        Several lines.

    Raises
    ------
    QueryError
        It has several of one of them; names these.
    """
    top = release.units().top(_UNITS, by="mean_r").to_arrow()
    columns = ["unit_id", "roi", "mean_r", "sd_r", "min_r", "n_subjects"]
    parts = [
        *(["SIMULATED responses: no statement about brains.", ""] if release.simulated else []),
        f"{release.title} ({release.name} {release.version})",
        "",
        f"The {_UNITS} most brain-like units (decoding accuracy, Pearson r, over subjects)",
        aligned(columns, cells(top.select(columns))),
        "",
        "Mean decoding accuracy (Pearson r, over units, then subjects)",
        _matrix(release.layer_by_roi("accuracy")),
        "",
        "Inter-subject correlation of unit accuracies (Pearson r, mean over pairs of subjects)",
        _matrix(release.layer_by_roi("agreement")),
        "",
        *_course(release),
        f"In Python: unitdb.open({str(release.path)!r})",
    ]
    return "\n".join(parts)


def _course(release: Release) -> list[str]:
    """What the time course tells of the order of layers, where there is one."""
    if "lag_order" not in release.tables:
        return []
    orders = release.table("lag_order").astype({"control": str, "roi": str, "condition": str})
    places = release.table("rois").astype({"roi": str}).sort_values("place")["roi"].tolist()
    parts = ["Time course: which layers come first"]
    for condition, of in orders.groupby("condition"):
        for roi in [roi for roi in places if roi in set(of["roi"])]:
            measured = of[(of["roi"] == roi) & (of["control"] == "none")]
            parts += [f"{condition}, {roi}: {one}" for one in order_words(measured)]
    return [*parts, ""]


def _matrix(values: pd.DataFrame) -> str:
    rows = [
        [str(layer), *(f"{value:.2f}" for value in row)]
        for layer, row in zip(values.index, values.to_numpy(), strict=True)
    ]
    return aligned(["layer", *map(str, values.columns)], rows)
