"""How alike reconstructed and seen pictures are; the floors and ceilings beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unitdb.analysis.identification import Identification, pairwise_identification
from unitdb.errors import AnalysisError
from unitdb.matching import category_chance, match, patterns, similarity, top_rate

__all__ = [
    "PictureIdentification",
    "grey_levels",
    "identify_pictures",
    "nearest",
    "picture_correlation",
    "project",
    "structural_similarity",
]

Array = NDArray[np.float64]
Values = NDArray[np.generic]

_LUMINANCE = (0.2125, 0.7154, 0.0721)
_SIGMA = 1.5
_WINDOW = 11  # pixels: what scikit-image takes for that sigma
_ROUNDING = 2.0**-40  # of squared singular values


def picture_correlation(found: Values, seen: Values, *, mean: Values | None = None) -> Array:
    """Pearson r over pixels and colours of each picture with the one that was seen.

    With ``mean`` it is taken from both first: what all pictures share counts no more. A mean
    picture by itself correlates by .6 with handwritten digits, and centred by 0 or with nothing.

    Parameters
    ----------
    found, seen : arrays of shape (n_images, ...)
        Of the same shape.
    mean : array of shape (...), optional
        The mean picture of those that train.

    Returns
    -------
    array of shape (n_images,)
        NaN where a side does not vary.

    Raises
    ------
    AnalysisError
        Other shapes, or numbers that are not finite.

    Examples
    --------
    >>> from unitdb.analysis import picture_correlation
    >>> picture = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    >>> picture_correlation(picture, picture).round(2).tolist()
    [1.0]
    """
    a, b = _rows(found, "found"), _rows(seen, "seen")
    if found.shape != seen.shape:
        raise AnalysisError(f"found of shape {found.shape} and seen of {seen.shape}; both alike")
    if mean is not None:
        centre = _mean(mean, found)
        a, b = a - centre, b - centre
    x, y = patterns(a).directions, patterns(b).directions
    return np.asarray(np.einsum("ip,ip->i", x, y))


def structural_similarity(found: Values, seen: Values) -> Array:
    """SSIM of each picture with the one that was seen; 1 where both are the same.

    Of grey levels .2125 R + .7154 G + .0721 B from 0 to 1; Gaussian windows of σ 1.5 (11 pixels),
    population covariances, K₁ = .01, K₂ = .03, a range of 1; the mean over the places whose window
    lies within. It depends on the size of pictures: compare at one.

    Parameters
    ----------
    found, seen : arrays of shape (n_images, height, width, 3) or (n_images, height, width), uint8

    Returns
    -------
    array of shape (n_images,)

    Raises
    ------
    AnalysisError
        Other shapes or types, or sides of less than 11 pixels.

    References
    ----------
    Wang, Bovik, Sheikh & Simoncelli 2004, doi:10.1109/TIP.2003.819861; computed by scikit-image.

    Examples
    --------
    >>> from unitdb.analysis import structural_similarity
    >>> seen = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
    >>> structural_similarity(seen, seen)
    array([1.])
    """
    from skimage.metrics import structural_similarity as ssim

    a, b = grey_levels(found), grey_levels(seen)
    if a.shape != b.shape:
        raise AnalysisError(f"found of shape {found.shape} and seen of {seen.shape}; both alike")
    if min(a.shape[1:]) < _WINDOW:
        raise AnalysisError(
            f"pictures of {a.shape[1]} × {a.shape[2]} pixels; SSIM takes at least {_WINDOW}"
        )
    return np.array(
        [
            ssim(
                x,
                y,
                gaussian_weights=True,
                sigma=_SIGMA,
                use_sample_covariance=False,
                data_range=1.0,
            )
            for x, y in zip(a, b, strict=True)
        ],
        dtype=np.float64,
    )


def grey_levels(pictures: Values) -> Array:
    """Grey levels from 0 to 1:  .2125 R + .7154 G + .0721 B, or grey pictures as they are.

    Parameters
    ----------
    pictures : array of shape (n_images, height, width, 3) or (n_images, height, width), uint8

    Returns
    -------
    array of shape (n_images, height, width)
        float64.

    Raises
    ------
    AnalysisError
        Another shape or type.

    Examples
    --------
    >>> from unitdb.analysis import grey_levels
    >>> grey_levels(np.full((1, 2, 2, 3), 255, dtype=np.uint8)).round(3).tolist()
    [[[1.0, 1.0], [1.0, 1.0]]]
    """
    colours = pictures.ndim == 4 and pictures.shape[-1] == 3
    if pictures.dtype != np.uint8 or not (colours or pictures.ndim == 3):
        raise AnalysisError(
            f"pictures are uint8 (n, height, width, 3) or (n, height, width), not "
            f"{pictures.dtype} {pictures.shape}"
        )
    levels = pictures.astype(np.float64) / 255
    return np.asarray(levels @ np.array(_LUMINANCE) if colours else levels)


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureIdentification:
    """Whether each reconstruction is more like the picture that was seen than like others.

    Parameters
    ----------
    pairwise : Identification
        Among all candidates; chance .5.
    within : Identification or None
        Among candidates of the picture's own category; None without categories.
    between : Identification or None
        Among those of other categories.
    from_category : float or None
        Pairwise rate of what knows the category alone: ½ · 1/k + (1 − 1/k) q with 1/k the mean
        share of the own category among the rivals of a picture, and q the rate of ``between``.
        Identification that is no higher is classification. None where a candidate has no
        category: the rate is among all of them.
    top1 : array of shape (n_images,)
        1 where no candidate is more alike than the true one, 1 / (t + 1) with t others as alike.
        Chance is 1 / n_candidates.
    """

    pairwise: Identification
    within: Identification | None
    between: Identification | None
    from_category: float | None
    top1: Array


def identify_pictures(
    found: Values,
    candidates: Values,
    *,
    targets: NDArray[np.integer] | None = None,
    mean: Values | None = None,
    sd: Values | None = None,
    categories: NDArray[np.integer] | None = None,
    n_bootstrap: int = 1000,
    seed: int = 0,
) -> PictureIdentification:
    """Identify reconstructions among candidates by Pearson r, of pixels or of a network's features.

    The network is a judge: another than the one that was inverted, which its pictures are made to
    please.

    Parameters
    ----------
    found : array of shape (n_images, ...)
        Pixels of reconstructions, or activations of the judge to them.
    candidates : array of shape (n_candidates, ...)
        The same of the pictures to choose from: those seen, and, for the top-1 rate among test
        and training pictures, those that trained.
    targets : array of shape (n_images,), optional
        Row of the picture seen; 0, 1, 2, … by default.
    mean, sd : arrays of shape (...), optional
        Taken from both, and dividing both, first: of pictures that train. Features of a unit that
        did not vary over these (sd of 0) are left out.
    categories : array of int of shape (n_candidates,), optional
        Below 0 where none is known.
    n_bootstrap, seed
        As of :func:`pairwise_identification`.

    Returns
    -------
    PictureIdentification
        Pairwise rates among all, by category, and top-1.

    Raises
    ------
    AnalysisError
        Other shapes, numbers that are not finite, or fewer than two candidates.

    References
    ----------
    Shirakawa et al. 2025, doi:10.1016/j.neunet.2025.107515 (what knows the category alone).

    Examples
    --------
    >>> from unitdb.analysis import identify_pictures
    >>> seen = np.random.default_rng(0).normal(size=(4, 50))
    >>> identify_pictures(seen + 1, seen).top1
    array([1., 1., 1., 1.])
    """
    a, b = _rows(found, "found"), _rows(candidates, "candidates")
    if found.shape[1:] != candidates.shape[1:]:
        raise AnalysisError(
            f"found of shape {found.shape} and candidates of {candidates.shape}; of one shape each"
        )
    centre = None if mean is None else _mean(mean, found)
    scale = None if sd is None else _mean(sd, found)
    if scale is not None:
        varies = scale > 0
        a, b, scale = a[:, varies], b[:, varies], scale[varies]
        centre = None if centre is None else centre[varies]
    s = similarity(patterns(a, mean=centre, sd=scale), patterns(b, mean=centre, sd=scale))
    own = np.arange(len(a)) if targets is None else np.asarray(targets, dtype=np.intp)

    def pairwise(allowed: NDArray[np.bool_]) -> Identification:
        kept = np.where(allowed, s, np.nan)
        return pairwise_identification(kept, targets=own, n_bootstrap=n_bootstrap, seed=seed)

    everything = pairwise(np.ones(s.shape, dtype=bool))
    n_false, n_below, n_equal = match(s, candidates=own, targets=np.arange(len(a))).all
    top1 = top_rate(n_below, n_equal, n_false, 1)
    if categories is None:
        return PictureIdentification(
            pairwise=everything, within=None, between=None, from_category=None, top1=top1
        )
    of = np.asarray(categories)
    if of.shape != (len(b),):
        raise AnalysisError(f"categories of shape {of.shape}; one for each of {len(b)} candidates")
    known = (of[own] >= 0)[:, None] & (of >= 0)
    same = known & (of[own][:, None] == of)
    within, between = pairwise(same), pairwise(_with_own(known & ~same, own))
    share = float(((same.sum(axis=1) - 1) / (len(b) - 1)).mean()) if (of >= 0).all() else 0.0
    return PictureIdentification(
        pairwise=everything,
        within=within,
        between=between,
        from_category=category_chance(1 / share, between.mean.value) if share > 0 else None,
        top1=top1,
    )


def project(features: Values, training: Values) -> Array:
    """Nearest point of the affine span of training features: what no linear decoder can exceed.

    m + (φ − m) Dᵀ (D Dᵀ)⁺ D, m the mean of the training features, D what they differ from it by.
    Predictions of regularised regression without a choice of voxels for each unit lie in it, so
    that pictures from projected true features are their ceiling.

    Parameters
    ----------
    features : array of shape (n_images, n_units)
        True ones.
    training : array of shape (n_training, n_units)

    Returns
    -------
    array of shape (n_images, n_units)

    Raises
    ------
    AnalysisError
        Other shapes, or numbers that are not finite.

    References
    ----------
    Otsuka et al. 2025, arXiv:2509.15832.

    Examples
    --------
    >>> from unitdb.analysis import project
    >>> project(np.array([[1.0, 5]]), np.array([[0.0, 2], [4, 2]])).round(2)
    array([[1., 2.]])
    """
    x, t = _rows(features, "features"), _rows(training, "training")
    if features.ndim != 2 or training.ndim != 2 or x.shape[1] != t.shape[1]:
        raise AnalysisError(
            f"features of shape {features.shape} and training of {training.shape}; of as many units"
        )
    mean = t.mean(axis=0)
    deviations, rest = t - mean, x - mean
    inverse = _inverse(
        deviations @ deviations.T, least=np.finfo(np.float64).eps * float(np.linalg.norm(t))
    )
    found = np.zeros_like(rest)
    # Products of rows square the sizes and lose half of the digits; what is left of them is
    # projected once more.
    for _ in range(2):
        step = (rest @ deviations.T) @ inverse @ deviations
        found, rest = found + step, rest - step
    return np.asarray(mean + found)


def _inverse(gram: Array, *, least: float) -> Array:
    """Pseudo-inverse of the products of few long rows with each other.

    What is below 2⁻²⁰ of the largest singular value of the rows counts as rounding of activations,
    which are of single precision; what is below ``least``, as that of doubles.
    """
    squares, vectors = np.linalg.eigh(gram)
    kept = squares > max(_ROUNDING * squares[-1], least**2)
    return np.asarray((vectors[:, kept] / squares[kept]) @ vectors[:, kept].T)


def nearest(found: Values, training: Values) -> NDArray[np.intp]:
    """Row of the training picture that is most like each (Pearson r): the first of equal ones.

    A reconstruction that is no better than this picture need not be more than a memory of it.

    Parameters
    ----------
    found : array of shape (n_images, ...)
    training : array of shape (n_training, ...)

    Returns
    -------
    array of shape (n_images,)
        −1 where nothing varies.

    Raises
    ------
    AnalysisError
        Other shapes, or numbers that are not finite.

    Examples
    --------
    >>> from unitdb.analysis import nearest
    >>> nearest(np.array([[1.0, 2, 3]]), np.array([[3.0, 2, 1], [2, 4, 6]]))
    array([1])
    """
    a, b = _rows(found, "found"), _rows(training, "training")
    if found.shape[1:] != training.shape[1:]:
        raise AnalysisError(f"found of shape {found.shape} and training of {training.shape}")
    s = similarity(patterns(a), patterns(b))
    unknown = np.isnan(s)
    best = np.where(unknown, -np.inf, s).argmax(axis=1)
    return np.where(unknown.all(axis=1), -1, best)


def _with_own(allowed: NDArray[np.bool_], own: NDArray[np.intp]) -> NDArray[np.bool_]:
    allowed = allowed.copy()
    allowed[np.arange(len(own)), own] = True
    return allowed


def _rows(values: Values, name: str) -> Array:
    """Pictures or features as rows of float64."""
    if values.ndim < 2 or not values.shape[0]:
        raise AnalysisError(f"{name} of shape {values.shape}; (n_images, …) with an image at least")
    rows = values.reshape(len(values), -1).astype(np.float64)
    if not np.isfinite(rows).all():
        image = int((~np.isfinite(rows)).any(axis=1).argmax())
        raise AnalysisError(f"{name}: image {image} has values that are not finite")
    return rows


def _mean(values: Values, like: Values) -> Array:
    if values.shape != like.shape[1:]:
        raise AnalysisError(
            f"a mean or SD of shape {values.shape}; one picture is {like.shape[1:]}"
        )
    return np.asarray(values, dtype=np.float64).ravel()
