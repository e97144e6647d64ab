"""Numbers of identification, as the page and the report arrange them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["confused", "identification_matrix", "in_order"]


def in_order(layers: pd.DataFrame, model: str, held: Sequence[str]) -> list[str]:
    """Layers by depth, those of all together last."""
    known = layers[layers["model"] == model].sort_values("depth")["layer"].tolist()
    found = [layer for layer in known if layer in set(held)]
    return found + sorted(layer for layer in set(held) if layer.startswith("*"))


def identification_matrix(
    rows: pd.DataFrame, measure: str, layers: list[str], rois: list[str]
) -> pd.DataFrame:
    """A number of ``identification_summary`` by layer and ROI; mean over what rows differ in."""
    wide = rows.pivot_table(index="layer", columns="roi", values=measure, dropna=False)
    return wide.reindex(index=layers, columns=rois)


def confused(rows: pd.DataFrame) -> pd.DataFrame:
    """Targets by how well they are identified, the worst first, with what is nearest instead.

    Parameters
    ----------
    rows : DataFrame
        Of ``identification``, of one place.
    """
    known = rows[rows["n_false"] > 0]
    rate = (known["n_below"] + known["n_equal"] / 2) / known["n_false"]
    found = known.assign(rate=rate)
    columns = ["target", "rate", "chance_exchange", "best", "target_r", "best_r"]
    return found[columns].sort_values(["rate", "target"], ignore_index=True)
