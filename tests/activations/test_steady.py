"""A network whose activations depend on more than the picture is refused when it is loaded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.activations.conftest import SOURCE, write_model
from unitdb.activations import Preprocessing, Stimuli, UnitSelection, extract, load_model
from unitdb.doubles import in_doubles
from unitdb.errors import ActivationsError, ModelError
from unitdb.steady import check_steady, deviation

_BODY = "return self.fc(self.drop(torch.flatten(x, 1)))"


def _changed(old: str, new: str) -> str:
    assert old in SOURCE
    return SOURCE.replace(old, new)


def _conv2(new: str) -> str:
    return _changed("self.conv2 = nn.Conv2d(channels, 3, 2, stride=2)", new)


_KEPT = """
class Kept(nn.Conv2d):
    def forward(self, x):
        x = super().forward(x)
        {}
        return x

"""


def _kept(step: str) -> str:
    source = _conv2("self.conv2 = Kept(channels, 3, 2, stride=2)")
    return source.replace("class Tiny", _KEPT.format(step) + "class Tiny")


ODD = {
    "BatchNorm without running statistics": _conv2(
        "self.conv2 = nn.Sequential(nn.Conv2d(channels, 3, 2, stride=2), "
        "nn.BatchNorm2d(3, track_running_stats=False))"
    ),
    "functional dropout": _kept("x = nn.functional.dropout(x, 0.5)"),
    "noise": _kept("x = x + 1e-4 * torch.randn_like(x)"),
    "noise with a seed": _kept(
        "x = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(0))"
    ),
    "numpy's noise": "import numpy\n"
    + _kept("x = x * numpy.random.uniform()").replace("from __future__ import annotations\n", ""),
    "the batch's mean": _kept("x = x - x.mean(0)"),
    "the batch's place": _kept("x = x + torch.arange(len(x)).reshape(-1, 1, 1, 1)"),
    "the batch's size": _kept("x = x * len(x)"),
    "a running mean": _kept("self.bias.data += 0.01"),
    "a count": _kept("self.n = getattr(self, 'n', 0) + 1; x = x + self.n"),
    "what was before": _kept("x, self.last = x + getattr(self, 'last', x).mean(), x.clone()"),
    "training mode that is kept": _conv2(
        "self.conv2 = nn.Sequential(nn.Conv2d(channels, 3, 2, stride=2), nn.BatchNorm2d(3)); "
        "self.conv2.train = lambda mode=True: self.conv2"
    ),
    "a hook": _changed(
        "    return Tiny(channels)",
        "    net = Tiny(channels)\n"
        "    net.conv2.register_forward_hook(lambda m, i, o: o + torch.rand(()))\n"
        "    return net",
    ),
}


@pytest.mark.robust(
    "networks",
    given="a layer that depends on more than its picture: BatchNorm without running statistics, "
    "functional dropout, noise (seeded too), a batch's mean, place or size, counters, what was "
    "shown before, a training mode that stays, random hooks",
    before="accuracies; activations of one picture correlated by r .86 between batches of 2 and 8 "
    "(BatchNorm)",
    now="refused when the network is loaded, with the name of the layer",
)
@pytest.mark.parametrize("odd", ODD)
def test_activations_that_depend_on_more_than_the_picture(tmp_path, odd):
    spec = write_model(tmp_path, ODD[odd])
    with pytest.raises(ModelError, match=r"model 'tiny': (layer|module) 'conv2'.*picture"):
        load_model(spec, folder=tmp_path)


def test_what_is_at_fault_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"'conv2.1' \(BatchNorm2d without running statistics\)"):
        load_model(
            write_model(tmp_path, ODD["BatchNorm without running statistics"]), folder=tmp_path
        )
    with pytest.raises(ModelError, match=r"'conv2' \(Sequential in training mode\)"):
        load_model(write_model(tmp_path, ODD["training mode that is kept"]), folder=tmp_path)


def test_state_that_changes_is_refused_before_it_shows(tmp_path):
    source = _kept("self.seen += x.detach().mean()").replace(
        "    def forward(self, x):\n        x = super",
        "    def __init__(self, *args, **options):\n"
        "        super().__init__(*args, **options)\n"
        "        self.register_buffer('seen', torch.zeros(()), persistent=False)\n\n"
        "    def forward(self, x):\n        x = super",
    )
    with pytest.raises(ModelError, match=r"state 'conv2.seen' changes as pictures pass"):
        load_model(write_model(tmp_path, source), folder=tmp_path)


def test_a_network_that_takes_no_single_picture(tmp_path):
    source = _kept("if len(x) < 2: raise ValueError('more than one')")
    with pytest.raises(
        ModelError, match=r"does not take input of shape \(1, 3, 4, 4\): ValueError: more"
    ):
        load_model(write_model(tmp_path, source), folder=tmp_path)


def test_what_is_in_order_passes(tmp_path):
    for step in (
        "x = nn.functional.dropout(x, 0.5, self.training)",
        "x = nn.functional.instance_norm(x)",
        "x = x * 0",
        "x = x.half()",
        "x = (x > 0).int()",
        "self.n = getattr(self, 'n', 0) + 1",
    ):
        source = _kept(step).replace(_BODY, "return x")
        spec = write_model(tmp_path, source, layers={"conv2": "conv2"})
        load_model(spec, folder=tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_networks_that_only_round_pass(tmp_path, dtype):
    source = f"""
