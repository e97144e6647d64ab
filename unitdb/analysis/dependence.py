"""How alike subjects' predictions are: what their accuracies have in common by chance."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import AnalysisError
from unitdb.resolution import DOUBLE, is_constant, scaled

__all__ = ["prediction_correlations"]

Array = NDArray[np.float64]


def prediction_correlations(
    predicted: Sequence[NDArray[np.floating]], images: Sequence[NDArray[np.str_]]
) -> Array:
    """Correlation of every two subjects' predictions over images, mean over units.

    ρ_ab = mean over units of Σ_i p̂_ai p̂_bi,  i the images that both saw, p̂ the predictions of a
    unit centred and scaled to Σ p̂² = 1 over all of the subject's images.

    A unit that brains know nothing of is decoded by chance, from each subject's predictions and the
    unit's one truth: given the predictions, the accuracies of two subjects then correlate by ρ_ab
    over the permutations of images.

    Parameters
    ----------
    predicted : sequence of arrays of shape (n_images, n_units)
        Of each subject, the same units; raw. Units without a prediction that varies in both
        subjects are left out.
    images : sequence of arrays of shape (n_images,), str
        What the rows are of.

    Returns
    -------
    array of shape (n_subjects, n_subjects)
        1 on the diagonal; NaN where no unit is left. 0 for subjects who share no image.

    Raises
    ------
    AnalysisError
        Shapes that do not agree.

    Examples
    --------
    >>> from unitdb.analysis import prediction_correlations
    >>> images = np.array(["a", "b", "c"])
    >>> predicted = np.array([[1.0], [2], [3]])
    >>> prediction_correlations([predicted, 5 - predicted], [images, images]).round(2)
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    shapes = [p.shape for p in predicted]
    if [p.shape[:1] for p in predicted] != [i.shape for i in images] or len(
        {shape[1:] for shape in shapes}
    ) > 1:
        raise AnalysisError(
            f"predictions of shapes {', '.join(map(str, shapes))} of images of shapes "
            f"{', '.join(str(i.shape) for i in images)}; they should be (n_images, n_units) and "
            "(n_images,)"
        )
    scaled = [_scaled(p) for p in predicted]
    found = np.eye(len(predicted))
    for a, b in combinations(range(len(predicted)), 2):
        _, rows, others = np.intersect1d(images[a], images[b], return_indices=True)
        of_units = np.einsum("iu,iu->u", scaled[a][rows], scaled[b][others])
        known = of_units[~np.isnan(scaled[a][:1] + scaled[b][:1]).any(axis=0)]
        found[a, b] = found[b, a] = known.mean() if len(known) else np.nan
    return found


def _scaled(predicted: NDArray[np.floating]) -> Array:
    """Predictions of each unit, centred and of length 1; NaN where they do not vary."""
    values = scaled(np.asarray(predicted, dtype=np.float64))[0]
    constant = is_constant(values, resolution=DOUBLE)
    values = values - values.mean(axis=0)
    length = np.sqrt(np.einsum("iu,iu->u", values, values))
    return np.asarray(values / np.where(constant | (length == 0), np.nan, length))
