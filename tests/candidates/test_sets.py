from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from tests.activations.conftest import write_model
from unitdb.activations import Stimuli, UnitSelection, extract, load_model
from unitdb.candidates import CandidateSet
from unitdb.candidates.store import (
    find_candidates,
    open_candidates,
    store_set,
    stored_sets,
)
from unitdb.errors import CandidatesError, StimulusMismatchError, UnknownLayerError
from unitdb.responses import category_means

IDS = ("a", "b", "c")


def made(**changes):
    rng = np.random.default_rng(0)
    given = {
        "name": "outside",
        "ids": IDS,
        "features": {"conv": rng.normal(size=(3, 4)), "fc": rng.normal(size=(3, 2))},
    }
    return CandidateSet.from_arrays(**{**given, **changes})


def test_what_it_says():
    found = made(labels={"a": "an apple"}, units={"conv": [1, 5, 6, 9], "fc": [0, 1]})
    assert (len(found), found.layers, found.ids) == (3, ("conv", "fc"), IDS)
    assert found.labels == ("an apple", "b", "c")
    assert found.n_pictures.tolist() == [1, 1, 1]
    assert found.units("conv").dtype == np.int32
    assert found.units("conv").tolist() == [1, 5, 6, 9]


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 7), st.integers(1, 5)),
        elements=st.floats(-9, 9, width=32),
    ),
    st.data(),
)
def test_features_are_those_given(values, data):
    n, n_units = values.shape
    units = np.cumsum(data.draw(st.lists(st.integers(1, 9), min_size=n_units, max_size=n_units)))
    found = CandidateSet.from_arrays(
        name="x", ids=[f"i{k}" for k in range(n)], features={"l": values}, units={"l": units}
    )
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    columns = data.draw(st.lists(st.integers(0, n_units - 1)))
    part = found.features("l", units[columns], start=start, stop=stop)
    assert part.dtype == np.float32
    assert np.array_equal(part, values[start:stop][:, columns])
    assert np.array_equal(found.features("l"), values)
    joined = np.concatenate([block for _, block in found.blocks("l", n_bytes=8 * n_units)])
    assert np.array_equal(joined, values)
    part[...] = 0  # a copy
    assert np.array_equal(found.features("l"), values)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ids": ("a", "b", "a")}, "1 stand more than once: 'a'"),
        ({"ids": ("e\u0301", "\u00e9", "c")}, "stand more than once"),
        ({"ids": ("a", "", "c")}, "candidate 1 has an empty id"),
        ({"ids": ("a", "b")}, r"shape \(3, 4\), expected numbers of shape \(2 candidates, units\)"),
        ({"ids": (), "features": {"fc": np.empty((0, 2))}}, "there are no candidates"),
        ({"features": {}}, "there are no layers"),
        ({"features": {"fc": np.empty((3, 0))}}, "'fc': has no units"),
        ({"features": {"fc": np.zeros(3)}}, r"shape \(3,\)"),
        ({"features": {"fc": np.array([["1"]] * 3)}}, "features are <U1"),
        ({"features": {"fc": [[0], [np.nan], [0]]}}, "'fc': the features of 'b' are not finite"),
        ({"features": {"fc": [[0], [0], [1e39]]}}, "'fc': the features of 'c' are not finite"),
        ({"labels": ["one"]}, "3 candidates have 1 labels"),
        ({"n_pictures": [1, 2]}, "3 candidates have 2 n_pictures"),
        ({"n_pictures": [1, -1, 2]}, "n_pictures holds -1"),
        ({"n_pictures": [1, 0.5, 2]}, "n_pictures must be whole numbers"),
        ({"units": {"conv": [0, 1, 2, 3]}}, "units are of layers conv, features of conv, fc"),
        ({"units": {"conv": [0, 1, 2, 3], "fc": [1, 1]}}, "'fc': units must ascend"),
        ({"units": {"conv": [0, 1, 2, 3], "fc": [-1, 1]}}, "'fc': units must ascend"),
        ({"units": {"conv": [0, 1, 2, 3], "fc": [1, 2**31]}}, "'fc': units must ascend"),
        ({"units": {"conv": [0, 1, 2, 3], "fc": [1]}}, r"'fc': units are .* expected .* \(2,\)"),
    ],
)
def test_what_is_refused(changes, words):
    with pytest.raises(CandidatesError, match=words):
        made(**changes)


