"""What a build would take, without building: sizes counted, time from a short calibration."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from unitdb.activations import LoadedFeatures, select_units
from unitdb.decoding import units_at_once
from unitdb.measures import Asked, count_kept, pictures_asked
from unitdb.predictions import block_sizes, memory_of_thread, n_threads
from unitdb.recipes import BestUnits, Job, SubjectInput, read_jobs, read_recipe

__all__ = ["JobPlan", "plan"]

_SECONDS = 10.0
"""How long the calibration decodes, shared between the ROIs of all jobs."""


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What decoding a network from a dataset takes.

    Parameters
    ----------
    dataset, model : str
        Names.
    n_layers, n_units, n_subjects, n_rois : int
        What is decoded; each unit from each ROI of each subject.
    n_blocks : int
        Steps that are shared out and resumed.
    activations_bytes : int
        Size of the stored activations.
    predictions_bytes : int
        Size of the predictions that are published, before compression.
    n_kept, n_shown : int
        Units of which a release keeps predictions, and activations, at the most.
    kept_bytes : int
        Size of both, before compression, at the most.
    units_per_second : float
        Units × subjects × ROIs that one thread decodes in a second, by the calibration.
    n_threads : int
        Threads or processes that work.
    n_controls : int
        How often everything is decoded again with shuffled images.
    n_pictures : int
        Pictures that are sought, of brains, controls and ceilings.
    picture_seconds : float or None
        Processor time that they take, by a few steps of one for each method; None where one is
        not estimated.
    n_trained : int
        Networks that are trained from responses to pictures; their time is not estimated.
    conditions : tuple of str
        Test sets; weights are solved once for all of them.
    """

    dataset: str
    model: str
    n_layers: int
    n_units: int
    n_subjects: int
    n_rois: int
    n_blocks: int
    activations_bytes: int
    predictions_bytes: int
    n_kept: int
    n_shown: int
    kept_bytes: int
    units_per_second: float
    n_threads: int
    n_controls: int
    n_pictures: int
    picture_seconds: float | None
    n_trained: int
    conditions: tuple[str, ...]

    @property
    def n_accuracies(self) -> int:
        """Count the rows of the table ``accuracy``."""
        return self._n_decoded * len(self.conditions)

    @property
    def _n_decoded(self) -> int:
        return self.n_units * self.n_subjects * self.n_rois

    @property
    def seconds(self) -> float:
        """Estimated time of decoding, controls included; not that of encoding and of tables."""
        return self._n_decoded * (1 + self.n_controls) / self.units_per_second / self.n_threads


def plan(
    recipe: Path,
    *,
    releases: Path,
    data: Path | None = None,
    cache: Path | None = None,
    datasets: Sequence[Path] = (),
    workers: int | None = None,
    memory: str = "2GB",
) -> list[JobPlan]:
    """Say what a recipe would take: units, blocks, bytes and time.

    Nothing is built; simulated responses are made, since they are read like others.

    Parameters
    ----------
    recipe, releases, data, cache, datasets, workers, memory
        As for :func:`unitdb.pipeline.build`.

    Returns
    -------
    list of JobPlan
        One for each dataset and network.

    Raises
    ------
    UnitdbError
        Whatever the recipe names that is not there or not right.
    """
    spec = read_recipe(recipe)
    budget = memory_of_thread(memory, workers=workers, scheduler=None)
    with threadpool_limits(1):
        jobs = read_jobs(
            spec,
            folder=recipe.parent,
            data=data,
            cache=cache or releases / ".cache",
            datasets=datasets,
            progress=None,
        )
        seconds = _SECONDS / sum(len(job.dataset.rois) for job in jobs)
        threads = workers or n_threads()
        return [_plan(job, budget, seconds=seconds, threads=threads) for job in jobs]


def _plan(job: Job, memory: int, *, seconds: float, threads: int) -> JobPlan:
    dataset = job.dataset
    units = [len(select_units(layer, job.recipe.selection)) for layer in job.model.layers]
    n_blocks = sum(-(-n // size) for *_, size in block_sizes(job, memory=memory) for n in units)
    n_kept, n_shown = np.sum(
        [count_kept(job, layer) for layer in job.model.layers], axis=0
    ).tolist()
    first = dataset.subjects[0]
    times = [
        _seconds_per_unit(job, first, roi, n_units=sum(units), seconds=seconds)
        for roi in dataset.rois
    ]
    methods = pictures_asked(job)
    sought = [(each, method) for each in methods for method in each.sought]
    return JobPlan(
        dataset=dataset.spec.name,
        model=job.model.spec.name,
        n_layers=len(units),
        n_units=sum(units),
        n_subjects=len(dataset.subjects),
        n_rois=len(dataset.rois),
        n_blocks=n_blocks,
        activations_bytes=4 * len(dataset.stimuli) * sum(units),
        predictions_bytes=_predictions_bytes(job, units),
        n_kept=n_kept,
        n_shown=n_shown,
        kept_bytes=4 * n_shown * len(dataset.split_of) + _bytes_of_predictions(job, n_kept),
        units_per_second=1 / float(np.mean(times)),
        n_threads=threads,
        n_controls=job.recipe.n_controls,
        n_pictures=sum(each.n_pictures(method) for each, method in sought),
        picture_seconds=_picture_seconds(sought),
        n_trained=sum(each.n_trained for each in methods),
        conditions=dataset.conditions,
    )


def _picture_seconds(sought: Sequence[tuple[Asked, str]]) -> float | None:
    from unitdb.reconstruction import seconds_per_picture

    total, known = 0.0, dict[tuple[object, ...], float | None]()
    for each, method in sought:
        job = each.job
        if isinstance(job.model, LoadedFeatures):
            return None  # files, which nothing is inverted from
        prior = job.priors.get(each.spec.name)
        alike = (each.methods[method], each.prior.model_dump_json())
        if alike not in known:
            known[alike] = seconds_per_picture(job.model, each.methods[method], each.prior, prior)
        if (takes := known[alike]) is None:
            return None
        total += each.n_pictures(method) * takes
    return total


def _predictions_bytes(job: Job, units: Sequence[int]) -> int:
    asked = job.recipe.published
    if asked is None:
        return 0
    most = asked.best if isinstance(asked, BestUnits) else asked
    n_units = sum(units) if most == "all" else sum(min(n, int(most)) for n in units)
    return _bytes_of_predictions(job, n_units)


def _bytes_of_predictions(job: Job, n_units: int) -> int:
    n_samples = sum(
        len(subject.targets(condition))
        for subject in job.dataset.subjects
        for condition in job.dataset.conditions
    )
    return 4 * n_units * n_samples * len(job.dataset.rois)


def _seconds_per_unit(
    job: Job, subject: SubjectInput, roi: str, *, n_units: int, seconds: float
) -> float:
    """Time a unit takes from an ROI, its share of what units share included."""
    from unitdb.decoding import RoiDecoder  # numba, which takes a second, is for who decodes

    design = subject.design
    # As wide as what a decoder takes at a time.
    shape = (len(design.values), min(n_units, units_at_once(len(design.values))))
    y = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    start = time.perf_counter()
    decoder = RoiDecoder(
        design.values[:, subject.rois[roi]],
        design.splits,
        job.recipe.decoder.settings(roi),
        sets=[each.rows for each in design.sets],
    )
    shared = time.perf_counter() - start
    decoder.accuracy(y[:, :1])  # compiles
    start, n_timed = time.perf_counter(), 0
    while not n_timed or time.perf_counter() - start < seconds:
        decoder.accuracy(y)
        n_timed += y.shape[1]
    return shared / n_units + (time.perf_counter() - start) / n_timed
