"""Responses in arrays: ids as people wrote them, rows by conditions, masks that say their order."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from PIL import Image

from unitdb.errors import DatasetError, ResponsesError, StimulusMismatchError
from unitdb.responses import open_dataset
from unitdb.responses.naming import array_ids, file_id

SHARED = Path(__file__).parents[2].parent / "shared" / "realdata"
REAL = Path(os.environ.get("UNITDB_REALDATA", SHARED))

SPEC = """
name: mine
title: t
description: d
licence: l
source: s
citation: c
subjects: [S1]
rois: {all: everything}
stimuli: {kind: names, file: stimuli.txt}
responses:
  kind: arrays
  file: FILE
  cross-validation: {responses: x, stimulus_ids: ids}
  masks: {all: null}
"""
NAMES = ["2001", "2002", "2003"]
X = np.arange(12.0).reshape(3, 4)


def responses(folder, spec, *, stimuli=NAMES):
    (folder / "stimuli.txt").write_text("\n".join(stimuli), encoding="utf-8")
    (folder / "dataset.yaml").write_text(spec, encoding="utf-8")
    return open_dataset(str(folder / "dataset.yaml"), data=folder, cache=folder).responses("S1")


def saved(folder, ids, spec=SPEC, *, stimuli=NAMES, x=X, **arrays):
    np.savez(folder / "a.npz", x=x, ids=ids, **arrays)
    return responses(folder, spec.replace("FILE", "a.npz"), stimuli=stimuli)


@pytest.mark.robust(
    "arrays",
    given="ids that are numbers in MATLAB (2001.0), or bytes",
    before="'2001.0', which no stimulus is, and the text b'cat'",
    now="2001; cat; leading zeros of text stay",
)
@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (np.array([2001.0, 2002, 2003]), NAMES),
        (np.array([[2001.0], [2002], [2003]], np.float32), NAMES),
        (np.array([2001, 2002, 2003], np.uint16), NAMES),
        (np.array([b"cat", b"dog", b"egg"]), ["cat", "dog", "egg"]),
        (np.array(["007 ", "010", "v1.0"]), ["007", "010", "v1.0"]),
    ],
)
def test_ids_are_what_people_wrote(tmp_path, ids, expected):
    assert saved(tmp_path, ids, stimuli=expected).stimulus_ids.tolist() == expected
    if ids.dtype.kind != "S":
        scipy.io.savemat(tmp_path / "a.mat", {"x": X, "ids": ids})
        found = responses(tmp_path, SPEC.replace("FILE", "a.mat"), stimuli=expected)
        assert found.stimulus_ids.tolist() == expected
    voxels = {f"v{i}": X[:, i] for i in range(4)}
    pq.write_table(pa.table({"ids": ids.ravel(), **voxels}), tmp_path / "a.parquet")
    spec = SPEC.replace("FILE", "a.parquet").replace("responses: x", "responses: v*")
    assert responses(tmp_path, spec, stimuli=expected).stimulus_ids.tolist() == expected


@pytest.mark.robust(
    "arrays",
    given="ids that are NaN, empty, no whole numbers, too large for their float, or dates",
    before="the ids 'nan', '', '2.5', '1.6777218e+07', '2020-01-01', looked for among the stimuli",
    now="an error that names the row",
)
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1.0, np.nan, 3], r"row 1 is missing \(nan\)"),
        ([1.0, np.inf, 3], r"row 1 is missing \(inf\)"),
        ([1.0, 2.5, 3], "row 1 is 2.5, no whole number .* `pattern` or `names`"),
        (np.array([1, 2, 2**24 + 2], np.float32), "row 2 is 16777218, no whole number that a"),
        (["a", " ", "c"], "row 1 is empty"),
        ([b"a", b"caf\xe9", b"c"], "row 1 holds b'caf.xe9', which is no UTF-8"),
        (["a", "caf\ufffd", "c"], "row 1 is 'caf.': characters of it could not be read"),
        ([True, False, True], "holds bool, expected text or whole numbers"),
        ([1j, 2, 3], "holds complex128"),
        (np.array(["2020-01-01"] * 3, "M8[D]"), r"holds datetime64\[D\]"),
        (["a", "b"], "holds 2 ids for 3 rows of 'x'"),
        (["a", "b", "c", "d"], "holds 4 ids for 3 rows"),
    ],
)
def test_ids_that_are_none(tmp_path, ids, message):
    with pytest.raises(DatasetError, match=rf"a\.npz: 'ids':? ?{message}"):
        saved(tmp_path, np.array(ids))


@pytest.mark.robust(
    "arrays",
    given="rows of an array that train and are tested too, with `seen_in_training: true`",
    before="accepted: test samples equal to training samples, to the bit",
    now="an error that names the array and the row; `seen_in_training` is about stimuli",
)
@pytest.mark.parametrize("rows", ["kind = 1 | kind = 2", "ids = 2001 | kind = 2"])
def test_a_row_trains_or_is_tested(tmp_path, rows):
    spec = SPEC.replace(
        "cross-validation: {responses: x, stimulus_ids: ids}",
        "train: {responses: x, stimulus_ids: ids, rows: kind = 1}\n  tests: {perception: "
        f"{{responses: x, stimulus_ids: ids, rows: {rows}, seen_in_training: true}}}}",
    )
    ids, kind = np.array([2001.0, 2002, 2001]), np.array([1.0, 2, 1])
    with pytest.raises(DatasetError, match=r"a\.npz: 'x': row 0 and 1 others are of train and of"):
        saved(tmp_path, ids, spec, kind=kind)
    found = saved(tmp_path, ids, spec.replace(rows, "kind = 2"), kind=kind)
    assert found.split.tolist() == ["train"] * 2 + ["perception"]


def test_ids_of_a_part_do_not_make_up_for_those_of_another(tmp_path):
    """Five ids for four rows and three for four: the sum fits."""
    spec = SPEC.replace("FILE", "a.npz").replace(
        "cross-validation: {responses: x, stimulus_ids: ids}",
        "train: {responses: x, stimulus_ids: ids}\n"
        "  tests: {perception: {responses: y, stimulus_ids: jds}}",
    )
    arrays = {"x": X, "y": X, "ids": ["a", "b", "c", "d"], "jds": ["e", "f"]}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DatasetError, match="holds 4 ids for 3 rows of 'x'"):
        responses(tmp_path, spec, stimuli=list("abcdef"))


def test_patterns_and_tables_name_numbers(tmp_path):
    ids, part = np.array([1443537.022563, 2.000001, 3.0]), "stimulus_ids: ids"
    named = ["n01443537_22563", "n00000002_1", "n00000003_0"]
    spec = SPEC.replace(part, f"{part}, pattern: imagenet")
    assert saved(tmp_path, ids, spec, stimuli=named).stimulus_ids.tolist() == named
    (tmp_path / "names.tsv").write_text("1443537.022563\tfish\n2.000001\tdog\n3\tcat\n")
    spec = SPEC.replace(part, f"{part}, names: names.tsv")
    found = saved(tmp_path, ids, spec, stimuli=["cat", "dog", "fish"])
    assert found.stimulus_ids.tolist() == ["fish", "dog", "cat"]
    with pytest.raises(DatasetError, match="holds <U1, expected numbers, for `pattern` or `names`"):
        saved(tmp_path, np.array(["a", "b", "c"]), spec)
    with pytest.raises(DatasetError, match="`pattern` and `names` need `stimulus_ids`"):
        saved(tmp_path, ids, SPEC.replace(part, "pattern: imagenet"))


def test_rows_are_chosen_by_conditions(tmp_path):
    both = "train: {responses: x, rows: kind = 1, stimulus_ids: ids}\n  "
    both += "tests: {perception: {responses: x, rows: kind = 2 & run = 1, stimulus_ids: ids}}"
    spec = SPEC.replace("cross-validation: {responses: x, stimulus_ids: ids}", both)
    found = saved(
        tmp_path, np.array([2001.0, 2002, 2003]), spec, kind=[[1], [2], [2]], run=[1, np.nan, 1]
    )
    assert found.stimulus_ids.tolist() == ["2001", "2003"]
    np.testing.assert_array_equal(found.values, X[[0, 2]])
    arrays = {"kind": [1, 2, 2], "run": [1, 1, 1]}
    for old, new, message in (
        ("kind = 1", "kind = 7", r"samples of 'x': nothing has kind = 7; there are: 1, 2$"),
        ("kind = 1", "kind = 1 - run = 1", "none of 3 samples has kind = 1 - run = 1"),
        ("rows: kind = 1, ", "", "train: x holds several parts; say with `rows`"),
        ("kind = 1", "x = 1", r"'x' holds float64 of shape \(3, 4\), expected a number for each"),
        ("kind = 1", "knid = 1", "has no array 'knid'; there are: kind"),
    ):
        with pytest.raises(DatasetError, match=message):
            saved(tmp_path, np.array(NAMES), spec.replace(old, new), **arrays)


@pytest.mark.robust(
    "arrays",
    given="a mask that is a volume (2 × 2), for responses of flattened voxels",
    before="flattened row by row: in MATLAB's files other voxels than meant",
    now="`order` says how, and without it the mask is refused",
)
def test_masks_that_are_volumes(tmp_path):
    mask = np.array([[1, 1], [0, 0]])
    spec = SPEC.replace("all: null", "all: mask")
    with pytest.raises(DatasetError, match=r"'mask' is a volume of shape \(2, 2\): say with"):
        saved(tmp_path, np.array(NAMES), spec, mask=mask)
    for order, voxels in (("C", [0, 1]), ("F", [0, 2])):
        found = saved(tmp_path, np.array(NAMES), spec + f"  order: {order}\n", mask=mask)
        np.testing.assert_array_equal(found.roi("all"), X[:, voxels])
    for flat in (mask.reshape(1, 4), mask.reshape(4, 1)):
        found = saved(tmp_path, np.array(NAMES), spec, mask=flat)
        np.testing.assert_array_equal(found.roi("all"), X[:, :2])
    for bad in ([1, 0, np.nan, 0], [1, 2, 0, 0], ["1", "0", "0", "0"]):
        with pytest.raises(DatasetError, match="a mask holds 0 and 1"):
            saved(tmp_path, np.array(NAMES), spec, mask=bad)
    with pytest.raises(ResponsesError, match="mask of ROI 'all' has shape"):
        saved(tmp_path, np.array(NAMES), spec, mask=[1, 0, 1])


def test_pictures_that_are_flattened_say_how(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, ids=NAMES, images=np.zeros((3, 6), np.uint8))
    stimuli = "{kind: arrays, file: a.npz, shape: [2, 3], parts: {train: {images: images}}}"
    spec = SPEC.replace("FILE", "a.npz").replace("{kind: names, file: stimuli.txt}", stimuli)
    with pytest.raises(DatasetError, match="images are flattened; say how with `order`"):
        responses(tmp_path, spec)


def test_pictures_are_named_as_responses_are(tmp_path):
    images, part = np.zeros((3, 2, 2), np.uint8), "stimulus_ids: ids, pattern: imagenet"
    np.savez(tmp_path / "a.npz", x=X, ids=[1.000001, 1.000002, 2.0], images=images)
    stimuli = f"{{kind: arrays, file: a.npz, parts: {{train: {{images: images, {part}}}}}}}"
    spec = SPEC.replace("FILE", "a.npz").replace("stimulus_ids: ids", part)
    found = responses(tmp_path, spec.replace("{kind: names, file: stimuli.txt}", stimuli))
    assert found.stimulus_ids.tolist() == ["n00000001_1", "n00000001_2", "n00000002_0"]


@pytest.mark.robust(
    "arrays",
    given="rows without ids beside more pictures, without ids too, than there are rows",
    before="the first row was taken for the first picture, and so on",
    now="refused: which row is of which picture is not known",
)
def test_places_alone_name_rows_only_where_all_are_there(tmp_path):
    stimuli = "{kind: arrays, file: a.npz, parts: {cross-validation: {images: images}}}"
    spec = SPEC.replace("FILE", "a.npz").replace("{kind: names, file: stimuli.txt}", stimuli)
    spec = spec.replace(", stimulus_ids: ids", "")
    np.savez(tmp_path / "a.npz", x=X, images=np.zeros((4, 2, 2), np.uint8))
    with pytest.raises(StimulusMismatchError, match=r"3 rows of .* 4 stimuli are named"):
        responses(tmp_path, spec)
    np.savez(tmp_path / "a.npz", x=X, images=np.zeros((3, 2, 2), np.uint8))
    assert responses(tmp_path, spec).stimulus_ids.tolist()[-1] == "cross-validation-003"


@pytest.mark.robust(
    "arrays",
    given="an id with an ä in Unicode's composed form in a table, decomposed as a file name",
    before="1 stimulus ids of the responses are not among the stimuli",
    now="one id, composed; where both forms stand for two files, they are repeated ids",
)
def test_both_forms_of_unicode_are_one_id(tmp_path):
    composed, decomposed = "k\u00e4se", "ka\u0308se"
    found = saved(tmp_path, np.array([composed, "b", "c"]), stimuli=[decomposed, "b", "c"])
    assert found.stimulus_ids.tolist() == [composed, "b", "c"]
    with pytest.raises(StimulusMismatchError, match="stand more than once"):
        saved(tmp_path, np.array(["a", "b", "c"]), stimuli=[decomposed, composed, "a", "b", "c"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("faces/01.png", "faces/01"),
        ("houses/01.PNG", "houses/01"),
        ("./01.jpg", "01"),
        ("v1.0", "v1.0"),
        ("a.v1.0.tiff", "a.v1.0"),
        ("n01443537_22563.JPEG", "n01443537_22563"),
        ("ka\u0308se.png", "k\u00e4se"),
    ],
)
def test_ids_of_files_keep_their_folders(path, expected):
    assert file_id(path) == expected


def test_pictures_in_folders_of_the_folder(tmp_path):
    for name in ("faces/01.png", "houses/01.png", "v1.0.png", "._v1.0.png", ".cache/a.png"):
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / "p" / name)
    ids = np.array(["v1.0", "houses/01", "faces/01"])
    spec = SPEC.replace("kind: names, file: stimuli.txt", "kind: folder, folder: p, ending: .png")
    assert saved(tmp_path, ids, spec).stimulus_ids.tolist() == ids.tolist()
    dataset = open_dataset(str(tmp_path / "dataset.yaml"), data=tmp_path, cache=tmp_path)
    assert dataset.stimuli.ids == ("faces/01", "houses/01", "v1.0")
    assert dataset.stimuli.sources == ("faces/01.png", "houses/01.png", "v1.0.png")


def test_ids_in_a_matrix_are_refused():
    with pytest.raises(DatasetError, match=r"ids has shape \(2, 2\), expected one id for each row"):
        array_ids(np.array([["a", "b"], ["c", "d"]]), where="ids")


def test_a_real_file_of_matlab_73(tmp_path):
    """Yamada, Miyawaki & Kamitani (2015): 520 volumes of 910 voxels of V1, five shapes."""
    file = REAL.resolve() / "figure_images" / "S2_figureImage.mat"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    (tmp_path / "S1.mat").symlink_to(file)
    shapes = {2001: "square", 2002: "small-frame", 2003: "large-frame", 2004: "plus", 2005: "cross"}
    (tmp_path / "names.csv").write_text("".join(f"{n},{name}\n" for n, name in shapes.items()))
    shown = " | ".join(f"D/labels = {number}" for number in shapes)
    part = "{responses: D/data, stimulus_ids: D/labels, rows: ROWS, names: names.csv}"
    spec = SPEC.replace("FILE", "S1.mat").replace("{responses: x, stimulus_ids: ids}", part)
    found = responses(tmp_path, spec.replace("ROWS", shown), stimuli=list(shapes.values()))
    names, counts = np.unique(found.stimulus_ids, return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == dict.fromkeys(
        shapes.values(), 48
    )
    assert found.values.shape == (240, 910)
    plain = spec.replace(", names: names.csv", "").replace("ROWS", shown)
    ids = responses(tmp_path, plain, stimuli=[str(n) for n in shapes]).stimulus_ids
    assert sorted(set(ids.tolist())) == [str(n) for n in shapes]


@pytest.mark.parametrize(
    "x", [np.array(30.0), np.arange(3.0), np.zeros((3, 2, 2)), np.zeros((0, 4))]
)
def test_responses_are_samples_and_voxels(tmp_path, x):
    with pytest.raises(DatasetError, match=r"'x' has shape \(.*\), expected \(samples, voxels\)"):
        saved(tmp_path, np.array(NAMES), x=x)


@pytest.mark.robust(
    "pictures",
    given="`pattern` or `names` of pictures in arrays, without `stimulus_ids`",
    before="not used: ids were counted, cross-validation-001, …",
    now="refused, as with responses in arrays",
)
@pytest.mark.parametrize("how", ["pattern: 'image_{:04d}'", "names: names.txt"])
def test_patterns_of_pictures_need_numbers(tmp_path, how):
    kind = f"{{kind: arrays, file: a.npz, parts: {{cross-validation: {{images: im, {how}}}}}}}"
    spec = SPEC.replace("{kind: names, file: stimuli.txt}", kind)
    with pytest.raises(DatasetError, match="need `stimulus_ids`, the numbers that they name"):
        saved(tmp_path, np.array(NAMES), spec, im=np.zeros((3, 8, 8), np.uint8))


def test_test_sets_may_share_an_array(tmp_path):
    """Presentations averaged, and those of a run as they are; what trains is told apart."""
    spec = SPEC.replace(
        "cross-validation: {responses: x, stimulus_ids: ids}",
        "train: {responses: y, stimulus_ids: ids}\n  tests:\n"
        "    seen: {responses: x, stimulus_ids: ids, seen_in_training: true}\n"
        "    single: {responses: x, stimulus_ids: ids, rows: run = 1, average: false, "
        "seen_in_training: true}",
    )
    ids = np.array([2001.0, 2002, 2003])
    found = saved(tmp_path, ids, spec, y=X + 1, run=np.array([1.0, 2, 1]))
    assert found.split.tolist() == ["train"] * 3 + ["seen"] * 3 + ["single"] * 2
    with pytest.raises(DatasetError, match="x holds several parts; say with `rows`"):
        saved(tmp_path, ids, spec.replace("responses: y", "responses: x"), run=ids)
