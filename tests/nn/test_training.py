"""Networks from a vector to a picture: what they learn, and again to the byte."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn as torch_nn

from unitdb import nn
from unitdb.errors import ActivationsError, ModelError
from unitdb.nn.learning import Run
from unitdb.nn.networks import coarsest, default_stages
from unitdb.nn.training import SHEN2019

SMALL = nn.Training(steps=12, batch=6, hidden=(16,), coarse=8, stages=((8, None),))


@pytest.fixture(scope="module")
def data():
    """Grey pictures of two blobs, and vectors that say where they are."""
    rng = np.random.default_rng(0)
    places = rng.uniform(3, 11, (40, 2))
    rows, columns = np.mgrid[:14, :14]
    away = (rows - places[:, :1, None]) ** 2 + (columns - places[:, 1:, None]) ** 2
    pictures = (255 * np.exp(-away / 8)).astype(np.uint8)[..., None]
    mixing = rng.normal(size=(2, 9))
    return (places @ mixing).astype(np.float32), pictures


@pytest.fixture(scope="module")
def eyes():
    """A small network, with all units of a layer, and what it takes."""
    torch_state = torch.Generator().manual_seed(0)
    module = torch_nn.Sequential(torch_nn.Conv2d(3, 4, 3), torch_nn.ReLU())
    for parameter in module.parameters():
        torch_nn.init.normal_(parameter, generator=torch_state)
    units = {"1": torch.ones(4, 12, 12, dtype=torch.bool)}
    return nn.SelectedActivations(module, units)


def weights(trained: nn.TrainedGenerator) -> list[bytes]:
    return [value.numpy().tobytes() for value in trained.network.state_dict().values()]


def halved(pictures: torch.Tensor) -> torch.Tensor:
    return pictures / 255


@pytest.mark.parametrize("bounded", [True, False])
def test_it_may_start_at_the_mean_picture(data, bounded):
    vectors, pictures = data
    training = dataclasses.replace(
        SMALL, steps=1, lr=1e-9, start="mean", bounded=bounded, adversarial=0
    )
    found = nn.train_generator(vectors, pictures, training=training)
    made = found.pictures(vectors)[..., :1].astype(float)
    mean = pictures.mean(axis=0)
    assert abs(made.mean(axis=0) - mean).max() < 25
    assert made.std(axis=0).mean() < pictures.std(axis=0).mean() / 3
    assert np.corrcoef(made.mean(axis=0).ravel(), mean.ravel())[0, 1] > 0.95


def test_it_learns_pictures_of_vectors_it_has_not_seen(data):
    vectors, pictures = data
    training = nn.Training(
        steps=300, batch=16, dropout=0, noise=0.1, adversarial=0, hidden=(32,), coarse=16
    )
    found = nn.train_generator(vectors[:32], pictures[:32], training=training)
    made = found.pictures(vectors[32:])[..., :1].astype(float)
    error = ((made - pictures[32:]) ** 2).mean()
    of_mean = ((pictures[:32].mean(axis=0) - pictures[32:]) ** 2).mean()
    assert error < 0.3 * of_mean
    assert found.losses["image"][-1] < 0.2 * found.losses["image"][0]
    assert set(found.losses) == {"image"}


def test_losses_are_the_stated_ones(data, eyes):
    """The first step's losses, written out by hand."""
    vectors, pictures = data
    training = dataclasses.replace(SMALL, batch=40, dropout=0, noise=0, steps=1)
    found = nn.train_generator(
        vectors, pictures, training=training, features=eyes, transform=halved
    )
    start = Run(found.settings, training, *map(torch.as_tensor, (vectors, shown(pictures))), None)
    z = (vectors - vectors.mean(0)) / vectors.std(0, ddof=1)
    with torch.no_grad():
        made = start._network.drawn(torch.as_tensor(z))
        true = torch.as_tensor(shown(pictures)).float()
        image = float((made - true).square().mean() / true.var(0).mean())
        seen, wanted = (eyes(halved(x.expand(-1, 3, -1, -1))) for x in (made, true))
        feature = float((seen - wanted).square().mean() / wanted.var(0, unbiased=False).mean())
        logits, of_true = start._critic(made), start._critic(true)
        adversarial = float(torch.log1p(torch.exp(-logits)).mean())
        critic = float((torch.log1p(torch.exp(-of_true)) + torch.log1p(torch.exp(logits))).mean())
    expected = {"image": image, "feature": feature, "adversarial": adversarial}
    for name, value in expected.items():
        assert found.losses[name][0] == pytest.approx(value, rel=1e-4), name
    assert found.losses["critic"][0] == pytest.approx(critic, rel=0.05)  # after the network's step


def shown(pictures):
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


