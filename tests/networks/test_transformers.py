"""Vision networks of transformers by name: small ones with random weights, as the hub has them."""

from __future__ import annotations

import io
import json
import shutil
import urllib.error
import urllib.request
import warnings
from pathlib import Path
from urllib.response import addinfourl

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from unitdb.activations import (
    ModelChoice,
    get_model,
    get_network,
    list_networks,
    load_choice,
    load_model,
    to_tensor,
)
from unitdb.activations.factory import make_network
from unitdb.activations.layers import forward
from unitdb.cli import main
from unitdb.errors import (
    ActivationsError,
    MissingExtraError,
    ModelError,
    UnknownLayerError,
    UnknownModelError,
)
from unitdb.taps import find_tap, module_path, wanted

transformers = pytest.importorskip("transformers", reason="the extra transformers is not installed")

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8}
CARD = """---
license: apache-2.0
---
# A network

```bibtex
@misc{small2020,
  title={A small network},
  author={Someone},
  year={2020},
}
```
"""
IMAGENET = ["tripod", "tabby, tabby cat", "tiger cat", "Egyptian cat", "palace", "espresso",
            "moped", "motor scooter, scooter", "lake"]  # fmt: skip


def vit():
    config = transformers.ViTConfig(
        **SMALL, image_size=32, intermediate_size=128, id2label=dict(enumerate(IMAGENET))
    )
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    return transformers.ViTForImageClassification(config), processor


def dinov2():
    config = transformers.Dinov2Config(**SMALL, image_size=32)
    sizes = {"size": {"shortest_edge": 36}, "crop_size": {"height": 32, "width": 32}}
    return transformers.Dinov2Model(config), transformers.BitImageProcessor(**sizes)


def clip():
    seen = {**SMALL, "image_size": 32, "intermediate_size": 128, "projection_dim": 16}
    read = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9,
            "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}  # fmt: skip
    config = transformers.CLIPConfig(vision_config=seen, text_config=read, projection_dim=16)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return transformers.CLIPModel(config), transformers.CLIPImageProcessor(**sizes)


def swin():
    config = transformers.SwinConfig(
        image_size=32, patch_size=2, embed_dim=6, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    return transformers.SwinForImageClassification(config), processor


def resnet():
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[12, 16], depths=[1, 1])
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875)
    return transformers.ResNetForImageClassification(config), processor


def mobilevit():
    config = transformers.MobileViTConfig(image_size=64)
    sizes = {"size": {"shortest_edge": 72}, "crop_size": {"height": 64, "width": 64}}
    processor = transformers.MobileViTImageProcessor(**sizes)
    return transformers.MobileViTForImageClassification(config), processor


