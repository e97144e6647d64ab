"""Identification: which of many candidates a prediction is of, by steps that workers share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.activations import LayerInfo
from unitdb.measures.candidacy import Among, Candidates, conditions_of, units_of, write_features
from unitdb.measures.decoded import Decoded
from unitdb.measures.identify_check import check_identification, compared_sha256
from unitdb.measures.identify_rows import (
    candidate_rows,
    exchange_rows,
    feature_tables,
    prediction_table,
    set_row,
    summary_rows,
    training_table,
    unit_table,
)
from unitdb.measures.identify_step import IdentifyStep, LayerFiles, Samples
from unitdb.measures.protocol import Measure, Release
from unitdb.predictions import (
    load_arranged,
    responses_path,
    stored_positions,
    true_rows,
    write_job_responses,
)
from unitdb.recipes import SubjectInput
from unitdb.resolution import is_constant
from unitdb.sealed import is_sealed, map_npy, read_npy, write_npy
from unitdb.tables import code_sha256, table_of

__all__ = ["IdentificationMeasure", "unit_scale"]

_AT_ONCE = 1 << 14  # units whose activations are in memory together


class IdentificationMeasure(Measure):
    """Ranks of true candidates among those of each set that a recipe names."""

    name = "identify"
    tables = (
        "candidate_sets",
        "candidates",
        "identification",
        "identification_summary",
        "identification_exchange",
        "candidate_training",
        "candidate_units",
        "candidate_features",
    )

    def steps(self, decoded: Decoded) -> Sequence[IdentifyStep]:
        """One for each test set, candidate set and subject, and for the mean over subjects."""
        spec = decoded.job.recipe.identification
        if spec is None:
            return ()
        return [
            step
            for name in spec.sets
            for among in _every(decoded, name)
            for step in _steps(decoded, among)
        ]

    def prepare(self, decoded: Decoded, steps: Sequence[IdentifyStep]) -> None:
        """Write features of candidates, and mean and SD of their units in each subject."""
        job = decoded.job
        subjects = range(len(job.dataset.subjects))
        write_job_responses(job, decoded.activations, decoded.folder, subjects)
        for layer in job.model.layers:
            for number in subjects:
                _write_scale(decoded, layer, number)
        for name in {step.set_name for step in steps}:
            _write_set(decoded, Candidates(name=name, job=job, activations=decoded.activations))

    def pieces(
        self, table: str, decoded: Sequence[Decoded]
    ) -> pa.Table | Iterator[pa.Table] | None:
        """Rows of all jobs; features a layer of a set at a time."""
        asked = [of for of in decoded if of.job.recipe.identification is not None]
        if not asked:
            return None
        if table in ("candidate_training", "candidate_units", "candidate_features"):
            shown = [of for of in asked if _publishes(of)]
            if not shown:
                return None
            if table == "candidate_training":
                return _training(shown)
            return _units(shown) if table == "candidate_units" else _features(shown)
        parts = [part for of in asked for part in _tables(table, of)]
        return pa.concat_tables([table_of(table, []), *parts])

    def check(self, release: Release) -> Iterable[str]:
        """Summaries follow from counts, counts from each other, roles and sets from candidates."""
        return check_identification(release)


def _publishes(decoded: Decoded) -> bool:
    spec = decoded.job.recipe.identification
    return spec is not None and spec.features


def _folder(decoded: Decoded) -> Path:
    return decoded.work / "identification" / decoded.job.build


def _features_path(decoded: Decoded, name: str, layer: str) -> Path:
    return _folder(decoded) / "sets" / name / f"{layer}.npy"


def _scale_path(decoded: Decoded, layer: str, subject: int) -> Path:
    return _folder(decoded) / "units" / layer / f"{subject:03d}.npy"


def _every(decoded: Decoded, name: str) -> Iterator[Among]:
    """A candidate set for each test set."""
    candidates = Candidates(name=name, job=decoded.job, activations=decoded.activations)
    for condition in conditions_of(decoded.job):
        yield candidates.among(condition)


def _steps(decoded: Decoded, among: Among) -> Iterator[IdentifyStep]:
    job, spec, condition = decoded.job, among.set.spec, among.condition
    subjects = job.dataset.subjects
    decoded_of = [sorted(set(subject.targets(condition).tolist())) for subject in subjects]
    people: list[int | None] = list(range(len(subjects)))
    if spec.people and len(subjects) > 1 and all(one == decoded_of[0] for one in decoded_of):
        people.append(None)
    for number in people:
        of = list(subjects) if number is None else [subjects[number]]
        names = decoded_of[number or 0]
        folder = _folder(decoded) / condition / among.set.name
        file = "people.npz" if number is None else f"{number:03d}.npz"
        yield IdentifyStep(
            name=f"{job.dataset.spec.name}/{condition}/{among.set.name}",
            condition=condition,
            set_name=among.set.name,
            subject=number,
            blocks={
                place: blocks
                for place, blocks in decoded.of_sets[condition].items()
                if number is None or place[1][1] == number
            },
            n_rois=len(job.dataset.rois),
            samples=tuple(_samples(subject, condition, names) for subject in of),
            layers=tuple(
                _layer_files(decoded, among, layer, number or 0) for layer in job.model.layers
            ),
            columns=among.columns,
            own=among.own,
            targets=among.of_targets(names),
            trained=np.any([among.trained(subject) for subject in of], axis=0),
            categories=among.codes,
            single=spec.trials and number is not None and job.dataset.share_targets(condition),
            methods=tuple(spec.methods),
            combined=tuple(f"*{way}" for way in spec.combined),
            target=folder / file,
            code=code_sha256(),
        )


def _samples(subject: SubjectInput, condition: str, names: Sequence[str]) -> Samples:
    number = {name: i for i, name in enumerate(names)}
    split_of = {
        row: split for split, (_, test) in enumerate(subject.design.splits) for row in test.tolist()
    }
    rows = subject.design.held_out(condition).rows.tolist()
    return Samples(
        decoded=np.array([number[t] for t in subject.targets(condition).tolist()], np.intp),
        splits=np.array([split_of[row] for row in rows], np.intp),
    )


def _layer_files(decoded: Decoded, among: Among, layer: LayerInfo, subject: int) -> LayerFiles:
    units = decoded.activations.units(layer.name)
    _, positions = units_of(decoded.job, decoded.activations, layer)
    return LayerFiles(
        name=layer.name,
        stored=units[stored_positions(decoded.job, layer, units)],
        positions=positions,
        features=_features_path(decoded, among.set.name, layer.name),
        scale=_scale_path(decoded, layer.name, subject),
    )


def _write_set(decoded: Decoded, candidates: Candidates) -> None:
    for layer in decoded.job.model.layers:
        units, _ = units_of(decoded.job, decoded.activations, layer)
        path = _features_path(decoded, candidates.name, layer.name)
        write_features(path, candidates, layer.name, units)


def _write_scale(decoded: Decoded, layer: LayerInfo, subject: int) -> None:
    """Write mean and SD of a layer's units over the samples that train."""
    path = _scale_path(decoded, layer.name, subject)
    if is_sealed(path):
        return
    activations, arranged = (
        decoded.activations,
        load_arranged(responses_path(decoded.folder, subject)),
    )
    train = np.unique(np.concatenate([train for train, _ in arranged.splits]))
    every = activations.units(layer.name)
    at = np.searchsorted(every, units_of(decoded.job, activations, layer)[0])
    found = np.empty((2, len(at)))
    for start in range(0, len(every), _AT_ONCE):
        some = np.flatnonzero((at >= start) & (at < start + _AT_ONCE))
        if len(some):
            stop = min(start + _AT_ONCE, len(every))
            part = activations.block(layer.name, start, stop)[:, at[some] - start]
            values = true_rows(part, arranged)[arranged.rows[0, train]]
            found[:, some] = unit_scale(values, activations.resolution(layer.name))
    write_npy(path, found)


