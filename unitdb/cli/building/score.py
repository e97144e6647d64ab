"""The command ``unitdb score``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from unitdb.cli import terminal
from unitdb.cli.app import report_writer
from unitdb.cli.building.build import INPUTS
from unitdb.cli.options import taking
from unitdb.cli.progress import progress_bars
from unitdb.errors import ModelError, QueryError
from unitdb.pipeline import score as run_score
from unitdb.yamltext import parse_yaml

__all__ = ["score"]


@click.command()
@click.argument("network")
@click.option(
    "--dataset",
    help="Dataset, or path of a dataset.yaml.  [default: algonauts92 where its data are here, else "
    "the sample, which is simulated]",
)
@click.option(
    "--units",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Units of each layer.",
)
@click.option("--roi", "rois", multiple=True, help="ROI; repeat for several.  [default: all]")
@click.option(
    "--layers",
    "layers",
    multiple=True,
    metavar="LAYER",
    help="auto, bhscore, or paths of modules in which * stands for anything; repeat for several.  "
    "[default: auto]",
)
@click.option(
    "--preprocessing",
    metavar="NAME|YAML",
    help="Of an own network: that of a known one, as in torchvision/resnet50, or as in "
    "'{size: 224, mean: [124, 116, 104], std: [58, 57, 57]}', in units of 0 to 255.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of a state_dict, of a factory or in place of a library's weights.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report of the release there too.",
)
@taking(*INPUTS)
@click.pass_obj
def score(
    root: Path,
    /,
    network: str,
    rois: tuple[str, ...],
    layers: tuple[str, ...],
    preprocessing: str | None,
    html: Path | None,
    **options: Any,
) -> None:
    """Say how brain-like a NETWORK is: BH score, layers, regions, people, channels.

    NETWORK is a name (efficientnet-lite0, torchvision/resnet50, timm/NAME) or a factory
    (FILE.py:CALLABLE), which is code that runs. A small release is built, or found.

    In Python: unitdb.score(NETWORK)
    """
    if html is not None and not html.absolute().parent.is_dir():
        raise QueryError(f"{html.parent}: no such folder")
    writing = None if html is None else report_writer()
    asked = layers[0] if layers in (("auto",), ("bhscore",)) else list(layers) or "auto"
    with progress_bars() as progress:
        found = run_score(
            network,
            rois=rois or None,
            layers=asked,
            preprocessing=_stated(preprocessing),
            releases=root,
            progress=progress,
            **options,
        )
    terminal.echo(str(found))
    if html is not None and writing is not None:
        writing(found.release, html)
        terminal.echo(f"Report: {html}")


def _stated(text: str | None) -> Any:
    if text is None or not text.lstrip().startswith("{"):
        return text
    try:
        return parse_yaml(text)
    except ValueError as cause:
        raise ModelError(f"--preprocessing: {' '.join(str(cause).split())}") from None
