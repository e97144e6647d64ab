"""Intervals of BH scores: about other units, other people, or both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.best import BHMethod, Chooser
from unitdb.analysis.contingency import spearman_of_counts
from unitdb.analysis.hierarchy import checked, drawn_layers
from unitdb.analysis.intervals import Interval, fisher_interval
from unitdb.analysis.moments import Blocks
from unitdb.errors import AnalysisError, closest

__all__ = ["BestTally", "Over", "bh_interval", "tally_intervals"]

Array = NDArray[np.float64]
Over = Literal["units", "subjects", "both"]

_REPLICATE_CELLS = 1 << 22  # weights of this many clusters × replicates are held together


def bh_interval(
    accuracies: Sequence[NDArray[np.floating]],
    *,
    n_stimuli: int,
    over: Over,
    method: BHMethod = "corrected",
    n_layers: int = 5,
    n_repeats: int = 100,
    seed: int = 0,
    blocks: Sequence[Blocks] | None = None,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """BH score of a network with a bootstrap interval.

    tanh(artanh(score) ± t · s),  s² the variance of artanh(score*) over replicates that draw

    ``"units"``     units of each layer, the same in all subjects: the score of other units of these
    layers in these people;

    ``"subjects"``  subjects, with all their units: of these units in other people;

    ``"both"``      s² = s²_subjects + s²_units − s²_cells,  cells drawn as if each accuracy were of
    its own unit and subject, as both others hold that part (two-way clustering; not less than
    either).

    A replicate draws one fewer than there are, with weights n / (n − 1), which makes variances
    unbiased (Rao & Wu 1988). Degrees of freedom of t: subjects − 1; units − layers; those of the
    sum after Satterthwaite. The draws of layers are the same in all replicates: they are part of
    the definition of the score, not of its error.

    Parameters
    ----------
    accuracies : sequence of arrays of shape (n_subjects, n_rois, n_units)
        As of :func:`.bh_score`; (n_rois, n_units) will do for ``over="units"``.
    n_stimuli, method, n_layers, n_repeats, seed
        As of :func:`.bh_score`; the seed is that of the replicates too (PCG64).
    over : {"units", "subjects", "both"}
        What is drawn again.
    blocks : sequence of arrays of shape (n_units,), optional
        Block of each unit of each layer (:func:`.channel_blocks`), drawn as a whole: neighbours are
        alike. Without blocks each unit is its own, and the interval of a convolutional layer is
        too narrow.
    n_bootstrap : int
        Replicates.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    Interval
        Low and high are NaN where there is but one subject, or one block in a layer, to draw.
        Replicates without a correlation, or with one of ±1, are left out.

    Raises
    ------
    AnalysisError
        Shapes that do not agree, or options out of range.

    References
    ----------
    Rao & Wu 1988, doi:10.1080/01621459.1988.10478591; Cameron, Gelbach & Miller 2011,
    doi:10.1198/jbes.2010.07136 (two ways); Satterthwaite 1946, doi:10.2307/3002019.

    Examples
    --------
    >>> from unitdb.analysis import bh_interval
    >>> rng = np.random.default_rng(0)
    >>> layers = [rng.normal([[0.8 - d], [0.3 + d]], 0.2, size=(2, 40)) for d in (0, 0.1, 0.4)]
    >>> layers = [np.clip(layer, -0.9, 0.9) for layer in layers]
    >>> found = bh_interval(layers, n_stimuli=50, over="units", n_layers=3, n_repeats=1)
    >>> found.low < found.value < found.high
    True
    """
    layers = checked(accuracies)
    _check(layers, blocks, over, n_bootstrap, confidence)
    tally = BestTally(n_stimuli=n_stimuli, method=method, seed=seed)
    for r, of_units in zip(layers, [None] * len(layers) if blocks is None else blocks, strict=True):
        tally.add(r, of_units)
    return tally.interval(
        over,
        n_layers=n_layers,
        n_repeats=n_repeats,
        n_bootstrap=n_bootstrap,
        confidence=confidence,
    )


class BestTally:
    """Best regions counted one layer at a time: what a BH score and its interval need.

    Parameters
    ----------
    n_stimuli, method, seed
        As of :func:`.bh_score`.

    Attributes
    ----------
    seed : int
    units, cells : list of clusters
        What is drawn again of each layer: units or blocks of them with all subjects, and those of
        each subject.
    n_units : int
        Accuracies looked at, subjects pooled.

    Examples
    --------
    >>> from unitdb.analysis import BestTally
    >>> early = np.tile([[[0.8], [0.3]]], (2, 1, 20))
    >>> tally = BestTally(n_stimuli=50)
    >>> tally.add(early)
    >>> tally.add(early[:, ::-1])
    >>> round(tally.score(n_layers=2), 3)
    1.0
    >>> round(tally.interval("units", n_layers=2, n_bootstrap=10).value, 3)
    1.0
    """

    def __init__(self, *, n_stimuli: int, method: BHMethod = "corrected", seed: int = 0) -> None:
        self._chooser = Chooser(method, n_stimuli, seed)
        self.seed = seed
        self._per_subject: list[NDArray[np.int64]] = []
        self.units: list[_Clusters] = []
        self.cells: list[_Clusters] = []
        self.n_units = 0

    def add(self, r: NDArray[np.floating], blocks: Blocks | None = None) -> None:
        """Count the next layer.

        Parameters
        ----------
        r : array of shape (n_subjects, n_rois, n_units) or (n_rois, n_units)
            Accuracies, the same subjects and regions in all layers.
        blocks : array of shape (n_units,), optional
            As of :func:`bh_interval`.
        """
        n_rois = r.shape[-2]
        # Regions count from 1; 0 is none.
        best = np.atleast_2d(self._chooser.best(r)).astype(np.intp) + 1
        self.n_units += best.size
        per_subject, units, cells = _of_units(best, n_rois, blocks)
        self._per_subject.append(per_subject)
        self.units.append(units)
        self.cells.append(cells)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Units of each layer and best region, subjects pooled: (n_layers, n_rois)."""
        return np.stack([layer.sum(axis=0) for layer in self._per_subject])

    @property
    def per_subject(self) -> NDArray[np.int64]:
        """The same of each subject: (n_subjects, n_layers, n_rois)."""
        return np.stack(self._per_subject, axis=1)

    @property
    def df(self) -> dict[str, int]:
        """Degrees of freedom of what is drawn again."""
        units = sum(max(layer.n - 1, 0) for layer in self.units)
        return {"subjects": len(self._per_subject[0]) - 1, "units": units}

    @property
    def draws(self) -> tuple[Any, ...]:
        """What replicates depend on: the same for tallies whose replicates are the same."""
        sizes = (layer.sizes.tobytes() for layer in (*self.units, *self.cells))
        return (self.seed, len(self._per_subject[0]), *sizes)

    def drawn_layers(self, n_layers: int, n_repeats: int) -> NDArray[np.intp]:
        """Layers of each draw, of which a score is the mean.

        Returns
        -------
        array of shape (n_repeats, min(n_layers, layers counted))
            Positions of layers, ascending: the first, some between, the last.

        Examples
        --------
        >>> from unitdb.analysis import BestTally
        >>> tally = BestTally(n_stimuli=50)
        >>> for _ in range(3):
        ...     tally.add(np.full((2, 2, 5), 0.5))
        >>> tally.drawn_layers(2, 4).shape
        (4, 2)
        """
        return drawn_layers(len(self._per_subject), n_layers, n_repeats, self.seed)

    def score(self, *, n_layers: int = 5, n_repeats: int = 100) -> float:
        """BH score, as of :func:`.bh_score`.

        Returns
        -------
        float
            Spearman correlation, -1 … 1; NaN where there is none.
        """
        draws = self.drawn_layers(n_layers, n_repeats)
        return float(_scores(self.counts[None], draws)[0])

    def interval(
        self,
        over: Over,
        *,
        n_layers: int = 5,
        n_repeats: int = 100,
        n_bootstrap: int = 1000,
        confidence: float = 0.95,
    ) -> Interval:
        """BH score with its interval; parameters as of :func:`bh_interval`.

        Returns
        -------
        Interval
            Score and both ends.
        """
        (found,) = tally_intervals(
            [self],
            over,
            n_layers=n_layers,
            n_repeats=n_repeats,
            n_bootstrap=n_bootstrap,
            confidence=confidence,
        )
        return found


