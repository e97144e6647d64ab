"""Activations from files come out as the libraries that made them give them."""

import hdf5storage
import numpy as np
import pytest
import scipy.io
import zarr
from bdpy.dataform import Features, save_feature

from tests.activations.conftest import make_stimuli
from unitdb.activations import (
    FeatureModel,
    Stimuli,
    UnitSelection,
    extract,
    load_features,
    stimuli_without_pictures,
)
from unitdb.errors import (
    ActivationsError,
    RecipeError,
    StimulusMismatchError,
    UnknownLayerError,
    UnknownModelError,
)
from unitdb.recipes import Recipe, read_models

ALL = UnitSelection(sample=None)
IDS = [f"s{index}" for index in range(7)]
SHAPES = {"conv1": (2, 3, 4), "fc8": (5,)}


def values(layer):
    rng = np.random.default_rng(len(layer))
    return rng.normal(size=(len(IDS), *SHAPES[layer])).astype(np.float32)


def write(folder, kind):
    """Write features of two layers as ``kind`` of files; returns the format's name."""
    for layer in SHAPES:
        (folder / layer).mkdir(parents=True, exist_ok=True)
        for name, row in zip(IDS, values(layer), strict=True):
            if kind == "bdpy":
                save_feature(row[None], str(folder), layer=layer, label=name)
            elif kind == "matlab 5":
                scipy.io.savemat(folder / layer / f"{name}.mat", {"feat": row[None]})
            elif kind == "npy":
                np.save(folder / layer / f"{name}.npy", row)
        if kind == "stacked":
            np.save(folder / f"{layer}.npy", values(layer))
        elif kind == "zarr":
            zarr.save_array(str(folder / f"{layer}.zarr"), values(layer))
    (folder / "stimuli.txt").write_text("\n".join(IDS) + "\n")
    return "mat" if kind in ("bdpy", "matlab 5") else kind


def spec(**changes):
    content = {
        "name": "vgg",
        "title": "t",
        "features": {"folders": ["f"], **changes},
        "layers": {"c1": "conv1", "f8": "fc8"},
        "axes": "CHW",
        "licence": "l",
        "source": "s",
        "citation": "c",
    }
    return FeatureModel.model_validate(content)


@pytest.mark.parametrize("kind", ["bdpy", "matlab 5", "npy", "stacked", "zarr"])
def test_every_form_gives_the_same_store(tmp_path, kind):
    model = load_features(spec(format=write(tmp_path / "f", kind)), folder=tmp_path)
    assert [(x.name, x.depth, x.shape, x.n_units) for x in model.layers] == [
        ("c1", 0, (2, 3, 4), 24),
        ("f8", 1, (5,), 5),
    ]
    store = extract(model, make_stimuli(), folder=tmp_path / "store", units=ALL)
    assert store.stimulus_ids == tuple(IDS)
    np.testing.assert_array_equal(store.block("c1", 0, 24), values("conv1").reshape(7, 24))
    np.testing.assert_array_equal(store.block("f8", 0, 5), values("fc8"))
    some = extract(model, make_stimuli(), folder=tmp_path / "store", units=UnitSelection(sample=9))
    chosen = some.units("c1")
    np.testing.assert_array_equal(some.block("c1", 0, 9), values("conv1").reshape(7, 24)[:, chosen])


@pytest.mark.parametrize("kind", ["bdpy", "matlab 5"])
def test_bdpy_reads_the_same_from_its_folders(tmp_path, kind):
    write(tmp_path / "f", kind)
    model = load_features(spec(), folder=tmp_path)
    bdpy = Features(str(tmp_path / "f"))
    for layer in model.layers:
        for name in IDS:
            expected = bdpy.get(layer.module, name).reshape(-1)
            np.testing.assert_array_equal(model.given(layer, name), expected)


def test_chunks_of_zarr_and_the_order_of_stimuli_do_not_matter(tmp_path):
    write(tmp_path / "f", "zarr")
    array = zarr.create_array(
        str(tmp_path / "f" / "fc8.zarr"), shape=(7, 5), chunks=(3, 2), dtype="f4", overwrite=True
    )
    array[:] = values("fc8")
    model = load_features(spec(format="zarr"), folder=tmp_path)
    for name in reversed(IDS):
        np.testing.assert_array_equal(
            model.given(model.layers[1], name), values("fc8")[IDS.index(name)]
        )


