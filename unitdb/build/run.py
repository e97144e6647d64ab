"""Build a release: recipe → inputs → activations → accuracies → tables → release.

Every step leaves whole files behind or none, under names that follow from all they depend on. A
build that was killed is started again with the same call: it finds what is finished, computes the
rest, and ends in the same bytes.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from threadpoolctl import threadpool_limits

from unitdb.activations import Activations, extract
from unitdb.build.blocks import Block
from unitdb.build.decode import decode, job_blocks
from unitdb.build.discovery import read_p_and_q, save_p, write_q
from unitdb.build.files import Use, describe_files
from unitdb.build.hierarchy import HierarchyTables
from unitdb.build.inputs import (
    Job,
    Progress,
    named,
    plan_sha256,
    read_jobs,
)
from unitdb.build.kept import TABLES as KEPT, check_kept, keep_units, kept_pieces
from unitdb.build.layer_rows import layer_rows
from unitdb.build.patterns import pattern_steps, summarise_patterns, write_truth
from unitdb.build.recipe import Recipe, read_recipe
from unitdb.build.results import LayerResults
from unitdb.build.runlog import RunLog, run_log_path
from unitdb.build.tables import (
    Rows,
    accuracy_rows,
    histogram_rows,
    input_rows,
    partition_keys,
    reference_tables,
    scope_of,
    table_of,
    unit_summary_rows,
)
from unitdb.build.workers import Run, memory_of_thread, open_workers
from unitdb.errors import (
    BuildBusyError,
    CorruptReleaseError,
    ReleaseExistsError,
    SchemaVersionError,
)
from unitdb.files import locked, replacing
from unitdb.publish import ReleaseInfo, finish, publish_release, write_partition, write_table
from unitdb.release import open_release
from unitdb.sources import data_folder
from unitdb.specs import content_sha256

__all__ = ["build"]

_HIERARCHY = "hierarchy of all layers"  # no name of a layer has spaces

_log = logging.getLogger(__name__)


def build(
    recipe: Path,
    *,
    releases: Path,
    data: Path | None = None,
    cache: Path | None = None,
    datasets: Sequence[Path] = (),
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
    recipe : Path
        The recipe, YAML.
    releases : Path
        Folder of releases; the new one becomes ``releases/<name>/<version>``.
    data : Path, optional
        Data folder of measured datasets.
    cache : Path, optional
        Folder of computed activations, which builds share; ``releases/.cache`` by default.
    datasets : sequence of Path
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
    spec = read_recipe(recipe)
    cache = cache or releases / ".cache"
    budget = memory_of_thread(memory, workers=workers, scheduler=scheduler)
    log = RunLog({"workers": workers, "memory": memory, "cluster": scheduler is not None})
    # One BLAS thread in all of it: numbers must not depend on how many cores share the work.
    with threadpool_limits(1):
        with log.step("read"):
            jobs = read_jobs(
                spec,
                folder=recipe.parent,
                data=data,
                cache=cache,
                datasets=datasets,
                progress=progress,
            )
            check_kept(jobs)
        with _workspace(releases, spec, jobs) as work:
            finish(releases, spec.name, spec.version)  # what a killed build left to do
            if again or not _is_finished(releases, jobs, replace=replace):
                with log.step("inputs"):
                    inputs = _inputs(jobs, recipe, data=data)
                with open_workers(workers=workers, scheduler=scheduler) as run:
                    for job in jobs:
                        with log.step("activations"):
                            activations = _extract(job, cache, progress)
                        with log.step("decode"):
                            blocks = job_blocks(
                                job, activations, work / "blocks" / job.build, memory=budget
                            )
                            decode(job, activations, blocks, run=run, progress=progress)
                        with log.step("patterns"):
                            _compare_patterns(activations, blocks, run=run, progress=progress)
                        with log.step("keep"):
                            keep_units(
                                job,
                                activations,
                                blocks,
                                _kept_folder(work, job),
                                run=run,
                                progress=progress,
                            )
                        with log.step("tables"):
                            _tabulate(job, activations, blocks, work, progress)
                with log.step("publish"):
                    _write_tables(jobs, inputs, work)
                    publish_release(
                        work / "staged",
                        releases,
                        info=_info(spec, recipe, jobs),
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
    ReleaseExistsError
        It is published, is something else, and is not to be replaced.
    """
    recipe = jobs[0].recipe
    published = releases / recipe.name / recipe.version
    if not published.exists():
        return False
    if _is_same(published, jobs):
        return True
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


def _tabulate(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    work: Path,
    progress: Progress | None,
) -> None:
    """Write the large tables of a job, and the rows it has in the small ones, layer by layer.

    Twice over the layers: the false discovery rate of a unit takes the p of all of them.
    """
    scope, layers = scope_of(job), job.model.layers
    patterns, steps = pattern_steps(blocks), 2 * len(layers)
    for number, layer in enumerate(layers, 1):
        rows = _rows_path(work, job, layer.name)
        if not rows.exists():
            results, units = LayerResults(blocks, layer.name), activations.units(layer.name)
            keys = partition_keys(scope, layer.name)
            pieces = accuracy_rows(scope, layer.name, units, results)
            write_partition(work / "staged", "accuracy", keys, pieces)
            small, p = layer_rows(job, layer, activations, results, patterns)
            small |= histogram_rows(scope, layer.name, results)
            save_p(work / "p" / job.build, layer.name, p)
            # Written last: where it is, all else of the layer is complete.
            with replacing(rows) as temporary:
                temporary.write_text(json.dumps(small))
        if progress:
            progress("tables", number, steps)
    done = _rows_path(work, job, _HIERARCHY)
    if not done.exists():
        found = _tabulate_network(job, activations, blocks, work, progress)
        with replacing(done) as temporary:  # last again
            temporary.write_text(json.dumps(found))
    if progress:
        progress("tables", steps, steps)


