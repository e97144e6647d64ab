"""What was never written, or lies elsewhere, does not become a number, in any format."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from unitdb.activations import FeatureModel
from unitdb.activations.arrayfiles import read_arrays
from unitdb.activations.features import load_features
from unitdb.activations.hdf5 import open_hdf5
from unitdb.activations.zarrfiles import open_zarr
from unitdb.errors import ActivationsError, DatasetError
from unitdb.imports.matfile import read_accuracy
from unitdb.responses.bdata import open_bdata


def read(path, key="x"):
    return read_arrays(path, [key], error=DatasetError)[key]


@pytest.fixture
def make(tmp_path):
    def made(fill):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            fill(file)
        return tmp_path / "a.h5"

    return made


def contiguous(file):
    file.create_dataset("x", (3, 4), "f8")


def chunked(file):
    file.create_dataset("x", (4, 4), "f8", chunks=(2, 2))[:2] = 1


def grown(file):
    file.create_dataset("x", data=np.ones((2, 2)), chunks=(2, 2), maxshape=(None, 2))
    file["x"].resize((4, 2))


def filled(file):
    file.create_dataset("x", (4, 4), "f8", chunks=(4, 4), fillvalue=-1)[:2] = 1


def netcdf(file):
    file["x"] = np.array([[1.0, -999.0]])
    file["x"].attrs["_FillValue"] = -999.0


def packed(file):
    file["x"] = np.array([[1, 2]], np.int16)
    file["x"].attrs["scale_factor"] = 0.01


@pytest.mark.robust(
    "arrays",
    given="HDF5 arrays of which parts were never written (chunks, a fill value, _FillValue), or "
    "packed (scale_factor)",
    before="fill values: 0, -1, -999; packed numbers",
    now="an error that names the array and the first place",
)
@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (contiguous, "was never written: the file has its shape alone"),
        (chunked, r"2 of 4 chunks were never written, the first at \[2, 0\]"),
        (grown, r"1 of 2 chunks were never written, the first at \[2, 0\]"),
        (filled, r"8 values are -1.*, the first at \[2, 0\]"),
        (netcdf, r"1 values are -999.0, which .*, the first at \[0, 1\]"),
        (packed, "is packed .*'scale_factor'"),
    ],
)
def test_hdf5_that_was_never_written(make, fill, message):
    with pytest.raises(DatasetError, match=rf"a\.h5: 'x'.* ?{message}"):
        read(make(fill))


def test_nothing_at_all_is_no_array(make):
    path = make(lambda file: file.create_dataset("x", data=h5py.Empty("f8")))
    with pytest.raises(DatasetError, match=r"a\.h5: 'x' holds no values"):
        read(path)


@pytest.mark.parametrize("chunks", [None, (2, 2)])
def test_what_was_written_is_read(make, chunks):
    values = np.arange(6.0).reshape(2, 3)
    assert not values[0, 0]
    path = make(lambda file: file.create_dataset("x", data=values, chunks=chunks, fillvalue=9.0))
    np.testing.assert_array_equal(read(path), values)
    nothing = make(lambda file: file.create_dataset("x", (0, 3), "f8"))
    assert read(nothing).shape == (0, 3)


@pytest.mark.robust(
    "arrays",
    given="text of an HDF5 file in no UTF-8, and references where ids should be",
    before="ids with �, equal where the texts differ, and '<HDF5 object reference>'",
    now="an error that names the array",
)
def test_text_of_hdf5(make):
    def fill(file):
        file["latin"] = np.array([b"caf\xe9", b"caf\xe8"])
        file["refs"] = np.array([file["latin"].ref], dtype=h5py.ref_dtype)
        file["lists"] = np.array([np.arange(2.0), np.arange(3.0)], dtype=h5py.vlen_dtype("f8"))
        file["good"] = ["cat", "café"]
        file["fixed"] = np.array([b"cat", "café".encode()])

    path = make(fill)
    assert read(path, "good").tolist() == read(path, "fixed").tolist() == ["cat", "café"]
    for key, message in (
        ("latin", "holds b'caf.xe9', which is no UTF-8"),
        ("refs", "holds a Reference, expected text"),
        ("lists", "expected numbers or text"),
    ):
        with pytest.raises(DatasetError, match=rf"'{key}' {message}|'{key}' .*{message}"):
            read(path, key)


@pytest.mark.robust(
    "hostile",
    given="an HDF5 array stored through a filter that HDF5 loads from HDF5_PLUGIN_PATH",
    before="the plugin's code was loaded",
    now="refused by the filter's number",
)
def test_filters_that_are_programs_are_refused(make, monkeypatch, tmp_path):
    monkeypatch.setenv("HDF5_PLUGIN_PATH", str(tmp_path))
    options = {"compression": "gzip", "shuffle": True}
    path = make(lambda file: file.create_dataset("x", data=np.ones((64, 64)), **options))
    content = path.read_bytes()
    # The message of the filter: its number 1, the length of its name, its flags.
    old = b"\x01\x00\x08\x00\x01\x00\x01\x00deflate\x00"
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, b"\x0f\x7d" + old[2:]))
    with pytest.raises(DatasetError, match=r"'x' is stored through filter 32015, which needs"):
        read(path)


def outside(file, place, tmp_path, storage):
    if storage == "external":
        file.create_dataset(place, (2, 3), "f8", external=[(str(tmp_path / "s"), 0, 48)])
    elif storage == "virtual":
        layout = h5py.VirtualLayout((2, 3), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "s.h5"), "x", (2, 3))
        file.create_virtual_dataset(place, layout)
    else:
        kinds = {"soft": h5py.SoftLink("/y"), "link": h5py.ExternalLink("s.h5", "/x")}
        file[place] = kinds[storage]


@pytest.mark.parametrize("storage", ["external", "virtual", "soft", "link"])
@pytest.mark.parametrize("place", ["dataset", "metadata", "metadata/key", "metadata/value", "vmap"])
def test_no_part_of_a_bdata_file_lies_elsewhere(tmp_path, make, storage, place):
    with h5py.File(tmp_path / "s.h5", "w") as secret:
        secret["x"] = np.ones((2, 3))
    (tmp_path / "s").write_bytes(bytes(48))

    def fill(file):
        whole = {"dataset": np.ones((2, 3)), "metadata/key": [b"a"], "metadata/value": [[1.0] * 3]}
        for name, values in whole.items():
            if not name.startswith(place):
                file[name] = values
        outside(file, place, tmp_path, storage)

    message = r"a\.h5: .*(it is not read|is an array, expected a group|has no array)"
    with pytest.raises(DatasetError, match=message), open_bdata(make(fill)):
        pass


def test_imports_look_at_the_same(tmp_path, make):
    path = make(lambda file: file.create_dataset("accuracy", (5, 1), "f8"))
    with pytest.raises(Exception, match="'accuracy' was never written"):
        read_accuracy(path)


def zarr_array(path, **options):
    shape = {"shape": (4, 6), "chunks": (2, 3), "dtype": "f4"}
    array = zarr.create_array(path, **(shape | options), config={"write_empty_chunks": True})
    array[:] = np.arange(24.0).reshape(4, 6)
    return path


def load_layer(folder, name="a"):
    """Load a zarr array as the features of a network."""
    (folder / "stimuli.txt").write_text("s\nt\nu\nv\n")
    spec = {"name": "n", "title": "t", "licence": "l", "source": "s", "citation": "c"}
    features = {"folders": [folder.name], "format": "zarr"}
    model = FeatureModel.model_validate(spec | {"features": features, "layers": {"l": name}})
    return load_features(model, folder=folder.parent)


SHARDED = {"shape": (4, 6), "chunks": (1, 3), "shards": (2, 6)}


@pytest.mark.parametrize(
    "options", [{}, {"zarr_format": 2}, SHARDED, {"compressors": None}, {"dtype": "i8"}]
)
def test_zarr_is_read(tmp_path, options):
    array = open_zarr(zarr_array(tmp_path / "a.zarr", **options), error=DatasetError)
    np.testing.assert_array_equal(array[0:4], np.arange(24).reshape(4, 6))


@pytest.mark.robust(
    "arrays",
    given="a zarr array with a chunk that is not there, format 2, 3 or sharded",
    before="the fill value, 0: a layer's activations were 0",
    now="an error that names the first such chunk",
)
@pytest.mark.parametrize("options", [{}, {"zarr_format": 2}, SHARDED])
def test_chunks_that_are_not_there(tmp_path, options):
    shape = {"shape": (4, 6), "chunks": (2, 3), "dtype": "f4"} | options
    zarr.create_array(tmp_path / "a.zarr", **shape)[:2] = 1
    with pytest.raises(ActivationsError, match=r"the chunk at \[2, 0\] is not there"):
        load_layer(tmp_path)
    if options is SHARDED:
        array = zarr.create_array(tmp_path / "b.zarr", **shape)
        array[0, :3] = 1
        array[2:] = 1
        with pytest.raises(ActivationsError, match=r"the chunk at \[0, 3\] is not there"):
            load_layer(tmp_path, "b")


def test_fill_values_of_zarr_are_missing(tmp_path):
    path = zarr_array(tmp_path / "a.zarr", fill_value=7.0)
    with pytest.raises(DatasetError, match=r"row 1 has the value 7\.0"):
        open_zarr(path, error=DatasetError)[0:4]


def change(path, **keys):
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


PICKLE = {"name": "numcodecs.pickle", "configuration": {}}


@pytest.mark.robust(
    "hostile",
    given="metadata of zarr that name the codec pickle, any other codec, or a type of objects",
    before="with numcodecs 0.16.1 to 0.16.5 a command ran",
    now="refused before zarr sees them, by lists of codecs and types",
)
@pytest.mark.parametrize(
    ("form", "keys"),
    [
        (3, {"codecs": [PICKLE]}),
        (3, {"codecs": [{"name": "bytes"}, PICKLE]}),
        (3, {"codecs": [{"name": "vlen-bytes"}]}),
        (3, {"codecs": "pickle"}),
        (3, {"codecs": []} | {"data_type": "string"}),
        (3, {"data_type": {"name": "null_terminated_bytes", "configuration": {}}}),
        (3, {"storage_transformers": [{"name": "pickle"}]}),
        (
            3,
            {
                "codecs": [
                    {
                        "name": "sharding_indexed",
                        "configuration": {
                            "chunk_shape": [1, 3],
                            "codecs": [PICKLE],
                            "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
                        },
                    }
                ]
            },
        ),
        (3, {"node_type": "group"}),
        (2, {"filters": [{"id": "pickle"}]}),
        (2, {"compressor": {"id": "pickle"}}),
        (2, {"filters": [{"id": "json2"}], "dtype": "|O"}),
        (2, {"dtype": "|O"}),
        (2, {"dtype": [["a", "<f8"]]}),
        (2, {"dtype": "<M8[ns]"}),
    ],
)
def test_codecs_and_types_are_on_lists(tmp_path, monkeypatch, form, keys):
    path = zarr_array(tmp_path / "a.zarr", zarr_format=form)
    change(path / ("zarr.json" if form == 3 else ".zarray"), **keys)
    monkeypatch.setattr(zarr, "open_array", None)  # whoever calls it fails
    message = "asks for the codec|holds the type|asks for transformers|is no array of zarr"
    with pytest.raises(ActivationsError, match=rf"a\.zarr.*({message})"):
        load_layer(tmp_path)


@pytest.mark.robust(
    "arrays",
    given="a zarr array that is packed (scale_factor), or whose attributes state missing values: a "
    "list, text, or Base64 as xarray writes it",
    before="the packed numbers, and the marks, were numbers of the network",
    now="refused as in HDF5",
)
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"scale_factor": 0.5}, "is packed .*'scale_factor'"),
        ({"add_offset": 10}, "is packed .*'add_offset'"),
        ({"missing_value": [-1.0, 3.0]}, "row 0 has the value 3"),
        ({"missing_value": "3"}, "row 0 has the value 3"),
        ({"missing_value": 0}, "row 0 has the value 0"),
        ({"_FillValue": "AAAAAAAACEA="}, "row 0 has the value 3"),  # 3.0
        ({"_FillValue": "none"}, "'_FillValue' is 'none': which values are missing is not known"),
        ({"_FillValue": {"of": 3}}, "which values are missing is not known"),
    ],
)
def test_attributes_of_zarr_say_what_numbers_mean(tmp_path, attributes, message):
    path = zarr_array(tmp_path / "a.zarr")
    zarr.open_array(path).attrs.update(attributes)
    with pytest.raises(DatasetError, match=rf"a\.zarr: .*{message}"):
        open_zarr(path, error=DatasetError)[0:4]


def test_missing_numbers_of_zarr_are_nan(tmp_path):
    path = zarr_array(tmp_path / "a.zarr")
    zarr.open_array(path).attrs["_FillValue"] = "NaN"
    assert open_zarr(path, error=DatasetError)[0:4].shape == (4, 6)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_zarr_arrays_without_values(tmp_path, shape):
    zarr.create_array(tmp_path / "a.zarr", shape=shape, chunks=(2, 2), dtype="f4")
    assert open_zarr(tmp_path / "a.zarr", error=DatasetError).shape == shape
    change(tmp_path / "a.zarr" / "zarr.json", shape=[4, 4])
    with pytest.raises(DatasetError, match=r"a\.zarr: "):
        open_zarr(tmp_path / "a.zarr", error=DatasetError)


def test_a_folder_that_is_no_zarr(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(DatasetError, match=r"neither zarr\.json nor \.zarray"):
        open_zarr(tmp_path / "a.zarr", error=DatasetError)
    for content in ("{", "[]", "[" * 100_000, " " * 2**21):
        (tmp_path / "a.zarr" / "zarr.json").write_text(content)
        with pytest.raises(DatasetError, match=r"zarr\.json: "):
            open_zarr(tmp_path / "a.zarr", error=DatasetError)


CATEGORIES = pa.array(["a", None]).dictionary_encode()


@pytest.mark.robust(
    "arrays",
    given="Parquet columns of lists with a null in one of them",
    before="NaN in its place, whole numbers as floats",
    now="an error with the number of nulls and the first",
)
@pytest.mark.parametrize(
    "column",
    [pa.array([[1, 2], [3, None]]), pa.array([1, None]), pa.array(["a", None]), CATEGORIES],
)
def test_nulls_of_parquet(tmp_path, column):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": column}), path)
    with pytest.raises(DatasetError, match=r"'x' has 1 empty \(null\) values, the first in row"):
        read(path)


def test_a_dictionary_is_not_read_out_of_proportion(tmp_path):
    path = tmp_path / "a.parquet"
    many = pa.DictionaryArray.from_arrays(np.zeros(5000, np.int32), ["y" * 10**6])
    pq.write_table(pa.table({"x": many}), path, store_schema=False)
    with pytest.raises(DatasetError, match=r"would become 20,000,000,000 bytes"):
        read(path)


def test_bytes_and_repeated_names_of_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [b"cat", "dög".encode()], "a.b": [1, 2]}), path)
    assert read(path).tolist() == ["cat", "dög"]
    assert read(path, "a.b").tolist() == [1, 2]
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), path)
    with pytest.raises(DatasetError, match="2 columns are named 'x'"):
        read(path)


def test_errors_are_one_line(tmp_path, make):
    path = make(lambda file: file.create_dataset("a\nb\x1b[31m", data=1.0))
    with pytest.raises(DatasetError) as caught:
        read(path)
    assert str(caught.value).isprintable()
    with pytest.raises(DatasetError, match="x y"), open_hdf5(path, error=DatasetError):
        raise ValueError("x\ny")
