"""Modules whose first axis is not the image: passed over with a word, refused with the reason."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from unitdb.activations.networks.automatic import chosen_layers
from unitdb.activations.networks.probing import probe_network
from unitdb.errors import ModelError


class Encoder(nn.Module):
    """Tokens of patches, with the image first or not."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.fc = nn.Linear(8, 5)
        self.batch_first = batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if not self.batch_first:
            tokens = tokens.transpose(0, 1)
        return self.fc(self.encoder(tokens).mean(1 if self.batch_first else 0))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.lstm = nn.LSTM(8, 6, batch_first=True)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.lstm(self.patches(x).flatten(2).transpose(1, 2))[0][:, -1])


def layers(network: nn.Module, asked: str | list[str] = "auto") -> list[str]:
    probed = probe_network(network.eval(), size=32, where="here")
    return [one.tapped for one in chosen_layers(probed, asked, called="here", origin="here")]


@pytest.mark.robust(
    "networks",
    given="layers: auto of a network whose blocks give tokens first (nn.TransformerEncoder with "
    "batch_first=False)",
    before="its blocks were passed over without a word; asked for, they were said not to run",
    now="a warning that names them, and an error with the shape that they give",
)
@pytest.mark.parametrize("asked", ["encoder.layers.1", "abs(encoder.layers.1)"])
def test_blocks_with_another_first_axis_are_named(asked):
    message = r"over encoder.layers.0, encoder.layers.1: .* first axis"
    with pytest.warns(UserWarning, match=message):
        assert layers(Encoder(batch_first=False)) == ["patches", "fc"]
    with pytest.raises(ModelError, match=r"'encoder.layers.1' gives two .* shape \(16, 2, 8\)"):
        layers(Encoder(batch_first=False), [asked])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = layers(Encoder(batch_first=True))
    assert found == ["patches", "encoder.layers.0", "encoder.layers.1", "fc"]


def test_recurrent_modules_are_layers():
    assert layers(Recurrent()) == ["patches", "lstm[0]", "fc"]
