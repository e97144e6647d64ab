"""Blocks of units drawn again with replacement, and the intervals that this gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.intervals import Interval, fisher_interval
from unitdb.errors import AnalysisError

__all__ = ["BlockBootstrap", "standard_errors"]

Array = NDArray[np.float64]

_CELLS = 1 << 22  # weights of this many blocks × replicates are held together


@dataclass(frozen=True)
class BlockBootstrap:
    """How often blocks are drawn, with which seed, and for which confidence.

    Parameters
    ----------
    n : int
        Replicates.
    seed : int
        Of numpy's PCG64.
    confidence : float
        Between 0 and 1.

    Raises
    ------
    AnalysisError
        Fewer than two replicates, or another confidence.
    """

    n: int
    seed: int
    confidence: float

    def __post_init__(self) -> None:
        if self.n < 2 or not 0 < self.confidence < 1:
            raise AnalysisError(
                f"{self.n} replicates, confidence {self.confidence}; at least 2, and between 0 "
                "and 1"
            )

    def weights(self, n_blocks: int) -> Iterator[Array]:
        """How often each block is drawn, (n_replicates, n_blocks), a few replicates at a time."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        most = max(1, _CELLS // n_blocks)
        for start in range(0, self.n, most):
            size = min(most, self.n - start)
            drawn = rng.integers(0, n_blocks, (size, n_blocks))
            drawn += n_blocks * np.arange(size)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=size * n_blocks)
            yield counts.reshape(size, n_blocks).astype(np.float64)

    def interval(self, value: float, se: float, n_blocks: int) -> Interval:
        """From the standard error of artanh(value); n_blocks − 1 degrees of freedom."""
        return fisher_interval(value, se, df=n_blocks - 1, confidence=self.confidence)


def standard_errors(r: Array, n_blocks: int) -> Array:
    """Standard errors of artanh(r): over replicates, times √(B / (B − 1)) for B blocks.

    Parameters
    ----------
    r : array of shape (n_replicates, …)
        Correlations; NaN where a replicate lacks one, as one of a single block may.
    n_blocks : int
        B, at least 2.

    Returns
    -------
    array of shape (…)
        Infinite where a correlation of a replicate is ±1: too few units for an interval.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # r = ±1
        z = np.arctanh(np.clip(r, -1, 1))
        n = (~np.isnan(z)).sum(axis=0)
        centre = np.nansum(z, axis=0) / n
        variance = np.asarray(np.nansum((z - centre) ** 2, axis=0) / (n - 1))
    variance[np.isinf(z).any(axis=0)] = np.inf
    return np.sqrt(variance * n_blocks / (n_blocks - 1))
