"""What counts as constant, beside loops in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from unitdb.resolution import (
    DOUBLE,
    SINGLE,
    is_constant,
    resolution_of,
    scaled,
    scaled_and_constant,
)

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@given(
    values=hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 6), st.integers(1, 5)),
        elements=FLOATS | st.sampled_from([0.0, 1.0, 1.0 + 2**-16, 1.0 + 2**-15, -1.0]),
    )
)
def test_it_is_the_range_in_parts_of_the_largest(values):
    for resolution in (SINGLE, DOUBLE):
        found = is_constant(values, resolution=resolution)
        for column, answer in zip(values.T, found, strict=True):
            exact = [Fraction(float(value)) for value in column]
            largest = max(map(abs, exact))
            assert answer == (max(exact) - min(exact) <= Fraction(resolution) * largest)
        np.testing.assert_array_equal(
            is_constant(values.T, axis=1, resolution=resolution),
            is_constant(values[::-1], resolution=resolution),
        )


@given(
    values=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int32]),
        st.tuples(st.integers(1, 6), st.integers(1, 5)),
        elements=st.sampled_from([0, 1, -7, 120]),
    ),
    odd=st.sampled_from([None, np.nan, np.inf, 2.0**120, 2.0**-120]),
)
def test_both_at_once_are_what_either_says(values, odd):
    if odd is not None and values.dtype in (np.float32, np.float64):
        with np.errstate(invalid="ignore"):  # nothing times infinity is not a number
            values[0] *= values.dtype.type(odd)
        values[0, 0] = odd
    with np.errstate(invalid="ignore"):
        found, exponents, constant = scaled_and_constant(values, resolution=SINGLE)
        expected = scaled(values)
        np.testing.assert_array_equal(constant, is_constant(values, resolution=SINGLE))
    np.testing.assert_array_equal(found, expected[0])
    np.testing.assert_array_equal(exponents, expected[1])
    for column, y in zip(found.T, values.T, strict=True):
        size = np.abs(y[np.isfinite(y)].astype(float)).max(initial=0)
        if np.isfinite(y.astype(float)).all() and 2.0**-20 < size < 2.0**20:
            np.testing.assert_array_equal(column, y)


@pytest.mark.parametrize("size", [1e-30, 1e-10, 1.0, 1e30])
def test_size_is_no_reason_and_neither_is_sparseness(size):
    values = np.zeros((1000, 4), np.float32)
    values[7, 0] = 1.0  # one image drives it
    values[:, 1] = np.linspace(1.0, 1.001, 1000)
    values[:, 2] = 1.0 + np.arange(1000) % 3 * 2.0**-23  # three neighbours
    values[:, 3] = -5.885 + np.arange(1000) % 40 * 1e-6
    assert is_constant(values * np.float32(size)).tolist() == [False, False, True, True]


def test_what_is_not_a_number_is_not_constant():
    assert not is_constant(np.array([[np.nan], [np.nan]])).any()


def test_precision_is_the_same_in_either_order_of_bytes():
    values = np.array([[-5.885], [-5.88]]).astype(np.float16)
    for order in "<>":
        half = values.astype(f"{order}f2")
        assert resolution_of(half.dtype) == resolution_of("float16")
        assert is_constant(half).all()
