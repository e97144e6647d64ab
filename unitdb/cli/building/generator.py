"""Commands ``unitdb generator …``: networks from a layer's activations to pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from unitdb.activations import (
    LoadedModel,
    ModelChoice,
    UnitSelection,
    extract,
    load_choice,
    seen_square,
)
from unitdb.analysis import (
    Interval,
    identify_pictures,
    mean_over_images,
    picture_correlation,
)
from unitdb.cli import terminal
from unitdb.cli.building.build import CACHE
from unitdb.cli.building.datasets import DATA
from unitdb.cli.progress import progress_bars
from unitdb.errors import ActivationsError, ModelError
from unitdb.responses import FolderStimuli, folder_stimuli
from unitdb.sources import data_folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unitdb.nn import SelectedActivations, TrainedGenerator, Transform

__all__ = ["generator"]

_CACHE = ".cache"
_TOLD = 25
"""Last steps over which losses are told."""


@click.group()
def generator() -> None:
    """Train a generator of pictures, as a prior of reconstruction."""


@generator.command("train")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--model", required=True, help="Network whose activations the generator takes.")
@click.option("--layer", required=True, help="Layer of it; all its units.")
@click.option(
    "--pictures",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder of pictures, those of its folders too.",
)
@click.option("--ending", default=".jpg", show_default=True, help="Ending of their names.")
@click.option("--size", default=64, show_default=True, help="Side of the pictures it makes.")
@click.option(
    "--hold-out",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0, 0.9),
    help="Part of the pictures that does not train, but tells how good it is.",
)
@click.option("--feature-layer", multiple=True, help="Layer of the feature loss; repeat.")
@click.option("--image", type=float, help="Weight of the image loss.  [default: 1]")
@click.option("--feature", type=float, help="Weight of the feature loss.  [default: 1]")
@click.option("--adversarial", type=float, help="Weight of the adversarial loss.  [default: 0.1]")
@click.option("--steps", type=int, help="Steps of the optimiser.  [default: 400]")
@click.option("--batch", type=int, help="Pictures in a step.  [default: 30]")
@click.option("--seed", default=0, show_default=True, help="Of weights, batches and held-out rows.")
@click.option(
    "--preset",
    type=click.Choice(["small", "shen2019"]),
    default="small",
    show_default=True,
    help="Sizes and settings: small ones for one core, or the published ones (256 pixels).",
)
@click.option("--device", default="cpu", show_default=True, help="Where to compute.")
@DATA
@CACHE
@click.pass_obj
def train(
    root: Path,
    /,
    file: Path,
    *,
    model: str,
    layer: str,
    pictures: Path,
    ending: str,
    size: int,
    hold_out: float,
    feature_layer: tuple[str, ...],
    seed: int,
    preset: str,
    device: str,
    data: Path | None,
    cache: Path | None,
    **changes: Any,
) -> None:
    """Train a generator from a layer's activations to pictures, and write it to FILE.

    Killed, it goes on from FILE.checkpoint when it is run again.

    In Python: unitdb.nn.train_generator(ACTIVATIONS, PICTURES, …).save(FILE)
    """
    from unitdb import nn

    changed = {name: value for name, value in changes.items() if value is not None}
    training = replace(nn.SHEN2019 if preset == "shen2019" else nn.Training(), seed=seed, **changed)
    if not re.fullmatch(r"\.[A-Za-z0-9]+", ending):
        raise click.BadParameter(f"{ending!r}; a dot, then letters or figures, as in .jpg")
    place = pictures.resolve()
    spec = FolderStimuli(kind="folder", folder=place.name, ending=ending)
    stimuli = folder_stimuli(spec, place.parent)
    folder, downloads = cache or root / _CACHE, data_folder(data)
    loaded = _network(model, [layer], downloads, seed)
    with progress_bars() as progress:
        store = extract(
            loaded,
            stimuli,
            folder=folder,
            units=UnitSelection(sample=None),
            progress=lambda done, total: progress(f"{model}/{layer}", done, total),
        )
    vectors = store.block(layer, 0, store.n_units(layer))[store.rows(list(stimuli.ids))]
    preprocessing = loaded.spec.preprocessing
    shown = np.stack(
        [seen_square(stimuli.image(row), preprocessing, size=size) for row in range(len(stimuli))]
    )
    learned, held_out = _parted(len(stimuli), hold_out, seed)
    features = look = None
    if feature_layer:
        features, look = _features(_network(model, feature_layer, downloads, seed))
    checkpoint = file.with_name(file.name + ".checkpoint")
    trained = nn.train_generator(
        vectors[learned],
        shown[learned],
        training=training,
        features=features,
        transform=look,
        checkpoint=checkpoint,
        device=device,
        progress=True,
    )
    trained.save(file)
    checkpoint.unlink(missing_ok=True)
    _tell(file, trained, vectors, shown, learned, held_out)


def _tell(
    file: Path,
    trained: TrainedGenerator,
    vectors: NDArray[Any],
    shown: NDArray[np.uint8],
    learned: NDArray[np.intp],
    held_out: NDArray[np.intp],
) -> None:
    size = shown.shape[1]
    terminal.echo(
        f"{file}: {vectors.shape[1]:,} units → {size} × {size} pixels, of {len(learned):,} pictures"
    )
    for name, losses in trained.losses.items():
        terminal.echo(
            f"  {name + ' loss':<18} {losses[:_TOLD].mean():.3f} at first, "
            f"{losses[-_TOLD:].mean():.3f} at last"
        )
    if len(held_out) < 2:
        return
    mean = shown[learned].mean(axis=0)
    made, true = trained.pictures(vectors[held_out]), shown[held_out]
    flat = np.broadcast_to(mean.round().astype(np.uint8), true.shape)
    terminal.echo(f"of {len(held_out):,} pictures that did not train, from true activations:")
    rows = {
        "pixel r": picture_correlation(made, true),
        "pixel r of the mean picture": picture_correlation(flat, true),
        "r without the mean picture": picture_correlation(made, true, mean=mean),
    }
    for name, values in rows.items():
        terminal.echo(f"  {name:<28} {_told(mean_over_images(values))}")
    rate = identify_pictures(made, true, mean=mean).pairwise.mean
    terminal.echo(f"  {'identification':<28} {_told(rate)}, chance .5")


def _told(found: Interval) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _network(name: str, layers: Sequence[str], data: Path, seed: int) -> LoadedModel:
    choice = ModelChoice(name=name, layers=list(layers))
    loaded = load_choice(choice, [], folder=Path(), data=data, seed=seed)
    if not isinstance(loaded, LoadedModel):
        raise ModelError(f"{name}: files of activations, and no network")
    return loaded


def _features(
    loaded: LoadedModel,
) -> tuple[SelectedActivations, Transform]:
    """All units of the layers, and what the network takes."""
    from unitdb import nn
    from unitdb.reconstruction import look_of

    return nn.SelectedActivations(loaded.module, loaded.masks()), look_of(loaded)


def _parted(n: int, part: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    order = np.random.default_rng(seed).permutation(n)
    n_held_out = round(part * n)
    if n - n_held_out < 2:
        raise ActivationsError(f"{n} pictures, and {n_held_out} of them held out; two train")
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])
