"""Pictures from activations: against plain loops, recovered from their own, and what is refused."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

from unitdb import nn
from unitdb.errors import ActivationsError, ModelError

SIZE = 24
LAYERS = ("0", "2")


class Tiny(torch.nn.Sequential):
    """Two convolutions, which keep most of a picture of 24 × 24."""

    def __init__(self) -> None:
        super().__init__(
            torch.nn.Conv2d(3, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 3, stride=2)
        )


class Asking(Tiny):
    """Cannot be traced."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(-images if images.sum() > 1e9 else images)


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Tiny().eval()


MASKS = {
    "0": torch.ones(8, SIZE, SIZE, dtype=torch.bool),
    "2": torch.ones(8, 11, 11, dtype=torch.bool),
}


def transform(images: torch.Tensor) -> torch.Tensor:
    return (images - 127) / 128


def photographs(n: int = 1, *, side: int = SIZE, seed: int = 0) -> np.ndarray:
    """Smooth coloured pictures with an edge."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (n, 3, 4, 4)))
    smooth = functional.interpolate(coarse, side, mode="bicubic").clamp(0, 255)
    smooth[:, 0, :, side // 2 :] /= 2
    return smooth.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def true_activations(network, pictures, masks=MASKS) -> torch.Tensor:
    selected = nn.SelectedActivations(network, masks)
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return torch.cat([selected(transform(image[None])) for image in images])


def invert(network, targets, masks=MASKS, **options) -> nn.Inversion:
    return nn.invert(network, masks, targets, **{"transform": transform, "size": SIZE} | options)


def correlation(found, seen) -> float:
    return float(np.corrcoef(np.ravel(found), np.ravel(seen))[0, 1])


def loss_by_loops(found, targets, weights, kind, sizes) -> float:
    """Of one picture; sums of Python's floats."""
    starts = np.cumsum([0, *sizes])
    norms, errors = [], []
    for start, stop in pairwise(starts):
        units = range(start, stop)
        norms.append(sum(float(weights[u]) * float(targets[u]) ** 2 for u in units))
        errors.append(
            sum(float(weights[u]) * (float(found[u]) - float(targets[u])) ** 2 for u in units)
        )
    if kind == "normalised":
        return sum(e / n for e, n in zip(errors, norms, strict=True)) / len(norms)
    total = sum(1 / n for n in norms)
    return sum(e / n / total for e, n in zip(errors, norms, strict=True))


def roughness_by_loops(picture) -> float:
    """Picture (height, width, channels), 0–255."""
    down = [abs(float(d)) for d in np.ravel(picture[1:].astype(float) - picture[:-1])]
    across = [abs(float(d)) for d in np.ravel(picture[:, 1:].astype(float) - picture[:, :-1])]
    return (sum(down) / len(down) + sum(across) / len(across)) / 255


@pytest.mark.parametrize("kind", ["normalised", "shen2019"])
def test_the_loss_is_that_of_plain_loops(network, kind):
    rng = np.random.default_rng(0)
    targets = true_activations(network, photographs(2)).numpy()
    weights = rng.uniform(0, 2, targets.shape).astype(np.float32)
    weights[:, ::7] = 0
    targets[:, ::14] = np.nan
    found = invert(network, targets, weights=weights, loss=kind, steps=1, tv=0.3)
    start = np.full((SIZE, SIZE, 3), 127.5)
    grey = torch.full((1, 3, SIZE, SIZE), 127.5)
    selected = nn.SelectedActivations(network, MASKS)
    activations = selected(transform(grey))[0].detach().numpy()
    sizes = list(selected.sizes.values())
    for row in range(2):
        t = np.where(weights[row] > 0, targets[row], 0)
        first = loss_by_loops(activations, t, weights[row], kind, sizes)
        assert found.loss[row, 0] == pytest.approx(first + 0.3 * roughness_by_loops(start), 1e-5)
        last = loss_by_loops(found.activations[row], t, weights[row], kind, sizes)
        last += 0.3 * roughness_by_loops(found.images[row])
        assert found.loss[row, -1] == pytest.approx(last, rel=0.02)  # bytes are rounded


