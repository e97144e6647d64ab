"""Commands on networks: ``unitdb models list``, ``show``, ``layers``, ``get`` and ``check``."""

from __future__ import annotations

import fnmatch
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from unitdb.activations import MODELS, ModelSpec, get_model
from unitdb.cli import terminal
from unitdb.cli.options import taking
from unitdb.cli.terminal import print_table
from unitdb.errors import ModelError

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel

__all__ = ["models"]

_NONE = 1e-4

_NETWORK = (
    click.argument("name"),
    click.option(
        "--layers",
        "asked",
        multiple=True,
        metavar="LAYER",
        help="Of a library's network: auto, bhscore, or paths of modules in which * stands for "
        "anything; repeat for several.  [default: auto]",
    ),
)
_DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_DATA",
    show_envvar=True,
    help="Data folder, with weights below networks/.",
)


@click.group()
def models() -> None:
    """List, show, get and check networks: unitdb's, and those of libraries (torchvision/…)."""


@models.command("list")
@click.argument("pattern", default="")
def list_models(pattern: str) -> None:
    """List networks that fit a PATTERN, as in 'torchvision/*' or '*vit*'; without one, unitdb's.

    In Python: unitdb.activations.MODELS and unitdb.activations.list_networks(SOURCE)
    """
    if not pattern:
        rows = [[name, str(len(spec.layers)), spec.title] for name, spec in MODELS.items()]
        print_table(["model", "layers", "title"], rows)
        return
    from unitdb.activations import NETWORK_SOURCES, list_networks

    found = [name for name in MODELS if fnmatch.fnmatchcase(name, pattern)]
    for source in NETWORK_SOURCES:
        asked = pattern.startswith(f"{source}/")
        if asked or ("/" not in pattern and importlib.util.find_spec(source)):
            found += list_networks(source, pattern if asked else f"{source}/{pattern}")
    terminal.echo("\n".join(found) if found else f"no network fits {pattern!r}")


@models.command("show")
@taking(*_NETWORK)
@_DATA
def show_model(name: str, asked: tuple[str, ...], data: Path | None) -> None:
    """Load a network, check that it classifies photographs, and list its layers.

    In Python: unitdb.activations.load_model(unitdb.activations.get_model(NAME))
    """
    from unitdb.activations import load_model  # torch, for those who run networks

    loaded = load_model(_spec(name, asked, data), data=data)
    terminal.echo(f"{loaded.spec.title}\nmodel sha256 {loaded.model_sha256}")
    terminal.echo(f"weights sha256 {loaded.weights_sha256}")
    _tell(loaded.spec)
    checked = ", ".join(loaded.checked_on) or "nothing: no class scores of ImageNet"
    terminal.echo(f"classified correctly: {checked}\n")
    rows = [
        [
            layer.name,
            str(layer.depth),
            layer.module,
            layer.kind,
            "×".join(map(str, layer.shape)),
            layer.axes,
            str(layer.n_units),
        ]
        for layer in loaded.layers
    ]
    print_table(["layer", "depth", "module", "kind", "shape", "axes", "units"], rows)


@models.command("layers")
@taking(*_NETWORK)
@_DATA
def list_layers(name: str, asked: tuple[str, ...], data: Path | None) -> None:
    """List the layers of a network with shapes and units; a library's needs no weights for that.

    In Python: unitdb.activations.get_model(NAME, layers=...).layers
    """
    if "/" not in name:
        print_table(
            ["layer", "module"], [list(pair) for pair in _spec(name, asked, data).layers.items()]
        )
        return
    import math

    from unitdb.activations import probed_network, published_network

    _, found = probed_network(name, layers=_asked(asked), data=data)
    rows = [
        [
            one.name,
            one.tapped,
            one.kind,
            "×".join(map(str, one.shape)),
            one.axes or ("N" if len(one.shape) == 1 else "?"),
            str(math.prod(one.shape)),
            one.gives,
        ]
        for one in found
    ]
    print_table(["layer", "module", "kind", "shape", "axes", "units", "gives"], rows)
    if asked == ("bhscore",):
        called = name.partition("/")[2].partition(":")[0]
        published = published_network(called, origin=name)
        terminal.echo(f"\n{published.dnn} of the published BH scores: {published.note}")


