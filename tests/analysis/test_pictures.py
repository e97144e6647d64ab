"""Scores of pictures against plain loops, and what floors and ceilings are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from unitdb.analysis import (
    grey_levels,
    identify_pictures,
    nearest,
    picture_correlation,
    project,
    structural_similarity,
)
from unitdb.errors import AnalysisError


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pictures(rng: np.random.Generator, n: int, side: int = 16) -> np.ndarray:
    return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def r(a, b) -> float:
    """Pearson, by sums."""
    a, b = np.ravel(a).tolist(), np.ravel(b).tolist()
    x, y = math.fsum(a) / len(a), math.fsum(b) / len(b)
    top = math.fsum((i - x) * (j - y) for i, j in zip(a, b, strict=True))
    return top / math.sqrt(math.fsum((i - x) ** 2 for i in a) * math.fsum((j - y) ** 2 for j in b))


def ssim_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    """As Wang et al. define it, window by window; a, b (height, width), 0–1."""
    at = np.arange(-5, 6)
    window = np.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            x, y = (p[top : top + 11, left : left + 11] for p in (a, b))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            first = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
            values.append(first * (2 * cov + 0.03**2) / (vx + vy + 0.03**2))
    return float(np.mean(values))


def test_correlations_are_those_of_sums(rng):
    found, seen = pictures(rng, 3), pictures(rng, 3)
    mean = pictures(rng, 5).mean(axis=0)
    np.testing.assert_allclose(
        picture_correlation(found, seen), [r(*two) for two in zip(found, seen, strict=True)]
    )
    np.testing.assert_allclose(
        picture_correlation(found, seen, mean=mean),
        [r(a - mean, b - mean) for a, b in zip(found, seen, strict=True)],
    )
    flat = np.full_like(found, 7)
    assert np.isnan(picture_correlation(flat, seen)).all()


def test_the_mean_picture_is_worth_nothing_once_centred(rng):
    common = rng.uniform(0, 255, (8, 8, 3))
    seen = common + rng.normal(0, 20, (6, 8, 8, 3))
    floor = np.broadcast_to(common, seen.shape)
    assert picture_correlation(floor, seen).min() > 0.9
    assert np.isnan(picture_correlation(floor, seen, mean=common)).all()


def test_ssim_is_that_of_its_definition(rng):
    found, seen = pictures(rng, 2), pictures(rng, 2)
    seen[1] = np.clip(found[1].astype(int) + rng.integers(-20, 20, found[1].shape), 0, 255)
    grey = [p.astype(float) @ [0.2125, 0.7154, 0.0721] / 255 for p in (found, seen)]
    np.testing.assert_allclose(grey_levels(found), grey[0])
    expected = [ssim_by_loops(*two) for two in zip(*grey, strict=True)]
    np.testing.assert_allclose(structural_similarity(found, seen), expected, rtol=1e-6)
    np.testing.assert_allclose(structural_similarity(seen, seen), 1)
    np.testing.assert_allclose(
        structural_similarity(found[..., 0], seen[..., 0]),
        [ssim_by_loops(a / 255, b / 255) for a, b in zip(found[..., 0], seen[..., 0], strict=True)],
        rtol=1e-6,
    )


@pytest.mark.robust(
    "numbers",
    given="reconstructions among candidates of which one has no category",
    before="`identify_pictures(...).from_category` was of the others, beside a rate among all",
    now="None where any candidate is of no category",
)
@pytest.mark.parametrize("unknown", [1, -1])
@pytest.mark.parametrize("standardised", [False, True])
def test_identification_is_counting(rng, standardised, unknown):
    candidates = rng.normal(size=(9, 30))
    own = np.array([4, 0, 7, 2])
    found = candidates[own] + rng.normal(0, 2, (4, 30))
    categories = np.array([0, 0, 1, 1, 0, 1, unknown, 1, 0])
    mean = rng.normal(size=30) if standardised else None
    sd = rng.uniform(0.5, 2, 30) if standardised else None
    if sd is not None:
        sd[3] = 0  # a unit that training pictures say nothing of
    scored = identify_pictures(
        found, candidates, targets=own, mean=mean, sd=sd, categories=categories
    )
    a, b = found, candidates
    if mean is not None and sd is not None:
        a, b = ((np.delete((x - mean), 3, 1) / np.delete(sd, 3)) for x in (a, b))
    rates = {"pairwise": [], "within": [], "between": []}
    top1, shares = [], []
    for row, column in enumerate(own):
        s = [r(a[row], candidate) for candidate in b]
        others = [k for k in range(9) if k != column]
        same = [k for k in others if categories[k] == categories[column]]
        apart = [k for k in others if categories[k] >= 0 and k not in same]
        for name, rivals in (("pairwise", others), ("within", same), ("between", apart)):
            rates[name].append(np.mean([s[column] > s[k] for k in rivals]))
        top1.append(float(s[column] == max(s)))
        shares.append(len(same) / (len(same) + len(apart)))
    for name, expected in rates.items():
        np.testing.assert_allclose(getattr(scored, name).rates, expected)
        assert getattr(scored, name).mean.value == pytest.approx(np.mean(expected))
    np.testing.assert_allclose(scored.top1, top1)
    share = np.mean(shares)
    expected = 0.5 * share + (1 - share) * np.mean(rates["between"])
    assert scored.from_category == (None if unknown < 0 else pytest.approx(expected))


def test_what_knows_the_category_alone_is_at_chance_within(rng):
    """Reconstructions that are the mean of their category: well identified, and only so."""
    prototypes = rng.normal(size=(2, 200))
    categories = np.repeat([0, 1], 15)
    candidates = prototypes[categories] + rng.normal(size=(30, 200))
    training = prototypes[categories] + rng.normal(size=(30, 200))
    means = np.stack([training[categories == k].mean(axis=0) for k in (0, 1)])
    scored = identify_pictures(means[categories], candidates, categories=categories)
    assert scored.within is not None
    assert scored.pairwise.mean.value > 0.7
    assert scored.within.mean.value == pytest.approx(0.5)  # each place in the order once
    assert scored.from_category == pytest.approx(scored.pairwise.mean.value, abs=1e-9)
    assert identify_pictures(means[categories], candidates).within is None


def test_equal_candidates_share_the_first_place(rng):
    candidates = rng.normal(size=(4, 20))
    candidates[3] = candidates[1]
    scored = identify_pictures(candidates[:3], candidates)
    np.testing.assert_allclose(scored.top1, [1, 0.5, 1])
    np.testing.assert_allclose(scored.pairwise.rates, [1, 5 / 6, 1])


def test_projection_is_least_squares(rng):
    training, true = rng.normal(size=(6, 40)) + 3, rng.normal(size=(2, 40))
    found = project(true, training)
    mean = training.mean(axis=0)
    basis = (training - mean).T
    weights, *_ = np.linalg.lstsq(basis, (true - mean).T, rcond=None)
    np.testing.assert_allclose(found, mean + (basis @ weights).T)
    np.testing.assert_allclose(project(training, training), training)
    np.testing.assert_allclose(project(found, training), found)
    same = np.repeat(training[:1], 3, axis=0)
    np.testing.assert_allclose(project(true, same), np.repeat(training[:1], 2, axis=0))
    # Whatever is affine in the training features stays: predictions of ridge are such.
    kernel = rng.normal(size=(2, 6))
    predicted = mean + (kernel - kernel.mean(axis=1, keepdims=True)) @ training
    np.testing.assert_allclose(project(predicted, training), predicted)


def test_nearest_training_picture(rng):
    training = pictures(rng, 7)
    found = np.clip(training[[5, 1]].astype(int) + rng.integers(-9, 9, (2, 16, 16, 3)), 0, 255)
    assert nearest(found.astype(np.uint8), training).tolist() == [5, 1]
    assert nearest(np.zeros((1, 16, 16, 3)), training).tolist() == [-1]


def test_what_is_refused(rng):
    two, three = pictures(rng, 2), pictures(rng, 3)
    broken = rng.normal(size=(3, 5))
    broken[1, 2] = np.nan
    for wrong, message in (
        (lambda: picture_correlation(two, three), "both alike"),
        (lambda: picture_correlation(two, two, mean=np.zeros(3)), r"shape \(3,\)"),
        (lambda: structural_similarity(two, three), "both alike"),
        (lambda: structural_similarity(two / 255, two / 255), "uint8"),
        (lambda: structural_similarity(two[:, :8], two[:, :8]), "at least 11"),
        (lambda: identify_pictures(two, three[:, :8]), "of one shape each"),
        (lambda: identify_pictures(broken, broken), "found: image 1 has values that are not"),
        (lambda: identify_pictures(two, three, categories=np.zeros(2)), "one for each of 3"),
        (lambda: project(np.zeros((2, 3)), np.zeros((2, 4))), "of as many units"),
        (lambda: nearest(two, three[:, :8]), r"and training of \(3, 8"),
        (lambda: picture_correlation(two[:0], two[:0]), "an image at least"),
    ):
        with pytest.raises(AnalysisError, match=message):
            wrong()
