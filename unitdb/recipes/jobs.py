"""What there is to build: one network decoded from one dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.activations import LoadedFeatures
from unitdb.candidates import CandidateSet
from unitdb.recipes.dataset import DatasetInput
from unitdb.recipes.identity import build_id, sets_sha256, shown_sha256
from unitdb.recipes.priors import PriorSource
from unitdb.recipes.rated import RatedUnits
from unitdb.recipes.recipe import Recipe
from unitdb.recipes.shown import set_rows, stimulus_rows
from unitdb.specs import Spec, content_sha256
from unitdb.tables import Use, code_sha256, package_versions

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel

__all__ = ["Job", "Progress", "named", "plan_sha256"]

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, what is done and what is to do."""


def named(progress: Progress | None, step: str) -> Callable[[int, int], None] | None:
    """Progress callback of one step, without the step's name."""
    return None if progress is None else lambda done, total: progress(step, done, total)


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
    candidates : mapping of str to CandidateSet
        Sets that its predictions are identified among, but for those of its own targets.
    judges : mapping of str to LoadedModel
        Networks that tell its pictures apart, and the layers that do.
    rated : mapping of str to RatedUnits
        By the name of a reconstruction, units as another release rates them.
    priors : mapping of str to PriorSource
        By the name of a reconstruction, the generator that its pictures are sought among.
    folder : Path
        Of the recipe, which files of networks are relative to.
    """

    recipe: Recipe
    dataset: DatasetInput
    model: LoadedModel | LoadedFeatures
    uses: tuple[Use, ...]
    candidates: Mapping[str, CandidateSet] = field(default_factory=dict)
    judges: Mapping[str, LoadedModel] = field(default_factory=dict)
    rated: Mapping[str, RatedUnits] = field(default_factory=dict)
    priors: Mapping[str, PriorSource] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def inputs(self) -> dict[str, object]:
        """Content hashes of all that the job reads."""
        sets = {name: each.sha256 for name, each in self.candidates.items()}
        others = {
            "candidates": sets,
            "judges": {name: judge.model_sha256 for name, judge in self.judges.items()},
            "priors": {name: each.sha256 for name, each in self.priors.items()},
            "rated": {name: each.sha256 for name, each in self.rated.items()},
        }
        return {key: found for key, found in others.items() if found} | {
            "model": self.model.model_sha256,
            "responses": {s.subject: s.sha256 for s in self.dataset.subjects},
            "stimuli": self.dataset.stimuli.key,
            "shown": shown_sha256(stimulus_rows(self.dataset)),
            "tests": sets_sha256(set_rows(self.dataset), self.recipe),
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
