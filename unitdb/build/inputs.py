"""Everything a recipe names, read and checked before anything is computed or written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import (
    MODELS,
    FeatureModel,
    LoadedFeatures,
    LoadedModel,
    Stimuli,
    get_model,
    load_features,
    load_model,
)
from unitdb.build.identity import build_id, sets_sha256, shown_sha256
from unitdb.build.recipe import ModelChoice, Recipe
from unitdb.build.shown import set_rows, stimulus_rows
from unitdb.errors import (
    RecipeError,
    ResponsesError,
    TransformationError,
    UnknownDatasetError,
    UnknownModelError,
    UnknownRoiError,
)
from unitdb.reads import noting_reads
from unitdb.responses import (
    CROSS_VALIDATION,
    TRAIN,
    Dataset,
    DatasetSpec,
    Design,
    HeldOut,
    decoding_design,
    open_dataset,
    shuffle_images,
)
from unitdb.sources import data_folder
from unitdb.specs import Spec, check_alike, content_sha256
from unitdb.tables import Use, code_sha256, merge_uses, package_versions

__all__ = [
    "DatasetInput",
    "Job",
    "Progress",
    "SubjectInput",
    "named",
    "plan_sha256",
    "read_datasets",
    "read_jobs",
    "read_models",
]

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, what is done and what is to do."""


def named(progress: Progress | None, step: str) -> Callable[[int, int], None] | None:
    """Progress callback of one step, without the step's name."""
    return None if progress is None else lambda done, total: progress(step, done, total)


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectInput:
    """Responses of one subject, arranged for decoding.

    Parameters
    ----------
    subject : str
        Identifier.
    design : Design
        Samples and splits.
    rois : dict of str to array of shape (n_voxels,), bool
        The ROIs to decode, by name in code-point order.
    categories : dict of str to tuple of str
        Stimuli of each category that a test set decodes.
    sha256 : str
        Hash of the responses.
    """

    subject: str
    design: Design
    rois: dict[str, NDArray[np.bool_]]
    categories: dict[str, tuple[str, ...]]
    sha256: str

    @property
    def n_test(self) -> int:
        """Held-out samples of all test sets."""
        return sum(len(test) for _, test in self.design.splits)

    def shown(self, condition: str) -> NDArray[np.str_]:
        """Stimuli of the held-out rows of a test set, in the order of predictions."""
        ids: NDArray[np.str_] = self.design.stimulus_ids[self.design.held_out(condition).rows]
        return ids

    def targets(self, condition: str) -> NDArray[np.str_]:
        """What is decoded from these."""
        ids: NDArray[np.str_] = self.design.target_ids[self.design.held_out(condition).rows]
        return ids

    @property
    def n_presentations(self) -> int:
        """Single presentations of test images that are decoded besides their averages."""
        repeats = (each.repeats for each in self.design.sets)
        return sum(each[..., 0].size for each in repeats if each is not None)


