"""Agreement of two people's accuracies, with intervals that know that neighbours are alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from unitdb.analysis.bootstrap import BlockBootstrap, standard_errors
from unitdb.analysis.intersubject import PairAgreement, intersubject_correlations
from unitdb.analysis.intervals import Interval
from unitdb.analysis.moments import BlockMoments, Blocks, correlation_matrix
from unitdb.errors import AnalysisError
from unitdb.resolution import scaled

__all__ = ["PairInterval", "agreement_intervals", "agreement_null", "cross_correlations"]

Array = NDArray[np.float64]
Places = NDArray[np.intp]

_ROUNDING = 1e-12
_CHUNK = 1 << 14  # ranks looked at together


@dataclass(frozen=True, kw_only=True)
class PairInterval:
    """Agreement of two subjects over the units of a layer.

    Parameters
    ----------
    first, second : int
        Rows of the subjects.
    n_units, n_blocks : int
        Units with an accuracy in both (and covariates), and the blocks that they are of.
    pearson : Interval
    spearman : Interval or None
        None where it was not asked for.
    partial : Interval or None
        Pearson correlation given the covariates; None without any.
    """

    first: int
    second: int
    n_units: int
    n_blocks: int
    pearson: Interval
    spearman: Interval | None
    partial: Interval | None


def agreement_intervals(
    r: NDArray[np.floating],
    blocks: Blocks,
    *,
    covariates: NDArray[np.floating] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    spearman: bool = True,
) -> list[PairInterval]:
    """Inter-subject correlations of all pairs, with block bootstrap intervals.

    An interval is  tanh(artanh(r) ± t · s):  s the standard deviation of artanh(r*) over replicates
    that draw whole blocks of units with replacement, times √(B / (B − 1)); t the quantile of
    Student's t with B − 1 degrees of freedom, for B blocks. For Spearman, s is that of the
    influence of each block on the correlation of ranks, ranking included (infinitesimal
    jackknife), as ranking anew in each replicate would take a sort of all units.

    What is drawn again is units of these subjects: the intervals are about other filters, or other
    places, not about other people. Blocks should be independent of each other.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
        Accuracies; NaN where a unit has none in a subject. A pair is over the units of both.
    blocks : array of shape (n_units,)
        Block of each unit, from 0: :func:`.channel_blocks` or :func:`.tile_blocks`.
    covariates : array of shape (n_covariates, n_units), optional
        Properties of units to hold constant, such as the variance and sparseness of activations: is
        agreement more than that some units are easier to predict for anyone? Linear; transform
        skewed ones first. NaN leaves a unit out of all correlations.
    n_bootstrap : int
        Replicates.
    seed : int
        Of numpy's PCG64.
    confidence : float
        Between 0 and 1.
    spearman : bool
        Whether to rank as well, which takes much longer than all else: all units are sorted.

    Returns
    -------
    list of PairInterval
        For all pairs with ``first < second``, in that order. Low and high are NaN for fewer than
        two blocks.

    Raises
    ------
    AnalysisError
        Shapes that do not agree, or options out of range.

    References
    ----------
    Horikawa et al. 2019, doi:10.1038/sdata.2019.12 (the correlations); Künsch 1989,
    doi:10.1214/aos/1176347265 (blocks); Efron 1982, doi:10.1137/1.9781611970319 (influence).

    Examples
    --------
    >>> from unitdb.analysis import agreement_intervals, channel_blocks
    >>> unit = np.random.default_rng(0).normal(size=(3, 400))
    >>> r = 0.3 + 0.1 * unit[0] + 0.05 * unit[1:]
    >>> (pair,) = agreement_intervals(r, channel_blocks((100, 2, 2)), spearman=False)
    >>> round(pair.pearson.value, 2), round(pair.pearson.low, 2), round(pair.pearson.high, 2)
    (0.82, 0.78, 0.85)
    """
    given = np.empty((0, r.shape[-1])) if covariates is None else covariates
    _check(r, given, blocks)
    draw = BlockBootstrap(n_bootstrap, seed, confidence)
    # Nothing is missing: the minimum of what holds a NaN is NaN.
    if not (np.isnan(r.min(initial=0.0)) or np.isnan(given.min(initial=0.0))):
        everybody = tuple(range(len(r)))
        return list(_group(everybody, r, given, blocks, draw, spearman=spearman))
    missing = np.isnan(given).any(axis=0)
    absent = [np.isnan(row) for row in r]
    if all(np.array_equal(row, absent[0]) for row in absent):
        groups = [tuple(range(len(r)))]
    else:  # each pair has its own common units
        groups = list(combinations(range(len(r)), 2))
    found = []
    for subjects in groups:
        lacking = missing | absent[subjects[0]] | absent[subjects[-1]]
        if len(subjects) == len(r) and not lacking.any():
            rows, held, labels = r, given, blocks
        else:
            kept = np.flatnonzero(~lacking)
            rows, held, labels = r[np.ix_(np.asarray(subjects), kept)], given[:, kept], blocks[kept]
        found += list(_group(subjects, rows, held, labels, draw, spearman=spearman))
    return found


def agreement_null(
    r: NDArray[np.floating], null: NDArray[np.floating]
) -> list[tuple[PairAgreement, float, float]]:
    """One-sided p of inter-subject correlations among those of control builds.

    p = (1 + #{null ≥ r}) / (1 + n). A control shuffles the images of each subject independently:
    what agreement remains is due to the units, not to what subjects saw.

    Parameters
    ----------
    r : array of shape (n_subjects, n_units)
    null : array of shape (n_controls, n_subjects, n_units)

    Returns
    -------
    list of (agreement, p of pearson, p of spearman)
        p is NaN where there is no correlation, or in no control.

    Raises
    ------
    AnalysisError
        Shapes that do not agree.

    Examples
    --------
    >>> from unitdb.analysis import agreement_null
    >>> r = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4]])
    >>> controls = np.random.default_rng(0).normal(size=(19, 2, 4))
    >>> ((pair, p, _),) = agreement_null(r, controls)
    >>> round(pair.pearson, 2), p
    (0.8, 0.05)
    """
    if null.ndim != 3 or null.shape[1:] != r.shape:
        raise AnalysisError(f"null has shape {null.shape}; it should be (n_controls, *{r.shape})")
    controls = [intersubject_correlations(control) for control in null]
    found = []
    for at, pair in enumerate(intersubject_correlations(r)):
        pearson = np.array([control[at].pearson for control in controls])
        spearman = np.array([control[at].spearman for control in controls])
        found.append((pair, _p(pair.pearson, pearson), _p(pair.spearman, spearman)))
    return found


def cross_correlations(x: NDArray[np.floating], y: NDArray[np.floating]) -> Array:
    """Pearson correlations over units of each row of x with each row of y.

    With x the accuracies of one control and y those of another, whose images are shuffled in
    another way: two subjects of whom each saw images shuffled on their own.

    Parameters
    ----------
    x, y : arrays of shape (n_subjects, n_units)
        Units without an accuracy in any row are left out.

    Returns
    -------
    array of shape (n_subjects, n_subjects)
        NaN where a row does not vary.

    Examples
    --------
    >>> from unitdb.analysis import cross_correlations
    >>> x = np.array([[1.0, 2, 3], [3, 2, 1]])
    >>> cross_correlations(x, x).round(2)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    if x.shape != y.shape:
        raise AnalysisError(f"accuracies of shapes {x.shape} and {y.shape}: the same")
    rows = scaled(np.concatenate([x, y]), axis=1)[0]
    moments = BlockMoments(len(rows), 1)
    moments.add(rows, np.zeros(rows.shape[1], dtype=np.int32))
    _, _, scatter = moments.totals()
    return correlation_matrix(scatter)[0, : len(x), len(x) :]


