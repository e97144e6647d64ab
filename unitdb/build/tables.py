"""From arrays and inputs to rows of the published tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import unitdb
from unitdb.activations import LayerInfo
from unitdb.analysis import (
    histogram,
    lead_over_others,
    mean_over_subjects,
    summarise_layer,
    summarise_units,
)
from unitdb.build.files import InputFile, Use
from unitdb.build.inputs import Job, plan_sha256
from unitdb.build.provenance import code_sha256, own_commit, package_versions
from unitdb.build.recipe import Recipe
from unitdb.build.statistics import Agreement, Tested
from unitdb.pictures import thumbnail
from unitdb.schema import get_table
from unitdb.specs import canonical_json

__all__ = [
    "BY_FORMULA",
    "Rows",
    "Scope",
    "accuracy_rows",
    "histogram_rows",
    "input_rows",
    "intersubject_rows",
    "layer_summary_rows",
    "partition_keys",
    "reference_tables",
    "scope_of",
    "table_of",
    "unit_summary_rows",
]

Rows = list[dict[str, Any]]

BY_FORMULA = canonical_json({"test": "t", "over_subjects": "stouffer"})
"""``builds.significance`` of designs whose test images train nothing."""

Accuracies = Iterable[NDArray[np.float32]]
"""Accuracies of a layer: for each ROI (n_subjects, n_units); NaN where there is none."""

_PATTERN_COLUMNS = [
    column.name
    for column in get_table("layer_summary").columns
    if column.name.startswith(("mean_low", "mean_high", "n_pattern", "n_cand", "pattern", "ident"))
]

_AT_ONCE = 2**16
"""Units whose rows are made at once."""


def table_of(name: str, rows: Rows) -> pa.Table:
    """Rows as an Arrow table of the schema; NaN becomes NULL."""
    schema = get_table(name).arrow_schema()
    columns = [
        pa.array([row[field.name] for row in rows], type=field.type, from_pandas=True)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What the accuracies of a build are of: all that rows need to know.

    Parameters
    ----------
    build : str
        Identifier of the build.
    dataset, condition, model : str
        What was decoded from what.
    rois, subjects : tuple of str
        In the order of rows, by code point.
    """

    build: str
    dataset: str
    condition: str
    model: str
    rois: tuple[str, ...]
    subjects: tuple[str, ...]


def scope_of(job: Job) -> Scope:
    """Scope of what a recipe's job decodes."""
    return Scope(
        build=job.build,
        dataset=job.dataset.spec.name,
        condition=job.dataset.spec.condition,
        model=job.model.spec.name,
        rois=job.dataset.rois,
        subjects=tuple(subject.subject for subject in job.dataset.subjects),
    )


def partition_keys(scope: Scope, layer: str) -> dict[str, str]:
    """Values of the columns that the large tables are partitioned by."""
    return {
        "dataset": scope.dataset,
        "condition": scope.condition,
        "model": scope.model,
        "layer": layer,
    }


def accuracy_rows(
    scope: Scope, layer: str, units: NDArray[np.int32], r: Accuracies
) -> Iterator[pa.Table]:
    """Table ``accuracy`` of one layer, in pieces, in the order of rows: all subjects of a unit."""
    n = len(scope.subjects)
    for roi, of_roi in zip(scope.rois, r, strict=True):
        fixed = {**partition_keys(scope, layer), "roi": roi, "build": scope.build}
        for start in range(0, len(units), _AT_ONCE):
            some = units[start : start + _AT_ONCE]
            columns = _constant(fixed, n * len(some))
            columns["unit"] = pa.array(np.repeat(some, n), pa.int32())
            codes = np.tile(np.arange(n, dtype=np.int32), len(some))
            columns["subject"] = _named(pa.array(codes), scope.subjects)
            values = of_roi[:, start : start + _AT_ONCE].T.ravel()
            columns["r"] = pa.array(values, pa.float32(), from_pandas=True)
            yield _ordered("accuracy", columns)