def unit_scale(train: NDArray[np.floating], resolution: float) -> NDArray[np.float64]:
    """Mean and SD of units over samples that train; SD 0 of units that are constant.

    Parameters
    ----------
    train : array of shape (n_samples, n_units)
    resolution : float
        By which units are constant.

    Returns
    -------
    array of shape (2, n_units)
    """
    values = train.astype(np.float64)
    sd = np.where(is_constant(train, resolution=resolution), 0.0, values.std(axis=0, ddof=1))
    return np.stack([values.mean(axis=0), sd])


def _tables(table: str, decoded: Decoded) -> Iterator[pa.Table]:
    """Rows of a table that are of a job, in parts."""
    spec = decoded.job.recipe.identification
    for name in () if spec is None else spec.sets:
        digest = _compared_sha256(decoded, name) if table == "candidate_sets" else ""
        for among in _every(decoded, name):
            if table == "candidate_sets":
                yield table_of(table, [set_row(among, digest)])
            elif table == "candidates":
                yield table_of(table, candidate_rows(among))
            else:
                for step in _steps(decoded, among):
                    if table == "identification":
                        yield prediction_table(decoded.job, among, step)
                        continue
                    of = summary_rows if table == "identification_summary" else exchange_rows
                    yield table_of(table, of(decoded.job, among, step))


def _compared_sha256(decoded: Decoded, name: str) -> str:
    candidates = Candidates(name=name, job=decoded.job, activations=decoded.activations)
    _write_set(decoded, candidates)
    layers = {
        layer.name: (
            units_of(decoded.job, decoded.activations, layer)[0],
            map_npy(_features_path(decoded, name, layer.name)),
        )
        for layer in decoded.job.model.layers
    }
    return compared_sha256(candidates.ids, layers)


def _training(decoded: Sequence[Decoded]) -> pa.Table:
    parts = [
        training_table(of.job, among, number)
        for of in decoded
        for name in (of.job.recipe.identification.sets if of.job.recipe.identification else ())
        for among in _every(of, name)
        for number in range(len(of.job.dataset.subjects))
    ]
    return pa.concat_tables([table_of("candidate_training", []), *parts])


def _units(decoded: Sequence[Decoded]) -> pa.Table:
    parts = []
    for of in decoded:
        for layer in of.job.model.layers:
            units, _ = units_of(of.job, of.activations, layer)
            for number, subject in enumerate(of.job.dataset.subjects):
                _write_scale(of, layer, number)
                scale = read_npy(_scale_path(of, layer.name, number))
                parts.append(unit_table(of.job, layer.name, subject.subject, units, scale))
    return pa.concat_tables(parts)


def _features(decoded: Sequence[Decoded]) -> Iterator[pa.Table]:
    """Rows in order: dataset, model, set, layer, candidate."""
    sets: list[tuple[tuple[Any, ...], Decoded, Candidates]] = []
    for of in decoded:
        spec = of.job.recipe.identification
        for name in () if spec is None else spec.sets:
            candidates = Candidates(name=name, job=of.job, activations=of.activations)
            _write_set(of, candidates)
            for layer in of.job.model.layers:
                key = (of.job.dataset.spec.name, of.job.model.spec.name, name, layer.name)
                sets.append((key, of, candidates))
    for key, of, candidates in sorted(sets, key=lambda one: one[0]):
        yield from feature_tables(key, candidates.ids, _features_path(of, key[2], key[3]))