def _p(value: float, null: Array) -> float:
    null = null[~np.isnan(null)]
    if np.isnan(value) or not len(null):
        return np.nan
    return float((1 + (null >= value).sum()) / (1 + len(null)))


def _group(
    subjects: tuple[int, ...],
    r: NDArray[np.floating],
    covariates: NDArray[np.floating],
    blocks: Blocks,
    draw: BlockBootstrap,
    *,
    spearman: bool,
) -> Iterator[PairInterval]:
    """Pairs of subjects whose units are the same."""
    rows = scaled(np.concatenate([r, covariates]) if len(covariates) else r, axis=1)[0]
    moments = BlockMoments(len(rows), int(blocks.max(initial=-1)) + 1)
    moments.add(rows, blocks)
    moments.drop_empty()
    used = len(moments.n)
    pearson = _bootstrapped(moments, len(r), draw, partial=False)
    partial = _bootstrapped(moments, len(r), draw, partial=True) if len(covariates) else None
    ranked = _ranked(r, blocks, used) if spearman else None
    for a, b in combinations(range(len(r)), 2):
        yield PairInterval(
            first=subjects[a],
            second=subjects[b],
            n_units=len(blocks),
            n_blocks=used,
            pearson=_at(pearson, a, b, draw, used),
            spearman=None if ranked is None else _at(ranked, a, b, draw, used),
            partial=None if partial is None else _at(partial, a, b, draw, used),
        )


