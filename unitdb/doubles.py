"""A network in double precision, whatever its types are: what only rounds falls by 10⁹ there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["in_doubles"]


class _Doubles:
    """Float64 for every floating type: each tensor that a network keeps has one stand-in.

    What is written into it, by ``out=``, in place or through a view, is then read again. That of a
    view that is kept is a view of another stand-in.
    """

    def __init__(self) -> None:
        self._of: Any = WeakTensorKeyDictionary()

    def raised(self, value: Any) -> Any:
        """Float64 in place of another floating type, and the stand-in of a tensor."""
        if isinstance(value, torch.dtype) and value.is_floating_point:
            return torch.float64
        if not _is_other(value):
            return value
        if value not in self._of:
            self._of[value] = self._stand_in(value)
        return self._of[value]

    def _stand_in(self, value: torch.Tensor) -> torch.Tensor:
        whole = value._base
        if whole is None or whole.dtype != value.dtype:
            return value.double()
        double: torch.Tensor = self.raised(whole)
        if double.stride() != whole.stride():
            raise TypeError("a view of a tensor whose elements overlap")
        start = value.storage_offset() - whole.storage_offset()
        return double.as_strided(value.size(), value.stride(), start)

    def call(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None
    ) -> Any:
        """What a function gives for raised arguments, raised."""
        given = tree_map(self.raised, (tuple(args), dict(kwargs or {})))
        return tree_map(self.raised, func(*given[0], **given[1]))


class _CallsInDoubles(TorchFunctionMode):
    """Functions get float64 for every floating type: some hold the types of inputs together."""

    def __init__(self, doubles: _Doubles) -> None:
        super().__init__()
        self._doubles = doubles

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = self._doubles.call(func, args, kwargs)
        # What is kept stays the tensor that it is: `self.sum += x` would put float64 in its place.
        written = (*args[:1], (kwargs or {}).get("out"))
        return next((it for it in written if self._doubles.raised(it) is found), found)


class _KernelsInDoubles(TorchDispatchMode):
    """Kernels get and give float64, also where a function asks for another floating type."""

    def __init__(self, doubles: _Doubles) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._doubles = doubles

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first call imports torch's compiler, for seconds

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func is torch.ops.aten.view.dtype:
            raise TypeError("bits of one type are taken for another")
        return self._doubles.call(func, args, kwargs)


def _is_other(value: Any) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.dtype != torch.float64
    )


@contextmanager
def in_doubles() -> Iterator[None]:
    """Compute in float64 here, without gradients; tensors that a network keeps stay as they are.

    Raises
    ------
    TypeError, RuntimeError
        Operations that cannot: integers made of floats bit by bit, kernels that know no float64.
    """
    doubles, kernels = _Doubles(), _KernelsInDoubles
    with torch.no_grad(), kernels(doubles), _CallsInDoubles(doubles):
        yield
