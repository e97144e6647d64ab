"""One pass through a network without weights: which modules run, in which order, giving what."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unitdb.activations.foreign import as_model_error
from unitdb.resolution import HALF
from unitdb.taps import goes_in, parts_of

__all__ = ["Probed", "Use", "probe", "probe_network"]

_TOLD = {
    "Addmm": "linear",
    "Add": "sum",
    "Cat": "concatenation",
    "Convolution": "linear",
    "Gelu": "after GELU",
    "Hardswish": "after hard swish",
    "Hardtanh": "after ReLU6",
    "MaxPool2DWithIndices": "after max pooling",
    "Mean": "mean over places",
    "Mm": "linear",
    "NativeBatchNorm": "after normalisation",
    "NativeLayerNorm": "after normalisation",
    "Relu": "after ReLU",
    "Silu": "after SiLU",
}
_VIEWS = ("View", "UnsafeView", "Permute", "Transpose", "Reshape", "Clone", "Alias", "T", "Squeeze")


@dataclass(frozen=True, kw_only=True)
class Use:
    """A module's output in a pass, or its input.

    Parameters
    ----------
    path : str
        Of the module.
    number : int
        Which of its uses it is, from 1.
    order : int
        Place in the order in which outputs were there.
    part : str or None
        Part of what it returns that the output is.
    shape : tuple of int
        Of one image.
    gives : str
        What computed it: ``after ReLU``, ``linear``, ``sum`` …
    """

    path: str
    number: int
    order: int
    part: str | None
    shape: tuple[int, ...]
    gives: str


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A network without weights, and what ran in a pass.

    Parameters
    ----------
    network : torch.nn.Module
    uses : mapping of str to tuple of Use
        By path of the module, those that ran and gave a tensor for each image.
    inputs : mapping of str to tuple of Use
        By path of the module, what went into those that ran.
    of_no_image : mapping of str to tuple of int
        By path of the module, the whole shape of what two images gave, where the first axis is not
        the image.
    """

    network: nn.Module
    uses: Mapping[str, tuple[Use, ...]]
    inputs: Mapping[str, tuple[Use, ...]]
    of_no_image: Mapping[str, tuple[int, ...]]


def probe(
    make: Callable[..., nn.Module], options: Mapping[str, Any], *, size: int, where: str
) -> Probed:
    """Run a network once where that is possible without memory: on torch's device ``meta``.

    Parameters
    ----------
    make : callable
        Makes the network of ``options``.
    options : mapping
        Keyword arguments.
    size : int
        Side of its input.
    where : str
        The network, for messages.

    Raises
    ------
    ModelError
        It cannot be made, or does not take pictures of that size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _probe(make, options, size, "meta")
        except Exception:  # some compute with values as they are made
            with as_model_error(f"{where}: a pass through it"):
                return _probe(make, options, size, "cpu")


def probe_network(network: nn.Module, *, size: int, where: str) -> Probed:
    """Run a network that is made already; parameters and errors as of :func:`probe`."""
    kinds = {str(one.dtype).removeprefix("torch.") for one in network.parameters()}
    half = [kind for kind in HALF if kind in kinds]
    hint = (
        f" (weights are {half[0]}, pictures float32: give network.float(), or cast: float32)"
        if half
        else ""
    )
    with as_model_error(f"{where}: a pass through it{hint}"):
        return _passed(network, torch.zeros(2, 3, size, size))


def _probe(
    make: Callable[..., nn.Module], options: Mapping[str, Any], size: int, device: str
) -> Probed:
    with torch.random.fork_rng(devices=[]), torch.device(device):
        return _passed(make(**options).eval(), torch.zeros(2, 3, size, size))


def _passed(network: nn.Module, batch: torch.Tensor) -> Probed:
    uses: dict[str, list[Use]] = {}
    inputs: dict[str, list[Use]] = {}
    of_no_image: dict[str, tuple[int, ...]] = {}
    order = 0

    def note(to: dict[str, list[Use]], path: str, value: Any) -> None:
        nonlocal order
        order += 1
        part, tensor = _tensor(value)
        given = to.setdefault(path, [])
        if tensor is None or not tensor.ndim:
            return
        if len(tensor) != len(batch):
            if to is uses:
                of_no_image[path] = tuple(tensor.shape)
        else:
            given.append(
                Use(
                    path=path,
                    number=len(given) + 1,
                    order=order,
                    part=part,
                    shape=tuple(tensor.shape[1:]) or (1,),
                    gives=_gives(tensor),
                )
            )

    handles = [
        handle
        for path, module in network.named_modules()
        for handle in (
            module.register_forward_pre_hook(
                lambda _module, args, kwargs, path=path: note(inputs, path, goes_in(args, kwargs)),
                with_kwargs=True,
            ),
            module.register_forward_hook(
                lambda _module, _input, output, path=path: note(uses, path, output)
            ),
        )
    ]
    try:
        network(batch)
    finally:
        for handle in handles:
            handle.remove()
    return Probed(
        network=network,
        uses={path: tuple(given) for path, given in uses.items()},
        inputs={path: tuple(given) for path, given in inputs.items()},
        of_no_image=of_no_image,
    )


def _tensor(output: Any) -> tuple[str | None, torch.Tensor | None]:
    """The tensor that is returned, or the first part of what is."""
    if isinstance(output, torch.Tensor):
        return None, output
    part, first = next(iter(parts_of(output).items()), (None, None))
    return (part, first) if isinstance(first, torch.Tensor) else (None, None)


def _gives(tensor: torch.Tensor) -> str:
    """What computed it, in words, after the node that gradients would go back through."""
    node: Any = tensor.grad_fn
    while node is not None:
        name = type(node).__name__.partition("Backward")[0]
        if name not in _VIEWS:
            return _TOLD.get(name, name.lower())
        node = node.next_functions[0][0] if node.next_functions else None
    return "not stated"