def test_stimuli_may_lie_in_several_folders_and_in_one_only(tmp_path):
    write(tmp_path / "f", "npy")
    for layer in SHAPES:
        (tmp_path / "g" / layer).mkdir(parents=True)
        (tmp_path / "f" / layer / "s6.npy").rename(tmp_path / "g" / layer / "s6.npy")
    model = load_features(spec(format="npy", folders=["f", "g"]), folder=tmp_path)
    model.check_stimuli(IDS)
    np.save(tmp_path / "f" / "fc8" / "s6.npy", np.zeros(5))
    with pytest.raises(ActivationsError, match=r"layer 'fc8': 1 stimuli stand twice in .*'s6'"):
        load_features(spec(format="npy", folders=["f", "g"]), folder=tmp_path)


def test_an_id_that_stands_twice_in_the_list(tmp_path):
    write(tmp_path / "f", "stacked")
    (tmp_path / "f" / "stimuli.txt").write_text("\n".join([*IDS[:-1], "s0"]))
    with pytest.raises(ActivationsError, match=r"stand twice in .*'s0'"):
        load_features(spec(format="stacked"), folder=tmp_path)
    (tmp_path / "f" / "stimuli.txt").write_text("s0\n")
    with pytest.raises(ActivationsError, match="expected one row for each of the 1 stimuli"):
        load_features(spec(format="stacked"), folder=tmp_path)


def test_a_stimulus_without_a_file(tmp_path):
    write(tmp_path / "f", "npy")
    (tmp_path / "f" / "fc8" / "s3.npy").unlink()
    model = load_features(spec(format="npy"), folder=tmp_path)
    with pytest.raises(
        StimulusMismatchError, match=r"layer 'f8' has no activations of 1 of 7 .*s3"
    ):
        extract(model, make_stimuli(), folder=tmp_path / "store", units=ALL)
    assert not list((tmp_path / "store").glob("*"))


@pytest.mark.robust(
    "networks",
    given="activations a file a stimulus, of stimuli whose ids have folders (`faces/01`)",
    before="there are no files *.npy",
    now="files have the folders of the ids, linked ones too; those of another layer are not taken",
)
@pytest.mark.parametrize("ending", ["npy", "mat"])
def test_ids_may_have_folders(tmp_path, ending):
    rows = {"faces/01": np.ones(3), "faces/02": np.zeros(3), "house": np.arange(3.0)}
    for layer in ("net", "net/conv1"):
        for name, row in rows.items():
            path = tmp_path / "f" / layer / f"{name}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, row) if ending == "npy" else scipy.io.savemat(path, {"feat": row[None]})
    (tmp_path / "f" / "net" / "faces").rename(tmp_path / "elsewhere")
    (tmp_path / "f" / "net" / "faces").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(tmp_path / "f" / "net")
    nested = spec(format=ending).model_copy(update={"layers": {"all": "net", "c1": "net/conv1"}})
    model = load_features(nested, folder=tmp_path)
    for layer in model.layers:
        assert sorted(model.tables[layer.name].ids) == sorted(rows)
        for name, row in rows.items():
            np.testing.assert_array_equal(model.given(layer, name), row)


@pytest.mark.robust(
    "networks",
    given="`format: stacked` or `zarr` with layers in folders (`layers: {c1: net/conv1}`)",
    before="a second list of stimuli was asked for beside the array, and hashed in place of the "
    "one that was read: with that in another order, stored activations of the old order came back",
    now="the list that is read is hashed",
)
@pytest.mark.parametrize("kind", ["stacked", "zarr"])
def test_the_list_that_is_read_is_hashed(tmp_path, kind):
    write(tmp_path / "f", kind)
    (tmp_path / "f" / "net").mkdir()
    for path in list((tmp_path / "f").glob("conv1.*")):
        path.rename(tmp_path / "f" / "net" / path.name)
    nested = spec(format=kind).model_copy(update={"layers": {"c1": "net/conv1"}})
    (tmp_path / "f" / "net" / "stimuli.txt").write_text("of something else\n")
    hashes = set()
    for ids in (IDS, IDS[::-1]):
        (tmp_path / "f" / "stimuli.txt").write_text("\n".join(ids))
        model = load_features(nested, folder=tmp_path)
        store = extract(model, make_stimuli(), folder=tmp_path / "store", units=ALL)
        expected = values("conv1").reshape(7, 24)[[ids.index(name) for name in IDS]]
        np.testing.assert_array_equal(store.block("c1", 0, 24), expected)
        hashes.add(model.model_sha256)
    assert len(hashes) == 2


