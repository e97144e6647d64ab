"""The command line: every command is a thin wrapper of one Python call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from unitdb.cli import terminal
from unitdb.cli.identify import identify
from unitdb.cli.judge import judge
from unitdb.cli.lazy import Commands, Lazy, LazyCommand
from unitdb.cli.progress import progress_bars
from unitdb.cli.reconstruct import reconstruct
from unitdb.cli.reference import reference
from unitdb.cli.results import result_options, write_results
from unitdb.cli.selection import selected, selection
from unitdb.query import export
from unitdb.release import (
    Catalogue,
    Release,
    check_signed,
    compare as compare_releases,
    fetch as fetch_release,
    open_release,
)
from unitdb.schema import (
    SCHEMA_VERSION,
    TABLES,
    VIEWS,
    data_dictionary,
    frictionless,
    get_table,
)

__all__ = ["LAZY", "main"]

_signed = click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Public key of the publisher, who must have signed the release: of SSH or GPG, or a file "
    "of allowed signers.",
)

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
main.add_command(reference)
main.add_command(identify)
main.add_command(reconstruct)
main.add_command(judge)


@main.command()
@click.pass_obj
def releases(root: Path) -> None:
    """List the releases.

    In Python: Catalogue(DIR).entries()
    """
    catalogue = Catalogue(root)
    rows = [
        [
            f"{entry.name}@{entry.version}",
            "SIMULATED" if entry.simulated else "measured",
            ", ".join(entry.aliases),
            entry.title,
            "; ".join(
                [f"retracted: {entry.retracted}"] * (entry.retracted is not None)
                + [f"not here: {entry.command}"] * (entry.command is not None)
            ),
        ]
        for entry in catalogue.entries()
    ]
    if not rows:
        terminal.echo(f"no releases in {catalogue.root.absolute()}", err=True)
        return
    terminal.print_table(["release", "responses", "aliases", "title", "note"], rows)


@main.command()
@click.argument("release")
@click.pass_obj
def describe(root: Path, release: str) -> None:
    """Say what a release holds.

    In Python: unitdb.open(RELEASE).describe()
    """
    terminal.echo(str(_open(root, release).describe()))


@main.command()
@click.argument("release")
@selection
@click.option("--code", is_flag=True, help="Print the Python that does the same, and no rows.")
@click.option("--explain", is_flag=True, help="Print the SQL and its plan, and no rows.")
@click.option(
    "--masks",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a boolean array of each layer to FILE (.npz or .pt), and print no rows.",
)
@result_options
@click.pass_obj
def units(
    root: Path,
    /,
    release: str,
    code: bool,
    explain: bool,
    masks: Path | None,
    format_: str | None,
    output: Path | None,
    **options: Any,
) -> None:
    """Find units.

    In Python: unitdb.open(RELEASE).units(…).where(…).top(N)
    """
    rows = "--output" if output is not None else "--format" if format_ is not None else ""
    given = {"--code": code, "--explain": explain, "--masks": masks is not None, rows: bool(rows)}
    answers = [option for option, is_given in given.items() if is_given]
    if len(answers) > 1:
        raise click.UsageError(f"{answers[0]} prints no rows: it does not go with {answers[1]}")
    found = selected(_open(root, release), options)
    if code or explain:
        terminal.echo(found.code() if code else found.explain())
        return
    if masks is not None:
        found.write_masks(masks)
        return
    ending = output.suffix.removeprefix(".").lower() if output is not None else "table"
    streamed = (format_ or ending) in export.FORMATS
    write_results(found.to_reader(ordered=True) if streamed else found.to_arrow(), format_, output)


@main.command()
@click.argument("release")
@click.argument("column")
@click.pass_obj
def values(root: Path, release: str, column: str) -> None:
    """List the names that units can be selected by; COLUMN is model, layer, roi and so on.

    In Python: unitdb.open(RELEASE).values(COLUMN)
    """
    for name in _open(root, release).values(column):
        terminal.echo(name)


@main.command("export")
@click.argument("release")
@click.option("--table", help="Table to write: unitdb schema lists them.  [default: unit_summary]")
@click.option(
    "--format",
    "format_",
    type=click.Choice([*export.FORMATS, "duckdb"]),
    help="Format of the file; what its name ends in by default.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; of an ending in .duckdb, a database of all tables for this machine.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the reconstructed pictures into a folder instead, PNG.",
)
@click.pass_obj
def export_(
    root: Path,
    /,
    release: str,
    table: str | None,
    format_: str | None,
    output: Path | None,
    pictures: Path | None,
) -> None:
    """Write a table of a release to one file, all of it as a DuckDB database, or its pictures.

    In Python: unitdb.open(RELEASE).export(TABLE, FILE), .to_duckdb(FILE), and
    .reconstructions().save(DIR)
    """
    if (output is None) == (pictures is None):
        raise click.UsageError("say one of --output FILE and --pictures DIR")
    opened = _open(root, release)
    if pictures is not None:
        files = opened.reconstructions().save(pictures)
        terminal.echo(f"{len(files)} pictures in {pictures}")
        return
    if output is None:
        return
    if (format_ or output.suffix) not in {"duckdb", ".duckdb"}:
        opened.export(table or "unit_summary", output, format=format_)  # type: ignore[arg-type]
    elif table is not None:
        raise click.UsageError("a DuckDB file has all tables: leave out --table")
    else:
        opened.to_duckdb(output)
    terminal.echo(str(output))


@main.command()
@click.argument("before")
@click.argument("after")
@click.option(
    "--tolerance",
    type=float,
    default=1e-6,
    show_default=True,
    help="Largest difference of two accuracies that counts as none.",
)
@click.option("--by-layer", is_flag=True, help="Print the rows of layers and ROIs.")
@result_options
@click.pass_obj
def compare(
    root: Path,
    /,
    before: str,
    after: str,
    tolerance: float,
    by_layer: bool,
    format_: str | None,
    output: Path | None,
) -> None:
    """Say which units were added, removed or changed from one release to another.

    In Python: unitdb.compare(BEFORE, AFTER)
    """
    one, other = _open(root, before), _open(root, after)
    found = compare_releases(one, other, tolerance=tolerance)
    if not (by_layer or format_ or output):
        terminal.echo(str(found))
        return
    rows = pa.Table.from_pandas(found.cells if by_layer else found.units, preserve_index=False)
    labelled = export.with_provenance(
        rows,
        release=f"{found.before} → {found.after}",
        query=f"unitdb.compare(…, tolerance={tolerance!r})",
        citation=f"{one.citation} {other.citation}",
        simulated=one.simulated or other.simulated,
    )
    write_results(labelled, format_, output)


@main.command()
@click.argument("release")
@click.argument("query")
@result_options
@click.pass_obj
def sql(root: Path, /, release: str, query: str, format_: str | None, output: Path | None) -> None:
    """Run a SELECT over the tables of a release.

    In Python: unitdb.open(RELEASE).sql(QUERY)
    """
    write_results(_open(root, release).sql_arrow(query), format_, output)


@main.command()
@click.argument("release")
@click.option(
    "--from",
    "source",
    required=True,
    envvar="UNITDB_SOURCE",
    show_envvar=True,
    metavar="ADDRESS|DIR",
    help="Where the releases lie, and their releases.json.",
)
@_signed
@click.option(
    "--replace",
    is_flag=True,
    help="Let it take the place of another build of this version, which is here or listed here.",
)
@click.pass_obj
def fetch(root: Path, /, release: str, source: str, key: Path | None, replace: bool) -> None:
    """Fetch a RELEASE (NAME or NAME@VERSION) of elsewhere; an interrupted fetch goes on.

    In Python: unitdb.release.fetch(RELEASE, source=ADDRESS)
    """
    with progress_bars() as progress:
        found = fetch_release(
            release,
            source=source,
            releases=root,
            key=key,
            replace=replace,
            progress=lambda done, total: progress("fetch", done, total),
        )
    terminal.echo(str(found))


@main.command()
@click.argument("release")
@click.argument("unit", metavar="MODEL/LAYER/UNIT")
@click.option("--roi", help="Only accuracies of this region.")
@click.option("--subject", help="Only accuracies of this subject.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.pass_obj
def trace(
    root: Path,
    /,
    release: str,
    unit: str,
    roi: str | None,
    subject: str | None,
    format_: str,
) -> None:
    """Follow the accuracies of a unit back to the files they are from, with keys and versions.

    In Python: unitdb.open(RELEASE).trace("MODEL/LAYER/UNIT")
    """
    found = _open(root, release).trace(unit, roi=roi, subject=subject)
    terminal.echo(json.dumps(found.to_dict(), indent=2) if format_ == "json" else str(found))


@main.command()
@click.argument("table", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="Text to read, Markdown for docs, or JSON (Frictionless Table Schema).",
)
def schema(table: str | None, format_: str) -> None:
    """Explain the tables and views, or the columns of TABLE.

    In Python: unitdb.schema.TABLES, unitdb.schema.VIEWS
    """
    if table in VIEWS:
        terminal.echo(_section(table))
        return
    spec = get_table(table) if table is not None else None
    if format_ == "markdown":
        terminal.echo(data_dictionary() if spec is None else _section(spec.name))
    elif format_ == "json":
        shown = TABLES.values() if spec is None else [spec]
        tables = {one.name: {"row": one.row, **frictionless(one)} for one in shown}
        content = {"schema": SCHEMA_VERSION, "tables": tables}
        terminal.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif spec is None:
        rows = [[one.name, one.row, ", ".join(one.primary_key)] for one in TABLES.values()]
        rows += [[one.name, one.row, "(view)"] for one in VIEWS.values()]
        terminal.print_table(["table", "a row is", "primary key"], rows)
    else:
        rows = [
            [c.name, c.logical_type, c.unit or "", ". ".join(filter(None, [c.description, c.null]))]
            for c in spec.columns
        ]
        title = f"{spec.name}: a row is {spec.row}"
        terminal.print_table(["column", "type", "unit", "meaning"], rows, title=title)


@main.command()
@click.argument("release")
@click.option("--quick", is_flag=True, help="Leave out the bootstraps of intervals.")
@click.option("--explain", is_flag=True, help="Say of each column how it is checked; read nothing.")
@_signed
@click.pass_obj
def verify(root: Path, release: str, *, quick: bool, explain: bool, key: Path | None) -> None:
    """Read all of a release again and check it.

    In Python: unitdb.open(RELEASE).verify(), unitdb.release.check_signed(FOLDER, FILE)
    """
    opened = _open(root, release)
    if explain:
        from unitdb.verification import explain as fates

        for fate in fates(opened.schema_version):
            terminal.echo(str(fate))
        return
    signer = None if key is None else check_signed(opened.path, key)
    with progress_bars() as progress:
        report = opened.verify(
            quick=quick, progress=lambda done, total: progress("verify", done, total)
        )
    terminal.echo(str(report))
    if signer is not None:
        terminal.echo(f"  signed by {signer}")


def _open(root: Path, reference: str) -> Release:
    release = open_release(reference, releases=root)
    if release.simulated:
        terminal.echo(
            f"SIMULATED: {release.name} {release.version} rests on simulated responses, "
            "not on measurements",
            err=True,
        )
    return release


def _section(name: str) -> str:
    start = data_dictionary().partition(f"\n## {name}\n")[2]
    return f"## {name}\n" + start.partition("\n## ")[0].rstrip()
