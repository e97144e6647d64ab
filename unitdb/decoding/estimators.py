# ruff: noqa: N803 - scikit-learn calls the samples X
"""The decoders as scikit-learn estimators, for pipelines and searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import ARDRegression
from sklearn.model_selection import GroupKFold, check_cv
from threadpoolctl import threadpool_limits

from unitdb.decoding._scaling import statistics
from unitdb.decoding._training import Training, kept_voxels, ridge
from unitdb.decoding._voxel_decoder import VoxelDecoder
from unitdb.decoding.settings import DecoderSettings

__all__ = ["SparseLinearDecoder", "VoxelSelectionRidge"]

Array = NDArray[np.float64]
Rows = NDArray[np.intp]


class VoxelSelectionRidge(VoxelDecoder):
    """Ridge regression of each target on the voxels most correlated with it.

    w = (XᵀX + αI)⁻¹Xᵀz, where X holds the target's ``n_voxels`` voxels of largest |Pearson r| and
    z the target, both z-scored with the mean and SD (ddof = 1) of the training samples; no
    intercept. Predictions are scaled back. The same as :class:`unitdb.decoding.RoiDecoder` on one
    split, which keeps no coefficients and takes millions of targets.

    Voxels that are constant in training have no weight. A target that is constant in training is
    predicted by that constant.

    Parameters
    ----------
    alpha : float or sequence of float
        Ridge penalty, on z-scored voxels and targets. 0 is least squares, refused where voxels
        depend on each other. Of several values the one with the smallest squared error
        Σᵢ ((pᵢ − yᵢ) / s)² over held-out samples i of the training data is taken, p the prediction
        from the other samples and s the target's SD over all; of equals the first.
    n_voxels : int, optional
        Voxels kept for each target; None, or as many as vary, keeps all that vary. One
        factorisation then serves all targets.
    alpha_per_target : bool
        Whether each target (a unit) gets an alpha of its own. Otherwise the error is summed over
        all targets (a layer).
    cv : int, splitter or iterable of (train, test)
        Folds of the training samples by which alpha is chosen; unused with one alpha. An int is
        the number of contiguous folds, or of folds of whole groups if ``fit`` is given groups.
    zscore : bool
        Whether voxels are divided by their SD; they are always centred.
    precision : {'double', 'single'}
        Of the systems solved, where targets keep voxels of their own.
    n_jobs : int, optional
        Threads that share the targets, where these keep voxels of their own; -1 is all
        processors. The result does not depend on it.

    Attributes
    ----------
    coef_ : array of shape (n_targets, n_features), or (n_features,) if y had one dimension
        Weights in raw units, that of a target per that of a voxel; zero where a voxel is not kept.
    intercept_ : array of shape (n_targets,), or float
        In raw units.
    voxels_ : array of shape (n_targets, n_kept), or (n_kept,)
        Columns of X that each target keeps, ascending. n_kept is ``n_voxels``, or the number of
        voxels that vary in training if that is smaller.
    alpha_ : float, or array of shape (n_targets,) with ``alpha_per_target`` and y of two dimensions
        The penalty used.
    cv_mse_ : array of shape (n_alphas, n_targets), or (n_alphas,)
        Mean of the squared errors above, over held-out samples; in z-scored units. Only with
        several alphas.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features_in_,)
        Only if the columns of X have names.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037.

    Examples
    --------
    >>> import numpy as np
    >>> from unitdb.decoding import VoxelSelectionRidge
    >>> rng = np.random.default_rng(0)
    >>> responses, activations = rng.normal(size=(60, 200)), rng.normal(size=(60, 3))
    >>> decoder = VoxelSelectionRidge(alpha=[1, 10, 100], n_voxels=50)
    >>> decoder.fit(responses, activations).predict(responses).shape
    (60, 3)
    """

    alpha_: float | Array
    cv_mse_: Array

    def __init__(
        self,
        alpha: float | Sequence[float] | Array = 100.0,
        n_voxels: int | None = 500,
        *,
        alpha_per_target: bool = False,
        cv: int | Any | Iterable[tuple[ArrayLike, ArrayLike]] = 5,
        zscore: bool = True,
        precision: Literal["double", "single"] = "double",
        n_jobs: int | None = 1,
    ) -> None:
        self.alpha = alpha
        self.n_voxels = n_voxels
        self.alpha_per_target = alpha_per_target
        self.cv = cv
        self.zscore = zscore
        self.precision = precision
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Choose voxels, and alpha if there are several, and compute the weights.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Responses, raw; one row a sample, one column a voxel.
        y : array of shape (n_samples, n_targets) or (n_samples,)
            Targets, raw: activations of units.
        groups : array of shape (n_samples,), optional
            What samples must not be shared out between folds when alpha is chosen: the ids of
            their images, where an image was shown several times. Unused with one alpha.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter out of range; fewer than two samples; NaN; rows that do not match.
        ResponsesError
            No voxel varies over the training samples, or over those of a fold. A ValueError.
        IllConditionedError
            An alpha is too small: the voxels kept depend on each other. A ValueError; names the
            column of the target.
        TypeError
            X or y is sparse.
        """
        x, targets = self._validated(X, y)
        single = targets.ndim == 1
        columns = targets[:, None] if single else targets
        alphas = self._alphas()
        settings = DecoderSettings(
            n_voxels=self.n_voxels, alpha=alphas[0], zscore=self.zscore, precision=self.precision
        )
        # Threads share the targets and compute alone, as in RoiDecoder.
        with threadpool_limits(limits=1, user_api="blas"):
            chosen = np.full(columns.shape[1], alphas[0])
            if len(alphas) > 1:
                error = self._errors(x, columns, np.array(alphas), settings, groups)
                best = np.array(alphas)[error.argmin(axis=0)]
                common = np.array(alphas)[error.sum(axis=1).argmin()]
                chosen[:] = best if self.alpha_per_target else common
                self.cv_mse_ = error[:, 0] if single else error
            training = Training.of(x, columns, zscore=self.zscore)
            weights = ridge(training, chosen, settings, n_jobs=effective_n_jobs(self.n_jobs))
            kept = kept_voxels(training, self.n_voxels)
        self.alpha_ = chosen if self.alpha_per_target and not single else float(chosen[0])
        self._set_fitted(training, weights, kept, single=single)
        return self

    def _alphas(self) -> list[float]:
        given = np.asarray(self.alpha, dtype=np.float64)
        if given.ndim > 1:
            raise ValueError(
                f"alpha must be a number or a sequence of numbers (got shape {given.shape})"
            )
        alphas = [float(value) for value in np.atleast_1d(given)]
        if not alphas:
            raise ValueError(f"alpha must hold at least one value (got {self.alpha!r})")
        for value in alphas:
            if not 0 <= value < np.inf:
                raise ValueError(f"alpha must be at least 0 and finite (got {value})")
        return alphas

    def _errors(
        self,
        x: Array,
        y: Array,
        alphas: Array,
        settings: DecoderSettings,
        groups: ArrayLike | None,
    ) -> Array:
        """Mean squared error (n_alphas, n_targets) of held-out samples, in SDs of the target."""
        whole_folds = groups is not None and isinstance(self.cv, Integral)
        splitter = GroupKFold(self.cv) if whole_folds else check_cv(self.cv)
        n_jobs = effective_n_jobs(self.n_jobs)
        # One scale for all folds: a target may be constant over the training samples of a fold.
        y_scale = statistics(y)[1]
        error = np.zeros((len(alphas), y.shape[1]))
        n_held_out = 0
        for train, test in splitter.split(x, y, groups):
            training = Training.of(x[train], y[train], zscore=self.zscore)
            n_held_out += len(y[test])
            for row, value in enumerate(alphas):
                weights = ridge(training, np.full(y.shape[1], value), settings, n_jobs=n_jobs)
                coefficients, intercepts = training.raw(weights)
                residual = (x[test] @ coefficients.T + intercepts - y[test]) / y_scale
                error[row] += np.einsum("iu,iu->u", residual, residual)
        return error / n_held_out


