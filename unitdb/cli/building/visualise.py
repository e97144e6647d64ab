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
    data: Path | None,
) -> None:
    """Make a synthetic picture that drives a UNIT (feature visualisation).

    The network of the release's recipe runs here: its packages and weights must be here too.

    In Python: unitdb.nn.visualise(network, units)
    """
    from unitdb import nn

    opened = open_release(release, releases=root)
    opened.unit(unit)
    model, layer, _ = UnitId.parse(unit)
    network = _network(opened, model, data=data_folder(data))
    found = nn.visualise(
        network.module,
        opened.units(model=model, layer=layer).among([unit]),
        steps=steps,
        seed=seed,
    )
    found.save(output, release=opened.label, weights_sha256=network.weights_sha256)
    activation = float(found.activations[0])
    terminal.echo(f"{output}: synthetic; activation of {unit} is {activation:.4g}")


def _network(release: Release, model: str, *, data: Path) -> LoadedModel:
    """The network of the release's recipe, if its weights are those that the release states."""
    recipe = read_recipe(release.path / "recipe.yaml")
    loaded = None
    for choice in recipe.models:
        if choice.name == model or "/" in choice.name:  # a library's has its short name
            loaded = load_choice(
                choice, recipe.own_models, folder=release.path, data=data, seed=recipe.seed
            )
            if loaded.spec.name == model:
                break
    if not isinstance(loaded, LoadedModel) or loaded.spec.name != model:
        raise ModelError(f"release {release.label}: its recipe makes no network {model!r}")
    stated = release.table("models").set_index("model")["weights_sha256"][model]
    if loaded.weights_sha256 != stated:
        raise ModelError(
            f"{model}: the weights here ({loaded.weights_sha256[:12]}…) are not those of release "
            f"{release.label} ({str(stated)[:12]}…)"
        )
    return loaded
