"""Commands of the building side: ``unitdb build``, ``demo`` and ``plan``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from unitdb.cli import terminal
from unitdb.cli.findings import findings, topdown_findings
from unitdb.cli.options import taking
from unitdb.cli.progress import progress_bars
from unitdb.cli.terminal import print_table
from unitdb.errors import RecipeError, WorkersError
from unitdb.files import replacing
from unitdb.pipeline import build as run_build, build_in_datalad, plan as run_plan
from unitdb.recipes import shipped_recipe
from unitdb.release import open_release

__all__ = ["CACHE", "DATASETS", "INPUTS", "build", "demo", "show_plan"]

DATASETS = click.option(
    "--datasets",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    help="Folder of datasets to search first; repeat for several.",
)


CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_CACHE",
    show_envvar=True,
    help="Folder of computed activations.  [default: RELEASES/.cache]",
)

INPUTS = (
    click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="UNITDB_DATA",
        show_envvar=True,
        help="Folder of measured responses.",
    ),
    CACHE,
    DATASETS,
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Decode in N processes.  [default: threads of this one, as many as cores]",
    ),
    click.option(
        "--memory",
        default="2GB",
        show_default=True,
        help="What a decoding process may use.",
    ),
)

_BUILDING = (
    *INPUTS,
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Decode on a running Dask cluster, as in tcp://10.0.0.1:8786.",
    ),
    click.option(
        "--replace",
        is_flag=True,
        help="Replace a release of this version with other content, if nobody uses it yet.",
    ),
)


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@taking(*_BUILDING)
@click.option("--again", is_flag=True, hidden=True, help="Build what is published; compare.")
@click.option(
    "--datalad",
    is_flag=True,
    help="Build in one datalad run: the folder of releases becomes a DataLad dataset, and datalad "
    "rerun makes the same bytes.",
)
@click.pass_obj
def build(root: Path, /, recipe: Path, datalad: bool, **options: Any) -> None:
    """Build the release that a RECIPE describes; started again after a kill, it goes on.

    In Python: unitdb.pipeline.build(RECIPE, releases=DIR)
    """
    if not datalad:
        terminal.echo(str(_build(root, recipe, **options)))
        return
    if options.pop("replace") or options.pop("again"):
        raise click.UsageError("--datalad keeps what it has saved: --replace and --again do not go")
    terminal.echo(str(build_in_datalad(recipe, releases=root, **options)))


@click.command()
@taking(*_BUILDING)
@click.pass_obj
def demo(root: Path, /, **options: Any) -> None:
    """Build the embedded sample (simulated), two releases, and print and draw what they found.

    In Python: unitdb.pipeline.build(RECIPE, releases=DIR), then the query API
    """
    with _built_beside(root, _recipe("sample-topdown"), **options) as beside:
        terminal.echo(findings(open_release(_build(root, _recipe("sample"), **options))))
        topdown = open_release(beside())
    terminal.echo(f"\n{topdown_findings(topdown)}")
    from unitdb import plot  # matplotlib, which only drawing needs

    with replacing(root / f"{topdown.name}.png") as picture:
        figure = plot.overview(topdown, roi=topdown.values("roi")[0])
        figure.savefig(picture, dpi=100, format="png", metadata={"Software": None})
    terminal.echo(f"Picture: {root / topdown.name}.png")


def _build(root: Path, recipe: Path, **options: Any) -> Path:
    with progress_bars() as progress:
        return run_build(recipe, releases=root, progress=progress, **options)


@contextmanager
def _built_beside(root: Path, recipe: Path, **options: Any) -> Iterator[Callable[[], Path]]:
    """Build in a process of its own; give what waits for the folder.

    It is ended where this one fails or is interrupted.
    """
    program = [sys.executable, "-P", "-c", "from unitdb.cli import main; main()"]
    program += ["--releases", str(root), "build", str(recipe)]
    for name, value in options.items():
        given = value if isinstance(value, tuple) else (value,) if value is not None else ()
        for one in given:
            program += [f"--{name}"] * (one is not False) + [str(one)] * (not isinstance(one, bool))
    with subprocess.Popen(  # noqa: S603 - this program
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        text=True,
        encoding="utf-8",
    ) as process:

        def wait() -> Path:
            printed, problem = process.communicate()
            if process.returncode < 0:
                raise WorkersError(
                    f"the build of {recipe.stem} was ended by signal {-process.returncode}; "
                    "perhaps there was too little memory"
                )
            if process.returncode:
                terminal.echo(problem.strip(), err=True)
                raise SystemExit(process.returncode)
            return Path(printed.splitlines()[-1])

        try:
            yield wait
        finally:
            if process.poll() is None:
                process.terminate()  # what it has finished stays


def _recipe(name: str) -> Path:
    found = shipped_recipe(name)
    if found is None:
        raise RecipeError(f"the recipe of the {name} is not beside unitdb; install it again")
    return found


@click.command("plan")
@click.argument("recipe", type=click.Path(path_type=Path, dir_okay=False))
@taking(*INPUTS)
@click.pass_obj
def show_plan(root: Path, /, recipe: Path, **options: Any) -> None:
    """Say what building a RECIPE would take: units, bytes, time and pictures, from a short test.

    In Python: unitdb.pipeline.plan(RECIPE, releases=DIR)
    """
    plans = run_plan(recipe, releases=root, **options)
    for found in plans:
        each = f"{found.n_subjects} subjects × {found.n_rois} ROIs"
        if len(found.conditions) > 1:
            each += f" × {len(found.conditions)} test sets"
        predicted = f"{found.n_kept:,} with predictions"
        rows = [
            ["test sets", ", ".join(found.conditions)],
            ["layers", f"{found.n_layers:,}"],
            ["units", f"{found.n_units:,}"],
            [
                "accuracies",
                f"{found.n_accuracies:,} ({each})",
            ],
            ["blocks", f"{found.n_blocks:,}"],
            ["activations", f"{found.activations_bytes / 1e6:,.1f} MB on disk"],
            *(
                [["predictions", f"{found.predictions_bytes / 1e6:,.1f} MB to publish, at most"]]
                if found.predictions_bytes
                else []
            ),
            [
                "kept",
                f"{found.kept_bytes / 1e6:,.1f} MB at most; {found.n_shown:,} units, {predicted}",
            ],
            ["memory", f"{options['memory']} a decoding process"],
            ["speed", f"{found.units_per_second:,.0f} accuracies/s a thread"],
            ["decoding", f"about {_minutes(found.seconds)} with {found.n_threads} at work"],
        ]
        if found.n_pictures:
            takes = "their time is not estimated"
            if found.picture_seconds is not None:
                takes = f"about {_minutes(found.picture_seconds)} of the processor"
            rows.append(["pictures", f"{found.n_pictures:,} to seek; {takes}"])
        if found.n_trained:
            rows.append(["networks", f"{found.n_trained:,} to train; their time is not estimated"])
        print_table([f"{found.dataset}/{found.model}", ""], rows)


def _minutes(seconds: float) -> str:
    return "{} min {} s".format(*divmod(round(seconds), 60))