def test_the_same_bytes_with_other_threads_and_after_an_interruption(data, eyes, tmp_path):
    vectors, pictures = data
    given = {"training": SMALL, "features": eyes, "transform": halved}
    whole = nn.train_generator(vectors, pictures, **given)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = nn.train_generator(vectors, pictures, **given)
    finally:
        torch.set_num_threads(before)
    assert weights(again) == weights(whole)

    path = tmp_path / "half.pt"

    step = Run._step

    def killed(self, number):
        if number == 8:
            raise KeyboardInterrupt
        step(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_step", killed)
        with pytest.raises(KeyboardInterrupt):
            nn.train_generator(vectors, pictures, checkpoint=path, every=5, **given)
    assert path.exists()
    resumed = nn.train_generator(vectors, pictures, checkpoint=path, every=5, **given)
    assert weights(resumed) == weights(whole)
    for name, losses in whole.losses.items():
        np.testing.assert_array_equal(resumed.losses[name], losses)
    # A checkpoint of the end is that of the training done.
    done = nn.train_generator(vectors, pictures, checkpoint=path, every=5, **given)
    assert weights(done) == weights(whole)


def test_a_checkpoint_of_another_training_is_refused(data, tmp_path):
    vectors, pictures = data
    path = tmp_path / "other.pt"
    nn.train_generator(vectors, pictures, training=SMALL, checkpoint=path)
    for other in ({"seed": 1}, {"lr": 2e-3}):
        changed = dataclasses.replace(SMALL, **other)
        with pytest.raises(ModelError, match="checkpoint of another training"):
            nn.train_generator(vectors, pictures, training=changed, checkpoint=path)
    with pytest.raises(ModelError, match="checkpoint of another training"):
        nn.train_generator(vectors + 1, pictures, training=SMALL, checkpoint=path)
    path.write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=r"other\.pt: no file of a generator"):
        nn.train_generator(vectors, pictures, training=SMALL, checkpoint=path)


def test_the_networks_given_and_chance_are_left_alone(data, eyes):
    vectors, pictures = data
    eyes.train()
    state, modes = torch.get_rng_state(), [module.training for module in eyes.modules()]
    nn.train_generator(vectors, pictures, training=SMALL, features=eyes, transform=halved)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in eyes.modules()] == modes
    assert all(parameter.grad is None for parameter in eyes.parameters())


def test_saved_and_opened_it_makes_the_same_pictures_and_is_a_prior(data, eyes, tmp_path):
    vectors, pictures = data
    found = nn.train_generator(vectors, pictures, training=SMALL)
    found.save(tmp_path / "small.pt")
    opened = nn.load_generator(tmp_path / "small.pt")
    np.testing.assert_array_equal(opened.pictures(vectors), found.pictures(vectors))
    assert opened.settings == found.settings
    prior = opened.prior()
    assert prior.latent == (9,)
    low, high = (opened.network.state_dict()[name] for name in ("low", "high"))
    inside = torch.clamp(torch.as_tensor(vectors), low, high)
    assert torch.equal(prior.bounded(torch.full((9,), 1e9)), high)
    assert (inside == torch.as_tensor(vectors)).float().mean() > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vectors": np.full((40, 9), np.nan)}, "vector 0 .* not finite"),
        ({"vectors": np.zeros((39, 9))}, "39 vectors and 40 pictures"),
        ({"vectors": np.zeros(40)}, r"shape \(40,\)"),
        ({"pictures": np.zeros((40, 14, 14, 1))}, "float64 of shape"),
        ({"pictures": np.zeros((40, 14, 12, 1), np.uint8)}, r"\(40, 14, 12, 1\)"),
    ],
)
def test_what_is_no_vector_or_no_picture_is_refused(change, message, data):
    vectors, pictures = data
    given = {"vectors": vectors, "pictures": pictures} | change
    with pytest.raises(ActivationsError, match=message):
        nn.train_generator(**given, training=SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps=0"),
        ({"lr": 0.0}, "lr=0"),
        ({"dropout": 1.0}, "dropout=1"),
        ({"image": 0.0, "feature": 0.0, "adversarial": 0.0}, "nothing to learn"),
        ({"image": -1.0}, "image=-1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        dataclasses.replace(SMALL, **change)


def test_a_loss_that_grows_beyond_numbers_says_so(data):
    vectors, pictures = data
    wild = dataclasses.replace(SMALL, lr=1e30, bounded=False, steps=30)
    with pytest.raises(ModelError, match=r"step \d+: the loss is (nan|inf)"):
        nn.train_generator(vectors, pictures, training=wild)


def test_constant_entries_of_vectors_count_nothing(data):
    vectors, pictures = data
    wider = np.column_stack([vectors, np.full(40, 7.0, np.float32)])
    found = nn.train_generator(wider, pictures, training=SMALL)
    other = wider.copy()
    other[:, -1] = -300
    np.testing.assert_array_equal(found.pictures(other), found.pictures(wider))


@pytest.mark.parametrize(("size", "first"), [(28, 7), (64, 4), (112, 7), (224, 7), (256, 4)])
def test_stages_lead_from_the_first_map_to_the_picture(size, first):
    assert coarsest(size) == first
    assert first << len(default_stages(size)) == size
    with pytest.raises(ModelError, match=f"the picture has {size}"):
        nn.PictureNetwork(3, size=size, stages=((8, None),) * 9)


def test_the_published_network_has_its_published_size():
    """80 million parameters at 10,000 voxels, as the published one; nothing is allocated."""
    with torch.device("meta"):
        network = nn.PictureNetwork(
            10_000,
            size=256,
            hidden=SHEN2019.hidden,
            coarse=SHEN2019.coarse,
            stages=SHEN2019.stages,
        )
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(
        80.2e6, rel=5e-3
    )
