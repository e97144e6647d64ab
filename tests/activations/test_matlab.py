"""Arrays of MATLAB come out as their writer meant them; objects are refused by their class.

The objects are laid out as MATLAB writes them: in v7.3 numbers that begin with 0xDD000000, with the
attribute ``MATLAB_object_decode``; in version 5 a variable of class 17 without a shape.
"""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import hdf5storage
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from unitdb.activations.arrayfiles import read_arrays
from unitdb.errors import DatasetError

REAL = Path(scipy.io.__file__).parent / "matlab" / "tests" / "data"
OBJECT = np.array([[0xDD000000, 2, 1, 1, 1, 1]], np.uint32).T
CLASSES = ["string", "datetime", "table", "categorical", "dlarray", "containers.Map", "duration"]


def read(path, key="x"):
    return read_arrays(path, [key], error=DatasetError)[key]


def as_matlab(path):
    """Give an HDF5 file the head of a MATLAB file."""
    text = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(text.ljust(512, b"\x00") + path.read_bytes())
    return path


def put(group, name, values, kind, **attributes):
    group[name] = values
    group[name].attrs["MATLAB_class"] = np.bytes_(kind)
    for key, value in attributes.items():
        group[name].attrs[key] = value
    return group[name]


def codes(text):
    """Text as MATLAB has it in v7.3: a column of UTF-16 units."""
    return np.frombuffer(text.encode("utf-16-le"), "<u2")[:, None]


@pytest.fixture
def make(tmp_path):
    """A v7.3 file that a function fills."""

    def made(fill):
        with h5py.File(tmp_path / "a.mat", "w") as file:
            fill(file)
        return as_matlab(tmp_path / "a.mat")

    return made


@pytest.mark.robust(
    "arrays",
    given="a MATLAB v7.3 string, datetime, table, categorical, dlarray or containers.Map",
    before="ids 3707764736, 2, 1, 1, 1, 1; a dlarray was a layer of 6 units",
    now="an error that names the class and what to save instead",
)
@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("marked", [True, False])
def test_objects_are_refused(make, kind, marked):
    def fill(file):
        put(file, "x", OBJECT, kind)
        if marked:
            file["x"].attrs["MATLAB_object_decode"] = np.int32(3)

    with pytest.raises(DatasetError, match=rf"a\.mat: 'x' is an object of MATLAB's class '{kind}'"):
        read(make(fill))


def test_objects_within_objects_are_known_by_their_first_number(make):
    def fill(file):
        put(file, "x", OBJECT, "uint32")
        file.create_group("d").attrs["MATLAB_class"] = np.bytes_("dlarray")
        put(file, "d/data", np.ones((6, 1)), "double")
        put(file, "f", np.ones((1, 1)), "function_handle")

    path = make(fill)
    for key in ("x", "d", "d/data", "f"):
        with pytest.raises(DatasetError, match="is an object of MATLAB's class"):
            read(path, key)


def test_the_inside_of_a_file_is_no_array(make):
    def fill(file):
        put(file, "#refs#/a", np.ones((2, 2)), "double")
        put(file, "#subsystem#/MCOS", OBJECT, "FileWrapper__")

    path = make(fill)
    for key in ("#refs#/a", "#subsystem#/MCOS"):
        with pytest.raises(DatasetError, match="where MATLAB keeps the inside"):
            read(path, key)


