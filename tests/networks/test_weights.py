"""Weights from a server: whole and as published, or not at all; Caffe's files without Caffe."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from pydantic import ValidationError
from torch import nn

from tests.web import Handler, serving
from unitdb.activations import get_model, get_network, load_model
from unitdb.activations.models import Download
from unitdb.activations.networks import named, weights
from unitdb.activations.networks.weights import downloaded, kept
from unitdb.cli import main
from unitdb.errors import ModelError
from unitdb.programs import run

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served/weights.pth").write_bytes(CONTENT)
    with serving(tmp_path / "served") as server:
        yield server


def of(server, name="weights.pth", **stated) -> Download:
    """As the registry states it; only tests download without TLS and a checksum."""
    return Download.model_construct(
        **{
            "path": f"lab/{name}",
            "url": f"{server.address}/{name}",
            "sha256": "",
            "came": "",
            "member": None,
            **stated,
        }
    )


def digest(kind: str, content: bytes = CONTENT) -> str:
    return f"{kind}:{hashlib.new(kind, content).hexdigest()}"


def left(data: Path) -> list[str]:
    return sorted(path.name for path in (data / "networks").rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["md5", "sha1"])
def test_what_comes_is_held_to_the_checksum_of_its_publisher(server, tmp_path, kind):
    right = of(server, came=digest(kind))
    path = downloaded(right, "lab/net", data=tmp_path)
    assert path.read_bytes() == CONTENT
    record = path.with_name("weights.pth.sha256").read_text()
    assert record == f"{hashlib.sha256(CONTENT).hexdigest()}  weights.pth\n"
    assert downloaded(right, "lab/net", data=tmp_path) == path
    assert server.asked["/weights.pth"] == 1
    server.shutdown()  # offline from here
    assert kept(right, "lab/net", data=tmp_path) == path


@pytest.mark.robust(
    "networks",
    given="weights whose publisher states an MD5 or SHA-1, from a server that sends a page instead",
    before="no key",
    now="an error with both checksums, and no file",
)
@pytest.mark.parametrize(("kind", "called"), [("md5", "MD5"), ("sha1", "SHA-1")])
def test_other_bytes_than_published_are_refused(server, tmp_path, kind, called):
    wrong = of(server, came=digest(kind, b"other"))
    said = rf"has {called} {digest(kind)[len(kind) + 1 :]}, not .*, which its publisher states"
    with pytest.raises(ModelError, match=said):
        downloaded(wrong, "lab/net", data=tmp_path)
    assert left(tmp_path) == [".weights.pth.lock"]
    laid = tmp_path / "networks/lab/weights.pth"
    laid.write_bytes(CONTENT)  # by hand
    with pytest.raises(ModelError, match=said):
        kept(wrong, "lab/net", data=tmp_path)


@pytest.mark.robust(
    "networks",
    given="a connection that ends in the middle of weights without a stated checksum",
    before="the half that came was recorded as the weights, and held to that from then on",
    now="an error that says how many bytes came; the same command gets them whole",
)
def test_a_connection_that_ends_early_leaves_nothing(server, tmp_path):
    server.cut_at = 1000
    with pytest.raises(ModelError, match=r"gave 1,000 of 1,280,000 bytes.*models get lab/net"):
        downloaded(of(server), "lab/net", data=tmp_path)
    assert left(tmp_path) == [".weights.pth.lock"]
    server.cut_at = None
    assert downloaded(of(server), "lab/net", data=tmp_path).read_bytes() == CONTENT


def test_an_archive_that_ends_early_is_refused(server, tmp_path):
    member = "net/weights.pt"
    with zipfile.ZipFile(server.folder / "net.zip", "w") as archive:
        archive.writestr(member, CONTENT)
    whole = (server.folder / "net.zip").read_bytes()
    asked = of(server, path="lab/weights.pt", url=f"{server.address}/net.zip", member=member)
    server.cut_at = len(whole) - 10
    with pytest.raises(ModelError, match="bytes; run again"):
        downloaded(asked, "lab/net", data=tmp_path)
    assert left(tmp_path) == [".weights.pt.lock"]
    server.cut_at = None
    other = asked.model_copy(update={"came": digest("md5", whole[:-1])})
    with pytest.raises(ModelError, match="has MD5"):
        downloaded(other, "lab/net", data=tmp_path)
    right = asked.model_copy(update={"came": digest("md5", whole)})
    assert downloaded(right, "lab/net", data=tmp_path).read_bytes() == CONTENT


GET = """
import sys
from pathlib import Path
from unitdb.activations.models import Download
from unitdb.activations.networks.weights import downloaded
stated = dict(path="lab/weights.pth", url=sys.argv[1], sha256="", came="", member=None)
downloaded(Download.model_construct(**stated), "lab/net", data=Path(sys.argv[2]))
"""


@pytest.mark.robust(
    "networks",
    given="`models get` is killed while weights come (kill -9)",
    before="what had come stayed in the data folder for good, under a hidden name",
    now="the next `models get` removes it and gets them whole",
)
def test_what_a_killed_download_left_is_removed(tmp_path):
    whole, go_on = threading.Event(), threading.Event()

    class Waiting(Handler):
        def do_GET(self):  # noqa: N802 - as http.server calls it
            if whole.is_set():
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) - 10])
            go_on.wait(60)

    (tmp_path / "served").mkdir()
    (tmp_path / "served/weights.pth").write_bytes(CONTENT)
    data = tmp_path / "data"
    with serving(tmp_path / "served") as server:
        server.RequestHandlerClass = Waiting
        asked = [sys.executable, "-c", GET, f"{server.address}/weights.pth", str(data)]
        with subprocess.Popen(asked) as process:
            while not (begun := list((data / "networks/lab").glob(".weights.pth.*.tmp"))):
                assert process.poll() is None
                time.sleep(0.02)
            process.kill()
        (unfinished,) = begun
        assert unfinished.exists()
        whole.set()
        go_on.set()
        assert not (data / "networks/lab/weights.pth").exists()
        assert downloaded(of(server), "lab/net", data=data).read_bytes() == CONTENT
    assert not unfinished.exists()
    assert left(data) == [".weights.pth.lock", "weights.pth", "weights.pth.sha256"]


def test_addresses_without_tls_need_a_checksum():
    with pytest.raises(ValidationError, match="an address without TLS needs a checksum"):
        Download(path="lab/net.pt", url="http://lab.org/net.pt")
    assert Download(path="lab/net.pt", url="http://lab.org/net.pt", came=digest("md5")).came


def test_bdpy_has_the_addresses_and_checksums_of_the_publishers():
    alexnet, vgg19 = (get_model(f"bdpy/{name}").download for name in ("alexnet", "vgg19"))
    assert alexnet.url == "http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel"
    assert alexnet.came == "sha1:9116a64c0fbe4459d18f4bb6b56d647b63920377"
    assert vgg19.url == "https://ndownloader.figshare.com/files/38225868"
    assert vgg19.came == "md5:49f4d6dbf1024f33149352dfd309dc4d"
    with pytest.raises(ModelError, match="run: unitdb models get bdpy/alexnet"):
        load_model(get_model("bdpy/alexnet"), data=Path("nowhere"))


# Caffe's files, written here by the rules of protocol buffers alone.


def varint(n: int) -> bytes:
    n, found = n % 2**64, bytearray()
    while n > 127:
        found.append(n % 128 + 128)
        n //= 128
    return bytes([*found, n])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number * 8) + varint(content)
    return varint(number * 8 + 2) + varint(len(content)) + content


def blob(values: np.ndarray, *, old: bool = False, shape: tuple[int, ...] | None = None) -> bytes:
    shape = values.shape if shape is None else shape
    data = field(5, values.astype("<f4").tobytes())
    if old:
        four = (1,) * (4 - len(shape)) + shape
        return b"".join(field(n, length) for n, length in enumerate(four, 1)) + data
    return data + field(7, field(1, b"".join(map(varint, shape))))


def caffemodel(layers: dict[str, list[bytes]], *, old: bool = False) -> bytes:
    name, blobs, layer = (4, 6, 2) if old else (1, 7, 100)
    found = field(1, b"net")
    for called, given in {"data": [], **layers}.items():
        inside = field(name, called.encode()) + field(3, b"top")
        found += field(layer, inside + b"".join(field(blobs, each) for each in given))
    return found


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(4, 6, 3, groups=2))
        self.fc = nn.Linear(5, 1)


def drawn() -> dict[str, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    shapes = {"conv1": [(6, 2, 3, 3), (6,)], "fc8": [(1, 5), (1,)]}
    return {
        name: [rng.normal(size=one).astype(np.float32) for one in of] for name, of in shapes.items()
    }


PATHS = {"conv1": "features.0", "fc8": "fc"}


@pytest.mark.parametrize("old", [False, True])
def test_weights_are_read_from_files_of_caffe(tmp_path, old):
    from unitdb.activations.networks.caffe import caffe_state

    values = drawn()
    layers = {name: [blob(one, old=old) for one in of] for name, of in values.items()}
    file = tmp_path / "net.caffemodel"
    file.write_bytes(caffemodel(layers, old=old))
    network = Small()
    network.load_state_dict(caffe_state(network, str(file), PATHS))
    for name, path in PATHS.items():
        module = network.get_submodule(path)
        assert np.array_equal(module.weight.detach(), values[name][0])
        assert np.array_equal(module.bias.detach(), values[name][1])


def wrong_files() -> dict[str, tuple[bytes, str]]:
    values = drawn()
    layers = {name: [blob(one) for one in of] for name, of in values.items()}
    weights, biases = values["conv1"]
    short = {**layers, "conv1": [blob(weights, shape=(6, 2, 3, 4)), blob(biases)]}
    huge = {**layers, "conv1": [blob(weights, shape=(2**40, 2**40)), blob(biases)]}
    below = {**layers, "conv1": [blob(weights, shape=(-6, -2, 3, 3)), blob(biases)]}
    turned = {**layers, "conv1": [blob(weights.transpose(1, 0, 2, 3)), blob(biases)]}
    whole = caffemodel(layers)
    return {
        "an empty file": (b"", "no layer has any"),
        "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a file of Caffe"),
        "half a file": (whole[: len(whole) // 2], "not a file of Caffe"),
        "no weights": (caffemodel({}), "no layer has any"),
        "another network": (
            caffemodel({"conv1_1": layers["conv1"]}),
            "no weights and biases of layer 'conv1'; there is: conv1_1",
        ),
        "no biases": (
            caffemodel({**layers, "fc8": layers["fc8"][:1]}),
            "no weights and biases of layer 'fc8'",
        ),
        "fewer values": (caffemodel(short), "432 bytes of weights in a shape of 6×2×3×4"),
        "a shape beyond memory": (caffemodel(huge), "432 bytes of weights in a shape of"),
        "a negative shape": (caffemodel(below), "in a shape of -6×-2×3×3"),
        "turned axes": (caffemodel(turned), r"has shape \(2, 6, 3, 3\), not \(6, 2, 3, 3\)"),
    }


@pytest.mark.robust(
    "networks",
    given="a file of Caffe that is cut, of another network, or whose shapes do not fit its values",
    before="no key",
    now="an error that names the file, the layer and both shapes",
)
@pytest.mark.parametrize("which", list(wrong_files()))
def test_files_that_are_not_of_the_network_are_refused(tmp_path, which):
    from unitdb.activations.networks.caffe import caffe_state

    content, message = wrong_files()[which]
    file = tmp_path / "net.caffemodel"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        caffe_state(Small(), str(file), PATHS)


@pytest.mark.slow
@pytest.mark.robust(
    "networks",
    given="`unitdb models get bdpy/alexnet`",
    before="bdpy/alexnet has random weights: there is no file of them",
    now="BVLC's file, held to its SHA-1, read without Caffe, and used offline",
)
def test_alexnet_is_downloaded_and_used_offline(server, tmp_path, monkeypatch):
    from bdpy.dl.torch.models import AlexNet

    torch.manual_seed(0)
    network = AlexNet().eval()
    paths = get_model("bdpy/alexnet:random").layers
    layers = {}
    for name, path in paths.items():
        module = network.get_submodule(path)
        with torch.no_grad():
            layers[name] = [blob(one.numpy()) for one in (module.weight, module.bias)]
    content = caffemodel(layers)
    (server.folder / "bvlc_alexnet.caffemodel").write_bytes(content)
    real = named.named_network

    def from_here(name, **options):
        spec = real(name, **options)
        update = {
            "url": f"{server.address}/bvlc_alexnet.caffemodel",
            "came": digest("sha1", content),
        }
        return spec.model_copy(update={"download": spec.download.model_copy(update=update)})

    monkeypatch.setattr(named, "named_network", from_here)
    path = get_network("bdpy/alexnet", data=tmp_path)
    assert path.name == "bvlc_alexnet.caffemodel"
    server.shutdown()
    monkeypatch.undo()
    loaded = load_model(get_model("bdpy/alexnet", layers=["conv1", "fc8"]), data=tmp_path)
    picture = torch.randn(1, 3, 227, 227)
    with torch.inference_mode():
        assert torch.equal(loaded.module(picture), network(picture))


def test_the_command_tracks_what_came_and_it_loads(server, tmp_path, monkeypatch):
    import torchvision

    monkeypatch.setenv("HOME", str(tmp_path))  # no settings of git but ours
    torch.manual_seed(0)
    network = torchvision.models.squeezenet1_1(weights=None).eval()
    torch.save(network.state_dict(), server.folder / "small.pth")
    real = named.named_network

    def from_here(name, **options):
        spec = real(name, **options)
        update = {"url": f"{server.address}/small.pth", "sha256": ""}
        return spec.model_copy(update={"download": spec.download.model_copy(update=update)})

    monkeypatch.setattr(named, "named_network", from_here)
    asked = ["models", "get", "torchvision/squeezenet1_1", "--data", str(tmp_path)]
    for _ in range(2):  # the second time there is nothing to do
        done = CliRunner().invoke(main, asked)
        assert done.exit_code == 0, done.output
    path = Path(done.stdout.strip())
    tracked = run("git", "ls-files", folder=tmp_path / "networks").split()
    assert f"torchvision/{path.name}" in tracked
    assert f"torchvision/{path.name}.sha256" in tracked
    assert path.is_symlink()
    assert run("git", "log", "-1", "--format=%s", folder=tmp_path / "networks").strip() == (
        "Weights of torchvision/squeezenet1_1"
    )
    spec = from_here("torchvision/squeezenet1_1").model_copy(update={"check": None})
    loaded = load_model(spec, data=tmp_path, layers=["classifier.1"])
    picture = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(loaded.module(picture), network(picture))


def test_vgg19_comes_in_an_archive(server, tmp_path):
    spec = get_model("bdpy/vgg19")
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(spec.download.member, CONTENT)
    (server.folder / "38225868").write_bytes(written.getvalue())
    update = {
        "url": f"{server.address}/38225868",
        "came": digest("md5", written.getvalue()),
    }
    spec = spec.model_copy(update={"download": spec.download.model_copy(update=update)})
    assert weights.get_weights(spec, data=tmp_path).read_bytes() == CONTENT
    other = zipfile.ZipFile(server.folder / "38225868", "w")
    other.writestr("other.pt", CONTENT)
    other.close()
    asked = spec.download.model_copy(update={"came": "", "path": "bdpy/another.pt"})
    with pytest.raises(ModelError, match="is no archive with VGG_ILSVRC"):
        downloaded(asked, "bdpy/vgg19", data=tmp_path)
    assert not list((tmp_path / "networks").rglob("another.pt"))
