"""The training samples of an estimator: normalised, weighted, and brought back to raw units."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unitdb.decoding._scaling import check_held, normalise, statistics
from unitdb.decoding._selected import SelectedRidge
from unitdb.decoding._selection import Correlations
from unitdb.decoding._shared import ridge_weights
from unitdb.decoding.settings import TILE, DecoderSettings
from unitdb.errors import IllConditionedError, ResponsesError
from unitdb.resolution import is_constant

__all__ = ["Training", "kept_voxels", "ridge"]

Array = NDArray[np.float64]
Kept = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Training:
    """Normalised training samples, and what leads from them back to raw units.

    Parameters
    ----------
    x : array of shape (n_train, n_varying)
        Responses, centred or z-scored, of the voxels that vary in training.
    z : array of shape (n_train, n_targets)
        Targets, z-scored; zero where a target is constant.
    varying : array of shape (n_features,)
        Whether a voxel varies in training.
    x_mean, x_scale : array of shape (n_varying,)
        What was subtracted from a voxel, and then divided by.
    y_mean, y_scale : array of shape (n_targets,)
        The same for the targets.
    """

    x: Array
    z: Array
    varying: NDArray[np.bool_]
    x_mean: Array
    x_scale: Array
    y_mean: Array
    y_scale: Array

    @classmethod
    def of(cls, x: Array, y: Array, *, zscore: bool) -> Training:
        """Normalise raw training samples.

        Parameters
        ----------
        x : array of shape (n_train, n_features)
            Responses, raw.
        y : array of shape (n_train, n_targets)
            Targets, raw.
        zscore : bool
            Whether to divide voxels by their SD (ddof = 1); targets always are.

        Raises
        ------
        ResponsesError
            No voxel varies, or float64 cannot hold the coefficients of one in raw units.
        """
        varying = ~is_constant(x)
        if not varying.any():
            raise ResponsesError(
                f"none of the {x.shape[1]} voxels varies over the {len(x)} training samples"
            )
        used = x[:, varying]
        centred = normalise(used, used[:0], zscore=zscore)[0]
        columns, double = np.flatnonzero(varying), np.dtype(np.float64)
        check_held(centred, centred[:0], columns=columns, dtype=double)
        x_mean, x_scale, _ = statistics(used)
        y_mean, y_scale, _ = statistics(y)
        if not zscore:
            x_scale = np.ones(used.shape[1])
        _check_coefficients(x_scale, y_scale, columns)
        return cls(
            x=centred,
            z=normalise(y, y[:0], zscore=True)[0],
            varying=varying,
            x_mean=x_mean,
            x_scale=x_scale,
            y_mean=y_mean,
            y_scale=y_scale,
        )

    def raw(self, weights: Array) -> tuple[Array, Array]:
        """Coefficients of the raw voxels from weights of the normalised ones.

        c = w · s_y / s_x and intercept ȳ − c · x̄, so that  y ≈ c · x + intercept.

        Parameters
        ----------
        weights : array of shape (n_targets, n_varying)

        Returns
        -------
        coefficients : array of shape (n_targets, n_features)
        intercepts : array of shape (n_targets,)
        """
        scaled = weights * (self.y_scale[:, None] / self.x_scale)
        coefficients = np.zeros((len(weights), len(self.varying)))
        coefficients[:, self.varying] = scaled
        return coefficients, self.y_mean - scaled @ self.x_mean


def _check_coefficients(x_scale: Array, y_scale: Array, columns: NDArray[np.intp]) -> None:
    """Refuse voxels whose coefficients in raw units, of size s_y / s_x, float64 cannot hold."""
    digits = np.finfo(np.float64).nmant
    power = np.frexp(x_scale)[1]
    targets = np.frexp(y_scale)[1]
    lost = (int(targets.max()) - power > 1023 - digits) | (
        int(targets.min()) - power < digits - 1022
    )
    if lost.any():
        first = int(lost.argmax())
        raise ResponsesError(
            f"voxel {columns[first]} has an SD of {x_scale[first]:.3g} and a target one of "
            f"{y_scale.min():.3g} to {y_scale.max():.3g}: float64 cannot hold their coefficients; "
            "give them in other units"
        )


def kept_voxels(training: Training, n_voxels: int | None) -> Kept:
    """Voxels that each target keeps: those with the largest |Pearson r|; ties to the lower index.

    Parameters
    ----------
    training : Training
    n_voxels : int, optional
        Voxels kept; None, or more than vary, keeps all that vary.

    Returns
    -------
    array of shape (n_targets, n_kept)
        Columns of ``training.x``, ascending.
    """
    x, z = training.x, np.ascontiguousarray(training.z.T)
    n_varying = x.shape[1]
    if n_voxels is None or n_voxels >= n_varying:
        return np.tile(np.arange(n_varying, dtype=np.int32), (len(z), 1))
    return Correlations(x).select(z @ x, z, n_voxels)


def ridge(training: Training, alpha: Array, settings: DecoderSettings, *, n_jobs: int) -> Array:
    """Ridge weights  w = (XᵀX + αI)⁻¹Xᵀz  of each target on the voxels that it keeps.

    Parameters
    ----------
    training : Training
    alpha : array of shape (n_targets,)
        Penalty of each target; takes the place of the settings'.
    settings : DecoderSettings
    n_jobs : int
        Threads, where targets keep voxels of their own.

    Returns
    -------
    array of shape (n_targets, n_varying)
        Zero where a voxel is not kept.

    Raises
    ------
    IllConditionedError
        The penalty is too small for a target, whose column is named, or for all of them.
    """
    weights = np.empty((training.z.shape[1], training.x.shape[1]))
    for value in np.unique(alpha):
        columns = np.flatnonzero(alpha == value)
        chosen = replace(settings, alpha=float(value))
        with _named(columns):
            weights[columns] = _ridge(training.x, training.z[:, columns], chosen, n_jobs)
    return weights


def _ridge(x: Array, z: Array, settings: DecoderSettings, n_jobs: int) -> Array:
    if settings.n_voxels is None or settings.n_voxels >= x.shape[1]:
        return ridge_weights(x, z, settings.alpha)
    selected = SelectedRidge(
        x,
        n_voxels=settings.n_voxels,
        alpha=settings.alpha,
        scaled=settings.zscore,
        dtype=np.float32 if settings.precision == "single" else np.float64,
    )
    weights = np.empty((z.shape[1], x.shape[1]))

    def solve(start: int) -> None:
        tile = slice(start, start + TILE)
        with _named(np.arange(z.shape[1])[tile]):
            weights[tile] = selected.weights(z[:, tile])

    with ThreadPoolExecutor(n_jobs) as pool:
        for done in [pool.submit(solve, start) for start in range(0, z.shape[1], TILE)]:
            done.result()
    return weights


@contextmanager
def _named(columns: NDArray[np.intp]) -> Iterator[None]:
    """Within, a unit that an error names is one of ``columns``; outside, it is that column."""
    try:
        yield
    except IllConditionedError as cause:
        if cause.unit is None:
            raise
        raise IllConditionedError(cause.alpha, unit=int(columns[cause.unit])) from None