NETWORKS = {one.__name__: one for one in (vit, dinov2, clip, swin, resnet, mobilevit)}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with a repository of each network."""
    logging = transformers.utils.logging
    logging.disable_progress_bar()
    folder = tmp_path_factory.mktemp("data")
    for name, make in NETWORKS.items():
        torch.manual_seed(0)
        network, processor = make()
        place = folder / "networks/transformers/lab" / name
        network.save_pretrained(place)
        processor.save_pretrained(place)
        (place / "README.md").write_text(CARD)
    logging.enable_progress_bar()
    return folder


def test_a_repository_describes_its_network(data):
    spec = get_model("transformers/lab/vit", data=data)
    assert (spec.name, spec.licence) == ("lab-vit", "apache-2.0")
    assert spec.citation == "Someone; 2020; A small network"
    assert spec.source == "https://huggingface.co/lab/vit"
    assert list(spec.layers) == ["vit.embeddings", *(f"vit.layers.{n}" for n in range(3)),
                                 "classifier"]  # fmt: skip
    assert spec.axes["vit.layers.0"] == "TD"
    assert spec.check.photographs["chelsea"] == [1, 2, 3]
    assert "id2label" not in spec.factory_options["config"]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vit", ["vit.layers.?", "class(vit.layers.2)", "patches(vit.layers.2)", "classifier"]),
        ("dinov2", ["encoder.layer.?", "class(encoder.layer.?)", "layernorm"]),
        ("clip", ["class(vision_model.encoder.layers.1)", "visual_projection"]),
        ("swin", ["swin.encoder.layers.0[0]", "classifier"]),
        ("resnet", ["resnet.encoder.stages.?.layers.0", "classifier.1"]),
    ],
)
def test_activations_are_those_of_hooks_written_by_hand(name, layers, data):
    spec = get_model(f"transformers/lab/{name}", layers=layers, data=data)
    spec = spec.model_copy(update={"check": None})
    model = load_model(spec, data=data)
    theirs = NETWORKS[name]()[0]
    theirs = theirs.from_pretrained(data / "networks/transformers/lab" / name).eval()
    rng = np.random.default_rng(0)
    batch = to_tensor(rng.integers(0, 256, (50, 41, 3), dtype=np.uint8), spec.preprocessing)[None]
    ours, hooked = {}, {}
    modules = dict(model.module.named_modules())
    taps = {n: find_tap(modules, path, where="here") for n, path in spec.layers.items()}
    forward(model.module, batch, taps, lambda n, a: ours.update({n: a.clone()}), where="here")
    for path in {module_path(each) for each in spec.layers.values()}:
        theirs.get_submodule(path).register_forward_hook(
            lambda _m, _i, out, path=path: hooked.setdefault(path, out)
        )
    with torch.inference_mode():
        theirs.get_image_features(batch) if name == "clip" else theirs(batch)
    assert set(ours) == set(spec.layers)
    for layer, path in spec.layers.items():
        expected = hooked[module_path(path)]
        expected = expected[0] if path.endswith("[0]") else expected
        expected = {"class": expected[:, 0], "patches": expected[:, 1:]}.get(wanted(path), expected)
        assert torch.equal(ours[layer], expected)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(75, 61), (64, 64), (40, 91)])
def test_pictures_are_those_of_the_image_processor(name, shape, data):
    processor = transformers.AutoImageProcessor.from_pretrained(
        data / "networks/transformers/lab" / name, backend="pil"
    )
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = processor(picture, return_tensors="pt")["pixel_values"][0]
    stated = get_model(f"transformers/lab/{name}:random", data=data).preprocessing
    assert torch.allclose(to_tensor(picture, stated), theirs, atol=1e-5)
    assert stated.channels == ("BGR" if name == "mobilevit" else "RGB")


def test_what_a_processor_does_else_is_refused(data, tmp_path):
    place = tmp_path / "networks/transformers/lab/odd"
    network, _ = vit()
    network.save_pretrained(place)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}, resample=1).save_pretrained(
        place
    )
    (place / "README.md").write_text("No metadata.")
    with pytest.raises(ModelError, match="ViTImageProcessor does is not known here"):
        get_model("transformers/lab/odd", data=tmp_path)


@pytest.mark.robust(
    "networks",
    given="`layers: auto` of a network that is wrapped twice (CLIP's pictures in transformers)",
    before="two layers: the output of the whole network of pictures, and the projection",
    now="embeddings, each block, and the projection",
)
def test_the_network_of_pictures_of_a_pair(data):
    spec = get_model("transformers/lab/clip", data=data)
    assert spec.factory_options["architecture"] == "CLIPVisionModelWithProjection"
    assert [*spec.layers][-2:] == ["vision_model.encoder.layers.2", "visual_projection"]
    assert spec.check is None


@pytest.mark.robust(
    "networks",
    given="the class token alone: `class(PATH)`",
    before="no way to name it: a layer held all tokens",
    now="a layer of D units; `patches(PATH)` is the rest; refused of networks without class tokens",
)
def test_class_tokens_are_apart(data):
    found = get_model("transformers/lab/dinov2", layers=["class(encoder.layer.?)"], data=data)
    assert [*found.layers] == [f"encoder.layer.{n}_class" for n in range(3)]
    loaded = load_model(found, data=data)
    assert [(layer.shape, layer.axes) for layer in loaded.layers] == [((32,), "N")] * 3
    rest = get_model("transformers/lab/vit", layers=["patches(vit.layers.0)"], data=data)
    assert rest.axes["vit.layers.0_patches"] == "TD"
    with pytest.raises(ModelError, match="no class token"):
        get_model("transformers/lab/swin", layers=["class(swin.encoder.layers.0[0])"], data=data)
    with pytest.raises(UnknownLayerError, match=r"'encoder\.layer\.0'"):
        get_model("transformers/lab/dinov2", layers=["class(encoder.layers.0)"], data=data)


def test_attention_maps_are_left_out(data):
    spec = get_model("transformers/lab/vit:random", layers=["vit.layers.0.attention"], data=data)
    assert list(spec.layers.values()) == ["vit.layers.0.attention[0]"]
    assert load_model(spec, data=data).layers[0].shape == (17, 32)
    asked = get_model("transformers/lab/vit:random", layers=["vit.layers.0"], data=data)
    asked = asked.model_copy(update={"layers": {"maps": "vit.layers.0.attention[1]"}, "axes": None})
    with pytest.raises(ActivationsError, match=r"maps.*NoneType, not a tensor"):
        load_model(asked, data=data)


@pytest.mark.parametrize("name", ["lab/none", "none"])
def test_offline_the_error_says_what_to_run(name, data):
    with pytest.raises(ModelError, match=rf"run: unitdb models get transformers/{name}$") as found:
        get_model(f"transformers/{name}", data=data)
    assert "\n" not in str(found.value)
    run = CliRunner().invoke(
        main, ["models", "layers", f"transformers/{name}", "--data", str(data)]
    )
    assert run.exit_code != 0


def test_a_repository_is_downloaded_once(data, tmp_path, monkeypatch):
    asked = []

    def answer(url, timeout):
        asked.append(url)
        start = "https://huggingface.co/lab/vit/resolve/main/"
        if not url.startswith(start):
            raise urllib.error.HTTPError(url, 404, "Not Found", {}, None)
        file = data / "networks/transformers/lab/vit" / url.removeprefix(start)
        if not file.is_file():
            raise urllib.error.HTTPError(url, 404, "Not Found", {}, None)
        return addinfourl(io.BytesIO(file.read_bytes()), {}, url)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    path = get_network("transformers/lab/vit", data=tmp_path)
    assert path.name == "model.safetensors"
    assert get_network("transformers/lab/vit", data=tmp_path) == path
    assert len(asked) == 4
    here = get_model("transformers/lab/vit", data=tmp_path)
    assert here == get_model("transformers/lab/vit", data=data)
    config = path.with_name("config.json")
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 64'))
    with pytest.raises(ModelError, match=r"config\.json of .* has changed or is damaged"):
        get_model("transformers/lab/vit", data=tmp_path)
    with pytest.raises(ModelError, match="answers 404"):
        get_network("transformers/lab/other", data=tmp_path)


def test_weights_that_are_missing_are_not_drawn(data, tmp_path):
    from safetensors.torch import load_file, save_file

    spec = get_model("transformers/lab/vit", data=data)
    place = data / "networks/transformers/lab/vit/model.safetensors"
    state = load_file(place)
    del state[next(name for name in state if name.endswith("1.layernorm_before.weight"))]
    save_file(state, tmp_path / "model.safetensors")
    from unitdb.activations.networks.of_transformers import make

    with pytest.raises(ModelError, match=r"1 weights of ViTForImageClassification are not in it"):
        make(**spec.factory_options, file=str(tmp_path / "model.safetensors"))


def test_half_precision_in_files_is_run_in_single(data, tmp_path):
    from safetensors.torch import load_file, save_file

    from unitdb.activations.networks.of_transformers import make

    spec = get_model("transformers/lab/vit", data=data)
    state = load_file(data / "networks/transformers/lab/vit/model.safetensors")
    half = {name: value.half() for name, value in state.items()}
    save_file(half, tmp_path / "model.safetensors")
    network = make(**spec.factory_options, file=str(tmp_path / "model.safetensors"))
    assert {one.dtype for one in network.parameters()} == {torch.float32}
    assert torch.equal(network.classifier.weight, half["classifier.weight"].float())


def test_a_network_of_a_recipe(data, tmp_path):
    choice = ModelChoice(name="transformers/lab/dinov2:random", layers=["encoder.layer.?"])
    model = load_choice(choice, (), folder=tmp_path, data=data, seed=0)
    assert [layer.n_units for layer in model.layers] == [17 * 32] * 3
    assert model.spec.name == "lab-dinov2-random"


def test_networks_that_are_here_are_listed(data, monkeypatch):
    monkeypatch.setenv("UNITDB_DATA", str(data))
    assert list_networks("transformers", "transformers/lab/*vit") == [
        "transformers/lab/mobilevit",
        "transformers/lab/vit",
    ]


def test_what_is_no_network_of_pictures(data, tmp_path):
    place = tmp_path / "networks/transformers/lab/bert"
    place.mkdir(parents=True)
    (place / "config.json").write_text(json.dumps({"model_type": "bert"}))
    for name in ("preprocessor_config.json", "README.md"):
        (place / name).write_text("{}")
    with pytest.raises(ModelError, match="'bert' is no network of pictures"):
        get_model("transformers/lab/bert", data=tmp_path)
    with pytest.raises(UnknownModelError, match="there are: random"):
        get_model("transformers/lab/vit:main", data=data)
    with pytest.raises(UnknownModelError, match="ORGANISATION/NAME"):
        get_model("transformers/../secret", data=data)


@pytest.mark.robust(
    "networks",
    given="a repository of the hub whose config names code of its own (`auto_map`)",
    before="transformers asked on the terminal whether to run it, and ran it on yes",
    now="refused in one line; nothing is asked and nothing runs",
)
def test_code_of_a_repository_is_not_run(data, tmp_path, monkeypatch):
    place = tmp_path / "networks/transformers/lab/own"
    place.mkdir(parents=True)
    for name in ("preprocessor_config.json", "README.md"):
        shutil.copy(data / "networks/transformers/lab/vit" / name, place)
    ran = tmp_path / "ran"
    code = f"from pathlib import Path\nPath({str(ran)!r}).touch()\nclass Own: ...\n"
    (place / "own.py").write_text(code)
    said = {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (place / "config.json").write_text(json.dumps(said))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        get_model("transformers/lab/own", data=tmp_path)
    assert not ran.exists()


def test_a_missing_library_names_its_extra(monkeypatch):
    from unitdb import extras

    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"\[transformers\]"):
        get_model("transformers/lab/vit")


def test_gradient_checkpointing_changes_nothing(data):
    spec = get_model("transformers/lab/vit:random", layers=["vit.layers.1"], data=data)
    plain = make_network(spec, folder=None, seed=0)
    saving = make_network(spec, folder=None, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of another name in newer versions
        saving.gradient_checkpointing_enable()
    batch = torch.randn(2, 3, 32, 32)
    found = []
    for network in (plain, saving):
        taps = {"x": find_tap(dict(network.named_modules()), "vit.layers.1", where="here")}
        forward(network, batch, taps, lambda _, a: found.append(a.clone()), where="here")
    assert torch.equal(*found)
