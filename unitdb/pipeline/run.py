"""Build a release: recipe → inputs → activations → accuracies → tables → release.

Every step leaves whole files behind or none, under names that follow from all they depend on. A
build that was killed is started again with the same call: it finds what is finished, computes the
rest, and ends in the same bytes.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from unitdb.activations import Activations, extract
from unitdb.errors import (
    BuildBusyError,
    BusyError,
    CorruptReleaseError,
    NotDownloadedError,
    ReleaseExistsError,
    SchemaVersionError,
)
from unitdb.files import locked
from unitdb.measures import MEASURES, Decoded, check_kept, tabulate, take, write_tables
from unitdb.pipeline.runlog import RunLog, run_log_path
from unitdb.predictions import decode_job, job_blocks, memory_of_thread, open_workers
from unitdb.publish import finish, publish_release
from unitdb.recipes import (
    Job,
    Progress,
    Recipe,
    named,
    plan_sha256,
    read_jobs,
    read_recipe,
    reference_rows,
    release_info,
)
from unitdb.release import open_release
from unitdb.sources import data_folder
from unitdb.specs import content_sha256
from unitdb.tables import Rows, Use, describe_files, input_rows

__all__ = ["build"]

_log = logging.getLogger(__name__)


def build(
    recipe: str | Path,
    *,
    releases: str | Path,
    folder: str | Path | None = None,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    datasets: Sequence[str | Path] = (),
    replace: bool = False,
    again: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory: str = "2GB",
    progress: Progress | None = None,
) -> Path:
    """Build the release that a recipe describes.

    Parameters
    ----------
    recipe : str or Path
        The recipe, YAML.
    releases : str or Path
        Folder of releases; the new one becomes ``releases/<name>/<version>``.
    folder : Path, optional
        Folder that files in the recipe are relative to; the recipe's own by default.
    data : str or Path, optional
        Data folder of measured datasets.
    cache : str or Path, optional
        Folder of computed activations, which builds share; ``releases/.cache`` by default.
    datasets : sequence of str or Path
        Folders to search for datasets before ``./datasets`` and those shipped with unitdb.
    replace : bool
        Replace a release of the same version with other content; for releases that nobody has
        used yet.
    again : bool
        Build also what is published already, and see that the bytes are the same.
    workers : int, optional
        Processes to decode in, each with one thread. By default threads of this process do it, as
        many as there are cores. The release is the same, whatever the number.
    scheduler : str, optional
        Address of a Dask scheduler whose workers decode; they must see the same folders.
    memory : str
        What a decoding process may use, as in 2GB.
    progress : callable, optional
        Called with the name of a step, what is done and what is to do.

    Returns
    -------
    Path
        Folder of the release. Where it is published already, nothing is done. How long it took,
        and on what, stands in ``releases/.runs/<name>/<version>.json``.

    Raises
    ------
    ReleaseExistsError
        This version is published, and is not what the recipe would build now.
    UnitdbError
        Whatever the recipe names that is not there or not right; nothing is published then.
    """
    recipe, releases = Path(recipe), Path(releases)
    spec, folder = read_recipe(recipe), Path(folder or recipe.parent)
    data, cache = None if data is None else Path(data), Path(cache or releases / ".cache")
    places = [Path(each) for each in datasets]
    budget = memory_of_thread(memory, workers=workers, scheduler=scheduler)
    log = RunLog({"workers": workers, "memory": memory, "cluster": scheduler is not None})
    # One BLAS thread in all of it: numbers must not depend on how many cores share the work.
    with threadpool_limits(1):
        with log.step("read"):
            jobs = read_jobs(
                spec,
                folder=folder,
                data=data,
                cache=cache,
                datasets=places,
                progress=progress,
            )
            check_kept(jobs)
        with _workspace(releases, spec, jobs) as work:
            finish(releases, spec.name, spec.version)  # what a killed build left to do
            if again or not _is_finished(releases, jobs, replace=replace):
                with log.step("inputs"):
                    inputs = _inputs(jobs, recipe, folder=folder, data=data)
                done = []
                with open_workers(workers=workers, scheduler=scheduler) as run:
                    for job in jobs:
                        with log.step("activations"):
                            activations = _extract(job, cache, progress)
                        with log.step("decode"):
                            folder = work / "blocks" / job.build
                            blocks = job_blocks(job, activations, folder, memory=budget)
                            decode_job(job, activations, blocks, run=run, progress=progress)
                        decoded = Decoded(
                            job=job, activations=activations, blocks=blocks, work=work
                        )
                        for measure in MEASURES:
                            if measure.name:
                                with log.step(measure.name):
                                    take(measure, decoded, run=run, progress=progress)
                        with log.step("tables"):
                            tabulate(decoded, progress=progress)
                        done.append(decoded)
                with log.step("publish"):
                    write_tables(done, reference_rows(jobs, inputs))
                    publish_release(
                        work / "staged",
                        releases,
                        info=release_info(
                            spec,
                            recipe.read_text(encoding="utf-8"),
                            simulated=any(job.dataset.spec.simulated for job in jobs),
                            recipe_sha256=plan_sha256(jobs),
                        ),
                        replace=replace,
                        progress=named(progress, "verify"),
                    )
                written = run_log_path(releases, spec.name, spec.version)
                if not (again and written.exists()):  # it is of the run that published
                    log.write(written)
    release = releases / spec.name / spec.version
    _log.info("release %s", release)
    return release


def _is_finished(releases: Path, jobs: Sequence[Job], *, replace: bool) -> bool:
    """Whether the release is published already, and is what these jobs would build.

    Raises
    ------
    NotDownloadedError
        It is published, and a clone has the names of its files alone.
    ReleaseExistsError
        It is published, is something else, and is not to be replaced.
    """
    recipe = jobs[0].recipe
    published = releases / recipe.name / recipe.version
    if not published.exists():
        return False
    try:
        if _is_same(published, jobs):
            return True
    except NotDownloadedError:
        if not replace:
            raise
    if replace:
        return False
    raise ReleaseExistsError(
        f"{published} was built from another recipe, other inputs or other code, and releases "
        "are immutable: raise `version` in the recipe (or pass --replace while nobody uses it)"
    )


def _is_same(published: Path, jobs: Sequence[Job]) -> bool:
    """Whether a published release is what these jobs would build."""
    try:
        found = open_release(published).table("builds", ["build", "recipe_sha256"]).astype(str)
    except NotDownloadedError:
        raise
    except (CorruptReleaseError, SchemaVersionError):
        return False
    wanted = {(job.build, plan_sha256(jobs)) for job in jobs}
    return set(found.itertuples(index=False, name=None)) == wanted


def _extract(job: Job, cache: Path, progress: Progress | None) -> Activations:
    activations = extract(
        job.model,
        job.dataset.stimuli,
        folder=cache,
        units=job.recipe.selection,
        progress=named(progress, "activations"),
    )
    activations.verify()  # other builds, and whatever happened since, share the store
    return activations


def _inputs(jobs: Sequence[Job], recipe: Path, *, folder: Path, data: Path | None) -> Rows:
    """Rows of the table ``inputs``: what the builds have read, as it is now."""
    own = Use(path=recipe, role="recipe")
    uses = [use for job in jobs for use in job.uses]
    # As god/dataset.yaml, wherever the folder of datasets is.
    beside = {use.path.parent.parent for use in uses if use.role == "dataset"}
    described = describe_files(
        {recipe, *(use.path for use in uses)},
        bases=[folder, recipe.parent, data_folder(data), *sorted(beside)],
    )
    return [row for job in jobs for row in input_rows(job.build, [own, *job.uses], described)]


@contextmanager
def _workspace(releases: Path, recipe: Recipe, jobs: Sequence[Job]) -> Iterator[Path]:
    """Folder of one build's unfinished work; found again by its key, removed on success.

    Removed with it is what other recipes or other code have left of the same version.
    """
    parent = releases / ".work" / f"{recipe.name}-{recipe.version}"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(parent.with_name(f"{parent.name}.lock"), seconds=0))
        except BusyError:
            raise BuildBusyError(
                f"another process is building {recipe.name} {recipe.version} in {releases}"
            ) from None
        yield parent / content_sha256([plan_sha256(jobs), [job.build for job in jobs]])[:12]
        shutil.rmtree(parent, ignore_errors=True)