def unit_summary_rows(
    scope: Scope,
    layer: str,
    units: NDArray[np.int32],
    r: Accuracies,
    p_and_q: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> Iterator[pa.Table]:
    """Table ``unit_summary`` of one layer, a piece for each ROI, in the order of rows."""
    lead = lead_over_others(_means(r))
    for roi, of_roi, leads, (p, q) in zip(scope.rois, r, lead, p_and_q, strict=True):
        found = summarise_units(of_roi)
        order = np.argsort(found.rank)
        yield _ordered(
            "unit_summary",
            _constant({**partition_keys(scope, layer), "roi": roi}, len(units))
            | {
                "unit": pa.array(units[order], pa.int32()),
                "n_subjects": pa.array(found.n_subjects[order], pa.int32()),
                "mean_r": _float32(found.mean[order]),
                "sd_r": _float32(found.sd[order]),
                "min_r": _float32(found.minimum[order]),
                "max_r": _float32(found.maximum[order]),
                "rank": pa.array(found.rank[order], pa.int32()),
                "lead_r": pa.array(leads[order], from_pandas=True),
                "p": pa.array(p[order], pa.float32(), from_pandas=True),
                "q": pa.array(q[order], pa.float32(), from_pandas=True),
            },
        )


def _means(r: Accuracies) -> NDArray[np.float32]:
    """Mean accuracies over subjects as they are published, (n_rois, n_units)."""
    return np.stack([mean_over_subjects(of_roi).astype(np.float32) for of_roi in r])


def histogram_rows(scope: Scope, layer: str, r: Accuracies) -> dict[str, Rows]:
    """Rows of the histograms of one layer: of accuracies, their means and minima over subjects."""
    keys = partition_keys(scope, layer)
    of_subjects, of_means, of_minima = [], [], []
    for roi, of_roi, mean in zip(scope.rois, r, _means(r), strict=True):
        for subject, of_subject in zip(scope.subjects, of_roi, strict=True):
            of_subjects += _bins(keys | {"roi": roi, "subject": subject}, of_subject)
        of_means += _bins(keys | {"roi": roi}, mean)
        of_minima += _bins(keys | {"roi": roi}, np.fmin.reduce(of_roi))
    return {
        "accuracy_histogram": of_subjects,
        "unit_histogram": of_means,
        "minimum_histogram": of_minima,
    }


def _bins(keys: dict[str, str], r: NDArray[np.float32]) -> Rows:
    bins, counts = histogram(r)
    pairs = zip(bins.tolist(), counts.tolist(), strict=True)
    return [keys | {"bin": bin_, "n_units": n} for bin_, n in pairs]


def layer_summary_rows(
    scope: Scope,
    layer: str,
    roi: str,
    r: NDArray[np.float32],
    *,
    tested: Tested | None,
    patterns: Sequence[Mapping[str, Any]] | None = None,
    chance: Sequence[float] | None = None,
) -> Rows:
    """Rows of ``layer_summary`` of one layer and ROI.

    Parameters
    ----------
    scope, layer, roi
        What they are of.
    r : array of shape (n_subjects, n_units)
        Accuracies.
    tested : Tested, optional
        Their significance, where it is known.
    patterns : sequence of mapping, optional
        For each subject what :func:`unitdb.build.patterns.summarise_patterns` has written.
    chance : sequence of float, optional
        For each subject the mean accuracy of controls.
    """
    rows = []
    for at, (subject, of_subject) in enumerate(zip(scope.subjects, r, strict=True)):
        found = summarise_layer(of_subject)
        pattern: dict[str, Any] = dict.fromkeys(_PATTERN_COLUMNS)
        if patterns is not None:
            pattern |= patterns[at]
            # Of a sample of the units; how far their mean scatters over images is that of all.
            mean = pattern.pop("mean_of_patterns")
            for end in ("mean_low", "mean_high"):
                if pattern[end] is not None:
                    # No mean correlation lies beyond ±1, however far its interval is moved.
                    pattern[end] = min(max(pattern[end] + found.mean - mean, -1.0), 1.0)
        rows.append(
            partition_keys(scope, layer)
            | {
                "roi": roi,
                "subject": subject,
                "n_units": found.n_units,
                "n_undefined": found.n_undefined,
                "mean_r": found.mean,
                "sd_r": found.sd,
                "q05_r": found.quantiles[0.05],
                "q25_r": found.quantiles[0.25],
                "median_r": found.quantiles[0.5],
                "q75_r": found.quantiles[0.75],
                "q95_r": found.quantiles[0.95],
                "n_significant": None if tested is None else tested.n_significant[at],
                "chance_r": None if chance is None else chance[at],
            }
            | pattern
        )
    return rows


def intersubject_rows(scope: Scope, layer: str, roi: str, found: Sequence[Agreement]) -> Rows:
    """Rows of ``intersubject`` of one layer and ROI."""
    rows = []
    for one in found:
        pair = one.pair
        row = {
            "roi": roi,
            "subject_a": scope.subjects[pair.first],
            "subject_b": scope.subjects[pair.second],
            "n_units": pair.n_units,
            "n_blocks": pair.n_blocks,
            "chance_r": one.chance,
            "p": one.p,
        }
        for name in ("pearson", "spearman", "partial"):
            interval = getattr(pair, name)
            for end, column in (("value", "r"), ("low", "low"), ("high", "high")):
                row[f"{name}_{column}"] = None if interval is None else getattr(interval, end)
        rows.append(partition_keys(scope, layer) | row)
    return rows


def reference_tables(jobs: Sequence[Job], inputs: Rows) -> dict[str, pa.Table]:
    """Build the tables of what the numbers refer to: datasets, stimuli, networks, builds, inputs.

    Parameters
    ----------
    jobs : sequence of Job
        What was computed.
    inputs : list of dict
        Rows of the table ``inputs``.
    """
    datasets = {job.dataset.spec.name: job for job in jobs}.values()
    models = {job.model.spec.name: job for job in jobs}.values()
    rows = {
        "datasets": [_dataset_row(job) for job in datasets],
        "rois": [row for job in datasets for row in _roi_rows(job)],
        "subjects": [row for job in datasets for row in _subject_rows(job)],
        "stimuli": [row for job in datasets for row in _stimulus_rows(job)],
        "models": [_model_row(job) for job in models],
        "layers": [_layer_row(job, layer) for job in models for layer in job.model.layers],
        "builds": [_build_row(job, plan_sha256(jobs)) for job in jobs],
        "inputs": inputs,
    }
    return {name: table_of(name, found) for name, found in rows.items()}


def input_rows(build: str, uses: Iterable[Use], described: Mapping[Path, InputFile]) -> Rows:
    """Rows of table ``inputs`` of one build: its files, and the code."""
    code = {
        "role": "code",
        "path": "unitdb",
        "subject": None,
        "size": None,
        "sha256": code_sha256(),
        "annex_key": None,
        "datalad_id": None,
        "git_commit": own_commit(),
    }
    files = [
        {"role": use.role, "subject": use.subject, **asdict(described[use.path])} for use in uses
    ]
    return [{"build": build, **row} for row in [code, *files]]


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
                    "n_test": sum(len(test) for _, test in splits),
                    "responses_sha256": subject.sha256,
                }
            )
    return rows