def _tabulate_network(
    job: Job,
    activations: Activations,
    blocks: Sequence[Block],
    work: Path,
    progress: Progress | None,
) -> dict[str, Rows]:
    """Write what takes the p of all layers, and return the rows of BH scores."""
    scope, layers = scope_of(job), job.model.layers
    folder = work / "p" / job.build
    write_q(folder, [layer.name for layer in layers], n_rois=len(scope.rois))
    hierarchy = HierarchyTables(
        scope,
        job.dataset.hierarchy,
        n_stimuli=job.dataset.subjects[0].n_test,
        n_controls=job.recipe.n_controls,
        seed=job.recipe.seed,
    )
    for number, layer in enumerate(layers, 1 + len(layers)):
        keys = partition_keys(scope, layer.name)
        results, units = LayerResults(blocks, layer.name), activations.units(layer.name)
        p_and_q = read_p_and_q(folder, layer.name, n_rois=len(scope.rois))
        pieces = unit_summary_rows(scope, layer.name, units, results, p_and_q)
        write_partition(work / "staged", "unit_summary", keys, pieces)
        hierarchy.add(layer.name, layer.shape, units, results.accuracies)
        if progress:
            progress("tables", number, 2 * len(layers))
    return hierarchy.rows()


def _compare_patterns(
    activations: Activations, blocks: Sequence[Block], *, run: Run, progress: Progress | None
) -> None:
    """Summarise the patterns of each layer, ROI and subject that are not summarised yet."""
    steps = pattern_steps(blocks)
    to_do = [step for step in steps if not step.target.exists()]
    for step in {step.layer: step for step in to_do}.values():
        write_truth(step, activations)
    for number, _ in enumerate(run(summarise_patterns, to_do), 1 + len(steps) - len(to_do)):
        if progress:
            progress("patterns", number, len(steps))


def _inputs(jobs: Sequence[Job], recipe: Path, *, data: Path | None) -> Rows:
    """Rows of the table ``inputs``: what the builds have read, as it is now."""
    own = Use(path=recipe, role="recipe")
    uses = [use for job in jobs for use in job.uses]
    # As god/dataset.yaml, wherever the folder of datasets is.
    beside = {use.path.parent.parent for use in uses if use.role == "dataset"}
    described = describe_files(
        {recipe, *(use.path for use in uses)},
        bases=[recipe.parent, data_folder(data), *sorted(beside)],
    )
    return [row for job in jobs for row in input_rows(job.build, [own, *job.uses], described)]


def _write_tables(jobs: Sequence[Job], inputs: Rows, work: Path) -> None:
    staged = work / "staged"
    for name, table in reference_tables(jobs, inputs).items():
        write_table(staged, name, table)
    small = [
        json.loads(_rows_path(work, job, layer.name).read_text())
        for job in jobs
        for layer in job.model.layers
    ]
    small += [json.loads(_rows_path(work, job, _HIERARCHY).read_text()) for job in jobs]
    for name in (
        "layer_summary",
        "intersubject",
        "accuracy_histogram",
        "unit_histogram",
        "minimum_histogram",
        "hierarchy",
        "best_roi",
    ):
        rows = [row for part in small for row in part.get(name, [])]
        write_table(staged, name, table_of(name, rows))
    folders = {job.build: _kept_folder(work, job) for job in jobs}
    for name in KEPT:
        write_table(staged, name, kept_pieces(name, jobs, folders))


def _kept_folder(work: Path, job: Job) -> Path:
    return work / "kept" / job.build


def _rows_path(work: Path, job: Job, layer: str) -> Path:
    return work / "rows" / job.build / f"{layer}.json"


@contextmanager
def _workspace(releases: Path, recipe: Recipe, jobs: Sequence[Job]) -> Iterator[Path]:
    """Folder of one build's unfinished work; found again by its key, removed on success.

    Removed with it is what other recipes or other code have left of the same version.
    """
    parent = releases / ".work" / f"{recipe.name}-{recipe.version}"
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(parent.with_name(f"{parent.name}.lock"), wait=False))
        except BlockingIOError:
            raise BuildBusyError(
                f"another process is building {recipe.name} {recipe.version} in {releases}"
            ) from None
        yield parent / content_sha256([plan_sha256(jobs), [job.build for job in jobs]])[:12]
        shutil.rmtree(parent, ignore_errors=True)


def _info(recipe: Recipe, path: Path, jobs: Sequence[Job]) -> ReleaseInfo:
    title, description = recipe.title, recipe.description
    if recipe.control:
        title += f" (control: {recipe.control})"
        description += (
            " This release is a control: the images were shuffled independently in each subject, "
            "so its accuracies are what chance gives."
        )
    return ReleaseInfo(
        name=recipe.name,
        version=recipe.version,
        title=title,
        description=description,
        simulated=any(job.dataset.spec.simulated for job in jobs),
        licence=recipe.licence,
        citation=recipe.citation,
        recipe_text=path.read_text(encoding="utf-8"),
        recipe_sha256=plan_sha256(jobs),
        changelog=list(recipe.changes.items()) or [(recipe.version, "First version.")],
    )
