"""Which targets are taken for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["confused"]


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
