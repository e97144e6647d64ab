"""What a recipe's ``reconstruction`` comes to: whose pictures, from what, in which steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations, LoadedFeatures, UnitSelection, extract, select_units
from unitdb.measures.decoded import Decoded
from unitdb.measures.training import gathered
from unitdb.recipes import (
    CROSS_VALIDATED,
    ChosenUnits,
    EndToEndSpec,
    InversionSpec,
    PriorSpec,
    ReconstructionSpec,
    category_codes,
    reconstructed_sets,
)
from unitdb.tables import code_sha256

if TYPE_CHECKING:
    from unitdb.recipes import PriorSource, RidgeSpec
    from unitdb.reconstruction import (
        FeatureLayer,
        GatherStep,
        NetworkSource,
        Person,
        PictureStep,
        ScoreStep,
        TargetStep,
        Wanted,
    )

__all__ = ["Key", "Making", "makings"]

Rows = NDArray[np.intp]
Source = Literal["brain", "recovery", "projection"]
Key = tuple[int, Source, int]
"""Person, source and control."""
_TILE = 4  # pictures: what a kill loses
_PIXELS = "pixels"


def makings(decoded: Decoded) -> list[Making]:
    """Each method of the recipe, of each test set."""
    found = []
    for number, spec in enumerate(decoded.job.recipe.reconstruction):
        sets = reconstructed_sets(decoded.job.dataset)
        conditions = sets if spec.folds is None else (CROSS_VALIDATED,)
        found += [
            Making(decoded=decoded, spec=spec, condition=condition, number=number)
            for condition in conditions
        ]
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Making:
    """A method's pictures of a test set.

    Parameters
    ----------
    decoded : Decoded
    spec : ReconstructionSpec
    condition : str
    number : int
        Of the method in the recipe.
    """

    decoded: Decoded
    spec: ReconstructionSpec
    condition: str
    number: int

    @cached_property
    def folder(self) -> Path:
        """Of its files."""
        return self.decoded.folder / "reconstruction" / f"{self.number:02d}" / self.condition

    @cached_property
    def people(self) -> list[Person]:
        """Whose pictures are made."""
        from unitdb.reconstruction import people_of

        job = self.decoded.job
        return people_of(self.spec, job.dataset, self.condition, seed=job.recipe.seed)

    def leads(self, place: int) -> bool:
        """Whether a person is the first that has seen these pictures, in these folds."""
        own = self.people[place]
        return not any(own.same_pictures(other) for other in self.people[:place])

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each stimulus, of features and of pictures."""
        return {name: row for row, name in enumerate(self.decoded.activations.stimulus_ids)}

    def chosen(self, person: Person, source: Source = "brain", control: int = 0) -> tuple[str, ...]:
        """Pictures of a source that are made, evenly spaced by their ids."""
        names, some = person.pictures, None
        if control:
            some = self.spec.control_images
        elif source != "brain":
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
            return {self.spec.name: (_PIXELS,)}
        order = [layer.name for layer in self.decoded.job.model.layers]
        return {
            name: tuple(layer for layer in order if layer in layers)
            for name, layers in self.spec.methods().items()
        }

    @cached_property
    def features(self) -> tuple[FeatureLayer, ...]:
        """What is decoded, by layer."""
        from unitdb.reconstruction import FeatureLayer

        if not isinstance(self.spec, InversionSpec):
            return tuple(
                FeatureLayer(
                    name=name, path=self.pixels, n_units=self.n_pixels, resolution=2.0**-16
                )
                for (name,) in self.methods.values()
            )
        store = self._store
        return tuple(
            FeatureLayer(
                name=layer.name,
                path=store.folder / layer.activations.file,
                n_units=layer.activations.shape[1],
                resolution=store.resolution(layer.name),
            )
            for layer in store.meta.layers
        )

    @property
    def pixels(self) -> Path:
        """File of all pictures, where no network is inverted."""
        return self.folder / "pixels.npy"

    @property
    def n_pixels(self) -> int:
        """Of a picture: numbers."""
        return self.side**2 * self.prior.channels

    @cached_property
    def _store(self) -> Activations:
        """Activations of all units of the layers, computed once and then found."""
        job, used = self.decoded.job, self.methods[self.spec.name]
        layers = tuple(layer for layer in job.model.layers if layer.name in used)
        return extract(
            replace(job.model, layers=layers),
            job.dataset.stimuli,
            folder=self.decoded.activations.folder.parent,
            units=UnitSelection(sample=None),
        )

    @cached_property
    def prior(self) -> PriorSpec:
        """Of the pictures."""
        if not isinstance(self.spec, InversionSpec):
            return PriorSpec(pixels=self.spec.size, channels=self.spec.channels)
        return self.spec.prior

    @cached_property
    def side(self) -> int:
        """Of the pictures."""
        if not isinstance(self.spec, InversionSpec):
            return self.spec.size
        if self._generator is not None:
            return self._generator.side
        model = self.decoded.job.model
        own = 0 if isinstance(model, LoadedFeatures) else model.spec.preprocessing.size
        return self.spec.prior.grid or own

    @property
    def _generator(self) -> PriorSource | None:
        return self.decoded.job.priors.get(self.spec.name)

    @cached_property
    def wanted(self) -> Wanted | None:
        """Units that are used; None for all."""
        from unitdb.reconstruction import Wanted

        if not isinstance(self.spec, InversionSpec):
            return None
        if not isinstance(self.spec.units, ChosenUnits):
            return None
        units, layers = self.spec.units, self.decoded.job.model.layers
        used = [layer for layer in layers if layer.name in self.methods[self.spec.name]]
        if units.random is not None:
            some = UnitSelection(sample=units.random, seed=units.seed)
            return Wanted(by="given", units=[select_units(x, some).astype(np.intp) for x in used])
        if units.by == "training":
            return Wanted(by="top" if units.top is not None else "bottom", n=units.n)
        rated = self.decoded.job.rated[self.spec.name]
        best = []
        for layer in used:
            r = rated.accuracy[layer.name]
            order = np.argsort(-r if units.top is not None else r, kind="stable")[: units.n]
            best.append(np.sort(rated.units[layer.name][order]).astype(np.intp))
        return Wanted(by="given", units=best)

    def n_units(self, method: str) -> int:
        """Units of a method."""
        sizes = {layer.name: layer.n_units for layer in self.features}
        if self.wanted is not None:
            given = dict(zip(sizes, self.wanted.units, strict=False))
            most = {name: len(given.get(name, range(self.wanted.n))) for name in sizes}
            sizes = {name: min(n, most[name]) for name, n in sizes.items()}
        return sum(sizes[name] for name in self.methods[method])

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

    @cached_property
    def target_steps(self) -> Mapping[Key, TargetStep | GatherStep]:
        """By person, source and control."""
        if isinstance(self.spec, EndToEndSpec):
            return {key: gathered(self, self.spec, key) for key in self.keys}
        return self._decoded_targets(self.spec)

    def _decoded_targets(self, spec: RidgeSpec | InversionSpec) -> dict[Key, TargetStep]:
        from unitdb.reconstruction import TargetStep

        job = self.decoded.job
        roi = spec.rois[0] if spec.rois is not None and len(spec.rois) == 1 else None
        return {
            (place, source, control): TargetStep(
                name=self.called(self.people[place]),
                person=self.person_path(place),
                pictures=self.rows_of(self.chosen(self.people[place], source, control)),
                layers=self.features,
                wanted=self.wanted,
                constant=not isinstance(spec, InversionSpec),
                source=source,
                control=control,
                scaling=spec.scaling if isinstance(spec, InversionSpec) else "none",
                settings=job.recipe.decoder.settings(roi),
                seed=(job.recipe.seed, *self.people[place].subjects),
                target=self.place_of(place, source, control) / "targets.npy",
                code=code_sha256(),
            )
            for place, source, control in self.keys
        }

    def called(self, person: Person) -> str:
        """Name of a person's steps, for messages."""
        dataset = self.decoded.job.dataset.spec.name
        return f"{dataset}/{person.name}: reconstruction {self.spec.name}"

    def place_of(self, place: int, source: str, control: int) -> Path:
        """Folder of the files of a source."""
        return self.folder / f"{place:03d}-{source}-{control:04d}"

    def person_path(self, place: int) -> Path:
        """Of a person's responses."""
        return self.folder / f"{place:03d}.npz"

    def picture_steps(self, method: str, key: Key) -> list[PictureStep]:
        """Tiles of a source."""
        from unitdb.reconstruction import PictureStep

        target, spec = self.target_steps[key], self.spec
        names = self.chosen(self.people[key[0]], *key[1:])
        used, ends, start = self.methods[method], list[tuple[int, int]](), 0
        for layer in self.features:
            if layer.name in used:
                ends.append((start, start + layer.n_units))
            start += layer.n_units
        folder = target.target.parent / method
        return [
            PictureStep(
                name=f"{self.called(self.people[key[0]])}, {method}",
                targets=target.target,
                first=first,
                last=min(first + _TILE, len(names)),
                ids=names[first : first + _TILE],
                columns=tuple(ends),
                layers=used,
                network=self._network,
                prior=self.prior,
                generator=self._generator,
                side=self.side,
                seed=spec.seed if isinstance(spec, InversionSpec) else 0,
                target=folder / f"{first:05d}.json",
                code=code_sha256(),
            )
            for first in range(0, len(names), _TILE)
        ]

    @cached_property
    def _network(self) -> NetworkSource | None:
        from unitdb.reconstruction import NetworkSource

        job = self.decoded.job
        if not isinstance(self.spec, InversionSpec) or isinstance(job.model, LoadedFeatures):
            return None
        layers = self.methods[self.spec.name]
        return NetworkSource.of(job.model, folder=job.folder, seed=job.recipe.seed, layers=layers)

    @cached_property
    def _judge(self) -> NetworkSource | None:
        from unitdb.reconstruction import NetworkSource

        job = self.decoded.job
        if self.spec.judge is None:
            return None
        judge = job.judges[self.spec.judge]
        layers = tuple(layer.name for layer in judge.layers)
        return NetworkSource.of(judge, folder=job.folder, seed=job.recipe.seed, layers=layers)

    def score_steps(self) -> Iterator[tuple[str, int, ScoreStep]]:
        """One for each method and person."""
        from unitdb.reconstruction import ScoreStep

        codes = category_codes(self.spec, self.decoded.activations.stimulus_ids)
        for method in self.methods:
            for place, person in enumerate(self.people):
                names = self.chosen(person)
                own = [key for key in self.made_from(method) if key[0] == place]
                floors = ["nearest-training"]
                if self.leads(place):
                    floors += ["mean", *(["class-mean"] if self.spec.categories else [])]
                yield (
                    method,
                    place,
                    ScoreStep(
                        seen=self.folder / "seen.npy",
                        pictures=self.rows_of(names),
                        candidates=np.sort(self.rows_of(person.pictures)),
                        trained=[self._trained(person, name) for name in names],
                        categories=np.array(codes, dtype=np.int64),
                        sources={
                            ("shuffled" if control else source, control): (
                                self.picture_steps(method, (place, source, control)),
                                _places(self.chosen(person, source, control), names),
                            )
                            for _, source, control in own
                        },
                        floors=tuple(floors),
                        scored_at=self.spec.scored_at,
                        judge=self._judge,
                        work=self.decoded.folder / "reconstruction" / "judge",
                        target=self.folder / f"{place:03d}-scores" / f"{method}.json",
                        code=code_sha256(),
                    ),
                )

    def rows_of(self, names: Sequence[str]) -> Rows:
        """Rows of stimuli."""
        return np.array([self.rows[name] for name in names], dtype=np.intp)

    def _trained(self, person: Person, name: str) -> Rows:
        """Stimuli that trained what a picture was decoded by."""
        of = [
            person.targets[train]
            for train, test in person.splits
            if (person.targets[test] == name).any()
        ]
        return np.sort(self.rows_of(np.unique(np.concatenate(of)).tolist()))


def _places(names: Sequence[str], of: Sequence[str]) -> Rows:
    return np.array([of.index(name) for name in names], dtype=np.intp)