@dataclass(frozen=True, kw_only=True, eq=False)
class DatasetInput:
    """A dataset, read.

    Parameters
    ----------
    spec : DatasetSpec
        Its description.
    stimuli : Stimuli
        Its pictures.
    split_of : dict of str to str
        Use of each stimulus that was shown.
    subjects : tuple of SubjectInput
        In code-point order of their ids.
    rois : tuple of str
        The ROIs to decode, in code-point order.
    categories : dict of str to tuple of str
        Stimuli of each category that a test set decodes.
    hierarchy : tuple of str
        Those that BH scores are over, from early to late.
    uses : tuple of Use
        The files that were read, and what for.
    """

    spec: DatasetSpec
    stimuli: Stimuli
    split_of: dict[str, str]
    subjects: tuple[SubjectInput, ...]
    rois: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    hierarchy: tuple[str, ...]
    uses: tuple[Use, ...]

    @property
    def sets(self) -> tuple[HeldOut, ...]:
        """The test sets, as those of the first subject are."""
        return self.subjects[0].design.sets

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the test sets."""
        return tuple(each.name for each in self.sets)

    def n_samples(self, condition: str) -> int:
        """Held-out samples of a test set, of each subject."""
        return len(self.subjects[0].shown(condition))

    def are_alike(self, condition: str) -> bool:
        """Whether samples of a test set share targets: they are then not independent images."""
        targets = [subject.targets(condition).tolist() for subject in self.subjects]
        return any(len(set(of_subject)) < len(of_subject) for of_subject in targets)


@dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One network decoded from one dataset: a row of the table ``builds``.

    Parameters
    ----------
    recipe : Recipe
        What to do.
    dataset : DatasetInput
        Responses.
    model : LoadedModel or LoadedFeatures
        Network and layers, or files of its activations.
    uses : tuple of Use
        The files that dataset and model are from, and what each is to them.
    """

    recipe: Recipe
    dataset: DatasetInput
    model: LoadedModel | LoadedFeatures
    uses: tuple[Use, ...]

    @property
    def inputs(self) -> dict[str, object]:
        """Content hashes of all that the job reads."""
        return {
            "model": self.model.model_sha256,
            "responses": {s.subject: s.sha256 for s in self.dataset.subjects},
            "stimuli": self.dataset.stimuli.key,
            "shown": shown_sha256(stimulus_rows(self.dataset)),
            "tests": sets_sha256(set_rows(self.dataset)),
            "specs": {
                "dataset": content_sha256(self.dataset.spec.identity()),
                "model": content_sha256(self.model.spec.identity()),
            },
        }

    @property
    def build(self) -> str:
        """Identifier: changes with anything that numbers depend on.

        That is all of the recipe and of both specs but what they name in ``no_number``.
        """
        return build_id(
            self.recipe,
            inputs=self.inputs,
            dataset=self.dataset.spec.name,
            model=self.model.spec.name,
            layers=[layer.name for layer in self.model.layers],
            rois=self.dataset.rois,
            hierarchy=self.dataset.hierarchy,
            code=code_sha256(),
            packages=package_versions(),
        )


def plan_sha256(jobs: Sequence[Job]) -> str:
    """Hash of a recipe and of the specs of all datasets and networks that it names: every word."""
    datasets = {job.dataset.spec.name: job.dataset.spec for job in jobs}
    models = {job.model.spec.name: job.model.spec for job in jobs}
    specs: list[Spec] = [jobs[0].recipe, *datasets.values(), *models.values()]
    return content_sha256([spec.identity(words=True) for spec in specs])


def read_jobs(
    recipe: Recipe,
    *,
    folder: Path,
    data: Path | None,
    cache: Path,
    datasets: Sequence[Path],
    progress: Progress | None,
) -> list[Job]:
    """Read and check everything that a recipe names, before anything is written."""
    models = read_models(recipe, folder=folder, data=data)
    read = read_datasets(
        recipe, folder=folder, data=data, cache=cache, datasets=datasets, progress=progress
    )
    jobs = [
        Job(recipe=recipe, dataset=d, model=m, uses=merge_uses([*d.uses, *uses]))
        for d in read
        for m, uses in models
    ]
    for job in jobs:
        if isinstance(job.model, LoadedFeatures):
            job.model.check_stimuli(job.dataset.stimuli.ids)
    return jobs


