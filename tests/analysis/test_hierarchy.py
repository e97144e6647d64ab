"""BH score: the published computation to the last digit, the corrected one as a loop has it."""

import warnings

import numpy as np
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from tests.analysis.bhscore_reference import published, published_tops
from unitdb.analysis import bh_score

SOME = st.sampled_from([np.nan, -1.0, 0.0, 0.25, 0.5, 0.96875, 1.0])
R = st.integers(-64, 64).map(lambda x: x / 64) | SOME
FEW_ROIS = st.shared(st.integers(1, 5), key="rois")


def layers(n_layers):
    one = FEW_ROIS.flatmap(
        lambda n_rois: hnp.arrays(
            st.sampled_from([np.float32, np.float64]),
            st.tuples(st.just(n_rois), st.integers(0, 12)),
            elements=R,
        )
    )
    return st.lists(one, min_size=n_layers[0], max_size=n_layers[1])


def quietly(function, *args, **options):
    """The references warn of constant input, and so does numpy of r = 1 + rounding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


@given(accuracies=layers((5, 9)), seed=st.integers(0, 2**32 - 1), n_stimuli=st.integers(3, 90))
def test_nonaka2021_is_the_published_computation(accuracies, seed, n_stimuli):
    options = {"n_stimuli": n_stimuli, "n_repeats": 4, "seed": seed}
    expected = quietly(published, accuracies, **options)
    before = [r.copy() for r in accuracies]
    found = bh_score(accuracies, method="nonaka2021", **options)
    np.testing.assert_allclose(found.repeats, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.score, np.mean(expected), rtol=0, atol=1e-13)
    for r, kept, row in zip(accuracies, before, found.counts, strict=True):
        np.testing.assert_array_equal(r, kept)
        tops = published_tops(r, n_stimuli) if r.size else np.empty(0, dtype=int)
        np.testing.assert_array_equal(row, np.bincount(tops, minlength=len(r)))
