"""Whether a network draws random numbers: states of the generators before and after."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

__all__ = ["Generators", "other_seeds", "seeds_kept", "watch_draws"]

_DEPTH = 2
"""Lists of lists of generators are looked through, in what a module keeps."""


class Generators:
    """Generators of random numbers that a network may draw from.

    Those of torch, numpy and Python that all programs share, and those that its modules keep, or
    that stand beside the code of their ``forward`` and their hooks.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    python : bool
        With Python's shared generator, which other threads may use too.
    """

    def __init__(self, network: nn.Module, *, python: bool = True) -> None:
        self._reads: dict[str, Callable[[], Any]] = {
            "torch": torch.default_generator.get_state,
            "numpy": np.random.get_state,
        }
        if torch.cuda.is_initialized():
            self._reads["CUDA"] = torch.cuda.get_rng_state_all
        if python:
            self._reads["Python"] = random.getstate
        seen: set[int] = set()
        for path, module in network.named_modules():
            for name, value in _kept_by(module):
                self._add(value, ".".join(filter(None, (path, name))), _DEPTH, seen)

    def _add(self, value: Any, name: str, depth: int, seen: set[int]) -> None:
        if id(value) in seen:
            return
        if read := _reader(value):
            seen.add(id(value))
            self._reads[name] = read
        elif depth and isinstance(value, dict):
            for key, inner in value.items():
                self._add(inner, f"{name}[{key!r}]", depth - 1, seen)
        elif depth and isinstance(value, list | tuple):
            for place, inner in enumerate(value):
                self._add(inner, f"{name}[{place}]", depth - 1, seen)

    def states(self) -> dict[str, Any]:
        """State of each, by name; values that can be compared."""
        return {name: _frozen(read()) for name, read in self._reads.items()}

    def moved(self, before: dict[str, Any]) -> str:
        """Name of the first whose state is another than it was; empty where there is none."""
        now = self.states()
        return next((name for name in now if now[name] != before[name]), "")


def _kept_by(module: nn.Module) -> Iterator[tuple[str, Any]]:
    functions = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    for name, value in vars(module).items():
        if name not in ("_modules", "_parameters", "_buffers"):
            yield name, value
            functions.append(value)
    if not type(module).__module__.startswith("torch."):
        functions.append(type(module).forward)
    for function in functions:
        for cell in getattr(function, "__closure__", None) or ():
            try:
                yield "closure", cell.cell_contents
            except ValueError:  # a variable that has no value yet
                continue
        for name, value in getattr(function, "__globals__", {}).items():
            if _reader(value):  # of a module's variables, generators alone
                yield name, value


def _reader(value: Any) -> Callable[[], Any] | None:
    if isinstance(value, torch.Generator):
        return value.get_state
    if isinstance(value, np.random.Generator):
        return lambda: value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate
    return None


def _frozen(state: Any) -> Any:
    if isinstance(state, torch.Tensor):
        return state.cpu().numpy().tobytes()
    if isinstance(state, np.ndarray):
        return state.tobytes()
    if isinstance(state, dict):
        return {key: _frozen(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return tuple(map(_frozen, state))
    return state


@contextmanager
def watch_draws(network: nn.Module) -> Iterator[list[tuple[str, str]]]:
    """Note the module that runs when the state of a generator moves, and which generator.

    Gives a list of pairs, in the order of time; the module is its path, empty for the network.
    """
    generators = Generators(network)
    paths = {module: path for path, module in network.named_modules()}
    running: list[str] = [""]
    found: list[tuple[str, str]] = []
    state = [generators.states()]

    def look() -> None:
        if which := generators.moved(state[0]):
            found.append((running[-1], which))
            state[0] = generators.states()

    def enter(module: nn.Module, _: Any) -> None:
        look()
        running.append(paths[module])

    def leave(*_: Any) -> None:
        look()
        running.pop()

    handles = [
        handle
        for module in paths
        for handle in (
            module.register_forward_pre_hook(enter, prepend=True),
            module.register_forward_hook(leave),
        )
    ]
    try:
        yield found
        look()
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def seeds_kept() -> Iterator[None]:
    """Give the shared generators the states back that they had."""
    ours = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_rng_state(ours[0])
        np.random.set_state(ours[1])
        random.setstate(ours[2])
        if on_gpus:
            torch.cuda.set_rng_state_all(on_gpus)


@contextmanager
def other_seeds() -> Iterator[None]:
    """Set the shared generators to other states, and give the states back."""
    with seeds_kept():
        torch.default_generator.manual_seed((torch.initial_seed() + 1) & 0x7FFFFFFF)
        np.random.set_state(np.random.RandomState(1).get_state())
        random.seed(1)
        yield