@models.command("get")
@click.argument("name")
@_DATA
def get_network(name: str, data: Path | None) -> None:
    """Download the weights of a library's network into the data folder; then it works offline.

    Where DataLad and git-annex are installed, the folder `networks` there is a DataLad dataset that
    tracks them.

    In Python: unitdb.activations.get_network(NAME), and unitdb.sources.track(…)
    """
    from unitdb.activations import get_network as get
    from unitdb.sources import data_folder, track

    path, networks = get(name, data=data), data_folder(data) / "networks"
    terminal.echo(str(path))
    download = getattr(get_model(name, data=data), "download", None)
    files = [path, path.with_name(f"{path.name}.sha256")]  # as get_weights records it
    if name.startswith("transformers/"):  # in a folder of its own, with what describes it
        files = sorted(each for each in path.parent.iterdir() if not each.name.startswith("."))
    track(
        networks,
        [file.relative_to(networks).as_posix() for file in files],
        message=f"Weights of {name}",
        address=download.url if download is not None and download.member is None else None,
    )


@models.command("check")
@click.argument("name")
@_DATA
@click.option(
    "--photographs",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of one photograph for each class, in their order by name.  [default: five that "
    "are shipped]",
)
def check_network(name: str, data: Path | None, photographs: Path | None) -> None:
    """Show a network photographs as stated and with common mistakes; exit 2 if one is better.

    Of networks without classes two cuts of one photograph must be nearer than those of two, and
    BatchNorm must see what it saw in training.

    In Python: unitdb.activations.check_preprocessing(LOADED), check_likeness(LOADED) without
    classes, and beside_library(NAME)
    """
    from unitdb.activations import (
        beside_library,
        check_preprocessing,
        load_model,
        published_accuracy,
    )

    model = load_model(get_model(name, data=data), data=data)
    if (away := beside_library(name, data=data)) is not None:
        terminal.echo(f"largest difference from the library's own transform {away:.1g}")
        if away > _NONE:
            raise ModelError(f"{name}: pictures are other than its library's own transform makes")
    if model.spec.check is None and photographs is None:
        _check_likeness(name, model)
        return
    answers = check_preprocessing(model, photographs=photographs)
    rows = [
        [
            one.how,
            f"{one.n_right} of {one.n_photographs}",
            f"{one.probability:.3f}",
            "better" if one.better else "not told apart" if one.alike else "",
        ]
        for one in answers
    ]
    print_table(["preprocessing", "right", "mean probability", "beside as stated"], rows)
    if photographs is not None:
        share = answers[0].n_right / answers[0].n_photographs
        terminal.echo(_beside_published(share, published_accuracy(name, data=data)))
    if better := [one.how for one in answers if one.better]:
        raise ModelError(
            f"{name}: surer of the photographs with {' and '.join(better)} than as stated; the "
            "preprocessing is most likely wrong"
        )


def _beside_published(share: float, stated: float | None) -> str:
    """Top-1 accuracy on these photographs, beside that on ImageNet's validation pictures."""
    beside = "its library publishes no figure"
    if stated is not None:
        beside = (
            f"its library publishes {stated:.1%} of ImageNet's validation pictures "
            f"({100 * (share - stated):+.1f} points here)"
        )
    return f"top-1 {share:.1%} of these photographs; {beside}"


def _check_likeness(name: str, model: LoadedModel) -> None:
    """Show and judge what a network without classes answers."""
    from unitdb.activations import check_likeness

    answers = check_likeness(model)
    rows = [
        [
            one.how,
            f"{one.n_right} of {one.n_photographs}",
            f"{one.nearer:.3f}",
            "" if one.divergence != one.divergence else f"{one.divergence:.3f}",
            "better" if one.better else "not told apart" if one.alike else "",
        ]
        for one in answers
    ]
    heads = ["preprocessing", "cuts nearest", "nearer by", "off BatchNorm", "beside as stated"]
    print_table(heads, rows)
    if better := [one.how for one in answers if one.better]:
        raise ModelError(
            f"{name}: with {' and '.join(better)} BatchNorm sees more of what it saw in training; "
            "the preprocessing is most likely wrong"
        )
    if 2 * answers[0].n_right < answers[0].n_photographs:
        raise ModelError(
            f"{name}: cuts of only {answers[0].n_right} of {answers[0].n_photographs} photographs "
            "are nearest to each other; weights or preprocessing are wrong"
        )


def _asked(asked: tuple[str, ...]) -> tuple[str, ...] | str:
    return asked[0] if asked in (("auto",), ("bhscore",)) else asked or "auto"


def _spec(name: str, asked: tuple[str, ...], data: Path | None) -> ModelSpec:
    if asked and "/" not in name:
        raise click.UsageError("--layers is for networks of libraries: torchvision/…, timm/…")
    return get_model(name, layers=_asked(asked), data=data)


def _tell(spec: ModelSpec) -> None:
    """What the library says of its network."""
    terminal.echo(f"preprocessing {spec.preprocessing!r}")
    terminal.echo(f"licence {spec.licence}\nsource {spec.source}\ncitation {spec.citation}")
