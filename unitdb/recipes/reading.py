"""Datasets of a recipe, read and checked: what is decoded of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from unitdb.errors import (
    RecipeError,
    ResponsesError,
    TransformationError,
    UnknownConditionError,
    UnknownDatasetError,
    UnknownRoiError,
)
from unitdb.reads import noting_reads
from unitdb.recipes.dataset import DatasetInput, SubjectInput
from unitdb.recipes.jobs import Progress, named
from unitdb.recipes.recipe import Recipe
from unitdb.responses import (
    CROSS_VALIDATION,
    TRAIN,
    Dataset,
    DatasetSpec,
    Design,
    decoding_design,
    open_dataset,
    shuffle_images,
)
from unitdb.specs import check_alike
from unitdb.tables import Use, merge_uses
from unitdb.texts import fits

__all__ = ["read_datasets"]


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
    if len(set(known)) < len(known):
        raise RecipeError(f"two datasets have the same name: {', '.join(known)}")
    try:
        check_alike(known, "datasets")
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
    tests = _tests(spec, recipe)
    with noting_reads() as files:
        dataset.stimuli.sha256s()  # of all of them, so that what follows reads responses alone
    uses = [*uses, *(Use(path=path, role="stimuli") for path in sorted(files))]
    for number, subject in enumerate(sorted(spec.subjects)):
        with noting_reads() as files:
            responses = dataset.responses(subject, tests=tests)
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
        design = _without_repeats(design, _unpublished(design, spec, recipe))
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
    _check_same_samples(spec.name, subjects)
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
        times=_times(subjects[0].design, recipe),
        unpublished=_unpublished(subjects[0].design, spec, recipe),
    )


def _tests(spec: DatasetSpec, recipe: Recipe) -> list[str] | None:
    """Test sets that are read: those that the recipe names, and the times of windows."""
    asked = recipe.tests_of(spec.name)
    if recipe.timecourse is None:
        return asked
    parts = spec.conditions
    for name in recipe.timecourse.tests:
        if name not in parts:
            raise UnknownConditionError(name, parts, where=f"dataset {spec.name!r} (timecourse)")
        if getattr(parts[name], "windows", None) is None:
            raise RecipeError(
                f"timecourse: the test set {name!r} of dataset {spec.name!r} has no `windows`, "
                "which say at what times from onset it is decoded"
            )
    return [*(parts if asked is None else asked), *(f"{n}@*" for n in recipe.timecourse.tests)]


def _unpublished(design: Design, spec: DatasetSpec, recipe: Recipe) -> frozenset[str]:
    """Test sets that are decoded for their time course alone."""
    asked = recipe.tests_of(spec.name)
    names = [each.name for each in design.sets]
    if asked is None:
        return frozenset(name for name in names if "@" in name)
    return frozenset(n for n in names if not any(fits(n, pattern) for pattern in asked))


def _without_repeats(design: Design, names: Collection[str]) -> Design:
    """The design without single presentations of some test sets, whose reliability is not asked."""
    sets = (
        replace(each, repeats=None, averaged=1.0) if each.name in names else each
        for each in design.sets
    )
    return replace(design, sets=tuple(sets))


def _times(design: Design, recipe: Recipe) -> dict[str, dict[str, float]]:
    """Of each test set whose time course is asked for, its times by the names of their sets."""
    asked = () if recipe.timecourse is None else recipe.timecourse.tests
    return {
        name: dict(
            sorted(
                (
                    (each.name, each.test.time)
                    for each in design.sets
                    if each.test.time is not None and each.name.startswith(f"{name}@")
                ),
                key=lambda pair: pair[1],
            )
        )
        for name in asked
    }


def _check_same_samples(dataset: str, subjects: Sequence[SubjectInput]) -> None:
    """Refuse subjects whose test sets, numbers of samples or sets with presentations differ."""
    sizes = {
        s.subject: {"in all": len(s.design.values)}
        | {each.name: len(each.rows) for each in s.design.sets}
        for s in subjects
    }
    if any(found != sizes[subjects[0].subject] for found in sizes.values()):
        raise ResponsesError(
            f"{dataset}: subjects have different numbers of rows: {sizes}; leave the same samples "
            "out of all (`rows`), or make a dataset of each group of subjects that have the same"
        )
    for each in subjects[0].design.sets:
        of_set = [s.design.held_out(each.name).repeats is None for s in subjects]
        if len(set(of_set)) > 1:
            once, twice = (subjects[of_set.index(none)].subject for none in (True, False))
            raise ResponsesError(
                f"{dataset}: all images of {each.name} were shown twice to {twice}, not so to "
                f"{once}: leave out `reliability` in the recipe"
            )


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