def _at(
    found: tuple[Array, Array], a: int, b: int, draw: BlockBootstrap, n_blocks: int
) -> Interval:
    value, se = found
    return draw.interval(float(value[a, b]), float(se[a, b]), n_blocks)


def _bootstrapped(
    moments: BlockMoments, n_subjects: int, draw: BlockBootstrap, *, partial: bool
) -> tuple[Array, Array]:
    """Correlations of subjects, and the standard errors of their artanh."""
    given = len(moments.shift) - n_subjects
    rows = slice(None) if partial else slice(n_subjects)
    used = len(moments.n)

    def correlations(weights: Array | None) -> Array:
        _, _, scatter = moments.totals(weights)
        return correlation_matrix(scatter[:, rows, rows], given=given if partial else 0)

    value = correlations(None)[0]
    if used < 2:
        return value, np.full_like(value, np.nan)
    np.fill_diagonal(value, np.nan)
    replicates = np.concatenate([correlations(weights) for weights in draw.weights(used)])
    return value, standard_errors(replicates, used)


class _Ranks:
    """Mid-ranks of values over units, standardised; and the order that sorts them."""

    def __init__(self, values: NDArray[np.floating]) -> None:
        self.order = np.argsort(values)
        ordered = values[self.order]
        n = len(values)
        # Values of one rank begin here, and end where the next do.
        starts = np.append(0, np.flatnonzero(ordered[1:] != ordered[:-1]) + 1)[:n]
        self.bounds = np.append(starts, n)
        sizes = np.diff(self.bounds)
        centred = np.repeat(starts + sizes / 2 - n / 2, sizes)
        self.sd = float(np.sqrt((centred**2).mean())) if n else 0.0
        self.standard = np.empty(n)
        with np.errstate(invalid="ignore"):
            self.standard[self.order] = centred / self.sd

    def chunks(self, most: int) -> list[int]:
        """Bounds of about so many units in their order, none between units of one rank."""
        about = [*range(0, len(self.order), most), len(self.order)]
        bounds: list[int] = np.unique(self.bounds[np.searchsorted(self.bounds, about)]).tolist()
        return bounds

    def ties(self, start: int, stop: int) -> tuple[Places, Places, Places]:
        """First and last of each rank that several units have, and all of these.

        Counted from start; start and stop are among the bounds.
        """
        first, last = np.searchsorted(self.bounds, [start, stop])
        bounds = self.bounds[first : last + 1] - start
        sizes = np.diff(bounds)
        several = sizes > 1
        tied = np.flatnonzero(np.repeat(several, sizes))
        return bounds[:-1][several], bounds[1:][several] - 1, tied


