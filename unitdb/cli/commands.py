"""The command line: every command is a thin wrapper of one Python call."""

from __future__ import annotations

from pathlib import Path

import click

from unitdb.cli.dictionary import schema
from unitdb.cli.identify import identify
from unitdb.cli.judge import judge
from unitdb.cli.lazy import Commands, Lazy, LazyCommand
from unitdb.cli.reconstruct import reconstruct
from unitdb.cli.reference import reference
from unitdb.cli.releases import compare, describe, fetch, releases, trace, verify
from unitdb.cli.rows import export_, sql, units, values
from unitdb.release import Catalogue

__all__ = ["LAZY", "main"]

LAZY = {
    "app": Lazy("unitdb.cli.app:app", "app", "Look at a release in the browser."),
    "report": Lazy(
        "unitdb.cli.app:report",
        "plot",
        "Write the figures of a release as one static page.",
    ),
    "build": Lazy("unitdb.cli.building.build:build", "build", "Run a recipe: publish a release."),
    "candidates": Lazy(
        "unitdb.cli.building.candidates:candidates",
        "build",
        "Make, list and show candidates for identification.",
    ),
    "datasets": Lazy(
        "unitdb.cli.building.datasets:datasets", "build", "List, download and check fMRI datasets."
    ),
    "demo": Lazy(
        "unitdb.cli.building.build:demo", "demo", "Build and show the (simulated) sample release."
    ),
    "doctor": Lazy("unitdb.cli.doctor:doctor", "", "Say what is missing here, and what mends it."),
    "errata": Lazy("unitdb.cli.building.publish:errata", "", "List or add what was found wrong."),
    "generator": Lazy(
        "unitdb.cli.building.generator:generator",
        "build",
        "Train generators of pictures, for reconstruction.",
    ),
    "import": Lazy("unitdb.cli.building.imports:import_", "build", "Publish published accuracies."),
    "models": Lazy("unitdb.cli.building.models:models", "build", "List, show and check networks."),
    "plan": Lazy("unitdb.cli.building.build:show_plan", "build", "Say what a build would take."),
    "publish": Lazy(
        "unitdb.cli.building.publish:publish", "datalad", "Publish a release to a store."
    ),
    "score": Lazy(
        "unitdb.cli.building.score:score", "build", "Say how brain-like a network is, in minutes."
    ),
    "retract": Lazy("unitdb.cli.building.publish:retract", "", "Mark a release as not to be used."),
    "visualise": Lazy(
        "unitdb.cli.building.visualise:visualise",
        "build",
        "Make a synthetic picture that drives a unit.",
    ),
}
"""Commands of the optional extras: imported when they are run, not when they are listed."""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--releases",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_RELEASES",
    show_envvar=True,
    help="Folder of releases.  [default: ./releases]",
)
@click.version_option(package_name="unitdb")
@click.pass_context
def main(ctx: click.Context, releases: Path | None) -> None:
    """How well each unit of a deep network can be decoded from human visual cortex.

    RELEASE is the folder of a release, or NAME, NAME@VERSION or NAME@latest.
    """
    ctx.obj = Catalogue(releases).root


for _name, _lazy in LAZY.items():
    main.add_command(LazyCommand(_name, _lazy))
for _command in (
    *(releases, describe, compare, fetch, trace, verify),
    *(units, values, export_, sql),
    *(schema, reference, identify, reconstruct, judge),
):
    main.add_command(_command)