def read_models(
    recipe: Recipe, *, folder: Path, data: Path | None = None
) -> tuple[tuple[LoadedModel | LoadedFeatures, tuple[Use, ...]], ...]:
    """Make and check the networks of a recipe, or find the files of activations; with what is read.

    Raises
    ------
    UnknownModelError, UnknownLayerError, ModelError
        A network or layer that is not there, or does not work.
    ActivationsError
        Files of activations that are not there or not as described.
    RecipeError
        A network of the recipe has the name of one that comes with unitdb.
    """
    networks = {m.name: m for m in recipe.own_models if not isinstance(m, FeatureModel)}
    features = {m.name: m for m in recipe.own_models if isinstance(m, FeatureModel)}
    for taken in MODELS.keys() & features.keys():
        raise RecipeError(
            f"{taken!r} is the name of a network that comes with unitdb; choose another"
        )

    def load(choice: ModelChoice) -> LoadedModel | LoadedFeatures:
        layers = None if choice.layers == "all" else choice.layers
        if choice.name in features:
            return load_features(features[choice.name], folder=data_folder(data), layers=layers)
        if choice.name not in {**MODELS, **networks}:
            raise UnknownModelError(choice.name, {**MODELS, **networks, **features})
        spec = get_model(choice.name, networks)
        return load_model(spec, folder=folder, seed=recipe.seed, layers=layers)

    found = []
    for choice in recipe.models:
        with noting_reads() as files:
            model = load(choice)
        found.append((model, tuple(Use(path=path, role="model") for path in sorted(files))))
    return tuple(found)


def read_datasets(
    recipe: Recipe,
    *,
    folder: Path,
    data: Path | None,
    cache: Path,
    datasets: Sequence[Path] = (),
    progress: Progress | None = None,
) -> tuple[DatasetInput, ...]:
    """Read and check the datasets of a recipe.

    Parameters
    ----------
    recipe : Recipe
        What to build.
    folder : Path
        The recipe's folder, which paths of dataset.yaml files are relative to.
    data : Path, optional
        Data folder.
    cache : Path
        Folder for activations that simulated responses are made from.
    datasets : sequence of Path
        Folders to search for datasets first.
    progress : callable, optional
        Called as the subjects are read.

    Raises
    ------
    UnknownDatasetError, UnknownRoiError, DatasetError, ResponsesError, StimulusMismatchError
        What is not there or not as it should be.
    TransformationError
        The decoder asks for something that does not apply to a dataset.
    """
    opened: list[tuple[Dataset, list[Use]]] = []
    for name in recipe.datasets:
        with noting_reads() as files:
            dataset = open_dataset(
                str(folder / name) if name.endswith(".yaml") else name,
                data=data,
                cache=cache,
                datasets=datasets,
                progress=named(progress, "activations"),
            )
        opened.append((dataset, [Use(path=path, role="dataset") for path in sorted(files)]))
    known = [dataset.spec.name for dataset, _ in opened]
    for key in ("rois", "hierarchy", "tests"):
        given = getattr(recipe, key)
        for name in given if isinstance(given, dict) else ():
            if name not in known:
                raise UnknownDatasetError(name, known, where=f"`{key}` of the recipe")
    decoded = sorted({roi for dataset, _ in opened for roi in _rois(dataset.spec, recipe)})
    for roi in recipe.decoder.voxels if isinstance(recipe.decoder.voxels, dict) else ():
        if roi not in ("default", *decoded):
            raise UnknownRoiError(roi, decoded, where="decoder.voxels of the recipe")
    for dataset, _ in opened:
        _check_transformations(dataset.spec, recipe)
        _hierarchy(dataset.spec, recipe)
    names = [dataset.spec.name for dataset, _ in opened]
    if len(set(names)) < len(names):
        raise RecipeError(f"two datasets have the same name: {', '.join(names)}")
    try:
        check_alike(names, "datasets")
    except ValueError as cause:
        raise RecipeError(f"{cause}") from None
    return tuple(_read(dataset, uses, recipe, progress) for dataset, uses in opened)


