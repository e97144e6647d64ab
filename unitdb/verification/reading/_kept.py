"""Check activations and predictions of the units that were kept against their accuracies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import coded, split
from unitdb.verification.reading._references import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from unitdb.verification.reading._sets import Sets
    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Kept", "correlations", "rounding"]

_TOLERANCE = 1e-6  # of sums, and of r in float32
_HALF_UNIT = 2.0**-24  # what rounding to float32 changes, relative to the value,
_HALF_STEP = 2.0**-150  # and of the smallest values at the least
_PLACE = ("dataset", "condition", "model", "layer")
_NETWORK = ("dataset", "model", "layer")


class Kept:
    """Rows of ``activation`` and ``prediction``, held against the accuracies of each partition.

    Parameters
    ----------
    activation, prediction : pyarrow.Table, optional
        All rows; None where the release is of an older schema.
    sets : Sets
        Test sets, with the samples of each.
    together : bool
        Whether units have both, as in schemas older than 2.6.
    """

    def __init__(
        self,
        activation: pa.Table | None,
        prediction: pa.Table | None,
        sets: Sets,
        *,
        together: bool,
    ) -> None:
        self._together = together
        self._stated, self._sets = activation is not None and prediction is not None, sets
        self._activation = _split(activation, _NETWORK)
        self._prediction = _split(prediction, _PLACE)
        self._predicted: dict[tuple[str, ...], np.ndarray] = {}
        self._taken: set[tuple[str, ...]] = set()

    def check(self, data: Decoded, keys: tuple[str, ...]) -> None:
        """Raise CorruptReleaseError unless the predictions give the accuracies of a partition.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        keys : tuple of str
            The partition: dataset, condition, model, layer.
        """
        network = (keys[0], *keys[2:])
        activation, prediction = self._activation.get(network), self._prediction.pop(keys, None)
        self._taken.add(network)
        if not self._stated or (activation is None and prediction is None):
            return
        where = f"prediction: {'/'.join(keys)}"
        if activation is None:
            raise CorruptReleaseError(f"{where}: units are not in table 'activation'")
        shown_ = _check_pictures(activation, where=f"activation: {'/'.join(network)}")
        missing = np.setdiff1d(shown_, data.units)
        if len(missing):
            raise CorruptReleaseError(f"{where}: not decoded: {shown(map(str, missing))}")
        units = self._units(network, prediction, shown_, where=where)
        if prediction is None:
            return
        true = _of_images(prediction, activation)
        predicted = prediction["predicted"].to_numpy()
        groups = _groups(prediction)
        _check_presentations(prediction, groups.values(), where=where)
        places = np.searchsorted(data.units, units)
        for roi, subjects, r in data.parts:
            for subject, of_subject in zip(subjects, r[:, places].tolist(), strict=True):
                for unit, own in zip(units.tolist(), of_subject, strict=True):
                    there = groups.get((unit, roi, subject), slice(0, 0))
                    here = f"{where}/{unit}, {roi}, {subject}"
                    self._check_images(keys[:2], roi, subject, predicted[there], here)
                    if np.isnan(true[there]).any():
                        at = there.start + int(np.argmax(np.isnan(true[there])))
                        name = prediction["stimulus"][at].as_py()
                        raise CorruptReleaseError(f"{here}: no activation for stimulus {name!r}")
                    _check_r(predicted[there], true[there], own, where=here)

    def _units(
        self,
        network: tuple[str, ...],
        prediction: pa.Table | None,
        shown_: np.ndarray,
        where: str,
    ) -> np.ndarray:
        """Units with predictions: the same in all test sets, and all of them with activations."""
        none = np.empty(0, dtype=shown_.dtype)
        units = none if prediction is None else np.unique(prediction["unit"].to_numpy())
        expected = shown_ if self._together else self._predicted.setdefault(network, units)
        for rule, wrong in (
            ("units are not in table 'activation'", np.setdiff1d(units, shown_)),
            ("units are not those of other test sets or tables", np.setxor1d(units, expected)),
        ):
            if len(wrong):
                raise CorruptReleaseError(f"{where}: {rule}: {shown(map(str, wrong))}")
        return units

    def _check_images(
        self, keys: tuple[str, ...], roi: str, subject: str, images: np.ndarray, where: str
    ) -> None:
        expected = self._sets.n_samples(keys[0], keys[1], roi, subject)
        if len(images) != expected:
            raise CorruptReleaseError(
                f"{where}: {len(images)} test images; the release states {expected}"
            )

    def check_all_taken(self) -> None:
        """Raise CorruptReleaseError where rows are of no partition of ``accuracy``."""
        left = {
            "activation": [key for key in self._activation if key not in self._taken],
            "prediction": list(self._prediction),
        }
        for name, keys in left.items():
            if keys:
                names = shown("/".join(key) for key in keys)
                raise CorruptReleaseError(f"{name}: rows without accuracies: {names}")


def _check_pictures(activation: pa.Table, *, where: str) -> np.ndarray:
    """Units with activations of a layer; each must have one for each picture."""
    units, starts = np.unique(activation["unit"].to_numpy(), return_index=True)
    codes = np.asarray(coded(activation["stimulus"])[0])
    first, *others = np.split(codes, starts[1:])
    for unit, own in zip(units[1:].tolist(), others, strict=True):
        if not np.array_equal(first, own):
            raise CorruptReleaseError(f"{where}/{unit}: pictures are not those of unit {units[0]}")
    return units


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
    changed = float(np.linalg.norm(np.maximum(_HALF_UNIT * np.abs(predicted), _HALF_STEP)))
    return 2 * changed / deviation if deviation else np.inf


def _check_r(predicted: np.ndarray, true: np.ndarray, r: float, *, where: str) -> None:
    if np.isnan(r):  # also of a unit that is constant in training alone
        return
    p = predicted.astype(np.float64)
    found = correlations(p, true)
    if not abs(found - r) <= _TOLERANCE + rounding(p):
        raise CorruptReleaseError(f"{where}: predictions give r = {found}, but accuracy.r is {r}")


def _split(table: pa.Table | None, names: Sequence[str]) -> dict[tuple[str, ...], pa.Table]:
    return {} if table is None else split(table, names)


def _of_images(prediction: pa.Table, activation: pa.Table) -> np.ndarray:
    """True activation of what is decoded in each row of predictions; NaN where there is none."""
    decoded = prediction["stimulus"]
    if "target" in prediction.column_names:
        target = prediction["target"]
        if target.null_count < len(target):
            decoded = pc.coalesce(target, decoded.cast(pa.string())).dictionary_encode()
    (shown_, names), (images, own) = coded(activation["stimulus"]), coded(decoded)
    codes = {name: code for code, name in enumerate(names)}
    images = np.array([codes.get(name, -1) for name in own])[images]
    # Rows are sorted by unit and stimulus: a place among them is one number that rises.
    there = activation["unit"].to_numpy().astype(np.int64) * len(names) + shown_
    asked = prediction["unit"].to_numpy().astype(np.int64) * len(names) + images
    at = np.minimum(np.searchsorted(there, asked), len(there) - 1)
    true: np.ndarray = activation["activation"].to_numpy()[at].astype(np.float64)
    true[(there[at] != asked) | (images < 0)] = np.nan
    return true


def _check_presentations(table: pa.Table, groups: Iterable[slice], *, where: str) -> None:
    """Check that samples of a stimulus are counted from 1."""
    if "presentation" not in table.column_names:
        return
    codes, counted = np.asarray(coded(table["stimulus"])[0]), table["presentation"].to_numpy()
    starts = np.zeros(len(codes), dtype=bool)
    starts[[group.start for group in groups]] = True
    starts[1:] |= codes[1:] != codes[:-1]
    at = np.arange(len(codes))
    expected = at - np.maximum.accumulate(np.where(starts, at, 0)) + 1
    wrong = np.flatnonzero(counted != expected)
    if len(wrong):
        raise CorruptReleaseError(
            f"{where}: row {wrong[0]}: presentation is {counted[wrong[0]]}, not "
            f"{expected[wrong[0]]}, of its stimulus"
        )


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
