"""Single presentations: predicted as if each were a test image of its own."""

import numpy as np
import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from unitdb.decoding import DecoderSettings, RoiDecoder
from unitdb.errors import ResponsesError
from unitdb.responses.design import image_folds


@given(
    seed=st.integers(0, 99),
    kept=st.none() | st.integers(1, 6),
    n_repeats=st.integers(1, 4),
    n_folds=st.none() | st.integers(2, 4),
    precision=st.sampled_from(["single", "double"]),
)
@hypothesis_settings(max_examples=10)
def test_equals_a_decoder_that_is_tested_on_presentations(
    seed, kept, n_repeats, n_folds, precision
):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(2, 3, (20, 8)), rng.normal(5, 2, (20, 300))  # more than one tile
    x[:, 1], y[:, 3] = 1.0, 2.0
    splits = [(np.arange(13), np.arange(13, 20))] if n_folds is None else []
    splits = splits or list(image_folds(20, n_folds, seed=seed))
    test_rows = np.concatenate([test for _, test in splits])
    repeats = x[test_rows] + rng.normal(size=(n_repeats, len(test_rows), 8))
    settings = DecoderSettings(n_voxels=kept, alpha=2.0, precision=precision)
    decoder = RoiDecoder(x, splits, settings, repeats=repeats)
    seen = []

    def of_repeats(_, predicted, true):
        seen.append(true.shape)
        return np.concatenate([predicted.reshape(-1, true.shape[1]), true])

    keep = np.array([0, 3, 280])
    found = decoder.decode(y, keep=keep, of_repeats=of_repeats, n_jobs=2)
    alone = RoiDecoder(x, splits, settings)
    tolerance = 1e-4 if precision == "single" else 1e-9
    np.testing.assert_allclose(found.r[0], alone.accuracy(y), atol=tolerance)
    np.testing.assert_allclose(found.predicted, alone.predict(y)[:, keep], atol=tolerance)
    np.testing.assert_allclose(decoder.predict(y), alone.predict(y), atol=tolerance)
    assert sum(n for _, n in seen) == 300
    *single, true = np.split(found.of_repeats[0], 1 + n_repeats)
    varies = np.arange(300) != 3
    assert np.isnan(found.of_repeats[0][:, 3]).all()
    np.testing.assert_array_equal(true[:, varies], y[test_rows][:, varies])
    for presentation, predicted in zip(repeats, single, strict=True):
        shown = np.concatenate([x, presentation])
        place = {row: 20 + at for at, row in enumerate(test_rows)}
        moved = [(train, np.array([place[row] for row in test])) for train, test in splits]
        expected = RoiDecoder(shown, moved, settings).predict(np.concatenate([y, y[test_rows]]))
        np.testing.assert_allclose(predicted[:, varies], expected[:, varies], atol=tolerance)
    # Prediction is affine: that of the average is the average of predictions.
    averaged = RoiDecoder(x, splits, settings, repeats=x[test_rows][None])
    again = averaged.decode(y, keep=keep, of_repeats=lambda _, p, __: p[0])
    np.testing.assert_allclose(
        again.of_repeats[0][:, keep[[0, 2]]], found.predicted[:, [0, 2]], atol=tolerance
    )


def test_repeats_of_another_shape_are_refused():
    x, splits = np.random.default_rng(0).normal(size=(9, 4)), [(np.arange(6), np.arange(6, 9))]
    with pytest.raises(ResponsesError, match=r"\(2, 3, 5\); .* 3 held-out rows, 4 voxels"):
        RoiDecoder(x, splits, DecoderSettings(), repeats=np.zeros((2, 3, 5)))
