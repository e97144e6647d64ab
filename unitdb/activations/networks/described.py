"""What a library says of a network of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from unitdb.activations.models import ClassificationCheck, Download
from unitdb.activations.preprocessing import Preprocessing

__all__ = ["Described", "photographs_check"]

_SHOWN = {
    "camera": ("tripod",),
    "chelsea": ("tabby", "tiger cat", "egyptian cat"),
    "china": ("palace",),
    "coffee": ("espresso",),
    "motorcycle_left": ("moped", "motor scooter"),
}
"""Shipped photograph → classes of ImageNet that are right, in words."""

_RIGHT = 3


@dataclass(frozen=True, kw_only=True)
class Described:
    """A network as its library describes it.

    Parameters
    ----------
    origin : str
        Full name, with the weights.
    title, licence, source, citation : str
        As in :class:`unitdb.activations.ModelSpec`.
    factory : str
        Callable that makes it, of ``options`` and, where there are weights, their ``file``.
    options : dict
        Keyword arguments.
    package : str
        Distribution.
    download : Download or None
        Weights; None of a network with random ones.
    preprocessing : Preprocessing
    labels : sequence of str
        Words for each class, in the order of scores; empty where there are no classes.
    accuracy : float or None
        Share of ImageNet's validation pictures whose first class is right (top-1), as the library
        publishes it.
    layers : dict of str to str
        Layer → module, where the library names its layers itself: what ``auto`` is then.
    """

    origin: str
    title: str
    factory: str
    options: dict[str, JsonValue]
    package: str
    download: Download | None
    preprocessing: Preprocessing
    licence: str
    source: str
    citation: str
    accuracy: float | None = None
    labels: Sequence[str] = field(default=())
    layers: dict[str, str] = field(default_factory=dict)


def photographs_check(labels: Sequence[str], layer: str) -> ClassificationCheck | None:
    """Classes that shipped photographs must get, found among the labels by their words.

    Parameters
    ----------
    labels : sequence of str
        Of each class; synonyms divided by commas.
    layer : str
        Layer of class scores.

    Returns
    -------
    ClassificationCheck or None
        Three of five photographs must be right. None where not all words are classes.
    """
    places: dict[str, int] = {}
    for place, label in enumerate(labels):
        for word in label.split(","):
            places.setdefault(word.strip().lower(), place)
    if any(word not in places for words in _SHOWN.values() for word in words):
        return None
    return ClassificationCheck(
        layer=layer,
        photographs={name: [places[word] for word in words] for name, words in _SHOWN.items()},
        at_least=_RIGHT,
    )
