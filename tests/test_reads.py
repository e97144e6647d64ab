"""One door for all readers: what is not downloaded says so, with the command that downloads it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from tests.activations.conftest import write_model
from unitdb.activations import FeatureModel, load_features, load_model
from unitdb.activations.arrayfiles import read_arrays
from unitdb.activations.hdf5 import open_hdf5
from unitdb.cli import main
from unitdb.errors import (
    ActivationsError,
    DatasetError,
    NotDownloadedError,
    RecipeError,
    UnitdbError,
)
from unitdb.imports.matfile import read_accuracy
from unitdb.reads import note_read, why_missing
from unitdb.responses import DatasetSpec
from unitdb.responses.bids_images import bold_grid
from unitdb.responses.stimuli import folder_stimuli
from unitdb.responses.stimuli_spec import FolderStimuli
from unitdb.specs import read_spec
from unitdb.texts import read_list, read_text

KEY = "SHA256E-s3--0000000000000000000000000000000000000000000000000000000000000000.bin"


def features(path: Path, form: str) -> None:
    """Read features of a layer: a file of it is the one that is not there."""
    layer = path.parent if form in ("mat", "npy") else path
    spec = FeatureModel(
        name="net",
        title="",
        features={"folders": [layer.parent.name], "format": form},
        layers={"a": layer.stem if form in ("stacked", "zarr") else layer.name},
        licence="",
        source="",
        citation="",
    )
    if form in ("stacked", "zarr"):
        (layer.parent / "stimuli.txt").write_text("x\n")
    load_features(spec, folder=layer.parent.parent)


def pictures(path: Path) -> None:
    folder_stimuli(FolderStimuli(kind="folder", folder=path.parent.name), path.parents[1]).image(0)


def arrays(path: Path) -> None:
    read_arrays(path, ["x"], error=DatasetError)


def hdf5(path: Path) -> None:
    with open_hdf5(path, error=DatasetError) as file:
        assert isinstance(file, h5py.File)


def weights(path: Path) -> None:
    load_model(write_model(path.parent, weights=path.name), folder=path.parent)


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "npz": ("x.npz", arrays),
    "mat": ("x.mat", arrays),
    "h5": ("x.h5", arrays),
    "parquet": ("x.parquet", arrays),
    "npy of a folder": ("x.npy", lambda path: arrays(path.parent)),
    "hdf5": ("x.h5", hdf5),
    "text": ("x.tsv", lambda path: read_text(path, error=DatasetError)),
    "list": ("x.txt", lambda path: read_list(path, error=ActivationsError)),
    "picture": ("x.jpg", pictures),
    "NIfTI": ("x.nii.gz", bold_grid),
    "features mat": ("x.mat", lambda path: features(path, "mat")),
    "features npy": ("x.npy", lambda path: features(path, "npy")),
    "features stacked": ("x.npy", lambda path: features(path, "stacked")),
    "features zarr": ("x.zarr/zarr.json", lambda path: features(path.parent, "zarr")),
    "weights": ("x.pt", weights),
    "recipe": ("x.yaml", lambda path: read_spec(path, DatasetSpec, RecipeError)),
    "published accuracies": ("accuracy.mat", read_accuracy),
}


@pytest.mark.robust(
    "datasets",
    given="a file that DataLad has not downloaded: pointer or broken link",
    before="a pointer was parsed as data: no HDF5 file, no such array, or the name of a stimulus",
    now="`not downloaded: unitdb datasets get god --data … --file sub-01.h5`, in every reader",
)
@pytest.mark.parametrize("kind", ["pointer", "broken link"])
@pytest.mark.parametrize("reader", READERS)
def test_what_is_not_downloaded_says_the_command(tmp_path, reader, kind):
    name, read = READERS[reader]
    top = tmp_path / "data" / "god"
    (top / ".datalad").mkdir(parents=True)
    path = top / "sub dir" / "layer" / name
    path.parent.mkdir(parents=True)
    if kind == "pointer":
        path.write_text(f"/annex/objects/{KEY}\n")
    else:
        path.symlink_to(f".git/annex/objects/{KEY}")
    with pytest.raises(UnitdbError, match="not downloaded") as raised:
        read(path)
    where = f"'sub dir/layer/{name}'"
    command = f"unitdb datasets get god --data {top.parent} --file {where}"
    assert command in str(raised.value)
    assert f"(or: datalad -C {top} get {where})" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_outside_a_dataset_git_annex_is_named(tmp_path):
    path = tmp_path / "x.bin"
    path.symlink_to("nowhere")
    assert why_missing(path) == f"not downloaded: git -C {tmp_path} annex get x.bin"
    assert why_missing(tmp_path / "y") == "no such file or folder"


def test_content_that_begins_otherwise_is_content(tmp_path):
    for number, content in enumerate(
        [b"", b"/annex/objects/", b"/annex/object", b"x/annex/objects/" + bytes(9)]
    ):
        path = tmp_path / str(number)
        path.write_bytes(content)
        note_read(path)
    long = tmp_path / "long"
    long.write_bytes(b"/annex/objects/" + bytes(1 << 15))
    note_read(long)  # git-annex takes no file of this size for a pointer
    long.write_bytes(b"/annex/objects/x")
    with pytest.raises(NotDownloadedError):
        note_read(long)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes have no names here")
@pytest.mark.robust(
    "bounds",
    given="a recipe, a table or a list of answers that is a named pipe nobody writes to",
    before="waited for ever, without a word",
    now="one line: a pipe; give a file. What a shell opens (`<(…)`, /dev/stdin) is read",
)
def test_pipes_by_name_are_refused(tmp_path: Path, tiny_release: Path) -> None:
    path = tmp_path / "pipe.npz"
    os.mkfifo(path)
    with pytest.raises(RecipeError, match=r"cannot be read: a pipe, .* give a file"):
        read_spec(path, DatasetSpec, RecipeError)
    with pytest.raises(DatasetError, match="a pipe"):
        read_text(path, error=DatasetError)
    with pytest.raises(OSError, match="a pipe"):
        read_arrays(path, ["a"], error=ActivationsError)
    for command in (
        ["judge", str(path)],
        ["identify", str(tiny_release), "own", "net/conv1", "--predicted", str(path)],
    ):
        result = CliRunner().invoke(main, command)
        assert (result.exit_code, "a pipe, which" in result.stderr) == (2, True), result.output


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="files that are open have no names here")
def test_pipes_that_are_open_are_read() -> None:
    reading, writing = os.pipe()
    try:
        os.write(writing, b"some text")
        os.close(writing)
        assert read_text(Path(f"/dev/fd/{reading}"), error=DatasetError) == "some text"
    finally:
        os.close(reading)
