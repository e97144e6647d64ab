"""Figures of gains for the report: a region, method and test set each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unitdb.browser import charts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from unitdb.release import Release

__all__ = ["degraded", "modulation_parts"]


def degraded(summary: pd.DataFrame) -> pd.DataFrame:
    """Rows of sets that show degraded pictures; also where no bias, and so no p, is known."""
    return summary[(summary["r_original"] - summary["r_stimulus"]).abs() > 0]


def modulation_parts(release: Release) -> Iterator[tuple[str | None, Any, str]]:
    """Title of a dataset and network where one begins, a figure of gains, and its caption.

    Nothing where the release has no gains. By the published method; the page shows the other too.
    """
    if "modulation_summary" not in release.tables:
        return
    table = release.table("modulation_summary")
    names = {column: str for column, kind in table.dtypes.items() if kind == "category"}
    rows = degraded(table.astype(names))
    rows = rows[rows["method"] == "abdelhack2018"]
    layers = release.table("layers").sort_values("depth").astype({"model": str, "layer": str})
    for (dataset, model), of in rows.groupby(["dataset", "model"]):
        title: str | None = f"Degraded pictures: {dataset}, {model}"
        order = layers.loc[layers["model"] == model, "layer"].tolist()
        for (condition, roi), part in of.groupby(["condition", "roi"]):
            n = f"{part['n_images'].max()} pictures, {part['n_subjects'].max()} subjects"
            caption = (
                f"{condition}, {roi}: gains with 95 % intervals over pictures and subjects ({n}); "
                "red: the bias of simulated brains that are only fed forward."
            )
            yield title, charts.gains(part, order), caption
            title = None
