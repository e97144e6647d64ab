"""What the axes of a layer are: as stated, as its module has them, or as is usual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import StringConstraints

from unitdb.axes import AXES_PATTERN, axes_problem
from unitdb.errors import UnitdbError
from unitdb.specs import Name

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "AxesMoved",
    "StatedAxes",
    "axes_of",
    "check_layers",
    "features_last",
    "known_axes",
    "likely_axes",
    "stated_axes",
]

_Axes = Annotated[str, StringConstraints(pattern=rf"^({AXES_PATTERN})$")]
StatedAxes = _Axes | dict[Name, _Axes] | None
"""Of all layers with so many axes, or by layer."""

_CERTAIN = {
    "CHW": ("Conv2d", "ConvTranspose2d"),
    "DT": ("Conv1d", "ConvTranspose1d"),
    "TD": (
        *("TransformerEncoderLayer", "TransformerEncoder"),
        *("TransformerDecoderLayer", "TransformerDecoder"),
    ),
}
"""Modules of ``torch.nn`` whose output has these axes, whatever is stated."""

_USUAL = {"CHW": ("BatchNorm2d", "InstanceNorm2d", "PixelShuffle")}
"""Modules that take these axes, but are of use with others."""

_FOLLOWING = {
    "CHW": ("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d"),
    "DT": (
        *("BatchNorm1d", "InstanceNorm1d"),
        *("MaxPool1d", "AvgPool1d", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d"),
    ),
}
"""Modules that give the axes of their input, which are these behind a convolution alone."""


def check_layers(stated: StatedAxes, layers: Iterable[str]) -> None:
    """See that axes are stated of layers that there are.

    Raises
    ------
    ValueError
        They are not.
    """
    known = list(layers)
    for name in stated if isinstance(stated, dict) else ():
        if name not in known:
            raise ValueError(f"axes of {name!r}: no such layer; there is: {', '.join(known)}")


def stated_axes(stated: StatedAxes, layer: str) -> str | None:
    """Axes that are stated of this layer by name."""
    return stated.get(layer) if isinstance(stated, dict) else None


def axes_of(
    shape: Sequence[int],
    *,
    stated: StatedAxes,
    layer: str,
    where: str,
    known: str | None,
    likely: str | None = None,
    error: type[UnitdbError],
) -> str:
    """Axes of a layer.

    Parameters
    ----------
    shape : sequence of int
        Of the activation of one image.
    stated : str or dict of str to str, optional
        What the recipe says, of all layers with so many axes or by layer.
    layer : str
        Its name.
    where : str
        Model and layer, for messages.
    known : str or None
        What they must be.
    likely : str or None
        What they are where nothing is stated.
    error : type of UnitdbError
        What is raised.

    Raises
    ------
    UnitdbError
        They do not fit the shape or what is known, or nothing says what they are.
    """
    found = stated_axes(stated, layer)
    if isinstance(stated, str) and len(stated) == len(shape):
        found = stated
    if found is not None and (problem := axes_problem(found, shape)):
        raise error(f"{where}: axes {problem}")
    if found is not None and known is not None and _plain(found) != _plain(known):
        raise error(f"{where}: axes are stated as {found!r}, and its module gives {known!r}")
    found = found or known or likely
    if found is None:
        raise error(
            f"{where} has shape {tuple(shape)}: say in the recipe which axis is which, for example "
            f"axes: {{{layer}: {'TD' if len(shape) == 2 else 'CHW'}}} (C or D: channels or "
            "features; H, W: the map; T: tokens; in the order of the shape)"
        )
    return found


def _plain(axes: str) -> str:
    return axes.replace("D", "C")  # two names of the same


def known_axes(module: nn.Module, shape: Sequence[int]) -> str | None:
    """Axes that the output of a module of torch always has; None of other modules.

    Parameters
    ----------
    module : torch.nn.Module
        Of the layer.
    shape : sequence of int
        Of its activation of one image.
    """
    return "N" if len(shape) == 1 else _axes_in(_CERTAIN, module, shape)


def likely_axes(
    network: nn.Module, module: nn.Module, shape: Sequence[int], *, moved: bool
) -> str | None:
    """Axes of a layer where nothing is stated; None where that is not clear.

    Behind convolutions, in a network that moves no axes, three axes of a square map are (C, H, W).

    Parameters
    ----------
    network, module : torch.nn.Module
        The network, and its module whose output the layer is.
    shape : sequence of int
        Of its activation of one image.
    moved : bool
        Whether the network changes the order of axes, or has features last.
    """
    from torch import nn

    if isinstance(module, nn.LayerNorm) and len(shape) == 2 and len(module.normalized_shape) == 1:
        return "TD"
    if (usual := _axes_in(_USUAL, module, shape)) or moved:
        return usual
    convolution = {2: nn.Conv1d, 3: nn.Conv2d}.get(len(shape))
    if convolution is None or not any(isinstance(each, convolution) for each in network.modules()):
        return None
    square = len(shape) == 3 and shape[1] == shape[2]
    return "CHW" if square else _axes_in(_FOLLOWING, module, shape)


def _axes_in(
    table: Mapping[str, tuple[str, ...]], module: nn.Module, shape: Sequence[int]
) -> str | None:
    from torch import nn

    for axes, names in table.items():
        kinds = tuple(getattr(nn, name) for name in names)
        if len(shape) == len(axes) and isinstance(module, kinds):
            return axes
    return None


class AxesMoved:
    """Notes whether operations change the order of axes, or make axes of products (attention).

    Attributes
    ----------
    found : bool
        Whether any did, while :meth:`noted`.
    """

    def __init__(self) -> None:
        self.found = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Run a network within this."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        aten, outer = torch.ops.aten, self

        class Watch(TorchDispatchMode):
            @classmethod
            def _should_skip_dynamo(cls) -> bool:
                return False  # else the first call imports torch's compiler, for seconds

            def __torch_dispatch__(
                self, func: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                if func is aten.bmm.default or (
                    func in (aten.permute.default, aten.transpose.int)
                    and _moves_places(args[0].ndim, args[1:])
                ):
                    outer.found = True
                return func(*args, **(kwargs or {}))

        watch: Any = Watch
        with torch.no_grad(), watch():
            yield


def _moves_places(ndim: int, to: Sequence[Any]) -> bool:
    """Whether one of the last two axes moves: groups of channels may be shuffled before them."""
    if ndim < 3:
        return False
    if isinstance(to[0], int):
        first, second = to[0] % ndim, to[1] % ndim
        return bool(first != second and max(first, second) >= max(2, ndim - 2))
    order = [place % ndim for place in to[0]]
    return order[-2:] != [ndim - 2, ndim - 1] or (ndim < 5 and order != sorted(order))


@contextmanager
def features_last(network: nn.Module) -> Iterator[list[str]]:
    """Note modules that, as pictures pass, take the last of several axes for features.

    Where there are any, three axes may be (H, W, C), as in ConvNeXt and Swin.
    """
    import torch
    from torch import nn

    found: list[str] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], _: Any) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor) and inputs[0].ndim > 3:
            found.append(type(module).__name__)

    handles = [
        module.register_forward_hook(note)
        for module in network.modules()
        if isinstance(module, nn.Linear | nn.LayerNorm)
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
