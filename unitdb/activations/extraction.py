"""Running stimuli through a network and keeping the activations of selected units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from unitdb.activations.digits import Digits
from unitdb.activations.features import LoadedFeatures
from unitdb.activations.identity import environment
from unitdb.activations.layers import LayerInfo, forward
from unitdb.activations.loading import LoadedModel
from unitdb.activations.preprocessing import to_tensor
from unitdb.activations.stimuli import Image, Stimuli
from unitdb.activations.store import (
    FORMAT,
    META,
    Activations,
    StoredLayer,
    StoreMeta,
    describe_array,
)
from unitdb.activations.threads import run_in_threads
from unitdb.activations.units import UnitSelection, select_units
from unitdb.activations.workspace import clear_abandoned, new_folder
from unitdb.chance import Generators
from unitdb.errors import ActivationsError
from unitdb.specs import content_sha256
from unitdb.steady import ROUNDING, deviation

__all__ = ["extract"]


def extract(
    model: LoadedModel | LoadedFeatures,
    stimuli: Stimuli,
    *,
    folder: Path,
    units: UnitSelection,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Activations:
    """Activations of the selected units of all layers to all stimuli, in ``folder/<key>``.

    The key is a hash of all that the values depend on; where ``folder/<key>`` exists it is opened,
    not computed again. It appears complete or not at all. As many batches run at once as torch has
    threads, each in one: values do not depend on how many. Memory is that of these batches.

    Parameters
    ----------
    model : LoadedModel or LoadedFeatures
        The network and its layers, or files of its activations.
    stimuli : Stimuli
        The pictures.
    folder : Path
        Holds the stores; made where it does not exist.
    units : UnitSelection
        Which units of each layer are kept.
    batch_size : int
        Pictures that go through the network together. By default each goes alone, so that its
        activation follows from it, and not from its place or from the pictures beside it: what
        convolves and multiplies rounds otherwise in other rows of a batch.
    progress : callable, optional
        Called with the number of pictures done and of all pictures.

    Raises
    ------
    ActivationsError
        An activation is not finite or changes its shape (names layer and stimulus), or the store
        that exists is damaged (names the file), or files have different activations of one picture
        under two names; or random numbers were drawn for some picture.
    StimulusMismatchError
        A stimulus that the files do not have, or whose picture is not at hand for the network.
    """
    if batch_size < 1:
        raise ActivationsError(f"batch_size must be at least 1, not {batch_size}")
    key = _key(model, stimuli, units, batch_size)
    final = folder / key
    if not final.exists():
        clear_abandoned(folder)
        with new_folder(final) as temporary:
            if isinstance(model, LoadedFeatures):
                _copy(model, stimuli, units, folder=temporary, progress=progress)
            else:
                _write(
                    model,
                    stimuli,
                    units,
                    folder=temporary,
                    batch_size=batch_size,
                    progress=progress,
                )
            meta = _describe(model, stimuli, units, key, temporary)
            (temporary / META).write_text(meta.model_dump_json(indent=1), encoding="utf-8")
    return Activations.open(final)


def _key(
    model: LoadedModel | LoadedFeatures, stimuli: Stimuli, units: UnitSelection, batch_size: int
) -> str:
    return content_sha256(
        {
            "format": FORMAT,
            "model": model.model_sha256,
            "layers": [layer.name for layer in model.layers],
            "stimuli": stimuli.key,
            "units": units.identity(),
            "batch_size": batch_size,  # how sums are grouped depends on it
            **environment(),
        }
    )


def _write(
    model: LoadedModel,
    stimuli: Stimuli,
    units: UnitSelection,
    *,
    folder: Path,
    batch_size: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    selected = {layer.name: select_units(layer, units) for layer in model.layers}
    arrays = {
        layer.name: _new_array(folder, layer, selected[layer.name], len(stimuli))
        for layer in model.layers
    }
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
    for name, array in arrays.items():
        digits[name].check(where=f"model {model.spec.name!r}: layer {name!r}")
        array.flush()


def _copy(
    model: LoadedFeatures,
    stimuli: Stimuli,
    units: UnitSelection,
    *,
    folder: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Fill the store from files, one layer after the other: each lies in a folder of its own."""
    model.check_stimuli(stimuli.ids)
    pictures, shown = stimuli.sha256s(), Counter(stimuli.sha256s())
    total = len(stimuli) * len(model.layers)
    for number, layer in enumerate(model.layers):
        chosen = select_units(layer, units)
        array = _new_array(folder, layer, chosen, len(stimuli))
        digits = Digits(len(chosen))
        first: dict[str, tuple[str, npt.NDArray[np.float32]]] = {}
        for row, stimulus in enumerate(stimuli.ids):
            given = model.given(layer, stimulus)
            digits.add(given[None, chosen])
            values: npt.NDArray[np.float32] = given.astype(np.float32)
            if shown[pictures[row]] > 1:
                _check_alike(
                    *first.setdefault(pictures[row], (stimulus, values)),
                    stimulus,
                    values,
                    where=f"model {model.spec.name!r}: layer {layer.name!r}",
                )
            array[row] = values[chosen]
            if progress is not None:
                progress(number * len(stimuli) + row + 1, total)
        digits.check(where=f"model {model.spec.name!r}: layer {layer.name!r}")
        array.flush()


