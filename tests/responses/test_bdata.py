"""BData files, made by bdpy, give the same numbers as bdpy gives."""

import h5py
import numpy as np
import pytest
from bdpy import BData
from hypothesis import given, settings, strategies as st

from unitdb.errors import DatasetError, ResponsesError, StimulusMismatchError
from unitdb.responses import decoding_design, open_dataset
from unitdb.responses.bdata import open_bdata

NAMES = {1: "cat", 2: "dog", 3: "egg", 4: "fig", 5: "hat", 6: "ink"}
KINDS = [1, 1, 1, 2, 2, 2, 2, 2, 2, 3]  # training, test, imagery
SHOWN = [1, 2, 3, 4, 5, 6, 4, 5, 6, 1]

SPEC = """
name: mine
title: t
description: d
licence: l
source: s
citation: c
subjects: [S1]
rois: {V1: both sides, LVC: V1 and V2}
stimuli: {kind: names, file: stimuli.txt}
responses:
  kind: bdata
  train: {file: "{subject}.h5", rows: DataType = 1}
  tests:
    perception: {file: "{subject}.h5", rows: DataType = 2}
  rois:
    V1: ROI_lh_V1 = 1 + ROI_rh_V1 = 1
    LVC: (ROI_lh_V1 = 1 | ROI_rh_V1 = 1) + "ROI_hcp.R_V2-a"
"""


def make(path, *, values=None, kinds=KINDS, shown=SHOWN, vmap=True):
    bdata = BData()
    if values is None:
        values = np.random.default_rng(0).normal(100, 20, (len(kinds), 8))
    bdata.add(values, "VoxelData")
    bdata.add(np.array(kinds, float), "DataType")
    bdata.add(np.arange(len(kinds)) // 3 + 1.0, "Run")
    bdata.add(np.array(shown, float), "stimulus_name")
    for key, voxels in (("ROI_lh_V1", [0, 2]), ("ROI_rh_V1", [5]), ("ROI_hcp.R_V2-a", [2, 7])):
        bdata.add_metadata(key, np.isin(np.arange(8), voxels) * 1.0, key, where="VoxelData")
    bdata.add_metadata("voxel_x", np.arange(8.0), "x", where="VoxelData")
    if vmap:
        bdata.add_vmap("stimulus_name", NAMES)
    bdata.save(str(path))
    return bdata


def make_old(path, bdata):
    """The layout of older files, which today's bdpy reads but no longer writes."""
    with h5py.File(path, "w") as file:
        file["dataSet"] = bdata.dataset
        file["metaData/key"] = [key.encode() for key in bdata.metadata.key]
        file["metaData/description"] = [text.encode() for text in bdata.metadata.description]
        file["metaData/value"] = bdata.metadata.value


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "S1.h5")
    (tmp_path / "stimuli.txt").write_text("\n".join(NAMES.values()))
    return tmp_path


def read(folder, spec=SPEC):
    (folder / "dataset.yaml").write_text(spec)
    dataset = open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder)
    return dataset.responses("S1")


def edit(folder, change):
    with h5py.File(folder / "S1.h5", "r+") as file:
        change(file)


def test_the_numbers_are_those_of_bdpy(folder):
    found, bdata = read(folder), BData(str(folder / "S1.h5"))
    kinds = bdata.select("DataType").ravel()
    for split, kind in (("train", 1), ("perception", 2)):
        mine = found.split == split
        expected = bdata.select("ROI_lh_V1 = 1 + ROI_rh_V1 = 1")[kinds == kind]
        np.testing.assert_array_equal(found.roi("V1")[mine], expected)
        labels = np.array(bdata.get_label("stimulus_name"))[kinds == kind]
        assert found.stimulus_ids[mine].tolist() == labels.tolist()
    assert found.roi("LVC").shape == (9, 4)
    assert found.condition == "perception"


def test_repeats_stay_single_and_the_design_averages_them(folder):
    found = read(folder)
    assert (found.split == "perception").sum() == 6
    design = decoding_design(found, n_folds=None, seed=0)
    ((train, test),) = design.splits
    assert (len(train), len(test)) == (3, 3)
    np.testing.assert_allclose(design.values[test], found.values[3:].reshape(2, 3, -1).mean(axis=0))


def test_the_older_layout_holds_the_same(folder):
    new = read(folder)
    make_old(folder / "S1.h5", BData(str(folder / "S1.h5")))
    (folder / "names.tsv").write_text(
        "value\tname\n" + "".join(f"{value}\t{name}\n" for value, name in NAMES.items())
    )
    spec = SPEC.replace("rows:", "names: names.tsv, rows:")
    assert read(folder, spec).sha256 == new.sha256
    assert BData(str(folder / "S1.h5")).select("ROI_rh_V1 = 1").shape == (10, 1)


