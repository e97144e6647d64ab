"""Print docs/published-layers.md: units of published layers, beside those that networks here have.

``python docs/published_layers.py > docs/published-layers.md`` (extra ``test``).
"""

from __future__ import annotations

import inspect
import math
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.networks.conftest import torchvision_without_its_operators
from unitdb.activations import probed_network
from unitdb.activations.networks import of_torchvision
from unitdb.activations.networks.automatic import Found, chosen_layers
from unitdb.activations.networks.probing import probe
from unitdb.activations.networks.published import NOT_MADE, published_network, published_networks
from unitdb.imports.bhscore_units import BHSCORE_UNITS
from unitdb.pipeline import plan
from unitdb.recipes import Recipe, read_recipe

ROOT = Path(__file__).parents[1]
HEAD = """# Units of published layers

Printed, not typed: `python docs/published_layers.py > docs/published-layers.md`. Networks are made
without weights, and process one picture of the library's own size. *Published* numbers are stated
in the papers, or follow from their definitions (`unitdb/imports/bhscore_units.py` has the sources).
Cells are empty where only a guess is possible. All numbers are equal, with two exceptions.
SqueezeNet is published for pictures of 227 pixels. torchvision's weights take 224; with 227 the
numbers are equal too. TF-slim's MobileNet has a class for the background, timm's has none.
"""
TAKEN = """## What is taken for a published name

The published list names layers. It does not say how values were read from networks. unitdb takes
names literally: the output of the layer of this name, in the code with these names. `_abs` are
absolute values. `unitdb models layers NAME --layers bhscore` prints the module of each layer and
the operation behind it. Weights are those of the libraries. For `bdpy`, ResNet-18 and -34 they are
the published ones; for timm's `tf_in1k` they are TensorFlow's, as the name says. For the others,
`unitdb models show NAME` prints the source.
"""
NOT = """## Published networks that no library has

For these, `layers: bhscore` is an error that gives the reason. Your own factory can make them.
Write published names and modules under `own_models`; recipes then compute the same scores
([your own network](howto/own-network.md)). For CORnet-Z, put `cornet.py` beside the recipe. Its
function `make` returns the network:

```yaml
own_models:
  - name: cornet-z
    title: CORnet-Z
    factory: cornet.py:make
    preprocessing: {size: 224, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375]}
    layers:
      V1_conv_abs: abs(V1.conv)
      V1_output: V1.output
      V2_output: V2.output
      V4_output: V4.output
      IT_output: IT.output
      decoder_linear: decoder.linear
    licence: as its authors state
    source: https://github.com/dicarlolab/CORnet
    citation: Kubilius et al. (2018), doi:10.1101/408385
    check: null
```
"""
SIZES = """## Two published releases

This is the part of `unitdb plan` for `pipelines/horikawa2019.yaml` and `pipelines/nonaka2021.yaml`
that needs no responses. `plan` also prints the number of blocks and the time for decoding. Both
depend on the voxels of each ROI; the time is estimated by decoding for ten seconds. A decoding
process uses {memory} of memory (`--memory`). *Release* does not come from `plan`. It is {each}
bytes an accuracy, as [measured](benchmarks.md) on a simulated release of horikawa2019's units.
"""
BYTES_AN_ACCURACY = 7.75
"""Tables ``accuracy`` and ``unit_summary``, with p and q: docs/benchmarks.md."""

N_STIMULI = {"god": 1200 + 50, "deeprecon": 1200 + 50}
"""Training and test photographs that are seen, as the datasets' descriptions say."""

VGG19 = [3_211_264] * 2 + [1_605_632] * 2 + [802_816] * 4 + [401_408] * 4 + [100_352] * 4
"""Convolutions of VGG19 (Horikawa et al. 2019, doi:10.1038/sdata.2019.12), in their order."""

SQUEEZENET = 227
"""Side of the input of SqueezeNet as published; torchvision states 224 for its weights."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A layer: network, what is listed of it, its units here and as published."""

    network: str
    listed: str
    layer: str
    module: str
    units: int
    published: int | None

    def __str__(self) -> str:
        beside = "" if self.published is None else f"{self.published:,}"
        equal = "" if self.published is None else "yes" if self.equal else "no"
        named = f"{self.network}{self.listed and ', '}{self.listed}"
        return f"| {named} | {self.layer} | `{self.module}` | {self.units:,} | {beside} | {equal} |"

    @property
    def equal(self) -> bool:
        """Whether the network here has so many units as the published one."""
        return self.units == self.published


