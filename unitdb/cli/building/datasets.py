"""Commands ``unitdb datasets …``: what datasets there are, and their files."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from unitdb import sources
from unitdb.cli import terminal
from unitdb.cli.building.build import DATASETS
from unitdb.cli.options import taking
from unitdb.cli.progress import progress_bars
from unitdb.cli.terminal import print_table
from unitdb.errors import DatasetError, SourceError, UnknownSubjectError
from unitdb.responses import (
    DatasetSpec,
    TestSpec,
    dataset_specs,
    find_dataset,
    open_dataset,
)
from unitdb.specs import read_spec

__all__ = ["DATA", "datasets"]

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="UNITDB_DATA",
    show_envvar=True,
    help="Data folder.  [default: the user's data folder]",
)
_which = taking(
    click.option("--subject", "subjects", multiple=True, help="Subject; repeat for several."),
    click.option("--roi", "rois", multiple=True, help="ROI; repeat for several."),
    click.option(
        "--file", "patterns", multiple=True, help="Path, or a pattern as of a shell; repeatable."
    ),
)


@click.group()
def datasets() -> None:
    """List fMRI datasets, and download, check and drop their files."""


@datasets.command("list")
@DATASETS
def list_datasets(datasets: tuple[Path, ...]) -> None:
    """List the known datasets.

    In Python: unitdb.responses.dataset_specs()
    """
    rows = []
    for name, path in sorted(dataset_specs(datasets).items()):
        spec = read_spec(path, DatasetSpec, DatasetError)
        rows.append([name, _kind(spec), str(len(spec.subjects)), ", ".join(spec.rois), spec.title])
    print_table(["dataset", "responses", "subjects", "ROIs", "title"], rows)


@datasets.command("show")
@click.argument("name")
@click.option(
    "--voxels", is_flag=True, help="Count the voxels of each ROI and subject in the responses."
)
@DATASETS
@DATA
def show_dataset(name: str, voxels: bool, datasets: tuple[Path, ...], data: Path | None) -> None:
    """Show what a dataset is, and which of its files are here.

    In Python: unitdb.specs.read_spec(unitdb.responses.find_dataset(NAME), …)
    """
    spec = _spec(name, datasets)
    allowed = spec.transformations
    terminal.echo(f"{spec.title}\n\n{spec.description}\n")
    terminal.echo(f"responses:       {_kind(spec)}")
    terminal.echo(f"subjects:        {', '.join(spec.subjects)}")
    terminal.echo(f"voxel selection: {'yes' if allowed.voxel_selection else 'no'}")
    terminal.echo(f"z-scoring:       {'yes' if allowed.zscore else 'no'}")
    if allowed.reason:
        terminal.echo(f"because:         {allowed.reason}")
    terminal.echo(f"licence:         {spec.licence}")
    terminal.echo(f"source:          {spec.source}")
    terminal.echo(f"cite as:         {spec.citation}\n")
    print_table(["ROI", "meaning"], [[roi, meaning] for roi, meaning in spec.rois.items()])
    _print_sets(spec)
    if voxels:
        terminal.echo()
        _print_voxels(name, datasets, data)
    if spec.files is not None:
        terminal.echo(f"\nfiles:           {sources.data_folder(data) / spec.name}")
        _print_files(spec, spec.files, data)


def _print_sets(spec: DatasetSpec) -> None:
    """Print the test sets, and what each is of and at."""
    tests: dict[str, TestSpec] = getattr(spec.responses, "tests", {})
    rows = [[name, _targets(test), *_at(test)] for name, test in tests.items()]
    if rows:
        terminal.echo()
        print_table(["test set", "decoded", "samples", "windows", "level", "prior"], rows)
    elif spec.responses is not None:
        terminal.echo("\ntest sets:       none; images are held out in folds")


def _targets(test: TestSpec) -> str:
    return test.targets if isinstance(test.targets, str) else "other stimuli"


def _at(test: TestSpec) -> list[str]:
    windows = test.windows
    step = "" if windows is None else f"{windows.step}" + " s" * (windows.step != "TR")
    return [
        "averages" if test.average else "single presentations",
        "" if windows is None else f"{windows.start:g} to {windows.to:g} s, every {step}",
        "" if test.level is None else f"{test.level:g}",
        test.prior or "",
    ]


def _print_voxels(name: str, datasets: tuple[Path, ...], data: Path | None) -> None:
    with TemporaryDirectory() as scratch:
        dataset = open_dataset(name, data=data, cache=Path(scratch), datasets=datasets)
        counts = {subject: dataset.voxel_counts(subject) for subject in dataset.spec.subjects}
    rows = [[subject, *(f"{n:,}" for n in of_rois.values())] for subject, of_rois in counts.items()]
    print_table(["voxels", *dataset.spec.rois], rows)


@datasets.command("install")
@click.argument("name")
@DATASETS
@DATA
def install(name: str, datasets: tuple[Path, ...], data: Path | None) -> None:
    """Make the folder of a dataset: all files known by address and checksum, none downloaded.

    In Python: unitdb.sources.install(NAME, SPEC.files)
    """
    spec, files = _files(name, datasets)
    terminal.echo(str(sources.install(spec.name, files, data=data)))


@datasets.command("get")
@click.argument("name")
@DATASETS
@DATA
@_which
def get(name: str, datasets: tuple[Path, ...], data: Path | None, **which: Any) -> None:
    """Download files of a dataset; goes on where it was interrupted, and verifies what arrives.

    In Python: unitdb.sources.get(NAME, SPEC.files, subjects=[…])
    """
    spec, files = _files(name, datasets)
    _check_subjects(spec, which)
    with progress_bars(of_bytes=True) as progress:
        found = sources.get(spec.name, files, data=data, progress=progress, **_given(which))
    terminal.echo(f"{len(found)} files are here: {sources.data_folder(data) / spec.name}")


@datasets.command("check")
@click.argument("name")
@DATASETS
@DATA
@click.pass_context
def check(context: click.Context, name: str, datasets: tuple[Path, ...], data: Path | None) -> None:
    """Read all files that are here, and compare them with their checksums.

    Exit code 1 where one is damaged. In Python: unitdb.sources.check(NAME, SPEC.files)
    """
    spec, files = _files(name, datasets)
    found = sources.check(spec.name, files, data=data)
    counts = {kind: sum(state.state == kind for state in found) for kind in ("here", "not here")}
    damaged = [state for state in found if state.state == "damaged"]
    for state in found:
        if state.detail:
            terminal.echo(f"{state.path}: {state.state}: {state.detail}")
    terminal.echo(
        f"{counts['here']} files are whole, {len(damaged)} damaged, {counts['not here']} not "
        "downloaded"
    )
    if damaged:
        terminal.echo(f"download the damaged ones again: unitdb datasets get {name}")
        context.exit(1)


@datasets.command("drop")
@click.argument("name")
@DATASETS
@DATA
@_which
@click.option("--force", is_flag=True, help="Also what cannot be downloaded again.")
def drop(
    name: str, datasets: tuple[Path, ...], data: Path | None, force: bool, **which: Any
) -> None:
    """Free the space of files; they stay known and can be had again.

    In Python: unitdb.sources.drop(NAME, SPEC.files)
    """
    spec, files = _files(name, datasets)
    _check_subjects(spec, which)
    found = sources.drop(spec.name, files, data=data, force=force, **_given(which))
    terminal.echo(f"{len(found)} files of {spec.name} are not here")


def _spec(name: str, datasets: tuple[Path, ...]) -> DatasetSpec:
    return read_spec(find_dataset(name, datasets), DatasetSpec, DatasetError)


def _files(name: str, datasets: tuple[Path, ...]) -> tuple[DatasetSpec, sources.DatasetFiles]:
    spec = _spec(name, datasets)
    if spec.files is None:
        raise SourceError(
            f"dataset {spec.name!r} has no files to download: "
            f"{'its responses are simulated' if spec.simulated else spec.source}"
        )
    return spec, spec.files


def _check_subjects(spec: DatasetSpec, which: dict[str, tuple[str, ...]]) -> None:
    for subject in which["subjects"]:
        if subject not in spec.subjects:
            raise UnknownSubjectError(subject, spec.subjects, where=f"dataset {spec.name!r}")


def _given(which: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    return {key: list(values) or None for key, values in which.items()}


def _kind(spec: DatasetSpec) -> str:
    if spec.responses is None:
        return "none (published results)"
    return "SIMULATED" if spec.simulated else "measured"


def _print_files(spec: DatasetSpec, files: sources.DatasetFiles, data: Path | None) -> None:
    try:
        known = {state.path: state for state in sources.states(spec.name, files, data=data)}
    except SourceError:
        known = {}
    if files.datalad is not None:
        terminal.echo(f"DataLad dataset: {files.datalad} {files.version or ''}")
        return
    rows = [
        [
            file.path,
            known[file.path].state if file.path in known else "not installed",
            "published" if file.md5 else "of the first download",
            file.address,
        ]
        for file in files.download
    ]
    print_table(["file", "state", "checksum", "address"], rows)