def _read(
    dataset: Dataset, uses: list[Use], recipe: Recipe, progress: Progress | None
) -> DatasetInput:
    spec = dataset.spec
    rois = _rois(spec, recipe)
    subjects: list[SubjectInput] = []
    trained, tested = set[str](), set[str]()
    with noting_reads() as files:
        dataset.stimuli.sha256s()  # of all of them, so that what follows reads responses alone
    uses = [*uses, *(Use(path=path, role="stimuli") for path in sorted(files))]
    for number, subject in enumerate(sorted(spec.subjects)):
        with noting_reads() as files:
            responses = dataset.responses(subject, tests=recipe.tests_of(spec.name))
        uses += [Use(path=path, role="responses", subject=subject) for path in sorted(files)]
        trains = responses.split == TRAIN
        trained |= set(responses.stimulus_ids[trains].tolist())
        tested |= {*responses.stimulus_ids[~trains].tolist(), *responses.target_ids.tolist()}
        design = decoding_design(
            responses,
            n_folds=recipe.decoder.folds,
            seed=recipe.seed,
            repeats=recipe.reliability is not None,
        )
        if recipe.control == "shuffled-images":
            # Counted from 1: numpy takes [seed, 0] for the seed itself, which folds come from.
            design = shuffle_images(design, seed=[recipe.seed, number + 1])
        subjects.append(
            SubjectInput(
                subject=subject,
                design=design,
                rois={roi: responses.rois[roi] for roi in rois},
                categories=dataset.categories,
                sha256=responses.sha256,
            )
        )
        if progress:
            progress(f"read {spec.name}", number + 1, len(spec.subjects))
    _check_alike(spec.name, subjects)
    held_out = "test" if trained else CROSS_VALIDATION
    split_of = {name: TRAIN if name in trained else held_out for name in trained | tested}
    return DatasetInput(
        spec=spec,
        stimuli=dataset.stimuli,
        split_of=split_of,
        subjects=tuple(subjects),
        rois=rois,
        categories={name: of for name, of in dataset.categories.items() if name in tested},
        hierarchy=_hierarchy(spec, recipe),
        uses=merge_uses(uses),
    )


def _check_alike(dataset: str, subjects: Sequence[SubjectInput]) -> None:
    """Refuse subjects whose test sets or numbers of samples differ."""
    sizes = {
        s.subject: {"in all": len(s.design.values)}
        | {each.name: len(each.rows) for each in s.design.sets}
        for s in subjects
    }
    if any(found != sizes[subjects[0].subject] for found in sizes.values()):
        raise ResponsesError(f"{dataset}: subjects have different numbers of rows: {sizes}")


def _rois(spec: DatasetSpec, recipe: Recipe) -> tuple[str, ...]:
    asked = recipe.rois_of(spec.name)
    for roi in asked or ():
        if roi not in spec.rois:
            raise UnknownRoiError(
                roi,
                spec.rois,
                where=f"dataset {spec.name!r}",
                hint=f"unitdb datasets show {spec.name}",
            )
    return tuple(sorted(spec.rois if asked is None else asked))


def _hierarchy(spec: DatasetSpec, recipe: Recipe) -> tuple[str, ...]:
    """The ROIs of BH scores: those that the recipe lists, or all in the dataset's order."""
    rois = _rois(spec, recipe)
    asked = recipe.hierarchy_of(spec.name)
    if asked is None:
        return tuple(roi for roi in spec.rois if roi in rois)
    for roi in asked:
        if roi not in rois:
            raise UnknownRoiError(
                roi,
                rois,
                where=f"the ROIs decoded of {spec.name!r}",
                hint="hierarchy: in the recipe",
            )
    return tuple(asked)


def _check_transformations(spec: DatasetSpec, recipe: Recipe) -> None:
    allowed, decoder = spec.transformations, recipe.decoder
    if recipe.encoding is not None and not allowed.voxel_selection:
        raise TransformationError(
            f"dataset {spec.name!r} does not allow voxels to be looked at one by one (encoding in "
            f"the recipe; leave it out): {allowed.reason}"
        )
    if decoder.all_voxels != {"all"} and not allowed.voxel_selection:
        raise TransformationError(
            f"dataset {spec.name!r} does not allow voxel selection (decoder.voxels: "
            f"{decoder.voxels}; use `voxels: all`): {allowed.reason}"
        )
    if decoder.zscore and not allowed.zscore:
        raise TransformationError(
            f"dataset {spec.name!r} does not allow z-scoring of voxels (decoder.zscore: true; "
            f"use `zscore: false`): {allowed.reason}"
        )
