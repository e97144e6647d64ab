"""Whether the stated preprocessing is the right one: photographs under it and under others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from unitdb.activations.layers import forward
from unitdb.activations.loading import LoadedModel
from unitdb.activations.models import ClassificationCheck
from unitdb.activations.networks.changes import common_changes
from unitdb.activations.photographs import photograph
from unitdb.activations.preprocessing import Preprocessing, to_tensor
from unitdb.activations.stimuli import Image
from unitdb.errors import ModelError
from unitdb.pictures import read_picture
from unitdb.taps import find_tap

__all__ = ["Answer", "check_preprocessing"]

_MARGIN = 0.05
_BATCH = 25
_PICTURES = (".jpg", ".jpeg", ".png")

_Shown = tuple[Callable[[], Image], list[int]]
"""What reads a photograph, and its right classes."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How sure a network is of the photographs' classes under one preprocessing.

    Parameters
    ----------
    how : str
        ``as stated``, or what was changed.
    probability : float
        Mean probability of the right classes.
    n_right : int
        Photographs whose highest score is of a right class.
    n_photographs : int
    better : bool
        Whether the network is surer than as stated, by more than 0.05: the stated one is wrong.
    alike : bool
        Whether it is as sure as when stated, within 0.05: these photographs do not tell them apart.
    """

    how: str
    probability: float
    n_right: int
    n_photographs: int
    better: bool
    alike: bool


def check_preprocessing(
    model: LoadedModel, *, photographs: Path | None = None
) -> tuple[Answer, ...]:
    """Show a network photographs as stated, and in ways that are common mistakes.

    A network is surest of its photographs under the preprocessing that it was trained with. Where
    another is better, the stated one has that mistake. The five that are shipped find values of
    another scale and other sizes; exchanged channels often are answered alike.

    Parameters
    ----------
    model : LoadedModel
        A classifier with a check.
    photographs : Path, optional
        Folder of one photograph (.jpg, .jpeg, .png) for each class; sorted by name, in the order of
        the classes. By default the shipped photographs that have classes.

    Returns
    -------
    tuple of Answer
        The first is the stated one.

    Raises
    ------
    ModelError
        The network has no class scores to check, or the folder not a photograph for each class.
    """
    if model.spec.check is None:
        raise ModelError(
            f"model {model.spec.name!r} has no class scores of ImageNet: nothing to check it by"
        )
    stated = model.spec.preprocessing
    shown = _shipped(model.spec.check)
    if photographs is not None:
        n = _scores(model, torch.stack([to_tensor(shown[0][0](), stated)])).shape[1]
        shown = _of_folder(photographs, n)
    first = _answer(model, "as stated", stated, None, shown)
    others = []
    for how, changed in common_changes(stated):
        with suppress(ModelError):  # not every network takes pictures of another size
            others.append(_answer(model, how, changed, first.probability, shown))
    return first, *others


def _shipped(check: ClassificationCheck) -> list[_Shown]:
    return [
        (partial(photograph, name), classes) for name, classes in sorted(check.photographs.items())
    ]


def _of_folder(folder: Path, n_classes: int) -> list[_Shown]:
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder of photographs")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES)
    if len(paths) != n_classes:
        raise ModelError(
            f"{folder}: {len(paths)} photographs for {n_classes} classes; there must be one of each"
        )
    return [
        (partial(read_picture, path, error=ModelError), [place]) for place, path in enumerate(paths)
    ]


def _answer(
    model: LoadedModel,
    how: str,
    preprocessing: Preprocessing,
    stated: float | None,
    shown: Sequence[_Shown],
) -> Answer:
    shares, right = list[float](), list[bool]()
    for start in range(0, len(shown), _BATCH):
        part = shown[start : start + _BATCH]
        scores = _scores(model, torch.stack([to_tensor(read(), preprocessing) for read, _ in part]))
        shares += [float(row[of].sum()) for row, (_, of) in zip(scores, part, strict=True)]
        right += [int(row.argmax()) in of for row, (_, of) in zip(scores, part, strict=True)]
    mean = float(np.mean(shares))
    return Answer(
        how=how,
        probability=mean,
        n_right=sum(right),
        n_photographs=len(shown),
        better=stated is not None and mean > stated + _MARGIN,
        alike=stated is not None and abs(mean - stated) <= _MARGIN,
    )


def _scores(model: LoadedModel, batch: torch.Tensor) -> torch.Tensor:
    """Probabilities of classes, (n_photographs, n_classes)."""
    where, found = f"model {model.spec.name!r}", list[torch.Tensor]()
    check = model.spec.check
    assert check is not None  # noqa: S101 - for mypy: seen by check_preprocessing
    modules = dict(model.module.named_modules(remove_duplicate=False))
    forward(
        model.module,
        batch,
        {"scores": find_tap(modules, model.spec.layers[check.layer], where=where)},
        lambda _, scores: found.append(scores.flatten(1).double().softmax(1)),
        where=where,
    )
    return found[0]
