"""Pictures on their way through a network: what its layers answer, into arrays on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from unitdb.activations.digits import Digits
from unitdb.activations.layers import LayerInfo, forward
from unitdb.activations.loading import LoadedModel
from unitdb.activations.preprocessing import to_tensor
from unitdb.activations.stimuli import Image, Stimuli
from unitdb.activations.threads import run_in_threads
from unitdb.chance import Generators
from unitdb.errors import ActivationsError
from unitdb.taps import find_tap

__all__ = ["pass_pictures"]


def pass_pictures(
    model: LoadedModel,
    stimuli: Stimuli,
    selected: Mapping[str, npt.NDArray[np.int32]],
    arrays: Mapping[str, npt.NDArray[np.float32]],
    *,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Fill the arrays of a network's layers with the activations of selected units.

    Parameters
    ----------
    model : LoadedModel
    stimuli : Stimuli
        The pictures.
    selected : mapping of str to array of shape (n_units,)
        Flat indices of each layer's units.
    arrays : mapping of str to array of shape (n_stimuli, n_units)
        Of each layer; filled batch by batch.
    batch_size : int
        Pictures that go through the network together.
    progress : callable, optional
        Called with the number of pictures done and of all pictures.

    Raises
    ------
    ActivationsError
        As :func:`unitdb.activations.extract`.
    """
    digits = {name: Digits(len(chosen)) for name, chosen in selected.items()}
    starts = range(0, len(stimuli), batch_size)

    def run(network: nn.Module, batch: tuple[int, list[Image]]) -> int:
        start, images = batch
        stop = start + len(images)
        _run(
            model,
            network,
            torch.stack([to_tensor(image, model.spec.preprocessing) for image in images]),
            selected,
            {name: array[start:stop] for name, array in arrays.items()},
            digits,
            stimuli.ids[start:stop],
        )
        return stop

    def read() -> Iterator[tuple[int, list[Image]]]:
        for start in starts:
            stop = min(start + batch_size, len(stimuli))
            yield start, [stimuli.image(index) for index in range(start, stop)]

    # Python's generator is shared with threads of other packages; the check at loading sees it.
    generators = Generators(model.module, python=False)
    before = generators.states()
    for done in run_in_threads(model.module, run, read(), n_items=len(starts)):
        if progress is not None:
            progress(done, len(stimuli))
    if which := generators.moved(before):
        raise ActivationsError(
            f"model {model.spec.name!r}: random numbers were drawn while pictures passed "
            f"(generator: {which}); an activation must depend on its picture alone"
        )
    for name, of_layer in digits.items():
        of_layer.check(where=f"model {model.spec.name!r}: layer {name!r}")


def _run(
    model: LoadedModel,
    network: nn.Module,
    batch: torch.Tensor,
    selected: Mapping[str, npt.NDArray[np.int32]],
    rows: Mapping[str, npt.NDArray[np.float32]],
    digits: Mapping[str, Digits],
    ids: Sequence[str],
) -> None:
    where = f"model {model.spec.name!r}"
    layers = {layer.name: layer for layer in model.layers}
    modules = dict(network.named_modules(remove_duplicate=False))
    taps = {layer.name: find_tap(modules, layer.module, where=where) for layer in model.layers}

    def receive(name: str, activation: torch.Tensor) -> None:
        place = f"{where}: layer {name!r}"
        _check_shape(activation, layers[name], where=place)
        given = _keep(activation, selected[name], layers[name].n_units)
        with np.errstate(over="ignore"):  # refused in the next line
            kept = given.astype(np.float32, copy=False)
        _check_finite(kept, ids, where=place)
        digits[name].add(given)
        rows[name][:] = kept

    forward(network, batch, taps, receive, where=where)


def _keep(
    activation: torch.Tensor, chosen: npt.NDArray[np.int32], n_units: int
) -> npt.NDArray[Any]:
    flat = activation.reshape(len(activation), n_units)
    if len(chosen) < n_units:
        flat = flat.index_select(1, torch.from_numpy(chosen))
    if flat.dtype == torch.bfloat16:  # that NumPy has not
        flat = flat.to(torch.float32)
    given: npt.NDArray[Any] = flat.numpy()
    return given


def _check_shape(activation: torch.Tensor, layer: LayerInfo, *, where: str) -> None:
    shape = tuple(activation.shape[1:]) or (1,)
    if shape != layer.shape:
        raise ActivationsError(
            f"{where} has shape {shape} here, but {layer.shape} when the model was loaded"
        )


def _check_finite(kept: npt.NDArray[np.float32], ids: Sequence[str], *, where: str) -> None:
    finite = np.isfinite(kept).all(axis=1)
    if not finite.all():
        raise ActivationsError(
            f"{where}: the activation of stimulus {ids[int(np.argmin(finite))]!r} is not finite"
        )
