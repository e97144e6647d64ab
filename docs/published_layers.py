"""Print docs/published-layers.md: units of published layers, beside those that networks here have.

``python docs/published_layers.py > docs/published-layers.md`` (extra ``test``).
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.networks.conftest import torchvision_without_its_operators
from unitdb.activations import probed_network
from unitdb.activations.networks import of_torchvision
from unitdb.activations.networks.automatic import Found, chosen_layers
from unitdb.activations.networks.probing import probe
from unitdb.imports.bhscore_units import BHSCORE_UNITS

HEAD = """# Units of published layers

Printed, not typed: `python docs/published_layers.py > docs/published-layers.md`. Networks are made
without weights, and a picture of the size that the library states passes. *Published* are the
numbers that the papers state, or that follow from their definitions
(`unitdb/imports/bhscore_units.py` has the sources); empty where it would be a guess. All are equal
but those of SqueezeNet, which is published for pictures of 227 pixels: torchvision's weights take
224, and with 227 they are equal too.
"""
SIZES = """## Two published releases

What `pipelines/horikawa2019.yaml` and `pipelines/nonaka2021.yaml` hold, counted as `unitdb plan`
counts. `plan` says the time, too: it decodes for ten seconds, and so takes the responses.
"""
VGG19 = [3_211_264] * 2 + [1_605_632] * 2 + [802_816] * 4 + [401_408] * 4 + [100_352] * 4
"""Convolutions of VGG19 (Horikawa et al. 2019, doi:10.1038/sdata.2019.12), in their order."""

SCORED = {
    "bdpy/alexnet": "AlexNet",
    "bdpy/vgg19": "VGG-19",
    "torchvision/vgg16": "VGG-16",
    "torchvision/resnet18": "ResNet-18",
    "torchvision/resnet34": "ResNet-34",
    "torchvision/squeezenet1_0": "SqueezeNet-1.0",
    "torchvision/squeezenet1_1": "SqueezeNet-1.1",
    "torchvision/inception_v3": "Inception-v3",
    "torchvision/googlenet": "Inception-v1",
}

SQUEEZENET = 227
"""Side of the input of SqueezeNet as published; torchvision states 224 for its weights."""

Row = tuple[str, str, str, int, int | None]


def rows() -> Iterator[Row]:
    """Network, layer, module, units here, units as published."""
    conv = iter(VGG19)
    for name in ("bdpy/alexnet", "bdpy/vgg19"):
        known = BHSCORE_UNITS[SCORED[name]]
        for one in probed_network(name)[1]:
            published = (
                next(conv) if "_" in one.name else known.get(one.name, known.get(f"{one.name}_abs"))
            )
            yield name, one.name, one.tapped, math.prod(one.shape), published
    for name, dnn in SCORED.items():
        found = [("BH scores", probed_network(name, layers="bhscore")[1])]
        if dnn.startswith("SqueezeNet"):
            found.append((f"BH scores, {SQUEEZENET} px", scored_at(name, SQUEEZENET)))
        for what, layers in found:
            for one in layers:
                published = BHSCORE_UNITS.get(dnn, {}).get(one.name.replace(".", ":"))
                yield f"{name}, {what}", one.name, one.tapped, math.prod(one.shape), published


def scored_at(name: str, size: int) -> tuple[Found, ...]:
    """Layers of BH scores of a network of torchvision that gets pictures of another size."""
    called = name.partition("/")[2]
    options = {"name": called, "weights": "random"}
    probed = probe(of_torchvision.make, options, size=size, where=name)
    return chosen_layers(probed, "bhscore", called=called, origin=name)


def told(row: Row) -> str:
    """A line of the table."""
    network, layer, module, n, published = row
    beside = "" if published is None else f"{published:,}"
    equal = "" if published is None else "yes" if n == published else "no"
    return f"| {network} | {layer} | `{module}` | {n:,} | {beside} | {equal} |"


def sizes(found: list[Row]) -> Iterator[str]:
    """Units, accuracies and stored activations of both recipes."""
    yield "| recipe | networks | layers | units | accuracies | activations |"
    yield "|---|---|---|---|---|---|"
    whole = [n for network, _, _, n, _ in found if "BH" not in network]
    sampled = [min(n, 1000) for network, _, _, n, _ in found if network.endswith("BH scores")]
    for recipe, networks, units, cells, stimuli in (
        ("horikawa2019", 2, whole, 5 * 10, 1250),
        ("nonaka2021", len(SCORED), sampled, 3 * 5, 1250),
    ):
        total = sum(units)
        yield (
            f"| {recipe} | {networks} | {len(units)} | {total:,} | {total * cells:,} | "
            f"{4 * stimuli * total / 1e9:,.1f} GB |"
        )


def main() -> None:
    """Print the page."""
    held = torchvision_without_its_operators()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(rows())
    del held
    click.echo(HEAD)
    click.echo(
        "| network | layer | module | units | published | equal |\n|---|---|---|---|---|---|"
    )
    click.echo("\n".join(map(told, found)))
    click.echo(f"\n{SIZES}")
    click.echo("\n".join(sizes(found)))


if __name__ == "__main__":
    main()
