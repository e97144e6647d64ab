"""Rows of the tables that the numbers refer to: datasets, stimuli, networks, builds, inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitdb.activations import LayerInfo, LoadedFeatures
from unitdb.pictures import thumbnail
from unitdb.recipes.identity import recipe_columns
from unitdb.recipes.jobs import Job, plan_sha256
from unitdb.recipes.shown import set_rows, stimulus_rows
from unitdb.specs import canonical_json
from unitdb.tables import Rows, Scope, code_columns

if TYPE_CHECKING:
    from unitdb.activations import Fields

__all__ = ["reference_rows", "scope_of"]


def reference_rows(jobs: Sequence[Job], inputs: Rows) -> dict[str, Rows]:
    """Rows of the tables that the numbers refer to: datasets, stimuli, networks, builds, inputs.

    Parameters
    ----------
    jobs : sequence of Job
        What was computed.
    inputs : list of dict
        Rows of the table ``inputs``.
    """
    datasets = {job.dataset.spec.name: job for job in jobs}.values()
    models = {job.model.spec.name: job for job in jobs}.values()
    return {
        "datasets": [_dataset_row(job) for job in datasets],
        "rois": [row for job in datasets for row in _roi_rows(job)],
        "subjects": [row for job in datasets for row in _subject_rows(job)],
        "test_sets": [row for job in datasets for row in set_rows(job.dataset)],
        "stimuli": [row for job in datasets for row in _stimulus_rows(job)],
        "models": [_model_row(job) for job in models],
        "layers": [row for job in models for row in _layer_rows(job)],
        "builds": [_build_row(job, plan_sha256(jobs)) for job in jobs],
        "inputs": inputs,
    }


def scope_of(job: Job, condition: str) -> Scope:
    """Scope of what a recipe's job decodes of a test set."""
    return Scope(
        build=job.build,
        dataset=job.dataset.spec.name,
        condition=condition,
        model=job.model.spec.name,
        rois=job.dataset.rois,
        subjects=tuple(subject.subject for subject in job.dataset.subjects),
    )


def _dataset_row(job: Job) -> dict[str, Any]:
    spec = job.dataset.spec
    return {
        "dataset": spec.name,
        "title": spec.title,
        "simulated": spec.simulated,
        "licence": spec.licence,
        "source": spec.source,
        "citation": spec.citation,
        "n_subjects": len(spec.subjects),
        "n_stimuli": len(job.dataset.split_of),
        "voxel_selection": spec.transformations.voxel_selection,
        "zscore": spec.transformations.zscore,
        "pictures": None if spec.shown is None else spec.shown.terms,
    }


def _roi_rows(job: Job) -> Rows:
    spec = job.dataset.spec
    return [
        {"dataset": spec.name, "roi": roi, "place": place, "description": description}
        for place, (roi, description) in enumerate(spec.rois.items())
        if roi in job.dataset.rois
    ]


def _subject_rows(job: Job) -> Rows:
    rows = []
    for subject in job.dataset.subjects:
        splits = subject.design.splits
        for roi, mask in subject.rois.items():
            rows.append(
                {
                    "dataset": job.dataset.spec.name,
                    "subject": subject.subject,
                    "roi": roi,
                    "n_voxels": int(mask.sum()),
                    "n_train": len(np.unique(np.concatenate([train for train, _ in splits]))),
                    "n_test": sum(len(subject.targets(name)) for name in job.dataset.conditions),
                    "responses_sha256": subject.sha256,
                }
            )
    return rows


def _stimulus_rows(job: Job) -> Rows:
    stimuli, shown = job.dataset.stimuli, job.dataset.spec.shown
    place_of = {name: place for place, name in enumerate(stimuli.ids)}
    rows: Rows = []
    for row in stimulus_rows(job.dataset):
        place = place_of.get(row["stimulus"])
        is_shown = place is not None and shown is not None and shown.allows(row["source"])
        picture = thumbnail(stimuli.image(place)) if is_shown and place is not None else None
        rows.append({"dataset": job.dataset.spec.name, **row, "thumbnail": picture})
    return rows


def _model_row(job: Job) -> dict[str, Any]:
    model, spec = job.model, job.model.spec
    return {
        "model": spec.name,
        "title": spec.title,
        "weights_sha256": model.weights_sha256,
        "model_sha256": model.model_sha256,
        "factory": spec.factory,
        "preprocessing": canonical_json(spec.preprocessing),
        "licence": spec.licence,
        "source": spec.source,
        "citation": spec.citation,
        "checked_on": ",".join(model.checked_on) or None,
        "n_layers": len(model.layers),
    }


def _layer_rows(job: Job) -> Rows:
    model = job.model
    if isinstance(model, LoadedFeatures):
        return [_layer_row(model.spec.name, layer) for layer in model.layers]
    from unitdb.activations import receptive_fields  # runs the network: imports torch

    # They are marked on the pictures of units that are kept: without any, seconds are saved.
    keep, classes = job.recipe.keep, model.spec.classes
    fields = receptive_fields(model) if keep.units or keep.channels or keep.also else {}
    return [
        _layer_row(
            model.spec.name, layer, field=fields.get(layer.name), classes=classes.get(layer.name)
        )
        for layer in model.layers
    ]


def _layer_row(
    model: str,
    layer: LayerInfo,
    *,
    field: Fields | None = None,
    classes: Sequence[str] | None = None,
) -> dict[str, Any]:
    sides = ("top", "bottom", "left", "right")
    return {
        "model": model,
        "layer": layer.name,
        "depth": layer.depth,
        "module": layer.module,
        "kind": layer.kind,
        "shape": list(layer.shape),
        "axes": layer.axes,
        "n_units": layer.n_units,
        "classes": classes,
        **{f"field_{side}": field and list(getattr(field, side)) for side in sides},
    }


def _build_row(job: Job, recipe_sha256: str) -> dict[str, Any]:
    return recipe_columns(job.recipe) | {
        "build": job.build,
        "recipe_sha256": recipe_sha256,
        "dataset": job.dataset.spec.name,
        "model": job.model.spec.name,
        "inputs": canonical_json(job.inputs),
        **code_columns(),
    }
