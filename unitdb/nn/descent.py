"""Optimisers that make a loss small, one picture at a time."""

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
    painting: Painting,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    *,
    optimiser: Optimiser,
    steps: int,
    lr: float,
    where: str,
    least: float = 0.0,
) -> list[float]:
    """Change a painting's parameters, step by step.

    ``"adam"``: rates fall as a cosine from lr to 5 % of it. ``"lbfgs"``: torch's, history 10, line
    search by the strong Wolfe conditions, an iteration a step. ``"sgd"``: momentum .9, rates fall
    linearly from lr to 0, gradients divided by the mean of their sizes.

    Parameters
    ----------
    painting : Painting
    loss_of : callable
        Picture (1, channels, height, width) → loss.
    optimiser, steps, lr
        Kind of descent, its steps and its learning rate.
    where : str
        The image, for messages.
    least : float
        What a loss cannot be below: there nothing needs to move.

    Returns
    -------
    list of float
        Loss before each step, and after the last.

    Raises
    ------
    InversionError
        The loss is not finite, or never below the first.
    ModelError
        The loss does not depend on the parameters, at the start or at all.
    """
    parameters = list(painting.parameters())
    engine = _engine(optimiser, parameters, lr)
    losses: list[float] = []
    moves = False

    def backward() -> float:
        nonlocal moves
        loss = loss_of(painting())
        if not bool(loss.isfinite()):
            raise InversionError(
                f"{where}: the loss is {loss.item()} at step {len(losses) + 1}; a smaller lr than "
                f"{lr:g} may help"
            )
        gradients = gradients_of(loss, parameters, where)
        if not moves:
            _check_moves(float(loss.detach()) > least, gradients, where)
            moves = True
        if optimiser == "sgd":
            gradients = [_of_mean_size_1(gradient) for gradient in gradients]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        return float(loss.detach())

    for step in range(steps):
        if optimiser == "lbfgs":
            losses.append(float(engine.step(backward)))
        else:
            _set_rate(engine, optimiser, lr, step, steps)
            losses.append(backward())
            engine.step()
        painting.after_step()
    with torch.no_grad():
        losses.append(float(loss_of(painting())))
    if losses[0] > least and not min(losses[1:]) < losses[0]:
        raise InversionError(
            f"{where}: the loss did not fall: {losses[0]:.4g} at the start, {losses[-1]:.4g} after "
            f"{steps} steps of {optimiser} with lr {lr:g}"
        )
    return losses


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
