"""Acceptance of a model: it must classify shipped photographs.

The right class alone finds gross mistakes: pictures that are not scaled, are turned, or are much
too small. Where the spec states how sure the network is when all is right, smaller ones show as
well: exchanged colour channels, another network's mean and SD, another crop.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from unitdb.activations.layers import forward
from unitdb.activations.models import ClassificationCheck, ModelSpec
from unitdb.activations.photographs import photograph
from unitdb.activations.preprocessing import to_tensor
from unitdb.errors import ModelCheckError
from unitdb.taps import Tap

__all__ = ["check_classification"]

_TOLERANCE = 0.05


def check_classification(
    network: nn.Module, layers: Mapping[str, nn.Module | Tap], spec: ModelSpec
) -> tuple[str, ...]:
    """Names of the photographs that the network was checked on; empty where it has no check.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode.
    layers : mapping of str to torch.nn.Module or Tap
        Its layers.
    spec : ModelSpec
        Names the layer of class scores, the photographs and their acceptable classes.

    Raises
    ------
    ModelCheckError
        The highest score of a photograph is of another class, or the network is not as sure of it
        as it should be; says which, and what was answered.
    MissingExtraError
        The photographs are not installed.
    """
    if spec.check is None:
        return ()
    names = sorted(spec.check.photographs)
    wrong = []
    for name in names:
        scores = _scores(network, layers[spec.check.layer], name, spec)
        problem = _problem(scores, spec.check, name)
        if problem:
            wrong.append(f"{name}: {problem}")
    needed = len(names) if spec.check.at_least is None else spec.check.at_least
    if len(names) - len(wrong) < needed:
        raise ModelCheckError(
            f"model {spec.name!r} classifies {len(wrong)} of {len(names)} photographs wrongly "
            f"({'; '.join(wrong)}); most often the preprocessing is not the one it was trained "
            f"with: {spec.preprocessing!r}"
        )
    return tuple(name for name in names if not any(w.startswith(f"{name}: ") for w in wrong))


def _problem(scores: torch.Tensor, check: ClassificationCheck, name: str) -> str:
    """What is wrong with the class scores of a photograph; empty where nothing is."""
    classes, answer = check.photographs[name], int(scores.argmax())
    expected = " or ".join(map(str, classes))
    if answer not in classes:
        return f"class {answer}, expected {expected}"
    if name in check.probability:
        found = float(scores.softmax(0)[classes].sum())
        if not abs(found - check.probability[name]) <= _TOLERANCE:
            return f"class {expected} with p = {found:.2f}, expected {check.probability[name]:.2f}"
    return ""


def _scores(network: nn.Module, layer: nn.Module | Tap, name: str, spec: ModelSpec) -> torch.Tensor:
    """Class scores of a photograph, tensor of shape (n_classes,)."""
    found: list[torch.Tensor] = []

    def receive(_: str, scores: torch.Tensor) -> None:
        found.append(scores[0].flatten().to(torch.float64, copy=True))

    batch = to_tensor(photograph(name), spec.preprocessing)[None]
    forward(network, batch, {"scores": layer}, receive, where=f"model {spec.name!r}")
    return found[0]
