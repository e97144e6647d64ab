"""Optimisers that make losses small, each of a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch

from unitdb.errors import InversionError, ModelError
from unitdb.nn.painting import Painting

__all__ = ["Optimiser", "descend", "gradients_of"]

Optimiser = Literal["adam", "lbfgs", "sgd"]

_LAST = 0.05  # of the first rate
_HISTORY = 10  # as scipy's L-BFGS-B


def descend(
    paintings: Sequence[Painting],
    losses_of: Callable[[list[torch.Tensor]], torch.Tensor],
    *,
    optimiser: Optimiser,
    steps: int,
    lr: float,
    names: Sequence[str],
    least: Sequence[float],
) -> list[list[float]]:
    """Change the parameters of paintings, step by step, each as if it were alone.

    ``"adam"``: rates fall as a cosine from lr to 5 % of it. ``"lbfgs"``: torch's, history 10, line
    search by the strong Wolfe conditions, an iteration a step. ``"sgd"``: momentum .9, rates fall
    linearly from lr to 0, gradients divided by the mean of their sizes.

    Parameters
    ----------
    paintings : sequence of Painting
        One alone for L-BFGS, whose line search is of one loss.
    losses_of : callable
        A picture (1, channels, height, width) of each → its loss, a tensor of shape (n_paintings,).
    optimiser, steps, lr
        Kind of descent, its steps and its learning rate.
    names : sequence of str
        The images, for messages.
    least : sequence of float
        What the loss of each cannot be below: there nothing needs to move.

    Returns
    -------
    list of list of float
        Of each painting the loss before each step, and after the last.

    Raises
    ------
    InversionError
        A loss is not finite, or never below the first.
    ModelError
        A loss does not depend on the parameters, at the start or at all.
    """
    parameters = [list(painting.parameters()) for painting in paintings]
    every = [parameter for own in parameters for parameter in own]
    engine = _engine(optimiser, every, lr)
    losses: list[list[float]] = []
    step = 0

    def backward() -> float:
        found = losses_of([painting() for painting in paintings])
        values = found.tolist()
        for value, where in zip(values, names, strict=True):
            if not math.isfinite(value):
                raise InversionError(
                    f"{where}: the loss is {value} at step {step + 1}; a smaller lr than "
                    f"{lr:g} may help"
                )
        gradients = iter(gradients_of(found.sum(), every, names[0]))
        for own, value, where, lowest in zip(parameters, values, names, least, strict=True):
            of_one = [next(gradients) for _ in own]
            if not losses:
                _check_moves(value > lowest, of_one, where)
            for parameter, gradient in zip(own, of_one, strict=True):
                parameter.grad = _of_mean_size_1(gradient) if optimiser == "sgd" else gradient
        losses.append(values)
        return float(sum(values))

    for step in range(steps):
        if optimiser == "lbfgs":
            engine.step(backward)
            del losses[step + 1 :]  # of its line search
        else:
            _set_rate(engine, optimiser, lr, step, steps)
            backward()
            engine.step()
        for painting in paintings:
            painting.after_step()
    with torch.no_grad():
        losses.append(losses_of([painting() for painting in paintings]).tolist())
    of_each = [list(own) for own in zip(*losses, strict=True)]
    for own, where, lowest in zip(of_each, names, least, strict=True):
        if own[0] > lowest and not min(own[1:]) < own[0]:
            raise InversionError(
                f"{where}: the loss did not fall: {own[0]:.4g} at the start, {own[-1]:.4g} after "
                f"{steps} steps of {optimiser} with lr {lr:g}"
            )
    return of_each


def _engine(
    optimiser: Optimiser, parameters: list[torch.nn.Parameter], lr: float
) -> torch.optim.Optimizer:
    if optimiser == "adam":
        return torch.optim.Adam(parameters, lr=lr)
    if optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)
    return torch.optim.LBFGS(
        parameters, lr=lr, max_iter=1, history_size=_HISTORY, line_search_fn="strong_wolfe"
    )


def _set_rate(
    engine: torch.optim.Optimizer, optimiser: Optimiser, lr: float, step: int, steps: int
) -> None:
    part = step / steps
    if optimiser == "sgd":
        rate = lr * (1 - part)
    else:
        rate = lr * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * part)) / 2)
    for group in engine.param_groups:
        group["lr"] = rate


def gradients_of(
    loss: torch.Tensor, parameters: Sequence[torch.Tensor], where: str
) -> list[torch.Tensor]:
    """Gradients by these alone: the network's own are neither computed nor touched.

    Raises
    ------
    ModelError
        The loss has no gradient at all.
    """
    if not loss.requires_grad:
        raise ModelError(f"{where}: the loss has no gradient: the way from picture to units is cut")
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [
        torch.zeros_like(parameter) if gradient is None else gradient.contiguous()
        for parameter, gradient in zip(parameters, found, strict=True)
    ]


def _of_mean_size_1(gradient: torch.Tensor) -> torch.Tensor:
    size = gradient.abs().mean()
    return gradient / size if bool(size > 0) else gradient


def _check_moves(could_fall: bool, gradients: list[torch.Tensor], where: str) -> None:
    if could_fall and not any(bool(gradient.any()) for gradient in gradients):
        raise ModelError(
            f"{where}: the gradient is 0 at the start, so that nothing would move; give a "
            "generator another start, or other units"
        )
