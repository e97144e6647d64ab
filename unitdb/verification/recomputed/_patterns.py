"""Compute decoded patterns again, where all units of the patterns are kept image by image."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from unitdb.analysis import (
    MeanProfile,
    PatternSimilarity,
    pairwise_identification,
    pattern_correlation,
    prediction_correlations,
)
from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import split
from unitdb.resolution import HALF, flattened, is_constant, resolution_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa

__all__ = ["Patterns"]

_NEAR = 1e-5
"""Predictions are kept as float32, and compared as they were decoded."""
_VALUES = (
    *("pattern_r", "pattern_low", "pattern_high", "pattern_chance"),
    *("identification", "identification_low", "identification_high", "mean_low", "mean_high"),
)

Row = dict[str, Any]


class Patterns:
    """Activations and predictions of the units kept, and what table ``stimuli`` says of pictures.

    Parameters
    ----------
    described : mapping of str to list of dict
        Rows of the tables that the numbers refer to.
    small : mapping of str to pyarrow.Table
        All tables that are one file.
    """

    def __init__(self, described: Mapping[str, list[Row]], small: Mapping[str, pa.Table]) -> None:
        self._predicted = split(small["prediction"], ("dataset", "condition", "model", "layer"))
        self._active = split(small["activation"], ("dataset", "model", "layer"))
        self._splits: dict[str, dict[str, str]] = {}
        for row in described["stimuli"]:
            self._splits.setdefault(row["dataset"], {})[row["stimulus"]] = row["split"]
        self._n_train = {
            (row["dataset"], row["roi"], row["subject"]): row["n_train"]
            for row in described["subjects"]
        }

    def check(self, keys: Sequence[str], summaries: Iterable[Row], pairs: Iterable[Row]) -> None:
        """Raise CorruptReleaseError unless patterns are what the units kept give.

        Parameters
        ----------
        keys : sequence of str
            Dataset, condition, model and layer.
        summaries, pairs : iterable of dict
            The layer's rows of ``layer_summary`` and ``intersubject``.
        """
        dataset, condition, model, layer = keys
        rows = [row for row in summaries if row["n_pattern_units"]]
        held_out = self._predicted.get((dataset, condition, model, layer))
        activation = self._active.get((dataset, model, layer))
        if held_out is None or activation is None:
            return
        kept = pc.unique(held_out["unit"])
        if not rows or len(kept) < max(row["n_pattern_units"] for row in rows):
            return  # of most layers a few units are kept
        predicted = held_out.to_pandas()
        activation = activation.filter(pc.is_in(activation["unit"], value_set=kept))
        if "target" in predicted and (
            predicted["target"].notna().any() or (predicted["presentation"] > 1).any()
        ):
            return  # of other stimuli than those shown, or of single presentations
        true = activation.to_pandas().pivot_table(
            index="stimulus", columns="unit", values="activation", observed=True
        )
        splits = self._splits[dataset]
        train = true.loc[[name for name in true.index if splits[name] != "test"]]
        held: dict[tuple[str, str], pd.DataFrame] = {}
        for row in rows:
            roi, subject = row["roi"], row["subject"]
            if self._n_train[dataset, roi, subject] != len(train):
                return  # pictures that train several times count several times
            own = predicted[(predicted["roi"] == roi) & (predicted["subject"] == subject)]
            held[roi, subject] = own.pivot_table(
                index="stimulus", columns="unit", values="predicted", observed=True
            )
            of_units = partial(_patterns, held[roi, subject], true, train, mean_r=row["mean_r"])
            if not _agree(("layer_summary", *keys, roi, subject), row, of_units):
                return
        self._check_pairs(keys, pairs, held)

    def _check_pairs(
        self,
        keys: Sequence[str],
        pairs: Iterable[Row],
        held: Mapping[tuple[str, str], pd.DataFrame],
    ) -> None:
        for row in pairs:
            both = [held.get((row["roi"], row[name])) for name in ("subject_a", "subject_b")]
            if both[0] is None or both[1] is None:
                continue
            found = prediction_correlations(
                [of.to_numpy(np.float32) for of in both if of is not None],
                [np.asarray(of.index, dtype=str) for of in both if of is not None],
            )
            where = ("intersubject", *keys, row["roi"], row["subject_a"], row["subject_b"])
            _hold(where, "prediction_r", row["prediction_r"], float(found[0, 1]))


def _agree(where: tuple[str, ...], row: Row, patterns: Callable[[float], Row]) -> bool:
    """Whether a row is what the units kept give; they may not be known to.

    A release does not say in which precision a layer was computed, by which units are constant.

    Raises
    ------
    CorruptReleaseError
        The row is none of what they give.
    """
    wrong: CorruptReleaseError | None = None
    for precision in ("float32", *HALF):
        found = patterns(resolution_of(precision))
        if found["n_pattern_units"] != row["n_pattern_units"]:
            continue
        try:
            for name in _VALUES:
                _hold(where, name, row[name], found[name])
        except CorruptReleaseError as error:
            wrong = wrong or error
        else:
            return True
    if wrong is not None:
        raise wrong
    return False


def _patterns(
    predicted: pd.DataFrame,
    true: pd.DataFrame,
    train: pd.DataFrame,
    resolution: float,
    *,
    mean_r: float | None,
) -> Row:
    """Columns of ``layer_summary``; bootstraps draw images in the order of their ids."""
    of_test, decoded = (x.to_numpy(np.float32) for x in (true.loc[predicted.index], predicted))
    of_test = flattened(of_test, resolution=resolution)
    values = train.to_numpy(np.float32)
    constant = is_constant(values, resolution=resolution)
    sd = np.where(constant, 0.0, values.astype(np.float64).std(axis=0, ddof=1))
    similarity = PatternSimilarity(len(of_test), len(of_test))
    mean = values.astype(np.float64).mean(axis=0)
    similarity.add(decoded, of_test, mean=mean, sd=sd)
    s = similarity.similarity()
    pattern, identification = pattern_correlation(s)[1], pairwise_identification(s).mean
    profile = MeanProfile(len(of_test))
    profile.add(decoded, of_test)
    own = profile.mean()
    shift = math.nan if mean_r is None else mean_r - own.value  # to the mean of all units
    ends = [float(np.clip(end + shift, -1, 1)) for end in (own.low, own.high)]
    others = s[~np.eye(len(s), dtype=bool)]
    known = others[~np.isnan(others)]
    return {
        "n_pattern_units": similarity.n_units,
        "pattern_r": pattern.value,
        "pattern_low": pattern.low,
        "pattern_high": pattern.high,
        "pattern_chance": float(known.mean()) if len(known) else math.nan,
        "identification": identification.value,
        "identification_low": identification.low,
        "identification_high": identification.high,
        "mean_low": ends[0],
        "mean_high": ends[1],
    }


def _hold(where: tuple[str, ...], name: str, stated: float | None, found: float) -> None:
    value = math.nan if stated is None else stated
    # One comparison of two images may be decided by how predictions are rounded.
    near = 1e-3 if name.startswith("identification") else _NEAR
    if not (abs(value - found) <= near or (math.isnan(value) and math.isnan(found))):
        raise CorruptReleaseError(
            f"{where[0]}: {'/'.join(where[1:])}: {name} is {stated}, but the predictions and "
            f"activations kept give {found}"
        )
