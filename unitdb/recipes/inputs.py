"""Everything a recipe names, read and checked before anything is computed or written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.activations import LoadedFeatures, ModelChoice, UnitSelection, load_choice
from unitdb.candidates import CandidateSet, Places, make_candidates
from unitdb.errors import RecipeError
from unitdb.reads import noting_reads
from unitdb.recipes.dataset import DatasetInput
from unitdb.recipes.jobs import Job, Progress, named
from unitdb.recipes.modulation import check_modulation
from unitdb.recipes.picturing import ChosenUnits, InversionSpec
from unitdb.recipes.priors import read_priors
from unitdb.recipes.rated import RatedUnits, rated_units
from unitdb.recipes.reading import read_datasets
from unitdb.recipes.recipe import Recipe
from unitdb.recipes.reconstruction import check_reconstruction, reconstructed_sets
from unitdb.sources import data_folder
from unitdb.tables import Use, merge_uses

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel

__all__ = ["read_jobs", "read_models"]


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
    judges, of_judges = _judges(recipe, folder=folder, data=data)
    check_reconstruction(recipe.reconstruction, read, [model for model, _ in models], judges)
    with noting_reads() as files:
        priors = read_priors(recipe.reconstruction, folder=folder, seed=recipe.seed)
    of_priors = [Use(path=path, role="model") for path in sorted(files)]
    places = Places(folder=folder, cache=cache, data=data, datasets=datasets)
    jobs = []
    for model, uses in models:
        sets, of_sets = _candidates(recipe, model, places, progress)
        jobs += [
            Job(
                recipe=recipe,
                dataset=d,
                model=model,
                uses=merge_uses([*d.uses, *uses, *of_sets, *of_judges, *of_priors]),
                candidates=sets,
                judges=judges,
                rated=_rated(recipe, d, model, folder=folder),
                priors=priors,
                folder=folder,
            )
            for d in read
        ]
    order = {d.spec.name: place for place, d in enumerate(read)}
    jobs.sort(key=lambda job: order[job.dataset.spec.name])
    if recipe.modulation is not None:
        check_modulation(recipe.modulation, read)
    for job in jobs:
        if isinstance(job.model, LoadedFeatures):
            job.model.check_stimuli(job.dataset.stimuli.ids)
    return jobs


def _judges(
    recipe: Recipe, *, folder: Path, data: Path | None
) -> tuple[dict[str, LoadedModel], list[Use]]:
    """Networks that tell pictures apart, with an early, a middle, a late and the last layer."""
    found: dict[str, LoadedModel] = {}
    uses: list[Use] = []
    for spec in recipe.reconstruction:
        name = getattr(spec, "judge", None)
        if name is None or name in found:
            continue
        with noting_reads() as files:
            judge = load_choice(
                ModelChoice(name=name),
                recipe.own_models,
                folder=folder,
                data=data_folder(data),
                seed=recipe.seed,
            )
        if isinstance(judge, LoadedFeatures):
            raise RecipeError(f"judge {name!r} is files of activations; it takes a network")
        last = len(judge.layers) - 1
        places = sorted({min(last, max(1, last // 10)), last // 2, 3 * last // 4, last})
        found[name] = replace(judge, layers=tuple(judge.layers[place] for place in places))
        uses += [Use(path=path, role="model") for path in sorted(files)]
    return found, uses


def _rated(
    recipe: Recipe, dataset: DatasetInput, model: LoadedModel | LoadedFeatures, *, folder: Path
) -> dict[str, RatedUnits]:
    """Units as other releases rate them, of the reconstructions that choose by one."""
    found = {}
    for spec in recipe.reconstruction:
        units = spec.units if isinstance(spec, InversionSpec) else "all"
        if not isinstance(spec, InversionSpec) or not isinstance(units, ChosenUnits):
            continue
        if units.by in (None, "training") or isinstance(model, LoadedFeatures):
            continue
        hashes = dict(zip(dataset.stimuli.ids, dataset.stimuli.sha256s(), strict=True))
        pictures = {
            name
            for each in reconstructed_sets(dataset)
            for subject in dataset.subjects
            for name in subject.targets(each).tolist()
        }
        if spec.folds is not None:
            pictures = set(dataset.split_of)
        found[spec.name] = rated_units(
            str(units.by),
            folder=folder,
            model=model,
            layers=spec.layers,
            pictures={hashes[name] for name in pictures if name in hashes},
            where=f"reconstruction {spec.name!r}",
        )
    return found


def _candidates(
    recipe: Recipe,
    model: LoadedModel | LoadedFeatures,
    places: Places,
    progress: Progress | None,
) -> tuple[dict[str, CandidateSet], list[Use]]:
    """Candidate sets of a recipe, made or found where they are stored, and the files read."""
    asked = recipe.identification
    found, uses = dict[str, CandidateSet](), list[Use]()
    if asked is None:
        return found, uses
    for name, spec in asked.sets.items():
        if spec.kind == "own":
            continue
        # Of pictures no more is computed than patterns are of; the same units as are decoded.
        n = min(asked.units, recipe.selection.sample or asked.units)
        few = UnitSelection(sample=n, seed=recipe.selection.seed)
        with noting_reads() as files:
            found[name] = make_candidates(
                name,
                spec,
                places=places,
                model=model,
                units=few if spec.kind in ("pictures", "dataset") else None,
                progress=named(progress, f"candidates {name}"),
            )
        uses += [Use(path=path, role="candidates") for path in sorted(files)]
    return found, uses


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
    found = []
    for choice in recipe.models:
        with noting_reads() as files:
            model = load_choice(
                choice,
                recipe.own_models,
                folder=folder,
                data=data_folder(data),
                seed=recipe.seed,
            )
        found.append((model, tuple(Use(path=path, role="model") for path in sorted(files))))
    return tuple(found)
