"""``unitdb visualise``: a synthetic picture that drives a unit of a release."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.activations import LoadedModel, load_choice
from unitdb.cli import terminal
from unitdb.cli.building.datasets import DATA
from unitdb.errors import ModelError
from unitdb.recipes import read_recipe
from unitdb.release import Release, open_release
from unitdb.sources import data_folder
from unitdb.unitids import UnitId

__all__ = ["visualise"]


@click.command()
@click.argument("release")
@click.argument("unit")
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write, PNG; it holds activation and settings too.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Of the optimiser: the time that it takes.",
)
@click.option("--seed", default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--recipe",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Your copy of the release's recipe: code of its own networks runs from there alone.",
)
@DATA
@click.pass_obj
def visualise(
    root: Path,
    /,
    release: str,
    unit: str,
    output: Path,
    *,
    steps: int,
    seed: int,
    recipe: Path | None,
    data: Path | None,
) -> None:
    """Make a synthetic picture that drives a UNIT (feature visualisation).

    The network of the release runs here: its packages and weights must be here too. A release
    itself names no code that runs: own networks need --recipe.

    In Python: unitdb.nn.visualise(network, units)
    """
    from unitdb import nn

    opened = open_release(release, releases=root)
    opened.unit(unit)
    model, layer, _ = UnitId.parse(unit)
    network = _network(opened, model, recipe=recipe, data=data_folder(data))
    found = nn.visualise(
        network.module,
        opened.units(model=model, layer=layer).among([unit]),
        steps=steps,
        seed=seed,
    )
    found.save(output, release=opened.label, weights_sha256=network.weights_sha256)
    activation = float(found.activations[0])
    terminal.echo(f"{output}: synthetic; activation of {unit} is {activation:.4g}")


def _network(release: Release, model: str, *, recipe: Path | None, data: Path) -> LoadedModel:
    """The network of the release, if its weights are those that the release states."""
    path = recipe or release.path / "recipe.yaml"
    read = read_recipe(path)
    # The recipe inside a release is a stranger's: a factory that it names could be any function.
    own = () if recipe is None else read.own_models
    if recipe is None and model in {one.name for one in read.own_models}:
        raise ModelError(
            f"release {release.label}: code of its recipe makes network {model!r}, and no release "
            "may run code: unitdb visualise --recipe FILE takes your copy of the recipe"
        )
    loaded = None
    for choice in read.models:
        if choice.name == model or "/" in choice.name:  # a library's has its short name
            loaded = load_choice(choice, own, folder=path.parent, data=data, seed=read.seed)
            if loaded.spec.name == model:
                break
    if not isinstance(loaded, LoadedModel) or loaded.spec.name != model:
        raise ModelError(f"{path}: makes no network {model!r} of release {release.label}")
    stated = release.table("models").set_index("model")["weights_sha256"][model]
    if loaded.weights_sha256 != stated:
        raise ModelError(
            f"{model}: the weights here ({loaded.weights_sha256[:12]}…) are not those of release "
            f"{release.label} ({str(stated)[:12]}…)"
        )
    return loaded