def test_steps_are_those_of_a_plain_loop(network):
    """Adam by its formula, on the pyramid as it is defined."""
    targets = true_activations(network, photographs())
    found = invert(network, targets, steps=12, lr=0.1, tv=0.02)
    grids = [torch.zeros(1, 3, side, side, requires_grad=True) for side in (7, 14, SIZE)]
    m, v = ([torch.zeros_like(grid) for grid in grids] for _ in range(2))
    sizes = [mask.numel() for mask in MASKS.values()]

    def picture() -> torch.Tensor:
        parts = [
            functional.interpolate(g, (SIZE, SIZE), mode="bilinear", align_corners=False)
            for g in grids
        ]
        return 255 / (1 + torch.exp(-sum(parts)))

    def loss(image: torch.Tensor) -> torch.Tensor:
        first = network[0](transform(image))
        second = network[2](network[1](first))
        terms = [
            (a.flatten() - t).square().sum() / t.square().sum() / 2
            for a, t in zip((first, second), targets[0].split(sizes), strict=True)
        ]
        rough = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
        rough = rough + (image[..., 1:] - image[..., :-1]).abs().mean()
        return sum(terms) + 0.02 * rough / 255

    losses = []
    for step in range(12):
        value = loss(picture())
        losses.append(float(value.detach()))
        rate = 0.1 * (0.05 + 0.95 * (1 + math.cos(math.pi * step / 12)) / 2)
        for k, gradient in enumerate(torch.autograd.grad(value, grids)):
            m[k] = 0.9 * m[k] + 0.1 * gradient
            v[k] = 0.999 * v[k] + 0.001 * gradient**2
            mean, variance = m[k] / (1 - 0.9 ** (step + 1)), v[k] / (1 - 0.999 ** (step + 1))
            grids[k].data -= rate * mean / (variance.sqrt() + 1e-8)
    losses.append(float(loss(picture()).detach()))
    np.testing.assert_allclose(found.loss[0], losses, rtol=1e-3)
    expected = picture().detach()[0].permute(1, 2, 0).numpy()
    assert np.abs(found.images[0] - expected).max() < 1.5


def test_a_photograph_is_recovered_from_its_own_features(network):
    pictures = photographs(2)
    targets = true_activations(network, pictures)
    found = invert(network, targets, steps=150, tv=0.001)
    for image, seen in zip(found.images, pictures, strict=True):
        assert correlation(image, seen) > 0.97
    assert found.images.dtype == np.uint8
    assert found.images.shape == pictures.shape
    assert (found.loss[:, -1] < 0.05 * found.loss[:, 0]).all()
    # What is reported is of the bytes that are given.
    np.testing.assert_allclose(
        found.activations, true_activations(network, found.images), rtol=1e-5, atol=1e-5
    )
    assert found.unit_ids == nn.SelectedActivations(network, MASKS).unit_ids


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"prior": "pixels", "steps": 100}, 0.9),
        ({"prior": "dip", "steps": 100, "lr": 0.01}, 0.8),
        ({"optimiser": "lbfgs", "steps": 30}, 0.95),
        ({"prior": "pixels", "preset": "shen2019", "steps": 40}, 0.9),
        ({"jitter": 1, "steps": 100}, 0.5),
    ],
    ids=str,
)
def test_other_ways_find_it_too(network, options, least):
    (seen,) = photographs()
    found = invert(network, true_activations(network, seen[None]), **options)
    assert correlation(found.images[0], seen) > least
    assert found.loss.shape == (1, options["steps"] + 1)


def test_another_layout_of_memory(network):
    targets = true_activations(network, photographs())
    network.to(memory_format=torch.channels_last)
    found = invert(network, targets, optimiser="lbfgs", steps=30)
    assert correlation(found.images, photographs()) > 0.95


def test_grey_pictures_on_a_coarser_grid(network):
    seen = photographs(side=12)[..., :1].repeat(3, -1)
    enlarged = functional.interpolate(
        torch.from_numpy(seen).permute(0, 3, 1, 2).float(), SIZE, mode="bilinear"
    )
    with torch.no_grad():
        targets = nn.SelectedActivations(network, MASKS)(transform(enlarged))
    found = invert(network, targets, channels=1, grid=12, steps=100)
    assert found.images.shape == (1, 12, 12, 3)
    assert (found.images == found.images[..., :1]).all()
    assert correlation(found.images, seen) > 0.97


@pytest.mark.parametrize("kind", [Tiny, Asking])
@pytest.mark.parametrize("prior", ["pyramid", "dip"])
def test_a_picture_depends_on_its_targets_and_its_name_alone(kind, prior):
    torch.manual_seed(1)
    network = kind().eval()
    targets = true_activations(network, photographs(4))
    options = {"prior": prior, "steps": 6, "lr": 0.02, "jitter": 2}
    names = ["a", "b", "c", "d"]
    all_of_them = invert(network, targets, image_ids=names, **options)
    order = [2, 0]
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        some = invert(
            network, targets[order], image_ids=[names[row] for row in order], workers=3, **options
        )
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    for field in ("images", "loss", "activations"):
        assert getattr(some, field).tobytes() == getattr(all_of_them, field)[order].tobytes()
    other = invert(network, targets, image_ids=names, seed=1, **options)
    assert (other.loss != all_of_them.loss).any(axis=1).all()