class SparseLinearDecoder(VoxelDecoder):
    """Bayesian linear regression of each target that prunes voxels (ARD), for small sets.

    z = Xw + ε with ε ~ N(0, 1/β) and w_v ~ N(0, 1/λ_v): a precision λ_v for each voxel and β are
    those that make the training data most probable, and voxels whose precision passes
    ``threshold_lambda`` are removed. X holds the target's ``n_voxels`` voxels of largest
    |Pearson r| and z the target, both z-scored with the mean and SD (ddof = 1) of the training
    samples; no intercept. Predictions are scaled back. Horikawa & Kamitani decoded features by
    such sparse regression.

    For small sets: each target needs up to ``max_iter`` inversions of a matrix of its voxels, or
    of the samples if those are fewer. scikit-learn's
    :class:`~sklearn.linear_model.ARDRegression` computes them.

    A target that is constant in training is predicted by that constant.

    Parameters
    ----------
    n_voxels : int, optional
        Voxels kept for each target before regression; None, or as many as vary, keeps all that
        vary.
    max_iter : int
        Iterations at the most.
    tol : float
        Iterations end where the weights, in z-scored units, change by less than this in sum.
    threshold_lambda : float
        Precision above which a voxel is removed.
    zscore : bool
        Whether voxels are divided by their SD; they are always centred.

    Attributes
    ----------
    coef_ : array of shape (n_targets, n_features), or (n_features,) if y had one dimension
        Weights in raw units, that of a target per that of a voxel; zero where a voxel is not kept
        or removed.
    intercept_ : array of shape (n_targets,), or float
        In raw units.
    voxels_ : array of shape (n_targets, n_kept), or (n_kept,)
        Columns of X that each target keeps before regression, ascending.
    n_iter_ : array of shape (n_targets,), or int
        Iterations; 0 for a constant target.
    n_features_in_ : int
    feature_names_in_ : array of shape (n_features_in_,)
        Only if the columns of X have names.

    References
    ----------
    Horikawa & Kamitani 2017, doi:10.1038/ncomms15037.

    Examples
    --------
    >>> from unitdb.decoding import SparseLinearDecoder
    >>> x = np.random.default_rng(0).normal(size=(60, 4))
    >>> decoder = SparseLinearDecoder().fit(x[:40], x[:40, :1])
    >>> decoder.predict(x[40:]).shape
    (20, 1)
    """

    n_iter_: Rows | int

    def __init__(
        self,
        n_voxels: int | None = 500,
        *,
        max_iter: int = 300,
        tol: float = 1e-3,
        threshold_lambda: float = 1e4,
        zscore: bool = True,
    ) -> None:
        self.n_voxels = n_voxels
        self.max_iter = max_iter
        self.tol = tol
        self.threshold_lambda = threshold_lambda
        self.zscore = zscore

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose voxels and compute the weights.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Responses, raw; one row a sample, one column a voxel.
        y : array of shape (n_samples, n_targets) or (n_samples,)
            Targets, raw: activations of units.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter out of range; fewer than two samples; NaN; rows that do not match.
        ResponsesError
            No voxel varies over the training samples. A ValueError.
        TypeError
            X or y is sparse.
        """
        x, targets = self._validated(X, y)
        single = targets.ndim == 1
        settings = DecoderSettings(n_voxels=self.n_voxels, zscore=self.zscore)
        training = Training.of(x, targets[:, None] if single else targets, zscore=settings.zscore)
        kept = kept_voxels(training, settings.n_voxels)
        regression = ARDRegression(
            max_iter=self.max_iter,
            tol=self.tol,
            threshold_lambda=self.threshold_lambda,
            fit_intercept=False,
        )
        weights = np.zeros((len(kept), training.x.shape[1]))
        n_iter = np.zeros(len(kept), dtype=np.intp)
        for unit in np.flatnonzero(training.z.any(axis=0)):
            regression.fit(training.x[:, kept[unit]], training.z[:, unit])
            weights[unit, kept[unit]] = regression.coef_
            n_iter[unit] = regression.n_iter_
        self.n_iter_ = int(n_iter[0]) if single else n_iter
        self._set_fitted(training, weights, kept, single=single)
        return self