def test_stimuli_named_by_a_pattern(folder):
    ids = [f"image_{value:04d}" for value in NAMES]
    (folder / "stimuli.txt").write_text("\n".join(ids))
    spec = SPEC.replace("rows:", "pattern: 'image_{:04d}', rows:")
    assert read(folder, spec).stimulus_ids[:3].tolist() == ids[:3]


def test_numbers_with_decimals_name_stimuli(tmp_path):
    shown = [1518878.005958 + index for index in range(10)]
    make(tmp_path / "S1.h5", shown=shown, vmap=False)
    with open_bdata(tmp_path / "S1.h5") as bdata:
        names = {float(f"{value:.6f}"): f"n{value:.6f}" for value in shown}
        assert bdata.labels("stimulus_name", names=names)[0] == "n1518878.005958"


def test_training_and_test_in_files_of_their_own(folder):
    whole = read(folder)
    values = BData(str(folder / "S1.h5")).select("VoxelData")
    make(folder / "S1_train.h5", values=values[:3], kinds=KINDS[:3], shown=SHOWN[:3])
    make(folder / "S1_test.h5", values=values[3:9], kinds=KINDS[3:9], shown=SHOWN[3:9])
    spec = SPEC.replace('{subject}.h5", rows: DataType = 1', '{subject}_train.h5"')
    spec = spec.replace('{subject}.h5", rows: DataType = 2', '{subject}_test.h5"')
    assert read(folder, spec).sha256 == whole.sha256


def test_voxels_of_two_files_must_be_the_same(folder):
    other = make(folder / "S1_test.h5")
    other.add_metadata("voxel_x", np.arange(8.0) + 1, "x", where="VoxelData")
    other.save(str(folder / "S1_test.h5"))
    spec = SPEC.replace(
        '{subject}.h5", rows: DataType = 2', '{subject}_test.h5", rows: DataType = 2'
    )
    with pytest.raises(DatasetError, match=r"S1_test\.h5: voxel_x of its voxels differ from .*S1"):
        read(folder, spec)


def test_imagery_is_a_condition_of_its_own(folder):
    cross = SPEC.replace(
        '  tests:\n    perception: {file: "{subject}.h5", rows: DataType = 2}\n', ""
    )
    cross = cross.replace("train: {", "cross-validation: {condition: imagery, ")
    cross = cross.replace("Type = 1", "Type = 3")
    found = read(folder, cross)
    assert (found.condition, found.stimulus_ids.tolist()) == ("imagery", ["cat"])
    with pytest.raises(DatasetError, match="DataType 1, 2, 3; say which to take"):
        read(folder, cross.replace(", rows: DataType = 3", ""))


def test_runs_choose_samples(folder):
    with open_bdata(folder / "S1.h5") as bdata:
        np.testing.assert_array_equal(bdata.column("Run"), np.arange(10) // 3 + 1)
        assert bdata.rows("DataType = 2 & Run = 2").tolist() == [3, 4, 5]
        assert bdata.rows("DataType = 2 - Run = 2").tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ROI_rh_V1 = 1\n", "ROI_rh_V2 = 1\n", r"S1\.h5: has no metadata 'ROI_rh_V2'; .*ROI_rh_V1"),
        ("ROI_lh_V1 = 1 + ROI_rh_V1 = 1\n", "ROI_rh_V1 - VoxelData\n", "'V1' .* has no voxels"),
        (
            "ROI_rh_V1 = 1\n",
            "ROI_rh_V1 = 3\n",
            r"S1\.h5: metadata: nothing has ROI_rh_V1 = 3; .* 0, 1",
        ),
        ("ROI_rh_V1 = 1\n", "DataType\n", "ROI 'V1' .* columns that are no voxels"),
        ("DataType = 2", "DataType = 7", r"samples: nothing has DataType = 7; there are: 1, 2, 3"),
        ("DataType = 2", "DataType = 2 & Run = 1", "none of 10 samples has DataType = 2 & Run = 1"),
        ("DataType = 2", "Datatype = 2", "no metadata 'Datatype'; there are: DataType"),
        ("DataType = 2", "VoxelData = 2", "'VoxelData' has 8 columns, expected one"),
        (", rows: DataType = 2", "", "perception: .* holds several parts"),
        (
            "rows: DataType = 2",
            "rows: DataType = 2, stimulus: Run",
            "no .*names|value maps of stim",
        ),
        ("rows: DataType = 2", "rows: DataType = 2, names: n.csv", "n.csv: cannot be read"),
        ("rows: DataType = 2", "rows: DataType = 2, names: ../n", "stays inside its folder"),
        ("rows: DataType = 2", "rows: DataType = 2, pattern: '{0.x}'", "pattern"),
        ("ROI_lh_V1 = 1 + ROI", "ROI_lh_V1 = 1 + + ROI", "expected a key"),
        ("{subject}.h5", "{subject}.h6", r"S1\.h6: no such file"),
    ],
)
def test_descriptions_that_are_wrong_say_what(folder, old, new, message):
    assert old in SPEC
    with pytest.raises(DatasetError, match=message):
        read(folder, SPEC.replace(old, new))