import torch
from torch import nn


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4, dtype=torch.{dtype})
        self.blocks = nn.Sequential(*(
            nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dtype=torch.{dtype})
            for _ in range(3)
        ))
        self.norm = nn.LayerNorm(16)

    def forward(self, x):
        x = self.patch(x.to(torch.{dtype})).flatten(2).transpose(1, 2)
        x = self.blocks(x)
        return self.norm(x.float() - x.float().mean(-1, keepdim=True))


def make():
    return Vit()
"""
    layers = {"patch": "patch", "block": "blocks.2", "norm": "norm"}
    preprocessing = Preprocessing(size=16, mean=(120, 130, 140), std=(50, 60, 70))
    spec = write_model(tmp_path, source, layers=layers, preprocessing=preprocessing)
    assert len(load_model(spec, folder=tmp_path).layers) == 3


def _load_only(tmp_path, step: str, before: str = ""):
    source = _kept(step).replace(_BODY, "return x")
    source = source.replace("class Kept", before + "\n\nclass Kept")
    return load_model(write_model(tmp_path, source, layers={"conv2": "conv2"}), folder=tmp_path)


DRAWS = {
    "a branch, dropped whole": "x = x + (0.0 if torch.rand(()) < 0.01 else 0.5) * x.sigmoid()",
    "dropout of 1 %": "x = nn.functional.dropout(x, 0.01)",
    "bernoulli": "x = x * torch.bernoulli(torch.full_like(x, 0.999))",
    "numpy's": "import numpy; x = x + 1e-9 * numpy.random.rand()",
    "Python's": "import random; x = x + 1e-9 * random.random()",
    "not used": "torch.rand(())",
    "another seed": "torch.manual_seed(len(x))",
    "a generator of the module": "self.own = getattr(self, 'own', None) or torch.Generator(); "
    "x = x + (torch.rand((), generator=self.own) < 0.01)",
    "a generator in a list": "x = x + (self.own[0].random() < 0.01)",
    "a generator beside the class": "x = x + (GENERATOR.random() < 0.01)",
}


@pytest.mark.robust(
    "networks",
    given="a network that draws random numbers which show in few passes (stochastic depth or "
    "dropout of 1 %), or are not used: from torch, numpy, Python or a generator of its own",
    before="accepted in 12 to 17 of 20 trials: four passes often agree",
    now="refused always, as the states of generators are looked at; the module that drew is named",
)
@pytest.mark.parametrize("draws", DRAWS)
def test_drawing_random_numbers_is_seen_by_the_generator(tmp_path, draws):
    before = "import numpy\n\nGENERATOR = numpy.random.default_rng(0)"
    step = DRAWS[draws]
    if "self.own[0]" in step:
        before = before.replace("GENERATOR = ", "OWN = [") + "]"
        step = "self.own = OWN; " + step
    with pytest.raises(ModelError, match=r"module 'conv2' \(Kept\) draws random numbers"):
        _load_only(tmp_path, step, before)


ELSEWHERE = """
import random
import threading

from torch import nn


class Beside(nn.Module):
    passes = 0

    def __init__(self, turn):
        super().__init__()
        self.turn = turn

    def forward(self, x):
        Beside.passes += self.turn == 0
        if Beside.passes % 3 != self.turn:
            thread = threading.Thread(target=random.random)
            thread.start()
            thread.join()
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.beside = nn.Sequential(*(Beside(turn) for turn in range(3)))

    def forward(self, x):
        return self.beside(self.conv(x))


def make():
    return Net()
