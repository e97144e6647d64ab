"""Published accuracies become releases."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5storage
import numpy as np
import pytest
import scipy.io
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import contents
from unitdb.cli.commands import main
from unitdb.errors import PublishedFileError, ReleaseExistsError, UnknownNameError
from unitdb.imports import LAYOUTS, import_accuracies, read_accuracy
from unitdb.imports.run import _stored_name

RNG = np.random.default_rng(0)


def save(path: Path, values: np.ndarray, *, hdf5: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if hdf5:
        hdf5storage.savemat(str(path), {"accuracy": values}, format="7.3")
    else:
        scipy.io.savemat(path, {"accuracy": values})


@pytest.mark.parametrize("hdf5", [True, False])
def test_units_count_in_c_order(tmp_path: Path, hdf5: bool) -> None:
    values = RNG.uniform(-1, 1, (1, 2, 3, 4))
    save(tmp_path / "a.mat", values, hdf5=hdf5)
    r, shape = read_accuracy(tmp_path / "a.mat")
    assert shape == (2, 3, 4)
    np.testing.assert_array_equal(r, values.ravel().astype(np.float32))


def link(path: Path) -> None:
    save(path.with_name("secret.mat"), RNG.uniform(-1, 1, (1, 4)))
    with h5py.File(path, "w") as file:
        file["accuracy"] = h5py.ExternalLink("secret.mat", "/accuracy")


def bomb(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("accuracy", (10**10, 1), "f8", chunks=(10**6, 1))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (link, "lead out of the file"),
        (bomb, "would become 80,000,000,000 bytes"),
        (lambda path: save(path, np.array([["a"]]), hdf5=False), "not an array of real numbers"),
        (lambda path: path.write_bytes(pickle.dumps({"accuracy": 1})), "cannot be read"),
        (lambda path: save(path, np.array([[1, 2.5]])), r"values outside -1 … 1: 2\.5"),
        (lambda path: save(path, np.array([[1, 1.00001]])), r"values outside -1 … 1: 1\.00001"),
        (lambda path: save(path, np.ones((2, 2))), r"shape \(2, 2\); expected \(1, units\)"),
    ],
    ids=["link", "bomb", "text", "pickle", "range", "more than rounding", "shape"],
)
def test_files_that_are_no_accuracies(tmp_path: Path, write, message: str) -> None:
    write(tmp_path / "a.mat")
    with pytest.raises(PublishedFileError, match=rf"a\.mat: .*{message}"):
        read_accuracy(tmp_path / "a.mat")


@pytest.mark.robust(
    "numbers",
    given="published accuracies of 1.0000001, as float32 rounds them",
    before="the .mat file was read, and the import refused without saying which file",
    now="1, as in `publish_accuracies`; an accuracy above 1.000001 is refused",
)
def test_rounding_above_one_is_one(tmp_path: Path) -> None:
    above = np.nextafter(np.float32(1), np.float32(2))
    save(tmp_path / "a.mat", np.array([[above, -above, 0.5, np.nan]], np.float32))
    r, _ = read_accuracy(tmp_path / "a.mat")
    assert r.dtype == np.float32
    np.testing.assert_array_equal(r, [1, -1, 0.5, np.nan])


def left_in(folder: Path) -> list[Path]:
    """Files, but the empty ones that locks are held on."""
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def decodeddnn(folder: Path, subjects: tuple[str, ...] = ("S1", "S2", "Averaged")) -> Path:
    for subject in subjects:
        for layer, n_units in (("fc8", 1000), ("fc7", 4096)):
            values = RNG.uniform(-1, 1, (1, n_units))
            values[0, 3] = np.nan
            path = LAYOUTS["decodeddnn"].path("AlexNet", layer, subject, "VC")
            save(folder / path, values, hdf5=layer == "fc8")
    return folder


def test_decodeddnn(tmp_path: Path) -> None:
    folder = decodeddnn(tmp_path / "in")
    found = import_accuracies("decodeddnn", folder, releases=tmp_path / "out")
    release = unitdb.open(found.release)
    rows = release.sql("SELECT * FROM accuracy WHERE layer = 'fc8' AND subject = 'S2'")
    stored, _ = read_accuracy(folder / "accuracy/AlexNet/fc8/accuracy-AlexNet-fc8-S2.mat")
    np.testing.assert_array_equal(rows.sort_values("unit")["r"].to_numpy(float), stored)
    assert set(release.table("subjects")["subject"]) == {"S1", "S2"}
    assert release.sql("SELECT count(*) AS n FROM accuracy WHERE r IS NULL")["n"].item() == 4
    assert "accuracy/AlexNet/conv1/accuracy-AlexNet-conv1-S1.mat" in found.missing


def test_bhscore_keeps_rois_apart(tmp_path: Path) -> None:
    layout = LAYOUTS["bhscore"]
    stored = {}
    for subject in layout.subjects[:2]:
        for roi in layout.rois:
            stored[roi, subject] = RNG.uniform(-1, 1, (1, 10))
            path = layout.path("VGG-F", "conv1_abs", subject, roi)
            save(tmp_path / "in" / path, stored[roi, subject])
    for roi, subject in stored:
        save(tmp_path / "in" / layout.path("AlexNet", "fc8", subject, roi), np.zeros((1, 1000)))
    found = import_accuracies("bhscore", tmp_path / "in", releases=tmp_path / "out")
    assert found.unchecked == ()
    rows = unitdb.open(found.release).sql(
        "SELECT * FROM accuracy WHERE model = 'VGG-F' ORDER BY unit"
    )
    for (roi, subject), values in stored.items():
        here = rows[(rows.roi == roi) & (rows.subject == subject)]
        np.testing.assert_array_equal(here.r.to_numpy(np.float32), values[0].astype(np.float32))


def test_29_networks() -> None:
    assert len(LAYOUTS["bhscore"].networks) == 29


def test_known_numbers_of_units() -> None:
    """Counts that Horikawa et al. 2019 state: pooling quarters those of the last convolution."""
    networks, published = LAYOUTS["bhscore"].networks, LAYOUTS["decodeddnn"].networks
    vgg, known = networks["VGG-19"].layers, published["VGG19"].layers
    assert vgg["conv1_1_abs"] == known["conv1_1"]
    for block, last in enumerate(("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"), 1):
        assert 4 * vgg[f"pool{block}"] == known[last]
    assert networks["AlexNet"].layers["conv1_abs"] == published["AlexNet"].layers["conv1"]
    assert networks["ResNet-18"].layers["layer4"] == 512 * 7 * 7


def bhscore(folder: Path, network: str, counts: dict[str, int]) -> Path:
    """Files of one subject and ROI: of each of these layers, as many units."""
    for layer, n_units in counts.items():
        path = LAYOUTS["bhscore"].path(network, layer, "sub-01", "V1")
        save(folder / path, RNG.uniform(-1, 1, (1, n_units)))
    return folder


@pytest.mark.parametrize(
    ("network", "counts", "unchecked"),
    [
        ("AlexNet", {"conv1_abs": 1000, "fc6": 1000, "fc8": 1000}, ()),  # 1,000 of each layer
        ("AlexNet", {"conv5": 4096, "fc6": 4096, "fc8": 1000}, ()),  # 4,096, or all
        ("AlexNet", {"conv5": 43_264, "fc6": 4096, "fc8": 1000}, ()),  # all
        ("VGG-F", {"conv1_abs": 1000, "conv2": 1000, "fc8": 1000}, ()),
        ("VGG-F", {"conv1_abs": 4096, "conv2": 4096, "fc8": 1000}, ("VGG-F",)),
    ],
)
def test_bhscore_files_hold_samples_of_units(tmp_path: Path, network, counts, unchecked) -> None:
    folder = bhscore(tmp_path / "in", network, counts)
    found = import_accuracies("bhscore", folder, releases=tmp_path / "out")
    assert found.unchecked == unchecked
    release = unitdb.open(found.release)
    layers = release.table("layers").set_index("layer")
    assert layers["n_units"].to_dict() == counts
    assert "places in the layer are not in these" in (found.release / "README.md").read_text()
    assert import_accuracies("bhscore", folder, releases=tmp_path / "out") == found


@pytest.mark.parametrize(
    ("network", "counts", "message"),
    [
        ("ResNet-18", {"fc": 1001}, r"fc/sub-01/V1/accuracy\.mat: 1,001 units; .*/fc has 1,000"),
        (
            "ResNet-18",
            {"layer4": 1000, "fc": 999},
            r"fc/sub-01/V1/accuracy\.mat: 999 units; files of ResNet-18 hold 1,000 .* fc has 1,000",
        ),
        (
            "AlexNet",
            {"conv5": 4096, "fc6": 4095, "fc8": 1000},
            r"fc6/sub-01/V1/accuracy\.mat: 4,095 units; files of AlexNet hold 4,096 .* has 4,096",
        ),
        (
            "VGG-F",
            {"conv1_abs": 1000, "conv2": 900},
            r"conv2/.*: 900 units; .* hold 1,000 .* conv2 has at least 1,000",
        ),
        (
            "VGG-F",
            {"conv1_abs": 4096, "conv2": 900},
            r"conv2/.*: 900 units; .* hold 4,096 .* conv2 has at least 1,000",
        ),
    ],
)
def test_bhscore_with_a_wrong_number_of_units(tmp_path: Path, network, counts, message) -> None:
    folder = bhscore(tmp_path / "in", network, counts)
    with pytest.raises(PublishedFileError, match=message):
        import_accuracies("bhscore", folder, releases=tmp_path / "out")
    assert left_in(tmp_path / "out") == []


def test_no_known_layer_is_smaller_than_the_smallest() -> None:
    layout = LAYOUTS["bhscore"]
    known = [n for one in layout.networks.values() for n in one.layers.values() if n is not None]
    assert min(known) == layout.fewest


def test_all_units_would_not_go_into_the_archive() -> None:
    """Why files of the 29 networks are read as samples: the archive has 88.41 MB."""
    layout = LAYOUTS["bhscore"]
    known = [n for one in layout.networks.values() for n in one.layers.values() if n is not None]
    n_files = len(layout.subjects) * len(layout.rois)
    assert 4 * n_files * max(known) > 88.41e6  # a single layer, in single precision
    n_layers = sum(len(one.layers) for one in layout.networks.values())
    assert 4 * n_files * n_layers * layout.fewest < 88.41e6


def test_damaged_file_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    folder = decodeddnn(tmp_path / "in")
    path = folder / "accuracy/AlexNet/fc8/accuracy-AlexNet-fc8-S2.mat"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(PublishedFileError, match=r"fc8-S2\.mat"):
        import_accuracies("decodeddnn", folder, releases=tmp_path / "out")
    assert left_in(tmp_path / "out") == []


def test_wrong_number_of_units(tmp_path: Path) -> None:
    folder = decodeddnn(tmp_path / "in")
    save(folder / "accuracy/AlexNet/fc8/accuracy-AlexNet-fc8-S2.mat", np.zeros((1, 999)))
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["--releases", str(out), "import", "decodeddnn", str(folder)])
    assert result.exit_code == 2
    assert "999 units" in result.output
    assert left_in(out) == []


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(PublishedFileError, match=r"nowhere: no such folder"):
        import_accuracies("bhscore", tmp_path / "nowhere", releases=tmp_path / "out")
    with pytest.raises(PublishedFileError, match=r"no complete layer of bhscore; no decoding_acc"):
        import_accuracies("bhscore", tmp_path, releases=tmp_path / "out")


def test_unknown_network(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'VGG19'"):
        import_accuracies("decodeddnn", tmp_path, releases=tmp_path, networks=["VGG-19"])


def test_layer_names_become_folders_and_stay_distinct(tmp_path: Path) -> None:
    layout = LAYOUTS["bhscore"]
    for network in layout.networks.values():
        assert len({_stored_name(layer) for layer in network.layers}) == len(network.layers)
    layer = "resnet_v2_50:conv1_abs"
    path = layout.path("ResNet-50-v2", layer, "sub-01", "V1")
    save(tmp_path / "in" / path, RNG.uniform(-1, 1, (1, 10)))
    found = import_accuracies("bhscore", tmp_path / "in", releases=tmp_path / "out")
    row = unitdb.open(found.release).table("layers").iloc[0]
    assert (row["layer"], row["module"]) == ("resnet_v2_50.conv1_abs", layer)


def test_the_same_import_twice_does_nothing(tmp_path: Path) -> None:
    folder, out = decodeddnn(tmp_path / "in"), tmp_path / "out"
    first = import_accuracies("decodeddnn", folder, releases=out, simulated=True).release
    before = contents(first)
    again = import_accuracies("decodeddnn", folder, releases=out, simulated=True).release
    assert again == first
    assert contents(again) == before
    with pytest.raises(ReleaseExistsError, match="raise --version"):
        import_accuracies("decodeddnn", folder, releases=out, layers=["fc8"], simulated=True)
    decodeddnn(folder)  # other numbers
    with pytest.raises(ReleaseExistsError, match="raise --version"):
        import_accuracies("decodeddnn", folder, releases=out, simulated=True)
    assert contents(first) == before


def test_files_are_inputs_of_their_subject(tmp_path: Path) -> None:
    folder = decodeddnn(tmp_path / "in")
    found = import_accuracies("decodeddnn", folder, releases=tmp_path / "out", simulated=True)
    traced = unitdb.open(found.release).trace("AlexNet/fc8/3", subject="S2")
    assert traced.inputs is not None
    files = {row["path"] for row in traced.inputs if row["role"] == "accuracies"}
    layout = LAYOUTS["decodeddnn"]
    assert files == {layout.path("AlexNet", layer, "S2", "VC") for layer in ("fc7", "fc8")}


KILLED = """
import os, signal, sys
from pathlib import Path
from unitdb.imports import import_accuracies, run
run.publish_release = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
import_accuracies("decodeddnn", Path(sys.argv[1]), releases=Path(sys.argv[2]), simulated=True)
"""


def test_what_a_killed_import_left_is_taken_away(tmp_path: Path) -> None:
    folder, out = decodeddnn(tmp_path / "in"), tmp_path / "out"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(out)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert left_in(out)
    release = import_accuracies("decodeddnn", folder, releases=out, simulated=True).release
    release_files = [path for path in left_in(out) if release not in path.parents]
    assert release_files == [out / "releases.json"]
    report = unitdb.open(release).verify()
    assert report.rows["models"] == 1
    assert "an import has no recipe" in str(report)
    assert "bootstrap gives again" in str(report.checks)
