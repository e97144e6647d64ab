"""Acceptance of a model: it must classify shipped photographs.

This finds gross mistakes: pictures that are not scaled, are turned or flipped upside down, or are
much too small. Networks are robust to smaller ones; exchanged colour channels can pass.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from unitdb.activations.layers import forward
from unitdb.activations.models import ModelSpec
from unitdb.activations.photographs import photograph
from unitdb.activations.preprocessing import to_tensor
from unitdb.errors import ModelCheckError

__all__ = ["check_classification"]


def check_classification(
    network: nn.Module, modules: Mapping[str, nn.Module], spec: ModelSpec
) -> tuple[str, ...]:
    """Names of the photographs that the network was checked on; empty where it has no check.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    modules : mapping of str to torch.nn.Module
        Its layers.
    spec : ModelSpec
        Names the layer of class scores, the photographs and their acceptable classes.

    Raises
    ------
    ModelCheckError
        The highest score of a photograph is of another class; says which, and what was answered.
    MissingExtraError
        The photographs are not installed.
    """
    if spec.check is None:
        return ()
    names = sorted(spec.check.photographs)
    answers = {name: _answer(network, modules[spec.check.layer], name, spec) for name in names}
    wrong = [
        f"{name}: class {answers[name]}, expected {' or '.join(map(str, classes))}"
        for name in names
        if answers[name] not in (classes := spec.check.photographs[name])
    ]
    if wrong:
        raise ModelCheckError(
            f"model {spec.name!r} classifies {len(wrong)} of {len(names)} photographs wrongly "
            f"({'; '.join(wrong)}); most often the preprocessing is not the one it was trained "
            f"with: {spec.preprocessing!r}"
        )
    return tuple(names)


def _answer(network: nn.Module, layer: nn.Module, name: str, spec: ModelSpec) -> int:
    answers: list[int] = []

    def receive(_: str, scores: torch.Tensor) -> None:
        answers.append(int(scores[0].flatten().argmax()))

    batch = to_tensor(photograph(name), spec.preprocessing)[None]
    forward(network, batch, {"scores": layer}, receive, where=f"model {spec.name!r}")
    return answers[0]
