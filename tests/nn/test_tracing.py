"""A trace is tried, not trusted: it gives what the network gives, which it leaves as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn as torch_nn
from torch.nn import functional

from tests.nn.conftest import LAYERS, Net, images, ready
from unitdb import nn
from unitdb.errors import ModelError


def everything(*shape: int) -> torch.Tensor:
    return torch.ones(*shape, dtype=torch.bool)


class Two(torch_nn.Module):
    """Two convolutions, and something between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch_nn.Conv2d(3, 3, 1)
        self.last = torch_nn.Conv2d(3, 2, 1)

    def forward(self, x):
        return self.last(self.between(self.first(x)))

    def between(self, x):
        return x


MASK = {"last": everything(2, 5, 5)}


class ByInstance(Two):
    def between(self, x):
        return (x - 0.5) / 0.2 if isinstance(x, torch.Tensor) else x


class ByIsTensor(Two):
    def between(self, x):
        return (x - 0.5) / 0.2 if torch.is_tensor(x) else x


class ByType(Two):
    def between(self, x):
        return x * 2 if type(x) is torch.Tensor else x


class InBfloat16(Two):
    def between(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.first(x).float()


class InBfloat16ToTheEnd(Two):
    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


@pytest.mark.robust(
    "networks",
    given="a network in unitdb.nn whose forward asks whether its input is a tensor, or uses "
    "autocast within",
    before="activations of another way through it, without a word: torch.fx traces it with what is "
    "no tensor",
    now="its trace is held to the network on the first images, and it runs with hooks where it "
    "differs",
)
@pytest.mark.parametrize(
    "kind",
    [ByInstance, ByIsTensor, ByType, InBfloat16, InBfloat16ToTheEnd],
    ids=lambda k: k.__name__,
)
@pytest.mark.parametrize("gradients", [True, False])
def test_a_trace_that_gives_other_activations_is_not_taken(kind, gradients):
    network, batch = kind().eval(), images()
    selected = nn.SelectedActivations(network, MASK)
    with torch.set_grad_enabled(gradients):
        found, true = selected(batch), network(batch).flatten(1)
    assert found.dtype == true.dtype
    assert torch.equal(found, true)
    assert selected.method == "hooks"
    assert "traced" in selected.why_hooks
    with pytest.raises(ModelError, match="cannot be traced: traced, "):
        nn.SelectedActivations(network, MASK, method="fx")(batch)


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(_ctx, x):
        return torch.sign(x)

    @staticmethod
    def backward(_ctx, gradient):
        return gradient


class StraightThrough(Two):
    def between(self, x):
        return Sign.apply(x)


class Frozen(Two):
    def between(self, x):
        with torch.no_grad():
            return x * 2


class Detached(Two):
    """Of which a trace is as it should be but for gradients."""

    def between(self, x):
        return x.detach() if isinstance(x, torch.Tensor) else x


@pytest.mark.robust(
    "networks",
    given="a network in unitdb.nn with an autograd.Function of its own, such as straight-through "
    "signs, or a part without gradients (torch.no_grad)",
    before="gradients of another network: a trace has neither",
    now="gradients of the network: it runs with hooks, and says why",
)
@pytest.mark.parametrize("kind", [StraightThrough, Frozen, Detached], ids=lambda k: k.__name__)
@pytest.mark.parametrize("seen_before", [True, False])
def test_gradients_are_those_of_the_network(kind, seen_before):
    network, batch = kind().eval(), images()
    selected = nn.SelectedActivations(network, MASK)
    if seen_before:
        with torch.inference_mode():
            selected(batch)
    taken = [batch.requires_grad_(), *network.parameters()]
    weights = torch.randn(len(batch), 50)
    found = torch.autograd.grad(selected(batch), taken, weights, allow_unused=True)
    true = torch.autograd.grad(network(batch).flatten(1), taken, weights, allow_unused=True)
    assert all(a is b or torch.equal(a, b) for a, b in zip(found, true, strict=True))
    assert selected.method == "hooks"
    assert "gradients" in selected.why_hooks


class Counting(torch_nn.BatchNorm2d):
    """A normalisation with something inside, as those of timm."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.act = torch_nn.ReLU()

    def forward(self, x):
        self.num_batches_tracked.add_(1)
        x = functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training
        )
        return self.act(x)


class Remembering(Two):
    def __init__(self) -> None:
        super().__init__()
        self.norm = Counting(3)
        self.seen, self.cache = None, {"kept": []}

    def between(self, x):
        self.seen = self.norm(x).detach()
        self.cache["last"] = self.seen
        self.cache["kept"].append(self.seen)
        return self.norm.act(x) + self.seen


@pytest.mark.robust(
    "networks",
    given="a network in unitdb.nn that keeps what it computed (attention maps, caches), or with "
    "batch normalisation of timm",
    before="proxies of torch.fx in its attributes: it could not be saved or copied any more; and "
    "counts of batches went up by tracing",
    now="tracing leaves attributes, caches, buffers, modes and random numbers as they were",
)
@pytest.mark.parametrize("training", [True, False])
def test_wrapping_leaves_the_network_as_it_was(training):
    network = Remembering().train(training)
    before = copy.deepcopy(network)
    state = torch.get_rng_state()
    selected = nn.SelectedActivations(network, MASK)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.seen is None
    assert network.cache == {"kept": []}
    for (name, buffer), same in zip(network.named_buffers(), before.buffers(), strict=True):
        assert torch.equal(buffer, same), name
    copy.deepcopy(network)
    batch = images()
    with torch.no_grad():
        selected(batch), before(batch)  # the trial leaves no trace either
    for (name, buffer), same in zip(network.named_buffers(), before.buffers(), strict=True):
        assert torch.equal(buffer, same), name


def test_hooks_of_containers_see_tensors_alone(net, units):
    seen = []
    net.features.register_forward_hook(lambda _m, _i, output: seen.append(type(output)))
    net.tail.register_forward_hook(lambda _m, _i, output: seen.append(type(output)))
    selected = nn.SelectedActivations(net, {"fc": everything(10)})
    assert (selected.method, seen) == ("fx", [])  # called as one module, with its hooks
    selected(images())
    assert set(seen) == {torch.Tensor}
    inside = nn.SelectedActivations(net, units, layers=LAYERS)
    assert inside.why_hooks == "TraceError: features has hooks"


class KeptFrozen(Two):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch_nn.BatchNorm2d(3)

    def between(self, x):
        return self.norm(x)

    def train(self, mode=True):
        super().train(mode)
        self.norm.eval()
        return self


def test_a_train_of_its_own_is_called():
    network = KeptFrozen().train()
    selected = nn.SelectedActivations(network, MASK).train()
    assert selected.method == "fx"  # the normalisation is called as a module, in its mode
    mean = network.norm.running_mean.clone()
    selected(images())
    assert not network.norm.training
    assert torch.equal(network.norm.running_mean, mean)
    network.train = lambda _mode=True: KeptFrozen.train(network, mode=False)
    network.eval()
    selected = nn.SelectedActivations(network, MASK)
    assert "the network is in another mode" in selected.why_hooks


def test_modes_of_parts_are_kept():
    class Dropping(torch_nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch_nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return functional.dropout(self.conv(x), 0.5, self.training)

    network = torch_nn.Sequential(Dropping(), torch_nn.Conv2d(3, 2, 1)).train()
    network[0].eval()
    batch = images()
    outer = nn.SelectedActivations(network, {"1": everything(2, 5, 5)})
    assert outer.method == "fx"  # the part is called as one module
    assert torch.equal(outer(batch), network(batch).flatten(1))
    inner = nn.SelectedActivations(network, {"0.conv": everything(3, 5, 5)})
    assert "another mode" in inner.why_hooks


class Scaled(Two):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))
        self.scale = torch_nn.Parameter(torch.ones(1, 3, 1, 1))

    def between(self, x):
        return (x - self.mean) * self.scale


@pytest.mark.robust(
    "networks",
    given="a network in unitdb.nn whose buffer is set anew, or that loads weights with "
    "assign=True or is cast, after it was wrapped",
    before="what its containers own stayed as it was: other activations, or an error about types",
    now="the traced pass has what the network has",
)
@pytest.mark.parametrize("copied", [False, True])
def test_what_containers_own_is_shared(copied):
    network, batch = Scaled().eval(), images()
    selected = nn.SelectedActivations(network, MASK)
    if copied:
        selected = copy.deepcopy(selected)
        network = selected._plain[0].network
    assert selected.method == "fx"
    network.mean = torch.ones(1, 3, 1, 1)
    assert torch.equal(selected(batch), network(batch).flatten(1))
    other = Scaled()
    other.scale.data *= 3
    network.load_state_dict(other.state_dict(), assign=True)
    assert torch.equal(selected(batch), network(batch).flatten(1))
    network.double()
    assert torch.equal(selected(batch.double()), network(batch.double()).flatten(1))
    selected.float()
    assert torch.equal(selected(batch), network(batch).flatten(1))
    assert selected.method == "fx"


def test_random_networks_are_traced_and_go_on_from_their_seed(net, units):
    net.train()
    selected = nn.SelectedActivations(net, units, layers=LAYERS)
    other, batch = copy.deepcopy(net), images()
    reference = nn.SelectedActivations(other, units, layers=LAYERS, method="hooks")
    torch.manual_seed(3)
    found = [selected(batch) for _ in range(2)]
    torch.manual_seed(3)
    assert all(torch.equal(one, reference(batch)) for one in found)
    assert selected.method == "fx"
    for (name, buffer), same in zip(net.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(buffer, same), name


def test_what_comes_after_the_last_layer_may_fail_in_the_trial():
    network = torch_nn.Sequential(
        torch_nn.Conv2d(3, 2, 3), torch_nn.Flatten(), torch_nn.Linear(18, 4)
    ).eval()
    for method in ("fx", "hooks"):
        selected = nn.SelectedActivations(
            network, {"0": everything(2, 3, 3)}, resolution="nearest", method=method
        )
        for _ in range(2):
            assert selected(torch.randn(2, 3, 9, 9)).shape == (2, 18)


def test_a_copy_is_tried_as_the_original_was(net, units):
    selected = nn.SelectedActivations(ready(Net()), units, layers=LAYERS)
    selected(images())
    copied = selected.tried_copy()
    assert copied._plain == ()
    assert selected._plain
    batch = images()
    assert torch.equal(copied(batch), selected(batch))
