"""Check activations and predictions of the units that were kept against their accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import coded
from unitdb.verification.reading._references import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Kept", "correlations", "rounding"]

_TOLERANCE = 1e-6  # of sums, and of r in float32
_HALF_UNIT = 2.0**-24  # what rounding to float32 changes, relative to the value
_PLACE = ("dataset", "condition", "model", "layer")


class Kept:
    """Rows of ``activation`` and ``prediction``, held against the accuracies of each partition.

    Parameters
    ----------
    activation, prediction : pyarrow.Table, optional
        All rows; None where the release is of an older schema.
    n_test : mapping of (str, str, str) to int
        Test images of each dataset, ROI and subject.
    """

    def __init__(
        self,
        activation: pa.Table | None,
        prediction: pa.Table | None,
        n_test: Mapping[tuple[str, str, str], int],
    ) -> None:
        self._activation, self._prediction, self._n_test = activation, prediction, n_test
        self._n_rows = {"activation": 0, "prediction": 0}

    def check(self, data: Decoded, keys: tuple[str, ...]) -> None:
        """Raise CorruptReleaseError unless the predictions give the accuracies of a partition.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        keys : tuple of str
            The partition: dataset, condition, model, layer.
        """
        if self._activation is None or self._prediction is None:
            return
        where = f"prediction: {'/'.join(keys)}"
        activation = _rows_of(self._activation, dict(zip(_PLACE, keys, strict=True)))
        prediction = _rows_of(self._prediction, dict(zip(_PLACE, keys, strict=True)))
        self._n_rows["activation"] += activation.num_rows
        self._n_rows["prediction"] += prediction.num_rows
        units = np.unique(activation["unit"].to_numpy())
        if not np.array_equal(units, np.unique(prediction["unit"].to_numpy())):
            raise CorruptReleaseError(f"{where}: units are not those of table 'activation'")
        missing = np.setdiff1d(units, data.units)
        if len(missing):
            raise CorruptReleaseError(f"{where}: not decoded: {shown(map(str, missing))}")
        true = dict(zip(_keys(activation), activation["activation"].to_numpy(), strict=True))
        predicted = prediction["predicted"].to_numpy()
        groups = _groups(prediction)
        images = list(_keys(prediction))
        place = {unit: at for at, unit in enumerate(data.units.tolist())}
        for roi, subjects, r in data.rois():
            for subject, of_subject in zip(subjects, r, strict=True):
                for unit in units.tolist():
                    there = groups.get((unit, roi, subject), slice(0, 0))
                    here = f"{where}/{unit}, {roi}, {subject}"
                    self._check_images(keys[0], roi, subject, images[there], here)
                    try:
                        t = np.array([true[key] for key in images[there]], dtype=np.float64)
                    except KeyError as cause:
                        raise CorruptReleaseError(
                            f"{here}: no activation for stimulus {cause.args[0][1]!r}"
                        ) from None
                    _check_r(predicted[there], t, of_subject[place[unit]], where=here)

    def _check_images(
        self, dataset: str, roi: str, subject: str, images: Sequence[object], where: str
    ) -> None:
        expected = self._n_test[dataset, roi, subject]
        if len(images) != expected:
            raise CorruptReleaseError(
                f"{where}: {len(images)} test images; table 'subjects' says {expected}"
            )

    def check_all_taken(self) -> None:
        """Raise CorruptReleaseError where rows are of no partition of ``accuracy``."""
        for name, table in (("activation", self._activation), ("prediction", self._prediction)):
            if table is not None and self._n_rows[name] != table.num_rows:
                raise CorruptReleaseError(
                    f"{name}: {table.num_rows - self._n_rows[name]} rows without accuracies"
                )


def correlations(predicted: np.ndarray, true: np.ndarray) -> float:
    """Pearson correlation over test images; NaN where either is constant."""
    p, t = predicted - predicted.mean(), true - true.mean()
    scale = float(np.linalg.norm(p) * np.linalg.norm(t))
    return float(p @ t) / scale if scale else np.nan


def rounding(predicted: np.ndarray) -> float:
    """Most that rounding predictions to float32 changes their correlation with anything.

    |r(p + δ, t) − r(p, t)| ≤ 2 ‖δ‖ / ‖p − p̄‖
    """
    deviation = float(np.linalg.norm(predicted - predicted.mean()))
    changed = _HALF_UNIT * float(np.linalg.norm(predicted))
    return 2 * changed / deviation if deviation else np.inf


def _check_r(predicted: np.ndarray, true: np.ndarray, r: float, *, where: str) -> None:
    if np.isnan(r):  # also of a unit that is constant in training alone
        return
    p = predicted.astype(np.float64)
    found = correlations(p, true)
    if not abs(found - r) <= _TOLERANCE + rounding(p):
        raise CorruptReleaseError(f"{where}: predictions give r = {found}, but accuracy.r is {r}")


def _rows_of(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    kept = [
        pc.equal(table[column], value)
        for column, value in names.items()
        if column in table.column_names
    ]
    mask = kept[0]
    for other in kept[1:]:
        mask = pc.and_(mask, other)
    return table.filter(mask)


def _keys(table: pa.Table) -> zip[tuple[int, str]]:
    """Unit and stimulus of each row."""
    return zip(table["unit"].to_pylist(), table["stimulus"].to_pylist(), strict=True)


def _groups(table: pa.Table) -> dict[tuple[int, str, str], slice]:
    """Rows of each unit, ROI and subject: they follow each other."""
    if not table.num_rows:
        return {}
    units = table["unit"].to_numpy()
    (rois, roi_names), (subjects, names) = coded(table["roi"]), coded(table["subject"])
    key = np.stack([units, np.asarray(rois), np.asarray(subjects)])
    starts = np.flatnonzero(np.r_[True, (key[:, 1:] != key[:, :-1]).any(axis=0)])
    return {
        (int(units[start]), roi_names[rois[start]], names[subjects[start]]): slice(start, stop)
        for start, stop in zip(starts, [*starts[1:], len(units)], strict=True)
    }
