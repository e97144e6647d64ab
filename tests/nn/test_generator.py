"""Pictures sought among those of a generator: published steps, bounds, files of weights."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from tests.nn.test_inversion import MASKS, SIZE, Tiny, invert, photographs, true_activations
from unitdb import nn
from unitdb.errors import ActivationsError, ModelError


class Decoder(torch.nn.Module):
    """Five numbers → a picture of 28 × 28, linearly, with its own bases."""

    def __init__(self, channels: int = 3, n: int = 5) -> None:
        super().__init__()
        self.basis = torch.nn.Linear(n, channels * 28 * 28)
        self.channels = channels

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.basis(latent)).view(-1, self.channels, 28, 28)


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return Tiny().eval()


@pytest.fixture
def decoder() -> Decoder:
    torch.manual_seed(3)
    return Decoder()


def test_a_latent_is_recovered(network, decoder):
    generator = nn.Generator(decoder, latent=(5,), output=(-1, 1), crop=24)
    true = torch.tensor([[0.8, -0.5, 0.3, 1.2, -1.0]])
    with torch.no_grad():
        picture = generator.picture(true).clamp(0, 255).round().to(torch.uint8)
    picture = picture.permute(0, 2, 3, 1).numpy()
    targets = true_activations(network, picture)
    for options in ({"lr": 0.1}, {"optimiser": "lbfgs", "steps": 20}, {"preset": "shen2019"}):
        found = invert(network, targets, prior=generator, **{"steps": 80, "tv": 0.0} | options)
        assert found.images.shape == (1, 24, 24, 3)
        assert np.corrcoef(found.images.ravel(), picture.ravel())[0, 1] > 0.95, options
    assert found.settings["generator"]["module"].endswith("test_generator:Decoder")
    assert len(found.settings["generator"]["sha256"]) == 64


def test_published_steps(network, decoder):
    """Momentum .9, rates 2 → 0, gradients by their mean size, decay, then bounds; by a loop."""
    upper = torch.full((5,), 1.5)
    generator = nn.Generator(
        decoder, latent=(5,), output=(-1, 1), crop=24, lower=0.0, upper=upper, decay=0.01
    )
    targets = true_activations(network, photographs())
    found = invert(network, targets, prior=generator, preset="shen2019", steps=6)
    z, speed = torch.zeros(1, 5), torch.zeros(1, 5)
    sizes = [mask.numel() for mask in MASKS.values()]
    t = targets[0].split(sizes)
    inverse = torch.stack([1 / part.square().sum() for part in t])
    losses = []
    for step in range(7):
        z.requires_grad_(True)
        image = (decoder(z)[..., 2:26, 2:26] + 1) * 127.5
        first = network[0]((image - 127) / 128)
        second = network[2](network[1](first))
        errors = [(a.flatten() - b).square().sum() for a, b in zip((first, second), t, strict=True)]
        loss = (torch.stack(errors) * inverse / inverse.sum()).sum()
        losses.append(float(loss.detach()))
        (gradient,) = torch.autograd.grad(loss, z)
        speed = 0.9 * speed + gradient / gradient.abs().mean()
        z = (z.detach() - 2 * (1 - step / 6) * speed) * 0.99
        z = torch.minimum(z.clamp(min=0), upper)
    np.testing.assert_allclose(found.loss[0], losses, rtol=1e-4)


def test_starts_are_drawn_by_image(network, decoder):
    generator = nn.Generator(decoder, latent=(5,), output=(-1, 1), start=1.0)
    targets = true_activations(network, photographs()).repeat(2, 1)
    options = {"prior": generator, "steps": 1, "tv": 0.0}
    found = invert(network, targets, image_ids=["a", "b"], **options)
    assert found.images.shape == (2, 28, 28, 3)
    assert found.loss[0, 0] != found.loss[1, 0]
    again = invert(network, targets, image_ids=["b", "a"], workers=2, **options)
    assert again.images.tobytes() == found.images[::-1].tobytes()
    given = nn.Generator(decoder, latent=(5,), output=(-1, 1), start=torch.ones(5))
    same = invert(network, targets, **options | {"prior": given})
    assert same.loss[0, 0] == same.loss[1, 0]


def test_weights_of_a_file(network, decoder, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(decoder.state_dict(), path)
    where = "tests.nn.test_generator:Decoder"
    generator = nn.Generator.load(where, path, latent=(5,), output=(-1, 1))
    direct = nn.Generator(decoder, latent=(5,), output=(-1, 1))
    assert generator.stated() == direct.stated()
    targets = true_activations(network, photographs())
    first, second = (
        invert(network, targets, prior=prior, steps=3, tv=0.0) for prior in (generator, direct)
    )
    assert first.images.tobytes() == second.images.tobytes()
    with pytest.raises(ModelError, match=r"generator 'no.such:Thing' cannot be made"):
        nn.Generator.load("no.such:Thing", path, latent=(5,))
    with pytest.raises(ModelError, match="is a Counter, no torch module"):
        nn.Generator.load("collections:Counter", path, latent=(5,))
    with pytest.raises(ModelError, match="no weights of"):
        nn.Generator.load(where, path, arguments={"n": 6}, latent=(6,))
    with pytest.raises(ModelError, match="no weights of"):
        nn.Generator.load(where, tmp_path / "missing.pt", latent=(5,))
    torch.save({"generator": decoder.state_dict(), "epoch": 3}, path)
    again = nn.Generator.load(where, path, key="generator", latent=(5,), output=(-1, 1))
    assert again.stated() == direct.stated()
    with pytest.raises(ModelError, match="no weights of"):
        nn.Generator.load(where, path, key="netG", latent=(5,))
    path.write_bytes(pickle.dumps({"a": print}))
    with pytest.raises(ModelError, match="no weights of"):
        nn.Generator.load(where, path, latent=(5,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent": ()}, "the shape of one latent"),
        ({"output": (1, 1)}, "what black is"),
        ({"decay": 1.0}, "decay=1.0"),
        ({"lower": 1.0, "upper": 0.0}, "lower is above upper"),
        ({"lower": torch.full((5,), torch.nan)}, "lower is above upper in places, or NaN"),
        ({"upper": torch.ones(4)}, r"upper has shape \(4,\), and one latent \(5,\)"),
        ({"start": torch.ones(5), "upper": 0.5}, "start lies outside"),
    ],
    ids=str,
)
def test_generators_that_are_refused(decoder, options, message):
    with pytest.raises(ModelError, match=message):
        nn.Generator(decoder, **{"latent": (5,)} | options)


def test_what_is_no_picture(network, decoder):
    targets = true_activations(network, photographs())
    ask = {"latent": (5,), "output": (-1, 1)}
    with pytest.raises(ModelError, match=r"crop=40 of a picture of 28 × 28"):
        invert(network, targets, prior=nn.Generator(decoder, crop=40, **ask))
    flat = torch.nn.Linear(5, 9)
    with pytest.raises(ModelError, match=r"gives \(1, 9\) for one latent of shape \(5,\)"):
        invert(network, targets, prior=nn.Generator(flat, **ask))
    constant = Decoder()
    torch.nn.init.zeros_(constant.basis.weight)
    with pytest.raises(ModelError, match="the gradient is 0 at the start"):
        invert(network, targets, prior=nn.Generator(constant, **ask), tv=0.0)
    grey = nn.Generator(Decoder(channels=1), **ask)
    found = invert(network, targets, prior=grey, steps=2)
    assert (found.images == found.images[..., :1]).all()
    with pytest.raises(ActivationsError, match=f"grid={SIZE + 1}"):
        invert(network, targets, prior=grey, grid=SIZE + 1)
