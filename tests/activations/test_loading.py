from __future__ import annotations

import pytest
import torch

from tests.activations.conftest import SOURCE, write_model
from unitdb.activations import load_model
from unitdb.activations.factory import weights_sha256
from unitdb.errors import ActivationsError, ModelError, UnknownLayerError


def test_layers(tiny):
    found = [(layer.name, layer.depth, layer.kind, layer.shape) for layer in tiny.layers]
    assert found == [
        ("conv1", 0, "Conv2d", (2, 4, 4)),
        ("conv2", 1, "Conv2d", (3, 2, 2)),
        ("fc", 2, "Linear", (5,)),
    ]
    assert [layer.n_units for layer in tiny.layers] == [32, 12, 5]
    assert not tiny.module.training
    assert tiny.checked_on == ()


def test_a_subset_of_layers_keeps_order_depth_and_identity(tiny, tmp_path):
    some = load_model(tiny.spec, folder=tmp_path, layers=["fc", "conv1"])
    assert [(layer.name, layer.depth) for layer in some.layers] == [("conv1", 0), ("fc", 2)]
    assert some.model_sha256 == tiny.model_sha256


def test_seed_makes_the_weights_and_leaves_the_global_state(tiny, tmp_path):
    before = torch.get_rng_state()
    again, other = (load_model(tiny.spec, folder=tmp_path, seed=seed) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.weights_sha256 == tiny.weights_sha256
    assert other.weights_sha256 != tiny.weights_sha256
    assert other.model_sha256 != tiny.model_sha256


def test_weights_are_loaded_from_a_file(tiny, tmp_path):
    other = load_model(tiny.spec, folder=tmp_path, seed=1)
    torch.save(other.module.state_dict(), tmp_path / "w.pt")
    loaded = load_model(write_model(tmp_path, weights="w.pt"), folder=tmp_path)
    assert loaded.weights_sha256 == other.weights_sha256


def test_identity_depends_on_all_that_matters(tiny, tmp_path):
    blurred = tiny.spec.preprocessing.model_copy(update={"interpolation": "bilinear"})
    variants = [
        tiny,
        load_model(write_model(tmp_path, preprocessing=blurred), folder=tmp_path),
        load_model(write_model(tmp_path, factory_options={"channels": 2}), folder=tmp_path),
        load_model(write_model(tmp_path, layers={"conv1": "conv1"}), folder=tmp_path),
        load_model(write_model(tmp_path, layers={"fc": "fc", "conv1": "conv1"}), folder=tmp_path),
        load_model(write_model(tmp_path, SOURCE + "\n# changed"), folder=tmp_path),
    ]
    assert len({model.model_sha256 for model in variants}) == len(variants)
    assert len({model.weights_sha256 for model in variants}) == 1


def test_identity_does_not_depend_on_name_and_title(tiny, tmp_path):
    renamed = load_model(write_model(tmp_path, name="other", title="Other"), folder=tmp_path)
    assert renamed.model_sha256 == tiny.model_sha256


def test_an_edited_file_is_never_stale(tiny, tmp_path):
    # The same size and, very likely, the same second: bytecode caches would miss the change.
    spec = write_model(tmp_path, SOURCE.replace("channels: int = 2", "channels: int = 7"))
    assert load_model(spec, folder=tmp_path).layers[0].shape == (7, 4, 4)
    assert not (tmp_path / "__pycache__").exists()


def test_weights_hash_sees_names_types_and_values():
    def net(**parameters: torch.Tensor) -> torch.nn.Module:
        module = torch.nn.Module()
        for name, value in parameters.items():
            module.register_buffer(name, value)
        return module

    zero = torch.zeros(2, 3)
    networks = [
        net(a=zero),
        net(b=zero),
        net(a=zero.T.contiguous()),
        net(a=zero.to(torch.bfloat16)),
        net(a=zero.to(torch.int32)),
        net(a=zero + 1),
        net(a=torch.tensor(0.0)),
    ]
    assert len({weights_sha256(network) for network in networks}) == len(networks)
    assert weights_sha256(net(a=zero, b=zero + 1)) == weights_sha256(net(b=zero + 1, a=zero))


def test_unknown_layer_asked_for(tiny, tmp_path):
    with pytest.raises(UnknownLayerError, match=r"'conv3' in model 'tiny'.*'conv"):
        load_model(tiny.spec, folder=tmp_path, layers=["conv3"])
    with pytest.raises(ModelError, match="no layers"):
        load_model(tiny.spec, folder=tmp_path, layers=[])


def test_wrong_module_path(tmp_path):
    spec = write_model(tmp_path, layers={"conv1": "conv_1"})
    with pytest.raises(UnknownLayerError, match=r"'conv_1'.*did you mean 'conv1'"):
        load_model(spec, folder=tmp_path)


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        (SOURCE, {"factory": "tiny.py:mak"}, "no callable 'mak'; did you mean 'make'"),
        (SOURCE, {"factory": "none.py:make"}, "none.py: no such file"),
        (SOURCE, {"factory": "no_such_package:make"}, "No module named 'no_such_package'"),
        (SOURCE, {"factory_options": {"chanels": 1}}, "'chanels'"),
        (SOURCE, {"weights": "w.pt"}, "w.pt: no such file"),
        ("def make() return 1", {}, "expected ':'"),
        ("import no_such_package", {}, "No module named 'no_such_package'"),
        ("def make(): return 3", {}, "must return a torch.nn.Module, not int"),
        (SOURCE.replace("3 * 2 * 2", "7"), {}, r"input of shape \(2, 3, 4, 4\)"),
        (SOURCE.replace("self.relu(self.conv1(x))", "x[:, :2]"), {}, "'conv1' ran 0 times"),
        (SOURCE.replace("self.relu(", "self.relu(self.conv1(x) + "), {}, "'conv1' ran 2 times"),
    ],
)
def test_models_that_cannot_be_made(tmp_path, source, changes, message):
    with pytest.raises(ModelError, match=message):
        load_model(write_model(tmp_path, source, **changes), folder=tmp_path)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        ("x, x", "returns tuple, not a tensor"),
        ("{'a': x}", "returns dict, not a tensor"),
        ("x.sum()", r"activation of 2 images has shape \(\)"),
        ("x[:1]", r"activation of 2 images has shape \(1, "),
        ("torch.complex(x, x)", "complex"),
    ],
)
def test_outputs_that_are_no_activation(tmp_path, forward, message):
    source = f"""
import torch

class Odd(torch.nn.Module):
    def forward(self, x):
        return {forward}

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.odd = Odd()

    def forward(self, x):
        self.odd(x)
        return x
"""
    spec = write_model(tmp_path, source, factory="tiny.py:Net", layers={"odd": "odd"})
    with pytest.raises(ActivationsError, match=f"layer 'odd'.*{message}"):
        load_model(spec, folder=tmp_path)


def test_a_layer_of_one_number_an_image(tmp_path):
    source = SOURCE.replace("return self.fc(", "return self.drop(self.fc(x.flatten(1))[:, 0]) #")
    spec = write_model(tmp_path, source, layers={"one": "drop"})
    assert load_model(spec, folder=tmp_path).layers[0].shape == (1,)


def test_files_need_a_folder(tiny):
    with pytest.raises(ModelError, match="no folder is given"):
        load_model(tiny.spec, folder=None)


class Payload:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"conv1.weight": torch.zeros(1)}, "Missing key"),
        (torch.zeros(2), "a Tensor, no state_dict"),
        (Payload(), "not a state_dict"),
    ],
)
def test_bad_weights(tmp_path, capsys, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=f"(?s)w.pt: .*{message}"):
        load_model(write_model(tmp_path, weights="w.pt"), folder=tmp_path)
    assert "unpickled" not in capsys.readouterr().out


def test_a_file_of_text_is_no_weights(tmp_path):
    (tmp_path / "w.pt").write_text("hello")
    with pytest.raises(ModelError, match="not a state_dict"):
        load_model(write_model(tmp_path, weights="w.pt"), folder=tmp_path)