def _stimulus_rows(job: Job) -> Rows:
    stimuli, split_of = job.dataset.stimuli, job.dataset.split_of
    shown = job.dataset.spec.shown
    return [
        {
            "dataset": job.dataset.spec.name,
            "stimulus": stimulus,
            "split": split_of[stimulus],
            "sha256": sha256,
            "source": source,
            "thumbnail": thumbnail(stimuli.image(place))
            if shown is not None and shown.allows(source)
            else None,
        }
        for place, (stimulus, sha256, source) in enumerate(
            zip(stimuli.ids, stimuli.sha256s(), stimuli.sources, strict=True)
        )
        if stimulus in split_of
    ]


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


def _layer_row(job: Job, layer: LayerInfo) -> dict[str, Any]:
    return {
        "model": job.model.spec.name,
        "layer": layer.name,
        "depth": layer.depth,
        "module": layer.module,
        "kind": layer.kind,
        "shape": list(layer.shape),
        "n_units": layer.n_units,
    }


def _build_row(job: Job, recipe_sha256: str) -> dict[str, Any]:
    recipe = job.recipe
    control = {"control": recipe.control} if recipe.control else {}
    return {
        "build": job.build,
        "recipe": recipe.name,
        "recipe_sha256": recipe_sha256,
        "dataset": job.dataset.spec.name,
        "model": job.model.spec.name,
        "decoder": canonical_json(recipe.decoder.model_dump(mode="json") | control),
        "units": canonical_json(recipe.selection),
        "n_folds": recipe.decoder.folds,
        "seed": recipe.seed,
        "inputs": canonical_json(job.inputs),
        "unitdb_version": unitdb.__version__,
        "code_sha256": code_sha256(),
        "packages": canonical_json(package_versions()),
        "significance": _significance(recipe),
    }


def _significance(recipe: Recipe) -> str | None:
    if recipe.n_controls:
        return canonical_json(
            {"test": "controls", "n": recipe.n_controls, "over_subjects": "mean accuracy"}
        )
    return BY_FORMULA if recipe.decoder.folds is None else None


def _ordered(table: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    schema = get_table(table).arrow_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _constant(values: Mapping[str, str], n_rows: int) -> dict[str, pa.Array]:
    zeros = pa.array(np.zeros(n_rows, np.int32))
    return {name: _named(zeros, [value]) for name, value in values.items()}


def _named(codes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Names by their indices, all of which are below the number of names."""
    return pa.DictionaryArray.from_arrays(codes, pa.array(names, pa.string()), safe=False)


def _float32(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values.astype(np.float32), from_pandas=True)
