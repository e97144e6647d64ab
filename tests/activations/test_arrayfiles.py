"""Arrays come out of files as they went in, whatever the kind of file."""

import zipfile

import h5py
import hdf5storage
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as arrays

from unitdb.activations.arrayfiles import read_arrays
from unitdb.errors import DatasetError

X = np.arange(24.0).reshape(2, 3, 4)
NAMES = ["cat", "a dög 狗"]


def read(path, *keys):
    found = read_arrays(path, keys, error=DatasetError)
    return found[keys[0]] if len(keys) == 1 else found


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.uint8, np.int16, np.bool_]),
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=4),
        elements={"allow_nan": False},
    )
)
def test_arrays_of_any_shape_come_back_from_any_file(tmp_path_factory, values):
    folder = tmp_path_factory.getbasetemp()
    np.savez(folder / "a.npz", x=values)
    scipy.io.savemat(folder / "5.mat", {"x": values})
    hdf5storage.savemat(str(folder / "7.mat"), {"x": values})
    with h5py.File(folder / "a.h5", "w") as file:
        file["group/x"] = values
    (folder / "npy").mkdir(exist_ok=True)
    np.save(folder / "npy" / "x.npy", values)
    for path, key in (("a.npz", "x"), ("5.mat", "x"), ("7.mat", "x"), ("npy", "x")):
        np.testing.assert_array_equal(read(folder / path, key), values)
    np.testing.assert_array_equal(read(folder / "a.h5", "group/x"), values)


@pytest.mark.parametrize("name", ["5.mat", "7.mat"])
@pytest.mark.parametrize("kind", ["cell", "characters", "numpy text"])
def test_text_of_matlab(tmp_path, name, kind):
    ids = np.array(NAMES, dtype=object) if kind == "cell" else np.array(NAMES)
    if name == "5.mat":
        scipy.io.savemat(tmp_path / name, {"ids": ids, "x": X})
    elif kind != "characters":
        hdf5storage.savemat(str(tmp_path / name), {"ids": ids, "x": X})
    else:  # a character matrix as MATLAB has it: characters x rows in the file
        with h5py.File(tmp_path / name, "w") as file:
            rows = [list(map(ord, text.ljust(7))) for text in NAMES]
            file["ids"] = np.array(rows, np.uint16).T
            file["ids"].attrs["MATLAB_class"] = np.bytes_("char")
        path = tmp_path / name
        path.write_bytes(_matlab_header() + path.read_bytes())
    assert [text.rstrip() for text in read(tmp_path / name, "ids").ravel()] == NAMES


def _matlab_header():
    text = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    return text.ljust(512, b"\x00")


@pytest.mark.parametrize("name", ["5.mat", "7.mat"])
def test_cells_of_numbers_are_refused(tmp_path, name):
    cells = np.empty(2, dtype=object)
    cells[:] = [np.zeros(2), np.ones(3)]
    save = scipy.io.savemat if name == "5.mat" else hdf5storage.savemat
    save(str(tmp_path / name), {"x": cells})
    with pytest.raises(DatasetError, match=rf"{name}: 'x' is a cell or object array"):
        read(tmp_path / name, "x")


def test_a_struct_of_matlab_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": {"a": 1}, "y": X})
    with pytest.raises(DatasetError, match=r"a\.mat: 'x' is a struct, expected numbers or text"):
        read(tmp_path / "a.mat", "x")
    np.testing.assert_array_equal(read(tmp_path / "a.mat", "y"), X)