def tally_intervals(
    tallies: Sequence[BestTally],
    over: Over,
    *,
    n_layers: int = 5,
    n_repeats: int = 100,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
) -> list[Interval]:
    """Intervals of several tallies, as :meth:`BestTally.interval` gives each.

    Those of the same blocks and seed, such as by either method, have the same replicates. These are
    drawn once for all of them: drawing takes longer than all else.

    Parameters
    ----------
    tallies : sequence of BestTally
        With all of their layers.
    over, n_layers, n_repeats, n_bootstrap, confidence
        As of :func:`bh_interval`.

    Returns
    -------
    list of Interval
        In the order of the tallies.

    Examples
    --------
    >>> from unitdb.analysis import BestTally, tally_intervals
    >>> r = np.random.default_rng(0).uniform(0.3, 0.9, size=(2, 3, 2, 40))
    >>> tallies = [BestTally(n_stimuli=50, method=m) for m in ("corrected", "nonaka2021")]
    >>> for tally in tallies:
    ...     for layer in r.swapaxes(0, 1):
    ...         tally.add(layer, np.arange(40) // 4)
    >>> found = tally_intervals(tallies, "units", n_layers=2, n_bootstrap=10)
    >>> found[1] == tallies[1].interval("units", n_layers=2, n_bootstrap=10)
    True
    """
    by_draws: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for number, tally in enumerate(tallies):
        by_draws[tally.draws].append(number)
    found: dict[int, Interval] = {}
    for numbers in by_draws.values():
        some = [tallies[number] for number in numbers]
        layers = some[0].drawn_layers(n_layers, n_repeats)
        intervals = _intervals(some, over, layers, n_bootstrap, confidence)
        found |= zip(numbers, intervals, strict=True)
    return [found[number] for number in range(len(tallies))]


