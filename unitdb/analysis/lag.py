"""When a layer is decoded best: how far its course in time is displaced from that of all layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.special
from numpy.typing import NDArray

from unitdb.analysis.intervals import Interval
from unitdb.errors import AnalysisError

__all__ = [
    "Lags",
    "Order",
    "adjusted_lags",
    "course_lags",
    "jackknife_interval",
    "jackknife_se",
    "lag_order",
    "peaks",
    "template_lags",
]

Array = NDArray[np.float64]

_PER_STEP = 12
"""Delays that are tried for each step between times."""

_FURTHEST = 0.25
"""Of the times' span: delays that are tried reach as far in either direction."""

_FEWEST_TIMES = 5


def template_lags(curves: NDArray[np.floating], times: NDArray[np.floating]) -> Array:
    """Lag of each layer behind the mean of all: positive where a layer is late.

    T(τ) = mean over layers of m_l(τ);  lag_l = argmin over d of  min over a > 0 of
    Σ_τ (m_l(τ) − a T(τ − d))².  The best a for a delay is ⟨m_l, T_d⟩ / ⟨T_d, T_d⟩, so that height
    does not count. Delays are a grid of 1/12 of the step between times, up to a quarter of their
    span in either direction; between grid points the minimum is that of a parabola through the best
    one and its neighbours. T is a cubic spline between times, and constant beyond them.

    Parameters
    ----------
    curves : array of shape (n_layers, n_times)
        Mean accuracies. NaN is no value: times at which a layer has none do not count, and layers
        that have none at all.
    times : array of shape (n_times,)
        In seconds, ascending.

    Returns
    -------
    array of shape (n_layers,)
        Seconds; NaN where a layer is like T nowhere.

    Raises
    ------
    AnalysisError
        Shapes that disagree, or times that do not ascend.

    Examples
    --------
    >>> from unitdb.analysis import template_lags
    >>> times = np.arange(0.0, 20)
    >>> curves = [np.exp(-(((times - peak) / 3) ** 2)) for peak in (9, 11)]
    >>> template_lags(np.array(curves), times).round(1)
    array([-1.,  1.])
    """
    m, t = np.asarray(curves, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if m.ndim != 2 or t.shape != (m.shape[1],) or not (np.diff(t) > 0).all():
        raise AnalysisError(f"curves of shape {m.shape} at {len(t)} times, which should ascend")
    lags = np.full(len(m), np.nan)
    layers = ~np.isnan(m).all(axis=1)
    known = ~np.isnan(m[layers]).any(axis=0)
    if layers.sum() < 2 or known.sum() < _FEWEST_TIMES:
        return lags
    m, t = m[layers][:, known], t[known]
    delays, shift = _shifts(tuple(t.tolist()))
    shifted = shift @ m.mean(axis=0)
    size = np.sqrt((shifted**2).sum(axis=1))
    fit = np.maximum(m @ shifted.T, 0) / np.where(size > 0, size, np.inf)
    best = fit.argmax(axis=1)
    rows = np.arange(len(m))
    inside = (best > 0) & (best < len(delays) - 1)
    at = np.clip(best, 1, len(delays) - 2)
    # Of the residual, |m|² − fit²: the height of m drops out of where the parabola is lowest.
    left, middle, right = (fit[rows, at + k] ** 2 for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    between = np.divide(left - right, 2 * bend, out=np.zeros(len(m)), where=bend < 0)
    found = delays[best] + (delays[1] - delays[0]) * np.where(inside, between, 0.0)
    lags[layers] = np.where(fit[rows, best] > 0, found, np.nan)
    return lags


@lru_cache(maxsize=8)
def _shifts(times: tuple[float, ...]) -> tuple[Array, Array]:
    """Delays, and what makes T(τ − d) of T(τ): a matrix (n_times, n_times) for each."""
    from scipy.interpolate import CubicSpline  # takes half a second to import

    t = np.array(times)
    step = float(np.median(np.diff(t))) / _PER_STEP
    n = int(np.ceil(_FURTHEST * (t[-1] - t[0]) / step))
    delays = np.asarray(step * np.arange(-n, n + 1), dtype=np.float64)
    spline = CubicSpline(t, np.eye(len(t)))  # linear in what it goes through
    return delays, np.asarray(spline(np.clip(t - delays[:, None], t[0], t[-1])))


def peaks(curves: NDArray[np.floating], times: NDArray[np.floating]) -> tuple[Array, Array]:
    """Time of the highest value of each curve, the first of equal ones, and the value.

    For comparison with what others report: with little signal this time leans to where there are
    more times to be highest at, and so depends on the signal (docs/methods.md).

    Parameters
    ----------
    curves : array of shape (n_layers, n_times)
    times : array of shape (n_times,)

    Returns
    -------
    times, values : arrays of shape (n_layers,)
        NaN where a curve has no value.

    Examples
    --------
    >>> from unitdb.analysis import peaks
    >>> peaks(np.array([[0.1, 0.4, 0.2]]), np.array([0.0, 2, 4]))
    (array([2.]), array([0.4]))
    """
    m = np.asarray(curves, dtype=np.float64)
    known = ~np.isnan(m).all(axis=1)
    place = np.where(np.isnan(m), -np.inf, m).argmax(axis=1)
    at = np.asarray(times, dtype=np.float64)[place]
    highest = m[np.arange(len(m)), place]
    return np.where(known, at, np.nan), np.where(known, highest, np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class Lags:
    """Lags of the layers of a network, and the same without each subject or stimulus in turn.

    Parameters
    ----------
    lags : array of shape (n_layers,)
        Seconds.
    without : array of shape (n_left_out, n_layers)
        Without each in turn; empty where there are fewer than two.

    Examples
    --------
    >>> from unitdb.analysis import Lags
    >>> lags = Lags(lags=np.array([0.5, -0.5]), without=np.array([[0.4, -0.4], [0.6, -0.6]]))
    >>> [round(found.low, 2) for found in lags.intervals()]
    [-0.77, -1.77]
    """

    lags: Array
    without: Array

    def intervals(self, *, confidence: float = 0.95) -> list[Interval]:
        """Jackknife interval of each lag:  lag ± t SE, t Student's with n − 1 degrees of freedom.

        SE² = (n − 1)/n Σ_i (lag₍ᵢ₎ − mean lag₍·₎)², lag₍ᵢ₎ without the i-th.

        Returns
        -------
        list of Interval
            One for each layer, in seconds.
        """
        se, df = jackknife_se(self.without), len(self.without) - 1
        return [_student(lag, of, df, confidence) for lag, of in zip(self.lags, se, strict=True)]


def course_lags(curves: NDArray[np.floating], times: NDArray[np.floating]) -> Lags:
    """Lags of curves whose mean is taken over subjects, with the jackknife over these.

    Parameters
    ----------
    curves : array of shape (n_subjects, n_layers, n_times)
        One subject has lags, and nothing is left out.
    times : array of shape (n_times,)

    Returns
    -------
    Lags
        Of each layer, in the unit of ``times``.

    Raises
    ------
    AnalysisError
        As of :func:`template_lags`.

    Examples
    --------
    >>> from unitdb.analysis import course_lags
    >>> times = np.arange(0.0, 20)
    >>> curves = np.array([np.exp(-(((times - peak) / 3) ** 2)) for peak in (9, 11)])
    >>> course_lags(np.stack([curves, 2 * curves]), times).lags.round(1)
    array([-1.,  1.])
    """
    m = np.asarray(curves, dtype=np.float64)
    n = len(m) if len(m) > 1 else 0
    without = [template_lags(np.delete(m, i, axis=0).mean(axis=0), times) for i in range(n)]
    return Lags(
        lags=template_lags(m.mean(axis=0), times),
        without=np.array(without).reshape(n, m.shape[1]),
    )


def adjusted_lags(lags: Lags, reference: Lags) -> Lags:
    """Lags minus those of another condition: what layers' voxels differ in drops out.

    Parameters
    ----------
    lags, reference : Lags
        Of the same layers, with the same left out in the same order.

    Returns
    -------
    Lags
        Differences, with a value for each sample left out.

    Raises
    ------
    AnalysisError
        Other numbers of layers or of what is left out.

    Examples
    --------
    >>> from unitdb.analysis import Lags, adjusted_lags
    >>> imagery = Lags(lags=np.array([0.5, -0.5]), without=np.empty((0, 2)))
    >>> perception = Lags(lags=np.array([0.25, 0.0]), without=np.empty((0, 2)))
    >>> adjusted_lags(imagery, perception).lags
    array([ 0.25, -0.5 ])
    """
    for what, mine, other in (
        ("layers", lags.lags, reference.lags),
        ("left out in turn", lags.without, reference.without),
    ):
        if len(mine) != len(other):
            raise AnalysisError(
                f"lags with {len(mine)} {what} cannot be adjusted by lags with {len(other)}; "
                "take those that both have"
            )
    return Lags(lags=lags.lags - reference.lags, without=lags.without - reference.without)


@dataclass(frozen=True, kw_only=True)
class Order:
    """Whether lags fall with depth.

    Parameters
    ----------
    slope : Interval
        Of lag on depth, in seconds from the first layer to the last; below 0 where higher layers
        are earlier.
    se : float
        Its standard error.
    p : float
        One-sided: as low a slope where there is no order.
    """

    slope: Interval
    se: float
    p: float


def lag_order(lags: Lags, *, confidence: float = 0.95) -> Order:
    """Test whether higher layers come first: slope of lag on depth, jackknife SE, Student's t.

    Depth is 0 for the first layer and 1 for the last, in equal steps; layers without a lag are left
    out. p = P(t_{n−1} ≤ slope / SE).

    Parameters
    ----------
    lags : Lags
        Layers in the network's order.
    confidence : float
        Of the interval of the slope.

    Returns
    -------
    Order
        Slope with its interval, standard error and p.

    Examples
    --------
    >>> from unitdb.analysis import Lags, lag_order
    >>> lags = Lags(lags=np.array([0.5, -0.5]), without=np.array([[0.4, -0.4], [0.6, -0.6]]))
    >>> order = lag_order(lags)
    >>> order.slope.value, bool(order.p < 0.05)
    (-1.0, False)
    """
    depth = np.linspace(0, 1, len(lags.lags))
    slope = _slope(lags.lags, depth)
    without = np.array([[_slope(one, depth)] for one in lags.without]).reshape(-1, 1)
    se = float(jackknife_se(without)[0]) if len(without) else np.nan
    df = len(without) - 1
    p = float(scipy.special.stdtr(df, slope / se)) if df > 0 and se > 0 else np.nan
    return Order(slope=_student(slope, se, df, confidence), se=se, p=p)


def jackknife_se(without: NDArray[np.floating]) -> Array:
    """Standard error from estimates without each of n in turn; NaN of fewer than two.

    SE² = (n − 1)/n Σ_i (θ₍ᵢ₎ − mean θ₍·₎)².

    Parameters
    ----------
    without : array of shape (n, n_estimates)
    """
    n = len(without)
    if n < 2:
        return np.full(without.shape[1], np.nan)
    spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(np.sqrt((n - 1) / n * spread))


def jackknife_interval(
    value: float, without: NDArray[np.floating], *, confidence: float = 0.95
) -> Interval:
    """Value ± t SE, SE of :func:`jackknife_se` and t Student's with n − 1 degrees of freedom.

    Parameters
    ----------
    value : float
    without : array of shape (n,)
        The estimate without each of n in turn.
    confidence : float

    Returns
    -------
    Interval
        Value and both ends.

    Examples
    --------
    >>> from unitdb.analysis import jackknife_interval
    >>> found = jackknife_interval(1.0, np.array([0.9, 1.0, 1.1]))
    >>> round(found.low, 2), round(found.high, 2)
    (0.5, 1.5)
    """
    se = float(jackknife_se(np.asarray(without)[:, None])[0])
    return _student(value, se, len(without) - 1, confidence)


def _student(value: float, se: float, df: int, confidence: float) -> Interval:
    """Value ± t SE; no ends without a standard error."""
    half = float(scipy.special.stdtrit(df, 0.5 + confidence / 2)) * se if df > 0 else np.nan
    return Interval(value=float(value), low=float(value - half), high=float(value + half))


def _slope(lags: Array, depth: Array) -> float:
    known = ~np.isnan(lags)
    if known.sum() < 2:
        return np.nan
    x, y = depth[known] - depth[known].mean(), lags[known]
    return float(x @ y / (x @ x))
