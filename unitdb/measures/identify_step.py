"""A step of identification: all predictions of a person among the candidates of a set."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.analysis import q_values
from unitdb.matching import (
    AMONG,
    Compared,
    Matches,
    Method,
    Question,
    Summary,
    chance_curve,
    identify,
    per_target,
    summarise,
)
from unitdb.predictions import Block, Predictions, check_worker
from unitdb.sealed import is_sealed, map_npy, read_npy, read_npz, sealing

__all__ = ["COUNTS", "KINDS", "NUMBERS", "IdentifyStep", "LayerFiles", "Samples", "places_of"]

KINDS = ("means", "single")
"""Trials: means of the samples of each target, and single samples."""

COUNTS = ("all", "trained", "within", "between")
"""Kinds of false candidates that are counted."""

NUMBERS = (*(field.name for field in fields(Summary)), "q")
"""Numbers of a row of the summary."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFiles:
    """A layer, by files.

    Parameters
    ----------
    name : str
    stored : array of int
        Units whose predictions are stored, ascending.
    positions : array of int
        Which of these patterns are of.
    features : Path
        ``.npy`` file: features of all candidates of the set.
    scale : Path
        ``.npy`` file: mean and SD of the units over the samples that train, (2, n_units).
    """

    name: str
    stored: NDArray[np.int32]
    positions: NDArray[np.intp]
    features: Path
    scale: Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """The samples of a test set of one subject, and what they are of.

    Parameters
    ----------
    decoded : array of int of shape (n_samples,)
        What is decoded from each, by number: those of one number are averaged.
    splits : array of int of shape (n_samples,)
        Split that holds each out.
    """

    decoded: NDArray[np.intp]
    splits: NDArray[np.intp]

    def means(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Mean over the samples of each number, (n_decoded, n_units)."""
        n = np.bincount(self.decoded)
        sums = np.zeros((len(n), values.shape[1]))
        np.add.at(sums, self.decoded, values.astype(np.float64))
        return np.asarray(sums / n[:, None])

    @property
    def split_of_means(self) -> NDArray[np.intp]:
        """Split of the first sample of each number."""
        return self.splits[np.unique(self.decoded, return_index=True)[1]]


def places_of(
    n_rois: int, layers: Sequence[str], methods: Sequence[Method], combined: Sequence[str]
) -> list[tuple[int, str, Method]]:
    """ROI, layer and method of the rows of a step's arrays."""
    ways = list(combined) if len(layers) > 1 else []
    return [
        (roi, layer, method)
        for roi in range(n_rois)
        for layer in (*layers, *ways)
        for method in methods
        if (layer, method) != ("*concatenated", "horikawa2017")
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class IdentifyStep:
    """Predictions of a subject, or the mean of all subjects', among the candidates of a set.

    Parameters
    ----------
    name : str
        For messages.
    condition, set_name : str
    subject : int or None
        Position of the subject; None for the mean over all.
    blocks : mapping of (str, (int, int)) to tuple of Block
        Of the test set: by layer, and positions of ROI and subject.
    n_rois : int
    samples : tuple of Samples
        Of the subject, or of all.
    layers : tuple of LayerFiles
    columns : array of int
        Rows of the features that are candidates here.
    own : array of int
        Of these the targets.
    targets : array of int of shape (n_decoded,)
        Which target each number that is decoded is of.
    trained : array of bool of shape (n_splits, n_candidates)
    categories : array of int, optional
        Of each candidate.
    single : bool
        Whether single samples are identified besides means.
    methods, combined : tuple of str
    target : Path
        ``.npz`` file.
    code : str
        Hash of the code that must do it.
    """

    name: str
    condition: str
    set_name: str
    subject: int | None
    blocks: Mapping[tuple[str, tuple[int, int]], tuple[Block, ...]]
    n_rois: int
    samples: tuple[Samples, ...]
    layers: tuple[LayerFiles, ...]
    columns: NDArray[np.intp]
    own: NDArray[np.intp]
    targets: NDArray[np.intp]
    trained: NDArray[np.bool_]
    categories: NDArray[np.int32] | None
    single: bool
    methods: tuple[Method, ...]
    combined: tuple[str, ...]
    target: Path
    code: str

    @property
    def places(self) -> list[tuple[int, str, Method]]:
        """ROI, layer and method of the rows of the arrays."""
        names = [layer.name for layer in self.layers]
        return places_of(self.n_rois, names, self.methods, self.combined)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of trials that are identified."""
        return KINDS if self.single else KINDS[:1]

    def folds(self, kind: str) -> NDArray[np.intp]:
        """Split that holds each prediction out; of a mean the first of its samples."""
        first = self.samples[0]
        return first.split_of_means if kind == "means" else first.splits

    def is_done(self) -> bool:
        """Whether the file is there, as it was written."""
        return is_sealed(self.target)

    def run(self) -> None:
        """Identify, and write the counts of each prediction and the summaries."""
        first = next(iter(self.blocks.values()))[0]
        check_worker(self.code, first.responses)
        with threadpool_limits(1):
            # Of each place what a release has of it: matches are of all pairs of images.
            found = {place: _arrays(of, len(self.columns)) for place, of in self._identified()}
            arrays: dict[str, NDArray[Any]] = {}
            for kind in self.kinds:
                parts = [found[(roi, kind), layer, method] for roi, layer, method in self.places]
                curves = [
                    np.insert(part.pop("curve"), 0, i, axis=1) for i, part in enumerate(parts)
                ]
                stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
                q = self._discoveries(stacked["summary"][:, NUMBERS.index("p")])
                stacked["summary"] = np.column_stack([stacked["summary"], q])
                stacked["curve"] = np.concatenate(curves)
                arrays |= {f"{kind}-{name}": values for name, values in stacked.items()}
            arrays["n_units"] = self._n_units()
        with sealing(self.target) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def results(self) -> dict[str, NDArray[np.generic]]:
        """Arrays of the file."""
        return read_npz(self.target, lambda _: True)

    def _identified(self) -> Iterator[tuple[tuple[Hashable, str, Method], Matches]]:
        layers = [self._compared(layer) for layer in self.layers]
        per_roi = len(layers[0].predicted) // self.n_rois
        n_means = len(self.targets)
        questions: dict[Hashable, Question] = {}
        for roi in range(self.n_rois):
            start = roi * per_roi
            one = self.samples[0]
            means = slice(start, start + n_means)
            questions[roi, "means"] = self._question(means, self.targets, one.split_of_means)
            if self.single:
                single = slice(start + n_means, start + per_roi)
                of = self.targets[one.decoded]
                questions[roi, "single"] = self._question(single, of, one.splits)
        return identify(
            layers,
            len(self.columns),
            questions,
            methods=self.methods,
            combined=self.combined,
        )

    def _question(
        self, rows: slice, targets: NDArray[np.intp], splits: NDArray[np.intp]
    ) -> Question:
        # Of one split all predictions have the same; of folds each its own.
        trained = self.trained[0] if len(self.trained) == 1 else self.trained[splits]
        return Question(
            rows=rows,
            candidates=self.own,
            targets=targets,
            trained=trained,
            categories=self.categories,
            folds=splits,
        )

    def _compared(self, layer: LayerFiles) -> Compared:
        features = map_npy(layer.features)
        mean, sd = read_npy(layer.scale)
        every = len(self.columns) == len(features)

        def block(start: int, stop: int) -> NDArray[np.floating]:
            return np.asarray(features[start:stop] if every else features[self.columns[start:stop]])

        return Compared(
            name=layer.name, predicted=self._predicted(layer), features=block, mean=mean, sd=sd
        )

    def _predicted(self, layer: LayerFiles) -> NDArray[np.float32]:
        """Predictions of all ROIs: of each the means, then single samples."""
        stored = Predictions({layer.name: layer.stored}, self.blocks)
        subjects = range(len(self.samples)) if self.subject is None else [self.subject]
        parts = []
        for roi in range(self.n_rois):
            values = [
                stored.block(layer.name, 0, len(layer.stored), roi=roi, subject=subject)[
                    :, layer.positions
                ].astype(np.float32)
                for subject in subjects
            ]
            pairs = zip(self.samples, values, strict=True)
            means = np.mean([of.means(each) for of, each in pairs], axis=0)
            parts.append(means.astype(np.float32))
            if self.single:
                parts += values
        return np.concatenate(parts)

    def _n_units(self) -> NDArray[np.int64]:
        """Units that each row compares."""
        varied = {layer.name: read_npy(layer.scale)[1] > 0 for layer in self.layers}
        every = np.concatenate(list(varied.values()))
        return np.array(
            [
                int((of if method == "normalised" else np.ones_like(of)).sum())
                for _, layer, method in self.places
                for of in [varied.get(layer, every)]
            ]
        )

    def _discoveries(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Q within a method; layers together are a family of their own."""
        q = np.full(len(p), np.nan)
        families = [(method, layer.startswith("*")) for _, layer, method in self.places]
        for family in set(families):
            rows = np.array([each == family for each in families])
            q[rows] = q_values(p[rows])
        return q


def _arrays(matches: Matches, n_candidates: int) -> dict[str, NDArray[np.generic]]:
    """What a release has of the predictions of a place."""
    summary = summarise(matches, n_candidates)
    chance = per_target(matches, matches.rates)[matches.targets]
    counts = np.stack([getattr(matches, of) for of in COUNTS])
    curve = [(AMONG.index(among), n, of) for (among, n), of in chance_curve(matches).items()]
    return {
        "counts": counts.astype(np.int32),  # kinds × 3 × predictions
        "r": np.stack([matches.target_r, matches.best_r, chance]),
        "best": matches.best.astype(np.int32),
        "curve": np.array(curve, dtype=np.float64).reshape(-1, 3),  # among, n, chance
        "summary": np.array([getattr(summary, name) for name in NUMBERS[:-1]]),
        "images": np.array(len(np.unique(matches.targets[matches.all[0] > 0]))),
    }