def _intervals(
    tallies: Sequence[BestTally],
    over: Over,
    draws: NDArray[np.intp],
    n_bootstrap: int,
    confidence: float,
) -> Iterator[Interval]:
    """Intervals of tallies whose replicates are the same."""
    rng = np.random.Generator(np.random.PCG64(tallies[0].seed))

    def variance(replicates: Array) -> float:
        with np.errstate(divide="ignore"):
            z = np.arctanh(_scores(replicates, draws))
        z = z[np.isfinite(z)]
        return float(z.var(ddof=1)) if len(z) > 1 else np.nan

    def of_layers(clusters: Iterable[Sequence[_Clusters]]) -> list[float]:
        drawn = [_drawn(of_layer, n_bootstrap, rng) for of_layer in zip(*clusters, strict=True)]
        return [variance(np.stack(layers, axis=1)) for layers in zip(*drawn, strict=True)]

    parts: dict[str, list[float]] = {}
    n_subjects, *shape = tallies[0].per_subject.shape
    if over != "units":
        subjects = [_of_each(tally.per_subject.reshape(n_subjects, -1)) for tally in tallies]
        parts["subjects"] = [
            variance(drawn.reshape(-1, *shape)) for drawn in _drawn(subjects, n_bootstrap, rng)
        ]
    if over != "subjects":
        parts["units"] = of_layers(tally.units for tally in tallies)
    cells = of_layers(tally.cells for tally in tallies) if over == "both" else []
    for number, tally in enumerate(tallies):
        found = {name: of_tallies[number] for name, of_tallies in parts.items()}
        total = sum(found.values())
        if cells:
            total = float(np.max([total - cells[number], *found.values()]))
        of_df = sum(part**2 / max(tally.df[name], 1) for name, part in found.items())
        yield fisher_interval(
            float(_scores(tally.counts[None], draws)[0]),
            float(np.sqrt(total)),
            df=total**2 / of_df if of_df else np.inf,
            confidence=confidence,
        )


