"""Where in a network a layer is tapped: a module, one of its uses, a part of what it returns.

Also what goes into a module, for what no module returns: a sum before its ReLU, a concatenation
within a block. Of tokens, which vision transformers compute with, the class token and those of
places in the picture may be layers of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from unitdb.errors import ActivationsError, ModelError, UnknownLayerError

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torch.utils.hooks import RemovableHandle

__all__ = [
    "Tap",
    "checked_activation",
    "find_tap",
    "goes_in",
    "module_path",
    "of_input",
    "of_tokens",
    "parts_of",
    "tapped_of",
    "wanted",
]

_TAP = re.compile(
    r"^((?P<how>abs|class|patches)\()?((?P<input>input)\()?(?P<path>[^\[\]#()]*)"
    r"(#(?P<use>[1-9]\d*))?(\[(?P<part>\w+)\])?(?(input)\))(?(how)\))$"
)
_CLASS_TOKENS = ("cls_token", "class_token", "class_embedding")
"""Parameters that the class token begins as, in timm, torchvision and transformers."""


@dataclass(frozen=True, kw_only=True)
class Tap:
    """What is caught as a network runs.

    Parameters
    ----------
    module : torch.nn.Module
        Whose output it is, or whose input.
    use : int or None
        Which of its uses in a pass, from 1; None of a module that must run exactly once.
    part : str or None
        Which part of a tuple (a number from 0), dictionary or dataclass (a name); None where the
        module returns a tensor.
    how : {"abs", "class", "patches"} or None
        Absolute values, as in the first layers of published BH scores; of tokens the first, the
        class token, or those of places (:func:`of_tokens`).
    goes_in : bool
        Whether it is what goes into the module (:func:`goes_in`), as it is before the module runs:
        one that runs in place changes it.
    """

    module: nn.Module
    use: int | None = None
    part: str | None = None
    how: str | None = None
    goes_in: bool = False

    @property
    def is_output(self) -> bool:
        """Whether it is what the module returns, in its only use, and nothing made of it."""
        return not (self.use or self.part or self.how or self.goes_in)

    def of(self, output: Any, *, where: str) -> Any:
        """Take the part, and what is wanted of it, of what the module returned or was given.

        Raises
        ------
        ActivationsError
            There is no such part, which is told with those that there are; or there are no tokens.
        """
        parts = parts_of(output)
        if self.goes_in and not parts and not hasattr(output, "shape"):
            raise ActivationsError(f"{where}: no tensor goes into the module")
        if self.part is not None:
            if self.part not in parts:
                there = ", ".join(f"[{name}]" for name in parts) or "one tensor, without parts"
                raise ActivationsError(f"{where}: no part [{self.part}]; there is: {there}")
            output = parts[self.part]
        elif parts:
            there = ", ".join(f"[{name}] {_told(value)}" for name, value in list(parts.items())[:8])
            gives = "takes several inputs" if self.goes_in else f"returns {type(output).__name__}"
            raise ActivationsError(
                f"{where}: the module {gives}, not a tensor; name a part of it: {there}"
            )
        if self.how is None or not hasattr(output, "abs"):
            return output
        return output.abs() if self.how == "abs" else of_tokens(output, self.how, where=where)

    def hook(self, catch: Callable[[Any], None]) -> RemovableHandle:
        """Hand over what the module returns, or is given, each time that it runs."""
        if self.goes_in:  # before the module runs, which may overwrite it
            return self.module.register_forward_pre_hook(
                lambda _module, args, kwargs: catch(goes_in(args, kwargs)), with_kwargs=True
            )
        return self.module.register_forward_hook(lambda _module, _input, output: catch(output))

    def wrong_times(self, times: int) -> str:
        """What is wrong with how often the module ran in a pass; empty where nothing is."""
        if self.use is not None:
            if self.use <= times:
                return ""
            return f"ran {times} times in one pass: no use #{self.use}"
        if times == 1:
            return ""
        uses = f"; name one of its uses, PATH#1 to PATH#{times}" if times else ""
        return (
            f"ran {times} times in one pass; an activation is defined only for a module that runs "
            f"exactly once{uses}"
        )


def checked_activation(output: Any, n_images: int, *, where: str) -> torch.Tensor:
    """Give what was caught, if it can be an activation.

    Raises
    ------
    ActivationsError
        It is not a plain tensor of real numbers whose first axis is the image.
    """
    import torch

    if not isinstance(output, torch.Tensor):
        raise ActivationsError(
            f"{where}: the module returns {type(output).__name__}, not a tensor; "
            "name a module inside it that returns the tensor"
        )
    if output.layout != torch.strided or output.is_quantized or output.is_nested:
        kind = "quantised" if output.is_quantized else "sparse or nested"
        raise ActivationsError(
            f"{where}: the activation is {kind}; name a module that returns a plain tensor, such "
            "as one behind it that calls dequantize() or to_dense()"
        )
    if output.is_complex():
        raise ActivationsError(f"{where}: the activation is complex; it must be real")
    if output.ndim == 0 or len(output) != n_images:
        raise ActivationsError(
            f"{where}: the activation of {n_images} images has shape {tuple(output.shape)}; "
            "its first axis must be the image"
        )
    return output


def of_tokens(output: Any, how: str, *, where: str) -> Any:
    """The class token, or those of places, of a layer of tokens.

    Pictures are squares, so that places are a square number; what stands before them is the class
    token, which comes first, and registers.

    Parameters
    ----------
    output : tensor of shape (n_images, n_tokens, n_features)
    how : {"class", "patches"}
    where : str
        The layer, for messages.

    Returns
    -------
    tensor of shape (n_images, n_features) or (n_images, n_places, n_features)

    Raises
    ------
    ActivationsError
        There are no tokens, or none before those of places.
    """
    if output.ndim != 3:
        raise ActivationsError(
            f"{where}: {how}(…) is of tokens, (T, D) of an image, not {_told(output[0])}"
        )
    before = output.shape[1] - math.isqrt(output.shape[1]) ** 2
    if how == "patches":
        return output[:, before:]
    if not before:
        raise ActivationsError(
            f"{where}: {output.shape[1]} tokens are a square: those of places, and no class token"
        )
    return output[:, 0]


def parts_of(output: Any) -> dict[str, Any]:
    """Parts of a tuple, list, dictionary or dataclass, by number or name; none of a tensor."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name, None) for field in fields(output)}
    if isinstance(output, list | tuple):
        return {str(place): value for place, value in enumerate(output)}
    return {}


