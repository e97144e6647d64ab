"""Steps of reconstruction end to end: a network for each fold, and what all of them give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unitdb.activations import LoadedFeatures
from unitdb.recipes import EndToEndSpec
from unitdb.tables import code_sha256

if TYPE_CHECKING:
    from unitdb.measures.asked import Key
    from unitdb.measures.picturing import Making
    from unitdb.nn import Training
    from unitdb.reconstruction import GatherStep, NetworkSource, TrainStep

__all__ = ["gathered", "training_steps"]


def training_steps(each: Making) -> list[TrainStep]:
    """Networks of all folds, people, controls and sizes; none of a method of another kind."""
    if not isinstance(each.spec, EndToEndSpec):
        return []
    return [
        step
        for method in each.spec.methods()
        for key in each.made_from(method)
        for step in _trainings(each, each.spec, method, key)
    ]


def gathered(each: Making, spec: EndToEndSpec, key: Key) -> GatherStep:
    """What puts the folds of a source together, all methods side by side."""
    from unitdb.reconstruction import GatherStep

    return GatherStep(
        person=each.person_path(key[0]),
        pictures=each.rows_of(each.chosen(each.people[key[0]], *key[1:])),
        parts=tuple(
            tuple(_trainings(each, spec, method, key))
            for method in spec.methods()
            if key in each.made_from(method)
        ),
        n_pixels=each.n_pixels,
        target=each.place_of(*key) / "targets.npy",
        code=code_sha256(),
    )


def _trainings(each: Making, spec: EndToEndSpec, method: str, key: Key) -> Iterator[TrainStep]:
    from unitdb.reconstruction import TrainStep

    place, source, control = key
    person, seed = each.people[place], each.decoded.job.recipe.seed
    chosen = each.chosen(person, control=control)
    for fold, (_, test) in enumerate(person.splits):
        names = sorted(set(person.targets[test].tolist()).intersection(chosen))
        if not names:
            continue
        yield TrainStep(
            name=f"{each.called(person)}, {method}, fold {fold}",
            person=each.person_path(place),
            pixels=each.pixels,
            side=spec.size,
            channels=spec.channels,
            fold=fold,
            pictures=each.rows_of(names),
            n_training=spec.methods()[method],
            control=control,
            training=_settings(spec),
            features=_compared(each, spec),
            seed=(seed, *person.subjects),
            target=each.place_of(place, source, control) / method / f"fold-{fold:03d}.npy",
            code=code_sha256(),
        )


def _compared(each: Making, spec: EndToEndSpec) -> NetworkSource | None:
    """Network of the feature loss."""
    from unitdb.reconstruction import NetworkSource

    job = each.decoded.job
    if not spec.layers or isinstance(job.model, LoadedFeatures):
        return None
    order = [layer.name for layer in job.model.layers]
    return NetworkSource.of(
        job.model,
        folder=job.folder,
        seed=job.recipe.seed,
        layers=tuple(name for name in order if name in spec.layers),
        size=spec.seen_at,
    )


def _settings(spec: EndToEndSpec) -> Training:
    from unitdb.nn import SHEN2019, Training

    losses = spec.loss.model_dump(exclude_none=True)
    changed: dict[str, Any] = {
        name: value for name in ("steps", "batch") if (value := getattr(spec, name)) is not None
    }
    if spec.preset == "shen2019":  # its own weights, where the recipe does not say others
        first = SHEN2019
    else:
        first = replace(Training(start="mean"), image=1.0, feature=1.0, adversarial=0.1)
    if not spec.layers:
        losses["feature"] = 0.0
    return replace(first, seed=spec.seed, **losses, **changed)