"""


@pytest.mark.robust(
    "networks",
    given="a network whose pictures are made by workers: other threads of theirs draw random "
    "numbers from Python's generator meanwhile, in each of several passes on a busy machine",
    before="by chance an error, late in a build: the module that had been running *draws random "
    "numbers*",
    now="a module is said to draw from Python's generator if it does so in each of ten passes",
)
def test_other_threads_may_draw(tmp_path):
    model = load_model(write_model(tmp_path, ELSEWHERE, layers={"conv": "conv"}), folder=tmp_path)
    assert [layer.name for layer in model.layers] == ["conv"]


def test_drawing_and_giving_the_state_back(tmp_path):
    with pytest.raises(ModelError, match=r"module 'conv2' .*draws|layer 'conv2'.*asked for again"):
        _load_only(
            tmp_path, "with torch.random.fork_rng(devices=[]): x = x + torch.rand(x.shape[1:])"
        )


def test_drawing_for_some_pictures_is_seen_while_they_pass(tmp_path):
    loaded = _load_only(
        tmp_path, "x = x + (torch.rand(()) if bool((x == x[..., :1, :1]).all()) else 0)"
    )
    images = [np.full((4, 4, 3), value, np.uint8) for value in (0, 9)]
    images[1][0, 0] = 255
    for number, image in enumerate(images):
        stimuli = Stimuli((str(number),), (str(number),), [image].__getitem__)
        ask = {"folder": tmp_path / "store", "units": UnitSelection(sample=None)}
        if number:
            extract(loaded, stimuli, **ask)
            continue
        with pytest.raises(ActivationsError, match="random numbers were drawn while pictures pass"):
            extract(loaded, stimuli, **ask)


BATCHES = {
    "beside 1e7": "x = torch.cat([x - x.mean(0), 1e7 + 0 * x[:, :1]], 1)",
    "BatchNorm beside 2e4": "x = torch.cat([nn.functional.batch_norm(x, None, None, "
    "training=True), 2e4 + 0 * x[:, :1]], 1)",
    "bfloat16, 8 %": "x = (x + 0.08 * x.abs().max() * torch.tanh(x.mean(0))).bfloat16()",
    "bfloat16, 1 %": "x = (x + 0.01 * x.abs().max() * torch.tanh(x.mean(0))).bfloat16()",
    "float16, 1 %": "x = (x + 0.012 * x.abs().max() * torch.tanh(x.mean(0))).half()",
    "from 4 on": "x = x - (x.mean(0) if len(x) > 3 else 0)",
    "parts of 8": "x = torch.cat([nn.functional.batch_norm(c, None, None, training=True) "
    "if len(c) == 8 else c for c in x.split(8)])",
    "little around 1,000": "x = 1000 + 0.01 * (x - x.mean(0))",
}


@pytest.mark.robust(
    "networks",
    given="a layer that depends on the batch by little, beside a channel of 1e7, in bfloat16 "
    "(8 %) or float16 (1.2 %), or in batches of 4 and more",
    before="accepted: differences were held against the layer's largest unit, 16 digits of the "
    "type, in batches of 3 at the most",
    now="refused: each unit is held against its own range over pictures, in batches up to 8, and "
    "what remains in double precision is no rounding",
)
@pytest.mark.parametrize("step", BATCHES.values(), ids=BATCHES)
def test_dependence_on_the_batch_shows_in_each_unit(tmp_path, step):
    with pytest.raises(ModelError, match=r"layer 'conv2': .* differs, alone and in a batch of 8"):
        _load_only(tmp_path, step)


_LITTLE = "0.01 * x.mean((0, 2, 3), keepdim=True)[0]"
WRITTEN = {
    "out= of a new tensor": f"it = torch.zeros(3, 1, 1); torch.mul({_LITTLE}, 1, out=it)",
    "out= of one that is kept": f"torch.mul({_LITTLE}, 1, out=KEPT); it = KEPT",
    "out= of a view": f"torch.mul({_LITTLE}, 1, out=KEPT[:]); it = KEPT",
    "a view": f"KEPT[:1].copy_({_LITTLE}[:1]); it = KEPT",
    "a view that is kept": f"torch.mul({_LITTLE}, 1, out=VIEW); it = KEPT",
    "what a view is of": f"KEPT.copy_({_LITTLE}); it = VIEW",
    "an item": f"KEPT[0] = {_LITTLE}[0]; it = KEPT",
    "a slice that is filled": f"it = torch.zeros(3, 1, 1); it[:] = {_LITTLE}",
    "a power": f"it = KEPT; it.fill_(2.0); it **= {_LITTLE}",
    "inplace=True": f"it = KEPT; it.copy_({_LITTLE}); nn.functional.elu(it, 1.0, True)",
    "numpy's view": f"KEPT.numpy()[:] = {_LITTLE}.numpy(); it = KEPT",
    "data": f"KEPT.data.copy_({_LITTLE}); it = KEPT",
}


@pytest.mark.robust(
    "networks",
    given="a layer less 1 % of its batch's mean, by way of a tensor that is written to: `out=`, "
    "a view, `.data` or numpy",
    before="accepted: in double precision what was written was lost, and with it the dependence, "
    "which seemed to vanish as rounding does",
    now="refused: a tensor of another type has one stand-in of float64, which is written and read",
)
@pytest.mark.parametrize("step", WRITTEN.values(), ids=WRITTEN)
def test_dependence_on_the_batch_by_way_of_what_is_written(tmp_path, step):
    kept = "KEPT = torch.zeros(3, 1, 2)[..., 1:]\nVIEW = KEPT.view(3, 1, 1)"
    with pytest.raises(ModelError, match=r"layer 'conv2': .* differs, alone and in a batch of 8"):
        _load_only(tmp_path, f"{step}; x = x - it", kept)


def test_a_network_stays_as_it_is_in_doubles():
    network = torch.nn.BatchNorm1d(2).eval()
    network.register_buffer("seen", torch.zeros(2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with in_doubles():
        network.seen += network(torch.ones(3, 2)).sum(0)
        network.seen.mul_(2)
        network.weight.data[0] = 7
        seen = network.seen.clone()
        assert network.weight.tolist() == [7, 1]
    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert seen.dtype == torch.float64


@pytest.mark.robust(
    "networks",
    given="an activation that is NaN or infinite, beside others that are random",
    before="any difference passed; NaN in a weight was a dependence on the batch, by inf",
    now="refused as NaN or inf, with the layer and how many there are",
)
@pytest.mark.parametrize(("value", "text"), [("nan", "NaN"), ("inf", "inf"), ("-inf", "-inf")])
def test_activations_that_are_not_finite(tmp_path, value, text):
    with pytest.raises(
        ActivationsError, match=f"layer 'conv2': 4 of 16 activations .* the first is {text};"
    ):
        _load_only(tmp_path, f"x = torch.cat([x, float('{value}') + 0 * x[:, :1]], 1)")


@pytest.mark.parametrize(
    "step",
    [
        "x = x - x.float().mul(3).div(3)",  # rounding alone
        "x = (x * (x > x.mean((1, 2, 3), keepdim=True))).bfloat16()",
        "x = (3 * x).round().int()",
        "x = x.bfloat16().float() - x",
        "x = (1e4 + x) - 1e4",
        "x = torch.sub(x, x.float().mul(3).div(3), out=torch.zeros(x.shape))",
    ],
)
def test_rounding_is_let_pass(tmp_path, step):
    _load_only(tmp_path, step)


def test_rounding_is_told_by_double_precision():
    torch.manual_seed(0)
    network = torch.nn.Identity()

    def check(by: float, always: bool) -> None:
        def run(batch, receive, guard):
            with guard():
                exact = batch.dtype == torch.float64
                with torch.utils._python_dispatch._disable_current_modes():
                    off = by * (len(batch) - 1) * (always or not exact)
                    receive("layer", batch * (1 + off))

        a, *mates = torch.randn(8, 2, 4, 4)
        check_steady(run, a, torch.stack(mates), network=network, where="model 'm'")

    check(1e-7, always=True)
    check(1e-3, always=False)
    with pytest.raises(ModelError, match=r"layer 'layer'.* batch of 8, by 0.00\d+ of a unit's lar"):
        check(1e-3, always=True)


def test_deviation():
    x = torch.tensor([1.0, -4.0])
    assert deviation(x, x.clone()) == 0
    assert deviation(torch.tensor([1.0, -4.0]), torch.tensor([1.0, -3.0])) == 0.25
    assert deviation(torch.zeros(2), torch.ones(2)) == 1
    assert deviation(torch.tensor([1.0, 2.0]), torch.tensor([1.0, float("nan")])) == float("inf")
    assert deviation(torch.zeros(2), torch.zeros(3)) == float("inf")
    # A large unit hides no other, and one that is 0 but for rounding is held against the usual.
    assert deviation(torch.tensor([1.0, 1.0, 1e7]), torch.tensor([1.0, 0.7, 1e7])) > 0.29
    assert deviation(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([1.0, 1.0, 1e-7])) < 1e-6
