from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from unitdb.activations import LayerInfo, UnitSelection, select_units


def layer(n_units: int, name: str = "conv1", depth: int = 0, module: str = "m") -> LayerInfo:
    return LayerInfo(
        name=name,
        depth=depth,
        module=module,
        kind="K",
        shape=(n_units,),
        axes="N",
        n_units=n_units,
    )


@given(st.integers(1, 500), st.integers(1, 600), st.integers(1, 600), st.integers(0, 2**70))
def test_a_sample_is_ascending_unique_and_nested(n_units, size, other, seed):
    small, large = (
        select_units(layer(n_units), UnitSelection(sample=sample, seed=seed))
        for sample in sorted((size, other))
    )
    assert len(small) == min(n_units, size, other)
    assert small.dtype == np.int32
    assert (np.diff(small) > 0).all()
    assert small[0] >= 0
    assert small[-1] < n_units
    assert set(small) <= set(large)


def test_the_sample_never_changes():
    # Published numbers refer to these units: a change here is a change of every sampled release.
    chosen = select_units(layer(1000), UnitSelection(sample=8))
    assert chosen.tolist() == [343, 353, 416, 525, 536, 565, 613, 718]


def test_it_depends_on_name_size_and_seed_only():
    selection = UnitSelection(sample=50, seed=1)
    reference = select_units(layer(1000), selection).tolist()
    assert select_units(layer(1000, depth=3, module="x"), selection).tolist() == reference
    assert select_units(layer(1000, name="conv2"), selection).tolist() != reference
    assert select_units(layer(1001), selection).tolist() != reference
    assert select_units(layer(1000), UnitSelection(sample=50, seed=2)).tolist() != reference


def test_units_are_chosen_evenly():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[select_units(layer(20), UnitSelection(sample=5, seed=seed))] += 1
    # Binomial(2000, 1/4): mean 500, SD 19.
    assert np.abs(counts - 500).max() < 5 * 19


def test_none_is_all():
    assert select_units(layer(7), UnitSelection(sample=None)).tolist() == list(range(7))


@pytest.mark.parametrize("content", [{"sample": 0}, {"sample": 5, "seed": -1}, {}])
def test_bad_selection(content):
    with pytest.raises(ValidationError):
        UnitSelection(**content)
