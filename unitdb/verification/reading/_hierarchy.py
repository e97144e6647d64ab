"""Check BH scores: best ROIs from the accuracies, scores from how often each ROI is the best."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.errors import CorruptReleaseError
from unitdb.release.rows import coded
from unitdb.verification.reading._significance import chance_of_r

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Hierarchy"]

_N_DRAWN, _N_DRAWS = 5, 100
_NEAR = 1e-6
_TOLERANCE = 1e-9

Row = dict[str, Any]


class Hierarchy:
    """Rows of ``hierarchy`` and ``best_roi`` that the partitions are held against.

    Parameters
    ----------
    scores, counts : list of dict
        Rows of the two tables.
    voxels : pyarrow.Table, optional
        Table ``encoding``.
    n_voxels : mapping of (str, str, str) to int
        Voxels by dataset, ROI and subject.
    depths : mapping of (str, str) to int
        Place of each layer, by model and layer.
    seeds : mapping of (str, str) to int
        Seed of the build, by dataset and model.
    """

    def __init__(
        self,
        scores: list[Row],
        counts: list[Row],
        voxels: pa.Table | None,
        *,
        n_voxels: Mapping[tuple[str, str, str], int | None],
        depths: Mapping[tuple[str, str], int],
        seeds: Mapping[tuple[str, str], int],
    ) -> None:
        self._depths = depths
        self._counts: dict[tuple[str, ...], dict[tuple[str, str], int]] = defaultdict(dict)
        for row in counts:
            self._counts[_key(row)][row["layer"], row["roi"]] = row["n_units"]
        self._scores = {_key(row): row for row in scores}
        if self._counts.keys() - self._scores.keys():
            raise CorruptReleaseError("best_roi: rows without a score in table 'hierarchy'")
        encoded = None if voxels is None else Voxels(voxels, n_voxels)
        # Averages last: where one part is wrong, that is what should be said.
        for key, row in sorted(self._scores.items(), key=lambda item: item[0][3] == "average"):
            _check_interval(key, row)
            if row["kind"] == "average":
                self._check_average(key, row)
            else:
                self._check_score(key, row, seeds[row["dataset"], row["model"]])
            if row["kind"] == "encoding" and encoded is not None:
                self._check_voxels(key, row, encoded)

    def _check_score(self, key: tuple[str, ...], row: Row, seed: int) -> None:
        place, counts = "/".join(key), self._counts[key]
        layers = sorted({layer for layer, _ in counts}, key=lambda n: self._depths[key[2], n])
        table = np.array([[counts.get((n, roi), -1) for roi in row["rois"]] for n in layers])
        if table.size != len(counts) or (table < 0).any() or table.sum() != row["n_counted"]:
            raise CorruptReleaseError(
                f"hierarchy: {place}: {row['n_counted']} units are counted, in the ROIs "
                f"{', '.join(row['rois'])}; table 'best_roi' has others"
            )
        found = np.nan if row["score"] is None else row["score"]
        # Of voxels, regions take the place of layers, and all of them take part.
        expected = _score(table, seed) if row["kind"] == "decoding" else _rank_correlation(table.T)
        if not np.isclose(found, expected, rtol=0, atol=_TOLERANCE, equal_nan=True):
            raise CorruptReleaseError(
                f"hierarchy: {place}: score is {found}, but table 'best_roi' gives {expected}"
            )

    def _check_average(self, key: tuple[str, ...], row: Row) -> None:
        parts = [self._scores.get((*key[:3], kind, key[4])) for kind in ("decoding", "encoding")]
        for name in ("score", "score_low", "score_high", "n_units", "n_counted"):
            known = [part[name] for part in parts if part is not None and part[name] is not None]
            expected = sum(known) / 2 if len(known) == 2 else np.nan
            if name.startswith("n_"):
                expected *= 2
            found = np.nan if row[name] is None else row[name]
            if not np.isclose(found, expected, rtol=0, atol=_TOLERANCE, equal_nan=True):
                raise CorruptReleaseError(
                    f"hierarchy: {'/'.join(key)}: {name} is {found}, but decoding and encoding "
                    f"give {expected}"
                )

    def _check_voxels(self, key: tuple[str, ...], row: Row, encoded: Voxels) -> None:
        layers = sorted(
            {layer for layer, _ in self._counts[key]}, key=lambda n: self._depths[key[2], n]
        )
        published = row["method"] == "nonaka2021"
        n_units = 0
        for roi in row["rois"]:
            r = encoded.accuracies(key[:3], layers, roi)
            n_units += r.shape[1]
            best, doubtful = _best(_Top.of(list(r)), row["n_stimuli"], published=published)
            for layer, n in zip(layers, best, strict=True):
                self._check_count(key, layer, roi, n, doubtful)
        if n_units != row["n_units"]:
            raise CorruptReleaseError(
                f"hierarchy: {'/'.join(key)}: n_units is {row['n_units']}, but table 'encoding' "
                f"has {n_units} voxels"
            )

    def _check_count(
        self, key: tuple[str, ...], layer: str, roi: str, n: int, doubtful: int
    ) -> None:
        stated = self._counts[key].get((layer, roi))
        if stated is None or abs(stated - n) > doubtful:
            raise CorruptReleaseError(
                f"best_roi: {'/'.join((*key, layer, roi))}: n_units is {stated}, but the "
                f"accuracies give {n}" + (f" (± {doubtful})" if doubtful else "")
            )

    def check(self, data: Decoded, keys: tuple[str, ...]) -> None:
        """Raise CorruptReleaseError unless best ROIs of a partition are as the accuracies say.

        Parameters
        ----------
        data : Decoded
            Accuracies of the partition.
        keys : tuple of str
            Dataset, condition, model and layer.
        """
        *network, layer = keys
        by_roi = {roi: r for roi, _, r in data.parts}
        tops: dict[tuple[str, ...], _Top] = {}
        for key, row in self._scores.items():
            if key[:3] != tuple(network) or row["kind"] != "decoding":
                continue
            rois = tuple(row["rois"])
            if rois not in tops:
                tops[rois] = _Top.of([by_roi[roi] for roi in rois])
            published = row["method"] == "nonaka2021"
            expected, doubtful = _best(tops[rois], row["n_stimuli"], published=published)
            for roi, n in zip(row["rois"], expected, strict=True):
                self._check_count(key, layer, roi, n, doubtful)


class Voxels:
    """Encoding accuracies of a release.

    Parameters
    ----------
    voxels : pyarrow.Table
        Table ``encoding``.
    n_voxels : mapping of (str, str, str) to int
        Voxels by dataset, ROI and subject.

    Raises
    ------
    CorruptReleaseError
        Not all voxels of a subject are there.
    """

    def __init__(
        self, voxels: pa.Table, n_voxels: Mapping[tuple[str, str, str], int | None]
    ) -> None:
        self._r: dict[tuple[str, ...], dict[str, np.ndarray]] = defaultdict(dict)
        if not voxels.num_rows:
            return
        keys = ("dataset", "condition", "model", "layer", "roi", "subject")
        codes = [coded(voxels[name]) for name in keys]
        r = voxels["r"].to_numpy()
        starts = np.flatnonzero(sum(np.diff(c, prepend=-1) != 0 for c, _ in codes))
        for start, stop in zip(starts, [*starts[1:], len(r)], strict=True):
            key = tuple(names[code[start]] for code, names in codes)
            stated = n_voxels[key[0], key[4], key[5]]
            if not np.array_equal(voxels["voxel"][start:stop].to_numpy(), np.arange(stated or 0)):
                raise CorruptReleaseError(
                    f"encoding: {'/'.join(key)}: {stop - start} voxels; table 'subjects' has "
                    f"{stated}"
                )
            self._r[key[:5]][key[5]] = r[start:stop].astype(np.float64)
        self._check_missing()

    def _check_missing(self) -> None:
        """A voxel that does not vary has no accuracy, from whichever layer it is predicted."""
        known: dict[tuple[str, ...], np.ndarray] = {}
        for (*network, layer, roi), subjects in self._r.items():
            for subject, r in subjects.items():
                missing = np.isnan(r)
                if missing.all():
                    continue  # no unit of the layer varies
                other = known.setdefault((*network, roi, subject), missing)
                if not np.array_equal(missing, other):
                    at = int(np.argmax(missing != other))
                    raise CorruptReleaseError(
                        f"encoding: {'/'.join((*network, layer, roi, subject))}/{at}: the voxel "
                        "has an accuracy from one layer and none from another"
                    )

    def accuracies(self, network: tuple[str, ...], layers: list[str], roi: str) -> np.ndarray:
        """Accuracies of an ROI, (n_layers, n_voxels), voxels of all subjects side by side."""
        nothing = np.empty((len(layers), 0))
        return np.concatenate([nothing, *self.of_subjects(network, layers, roi)], axis=1)

    def of_subjects(
        self, network: tuple[str, ...], layers: list[str], roi: str
    ) -> list[np.ndarray]:
        """Accuracies of an ROI, of each subject (n_layers, n_voxels)."""
        found = [self._r[*network, layer, roi] for layer in layers]
        if any(of_layer.keys() != found[0].keys() for of_layer in found):
            raise CorruptReleaseError(
                f"encoding: {'/'.join(network)}: layers have other subjects in {roi}"
            )
        return [np.stack([of_layer[name] for of_layer in found]) for name in sorted(found[0])]


def _check_interval(key: tuple[str, ...], row: Row) -> None:
    ends = [row["score_low"], row["score"], row["score_high"]]
    known = [end for end in ends if end is not None]
    if (ends[0] is None) != (ends[2] is None) or known != sorted(known):
        raise CorruptReleaseError(f"hierarchy: {'/'.join(key)}: score and interval are {ends}")


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("dataset", "condition", "model", "kind", "method"))


@dataclass(frozen=True)
class _Top:
    """The highest accuracy of each unit that has a positive one, in any subject.

    Parameters
    ----------
    r : array of shape (n,)
        It.
    roi : array of shape (n,)
        Place of the first ROI that has it.
    n_given : array of shape (n,)
        ROIs with an accuracy.
    tied : array of bool of shape (n,)
        Another ROI has the same.
    n_rois : int
    """

    r: np.ndarray
    roi: np.ndarray
    n_given: np.ndarray
    tied: np.ndarray
    n_rois: int

    @classmethod
    def of(cls, rois: Sequence[np.ndarray]) -> _Top:
        """From the accuracies in each ROI: arrays of any shape, the same for all."""
        top = np.fmax.reduce(rois)
        chosen = top > 0
        r = top[chosen]
        values = [of_roi[chosen] for of_roi in rois]
        highest = np.stack([value == r for value in values])
        return cls(
            r=r.astype(np.float64),
            roi=highest.argmax(axis=0),
            n_given=np.sum([~np.isnan(value) for value in values], axis=0),
            tied=highest.sum(axis=0) > 1,
            n_rois=len(rois),
        )


def _best(top: _Top, n_stimuli: int, *, published: bool) -> tuple[list[int], int]:
    """Units best decoded from each ROI, and how many of them chance or rounding decides.

    Parameters
    ----------
    top : _Top
        Accuracies.
    n_stimuli : int
        Test images.
    published : bool
        As published, or corrected.
    """
    chance = chance_of_r(n_stimuli)
    if published:
        critical = chance.r(_z(0.025))
        limit = critical / np.sqrt(1 - critical**2)
        value = top.r * np.sqrt(np.clip(1 - top.r**2, 0.0, None))
    else:
        limits = [np.inf] + [chance.r(_z(0.025 / k)) for k in range(1, top.n_rois + 1)]
        limit, value = np.array(limits)[top.n_given], top.r
    near, kept = np.abs(value - limit) < _NEAR, value > limit
    doubtful = near if published else near | (top.tied & kept)
    counts = np.bincount(top.roi[kept], minlength=top.n_rois)
    return counts.tolist(), int(doubtful.sum())


def _z(p: float) -> float:
    return -NormalDist().inv_cdf(p)


def _score(table: np.ndarray, seed: int) -> float:
    """BH score of counts (n_layers, n_rois): mean rank correlation over draws of layers."""
    n = len(table)
    if n <= _N_DRAWN:
        return _rank_correlation(table)
    random = np.random.RandomState(seed)
    scores = []
    for _ in range(_N_DRAWS):
        between = random.choice(np.arange(1, n - 1), size=_N_DRAWN - 2, replace=False)
        scores.append(_rank_correlation(table[[0, *sorted(between), n - 1]]))
    return float(np.mean(scores))


def _rank_correlation(table: np.ndarray) -> float:
    """Spearman correlation of row and column over all that are counted."""
    rows, columns = np.nonzero(table)
    if len(set(rows)) < 2 or len(set(columns)) < 2:
        return float("nan")
    weights = table[rows, columns].astype(np.float64)

    def ranks(places: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        middles = np.cumsum(sizes) - sizes / 2
        of_cell: np.ndarray = middles[places]
        return of_cell

    x, y = ranks(rows, table.sum(axis=1)), ranks(columns, table.sum(axis=0))
    x, y = (v - np.average(v, weights=weights) for v in (x, y))
    scale = np.sqrt((weights * x**2).sum()) * np.sqrt((weights * y**2).sum())
    return float((weights * x * y).sum() / scale)
