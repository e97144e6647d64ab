"""A build inside one ``datalad run``, so that ``datalad rerun`` makes the release anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from unitdb.errors import DatasetError, ProgramError, RecipeError, ReleaseExistsError
from unitdb.files import SUMS, replacing
from unitdb.pipeline.run import build
from unitdb.pipeline.runlog import run_log_path
from unitdb.programs import run
from unitdb.publish import init_store
from unitdb.reads import noting_reads
from unitdb.recipes import read_models, read_recipe
from unitdb.release.catalogue import CATALOGUE
from unitdb.responses import DatasetSpec
from unitdb.specs import read_spec

__all__ = ["build_in_datalad"]

_RECIPES = "recipes"


def build_in_datalad(
    recipe: Path,
    *,
    releases: Path,
    data: Path | None = None,
    cache: Path | None = None,
    datasets: Sequence[Path] = (),
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str = "2GB",
) -> Path:
    """Build a release inside one ``datalad run``.

    The folder of releases becomes a DataLad dataset, with Parquet in git-annex and text in git. The
    recipe and the files below its folder that it names are copied to ``recipes/<name>``, and the
    record in git's history holds the command with paths relative to the dataset. ``datalad rerun``
    builds again and fails unless the bytes are the same.

    Parameters
    ----------
    recipe, releases, data, cache, datasets, workers, scheduler, memory
        As of :func:`unitdb.pipeline.build`.

    Returns
    -------
    Path
        Folder of the release. Where it is saved already, nothing is done.

    Raises
    ------
    RecipeError
        The recipe names a file that is not below its folder.
    ReleaseExistsError
        This version is published, and is not what the recipe would build now, or was built without
        DataLad.
    MissingProgramError, ProgramError
        git, git-annex or DataLad is not there, or failed.
    UnitdbError
        As of :func:`unitdb.pipeline.build`.
    """
    spec = read_recipe(recipe)
    target = releases / spec.name / spec.version
    folder = releases / _RECIPES / spec.name
    # A run that was killed after publishing has left its recipe.
    if target.exists() and not ((releases / ".datalad").exists() and folder.exists()):
        raise _unrecorded(target)
    init_store(releases)
    if target.exists() and _is_saved(releases, target):
        if not _is_recorded(releases, target):
            raise _unrecorded(target)
        return build(recipe, releases=releases, data=data, cache=cache, datasets=datasets)
    _copy(_own_files(recipe, data), recipe.parent, folder)
    _save(releases, folder, f"Recipe of {spec.name} {spec.version}")
    folders = [("--data", data), ("--cache", cache), *(("--datasets", one) for one in datasets)]
    settings = [("--workers", workers), ("--scheduler", scheduler), ("--memory", memory)]
    options = [
        *((name, _relative(path, releases)) for name, path in folders if path is not None),
        *((name, str(value)) for name, value in settings if value is not None),
    ]
    command = ["unitdb", "--releases", ".", "build", f"{_RECIPES}/{spec.name}/{recipe.name}"]
    log = run_log_path(releases, spec.name, spec.version).relative_to(releases)
    outputs = [f"{spec.name}/{spec.version}", CATALOGUE, log.as_posix()]
    # Explicit: what a killed run has left is not in the way, it is found again and saved.
    run(
        *("datalad", "run", "--explicit", "-m", f"Build {spec.name} {spec.version}"),
        *(part for output in outputs for part in ("--output", output)),
        *("--", *command, "--again", *(part for option in options for part in option)),
        folder=releases,
        show=True,
    )
    return target


def _relative(path: Path, releases: Path) -> str:
    return os.path.relpath(path.resolve(), releases.resolve())


def _save(releases: Path, path: Path, message: str) -> None:
    run("datalad", "save", "-m", message, "--", path.relative_to(releases), folder=releases)


def _is_saved(releases: Path, target: Path) -> bool:
    """Whether a commit has the release as it is."""
    name = target.relative_to(releases)
    try:
        run("git", "cat-file", "-e", f"HEAD:./{(name / SUMS).as_posix()}", folder=releases)
    except ProgramError:
        return False
    return not run("git", "status", "--porcelain", "--", name, folder=releases).strip()


def _is_recorded(releases: Path, target: Path) -> bool:
    """Whether the release was saved by ``datalad run``."""
    name = (target.relative_to(releases) / SUMS).as_posix()
    message = run("git", "log", "-1", "--format=%B", "--", name, folder=releases)
    return "[DATALAD RUNCMD]" in message


def _unrecorded(target: Path) -> ReleaseExistsError:
    return ReleaseExistsError(
        f"{target} was built without --datalad, so that nothing says how to build it again; raise "
        "`version` in the recipe, or build into another folder (--releases)"
    )


def _own_files(recipe: Path, data: Path | None) -> set[Path]:
    """The recipe and the files below its folder that it names."""
    with noting_reads() as files:
        spec = read_recipe(recipe)
        read_models(spec, folder=recipe.parent, data=data)
        for name in spec.datasets:
            if name.endswith(".yaml"):
                read_spec(recipe.parent / name, DatasetSpec, DatasetError)
    home = recipe.parent.resolve()
    named = {recipe.parent / name for name in spec.datasets if name.endswith(".yaml")}
    for path in named:
        if not path.resolve().is_relative_to(home):
            raise RecipeError(
                f"{recipe}: {path} is not below the recipe's folder, so a rerun would not find it"
            )
    return {path for path in files if path.resolve().is_relative_to(home)}


def _copy(files: set[Path], home: Path, folder: Path) -> None:
    for path in sorted(files):
        target = folder / path.resolve().relative_to(home.resolve())
        if target.resolve() == path.resolve():
            continue
        if target.exists() and target.read_bytes() == path.read_bytes():
            continue
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
