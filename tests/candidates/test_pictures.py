"""Candidates of a folder of pictures and of a dataset, through a network."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from tests.activations.conftest import write_model
from tests.candidates.conftest import DATASET, PICTURES
from unitdb.activations import Stimuli, UnitSelection, extract
from unitdb.candidates import CandidatesSpec, make_candidates, make_file
from unitdb.errors import CandidatesError, DatasetError, UnknownDatasetError

SOME = UnitSelection(sample=4, seed=1)


def spec(**keys):
    given = {"kind": "pictures", "folder": "animals", "ending": ".png"} | keys
    return TypeAdapter(CandidatesSpec).validate_python(given)


def extracted(network, places, folder):
    """Activations of the pictures, by hand."""
    paths = [places.data / "animals" / f"{name}.png" for name in PICTURES]
    stimuli = Stimuli(
        ids=tuple(PICTURES),
        sources=tuple(PICTURES),
        read=lambda index: np.asarray(Image.open(paths[index])),
    )
    return extract(network, stimuli, folder=folder, units=SOME)


def slow_mean(rows):
    """Mean of some rows, summed one after the other in double precision."""
    total = np.zeros(rows.shape[1])
    for row in rows:
        total = total + row.astype(np.float64)
    return (total / len(rows)).astype(np.float32)


def test_pictures_are_candidates(network, places, tmp_path):
    found = make_candidates("animals", spec(), places=places, model=network, units=SOME)
    assert found.ids == tuple(sorted(PICTURES))
    assert found.labels == found.ids
    assert found.n_pictures.tolist() == [1] * len(PICTURES)
    assert (found.model, found.layers) == ("tiny", ("conv1", "conv2", "fc"))
    assert found.source == "folder animals, 6 pictures *.png"
    store = extracted(network, places, tmp_path / "by hand")
    rows = store.rows(found.ids)
    for layer in found.layers:
        assert np.array_equal(found.units(layer), store.units(layer))
        assert np.array_equal(found.features(layer), store.mapped(layer)[rows])


@pytest.mark.parametrize("way", ["folder", "name", "table"])
def test_categories_are_means_over_their_pictures(network, places, tmp_path, way):
    if way == "folder":
        rule, category_of = {"before": "/"}, PICTURES
    elif way == "name":
        rule, category_of = {"before": "0"}, {one: one[: one.rindex("0")] for one in PICTURES}
    else:
        rule = {"table": "categories.csv"}
        category_of = {one: "A" if one.endswith("1") else "B" for one in PICTURES}
        lines = [f"{one},{category}" for one, category in category_of.items()]
        text = "\n".join(["stimulus,category", *lines, "another,C"])
        (places.data / "categories.csv").write_text(text)
    found = make_candidates(
        "animals", spec(categories=rule), places=places, model=network, units=SOME
    )
    assert found.ids == tuple(sorted(set(category_of.values())))
    store = extracted(network, places, tmp_path / "by hand")
    for row, category in enumerate(found.ids):
        pictures = sorted(one for one in PICTURES if category_of[one] == category)
        assert found.n_pictures[row] == len(pictures)
        for layer in found.layers:
            expected = slow_mean(store.mapped(layer)[store.rows(pictures)])
            assert np.array_equal(found.features(layer)[row], expected)


def test_a_picture_without_category(network, places):
    shutil.copy(places.data / "animals" / "cats" / "01.png", places.data / "animals" / "own.png")
    with pytest.raises(CandidatesError, match=r"1 of 7 pictures have no category .*: 'own'"):
        make_candidates("animals", spec(categories={"before": "/"}), places=places, model=network)


def test_labels(network, places):
    given = spec(categories={"before": "/"}, labels="words.csv")
    (places.data / "words.csv").write_text("candidate,label\ndogs,a dog\nfish,a fish\n")
    found = make_candidates("animals", given, places=places, model=network)
    assert dict(zip(found.ids, found.labels, strict=True)) == {
        "cats": "cats",
        "cats/black": "cats/black",
        "dogs": "a dog",
    }
    (places.data / "words.csv").write_text("candidate,label\nDogs,a dog\n")
    with pytest.raises(CandidatesError, match=r"words.csv: names none of the 3 candidates"):
        make_candidates("animals", given, places=places, model=network)


def test_pictures_need_a_network(places):
    with pytest.raises(CandidatesError, match="pictures go through a network"):
        make_candidates("animals", spec(), places=places)


def test_no_pictures(network, places):
    with pytest.raises(DatasetError, match=r"there are no files \*.gif"):
        make_candidates("animals", spec(ending=".gif"), places=places, model=network)


@pytest.mark.robust(
    "hostile",
    given="A set of candidates names a folder, file, table or layer outside the data folder",
    before="there were no such sets",
    now="one line that names the key; nothing is read",
)
@pytest.mark.parametrize(
    "keys",
    [
        {"folder": "../animals"},
        {"folder": "/animals"},
        {"categories": {"table": "../../etc/passwd"}},
        {"labels": "C:/words.csv"},
        {"kind": "god", "file": "../ImageFeatures.h5"},
    ],
)
def test_no_path_leaves_the_data_folder(keys):
    given = {"kind": "pictures", "folder": "animals"} | keys
    if given["kind"] == "god":
        del given["folder"]
    with pytest.raises(ValidationError, match="relative path that stays inside"):
        TypeAdapter(CandidatesSpec).validate_python(given)


def test_the_targets_of_a_test_set_are_made_by_a_build(network, places):
    own = TypeAdapter(CandidatesSpec).validate_python({"kind": "own"})
    with pytest.raises(CandidatesError, match="made of it when a recipe is built"):
        make_candidates("own", own, places=places, model=network)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("nothing", True),
        ("folder of the data", True),
        ("a file of another kind", True),
        ("pixels", False),
        ("a name", False),
        ("one picture less", False),
        ("a category", False),
        ("units", False),
        ("layers", False),
        ("a label", False),
    ],
)
def test_the_hash_changes_with_what_the_set_holds(network, places, tmp_path, change, same):
    def made(units=SOME, model=network):
        given = spec(categories={"before": "/"}, labels="words.csv")
        return make_candidates("animals", given, places=places, model=model, units=units)

    (places.data / "words.csv").write_text("candidate,label\ndogs,a dog\n")
    before, path = made(), places.data / "animals" / "dogs" / "02.png"
    model, units = network, SOME
    if change == "folder of the data":
        places.data.rename(tmp_path / "moved")
        places = replace(places, data=tmp_path / "moved", cache=tmp_path / "another cache")
    elif change == "a file of another kind":
        path.with_suffix(".txt").write_text("notes")
    elif change == "pixels":
        pixels = np.array(Image.open(path))
        pixels[0, 0] ^= 255
        Image.fromarray(pixels).save(path)
    elif change == "a name":
        path.parent.rename(path.parent.with_name("wolves"))
        (places.data / "words.csv").write_text("candidate,label\nwolves,a dog\n")
    elif change == "one picture less":
        path.unlink()
    elif change == "a category":
        path.rename(path.parents[1] / "cats" / "03.png")
    elif change == "units":
        units = UnitSelection(sample=4, seed=2)
    elif change == "layers":
        model = replace(network, layers=network.layers[:2])
    elif change == "a label":
        (places.data / "words.csv").write_text("candidate,label\ndogs,the dog\n")
    assert (made(units, model).sha256 == before.sha256) is same


@pytest.mark.parametrize("way", ["a path", "a name"])
def test_the_stimuli_of_a_dataset(network, places, tmp_path, way):
    (tmp_path / "sets" / "zoo").mkdir(parents=True)
    place = tmp_path / "sets" / "zoo" / "dataset.yaml"
    place.write_text(DATASET % ", categories: {before: /}")
    places = replace(places, datasets=[tmp_path / "sets"])
    name = "sets/zoo/dataset.yaml" if way == "a path" else "zoo"

    def made(**keys):
        given = spec(**keys)
        return make_candidates("zoo", given, places=places, model=network, units=SOME)

    def spec(**keys):
        given = {"kind": "dataset", "dataset": name} | keys
        return TypeAdapter(CandidatesSpec).validate_python(given)

    found = made()
    assert (found.ids, found.source) == (tuple(sorted(PICTURES)), "dataset zoo")
    some = made(stimuli=["dogs/*", "cats/01"])
    assert some.ids == ("cats/01", "dogs/01", "dogs/02", "dogs/03")
    rows = [found.ids.index(one) for one in some.ids]
    assert np.array_equal(some.features("fc"), found.features("fc")[rows])
    grouped = made(categories=True, stimuli=["dogs/*", "cats/01"])
    assert grouped.ids == ("cats", "dogs")
    assert grouped.n_pictures.tolist() == [1, 3]
    assert np.array_equal(grouped.features("fc")[1], slow_mean(some.features("fc")[1:]))
    with pytest.raises(CandidatesError, match=r"'dgs/\*' fits none of 6"):
        made(stimuli=["dgs/*"])
    place.write_text(DATASET % "")
    with pytest.raises(CandidatesError, match="stimuli of zoo have no categories"):
        made(categories=True)


def test_a_dataset_that_is_not_there(network, places):
    given = TypeAdapter(CandidatesSpec).validate_python({"kind": "dataset", "dataset": "zooo"})
    with pytest.raises(UnknownDatasetError, match="'zooo'"):
        make_candidates("zoo", given, places=places, model=network)


def test_a_file_may_bring_its_own_network(network, places, tmp_path):
    own = write_model(tmp_path).model_dump(mode="json", exclude_defaults=True)
    content = {
        "model": {"name": "tiny", "layers": ["conv2", "fc"]},
        "own_models": [own | {"check": None}],
        "units": {"sample": 4, "seed": 1},
        "candidates": {
            "one": {"kind": "pictures", "folder": "animals", "ending": ".png"},
            "two": {
                "kind": "pictures",
                "folder": "animals",
                "ending": ".png",
                "categories": {"before": "/"},
            },
        },
    }
    (tmp_path / "candidates.yaml").write_text(json.dumps(content))
    told = []
    one, two = make_file(
        tmp_path / "candidates.yaml", places=places, progress=lambda *step: told.append(step)
    )
    assert told[-1] == ("one", 6, 6)  # of the second set, activations are there
    assert (one.name, two.name, one.layers) == ("one", "two", ("conv2", "fc"))
    by_hand = make_candidates("x", spec(), places=places, model=network, units=SOME)
    for layer in one.layers:
        assert np.array_equal(one.features(layer), by_hand.features(layer))
    assert two.ids == ("cats", "cats/black", "dogs")
