"""Reconstruction: pictures from responses, beside those of shuffled brains, ceilings and floors.

Four measures, one after the other: networks that are trained, what pictures are to give, the
pictures, and their scores.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pyarrow as pa

from unitdb.activations import LoadedFeatures
from unitdb.measures.decoded import Decoded
from unitdb.measures.picturing import Making, makings
from unitdb.measures.protocol import Measure, Release
from unitdb.measures.reconstructed import method_rows, problems, score_rows
from unitdb.measures.training import training_steps
from unitdb.recipes import InversionSpec
from unitdb.sealed import read_npy, read_text, write_npy
from unitdb.tables import Rows, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from unitdb.reconstruction import GatherStep, PictureStep, ScoreStep, TargetStep, TrainStep

__all__ = [
    "ReconstructionNetworks",
    "ReconstructionPictures",
    "ReconstructionScores",
    "ReconstructionTargets",
]

_KEPT_CONTROLS = 2
_OF_ALL = ("mean", "class-mean", "nearest-training")
_OF_ONE = ("recovery", "projection", "seen")


class ReconstructionNetworks(Measure):
    """Networks from voxels to pictures, one a fold."""

    name = "train for pictures"

    def steps(self, decoded: Decoded) -> Sequence[TrainStep]:
        """One for each fold of each method end to end, test set, person and control."""
        return [step for each in makings(decoded) for step in training_steps(each)]

    def prepare(self, decoded: Decoded, steps: Sequence[TrainStep]) -> None:
        """Write responses and pixels, and make the networks of the feature loss."""
        _write_inputs(decoded, {step.person for step in steps})
        for network in {step.features for step in steps if step.features is not None}:
            network.load()


class ReconstructionTargets(Measure):
    """Features decoded for pictures, of all units of the layers; true ones beside."""

    name = "decode for pictures"

    def steps(self, decoded: Decoded) -> Sequence[TargetStep | GatherStep]:
        """One for each method, test set, person, source and control."""
        return [step for each in makings(decoded) for step in each.target_steps.values()]

    def prepare(self, decoded: Decoded, steps: Sequence[TargetStep | GatherStep]) -> None:
        """Write responses, and pixels where these are decoded."""
        _write_inputs(decoded, {step.person for step in steps})


class ReconstructionPictures(Measure):
    """The pictures, a tile at a time."""

    name = "reconstruct"

    def steps(self, decoded: Decoded) -> Sequence[PictureStep]:
        """Tiles of all sources of all methods."""
        return [
            step
            for each in makings(decoded)
            for method in each.methods
            for key in each.made_from(method)
            for step in each.picture_steps(method, key)
        ]

    def prepare(self, decoded: Decoded, steps: Sequence[PictureStep]) -> None:  # noqa: ARG002
        """Make the networks, which threads take copies of."""
        for network in {step.network for step in steps if step.network is not None}:
            network.load()


class ReconstructionScores(Measure):
    """Scores of the pictures, and all tables."""

    name = "score pictures"
    tables = (
        "reconstruction_method",
        "reconstruction",
        "reconstruction_value",
        "reconstruction_score",
    )

    def steps(self, decoded: Decoded) -> Sequence[ScoreStep]:
        """One for each method, test set and person."""
        return [step for each in makings(decoded) for _, _, step in each.score_steps()]

    def prepare(self, decoded: Decoded, steps: Sequence[ScoreStep]) -> None:
        """Write the pictures that were seen, of the size of reconstructions."""
        for network in {step.judge for step in steps if step.judge is not None}:
            network.load()
        paths = {step.seen for step in steps}
        for each in makings(decoded):
            path = each.folder / "seen.npy"
            if path in paths:
                write_npy(path, _seen(each))

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> pa.Table | None:
        """All rows at once."""
        if not decoded[0].job.recipe.reconstruction:
            return None
        every = [each for of_job in decoded for each in makings(of_job)]
        if table == "reconstruction":
            return table_of(table, [row for each in every for row in _pictures(each)])
        values = [row for each in every for row in _values(each)]
        if table == "reconstruction_value":
            return table_of(table, values)
        methods = [row for each in every for row in method_rows(each)]
        scores = score_rows(methods, values)
        if table == "reconstruction_score":
            return table_of(table, scores)
        recovered = {
            tuple(row[key] for key in _KEY): row["value"]
            for row in scores
            if row["source"] == "recovery" and row["metric"] == "identification"
        }
        for row in methods:
            found = recovered.get(tuple(row[key] for key in _KEY))
            row |= {"recovery_identification": found}
            row |= {"invertible": None if found is None else found >= 0.95}
        return table_of(table, methods)

    def check(self, release: Release) -> Iterable[str]:
        """Compute scores again: of the bytes that are shown, and over images."""
        return problems(release)


_KEY = ("dataset", "condition", "model", "method")


def _write_inputs(decoded: Decoded, people: Set[Path]) -> None:
    """Write responses of these, and pixels of the methods that have no other targets."""
    from unitdb.reconstruction import write_person

    job = decoded.job
    for each in makings(decoded):
        asked = False
        for place, person in enumerate(each.people):
            if (path := each.person_path(place)) in people:
                asked = True
                write_person(
                    path,
                    person,
                    each.spec,
                    job.dataset,
                    each.condition,
                    rows=each.rows,
                    seed=job.recipe.seed,
                )
        if asked and not isinstance(each.spec, InversionSpec):
            pixels = _seen(each)[..., : each.prior.channels]
            write_npy(each.pixels, pixels.reshape(len(pixels), -1).astype(np.float32))


def _seen(each: Making) -> Any:
    from unitdb.reconstruction import seen_pictures

    job = each.decoded.job
    return seen_pictures(
        job.dataset.stimuli,
        range(len(job.dataset.stimuli)),
        size=each.side,
        channels=each.prior.channels,
        preprocessing=(
            None if isinstance(job.model, LoadedFeatures) else job.model.spec.preprocessing
        ),
    )


def _base(each: Making, method: str) -> dict[str, str]:
    job = each.decoded.job
    return {
        "dataset": job.dataset.spec.name,
        "condition": each.condition,
        "model": job.model.spec.name,
        "method": method,
    }


def _pictures(each: Making) -> Rows:
    """Rows of ``reconstruction``."""
    from unitdb.reconstruction import read_pictures

    rows, stimuli = Rows(), each.decoded.job.dataset.stimuli
    terms = each.decoded.job.dataset.spec.shown
    sources = zip(stimuli.ids, stimuli.sources, strict=True)
    shown = {name for name, source in sources if terms is not None and terms.allows(source)}
    seen = read_npy(each.folder / "seen.npy")
    for method, place, step in each.score_steps():
        person = each.people[place]
        names = each.chosen(person)
        base = _base(each, method) | {"kind": each.spec.kind, "subject": person.name}
        found: list[tuple[str, int, Any, Any, Sequence[int]]] = []
        problems: dict[tuple[str, int], list[str | None]] = {}
        for (source, control), (steps, of) in step.sources.items():
            made = read_pictures(steps)
            found.append((source, control, made.pictures, made.losses, of.tolist()))
            problems[source, control] = made.problems
        floors = read_npy(step.target.with_suffix(".npy"))
        everything = range(len(names))
        found += [
            (name, 0, floors[number], None, everything) for number, name in enumerate(step.floors)
        ]
        problems["nearest-training", 0] = problems["brain", 0]
        if each.leads(place) and shown.issuperset(names):
            found.append(("seen", 0, seen[step.pictures], None, everything))
        for source, control, pictures, losses, which in found:
            for number, place_of in enumerate(which):
                name = names[place_of]
                problem = problems.get((source, control), [None] * len(names))[number]
                hidden = (
                    problem is not None
                    or (source in _OF_ONE and name not in shown)
                    or (source in _OF_ALL and len(shown) < len(stimuli))
                    or control > _KEPT_CONTROLS
                )
                rows.append(
                    base
                    | {"source": source, "control": control, "stimulus": name}
                    | {"png": None if hidden else _png(pictures[number])}
                    | {"width": pictures.shape[2], "height": pictures.shape[1]}
                    | {"loss": None if losses is None or problem else float(losses[number])}
                    | {"problem": problem}
                )
    return rows


def _png(picture: Any) -> bytes:
    grey = bool((picture == picture[..., :1]).all())
    written = io.BytesIO()
    PIL.Image.fromarray(picture[..., 0] if grey else picture).save(written, "PNG")
    return written.getvalue()


def _values(each: Making) -> Rows:
    """Rows of ``reconstruction_value``."""
    rows = Rows()
    for method, place, step in each.score_steps():
        person = each.people[place]
        names = each.chosen(person)
        base = _base(each, method) | {"subject": person.name}
        for found in json.loads(read_text(step.target)):
            own = {key: found.pop(key) for key in ("source", "control")}
            pictures = found.pop("pictures")
            rows += [
                base | own | {"stimulus": names[at], "metric": metric, "value": value}
                for metric, values in found.items()
                for at, value in zip(pictures, values, strict=True)
            ]
    return rows
