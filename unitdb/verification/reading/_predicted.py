"""Check the predictions that a release publishes: all that there should be, of whole samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import split
from unitdb.schema import TABLES
from unitdb.verification.reading._partitions import Pieces

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from unitdb.verification.reading._partitions import Referred
    from unitdb.verification.reading._sets import Sets
    from unitdb.verification.reading._summaries import Decoded

__all__ = ["PREDICTED", "Predicted"]

PREDICTED = "predicted"


class Predicted:
    """Rows of ``predicted``, held against accuracies, samples and the units kept.

    Parameters
    ----------
    folder : Path
        The release.
    samples : pyarrow.Table, optional
        All rows of ``samples``; None where no predictions are published.
    prediction : pyarrow.Table, optional
        All rows of ``prediction``.
    sets : Sets
        Test sets, with the samples of each.
    referred : Referred
        Rows that foreign keys may refer to.
    """

    def __init__(
        self,
        folder: Path,
        samples: pa.Table | None,
        prediction: pa.Table | None,
        *,
        sets: Sets,
        referred: Referred,
    ) -> None:
        self._folder, self._referred, self._stated = folder, referred, samples is not None
        self._sets = sets
        keys = ("dataset", "condition", "subject")
        self._samples = {} if samples is None else split(samples, keys)
        self._kept = (
            {}
            if prediction is None
            else split(prediction, ("dataset", "condition", "model", "layer"))
        )

    def check(self, data: Decoded, keys: tuple[str, ...], path: str | None) -> int:
        """Count the rows of a partition, all of them right.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        keys : tuple of str
            Dataset, condition, model and layer.
        path : str or None
            File of its predictions.

        Raises
        ------
        CorruptReleaseError
            Rows are missing, of another number of samples, or other than those of the units kept.
        """
        if not self._stated:
            if path is not None:
                raise CorruptReleaseError(f"{path}: there is no table 'samples'")
            return 0
        if path is None:
            raise CorruptReleaseError(f"{PREDICTED} has no partition {'/'.join(keys)}")
        kept = self._of_kept(keys)
        units: np.ndarray | None = None
        found: dict[tuple[str, str], list[np.ndarray]] = {}
        pieces = Pieces(self._folder, path, TABLES[PREDICTED], keys, self._referred)
        for piece in pieces:
            for (roi, subject), rows in split(piece, ("roi", "subject")).items():
                where = f"{path}: {roi}, {subject}"
                of_units = rows["unit"].to_numpy()
                values = self._values(rows, keys, subject, where)
                self._check_samples(keys, roi, subject, values.shape[1], where)
                found.setdefault((roi, subject), []).append(of_units)
                for unit, of_unit in zip(of_units.tolist(), values, strict=True):
                    known = kept.get((roi, subject, unit))
                    if known is not None and not np.array_equal(known, of_unit):
                        raise CorruptReleaseError(
                            f"{where}: unit {unit}: other values than in table 'prediction'"
                        )
        for roi, subjects, _ in data.parts:
            for subject in subjects:
                parts = found.pop((roi, subject), [])
                own = np.concatenate([np.empty(0, np.int32), *parts])
                units = own if units is None else units
                if not len(own) or not np.array_equal(own, units):
                    raise CorruptReleaseError(
                        f"{path}: {roi}, {subject}: {len(own)} units, of another ROI {len(units)}"
                    )
        if found or units is None or len(np.setdiff1d(units, data.units)):
            raise CorruptReleaseError(f"{path}: predictions without accuracies")
        return pieces.n_rows

    def _values(
        self, rows: pa.Table, keys: tuple[str, ...], subject: str, where: str
    ) -> np.ndarray:
        """Predictions, (n_units, n_samples)."""
        samples = self._samples.get((*keys[:2], subject))
        n = 0 if samples is None else samples.num_rows
        lists = rows["predicted"].combine_chunks()
        lengths = set(lists.value_lengths().to_pylist())
        if lengths != {n}:
            raise CorruptReleaseError(
                f"{where}: predictions of {sorted(lengths)} samples; table 'samples' has {n}"
            )
        return np.asarray(lists.flatten()).reshape(len(lists), n)

    def _check_samples(
        self, keys: tuple[str, ...], roi: str, subject: str, n: int, where: str
    ) -> None:
        expected = self._sets.n_samples(keys[0], keys[1], roi, subject)
        if n != expected:
            raise CorruptReleaseError(f"{where}: {n} samples; the release states {expected}")

    def _of_kept(self, keys: tuple[str, ...]) -> dict[tuple[Any, ...], np.ndarray]:
        """Predictions of the units kept, in the order of samples, by ROI, subject and unit."""
        rows = self._kept.get(keys)
        if rows is None:
            return {}
        found = {}
        for (roi, subject), part in split(rows, ("roi", "subject")).items():
            places = self._order(keys, subject)
            for unit in np.unique(part["unit"].to_numpy()).tolist():
                own = part.filter(np.asarray(part["unit"]) == unit)
                shown = zip(
                    own["stimulus"].to_pylist(), own["presentation"].to_pylist(), strict=True
                )
                values = np.empty(own.num_rows, dtype=np.float32)
                values[[places.get(name, 0) for name in shown]] = own["predicted"].to_numpy()
                found[roi, subject, unit] = values
        return found

    def _order(self, keys: tuple[str, ...], subject: str) -> dict[tuple[str, int], int]:
        samples = self._samples.get((*keys[:2], subject))
        if samples is None:
            return {}
        pairs = zip(
            samples["stimulus"].to_pylist(), samples["presentation"].to_pylist(), strict=True
        )
        return {pair: place for place, pair in enumerate(pairs)}