@pytest.mark.robust(
    "networks",
    given="activations in float16 of the other order of bytes (`>f2`)",
    before="taken for float32: units that rounding leaves a few values had accuracies",
    now="float16, as what is constant follows",
)
def test_half_precision_in_either_order_of_bytes(tmp_path):
    write(tmp_path / "f", "stacked")
    for order in ("<f2", ">f2"):
        np.save(tmp_path / "f" / "fc8.npy", values("fc8").astype(order))
        model = load_features(spec(format="stacked"), folder=tmp_path)
        assert [layer.precision for layer in model.layers] == ["float32", "float16"]


@pytest.mark.parametrize(
    ("array", "ids", "message"),
    [
        (np.zeros((0, 5), np.float32), "", "stimuli.txt: names no stimulus"),
        (np.zeros((7, 0), np.float32), "\n".join(IDS), r"has shape \(0,\), no activation"),
    ],
)
def test_nothing_is_no_layer(tmp_path, array, ids, message):
    write(tmp_path / "f", "stacked")
    np.save(tmp_path / "f" / "fc8.npy", array)
    if not ids:
        np.save(tmp_path / "f" / "conv1.npy", np.zeros((0, 2, 3, 4), np.float32))
    (tmp_path / "f" / "stimuli.txt").write_text(ids)
    with pytest.raises(ActivationsError, match=message):
        load_features(spec(format="stacked"), folder=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros(6), r"has shape \(6,\), the other stimuli of layer 'f8' \(5,\)"),
        (np.full(5, np.nan), "the activation is not finite"),
        (np.array(["a"] * 5), "holds <U1, expected real numbers"),
        (np.array([{}], dtype=object), "cannot be read"),
    ],
)
def test_an_activation_that_is_wrong_names_its_file(tmp_path, content, message):
    write(tmp_path / "f", "npy")
    np.save(tmp_path / "f" / "fc8" / "s3.npy", content)
    model = load_features(spec(format="npy"), folder=tmp_path)
    with pytest.raises(ActivationsError, match=rf"s3\.npy: {message}"):
        extract(model, make_stimuli(), folder=tmp_path / "store", units=ALL)


@pytest.mark.parametrize("kind", ["bdpy", "matlab 5"])
def test_a_truncated_mat_names_itself(tmp_path, kind):
    write(tmp_path / "f", kind)
    path = tmp_path / "f" / "conv1" / "s2.mat"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    model = load_features(spec(), folder=tmp_path)
    with pytest.raises(ActivationsError, match=r"s2\.mat: cannot be read"):
        extract(model, make_stimuli(), folder=tmp_path / "store", units=ALL)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "mat"}, r"there are no files \*\.mat"),
        ({"format": "npy", "folders": ["g"]}, "g: no such folder of features"),
        ({"format": "stacked"}, r"conv1\.npy: no such layer"),
        ({"format": "zarr"}, r"conv1\.zarr: no such layer"),
    ],
)
def test_folders_that_are_wrong_say_what(tmp_path, changes, message):
    write(tmp_path / "f", "npy")
    with pytest.raises(ActivationsError, match=message):
        load_features(spec(**changes), folder=tmp_path)


def test_a_layer_that_is_not_there_names_the_nearest(tmp_path):
    write(tmp_path / "f", "npy")
    (tmp_path / "f" / "conv1").rename(tmp_path / "f" / "conv1_1")
    with pytest.raises(ActivationsError, match="conv1: no such layer; near: conv1_1"):
        load_features(spec(format="npy"), folder=tmp_path)
    with pytest.raises(UnknownLayerError, match=r"'f9'.*did you mean 'f8'"):
        load_features(spec(format="npy"), folder=tmp_path, layers=["f9"])
    with pytest.raises(ActivationsError, match="read from a data folder"):
        load_features(spec(format="npy"), folder=None)