class Normalised(torch.nn.Sequential):
    """Whose normalisation can be folded into its convolution."""

    def __init__(self) -> None:
        super().__init__(
            torch.nn.Conv2d(3, 8, 5, padding=2),
            torch.nn.BatchNorm2d(8),
            torch.nn.Conv2d(8, 8, 3, stride=2),
        )


@pytest.mark.parametrize("kind", [Tiny, Asking, Normalised])
@pytest.mark.parametrize("options", [{"jitter": 2}, {"optimiser": "sgd", "lr": 0.5}], ids=str)
def test_pictures_sought_together_are_those_sought_alone(kind, options):
    torch.manual_seed(1)
    network = kind().eval()
    targets = true_activations(network, photographs(5))
    options = {"steps": 6, "tv": 0.05} | options
    alone = invert(network, targets, **options)
    together = invert(network, targets, batch=2, **options)
    np.testing.assert_allclose(together.loss, alone.loss, rtol=1e-3)
    assert np.abs(together.images.astype(int) - alone.images).max() <= 1
    np.testing.assert_allclose(  # of these very bytes, by the network as it is
        together.activations, true_activations(network, together.images), rtol=1e-5, atol=1e-5
    )
    assert together.settings == alone.settings | {"batch": 2}
    shared = invert(network, targets, batch=2, workers=3, **options)
    for field in ("images", "loss", "activations"):
        assert getattr(shared, field).tobytes() == getattr(together, field).tobytes()


def test_the_network_is_given_back_as_it_was(network):
    network.train()
    network[1].eval()
    state = torch.get_rng_state()
    with torch.no_grad():
        targets = true_activations(network, photographs())
        invert(network, targets, prior="dip", steps=2)
        invert(network, targets.repeat(2, 1), steps=2, workers=2)
    assert network.training
    assert not network[1].training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_units_of_weight_0_are_as_if_not_chosen(network):
    targets = true_activations(network, photographs())
    weights = torch.ones(targets.shape[1])
    weights[-MASKS["2"].numel() :: 2] = 0
    ignored = targets.clone()
    ignored[:, weights == 0] = torch.nan
    found = invert(network, ignored, weights=weights, steps=5)
    masks = dict(MASKS)
    masks["2"] = (weights[-MASKS["2"].numel() :] > 0).reshape(MASKS["2"].shape)
    fewer = invert(network, targets[:, weights > 0], masks, steps=5)
    np.testing.assert_allclose(found.loss, fewer.loss, rtol=1e-4)
    assert np.abs(found.images.astype(int) - fewer.images).max() <= 1


def test_another_draw_where_a_deep_image_prior_is_stuck(network, monkeypatch):
    targets = true_activations(network, photographs())
    once = invert(network, targets, prior="dip", steps=2)
    monkeypatch.setattr("unitdb.nn.seeking._STUCK", 0.0)
    best = invert(network, targets, prior="dip", steps=2)
    assert best.loss[0, -1] <= once.loss[0, -1]


def test_a_release_states_what_the_network_sees(net, release, monkeypatch):
    units = release.units(dataset="sim-a", roi="V4")
    layers = {"conv1": "features.1", "fc": "fc"}
    selected = nn.SelectedActivations(net, units, layers=layers)
    targets = torch.ones(1, len(selected.unit_ids))
    with pytest.raises(ModelError, match="does not state the preprocessing of model 'net'"):
        nn.invert(net, units, targets, layers=layers)
    stated = nn.Transform(
        size=5, crop=1.0, interpolation="bicubic", mean=(127.0,) * 3, std=(128.0,) * 3
    )
    monkeypatch.setattr("unitdb.nn.inversion.published_transform", lambda _: stated)
    found = nn.invert(net, units, targets, layers=layers, steps=3)
    assert found.images.shape == (1, 5, 5, 3)
    assert found.settings["mean"] == [127.0] * 3
    picture = torch.from_numpy(found.images[0]).permute(2, 0, 1)[None].float()
    expected = selected.eval()((picture - 127) / 128).detach()
    np.testing.assert_allclose(found.activations, expected, rtol=1e-5, atol=1e-6)
    known = (found.images, found.activations)
    nn.invert(net, units, targets, layers=layers, steps=3, known=known)