class _Clusters:
    """What is drawn again: clusters of accuracies, each with its counts.

    Parameters
    ----------
    counts : array of shape (n_distinct, n)
        What a cluster adds to the counts.
    sizes : array of shape (n_distinct,)
        Clusters that add the same.
    """

    def __init__(self, counts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        self.counts, self.sizes = counts.astype(np.float64), sizes
        self.n = int(sizes.sum())


def _drawn(
    clusters: Sequence[_Clusters], n_bootstrap: int, rng: np.random.Generator
) -> list[Array]:
    """Counts of replicates of n − 1 clusters, of weight n / (n − 1); NaN for one cluster.

    Of clusters of the same sizes, with the same weights.
    """
    n, sizes = clusters[0].n, clusters[0].sizes
    found = [np.zeros((n_bootstrap, one.counts.shape[1])) for one in clusters]
    if n < 2:
        return [np.full_like(replicates, np.nan) for replicates in found] if n else found
    most = max(1, _REPLICATE_CELLS // len(sizes))
    for start in range(0, n_bootstrap, most):
        size = min(most, n_bootstrap - start)
        weights = rng.multinomial(n - 1, sizes / n, size=size).astype(np.float64)
        for replicates, one in zip(found, clusters, strict=True):
            replicates[start : start + size] = weights @ one.counts * (n / (n - 1))
    return found


def _of_units(
    best: NDArray[np.intp], n_rois: int, blocks: Blocks | None
) -> tuple[NDArray[np.int64], _Clusters, _Clusters]:
    """How often each region is the best one, by subject; units and cells of a layer.

    Units, or blocks of them, are of all subjects at once; a cell is that of one subject, as if it
    had nothing to do with another's.
    """
    if blocks is None:
        by_subject = _counts(best, n_rois)
        of_unit = np.stack([(best == roi).sum(axis=0) for roi in range(1, 1 + n_rois)], axis=1)
        sizes = np.bincount(best.ravel(), minlength=1 + n_rois)
        cells = _Clusters(np.eye(1 + n_rois, dtype=np.int64)[:, 1:], sizes)
        return by_subject, _Clusters(*np.unique(of_unit, axis=0, return_counts=True)), cells
    names, named = np.unique(blocks, return_inverse=True)
    row = np.arange(len(best))[:, None] * len(names) + named
    by_cell = _counts(best, n_rois, row).reshape(len(best), len(names), n_rois)
    return by_cell.sum(axis=1), _of_each(by_cell.sum(axis=0)), _of_each(by_cell)


def _of_each(counts: NDArray[np.int64]) -> _Clusters:
    """Clusters of one each, from counts of shape (..., n)."""
    rows = counts.reshape(-1, counts.shape[-1])
    return _Clusters(rows, np.ones(len(rows), dtype=np.int64))


def _counts(
    best: NDArray[np.intp], n_rois: int, row: NDArray[np.intp] | None = None
) -> NDArray[np.int64]:
    """How often each region is the best one, by row of ``best``, or by a row that is given."""
    if row is None:
        row = np.arange(len(best))[:, None]
    n_rows = 1 + int(row.max(initial=-1))
    found = np.bincount((row * (1 + n_rois) + best).ravel(), minlength=n_rows * (1 + n_rois))
    return found.reshape(-1, 1 + n_rois)[:, 1:]


def _scores(counts: NDArray[np.number], draws: NDArray[np.intp]) -> Array:
    """Scores of counts of shape (n, n_layers, n_rois); equal draws are computed once."""
    distinct, times = np.unique(draws, axis=0, return_counts=True)
    total = np.zeros(len(counts))
    for layers, n in zip(distinct, times, strict=True):
        total += n * spearman_of_counts(counts[:, layers])
    return total / len(draws)


def _check(
    layers: list[NDArray[np.floating]],
    blocks: Sequence[Blocks] | None,
    over: str,
    n_bootstrap: int,
    confidence: float,
) -> None:
    if over not in get_args(Over):
        near = closest(str(over), get_args(Over)) or get_args(Over)
        raise AnalysisError(f"over {over!r} in bh_interval; valid: {', '.join(near)}")
    if over != "units" and layers[0].ndim != 3:
        raise AnalysisError(
            f"accuracies of shape {layers[0].shape}: an interval over subjects needs "
            "(n_subjects, n_rois, n_units)"
        )
    if blocks is not None and [b.shape for b in blocks] != [r.shape[-1:] for r in layers]:
        raise AnalysisError(
            f"blocks of shapes {', '.join(str(b.shape) for b in blocks)}; they should be "
            f"{', '.join(str(r.shape[-1:]) for r in layers)}"
        )
    if n_bootstrap < 2 or not 0 < confidence < 1:
        raise AnalysisError(
            f"{n_bootstrap} replicates and confidence {confidence:g}; they should be 2 at least, "
            "and between 0 and 1"
        )
