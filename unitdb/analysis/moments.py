"""Sums over blocks of units: all that correlations over units and their bootstrap need.

Neighbouring units see overlapping parts of the image and share a filter, so that 3 million units
are far fewer independent ones. Whole blocks of units are therefore what is drawn again. As
correlations follow from sums, and sums add, a replicate costs as much as there are blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unitdb.axes import Place, axes_problem, place_of, usual_axes
from unitdb.errors import AnalysisError

__all__ = ["BlockMoments", "Blocks", "channel_blocks", "correlation_matrix", "tile_blocks"]

Array = NDArray[np.float64]
Blocks = NDArray[np.int32]

_ROUNDING = 1e-13  # a variance that is less, of Σ x², is rounding
_CHUNK = 1 << 13  # units converted to float64 together


def channel_blocks(
    shape: Sequence[int], units: ArrayLike | None = None, *, axes: str | None = None
) -> Blocks:
    """Block of each unit: its channel, which is a feature in a layer of tokens.

    Parameters
    ----------
    shape : sequence of int
        Of the layer's activation of one image.
    units : array of int, optional
        Flat C-order indices of the units; all by default.
    axes : str, optional
        What the axes are (:mod:`unitdb.axes`), such as ``"HWC"`` or ``"TD"``; (N,) and (C, H, W)
        where it is not given.

    Returns
    -------
    Blocks
        Number of the block of each unit, and the sizes of blocks.

    Raises
    ------
    AnalysisError
        The axes do not fit the shape, or are neither given nor usual.

    Examples
    --------
    >>> from unitdb.analysis import channel_blocks
    >>> channel_blocks((2, 1, 3))
    array([0, 0, 0, 1, 1, 1], dtype=int32)
    """
    channel = _place(shape, axes, "NCD")
    return np.asarray(_flat(shape, units) // channel.step % channel.size, dtype=np.int32)


def tile_blocks(
    shape: Sequence[int], tile: int, units: ArrayLike | None = None, *, axes: str | None = None
) -> Blocks:
    """Block of each unit: its place in the flat map, in tiles through all channels.

    Parameters
    ----------
    shape : sequence of int
        Of a layer with a map.
    tile : int
        Edge of a tile, in units of the map.
    units : array of int, optional
        Flat C-order indices of the units; all by default.
    axes : str, optional
        As of :func:`channel_blocks`.

    Returns
    -------
    Blocks
        Number of the block of each unit, and the sizes of blocks.

    Raises
    ------
    AnalysisError
        The layer has no map, or the tile no extent; or as :func:`channel_blocks`.

    Examples
    --------
    >>> from unitdb.analysis import tile_blocks
    >>> tile_blocks((1, 2, 4), 2)
    array([0, 0, 1, 1, 0, 0, 1, 1], dtype=int32)
    """
    if tile < 1:
        raise AnalysisError(f"tiles of {tile}: needs an edge of at least 1")
    row, column = _place(shape, axes, "H"), _place(shape, axes, "W")
    flat, across = _flat(shape, units), -(-column.size // tile)
    place = flat // row.step % row.size // tile * across + flat // column.step % column.size // tile
    return np.asarray(place, dtype=np.int32)


def _place(shape: Sequence[int], axes: str | None, letters: str) -> Place:
    known = axes or usual_axes(shape)
    if known is None:
        raise AnalysisError(
            f"a layer of shape {tuple(shape)}: say what its axes are, such as axes='TD'"
        )
    if problem := axes_problem(known, shape):
        raise AnalysisError(f"axes {problem}")
    found = place_of(known, shape, letters)
    if found is None:
        raise AnalysisError(f"a layer of shape {tuple(shape)}, axes {known}, has no map")
    return found


def _flat(shape: Sequence[int], units: ArrayLike | None) -> NDArray[np.int64]:
    n_units = prod(shape)
    if units is None:
        return np.arange(n_units)
    found = np.asarray(units, dtype=np.int64)
    if found.size and not 0 <= found.min() <= found.max() < n_units:
        raise AnalysisError(f"a unit outside 0 … {n_units - 1} of a layer of shape {tuple(shape)}")
    return found


class BlockMoments:
    """Counts, sums and sums of products of rows over the units of each block.

    Units come in any number of parts; sums are of float64, of differences to the first unit, so
    that a large mean costs no digits. A unit counts where all rows are defined.

    Parameters
    ----------
    n_rows : int
        Subjects, and whatever else is correlated.
    n_blocks : int

    Attributes
    ----------
    n : array of shape (n_blocks,)
        Units that counted.
    sums : array of shape (n_blocks, n_rows)
        Σ x_i  of x less ``shift``.
    products : array of shape (n_blocks, n_rows, n_rows)
        Σ x_i x_j, likewise.
    shift : array of shape (n_rows,)
    """

    def __init__(self, n_rows: int, n_blocks: int) -> None:
        self.n = np.zeros(n_blocks)
        self.sums = np.zeros((n_blocks, n_rows))
        self.products = np.zeros((n_blocks, n_rows, n_rows))
        self.shift = np.full(n_rows, np.nan)

    def add(self, rows: NDArray[np.floating], blocks: Blocks) -> None:
        """Count some units.

        Parameters
        ----------
        rows : array of shape (n_rows, n_units)
        blocks : array of shape (n_units,)
            Block of each.

        Raises
        ------
        AnalysisError
            Other shapes than these, or a block that is not there.
        """
        if rows.shape != (len(self.shift), len(blocks)) or blocks.ndim != 1:
            raise AnalysisError(
                f"rows of shape {rows.shape} and blocks of shape {blocks.shape}; they should be "
                f"({len(self.shift)}, n_units) and (n_units,)"
            )
        if not len(blocks):
            return
        if not 0 <= blocks.min() <= blocks.max() < len(self.n):
            raise AnalysisError(f"blocks {blocks.min()} to {blocks.max()}; there are {len(self.n)}")
        if np.isnan(self.shift).any():
            self._start(rows)
        if np.isnan(self.shift).any():
            return
        for start in range(0, len(blocks), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._add(rows[:, part] - self.shift[:, None], blocks[part])

    def _add(self, x: Array, blocks: Blocks) -> None:
        # A row's sum finds NaN in one pass, without a mask of the whole.
        complete = ~np.isnan(x.sum(axis=0))
        if not complete.all():
            x, blocks = x[:, complete], blocks[complete]
        if not len(blocks):
            return
        if (blocks[1:] < blocks[:-1]).any():
            order = np.argsort(blocks, kind="stable")
            x, blocks = x[:, order], blocks[order]
        starts = np.append(0, np.flatnonzero(blocks[1:] != blocks[:-1]) + 1)
        named = blocks[starts]  # each once
        self.n[named] += np.diff(starts, append=len(blocks))
        self.sums[named] += np.add.reduceat(x, starts, axis=1).T
        for i, row in enumerate(x):
            found = np.add.reduceat(row * x[: i + 1], starts, axis=1).T
            self.products[named, i, : i + 1] += found
            self.products[named, :i, i] += found[:, :i]

    def _start(self, rows: NDArray[np.floating]) -> None:
        for start in range(0, rows.shape[1], 1 << 16):
            part = rows[:, start : start + (1 << 16)]
            complete = np.flatnonzero(~np.isnan(part).any(axis=0))
            if len(complete):
                self.shift = part[:, complete[0]].astype(np.float64)
                return

    def drop_empty(self) -> None:
        """Forget the blocks in which no unit counted."""
        used = self.n > 0
        self.n, self.sums, self.products = self.n[used], self.sums[used], self.products[used]

    def totals(self, weights: NDArray[np.floating] | None = None) -> tuple[Array, Array, Array]:
        """Moments of all units, each block as often as its weight says.

        Parameters
        ----------
        weights : array of shape (n_replicates, n_blocks), optional
            One replicate, with every block once, by default.

        Returns
        -------
        n : array of shape (n_replicates,)
        mean : array of shape (n_replicates, n_rows)
            Of x less ``shift``.
        scatter : array of shape (n_replicates, n_rows, n_rows)
            Σ (x_i − x̄_i)(x_j − x̄_j).
        """
        w = np.ones((1, len(self.n))) if weights is None else weights
        n_rows = len(self.shift)
        n, sums = w @ self.n, w @ self.sums
        products = (w @ self.products.reshape(len(self.n), n_rows**2)).reshape(-1, n_rows, n_rows)
        mean = np.divide(sums, n[:, None], out=np.full_like(sums, np.nan), where=n[:, None] > 0)
        scatter = products - sums[:, :, None] * mean[:, None, :]
        variance = np.einsum("kii->ki", scatter)  # a view
        variance[variance <= _ROUNDING * np.einsum("kii->ki", products)] = 0.0
        return n, mean, scatter


def correlation_matrix(scatter: Array, *, given: int = 0) -> Array:
    """Correlations between rows, or partial ones given the last rows.

    Partial: S = S_aa − S_ac S_cc⁺ S_ca is the scatter of what regression on the last rows leaves.

    Parameters
    ----------
    scatter : array of shape (…, n_rows, n_rows)
    given : int
        How many of the last rows are held constant.

    Returns
    -------
    array of shape (…, n_rows − given, n_rows − given)
        NaN where a row does not vary, or only with the rows that are given.
    """
    n = scatter.shape[-1] - given
    left = scatter[..., :n, :n]
    least = 0.0
    if given:
        # Scaled first, so that the pseudo-inverse sees which covariates repeat others.
        scale = np.sqrt(np.diagonal(scatter, axis1=-2, axis2=-1))
        scale = np.where(scale > 0, scale, 1.0)
        scaled = scatter / (scale[..., :, None] * scale[..., None, :])
        across = scaled[..., :n, n:]
        inverse = np.linalg.pinv(scaled[..., n:, n:], rcond=1e-10, hermitian=True)
        left = scaled[..., :n, :n] - across @ inverse @ np.swapaxes(across, -1, -2)
        least = 1e-12  # of 1, the variance before
    variance = np.diagonal(left, axis1=-2, axis2=-1)
    norm = np.sqrt(np.where(variance > least, variance, np.nan))
    return np.asarray(left / (norm[..., :, None] * norm[..., None, :]))
