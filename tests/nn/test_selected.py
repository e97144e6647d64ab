"""Chosen activations are those that plain hooks see, on every way that a network can run."""

from __future__ import annotations

import copy
import io
import warnings

import pytest
import torch
from torch import nn as torch_nn

from tests.nn.conftest import LAYERS, Branching, Net, images, ready, reference
from unitdb import col, nn
from unitdb.errors import ActivationsError, ModelError, QueryError, UnknownLayerError

METHODS = ["fx", "hooks"]


@pytest.fixture(params=METHODS)
def method(request) -> str:
    return request.param


def test_columns_are_the_units_in_the_order_of_their_names(net, units, method):
    selected = nn.SelectedActivations(net, units, layers=LAYERS, method=method)
    assert selected.method == method
    batch = images()
    expected = reference(net, batch, units)
    for _ in range(2):  # with hooks the first pass is another one
        assert torch.equal(selected(batch), expected)
    rows = units.to_pandas().sort_values(["layer", "unit"])  # conv1 is before fc in depth too
    assert selected.unit_ids == tuple(rows["unit_id"])


def test_a_layer_that_is_overwritten_later_is_seen_before(net, units, method):
    before = nn.SelectedActivations(net, units, layers=LAYERS, method=method)(9 * images(50))
    assert (before[:, 0] < 0).any()  # what the ReLU in place would have removed
    after = nn.SelectedActivations(
        net, units, layers={**LAYERS, "conv1": "features"}, method=method
    )(9 * images(50))
    assert (after[:, 0] >= 0).all()