def test_a_wrong_key_names_the_right_one(tmp_path):
    hdf5storage.savemat(str(tmp_path / "a.mat"), {"feat": np.zeros((1, 5))})
    for layer in SHAPES:
        (tmp_path / "f" / layer).mkdir(parents=True)
        (tmp_path / "f" / layer / "s0.mat").write_bytes((tmp_path / "a.mat").read_bytes())
    with pytest.raises(ActivationsError, match=r"s0\.mat: has no array 'feet'; there are: feat"):
        load_features(spec(key="feet"), folder=tmp_path)


def test_other_numbers_are_another_model(tmp_path):
    write(tmp_path / "f", "npy")
    first = load_features(spec(format="npy"), folder=tmp_path)
    some = load_features(spec(format="npy"), folder=tmp_path, layers=["f8"])
    assert [layer.depth for layer in some.layers] == [1]
    assert some.model_sha256 == first.model_sha256
    np.save(tmp_path / "f" / "fc8" / "s3.npy", np.zeros(5))
    assert load_features(spec(format="npy"), folder=tmp_path).model_sha256 != first.model_sha256


def recipe(folder, name="vgg", **choice):
    own = spec(format="npy").model_dump() | {"name": name}
    text = dict.fromkeys(("title", "description", "licence", "citation"), "t")
    return Recipe.model_validate(
        {"name": "r", "version": "1.0.0", **text, "datasets": ["d"], "own_models": [own]}
        | {"models": [{"name": name, **choice}]}
    )


def test_a_recipe_names_features_like_networks(tmp_path):
    write(tmp_path / "f", "npy")
    ((model, _),) = read_models(recipe(tmp_path, layers=["f8"]), folder=tmp_path, data=tmp_path)
    assert [layer.name for layer in model.layers] == ["f8"]
    unknown = recipe(tmp_path).model_copy(
        update={"models": [recipe(tmp_path).models[0].model_copy(update={"name": "vvg"})]}
    )
    with pytest.raises(UnknownModelError, match=r"'vvg'; did you mean 'vgg'"):
        read_models(unknown, folder=tmp_path, data=tmp_path)
    with pytest.raises(RecipeError, match="a network that comes with unitdb"):
        read_models(recipe(tmp_path, "efficientnet-lite0"), folder=tmp_path, data=tmp_path)


def test_a_network_needs_pictures(tiny, tmp_path):
    with pytest.raises(StimulusMismatchError, match="'cat' is known by name alone: a network"):
        extract(tiny, stimuli_without_pictures(("cat",)), folder=tmp_path / "store", units=ALL)
    first, other = (stimuli_without_pictures((name,)).sha256s() for name in ("cat", "dog"))
    assert first != other


def test_a_zarr_of_nothing_is_not_read(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "stimuli.txt").write_text("a\nb\n")
    shape = (2, 10**10)
    zarr.create_array(tmp_path / "f" / "conv1.zarr", shape=shape, chunks=(1, 10**6), dtype="f4")
    with pytest.raises(
        ActivationsError, match=r"conv1\.zarr: a file of .* would become 80,000,000,000"
    ):
        load_features(spec(format="zarr"), folder=tmp_path)


@pytest.mark.robust(
    "networks",
    given="features of one picture under two names, with different rows",
    before="both rows",
    now="an error that names both",
)
def test_the_same_picture_has_the_same_features(tmp_path):
    write(tmp_path / "f", "stacked")
    plain = {"name": "vgg", "title": "t", "licence": "l", "source": "s", "citation": "c"}
    plain |= {"features": {"folders": ["f"], "format": "stacked"}, "layers": {"f8": "fc8"}}
    model = load_features(FeatureModel.model_validate(plain), folder=tmp_path)
    images = [make_stimuli().image(index) for index in range(7)]
    images[5] = images[2]
    stimuli = Stimuli(tuple(IDS), tuple(IDS), images.__getitem__)
    with pytest.raises(ActivationsError, match="'f8': stimuli 's2' and 's5' are one picture"):
        extract(model, stimuli, folder=tmp_path / "store", units=ALL)
    for layer in SHAPES:
        rows = values(layer)
        rows[5] = rows[2] * np.float32(1 + 1e-6)  # rounding, as of another batch
        np.save(tmp_path / "f" / f"{layer}.npy", rows)
    again = load_features(spec(format="stacked"), folder=tmp_path)
    extract(again, stimuli, folder=tmp_path / "store", units=ALL)
