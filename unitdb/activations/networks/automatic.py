"""Which modules are layers: stages and blocks as they follow each other, paths, published lists."""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unitdb.activations.networks.probing import Probed, Use
from unitdb.activations.networks.published import published_taps
from unitdb.errors import ModelError, UnknownLayerError
from unitdb.taps import find_tap, module_path, of_input, of_tokens, wanted

__all__ = ["Found", "chosen_layers", "output_layer"]

_WEIGHTED = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d),
    *(nn.Linear, nn.Bilinear, nn.MultiheadAttention, nn.RNNBase),
)
_PLAIN = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_IN_WORDS = {
    "abs": ("absolute values",),
    "class": ("class token",),
    "patches": ("tokens of places",),
}
_USE = re.compile(r"#([1-9]\d*)")
_OF = re.compile(r"(abs|class|patches|input)\((.*)\)")
_MOST = 0.8


@dataclass(frozen=True, kw_only=True)
class Found:
    """A layer that was found.

    Parameters
    ----------
    name : str
        In the database.
    tapped : str
        What is tapped (:func:`unitdb.taps.find_tap`).
    shape : tuple of int
        Of one image.
    axes : str or None
        What they are, where that is clear.
    kind : str
        Class of the module.
    gives : str
        What computed it: ``after ReLU``, ``linear`` …; of an input also that it is one.
    """

    name: str
    tapped: str
    shape: tuple[int, ...]
    axes: str | None
    kind: str
    gives: str


def chosen_layers(
    probed: Probed,
    asked: Sequence[str] | Mapping[str, str] | str,
    *,
    called: str,
    origin: str,
) -> tuple[Found, ...]:
    """Layers of a network, in the order in which their outputs are there.

    Parameters
    ----------
    probed : Probed
        The network, and what ran in a pass.
    asked : {"auto", "bhscore"}, sequence of str, or mapping of str to str
        What the layers are; a mapping names them.
    called : str
        The network's name in its library.
    origin : str
        The network, for messages.

    Raises
    ------
    UnknownLayerError
        No module that runs is of such a path.
    ModelError
        The network is none of those that BH scores were published of, or the first axis of what a
        module gives is not the image.

    Warns
    -----
    UserWarning
        ``"auto"`` passes over blocks of which that is so.
    """
    if asked == "bhscore":
        asked = published_taps(called, dict(probed.network.named_modules()), origin=origin)
    if isinstance(asked, Mapping):
        return tuple(_found(probed, name, tapped, origin) for name, tapped in asked.items())
    names: dict[str, str] = {}
    for tap in _in_order(probed, asked, origin):
        if (name := _name(tap)) in names:
            raise ModelError(
                f"{origin}: layers {names[name]!r} and {tap!r} would both be called {name!r}; ask "
                "for one of them"
            )
        names[name] = tap
    return tuple(_found(probed, name, tap, origin) for name, tap in names.items())


def _in_order(probed: Probed, asked: Sequence[str] | str, origin: str) -> list[str]:
    """What is tapped, in the order in which it is there."""
    if asked == "auto":
        steps = list(_steps(probed, "", probed.network))
        taps = list(_tapped(probed.uses, steps))
        if passed_over := [path for path in steps if _has_no_image(probed, path)]:
            warnings.warn(
                f"{origin}: 'auto' passes over {', '.join(passed_over)}: "
                f"{_no_image(probed, passed_over[0])}",
                stacklevel=2,
            )
    elif isinstance(asked, str):
        raise ModelError(f"{origin}: layers are 'auto', 'bhscore' or a list, not {asked!r}")
    else:
        taps = [tap for each in asked for tap in _matching(probed, each, origin)]
    return sorted(dict.fromkeys(taps), key=lambda tap: _use_of(probed, tap, origin).order)


def _has_no_image(probed: Probed, path: str) -> bool:
    return path in probed.of_no_image and not probed.uses.get(path)


def _no_image(probed: Probed, path: str) -> str:
    shape = probed.of_no_image[path]
    return (
        f"{path!r} gives two images an activation of shape {shape}, whose first axis must be the "
        "image (batch_first=True, where it is an option)"
    )


def output_layer(probed: Probed, origin: str) -> Found | None:
    """What the whole network gives, as a layer; None where that is no single tensor."""
    uses = probed.uses.get("", ())
    return _found(probed, "scores", "", origin) if uses and uses[0].part is None else None


def _steps(probed: Probed, path: str, module: nn.Module) -> Iterator[str]:
    """Paths of blocks and weighted layers, containers taken apart."""
    for child, inner in module.named_children():
        below = f"{path}.{child}" if path else child
        if _is_container(inner):
            yield from _steps(probed, below, inner)
        elif _weighted(inner):
            yield below


def _is_container(module: nn.Module) -> bool:
    """Whether a module only holds others that follow each other."""
    return type(module) in _PLAIN or _holds_blocks(module) or _leads_to_blocks(module)


def _leads_to_blocks(module: nn.Module) -> bool:
    """Whether most of a module is a sequence of blocks, or a module that leads to one."""
    most = _MOST * _size(module)
    return any(
        _holds_blocks(inner) if isinstance(inner, _PLAIN) else _leads_to_blocks(inner)
        for inner in module.children()
        if _size(inner) >= most
    )