def rows() -> Iterator[Row]:
    """All layers: of Horikawa et al. by name, then of the networks of BH scores."""
    conv = iter(VGG19)
    for name in ("bdpy/alexnet", "bdpy/vgg19"):
        known = BHSCORE_UNITS[_dnn(name)]
        for one in probed_network(name)[1]:
            published = (
                next(conv) if "_" in one.name else known.get(one.name, known.get(f"{one.name}_abs"))
            )
            yield _row(name, "", one, published)
    for name in scored():
        found = [("BH scores", probed_network(name, layers="bhscore")[1])]
        if _dnn(name).startswith("SqueezeNet"):
            found.append((f"BH scores, {SQUEEZENET} px", scored_at(name, SQUEEZENET)))
        for listed, layers in found:
            for one in layers:
                known = BHSCORE_UNITS.get(_dnn(name), {})
                yield _row(name, listed, one, known.get(one.name.replace(".", ":")))


def scored() -> list[str]:
    """Networks of pipelines/nonaka2021.yaml."""
    return [choice.name for choice in _recipe("nonaka2021").models]


def _row(name: str, listed: str, one: Found, published: int | None) -> Row:
    return Row(
        network=name,
        listed=listed,
        layer=one.name,
        module=one.tapped,
        units=math.prod(one.shape),
        published=published,
    )


def _dnn(name: str) -> str:
    return published_network(name.partition("/")[2], origin=name).dnn


def _recipe(name: str) -> Recipe:
    return read_recipe(ROOT / "pipelines" / f"{name}.yaml")


def scored_at(name: str, size: int) -> tuple[Found, ...]:
    """Layers of BH scores of a network of torchvision that gets pictures of another size."""
    called = name.partition("/")[2]
    options = {"name": called, "weights": "random"}
    probed = probe(of_torchvision.make, options, size=size, where=name)
    return chosen_layers(probed, "bhscore", called=called, origin=name)


def notes() -> Iterator[str]:
    """What is taken for a published name, and of which networks."""
    of: dict[str, list[str]] = {}
    for name, published in published_networks().items():
        of.setdefault(published.note, []).append(f"`{name}`")
    yield from (f"- {', '.join(names)}: {note}." for note, names in of.items())


def not_made() -> Iterator[str]:
    """Why published networks cannot be made."""
    of: dict[str, list[str]] = {}
    for name, why in NOT_MADE.items():
        of.setdefault(why, []).append(name)
    yield from (f"- {', '.join(names)}: {why}." for why, names in of.items())


def sizes(found: list[Row]) -> Iterator[str]:
    """What ``plan`` says of both recipes that follows without responses."""
    yield "| recipe | network | test sets | layers | units | accuracies | activations | release |"
    yield "|---|---|---|---|---|---|---|---|"
    for recipe, listed in (("horikawa2019", ""), ("nonaka2021", "BH scores")):
        read = _recipe(recipe)
        (dataset,) = read.datasets
        spec = yaml.safe_load((ROOT / "datasets" / dataset / "dataset.yaml").read_text())
        tests = read.tests_of(dataset) or list(spec["responses"]["tests"])
        rois = read.rois_of(dataset) or list(spec["rois"])
        each = [
            (choice.name, _selected([one for one in found if _is(one, choice.name, listed)], read))
            for choice in read.models
        ]
        together = [n for _, units in each for n in units]
        for name, units in [*each, (f"all {len(each)}", together)]:
            n = sum(units) * len(spec["subjects"]) * len(rois) * len(tests)
            yield (
                f"| {recipe} | {name} | {', '.join(tests)} | {len(units)} | {sum(units):,} | {n:,} "
                f"({len(spec['subjects'])} subjects × {len(rois)} ROIs) | "
                f"{4 * N_STIMULI[dataset] * sum(units) / 1e6:,.1f} MB | "
                f"{BYTES_AN_ACCURACY * n / 1e6:,.1f} MB |"
            )


def _is(row: Row, network: str, listed: str) -> bool:
    return (row.network, row.listed) == (network, listed)


def _selected(layers: list[Row], recipe: Recipe) -> list[int]:
    """How many units of each layer are decoded."""
    most = recipe.selection.sample
    return [one.units if most is None else min(one.units, most) for one in layers]


def main() -> None:
    """Print the page."""
    held = torchvision_without_its_operators()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(rows())
    del held
    memory = inspect.signature(plan).parameters["memory"].default
    click.echo(HEAD)
    click.echo(
        "| network | layer | module | units | published | equal |\n|---|---|---|---|---|---|"
    )
    click.echo("\n".join(map(str, found)))
    for title, lines in (
        (TAKEN, notes()),
        (NOT, not_made()),
        (SIZES.format(each=BYTES_AN_ACCURACY, memory=memory), sizes(found)),
    ):
        click.echo(f"\n{title}")
        click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