def test_targets_of_another_network(network):
    pictures = photographs(2)
    true = true_activations(network, pictures)
    invert(network, true, known=(pictures, true), steps=1)
    torch.manual_seed(2)
    with pytest.raises(ModelError, match=r"layer '0': the known activations are .* other weights"):
        invert(Tiny().eval(), true, known=(pictures, true))
    with pytest.raises(ActivationsError, match=r"known: activations of shape \(2, 3\)"):
        invert(network, true, known=(pictures, true[:, :3]))
    with pytest.raises(ActivationsError, match="known: pictures are uint8"):
        invert(network, true, known=(pictures / 255, true))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[0], r"targets have shape \(5576,\)"),
        (lambda t: t[:, 1:], r"must be \(n_images, 5576\)"),
        (lambda t: t[:0], r"targets have shape \(0, 5576\)"),
        (
            lambda t: t.index_fill(1, torch.tensor(3), torch.nan),
            "target of unit 0/3 for image 0 is",
        ),
        (lambda t: t.index_fill(1, torch.tensor(3), torch.inf), "is inf; a weight of 0"),
        (
            lambda t: torch.cat([t[:, :4608], torch.zeros(1, 968)], 1),
            "targets of layer '2' for image 0 are 0",
        ),
    ],
)
def test_targets_that_are_refused(network, change, message):
    targets = change(true_activations(network, photographs()))
    with pytest.raises(ActivationsError, match=message):
        invert(network, targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": -torch.ones(5576)}, "weights are finite numbers, at least 0"),
        ({"weights": torch.ones(5)}, r"weights have shape \(5,\)"),
        (
            {"weights": torch.zeros(5576)},
            "targets of layer '0' for image 0 are 0 or have no weight",
        ),
        ({"image_ids": ["a", "b"]}, "1 rows of targets and 2 different image_ids"),
        ({"prior": "gan"}, "prior='gan' is none of 'pyramid', 'pixels', 'dip'"),
        ({"loss": "l1"}, "loss='l1' is none of"),
        ({"optimiser": "adamw"}, "optimiser='adamw' is none of"),
        ({"preset": "other"}, "preset='other' is none of"),
        ({"preset": "shen2019"}, "goes with prior='pixels' or a Generator"),
        ({"channels": 4}, "channels=4 is none of 1, 3"),
        ({"steps": 0}, "steps=0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"grid": 25}, "grid=25; from 1 to size=24"),
        ({"size": None}, "does not state its size"),
        ({"transform": None}, "as masks have no stated preprocessing"),
        ({"workers": 0}, "workers=0"),
        ({"batch": 0}, "batch=0"),
        ({"batch": 2, "prior": "dip"}, "batch=2 goes with prior='pyramid' or 'pixels'"),
        ({"batch": 2, "optimiser": "lbfgs"}, "and Adam or SGD"),
        ({"size": 32}, r"has shape \(8, 32, 32\) here, and \(8, 24, 24\) in the release"),
        ({"lr": 1e30, "prior": "pixels", "preset": "shen2019", "optimiser": "adam"}, "lr than 1e"),
    ],
    ids=str,
)
def test_settings_that_are_refused(network, options, message):
    targets = true_activations(network, photographs())
    with pytest.raises((ActivationsError, ModelError), match=message):
        invert(network, targets, **options)


def test_an_optimiser_that_gets_nowhere(network):
    targets = true_activations(network, photographs())
    with pytest.raises(
        ActivationsError, match=r"image 0: the loss did not fall: .* 1 steps of sgd"
    ):
        invert(network, targets, optimiser="sgd", lr=1e4, steps=1, tv=0.0)
    dead = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE * SIZE, 4))
    torch.nn.init.zeros_(dead[1].weight)
    masks = {"1": torch.ones(4, dtype=torch.bool)}
    with pytest.raises(ModelError, match="image 0: the gradient is 0 at the start"):
        invert(dead, torch.ones(1, 4), masks, tv=0.0)
    cut = torch.nn.Sequential(torch.nn.Flatten(), Cut())
    masks = {"1": torch.ones(3 * SIZE * SIZE, dtype=torch.bool)}
    with pytest.raises(ModelError, match="the way from picture to units is cut"):
        invert(cut, torch.ones(1, 3 * SIZE * SIZE), masks, tv=0.0)


class Cut(torch.nn.Module):
    """Gives no gradient."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.detach()


def test_activations_that_depend_on_chance(network):
    network[1].register_forward_hook(lambda _m, _i, output: functional.dropout(output, 0.5))
    with pytest.raises(ModelError, match="picture"):
        invert(network, torch.ones(1, 5576))


def test_the_settings_are_stated(network):
    found = invert(network, true_activations(network, photographs()), steps=1)
    assert found.settings | {"torch": ""} == {
        "prior": "pyramid",
        "bounded": True,
        "loss": "normalised",
        "optimiser": "adam",
        "steps": 1,
        "lr": 0.05,
        "tv": 0.01,
        "jitter": 0,
        "seed": 0,
        "size": SIZE,
        "grid": SIZE,
        "channels": 3,
        "units_of_layer": {"0": 4608, "2": 968},
        "torch": "",
    }