def element(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def opaque(name, kind):
    """An object as MATLAB 5 files have it."""
    flags = element(6, struct.pack("<II", 17, 0))
    texts = [element(1, text) for text in (name, b"MCOS", kind)]
    inner = [struct.pack("<II", 13, 0), struct.pack("<ii", 6, 1), b"", OBJECT.tobytes()]
    matrix = b"".join(element(kind, body) for kind, body in zip((6, 5, 1, 6), inner, strict=True))
    return element(14, flags + b"".join(texts) + element(14, matrix))


@pytest.mark.robust(
    "arrays",
    given="a MATLAB 5 file with numbers beside a string, table or other object",
    before="no array of the file could be read: TypeError: 'NoneType' object is not iterable",
    now="the numbers are read; the object is refused by its class",
)
def test_objects_of_matlab_5(tmp_path):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": np.eye(2)})
    path.write_bytes(path.read_bytes() + opaque(b"ids", b"string"))
    np.testing.assert_array_equal(read(path), np.eye(2))
    with pytest.raises(DatasetError, match=r"a\.mat: 'ids' is an object of class 'string'"):
        read(path, "ids")


@pytest.mark.robust(
    "arrays",
    given="MATLAB's sparse arrays, version 5 and v7.3, logical ones and empty ones too",
    before="v7.3: 'x' is a group; version 5: refused, logical ones read as an object of scipy's",
    now="read in full, zeros where nothing is stated",
)
@pytest.mark.parametrize("kind", [np.float64, bool])
@pytest.mark.parametrize("empty", [False, True])
def test_sparse_arrays(tmp_path, make, kind, empty):
    full = np.zeros((3, 4), kind) if empty else np.array([[0, 0, 0, 7], [5, 0, 0, 0], [0, 3, 0, 1]])
    full = full.astype(kind)
    columns = scipy.sparse.csc_array(full)
    scipy.io.savemat(tmp_path / "5.mat", {"x": columns})

    def fill(file):
        group = file.create_group("x")
        group.attrs["MATLAB_class"] = np.bytes_("logical" if kind is bool else "double")
        group.attrs["MATLAB_sparse"] = np.uint64(3)
        group["jc"] = columns.indptr.astype(np.uint64)
        if not empty:
            group["ir"] = columns.indices.astype(np.uint64)
            group["data"] = columns.data.astype(np.uint8 if kind is bool else kind)

    for path in (tmp_path / "5.mat", make(fill)):
        found = read(path)
        np.testing.assert_array_equal(found, full)
    assert found.dtype == kind


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ir": [0, 9]}, "has a value outside of them"),
        ({"jc": [0, 2, 1]}, "do not follow each other"),
        ({"jc": [0, 1, 9]}, "states more values than it holds"),
        ({"ir": [0, 0], "jc": [0, 2, 2]}, "two values at one place"),
        ({"n_rows": 10**12}, "would become"),
    ],
)
def test_sparse_arrays_that_are_none(make, change, message):
    parts = {"n_rows": 3, "ir": [0, 1], "jc": [0, 1, 2], "data": [1.0, 2.0]} | change

    def fill(file):
        group = file.create_group("x")
        group.attrs["MATLAB_class"] = np.bytes_("double")
        group.attrs["MATLAB_sparse"] = np.uint64(parts["n_rows"])
        for part in ("ir", "jc"):
            group[part] = np.array(parts[part], np.uint64)
        group["data"] = parts["data"]

    with pytest.raises(DatasetError, match=message):
        read(make(fill))


@pytest.mark.parametrize("version", ["4.2c_SOL2", "6.1_SOL2", "7.4_GLNX86"])
def test_sparse_arrays_that_matlab_wrote(version):
    path = REAL / f"testsparse_{version}.mat"
    expected = scipy.io.loadmat(path)["testsparse"].toarray()
    np.testing.assert_array_equal(read(path, "testsparse"), expected)
    assert expected.any()


@pytest.mark.robust(
    "arrays",
    given="a v7.3 cell array with a text in a column, or with two rows of text",
    before="the first character or row of it: 'cat' was 'c'",
    now="the column's text; two rows are an error",
)
def test_text_by_columns(make):
    def fill(file):
        refs = file.create_group("#refs#")
        put(refs, "a", codes("cat"), "char")
        put(refs, "b", codes("dög 狗🐕").T, "char")  # MATLAB's column
        put(refs, "c", np.hstack([codes("ab"), codes("cd")]), "char")
        put(refs, "e", np.array([0, 0], np.uint64), "char", MATLAB_empty=np.uint8(1))
        links = [refs[name].ref for name in "abe"]
        put(file, "x", np.array([links], dtype=h5py.ref_dtype), "cell")
        put(file, "two", np.array([[refs["c"].ref]], dtype=h5py.ref_dtype), "cell")
        put(file, "rows", np.array([list(map(ord, "abc")), list(map(ord, "de "))], "u2").T, "char")
        put(file, "column", codes("abc").T, "char")

    path = make(fill)
    assert read(path).tolist() == ["cat", "dög 狗🐕", ""]
    assert read(path, "rows").tolist() == ["abc", "de "]
    assert read(path, "column").tolist() == ["a", "b", "c"]
    with pytest.raises(DatasetError, match="'two': cell 1 holds 2 rows of text, expected one"):
        read(path, "two")


def test_text_by_columns_in_matlab_5(tmp_path):
    cells = np.empty(2, dtype=object)
    cells[:] = ["dog", np.array([["c"], ["a"], ["t"]])]
    scipy.io.savemat(tmp_path / "a.mat", {"x": cells, "y": np.array(["ab ", "cde"])})
    assert read(tmp_path / "a.mat").tolist() == ["dog", "cat"]
    assert [text.strip() for text in read(tmp_path / "a.mat", "y")] == ["ab", "cde"]


def test_characters_that_are_none_are_refused(make):
    path = make(lambda file: put(file, "x", np.array([[0xD800], [65]], "u2"), "char"))
    with pytest.raises(DatasetError, match=r"a\.mat: 'x' holds characters that are none"):
        read(path)


def test_logical_integers_and_complex_numbers(make):
    def fill(file):
        put(file, "yes", np.array([[0, 1]], "u1"), "logical", MATLAB_int_decode=np.int32(1))
        put(file, "odd", np.array([[0, 2]], "u1"), "logical", MATLAB_int_decode=np.int32(1))
        put(file, "whole", np.array([[-3, 4]], "i2"), "int16")
        both = np.array([[(1.0, 2.0)]], [("real", "f8"), ("imag", "f8")])
        put(file, "both", both, "double")

    path = make(fill)
    found = read(path, "yes")
    assert found.dtype == bool
    assert found.ravel().tolist() == [False, True]
    assert read(path, "whole").tolist() == [[-3], [4]]
    assert read(path, "both").item() == 1 + 2j
    with pytest.raises(DatasetError, match="its class is logical, and it holds other values"):
        read(path, "odd")