def test_what_there_is_not():
    found = made()
    with pytest.raises(UnknownLayerError, match="candidate set 'outside'"):
        found.units("fd")
    with pytest.raises(CandidatesError, match="no block 1:4"):
        found.features("fc", start=1, stop=4)
    with pytest.raises(CandidatesError, match=r"layer 'fc' has no features of 2 of 3 units, 7 for"):
        found.features("fc", [1, 7, -1])


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"name": "other", "source": "there", "description": "words", "model": "net"}, True),
        ({"features": {"conv": np.zeros((3, 4)), "fc": np.zeros((3, 2))}}, False),
        ({"ids": ("a", "c", "b")}, False),
        ({"labels": {"a": "an apple"}}, False),
        ({"n_pictures": [1, 2, 1]}, False),
        ({"units": {"conv": [0, 1, 2, 4], "fc": [0, 1]}}, False),
        ({"units": {"conv": [0, 1, 2, 3], "fc": [0, 1]}}, True),
    ],
)
def test_its_hash_is_of_what_it_holds(changes, same):
    assert (made(**changes).sha256 == made().sha256) is same


def test_its_hash_is_this_one_everywhere():
    found = CandidateSet.from_arrays(name="x", ids=["a"], features={"fc": [[1.5, -2.0]]})
    assert found.sha256 == "2abe2732a0c405a0a44f9c9363386cbba95d63f4445b7398bc3d3c71020edf75"


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candidates")
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (6, 5, 5, 3), dtype=np.uint8)
    stimuli = Stimuli(
        ids=tuple(f"s{k}" for k in range(6)), sources=("made up",) * 6, read=lambda k: pictures[k]
    )
    model = load_model(write_model(folder), folder=folder, seed=0)
    return extract(model, stimuli, folder=folder, units=UnitSelection(sample=4))


def test_stimuli_and_categories_of_a_store(activations):
    found = CandidateSet.from_activations(
        name="own",
        activations=activations,
        ids=["s4", "pets", "s0"],
        categories={"pets": ["s1", "s2", "s5"], "cars": ["s3"]},
    )
    assert found.n_pictures.tolist() == [1, 3, 1]
    assert found.model == "tiny"
    for layer in activations.layers:
        stored = activations.block(layer, 0, activations.n_units(layer))
        pets = category_means(stored, [np.array([1, 2, 5])])[0]
        assert np.array_equal(found.features(layer), [stored[4], pets, stored[0]])
        assert np.array_equal(found.units(layer), activations.units(layer))
    arrays_ = {layer: found.features(layer) for layer in found.layers}
    units = {layer: found.units(layer) for layer in found.layers}
    same = CandidateSet.from_arrays(
        name="other", ids=found.ids, features=arrays_, units=units, n_pictures=[1, 3, 1]
    )
    assert same.sha256 == found.sha256


def test_a_stored_set_is_the_same_wherever_the_program_goes(tmp_path, monkeypatch):
    store_set(made(), cache=tmp_path, key="k")
    (folder,) = stored_sets(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = open_candidates(folder.relative_to(tmp_path))
    monkeypatch.chdir("/")
    for layer in found.layers:
        assert np.array_equal(found.features(layer), made().features(layer))
    assert find_candidates("outside", str(tmp_path)) == folder


def test_stimuli_that_a_store_does_not_have(activations):
    with pytest.raises(StimulusMismatchError, match="'dogs'"):
        CandidateSet.from_activations(name="own", activations=activations, ids=["s0", "dogs"])
    with pytest.raises(CandidatesError, match="'dogs' has no stimuli"):
        CandidateSet.from_activations(
            name="own", activations=activations, ids=["dogs"], categories={"dogs": []}
        )