def _holds_blocks(module: nn.Module) -> bool:
    """Whether a sequence is of blocks of one kind; parallel branches are single layers."""
    inner = list(module.children())
    return (
        isinstance(module, nn.Sequential | nn.ModuleList)
        and bool(inner)
        and len({type(each) for each in inner}) == 1
        and not isinstance(inner[0], _WEIGHTED)
        and all(_n_weighted(each) > 1 for each in inner)
    )


def _n_weighted(module: nn.Module) -> int:
    return sum(isinstance(each, _WEIGHTED) for each in module.modules())


def _weighted(module: nn.Module) -> bool:
    return _n_weighted(module) > 0


def _size(module: nn.Module) -> int:
    return sum(weights.numel() for weights in module.parameters())


def _tapped(uses_of: Mapping[str, Sequence[Use]], paths: Iterable[str]) -> Iterator[str]:
    """What is tapped of modules: each use of those that run several times, the first part."""
    for path in paths:
        uses = uses_of.get(path, ())
        for use in uses:
            number = f"#{use.number}" if len(uses) > 1 else ""
            part = f"[{use.part}]" if use.part is not None else ""
            yield f"{path}{number}{part}"


def _matching(probed: Probed, asked: str, origin: str, *, inputs: bool = False) -> list[str]:
    """What is tapped for a path, a pattern of paths, or a name of a layer."""
    if of := _OF.fullmatch(asked):
        inner = _matching(probed, of[2], origin, inputs=inputs or of[1] == "input")
        taps = [f"{of[1]}({tap})" for tap in inner]
        for wrong in (tap for tap in taps if module_path(tap) == tap):
            find_tap({}, wrong, where=origin)
        return taps
    uses = probed.inputs if inputs else probed.uses
    ran = [path for path, given in uses.items() if path and given]
    by_name = {_name(path): path for path in ran}
    if asked not in ran and by_name.get(asked):
        asked = by_name[asked]
    if asked in ran or "*" in asked or "?" in asked:
        paths = [path for path in ran if fnmatch.fnmatchcase(path, asked)]
        if paths:
            return list(_tapped(uses, paths))
    elif module_path(asked) != asked:
        _use_of(probed, f"input({asked})" if inputs else asked, origin)
        return [asked]
    if not inputs and _has_no_image(probed, asked):
        raise ModelError(f"{origin}: {_no_image(probed, asked)}")
    hint = f"unitdb models layers {origin}" if "/" in origin else ""  # of a library's alone
    raise UnknownLayerError(asked, ran, where=f"the modules that run in {origin}", hint=hint)


def _use_of(probed: Probed, tapped: str, origin: str) -> Use:
    path = module_path(tapped)
    uses_of = probed.inputs if of_input(tapped) else probed.uses
    uses = uses_of.get(path, ())
    if not uses:
        if not of_input(tapped) and _has_no_image(probed, path):
            raise ModelError(f"{origin}: {_no_image(probed, path)}")
        ran = [name for name, given in uses_of.items() if name and given]
        raise UnknownLayerError(path, ran, where=f"the modules that run in {origin}")
    number = _USE.search(tapped)
    place = int(number[1]) if number else 1
    if place > len(uses):
        raise ModelError(f"{origin}: {path!r} runs {len(uses)} times in one pass, not {place}")
    return uses[place - 1]


def _found(probed: Probed, name: str, tapped: str, origin: str) -> Found:
    use = _use_of(probed, tapped, origin)
    module = probed.network.get_submodule(use.path)
    how, shape = wanted(tapped), use.shape
    if how in ("class", "patches"):
        find_tap(dict(probed.network.named_modules()), tapped, where=origin)
        tokens = torch.empty((1, *shape), device="meta")
        shape = tuple(of_tokens(tokens, how, where=f"{origin}: layer {name!r}").shape[1:])
    return Found(
        name=name,
        tapped=tapped,
        shape=shape,
        axes=_axes(module, use.shape) if len(shape) == len(use.shape) else None,
        kind=type(module).__name__,
        gives=", ".join(
            [*_IN_WORDS.get(how or "", ()), *(["input"] if of_input(tapped) else []), use.gives]
        ),
    )


def _name(tapped: str) -> str:
    """A name that may be a folder: ``#2`` becomes ``-2``, ``[0]`` goes."""
    plain, ends = tapped, ""
    while of := _OF.fullmatch(plain):
        plain, ends = of[2], f"_{of[1]}{ends}"
    plain += ends
    plain = plain.replace("[0]", "").replace("#", "-").replace("[", "-").replace("]", "")
    return plain.lstrip("._-+")


def _axes(module: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Axes of maps of square pictures, and of tokens whose features a module takes last."""
    if len(shape) == 3:
        first, second, third = shape
        if second == third != first:
            return "CHW"
        if first == second != third:
            return "HWC"
        return "CHW" if second == third == 1 else None
    if len(shape) == 2 and shape[0] != shape[1]:
        last = {width for each in module.modules() for width in _widths(each)}
        return "TD" if shape[1] in last and shape[0] not in last else None
    return None


def _widths(module: nn.Module) -> tuple[int, ...]:
    """How many features a module gives."""
    match module:
        case nn.Linear():
            return (module.out_features,)
        case nn.LayerNorm():
            return (int(module.normalized_shape[-1]),)
        case nn.Conv2d():  # of patches, which tokens are made of
            return (module.out_channels,)
    return ()
