"""A network in double precision, whatever its types are: what only rounds falls by 10⁹ there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

__all__ = ["in_doubles"]

_IN_PLACE = frozenset({"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__"})


class _CallsInDoubles(TorchFunctionMode):
    """Functions get float64 for every floating type: some hold the types of inputs together."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = getattr(func, "__name__", "")
        writes = name in _IN_PLACE or (name.endswith("_") and not name.endswith("__"))
        if args and writes and _is_other(args[0]):
            raise TypeError(f"{name} writes to a tensor of another type than float64")
        return func(*tree_map(_raised, tuple(args)), **tree_map(_raised, dict(kwargs or {})))


class _KernelsInDoubles(TorchDispatchMode):
    """Kernels get and give float64, also where a function asks for another floating type."""

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.view.dtype:
            raise TypeError("bits of one type are taken for another")
        return func(*tree_map(_raised, tuple(args)), **tree_map(_raised, dict(kwargs or {})))


def _is_other(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.dtype != torch.float64
    )


def _raised(value: Any) -> Any:
    if _is_other(value):
        return value.double()
    if isinstance(value, torch.dtype) and value.is_floating_point:
        return torch.float64
    return value


@contextmanager
def in_doubles() -> Iterator[None]:
    """Compute in float64 here, without gradients; parameters stay as they are.

    Raises
    ------
    TypeError, RuntimeError
        Operations that cannot: integers made of floats bit by bit, writing into float32, kernels
        that know no float64.
    """
    kernels: Any = _KernelsInDoubles
    with torch.no_grad(), kernels(), _CallsInDoubles():
        yield