def test_parquet_columns(tmp_path):
    table = {
        "picture": NAMES,
        "v0": [1.0, 2.0],
        "v1": [3.0, 4.0],
        "in_v1": [True, False],
        "pattern": [[1, 2, 3], [4, 5, 6]],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", "picture", "v*", "in_v1", "pattern", "v1")
    assert found["picture"].tolist() == NAMES
    np.testing.assert_array_equal(found["v*"], [[1, 3], [2, 4]])
    np.testing.assert_array_equal(found["in_v1"], [True, False])
    np.testing.assert_array_equal(found["pattern"], table["pattern"])
    np.testing.assert_array_equal(found["v1"], [3, 4])
    assert read(tmp_path, "a/v0").tolist() == [1, 2]
    pd.DataFrame({"picture": pd.Categorical(NAMES)}).to_parquet(tmp_path / "b.parquet")
    assert read(tmp_path / "b.parquet", "picture").tolist() == NAMES


@pytest.mark.robust(
    "arrays",
    given="a Parquet key such as `v[1]` or `what?`, beside columns `v[1]` and `v1`",
    before="both columns, as one array",
    now="the column of that name; `*` alone stands for others",
)
@pytest.mark.parametrize("name", ["v[1]", "v?", "[!w]1"])
def test_names_of_parquet_columns_are_no_patterns(tmp_path, name):
    pq.write_table(pa.table({name: [1.0], "v1": [3.0]}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", name).tolist() == [1]


@pytest.mark.parametrize(
    ("columns", "key", "message"),
    [
        ({"x": [1.0, None]}, "x", r"'x' has 1 empty \(null\) values"),
        ({"x": [[1], [1, 2]]}, "x", "lists of 'x' have different lengths"),
        ({"v0": ["a"], "v1": ["b"]}, "v*", "hold more than single numbers"),
        ({"voxels": [1]}, "voxel", "has no array 'voxel'; there are: voxels"),
    ],
)
def test_parquet_columns_that_are_wrong(tmp_path, columns, key, message):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=rf"a\.parquet: .*{message}"):
        read(tmp_path / "a.parquet", key)


def test_a_key_does_not_lead_out_of_a_folder(tmp_path):
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "inside").mkdir()
    for key in ("../x", str(tmp_path / "x"), "x"):
        with pytest.raises(DatasetError, match="has no array"):
            read(tmp_path / "inside", key)


@pytest.mark.parametrize("storage", ["link", "external", "virtual", "soft"])
def test_arrays_outside_an_hdf5_file_are_refused(tmp_path, storage):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(3.0)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        if storage == "link":
            file["x"] = h5py.ExternalLink("secret.h5", "/x")
        elif storage == "soft":
            file["x"] = h5py.SoftLink("/y")
        elif storage == "external":
            external = [(str(tmp_path / "secret.h5"), 0, 24)]
            file.create_dataset("x", (3,), "f8", external=external)
        else:
            layout = h5py.VirtualLayout((3,), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (3,))
            file.create_virtual_dataset("x", layout)
    with pytest.raises(DatasetError, match=r"a\.h5: 'x' is .* it is not read"):
        read(tmp_path / "a.h5", "x")


def write_npz_bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as file,
    ):
        zeros = bytes(2**20)
        for _ in range(300):
            file.write(zeros)


def write_hdf5_bomb(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**9,), "f8", chunks=(1000,))


def write_mat_bomb(path):
    scipy.io.savemat(path, {"x": np.zeros((1, 40_000_000))}, do_compression=True)


def write_cell_bomb(path):
    """A cell array of one text, the size of which the list of variables does not state."""
    cells = np.empty(1, dtype=object)
    cells[0] = np.zeros(300_000_000, dtype=np.uint8)
    scipy.io.savemat(path, {"x": cells}, do_compression=True)


def write_parquet_bomb(path):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(40_000_000)), 40_000)
    pq.write_table(pa.table({"x": lists}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npz", write_npz_bomb),
        ("a.h5", write_hdf5_bomb),
        ("a.mat", write_mat_bomb),
        ("a.mat", write_cell_bomb),
        ("a.parquet", write_parquet_bomb),
    ],
)
def test_what_would_become_far_larger_is_not_read(tmp_path, name, write):
    write(tmp_path / name)
    with pytest.raises(DatasetError, match=rf"{name}: a file of .* bytes would become"):
        read(tmp_path / name, "x")


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.h5", "a.parquet"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(DatasetError, match=f"{name}: cannot be read"):
        read(tmp_path / name, "x")


@pytest.mark.parametrize("shape", [(10**6, 10**6), (10**12, 10**12)])
def test_a_header_that_states_more_than_there_is(tmp_path, shape):
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DatasetError, match=r"x\.npy states 8,000,.* bytes and holds 128"):
        read(tmp_path, "x")


def test_a_short_mat_is_named(tmp_path):
    """SciPy raises IndexError."""
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(DatasetError, match=r"a\.mat: cannot be read"):
        read(tmp_path / "a.mat", "x")


def test_pickles_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    for path in (tmp_path, tmp_path / "a.npz"):
        with pytest.raises(DatasetError, match="cannot be read"):
            read(path, "x")


def test_a_file_of_another_kind(tmp_path):
    with pytest.raises(DatasetError, match=r"read from \.npz, \.mat, \.h5, \.hdf5 and \.parquet"):
        read(tmp_path / "a.csv", "x")
