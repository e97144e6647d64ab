"""What a recipe's ``reconstruction`` comes to: whose pictures, from what, in which steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Activations, LoadedFeatures, UnitSelection, extract, select_units
from unitdb.measures.asked import Asked, Key, pictures_asked
from unitdb.measures.decoded import Decoded
from unitdb.measures.training import gathered
from unitdb.recipes import (
    ChosenUnits,
    EndToEndSpec,
    InversionSpec,
    category_codes,
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

__all__ = ["Making", "makings"]

Rows = NDArray[np.intp]


def makings(decoded: Decoded) -> list[Making]:
    """Each method of the recipe, of each test set."""
    return [
        Making(
            decoded=decoded,
            job=each.job,
            spec=each.spec,
            condition=each.condition,
            number=each.number,
        )
        for each in pictures_asked(decoded.job)
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Making(Asked):
    """How its pictures are made, and where.

    Parameters
    ----------
    decoded : Decoded
    job, spec, condition, number
        As of :class:`Asked`.
    """

    decoded: Decoded

    @cached_property
    def folder(self) -> Path:
        """Of its files."""
        return self.decoded.folder / "reconstruction" / f"{self.number:02d}" / self.condition

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each stimulus, of features and of pictures."""
        return {name: row for row, name in enumerate(self.decoded.activations.stimulus_ids)}

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
    def side(self) -> int:
        """Of the pictures."""
        if not isinstance(self.spec, InversionSpec):
            return self.spec.size
        if self._generator is not None:
            return self._generator.side
        model = self.job.model
        own = 0 if isinstance(model, LoadedFeatures) else model.spec.preprocessing.size
        return self.spec.prior.grid or own

    @property
    def _generator(self) -> PriorSource | None:
        return self.job.priors.get(self.spec.name)

    @cached_property
    def wanted(self) -> Wanted | None:
        """Units that are used; None for all."""
        from unitdb.reconstruction import Wanted

        if not isinstance(self.spec, InversionSpec):
            return None
        if not isinstance(self.spec.units, ChosenUnits):
            return None
        units, layers = self.spec.units, self.job.model.layers
        used = [layer for layer in layers if layer.name in self.methods[self.spec.name]]
        if units.random is not None:
            some = UnitSelection(sample=units.random, seed=units.seed)
            return Wanted(by="given", units=[select_units(x, some).astype(np.intp) for x in used])
        if units.by == "training":
            return Wanted(by="top" if units.top is not None else "bottom", n=units.n)
        rated = self.job.rated[self.spec.name]
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
    def target_steps(self) -> Mapping[Key, TargetStep | GatherStep]:
        """By person, source and control."""
        if isinstance(self.spec, EndToEndSpec):
            return {key: gathered(self, self.spec, key) for key in self.keys}
        return self._decoded_targets(self.spec)

    def _decoded_targets(self, spec: RidgeSpec | InversionSpec) -> dict[Key, TargetStep]:
        from unitdb.reconstruction import TargetStep

        job = self.job
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
        dataset = self.job.dataset.spec.name
        return f"{dataset}/{person.name}: reconstruction {self.spec.name}"

    def place_of(self, place: int, source: str, control: int) -> Path:
        """Folder of the files of a source."""
        return self.folder / f"{place:03d}-{source}-{control:04d}"

    def person_path(self, place: int) -> Path:
        """Of a person's responses."""
        return self.folder / f"{place:03d}.npz"

    def picture_steps(self, method: str, key: Key) -> list[PictureStep]:
        """Tiles of a source."""
        from unitdb.reconstruction import TILE, PictureStep

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
                last=min(first + TILE, len(names)),
                ids=names[first : first + TILE],
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
            for first in range(0, len(names), TILE)
        ]

    @cached_property
    def _network(self) -> NetworkSource | None:
        from unitdb.reconstruction import NetworkSource

        job = self.job
        if not isinstance(self.spec, InversionSpec) or isinstance(job.model, LoadedFeatures):
            return None
        layers = self.methods[self.spec.name]
        return NetworkSource.of(job.model, folder=job.folder, seed=job.recipe.seed, layers=layers)

    @cached_property
    def _judge(self) -> NetworkSource | None:
        from unitdb.reconstruction import NetworkSource

        job = self.job
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