def _ranked(r: NDArray[np.floating], blocks: Blocks, n_blocks: int) -> tuple[Array, Array]:
    """Spearman correlations of all pairs of rows, and the standard errors of their artanh.

    With U, V the standardised ranks and ρ = mean(UV), a unit moves ρ by its own product,
    U V − ρ (U² + V²) / 2, and by what its presence adds to the ranks of the units above it: the sum
    of V − ρ U over these, which is minus that over those below, since ranks sum to 0.
    """
    n = len(blocks)
    value, se = np.full((2, len(r), len(r)), np.nan)
    ranks = [_Ranks(row) for row in r]
    squares = [np.bincount(blocks, x.standard**2) for x in ranks]  # 0 for a block without units
    together = np.stack([x.standard for x in ranks], axis=1) if len(ranks) else np.empty((n, 0))
    below = [_below(x, together, blocks) for x in ranks]
    for a, b in combinations(range(len(r)), 2):
        x, y = ranks[a], ranks[b]
        if n < 2 or x.sd == 0 or y.sd == 0:
            continue
        rho = value[a, b] = float(x.standard @ y.standard / n)
        if 1 - rho**2 < _ROUNDING or n_blocks < 2:
            continue
        sums = (
            np.bincount(blocks, x.standard * y.standard)
            - rho / 2 * (squares[a] + squares[b])
            - (below[a][:, b] - rho * below[a][:, a]) / x.sd
            - (below[b][:, a] - rho * below[b][:, b]) / y.sd
        )
        se[a, b] = np.sqrt((sums**2).sum() * n_blocks / (n_blocks - 1)) / (n * (1 - rho**2))
    return value, se


def _below(x: _Ranks, values: Array, blocks: Blocks) -> Array:
    """Over the units of each block, sums of values of lower rank in x, those of equal by half.

    Parameters
    ----------
    x : _Ranks
    values : array of shape (n_units, n_columns)
    blocks : array of shape (n_units,)

    Returns
    -------
    array of shape (n_blocks, n_columns)
    """
    n_blocks, n_columns = int(blocks.max(initial=-1)) + 1, values.shape[1]
    found, before = np.zeros((n_blocks, n_columns)), np.zeros(n_columns)
    chunks = x.chunks(_CHUNK)
    # Memory takes longer to get than to fill.
    room = np.empty((2, np.diff(chunks).max(initial=0), n_columns))
    for start, stop in pairwise(chunks):
        units = x.order[start:stop]
        own, sums = room[:, : len(units)]
        # Rows are what is read at random: all columns take hardly longer than one.
        np.take(values, units, axis=0, out=own, mode="clip")
        sums[:] = own
        sums[0] += before
        np.add.accumulate(sums, axis=0, out=sums)  # in place, which is seven times as fast
        before = sums[-1].copy()
        first, last, tied = x.ties(start, stop)
        middles = (sums[first] - own[first] + sums[last]) / 2
        own /= 2
        sums -= own
        sums[tied] = np.repeat(middles, last - first + 1, axis=0)
        ones, each = np.ones(len(units)), np.arange(len(units) + 1)
        found += csc_array((ones, blocks[units], each), shape=(n_blocks, len(units))) @ sums
    return found


def _check(r: NDArray[np.floating], covariates: NDArray[np.floating], blocks: Blocks) -> None:
    n_units = r.shape[-1]
    if r.ndim != 2 or blocks.shape != (n_units,) or covariates.shape[1:] != (n_units,):
        raise AnalysisError(
            f"shapes {r.shape}, {blocks.shape} and {covariates.shape} of accuracies, blocks and "
            "covariates; they should be (n_subjects, n_units), (n_units,), (n_covariates, n_units)"
        )
