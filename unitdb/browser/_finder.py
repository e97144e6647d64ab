"""What a few typed letters may mean in a release: units, channels, layers, regions, networks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from unitdb.browser._state import plain
from unitdb.errors import closest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from unitdb.query import Layer

__all__ = ["Place", "places"]

Place = tuple[str, str, dict[str, str]]
"""What the reader sees, the page, and its parameters."""
_MOST = 6
_CHANNEL = re.compile(r"(.*?)[\s/:,#]*\b(?:channel|chan|ch)\b[\s.:#]*([0-9]{1,9})", re.IGNORECASE)
_UNIT = re.compile(r"(.*?)[\s/:,#]+(?:unit[\s:#]*)?([0-9]{1,9})", re.IGNORECASE)


def places(
    text: str,
    layers: Sequence[Layer],
    rois: Iterable[str],
    *,
    kept: Callable[[Layer, int], Sequence[str]],
    decoded: Callable[[Layer, Sequence[int]], Sequence[int]],
) -> list[Place]:
    """Give the pages that a text may ask for; all of them exist.

    Parameters
    ----------
    text : str
        Such as ``block6/10859``, ``Block6 channel 55``, ``v4``, ``head`` or ``tabby``; in any case.
    layers : sequence of Layer
        Of the release.
    rois : iterable of str
        Of the release.
    kept : callable
        Units of a channel of a layer that have pictures.
    decoded : callable
        Of some units of a layer those that the release has.
    """
    typed = " ".join(text.split())
    if not typed:
        return []
    found = _channels(typed, layers, kept) or _units(typed, layers)
    found += _classes(typed, layers, decoded)
    found += [
        (f"Layer {one.name}", "layer", {"model": one.model, "layer": one.layer})
        for one in _near(typed, layers)
    ]
    known = list(dict.fromkeys(rois))
    regions = [roi for roi in known if typed.casefold() in roi.casefold()]
    found += [(f"Units decoded from {roi}", "units", {"roi": roi}) for roi in regions]
    models = dict.fromkeys(one.model for one in layers)
    found += [
        (f"Network {model}", "units", {"model": model})
        for model in models
        if typed.casefold() in model.casefold()
    ]
    if not found:
        found = [
            (f"Units decoded from {roi}", "units", {"roi": roi}) for roi in closest(typed, known)
        ]
    return found[:_MOST]


def _units(typed: str, layers: Sequence[Layer]) -> list[Place]:
    match = _UNIT.fullmatch(typed)
    if match is None:
        return []
    unit = int(match[2])
    there = [one for one in _near(match[1], layers) if unit < one.n_units]
    return [(f"Unit {one.name}/{unit}", "unit", {"unit": f"{one.name}/{unit}"}) for one in there]


def _channels(
    typed: str, layers: Sequence[Layer], kept: Callable[[Layer, int], Sequence[str]]
) -> list[Place]:
    match = _CHANNEL.fullmatch(typed)
    if match is None:
        return []
    channel = int(match[2])
    there = [
        one
        for one in _near(match[1], layers)
        if one.axes is not None and channel < one.channel.size
    ]
    found: list[Place] = []
    for one in there[:_MOST]:
        where = {"model": one.model, "layer": one.layer, "channel": str(channel)}
        found.append((f"Channel {channel} of {one.name}", "units", where))
        found += [(f"Its pictures: {unit}", "unit", {"unit": unit}) for unit in kept(one, channel)]
    return found


def _classes(
    typed: str, layers: Sequence[Layer], decoded: Callable[[Layer, Sequence[int]], Sequence[int]]
) -> list[Place]:
    """Units that score a class of that name, those first whose name begins so."""
    wanted = typed.casefold()
    found: list[Place] = []
    for one in layers:
        names = [name.casefold() for name in one.classes]
        known = [unit for unit, name in enumerate(names) if wanted in name]
        known.sort(key=lambda unit: (not names[unit].startswith(wanted), names[unit]))
        there = set(decoded(one, known)) if known else set()
        found += [
            (
                f"{plain(one.classes[unit])}: {one.name}/{unit}",
                "unit",
                {"unit": f"{one.name}/{unit}"},
            )
            for unit in known
            if unit in there
        ]
    return found


def _near(typed: str, layers: Sequence[Layer]) -> list[Layer]:
    """Layers of that name, or else those whose name begins with it, holds it, or is like it."""
    name = typed.strip(" /:,#").casefold()
    if not name:
        return list(layers)
    tests = (
        lambda one: name in {one.name.casefold(), one.layer.casefold()},
        lambda one: one.layer.casefold().startswith(name) or one.name.casefold().startswith(name),
        lambda one: name in one.name.casefold(),
    )
    for test in tests:
        found = [one for one in layers if test(one)]
        if found:
            return found
    near = closest(typed, [one.layer for one in layers])
    return [one for one in layers if one.layer in near]