@pytest.mark.robust(
    "bounds",
    given="a v7.3 array marked as empty whose shape is a million times a million",
    before="7 TiB were asked for",
    now="an error; shapes of real empty arrays (0 × 5) are kept",
)
def test_empty_arrays(make):
    def fill(file):
        marked = {"MATLAB_empty": np.uint8(1)}
        put(file, "none", np.array([0, 5], np.uint64), "double", **marked)
        put(file, "yes", np.array([0, 5], np.uint64), "logical", **marked)
        put(file, "text", np.array([0, 0], np.uint64), "char", **marked)
        put(file, "huge", np.array([10**6, 10**6], np.uint64), "double", **marked)
        put(file, "wide", np.array([0, 2**63], np.uint64), "double", **marked)

    path = make(fill)
    with pytest.raises(DatasetError, match="'huge' is marked as empty, and has the shape"):
        read(path, "huge")
    assert read(path, "none").shape == (0, 5)
    assert read(path, "yes").dtype == bool
    assert read(path, "text").tolist() == []
    assert read(path, "wide").size == 0


@pytest.mark.robust(
    "bounds",
    given="a cell array of 100,000 cells that are one text of 30,000 characters, or of 1.1 million",
    before="still being read after 60 s; memory grew until the process was killed",
    now="an error before anything is read",
)
@pytest.mark.parametrize("kind", ["never written", "one text", "too many"])
def test_huge_cell_arrays(make, kind):
    def fill(file):
        if kind == "never written":
            shape = (250_000, 100_000)
            file.create_dataset("x", shape, h5py.ref_dtype, chunks=(1000, 1000))
        else:
            text = put(file.create_group("#refs#"), "a", codes("x" * 30_000), "char")
            n = 100_000 if kind == "one text" else 1_100_000
            links = np.full((1, n), text.ref, dtype=h5py.ref_dtype)
            file.create_dataset("x", data=links, compression="gzip")
        file["x"].attrs["MATLAB_class"] = np.bytes_("cell")

    with pytest.raises(DatasetError, match=r"would become|1,100,000 cells, more than 1,000,000"):
        read(make(fill))


@pytest.mark.robust(
    "hostile",
    given="a cell of a v7.3 file that stands for an array in another file (external or virtual)",
    before="text of a file outside of the data folder came out in a message",
    now="refused, nothing is opened",
)
@pytest.mark.parametrize("storage", ["external", "virtual"])
def test_cells_do_not_lead_out_of_the_file(tmp_path, make, storage):
    secret = tmp_path / "secret"
    secret.write_bytes("secret".encode("utf-16-le"))
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = codes("secret")

    def fill(file):
        refs = file.create_group("#refs#")
        if storage == "external":
            cell = refs.create_dataset("a", (6, 1), "u2", external=[(str(secret), 0, 12)])
        else:
            layout = h5py.VirtualLayout((6, 1), "u2")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (6, 1))
            cell = refs.create_virtual_dataset("a", layout)
        cell.attrs["MATLAB_class"] = np.bytes_("char")
        put(file, "x", np.array([[cell.ref]], dtype=h5py.ref_dtype), "cell")

    with pytest.raises(DatasetError, match="cell 1 is stored in another file; it is not read"):
        read(make(fill))


def test_cells_that_were_never_written(make):
    def fill(file):
        nothing = np.full((1, 2), h5py.Reference(), dtype=h5py.ref_dtype)
        put(file, "x", nothing, "cell")

    with pytest.raises(DatasetError, match=r"'x': cell 1 was never written"):
        read(make(fill))


def test_a_cell_array_of_hdf5storage_is_its_texts(tmp_path):
    cells = np.array(["cat", "", "a dög 狗"], dtype=object)
    hdf5storage.savemat(str(tmp_path / "a.mat"), {"x": cells})
    assert read(tmp_path / "a.mat").tolist() == cells.tolist()


def test_logical_arrays_that_matlab_wrote():
    found = read(REAL / "testbool_8_WIN64.mat", "testbools")
    assert found.dtype == bool
    assert found.ravel().tolist() == [True, False]


@pytest.mark.parametrize(
    ("name", "key", "kind"),
    [
        ("testobject_7.4_GLNX86", "testobject", "an object"),
        ("testfunc_7.4_GLNX86", "testfunc", "a function handle"),
        ("teststruct_7.4_GLNX86", "teststruct", "a struct"),
    ],
)
def test_objects_that_matlab_wrote(name, key, kind):
    with pytest.raises(DatasetError, match=f"'{key}' is {kind}, expected numbers or text"):
        read(REAL / f"{name}.mat", key)


@pytest.mark.parametrize("version", ["4.2c_SOL2", "6.1_SOL2", "7.4_GLNX86"])
def test_texts_that_matlab_wrote(version):
    found = read(REAL / f"teststringarray_{version}.mat", "teststringarray")
    assert [text.strip() for text in found] == ["one", "two", "three"]
