from __future__ import annotations

import pytest
import torch

from tests.nn.conftest import LAYERS, images, reference
from unitdb import nn
from unitdb.errors import ActivationsError


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_features_do_not_depend_on_batches(net, units, batch_size):
    batch = images(10)
    found = nn.brain_readout(net, units, batch, batch_size=batch_size, layers=LAYERS)
    assert torch.allclose(found, reference(net, batch, units), atol=1e-6)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    (found * torch.ones(1, requires_grad=True)).sum().backward()  # a tensor like any other
    streamed = nn.brain_readout(net, units, iter(batch.split(4)), layers=LAYERS)
    assert torch.allclose(streamed, found, atol=1e-6)


def test_modes_are_given_back(net, units):
    net.train()
    net.features[1].eval()
    batch = images(5)
    state = {name: value.clone() for name, value in net.state_dict().items()}
    first = nn.brain_readout(net, units, batch, layers=LAYERS)
    assert torch.equal(first, nn.brain_readout(net, units, batch, layers=LAYERS))  # no dropout
    assert net.training
    assert not net.features[1].training
    assert all(torch.equal(state[name], value) for name, value in net.state_dict().items())


def test_what_is_refused(net, units):
    with pytest.raises(ActivationsError, match="there are no images"):
        nn.brain_readout(net, units, images(0), layers=LAYERS)
    with pytest.raises(ActivationsError, match="there are no images"):
        nn.brain_readout(net, units, [], layers=LAYERS)
    with pytest.raises(ActivationsError, match=r"not tuple.*for images, _ in loader"):
        nn.brain_readout(net, units, [(images(), 0)], layers=LAYERS)
    with pytest.raises(ActivationsError, match="batch_size must be at least 1"):
        nn.brain_readout(net, units, images(), batch_size=0, layers=LAYERS)


def test_an_activation_that_is_not_finite_is_named(net, units):
    batch = images(5)
    batch[3] = float("nan")
    first = nn.SelectedActivations(net, units, layers=LAYERS).unit_ids[0]
    with pytest.raises(ActivationsError, match=f"unit {first} to image 3 is not finite"):
        nn.brain_readout(net, units, batch, batch_size=2, layers=LAYERS)
