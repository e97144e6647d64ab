"""What a recipe's ``reconstruction`` asks for: whose pictures, from what, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from unitdb.recipes import (
    CROSS_VALIDATED,
    EndToEndSpec,
    InversionSpec,
    Job,
    PriorSpec,
    ReconstructionSpec,
    reconstructed_sets,
)

if TYPE_CHECKING:
    from unitdb.reconstruction import Person

__all__ = ["PIXELS", "Asked", "Key", "Source", "pictures_asked"]

Source = Literal["brain", "recovery", "projection"]
Key = tuple[int, Source, int]
"""Person, source and control."""
PIXELS = "pixels"


def pictures_asked(job: Job) -> list[Asked]:
    """Each method of the recipe, of each test set."""
    found = []
    for number, spec in enumerate(job.recipe.reconstruction):
        sets = reconstructed_sets(job.dataset)
        conditions = sets if spec.folds is None else (CROSS_VALIDATED,)
        found += [
            Asked(job=job, spec=spec, condition=condition, number=number)
            for condition in conditions
        ]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A method's pictures of a test set.

    Parameters
    ----------
    job : Job
    spec : ReconstructionSpec
    condition : str
    number : int
        Of the method in the recipe.
    """

    job: Job
    spec: ReconstructionSpec
    condition: str
    number: int

    @cached_property
    def people(self) -> list[Person]:
        """Whose pictures are made."""
        from unitdb.reconstruction import people_of

        job = self.job
        return people_of(self.spec, job.dataset, self.condition, seed=job.recipe.seed)

    def leads(self, place: int) -> bool:
        """Whether a person is the first that has seen these pictures, in these folds."""
        own = self.people[place]
        return not any(own.same_pictures(other) for other in self.people[:place])

    def chosen(self, person: Person, source: Source = "brain", control: int = 0) -> tuple[str, ...]:
        """Pictures of a source that are made, evenly spaced by their ids."""
        names, some = person.pictures, None
        if control:
            some = self.spec.control_images
        elif source != "brain" and not isinstance(self.spec, EndToEndSpec):
            some = self.spec.ceiling_images
        for n in (self.spec.images, some):
            if n is not None and n < len(names):
                places = np.unique(np.round(np.linspace(0, len(names) - 1, n)).astype(int))
                names = tuple(names[place] for place in places)
        return names

    @cached_property
    def methods(self) -> dict[str, tuple[str, ...]]:
        """Layers of each method, by its name and in the order of depth: of pixels its columns."""
        if isinstance(self.spec, EndToEndSpec):
            return {name: (name,) for name in self.spec.methods()}
        if not isinstance(self.spec, InversionSpec):
            return {self.spec.name: (PIXELS,)}
        order = [layer.name for layer in self.job.model.layers]
        return {
            name: tuple(layer for layer in order if layer in layers)
            for name, layers in self.spec.methods().items()
        }

    @property
    def sought(self) -> tuple[str, ...]:
        """Methods whose pictures are sought, step by step."""
        return tuple(self.methods) if isinstance(self.spec, InversionSpec) else ()

    @cached_property
    def prior(self) -> PriorSpec:
        """Of the pictures."""
        if not isinstance(self.spec, InversionSpec):
            return PriorSpec(pixels=self.spec.size, channels=self.spec.channels)
        return self.spec.prior

    @cached_property
    def keys(self) -> list[Key]:
        """Person, source and control of all pictures: what is true takes no brain."""
        found: list[Key] = []
        for place in range(len(self.people)):
            found += [(place, "brain", control) for control in range(1 + self.spec.controls)]
            if isinstance(self.spec, InversionSpec) and self.leads(place):
                found.append((place, "recovery", 0))  # of pixels it is the picture itself
            if not isinstance(self.spec, EndToEndSpec) and self.leads(place):
                found.append((place, "projection", 0))
        return found

    def made_from(self, method: str) -> list[Key]:
        """Those that a method has: networks of fewer pictures are not trained for controls."""
        if isinstance(self.spec, EndToEndSpec) and method != self.spec.name:
            return [key for key in self.keys if not key[2]]
        return self.keys

    def n_pictures(self, method: str) -> int:
        """Count the pictures of all sources that a method makes."""
        return sum(
            len(self.chosen(self.people[place], source, control))
            for place, source, control in self.made_from(method)
        )

    @property
    def n_trained(self) -> int:
        """Count the networks that are trained: one for each fold."""
        if not isinstance(self.spec, EndToEndSpec):
            return 0
        keys = [key for method in self.methods for key in self.made_from(method)]
        return sum(len(self.people[place].splits) for place, _, _ in keys)
