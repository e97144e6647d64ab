"""Where in a network a layer is tapped: a module, one of its uses, a part of what it returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from unitdb.errors import ActivationsError, ModelError, UnknownLayerError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Tap", "find_tap", "module_path", "parts_of"]

_TAP = re.compile(
    r"^(?P<abs>abs\()?(?P<path>[^\[\]#()]*)(#(?P<use>[1-9]\d*))?(\[(?P<part>\w+)\])?(?(abs)\))$"
)


@dataclass(frozen=True, kw_only=True)
class Tap:
    """What is caught as a network runs.

    Parameters
    ----------
    module : torch.nn.Module
        Whose output it is.
    use : int or None
        Which of its uses in a pass, from 1; None of a module that must run exactly once.
    part : str or None
        Which part of a tuple (a number from 0), dictionary or dataclass (a name); None where the
        module returns a tensor.
    absolute : bool
        Whether units are absolute values, as in the first layers of published BH scores.
    """

    module: nn.Module
    use: int | None = None
    part: str | None = None
    absolute: bool = False

    def of(self, output: Any, *, where: str) -> Any:
        """Take the part, and its absolute value, of what the module returned.

        Raises
        ------
        ActivationsError
            There is no such part; names those that there are.
        """
        parts = parts_of(output)
        if self.part is not None:
            if self.part not in parts:
                there = ", ".join(f"[{name}]" for name in parts) or "one tensor, without parts"
                raise ActivationsError(f"{where}: no part [{self.part}]; there is: {there}")
            output = parts[self.part]
        elif parts:
            there = ", ".join(f"[{name}] {_told(value)}" for name, value in list(parts.items())[:8])
            raise ActivationsError(
                f"{where}: the module returns {type(output).__name__}, not a tensor; name a part "
                f"of it: {there}"
            )
        return output.abs() if self.absolute and hasattr(output, "abs") else output


def parts_of(output: Any) -> dict[str, Any]:
    """Parts of a tuple, list, dictionary or dataclass, by number or name; none of a tensor."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if is_dataclass(output) and not isinstance(output, type):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    if isinstance(output, list | tuple):
        return {str(place): value for place, value in enumerate(output)}
    return {}


def _told(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else "×".join(map(str, shape))


def module_path(tapped: str) -> str:
    """Path of the module alone, without use, part and abs()."""
    found = _TAP.match(tapped)
    return found["path"] if found else tapped


def find_tap(modules: Mapping[str, nn.Module], tapped: str, *, where: str) -> Tap:
    """Find what a layer names: ``PATH``, ``PATH[PART]``, ``PATH#USE`` or ``abs(PATH)``.

    Parameters
    ----------
    modules : mapping of str to torch.nn.Module
        All modules of the network by path, those that stand twice under each.
    tapped : str
        For example ``layer1.0.relu#2`` (the second use in a pass), ``encoder.layer.3[0]`` (the
        first part of a tuple), ``abs(conv1)`` (absolute values).
    where : str
        The model, for messages.

    Raises
    ------
    UnknownLayerError
        The network has no such module.
    ModelError
        The text is none of these.
    """
    if tapped in modules:
        return Tap(module=modules[tapped])
    found = _TAP.match(tapped)
    if found is None:
        raise ModelError(
            f"{where}: {tapped!r} is no place in a network; it is PATH, PATH[PART], PATH#USE or "
            "abs(PATH)"
        )
    if found["path"] not in modules:
        raise UnknownLayerError(
            found["path"],
            [name for name in modules if name],
            where=f"the modules of {where}",
            hint="[name for name, _ in network.named_modules()]",
        )
    return Tap(
        module=modules[found["path"]],
        use=int(found["use"]) if found["use"] else None,
        part=found["part"],
        absolute=found["abs"] is not None,
    )
