"""Running stimuli through a network and keeping the activations of selected units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from unitdb.activations.digits import Digits
from unitdb.activations.features import LoadedFeatures
from unitdb.activations.identity import environment
from unitdb.activations.layers import LayerInfo
from unitdb.activations.stimuli import Stimuli
from unitdb.activations.store import (
    FORMAT,
    META,
    Activations,
    StoredLayer,
    StoreMeta,
    describe_array,
)
from unitdb.activations.units import UnitSelection, select_units
from unitdb.activations.workspace import clear_abandoned, new_folder
from unitdb.errors import ActivationsError
from unitdb.specs import content_sha256

if TYPE_CHECKING:
    from unitdb.activations.loading import LoadedModel

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
    """Fill the store from a network."""
    from unitdb.activations.passing import pass_pictures  # torch, for those who run networks

    selected = {layer.name: select_units(layer, units) for layer in model.layers}
    arrays = {
        layer.name: _new_array(folder, layer, selected[layer.name], len(stimuli))
        for layer in model.layers
    }
    pass_pictures(model, stimuli, selected, arrays, batch_size=batch_size, progress=progress)
    for array in arrays.values():
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
    if np.array_equal(values, others):
        return
    import torch  # where there is something to measure

    from unitdb.steady import ROUNDING, deviation

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