class Overwriting(torch_nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = Block()
        self.last = torch_nn.Conv2d(2, 2, 1)

    def forward(self, x):
        x = self.block(x)
        x.mul_(-1)  # the result is used by nobody
        return self.last(x)


class Block(torch_nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch_nn.Conv2d(3, 2, 1)

    def forward(self, x):
        x = self.conv(x)
        torch.relu_(x)  # neither is this
        return x


def test_operations_in_place_whose_result_nobody_uses(method):
    network = Overwriting().eval()
    masks = {name: torch.ones(2, 5, 5, dtype=torch.bool) for name in ("block", "last")}
    with torch.no_grad():
        batch = images()
        found = nn.SelectedActivations(network, masks, method=method)(batch)
        block = network.block.conv(batch).relu()
        expected = torch.cat([block.flatten(1), network.last(-block).flatten(1)], dim=1)
    assert torch.equal(found, expected)


def test_what_comes_after_the_last_layer_does_not_run(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS, method="fx")
    net.tail.runs = 0  # tracing goes through all of it
    selected(images())
    assert net.tail.runs == 0
    selected = nn.SelectedActivations(net, units, layers=LAYERS, method="hooks")
    for _ in range(3):
        selected(images())
    assert net.tail.runs == 1  # the first pass sees that each layer runs once


def test_a_network_that_cannot_be_traced_runs_with_hooks_and_says_why(units):
    network = ready(Branching())
    selected = nn.SelectedActivations(network, units, layers=LAYERS)
    assert selected.method == "hooks"
    assert "TraceError" in selected.why_hooks
    batch = images()
    assert torch.equal(selected(batch), reference(network, batch, units))
    with pytest.raises(ModelError, match="Branching cannot be traced: TraceError"):
        nn.SelectedActivations(network, units, layers=LAYERS, method="fx")


def test_hooks_are_taken_off_again(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS, method="hooks")
    with pytest.raises(RuntimeError):
        selected(torch.zeros(1, 2, 5, 5))
    selected(images())
    assert not any(net.get_submodule(path)._forward_hooks for path in LAYERS.values())


def test_gradients_reach_images_and_parameters(net, units, method):
    batch = images().requires_grad_()
    nn.SelectedActivations(net, units, layers=LAYERS, method=method)(
        batch
    ).square().sum().backward()
    found = batch.grad.clone(), net.features[0].weight.grad.clone()
    batch.grad = net.features[0].weight.grad = None
    reference(net, batch, units).square().sum().backward()
    assert torch.allclose(found[0], batch.grad)
    assert torch.allclose(found[1], net.features[0].weight.grad)
    assert net.tail.module.weight.grad is None


def test_gradients_are_those_of_differences(net, units, method):
    selected = nn.SelectedActivations(net.double(), units, layers=LAYERS, method=method)
    assert torch.autograd.gradcheck(selected, (images(1).double().requires_grad_(),))


def test_modes_are_those_of_the_module(net, units, method):
    selected = nn.SelectedActivations(net, units, layers=LAYERS, method=method)
    assert not selected.training
    batch = images()
    still = selected(batch)
    selected.train()
    assert net.features[1].training
    assert not torch.equal(selected(batch), selected(batch))  # functional dropout
    fc = selected.sizes["conv1"]
    assert torch.equal(selected(batch)[:, :fc], selected(batch)[:, :fc])  # is before the dropout
    net.load_state_dict(copy.deepcopy(ready(Net()).state_dict()))
    assert not torch.equal(selected.eval()(batch), still)  # parameters are shared


def test_tracing_leaves_the_modes_as_they_are(net, units):
    net.train()
    net.features[1].eval()
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    assert selected.training
    assert net.features.training
    assert not net.features[1].training


def test_split_gives_layers(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    activations = selected(images())
    parts = selected.split(activations)
    assert list(parts) == ["conv1", "fc"]
    assert torch.equal(torch.cat(list(parts.values()), dim=1), activations)
    assert {layer: part.shape[1] for layer, part in parts.items()} == selected.sizes


def test_masks_stand_for_units_of_a_release(net, units, method):
    masks = units.masks()
    selected = nn.SelectedActivations(net, masks, layers=LAYERS, method=method)
    batch = images()
    assert torch.equal(
        selected(batch), nn.SelectedActivations(net, units, layers=LAYERS, method=method)(batch)
    )
    assert selected.unit_ids[0] == "conv1/" + str(int(masks["conv1"].flatten().nonzero()[0]))


def test_the_release_names_the_modules(units):
    network = torch_nn.Sequential()
    network.conv1 = torch_nn.Conv2d(3, 2, 3)
    network.flat = torch_nn.Flatten()
    network.fc = torch_nn.Linear(18, 10)
    batch = images()
    layers = {"conv1": "conv1", "fc": "fc"}
    assert torch.equal(
        nn.SelectedActivations(network, units)(batch), reference(network, batch, units, layers)
    )


def test_indices_are_buffers(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    state = selected.state_dict()
    assert [key for key in state if key.endswith("index")]
    other = nn.SelectedActivations(ready(Net()), units, layers=LAYERS)
    other.load_state_dict(state)
    batch = images()
    assert torch.equal(other(batch), selected(batch))
    assert all(buffer.device.type == "meta" for buffer in selected.to("meta").buffers())


def test_the_state_of_other_units_is_refused(net, units):
    selected = nn.SelectedActivations(net, {"fc": torch.arange(10) < 4})
    other = nn.SelectedActivations(net, {"fc": torch.arange(10) > 5})
    with pytest.raises(ActivationsError, match="layer 'fc': the state is that of other units"):
        other.load_state_dict(selected.state_dict())
    assert other.unit_ids == ("fc/6", "fc/7", "fc/8", "fc/9")


def test_a_copy_is_its_own(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    copied = copy.deepcopy(selected).train()
    batch = images()
    assert torch.equal(selected(batch), selected(batch))
    assert not torch.equal(copied(batch), copied(batch))


def test_export_torchscript_and_compile_give_the_same(net, units):
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    batch, more = images(), images(7)
    exported = torch.export.export(
        selected, (batch,), dynamic_shapes={"images": {0: torch.export.Dim("n", min=2, max=64)}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript altogether
        scripted, traced = torch.jit.script(selected), torch.jit.trace(selected, batch)
        saved = io.BytesIO()
        torch.jit.save(scripted, saved)
        saved.seek(0)
        loaded = torch.jit.load(saved)
    compiled = torch.compile(selected, backend="eager", fullgraph=True)
    for ways in (exported.module(), scripted, traced, loaded, compiled):
        torch.testing.assert_close(ways(more), selected(more))
    assert not any("tail" in name for name, _ in exported.named_parameters())


def test_another_resolution_is_refused_on_every_way(units):
    network, units = fully_convolutional(), units.masks()["conv1"]
    selected = nn.SelectedActivations(network, {"conv": units})
    larger = torch.randn(2, 3, 9, 9)
    with pytest.raises(ActivationsError, match=r"shape \(2, 7, 7\) here, and \(2, 3, 3\) in"):
        selected(larger)
    with pytest.raises(ActivationsError, match="resolution='nearest'"):
        nn.SelectedActivations(network, {"conv": units}, method="hooks")(larger)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(selected)
        with pytest.raises(ActivationsError):
            torch.jit.trace(selected, larger)
    with pytest.raises(torch.jit.Error):
        scripted(larger)


def fully_convolutional() -> torch_nn.Module:
    network = torch_nn.Sequential()
    network.conv = torch_nn.Conv2d(3, 2, 3)
    return network.eval()


@pytest.mark.parametrize("size", [(3, 3), (4, 7), (5, 5), (9, 11), (21, 20)])
def test_nearest_takes_the_position_that_holds_the_centre(size, method):
    network = fully_convolutional()
    mask = torch.rand(2, 3, 3) < 0.6
    height, width = size[0] - 2, size[1] - 2
    batch = torch.randn(2, 3, *size)
    found = nn.SelectedActivations(network, {"conv": mask}, resolution="nearest", method=method)(
        batch
    )
    maps = network(batch)
    for column, (channel, row, place) in enumerate(mask.nonzero().tolist()):
        y = int((row + 0.5) / 3 * height + 1e-9)
        x = int((place + 0.5) / 3 * width + 1e-9)
        assert torch.equal(found[:, column], maps[:, channel, y, x])


def test_nearest_refuses_other_channels(method):
    mask = {"conv": torch.ones(3, 3, 3, dtype=torch.bool)}
    selected = nn.SelectedActivations(
        fully_convolutional(), mask, resolution="nearest", method=method
    )
    with pytest.raises(ActivationsError, match=r"\(2, 3, 3\) here, and \(3, 3, 3\)"):
        selected(images())


def test_one_number_an_image_is_a_layer_of_one_unit():
    class Mean(torch_nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2, 3))

    batch = images()
    network = torch_nn.Sequential(Mean())
    found = nn.SelectedActivations(network, {"0": torch.ones(1, dtype=torch.bool)})(batch)
    assert torch.equal(found, batch.mean(dim=(1, 2, 3))[:, None])


class Twice(torch_nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch_nn.Conv2d(3, 3, 1)
        self.unused = torch_nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(self.conv(x))


@pytest.mark.parametrize(("name", "times"), [("conv", 2), ("unused", 0)])
def test_a_module_must_run_once(method, name, times):
    mask = {name: torch.ones(3, 5, 5, dtype=torch.bool)}
    with pytest.raises(ModelError, match=f"layer '{name}' ran {times} times"):
        nn.SelectedActivations(Twice(), mask, method=method)(images())


class Pair(torch_nn.Module):
    def forward(self, x):
        return x, x


def test_a_module_must_return_a_tensor(method):
    class Whole(torch_nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair = Outer()

        def forward(self, x):
            return self.pair(x)[0]

    class Outer(torch_nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Pair()

        def forward(self, x):
            a, b = torch.relu(x), torch.relu(x)
            return self.inner(a)[0], b

    for path in ("pair", "pair.inner"):
        with pytest.raises(ActivationsError, match=r"layer 'a'.* tuple"):
            nn.SelectedActivations(
                Whole(),
                {"a": torch.ones(3, 5, 5, dtype=torch.bool)},
                layers={"a": path},
                method=method,
            )(images())


def test_unknown_modules_and_layers_are_named_with_the_nearest(net, units):
    with pytest.raises(
        UnknownLayerError,
        match=r"'feature.1' in the modules of Net, for layer 'conv1'; did you "
        r"mean 'features.1'",
    ):
        nn.SelectedActivations(net, units, layers={"conv1": "feature.1"})
    with pytest.raises(UnknownLayerError, match=r"'conv1' in the modules .* map them: layers="):
        nn.SelectedActivations(net, units)
    with pytest.raises(UnknownLayerError, match=r"'conv' in layers=.*'conv1'"):
        nn.SelectedActivations(net, units, layers={"conv": "features.1"})


def test_selections_that_are_none(net, units):
    with pytest.raises(QueryError, match="holds no unit"):
        nn.SelectedActivations(net, units.where(col.mean_r > 1))
    with pytest.raises(QueryError, match="holds no unit"):
        nn.SelectedActivations(net, {"fc": torch.zeros(10, dtype=torch.bool)})
    with pytest.raises(QueryError, match=r"layer 'fc' are a bool tensor.*torch.float32"):
        nn.SelectedActivations(net, {"fc": torch.ones(10)})
    with pytest.raises(QueryError, match="not list"):
        nn.SelectedActivations(net, {"fc": [True]})
    with pytest.raises(QueryError, match=r"such as release.units\(\), or masks by layer, not list"):
        nn.SelectedActivations(net, ["fc/1"])


@pytest.mark.parametrize(
    ("options", "error"),
    [({"resolution": "bilinear"}, ActivationsError), ({"method": "jit"}, ModelError)],
)
def test_options_that_are_none(net, units, options, error):
    with pytest.raises(error, match=next(iter(options.values()))):
        nn.SelectedActivations(net, units, layers=LAYERS, **options)


class Auxiliary(Net):
    """Runs another module in training than in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = torch_nn.Linear(18, 18)

    def forward(self, x):
        hidden = self.features(x).flatten(1)
        if self.training:
            hidden = self.aux(hidden)
        return self.fc(hidden)


def test_a_network_of_two_faces_runs_with_hooks(units):
    network = ready(Auxiliary())
    selected = nn.SelectedActivations(network, units, layers=LAYERS)
    assert "other modules in training" in selected.why_hooks
    batch = images()
    assert torch.equal(selected(batch), reference(network, batch, units))
