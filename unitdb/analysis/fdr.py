"""False discovery rate: how many of the units called significant are not."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError

__all__ = ["FalseDiscovery", "q_values"]


class FalseDiscovery:
    """Benjamini–Hochberg q-values of p-values that come in blocks.

    q(p) = min over j with p_(j) ≥ p of  p_(j) m / j,  for the m p-values p_(1) ≤ … ≤ p_(m) of a
    family. All of them must be known before the first q is: pass over the blocks once to make
    this, and once more to ask it for q. It holds two arrays of m numbers.

    Calling units with q < α significant keeps the expected share of false ones below α, if units
    are independent or positively dependent (PRDS), as neighbouring units of a layer are.

    Parameters
    ----------
    blocks : iterable of arrays
        p-values of the family, in any shapes and order; NaN is left out.
    dtype : {np.float64, np.float32}
        Of what is held. float32 halves the memory, and moves q by less than 2·10⁻⁷ of its value.

    Attributes
    ----------
    n : int
        p-values in the family (m).

    Raises
    ------
    AnalysisError
        A p outside [0, 1].

    References
    ----------
    Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x; Benjamini & Yekutieli 2001,
    doi:10.1214/aos/1013699998 (dependence).

    Examples
    --------
    >>> from unitdb.analysis import FalseDiscovery
    >>> blocks = [np.array([0.01, 0.5]), np.array([0.02, 0.03])]
    >>> family = FalseDiscovery(blocks)
    >>> [family.q(p).round(2).tolist() for p in blocks]
    [[0.04, 0.5], [0.04, 0.04]]
    """

    def __init__(
        self, blocks: Iterable[NDArray[np.floating]], *, dtype: type[np.floating] = np.float64
    ) -> None:
        kept = [np.asarray(p, dtype=dtype)[~np.isnan(p)] for p in blocks]
        self._p = np.concatenate([np.empty(0, dtype=dtype), *kept])
        del kept
        self._p.sort()
        self.n = len(self._p)
        if self.n and (self._p[0] < 0 or self._p[-1] > 1):
            raise AnalysisError(f"p {self._p[0]:g} to {self._p[-1]:g}: outside [0, 1]")
        self._q = self._p.copy()
        for start in range(0, self.n, 1 << 20):
            part = slice(start, min(start + (1 << 20), self.n))
            self._q[part] *= self.n / np.arange(part.start + 1.0, part.stop + 1)
        backwards = self._q[::-1]
        np.minimum.accumulate(backwards, out=backwards)

    def q(self, p: NDArray[np.floating]) -> NDArray[np.floating]:
        """q-values of p-values of the family.

        Parameters
        ----------
        p : array of any shape
            A block that this was made of; NaN stays NaN.

        Returns
        -------
        array of the shape of ``p`` and the dtype of this

        Raises
        ------
        AnalysisError
            A p that is larger than all of the family.
        """
        values = np.asarray(p, dtype=self._p.dtype)
        defined = ~np.isnan(values)
        found = np.full(values.shape, np.nan, dtype=self._p.dtype)
        place = np.searchsorted(self._p, values[defined], side="left")
        if (place == self.n).any():
            raise AnalysisError(
                f"p {values[defined].max():g} is not of this family of {self.n} p-values"
            )
        found[defined] = self._q[place]
        return found


def q_values(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Benjamini–Hochberg q of p-values that fit into memory together.

    Parameters
    ----------
    p : array of any shape
        One family; NaN is left out and stays NaN.

    Returns
    -------
    array of the shape of ``p``

    Examples
    --------
    >>> from unitdb.analysis import q_values
    >>> q_values(np.array([0.01, 0.02, 0.5])).round(3).tolist()
    [0.03, 0.03, 0.5]
    """
    return np.asarray(FalseDiscovery([p]).q(p), dtype=np.float64)
