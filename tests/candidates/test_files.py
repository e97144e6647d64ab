"""Candidates of files of features: all formats, and the file of generic object decoding."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from tests.activations.test_features import IDS, SHAPES, spec as features_of, values, write
from tests.candidates.conftest import DATASET, LAYERS, OTHERS, TESTED, TRAINING, write_god
from unitdb.activations import LayerInfo, UnitSelection, load_features, select_units
from unitdb.candidates import CandidatesSpec, make_candidates
from unitdb.errors import ActivationsError, CandidatesError, DatasetError, StimulusMismatchError


def spec(**keys):
    return TypeAdapter(CandidatesSpec).validate_python(keys)


def of_files(kind, **keys):
    given = {
        "kind": "features",
        "features": {"folders": ["f"], "format": kind},
        "layers": {"c1": "conv1", "f8": "fc8"},
        "axes": "CHW",
    }
    return spec(**given | keys)


@pytest.mark.parametrize("kind", ["bdpy", "matlab 5", "npy", "stacked", "zarr"])
def test_every_format_gives_the_same_set(places, kind):
    given = of_files(write(places.data / "f", kind))
    found = make_candidates("files", given, places=places)
    assert (found.ids, found.layers, found.model) == (tuple(IDS), ("c1", "f8"), None)
    for layer, name in zip(found.layers, SHAPES, strict=True):
        assert np.array_equal(found.features(layer), values(name).reshape(len(IDS), -1))
        assert np.array_equal(found.units(layer), np.arange(values(name)[0].size))


def test_units_are_those_of_a_network_of_that_layer(places):
    units = UnitSelection(sample=5, seed=3)
    found = make_candidates(
        "files", of_files(write(places.data / "f", "npy")), places=places, units=units
    )
    layer = LayerInfo(
        name="c1", depth=0, module="conv1", kind="any", shape=(2, 3, 4), axes="CHW", n_units=24
    )
    chosen = select_units(layer, units)
    assert np.array_equal(found.units("c1"), chosen)
    assert np.array_equal(found.features("c1"), values("conv1").reshape(7, 24)[:, chosen])


def test_files_of_categories_do_not_say_of_how_many_pictures(places):
    kind = write(places.data / "f", "npy")
    assert make_candidates("x", of_files(kind), places=places).n_pictures.tolist() == [1] * 7
    found = make_candidates("x", of_files(kind, hold="categories"), places=places)
    assert found.n_pictures.tolist() == [0] * 7
    with pytest.raises(ValidationError, match="the files hold means"):
        of_files(kind, hold="categories", categories={"before": "s"})


def test_categories_of_features_in_files(places):
    (places.data / "c.csv").write_text(
        "stimulus,category\n" + "\n".join(f"{one},{'ab'[k % 2]}" for k, one in enumerate(IDS))
    )
    given = of_files(write(places.data / "f", "stacked"), categories={"table": "c.csv"})
    found = make_candidates("x", given, places=places)
    assert (found.ids, found.n_pictures.tolist()) == (("a", "b"), [4, 3])
    expected = [values("fc8")[k::2].astype(np.float64).mean(0) for k in (0, 1)]
    np.testing.assert_allclose(found.features("f8"), expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", ["one less", "not finite", "another shape"])
def test_files_that_do_not_fit(places, wrong):
    kind = write(places.data / "f", "npy")
    path = places.data / "f" / "fc8" / "s3.npy"
    if wrong == "one less":
        path.unlink()
    else:
        np.save(path, np.full(5 if wrong == "not finite" else 4, np.nan))
    with pytest.raises((ActivationsError, StimulusMismatchError), match="s3"):
        make_candidates("x", of_files(kind), places=places)


@pytest.fixture
def god(places):
    return write_god(places.data / "god" / "ImageFeatures.h5")


def of_god(**keys):
    return spec(kind="god", file="god/ImageFeatures.h5", **keys)


def test_categories_of_generic_object_decoding(places, god):
    found = make_candidates("god", of_god(), places=places)
    tested = ["n01518878", "n01639765", "n02071294"]
    others = ["n01440764", "n01484850", "n01491361", "n01494475", "n12345678"]
    assert found.ids == (*tested, *others)
    assert found.layers == tuple(LAYERS[:8])
    assert found.n_pictures.tolist() == [0] * 8
    assert found.model is None
    assert found.source == "ImageFeatures.h5, FeatureType 3, 4"
    for layer in found.layers:
        assert np.array_equal(found.features(layer), god[layer][-8:].astype(np.float32))
        assert np.array_equal(found.units(layer), np.arange(7))


def test_images_and_other_layers_of_generic_object_decoding(places, god):
    units = UnitSelection(sample=3)
    given = of_god(types=[2, 1], layers={"low": "gist", "deep": "cnn8"})
    found = make_candidates("god", given, places=places, units=units)
    assert found.ids[:4] == (
        "n01518878_10042",
        "n01639765_52902",
        "n02071294_46212",
        "n01443537_22563",
    )
    assert len(found) == len(TRAINING) + len(TESTED)
    assert found.n_pictures.tolist() == [1] * 7
    order = [4, 5, 6, 0, 1, 2, 3]
    expected = god["cnn8"][order][:, found.units("deep")]
    assert found.features("deep").shape == (7, 3)
    assert np.array_equal(found.features("deep"), expected.astype(np.float32))


def test_what_the_file_of_generic_object_decoding_does_not_have(places):
    path = places.data / "god" / "ImageFeatures.h5"
    with pytest.raises(DatasetError, match="no such file"):
        make_candidates("god", of_god(), places=places)
    kinds = write_god(path)["FeatureType"]
    with pytest.raises(DatasetError, match=r"no metadata 'cnn9'.*cnn8"):
        make_candidates("god", of_god(layers={"x": "cnn9"}), places=places)
    write_god(path, FeatureType=np.minimum(kinds, 3))
    with pytest.raises(CandidatesError, match="no row has FeatureType 4"):
        make_candidates("god", of_god(), places=places)
    repeated = write_god(path)["CatID"]
    repeated[-1] = OTHERS[0]
    write_god(path, CatID=repeated)
    with pytest.raises(CandidatesError, match=r"ids must be unique; .*'n01440764'"):
        make_candidates("god", of_god(), places=places)
    values = write_god(path)["cnn3"]
    values[-2, 4] = np.nan
    write_god(path, cnn3=values)
    with pytest.raises(CandidatesError, match="layer 'cnn3': the features of 'n01494475' are not"):
        make_candidates("god", of_god(), places=places)
    assert make_candidates("god", of_god(layers={"cnn8": "cnn8"}), places=places).layers


def test_stimuli_of_a_dataset_that_are_known_by_name_alone(places):
    """Features of the network stand in files, and pictures may not be had."""
    kind = write(places.data / "f", "npy")
    network = load_features(features_of(format=kind), folder=places.data)
    (places.folder / "zoo.yaml").write_text(
        DATASET.replace("folder, folder: animals, ending: .png%s", "names, file: f/stimuli.txt")
    )
    given = spec(kind="dataset", dataset="zoo.yaml", stimuli=["s1", "s[5-6]", "s4*"])
    with pytest.raises(CandidatesError, match=r"'s\[5-6\]' fits none of 7"):
        make_candidates("zoo", given, places=places, model=network)
    given = spec(kind="dataset", dataset="zoo.yaml", stimuli=["s1", "s4*"])
    found = make_candidates("zoo", given, places=places, model=network)
    assert (found.ids, found.model) == (("s1", "s4"), "vgg")
    assert np.array_equal(found.features("f8"), values("fc8")[[1, 4]])
