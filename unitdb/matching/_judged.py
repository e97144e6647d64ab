"""People's blind choices: which of two pictures a reconstruction is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitdb.errors import QueryError

__all__ = ["Judged", "judged_rate"]

_DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How often people chose the picture that was seen; chance is .5.

    Parameters
    ----------
    rate : float
        Share of all choices.
    low, high : float
        95 % interval over images and raters; NaN of a single image. Where all choices are alike,
        nothing that is drawn differs: exact (Clopper & Pearson 1934) for as many images.
    n_choices, n_images, n_raters : int
    """

    rate: float
    low: float
    high: float
    n_choices: int
    n_images: int
    n_raters: int


def judged_rate(
    correct: Sequence[bool], images: Sequence[str], raters: Sequence[str], *, seed: int = 0
) -> Judged:
    """Rate of right choices, with an interval over images and raters.

    Images are drawn with replacement, and raters too where there are several; a choice counts as
    often as its image times as often as its rater was drawn (Owen 2007's product weights). The
    interval is that of percentiles.

    Parameters
    ----------
    correct : sequence of bool
        Of each choice.
    images, raters : sequence of str
        What was judged, and who did.
    seed : int
        Of what is drawn.

    Returns
    -------
    Judged

    Raises
    ------
    QueryError
        No choices, or not as many images and raters.

    References
    ----------
    Owen (2007), The pigeonhole bootstrap, doi:10.1214/07-AOAS122.

    Examples
    --------
    >>> from unitdb.matching import judged_rate
    >>> found = judged_rate([True, False], images=["a", "b"], raters=["x", "x"])
    >>> found.rate, found.n_raters
    (0.5, 1)
    """
    if not len(correct) == len(images) == len(raters) > 0:
        raise QueryError(
            f"{len(correct)} choices, {len(images)} images and {len(raters)} raters; at least one, "
            "and as many of each"
        )
    right = np.asarray(correct, dtype=np.float64)
    names, of_image = np.unique(np.asarray(images, dtype=str), return_inverse=True)
    people, of_rater = np.unique(np.asarray(raters, dtype=str), return_inverse=True)
    low = high = float("nan")
    if len(names) > 1 and right.min() == right.max():
        end = 0.025 ** (1 / len(names))
        low, high = (end, 1.0) if right[0] else (0.0, 1 - end)
    elif len(names) > 1:
        rng = np.random.default_rng(seed)
        places = of_image, of_rater
        n, found = np.zeros((2, len(names), len(people)))
        np.add.at(n, places, 1)
        np.add.at(found, places, right)
        of_names = _drawn(rng, len(names))
        of_people = _drawn(rng, len(people)) if len(people) > 1 else np.ones((1, 1))
        totals, sums = (((of_names @ each) * of_people).sum(axis=1) for each in (n, found))
        rates = sums[totals > 0] / totals[totals > 0]
        low, high = np.quantile(rates, [0.025, 0.975])
    return Judged(
        rate=float(right.mean()),
        low=float(low),
        high=float(high),
        n_choices=len(right),
        n_images=len(names),
        n_raters=len(people),
    )


def _drawn(rng: np.random.Generator, n: int) -> np.ndarray:
    """How often each of n is drawn, in each draw of n."""
    return rng.multinomial(n, np.full(n, 1 / n), size=_DRAWS).astype(np.float64)