def drop(name):
    def change(file):
        del file[name]

    return change


def replace(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def link(file):
    del file["dataset"]
    file["dataset"] = h5py.ExternalLink("other.h5", "/secret")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop("dataset"), "has no array 'dataset'"),
        (drop("metadata/key"), "has no array 'metadata/key'"),
        (drop("metadata"), "has no array 'metadata/key'"),
        (replace("metadata/value", np.zeros((2, 3))), r"metadata have shape \(2, 3\)"),
        (replace("dataset", [b"text"]), "expected numbers of shape"),
        (link, "'dataset' is a link that may lead out of the file"),
        (drop("vmap/stimulus_name/4.0"), "sample 3: 'stimulus_name' is 4, which has no name"),
    ],
)
def test_files_that_are_wrong_say_what(folder, change, message):
    edit(folder, change)
    with pytest.raises(DatasetError, match=rf"S1\.h5: .*{message}"):
        read(folder)


def test_an_array_out_of_proportion_is_not_read(folder):
    def change(file):
        del file["dataset"]
        file.create_dataset("dataset", shape=(10**6, 10**6), chunks=(1, 1000), dtype="f8")

    edit(folder, change)
    with pytest.raises(DatasetError, match=r"S1\.h5: a file of .* would become 8,000,000"):
        read(folder)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_named(folder, share):
    whole = (folder / "S1.h5").read_bytes()
    (folder / "S1.h5").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(DatasetError, match=r"S1\.h5: cannot be read"):
        read(folder)


def test_a_pickle_is_refused(folder):
    with (folder / "S1.h5").open("wb") as file:
        np.save(file, np.array([{"dataSet": 1}], dtype=object))
    with pytest.raises(DatasetError, match=r"S1\.h5: cannot be read"):
        read(folder)


def test_missing_responses_and_unknown_stimuli(folder):
    edit(folder, lambda file: file["dataset"].__setitem__((0, 0), np.nan))
    with pytest.raises(ResponsesError, match="NaN or infinite, the first in sample 0"):
        read(folder)
    make(folder / "S1.h5")
    (folder / "stimuli.txt").write_text("cat\ndog\negg\nfig\nhat\n")
    with pytest.raises(StimulusMismatchError, match=r"1 stimulus ids .* ink"):
        read(folder)


KEYS = st.sampled_from(["ROI_a = 1", "ROI_b = 1", "ROI_c = 1", "ROI_c", "ROI_* = 1"])
SIGNS = st.sampled_from("|&+-")
TERMS = KEYS | st.builds("({} {} {})".format, KEYS, SIGNS, KEYS)


@settings(max_examples=40, deadline=None)
@given(
    # Parentheses within parentheses are left out: bdpy closes all of them at the first ")".
    st.builds(
        lambda first, rest: first + "".join(f" {sign} {term}" for sign, term in rest),
        TERMS,
        st.lists(st.tuples(SIGNS, TERMS), max_size=4),
    ),
    st.integers(0, 2**32 - 1),
)
def test_columns_are_those_that_bdpy_selects(tmp_path_factory, condition, seed):
    path = tmp_path_factory.getbasetemp() / "selectors.h5"
    rng = np.random.default_rng(seed)
    bdata = BData()
    bdata.add(np.arange(6.0)[None], "VoxelData")
    bdata.add(np.array([[9.0]]), "Run")
    for key in ("ROI_a", "ROI_b", "ROI_c"):
        within = rng.integers(0, 2, 6).astype(float)
        within[rng.integers(6)] = 1.0  # held nowhere: an error here, nothing in bdpy
        bdata.add_metadata(key, within, "", where="VoxelData")
    bdata.save(str(path))
    with open_bdata(path) as opened:
        mine = opened.columns(condition)
        np.testing.assert_array_equal(opened.values(np.array([0]), mine), bdata.select(condition))


@pytest.mark.robust(
    "arrays",
    given="samples of a BData file that train and are tested too, with `seen_in_training: true`",
    before="accepted: test samples equal to training samples, to the bit",
    now="an error that names the file and the sample",
)
@pytest.mark.parametrize("name", ["{subject}.h5", "S2.h5"])
def test_a_sample_trains_or_is_tested(folder, name):
    (folder / "S2.h5").symlink_to("S1.h5")
    spec = SPEC.replace("rows: DataType = 2}", "rows: DataType > 0, seen_in_training: true}")
    spec = spec.replace('perception: {file: "{subject}.h5"', f'perception: {{file: "{name}"')
    spec = spec.replace("DataType > 0", "DataType = 1 | DataType = 2")
    with pytest.raises(DatasetError, match=r"S1\.h5: row 0 and 2 others are of train and of perc"):
        read(folder, spec)
