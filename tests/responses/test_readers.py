import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings, strategies as st
from PIL import Image

from unitdb.errors import DatasetError, StimulusMismatchError, UnknownDatasetError
from unitdb.responses import dataset_specs, open_dataset, virtual_voxels
from unitdb.responses.arrays import read_arrays
from unitdb.responses.stimuli_spec import ShownPictures

SPEC = """
name: mine
title: t
description: d
licence: l
source: s
citation: c
subjects: [sub-01, sub-02]
rois: {V1: first, all: everything}
stimuli: {kind: folder, folder: pictures, ending: .png}
responses:
  kind: arrays
  file: "{subject}.npz"
  train: {responses: x_train, stimulus_ids: ids_train}
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
  masks: {V1: is_v1, all: null}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("cat", "dog", "egg"):
        Image.new("L", (9, 7), 100).save(tmp_path / "pictures" / f"{name}.png")
    for subject in ("sub-01", "sub-02"):
        np.savez(
            tmp_path / f"{subject}.npz",
            x_train=np.arange(8.0).reshape(2, 4),
            ids_train=["dog", "egg"],
            x_test=np.arange(4.0).reshape(1, 4),
            ids_test=["cat"],
            is_v1=[1, 0, 1, 0],
        )
    (tmp_path / "dataset.yaml").write_text(SPEC)
    return tmp_path


def opened(folder, *, spec=None):
    if spec is not None:
        (folder / "dataset.yaml").write_text(spec)
    return open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder / "cache")


def test_arrays_and_a_folder_of_pictures(folder):
    dataset = opened(folder)
    assert dataset.stimuli.ids == ("cat", "dog", "egg")
    assert dataset.stimuli.image(0).shape == (7, 9, 3)
    found = dataset.responses("sub-02")
    assert found.stimulus_ids.tolist() == ["dog", "egg", "cat"]
    assert found.split.tolist() == ["train", "train", "perception"]
    np.testing.assert_array_equal(found.roi("V1")[1], [4, 6])
    assert found.roi("all").shape == (3, 4)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (SPEC.replace("x_test", "x_tset"), "no array 'x_tset'; there are: x_test"),
        (SPEC.replace("{subject}.npz", "{subject}.csv"), "read from .npz, .mat, "),
        (SPEC.replace("{subject}.npz", "../{subject}.npz"), "stays inside its folder"),
        (SPEC.replace("folder: pictures", "folder: /etc"), "stays inside its folder"),
        (SPEC.replace(".png}", ".jpg}"), "no files"),
        (SPEC.replace("folder: pictures", "folder: pics"), "pics: no such folder"),
        (SPEC.replace("{subject}.npz", "{subject}.mat"), "sub-01.mat: no such file"),
        (SPEC.replace("masks: {V1", "masks: {V9"), "ROIs that `rois` does not: V9"),
        (SPEC.replace(", all: null", ""), "responses leave out the ROIs all"),
        (SPEC.replace("is_v1", "x_train"), "a mask holds 0 and 1"),
        (SPEC.replace("x_test,", "ids_test,"), "'ids_test' holds .*, expected real numbers"),
        (SPEC.replace("licence: l", "license: l"), "unknown key 'license'; did you mean 'licence'"),
        (SPEC.replace("tests:", "testz:"), "unknown key 'responses.arrays.testz'"),
        (SPEC.replace("rois: {V1", "rois: &a {V1") + "\nsubjects: *a", "aliases"),
        (SPEC + "\nname: again", "'name' stands twice"),
        ("- a list", "must be a mapping"),
        ("{", "not valid YAML"),
    ],
)
def test_descriptions_that_are_wrong_say_what(folder, spec, message):
    with pytest.raises(DatasetError, match=message):
        opened(folder, spec=spec).responses("sub-01")


def test_a_response_to_an_unknown_stimulus_is_refused(folder):
    (folder / "pictures" / "egg.png").unlink()
    with pytest.raises(StimulusMismatchError, match=r"sub-01: 1 stimulus ids .* egg"):
        opened(folder).responses("sub-01")


def test_nothing_is_unpickled(folder):
    np.savez(folder / "sub-01.npz", x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DatasetError, match=r"sub-01\.npz: cannot be read"):
        opened(folder).responses("sub-01")


@pytest.mark.parametrize("name", ["a.npz", "a.mat"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DatasetError, match=f"{name}: cannot be read"):
        read_arrays(tmp_path / name, ["x"])


def test_matlab_images_in_column_order(tmp_path):
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    scipy.io.savemat(
        tmp_path / "a.mat",
        {"pictures": picture.ravel(order="F")[None], "x": np.zeros((1, 4)), "y": np.ones((1, 4))},
    )
    spec = (
        SPEC.replace("{kind: folder, folder: pictures, ending: .png}", "")
        .replace(
            "stimuli: ",
            "stimuli: {kind: arrays, file: a.mat, shape: [2, 3], order: F, "
            "parts: {train: {images: pictures}}}",
        )
        .replace("{subject}.npz", "a.mat")
        .replace("x_train, stimulus_ids: ids_train", "x")
        .replace("x_test, stimulus_ids: ids_test", "y")
        .replace("V1: is_v1, all", "V1: null, all")
    )
    dataset = opened(tmp_path, spec=spec)
    np.testing.assert_array_equal(dataset.stimuli.image(0)[..., 1], picture)
    assert dataset.stimuli.ids == ("train-001",)
    with pytest.raises(StimulusMismatchError, match="test-001"):
        dataset.responses("sub-01")


@given(n=st.integers(2, 12), n_voxels=st.integers(1, 30), seed=st.integers(0, 100))
@settings(deadline=None)
def test_virtual_voxels_have_the_dissimilarities_they_were_made_from(n, n_voxels, seed):
    patterns = np.random.default_rng(seed).normal(size=(n, n_voxels + 1))
    rdm = 1 - np.corrcoef(patterns)
    np.fill_diagonal(rdm, 0)
    x = virtual_voxels(rdm)
    np.testing.assert_allclose(x @ x.T, 1 - rdm, atol=1e-7)


@pytest.mark.parametrize(
    ("rdm", "message"),
    [
        (np.zeros((2, 3)), "square"),
        (np.array([[0, 1], [0.5, 0]]), "symmetric"),
        (np.array([[0, np.nan], [np.nan, 0]]), "not finite"),
        (2 * (1 - np.eye(3)), "eigenvalue -1"),
    ],
)
def test_matrices_that_are_no_correlation_distances_are_refused(rdm, message):
    with pytest.raises(DatasetError, match=message):
        virtual_voxels(rdm)


def test_shipped_datasets_are_known_and_others_are_not():
    assert {"algonauts92", "digits69", "sample"} <= set(dataset_specs())
    with pytest.raises(UnknownDatasetError, match="did you mean 'sample'"):
        open_dataset("sampel", data=None, cache=None)


@pytest.mark.robust(
    "datasets",
    given="a folder of one's own with the name of a dataset that was (`god-imagery`)",
    before="an error that it is now a test set of `god`, though it is another",
    now="it is opened; where there is none, the error",
)
def test_a_name_that_was_is_free(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(DatasetError, match="god-imagery is now the test set"):
        open_dataset("god-imagery", data=folder, cache=folder)
    own = folder / "datasets" / "god-imagery"
    own.mkdir(parents=True)
    (own / "dataset.yaml").write_text(SPEC.replace("name: mine", "name: god-imagery"))
    found = open_dataset("god-imagery", data=folder, cache=folder)
    assert found.responses("sub-01").values.shape == (3, 4)


def test_measured_datasets_ask_for_their_data_folder(tmp_path):
    dataset = open_dataset("algonauts92", data=None, cache=tmp_path)
    with pytest.raises(DatasetError, match="--data or UNITDB_DATA"):
        dataset.responses("sub-01")
    dataset = open_dataset("algonauts92", data=tmp_path / "nowhere", cache=tmp_path)
    with pytest.raises(DatasetError, match="no such data folder"):
        dataset.stimuli  # noqa: B018


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        (Image.new("I;16", (9, 7), 1000), {}, "pixels of kind I;16"),
        (Image.new("RGBA", (9, 7), (1, 2, 3, 0)), {}, "transparent in places"),
        (Image.new("RGB", (9, 7)), {"exif": Image.Exif()}, "EXIF tag turns"),
    ],
    ids=["16 bits", "transparent", "turned"],
)
def test_pictures_that_a_conversion_would_change_are_refused(folder, picture, options, message):
    if options:
        options["exif"][0x0112] = 6
    picture.save(folder / "pictures" / "cat.png", **options)
    with pytest.raises(DatasetError, match=message):
        opened(folder).stimuli.image(0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_pictures_of_eight_bits_are_read_as_they_are(folder, mode):
    picture = Image.new("RGB", (9, 7), (255, 255, 255)).convert(mode)
    picture.save(folder / "pictures" / "cat.png")
    assert (opened(folder).stimuli.image(0) == 255).all()


@pytest.mark.robust(
    "pictures",
    given="`except_sources` (pictures that may not be shown) with a pattern that fits none",
    before="all pictures were shown in the release",
    now="one error with the nearest names, before anything is built",
)
def test_exceptions_that_are_none_are_named(folder):
    shown = "ending: .png, shown: {terms: mine, except_sources: ["
    dataset = opened(folder, spec=SPEC.replace("ending: .png", shown + '"d*", cats.png]}'))
    with pytest.raises(DatasetError, match=r"'cats\.png' fits none of the 3 .* are: cat\.png"):
        dataset.responses("sub-01")
    dataset = opened(folder, spec=SPEC.replace("ending: .png", shown + '"d*"]}'))
    assert dataset.responses("sub-01").values.shape == (3, 4)


@pytest.mark.robust(
    "datasets",
    given="`except_sources` that name a picture with brackets, `a[1].png`, or use `?`",
    before="brackets and `?` were patterns too, beside the `*` that docs tell of: `a[1].png` "
    "fitted no picture, and `a?.png` left out a1.png",
    now="`*` is anything, and all else is itself, as in `keep`",
)
def test_exceptions_are_names_in_which_a_star_alone_is_a_pattern():
    shown = ShownPictures(terms="mine", except_sources=["a[1].png", "b?.png", "c*"])
    shown.check(["a[1].png", "b?.png", "c.png"])
    allowed = {name: shown.allows(name) for name in ("a[1].png", "a1.png", "bx.png", "c/d.png")}
    assert allowed == {"a[1].png": False, "a1.png": True, "bx.png": True, "c/d.png": False}
