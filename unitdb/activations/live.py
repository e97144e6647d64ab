"""A network that is at hand as a live module, as the factory of a spec."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from unitdb.activations.factory import at_rest
from unitdb.activations.foreign import as_model_error
from unitdb.activations.layers import forward
from unitdb.activations.threads import one_thread
from unitdb.errors import ModelError
from unitdb.taps import find_tap

__all__ = ["FACTORY", "answers_sha256", "copied", "given", "lent"]

FACTORY = f"{__name__}:given"

_LENT: dict[str, nn.Module] = {}


def copied(network: nn.Module) -> nn.Module:
    """A copy on the CPU, in evaluation mode: what is done to it leaves the user's as it is.

    Raises
    ------
    ModelError
        It cannot be copied.
    """
    with as_model_error(f"{type(network).__name__} cannot be copied; give FILE.py:FACTORY instead"):
        return at_rest(copy.deepcopy(network))


def answers_sha256(network: nn.Module, layers: Mapping[str, str], *, size: int, where: str) -> str:
    """Hash of what layers answer to two inputs of noise.

    No file says what a live module computes: weights alone do not tell networks apart whose code
    differs.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    layers : mapping of str to str
        What is tapped, by layer name.
    size : int
        Side of the input.
    where : str
        The model, for messages.

    Raises
    ------
    UnknownLayerError, ModelError, ActivationsError
        As of :func:`unitdb.activations.load_model`.
    """
    modules = dict(network.named_modules(remove_duplicate=False))
    taps = {name: find_tap(modules, tapped, where=where) for name, tapped in layers.items()}
    noise = np.random.Generator(np.random.PCG64(0)).standard_normal((2, 3, size, size))
    found: dict[str, str] = {}

    def receive(name: str, activation: torch.Tensor) -> None:
        values = activation.detach().float().contiguous().numpy()
        found[name] = hashlib.sha256(values.tobytes()).hexdigest()

    with one_thread():
        forward(network, torch.from_numpy(noise).float(), taps, receive, where=where)
    return hashlib.sha256(repr([(name, found[name]) for name in layers]).encode()).hexdigest()


@contextmanager
def lent(network: nn.Module, answers: str) -> Iterator[None]:
    """Let :func:`given` find a network under the hash of its answers."""
    _LENT[answers] = network
    try:
        yield
    finally:
        del _LENT[answers]


def given(*, network: str, answers: str) -> nn.Module:
    """A copy of the live module that is lent now.

    Parameters
    ----------
    network : str
        Its class, for the message.
    answers : str
        Of :func:`answers_sha256`.

    Raises
    ------
    ModelError
        It is not at hand: no file holds it.
    """
    if answers not in _LENT:
        raise ModelError(
            f"{network} was given as a live module, which no file holds: build by calling "
            "unitdb.score with the same module"
        )
    return copied(_LENT[answers])