def _check_alike(
    first: str,
    values: npt.NDArray[np.float32],
    second: str,
    others: npt.NDArray[np.float32],
    *,
    where: str,
) -> None:
    away = deviation(torch.from_numpy(values), torch.from_numpy(others))
    if away > ROUNDING:
        raise ActivationsError(
            f"{where}: stimuli {first!r} and {second!r} are one picture, and their activations "
            f"differ by {away:.2g} of the largest; activations must depend on the picture alone"
        )


def _new_array(
    folder: Path, layer: LayerInfo, chosen: npt.NDArray[np.int32], n_stimuli: int
) -> np.memmap[Any, np.dtype[np.float32]]:
    """Write which units of a layer are kept; returns the array on disk for their activations."""
    np.save(_units_path(folder, layer), chosen, allow_pickle=False)
    return np.lib.format.open_memmap(
        _activations_path(folder, layer),
        mode="w+",
        dtype=np.float32,
        shape=(n_stimuli, len(chosen)),
    )


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
    modules = {layer.name: network.get_submodule(layer.module) for layer in model.layers}

    def receive(name: str, activation: torch.Tensor) -> None:
        place = f"{where}: layer {name!r}"
        _check_shape(activation, layers[name], where=place)
        given = _keep(activation, selected[name], layers[name].n_units)
        with np.errstate(over="ignore"):  # refused in the next line
            kept = given.astype(np.float32, copy=False)
        _check_finite(kept, ids, where=place)
        digits[name].add(given)
        rows[name][:] = kept

    forward(network, batch, modules, receive, where=where)


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


def _describe(
    model: LoadedModel | LoadedFeatures,
    stimuli: Stimuli,
    units: UnitSelection,
    key: str,
    folder: Path,
) -> StoreMeta:
    return StoreMeta(
        format=FORMAT,
        key=key,
        model=model.spec.name,
        model_sha256=model.model_sha256,
        stimuli_key=stimuli.key,
        selection=units,
        stimulus_ids=stimuli.ids,
        layers=tuple(
            StoredLayer(
                name=layer.name,
                activations=describe_array(_activations_path(folder, layer)),
                units=describe_array(_units_path(folder, layer)),
                precision=layer.precision,
            )
            for layer in model.layers
        ),
    )


def _activations_path(folder: Path, layer: LayerInfo) -> Path:
    # The depth keeps files apart where the file system ignores case.
    return folder / f"{layer.depth:03d}-{layer.name}.npy"


def _units_path(folder: Path, layer: LayerInfo) -> Path:
    return folder / f"{layer.depth:03d}-{layer.name}.units.npy"