def goes_in(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What goes into a module: the one argument with a tensor, or all of them by place or name.

    Options (numbers, None) do not count: of ``layer(x, mask=None)`` it is ``x``.
    """
    named = {**{str(place): value for place, value in enumerate(args)}, **kwargs}
    given = {name: value for name, value in named.items() if _holds_tensor(value)}
    return next(iter(given.values())) if len(given) == 1 else given


def _holds_tensor(value: Any, depth: int = 3) -> bool:
    import torch

    if isinstance(value, torch.Tensor):
        return True
    parts = parts_of(value).values() if depth else ()
    return any(_holds_tensor(part, depth - 1) for part in parts)


def _told(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else "×".join(map(str, shape))


def module_path(tapped: str) -> str:
    """Path of the module alone, without use, part and what is wanted of it."""
    found = _TAP.match(tapped)
    return found["path"] if found else tapped


def tapped_of(tapped: str, path: str) -> str:
    """The same tap of another module: ``abs(conv1)`` of ``features.0`` is ``abs(features.0)``."""
    found = _TAP.match(tapped)
    return f"{tapped[: found.start('path')]}{path}{tapped[found.end('path') :]}" if found else path


def wanted(tapped: str) -> str | None:
    """``abs``, ``class`` or ``patches``, where a layer is that of its module."""
    found = _TAP.match(tapped)
    return found["how"] if found else None


def of_input(tapped: str) -> bool:
    """Whether a layer is what goes into its module, and not what comes out."""
    found = _TAP.match(tapped)
    return bool(found and found["input"])


def find_tap(modules: Mapping[str, nn.Module], tapped: str, *, where: str) -> Tap:
    """Find what a layer names: ``PATH``, a use, a part, what goes in, absolute values.

    ``PATH``, ``PATH#USE``, ``PATH[PART]``, ``input(PATH)``, ``abs(PATH)``, ``abs(input(PATH))``; of
    tokens also ``class(PATH)`` and ``patches(PATH)``.

    Parameters
    ----------
    modules : mapping of str to torch.nn.Module
        All modules of the network by path, those that stand twice under each.
    tapped : str
        For example ``layer1.0.relu#2`` (the second use in a pass), ``encoder.layer.3[0]`` (the
        first part of a tuple), ``abs(conv1)`` (absolute values), ``input(layer2)`` (what goes into
        it), ``input(decoder[1])`` (its second argument).
    where : str
        The model, for messages.

    Raises
    ------
    UnknownLayerError
        The network has no such module.
    ModelError
        The text is none of these, or the network has no class token.
    """
    if tapped in modules:
        return Tap(module=modules[tapped])
    found = _TAP.match(tapped)
    if found is None:
        raise ModelError(
            f"{where}: {tapped!r} is no place in a network; it is PATH, PATH[PART], PATH#USE, "
            "input(PATH), abs(PATH), class(PATH) or patches(PATH)"
        )
    if found["path"] not in modules:
        raise UnknownLayerError(
            found["path"],
            [name for name in modules if name],
            where=f"the modules of {where}",
            hint="[name for name, _ in network.named_modules()]",
        )
    if found["how"] == "class" and not _has_class_token(modules):
        raise ModelError(
            f"{where}: {tapped}: the network has no class token (no parameter is called "
            f"{' or '.join(_CLASS_TOKENS)})"
        )
    return Tap(
        module=modules[found["path"]],
        use=int(found["use"]) if found["use"] else None,
        part=found["part"],
        how=found["how"],
        goes_in=bool(found["input"]),
    )


def _has_class_token(modules: Mapping[str, nn.Module]) -> bool:
    return any(
        name.rpartition(".")[2] in _CLASS_TOKENS
        for module in modules.values()
        for name, _ in module.named_parameters(recurse=False)
    )
