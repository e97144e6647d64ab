"""What there is to build: one network decoded from one dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unitdb.activations import LoadedFeatures
from unitdb.recipes.dataset import DatasetInput
from unitdb.recipes.identity import build_id, sets_sha256, shown_sha256
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
