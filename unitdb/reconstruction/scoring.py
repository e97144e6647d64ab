"""Scores of reconstructions, image by image, beside floors that know no brain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from unitdb.activations import Stimuli, UnitSelection, extract
from unitdb.analysis import (
    identify_pictures,
    nearest,
    picture_correlation,
    structural_similarity,
)
from unitdb.predictions import check_worker
from unitdb.reconstruction.making import PictureStep, read_pictures
from unitdb.reconstruction.networks import NetworkSource
from unitdb.reconstruction.seen import Pictures, resized
from unitdb.resolution import is_constant
from unitdb.sealed import is_sealed, read_npy, write_npy, write_text

__all__ = ["FLOORS", "METRICS", "ScoreStep", "pixel_scores"]

Rows = NDArray[np.intp]
Values = dict[str, NDArray[np.float64]]
Key = tuple[str, int]
"""A source, and the number of the control."""

METRICS = (
    *("pixel_r", "centred_r", "ssim", "identification", "identification_raw"),
    *("identification_within", "identification_between", "category_share", "top1"),
    *(f"identification_{layer}" for layer in ("early", "middle", "late", "last")),
    "consistency",
)

FLOORS = ("mean", "class-mean", "nearest-training")

_OF_JUDGE = ("early", "middle", "late", "last")
_JUDGE_UNITS = 2000
_SMALLEST = 11  # pixels, of SSIM


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreStep:
    """All sources of a person's pictures.

    Parameters
    ----------
    seen : Path
        ``.npy``: pictures of all stimuli that matter, of the size of reconstructions.
    pictures : array of shape (n_pictures,)
        Those that are reconstructed, of these.
    candidates : array of int
        Those of the test set, of these.
    trained : sequence of array of int
        For each picture those that trained what it was decoded by.
    categories : array of int
        Of all stimuli; -1 where none is known.
    sources : mapping of (str, int) to (list of PictureStep, array of int)
        Tiles of each source and control, and which of the pictures they are of.
    floors : tuple of str
        Those that are scored too.
    scored_at : int
        Side of pictures whose pixels are compared.
    judge : NetworkSource, optional
    work : Path
        Folder for the judge's features.
    target : Path
        ``.json``; beside it pictures of the floors, ``.npy``.
    code : str
        Hash of the code that must do it.
    """

    seen: Path
    pictures: Rows
    candidates: Rows
    trained: Sequence[Rows]
    categories: NDArray[np.int64]
    sources: Mapping[Key, tuple[list[PictureStep], Rows]]
    floors: tuple[str, ...]
    scored_at: int
    judge: NetworkSource | None
    work: Path
    target: Path
    code: str

    def is_done(self) -> bool:
        """Whether the scores are there, as they were written.

        Returns
        -------
        bool
            True where nothing is left to do.
        """
        return is_sealed(self.target)

    def run(self) -> None:
        """Score all sources and write."""
        check_worker(self.code, self.seen)
        with threadpool_limits(1):
            seen = read_npy(self.seen)
            found: dict[Key, tuple[Pictures, Rows, Values]] = {}
            missing: dict[Key, NDArray[np.bool_]] = {}
            for key, (steps, of) in self.sources.items():
                made = read_pictures(steps)
                agreement = made.consistencies
                own = {} if agreement is None else {"consistency": agreement}
                found[key], missing[key] = (made.pictures, of, own), made.missing
            floors = []
            for name in self.floors:
                brain = found[("brain", 0)][0] if name == "nearest-training" else None
                floors.append(self._floor(name, seen, brain))
                found[(name, 0)] = (floors[-1], np.arange(len(self.pictures)), {})
                if brain is not None:
                    missing[(name, 0)] = missing[("brain", 0)]
            self._score(found, seen)
            for key, none in missing.items():
                for values in found[key][2].values():
                    values[none] = np.nan
        beside = self.target.with_suffix(".npy")
        write_npy(beside, np.stack(floors) if floors else np.empty(0, np.uint8))
        rows = [
            {"source": source, "control": control, "pictures": of.tolist()}
            | {name: _plain(values) for name, values in own.items()}
            for (source, control), (_, of, own) in found.items()
        ]
        write_text(self.target, json.dumps(rows), others=[beside])

    def _floor(self, name: str, seen: Pictures, brain: Pictures | None) -> Pictures:
        """A picture for each that knows no brain, or is a memory of another."""
        found = np.empty((len(self.pictures), *seen.shape[1:]), np.uint8)
        for place, (row, train) in enumerate(zip(self.pictures, self.trained, strict=True)):
            train = train[train != row]
            if name == "class-mean":
                same = train[self.categories[train] == self.categories[row]]
                train = same if self.categories[row] >= 0 and len(same) else train
            if name == "nearest-training" and brain is not None:
                side = min(self.scored_at, seen.shape[1])
                best = int(nearest(resized(brain[[place]], side), resized(seen[train], side))[0])
                found[place] = seen[train[max(best, 0)]]
            else:
                found[place] = seen[train].mean(axis=0).round()
        return found

    def _score(self, found: Mapping[Key, tuple[Pictures, Rows, Values]], seen: Pictures) -> None:
        side = min(self.scored_at, seen.shape[1])
        small = resized(seen, side)
        judged = self._judged([seen, *(made for made, _, _ in found.values())])
        for number, (made, of, own) in enumerate(found.values(), 1):
            pixels = resized(made, side)
            own |= pixel_scores(pixels, small, self.pictures[of], [self.trained[i] for i in of])
            own |= self._identified(pixels, small, of)
            for name, (resolution, features) in judged.items():
                rates = self._by_judge(features[number], features[0], of, resolution)
                own[f"identification_{name}"] = rates

    def _identified(self, made: Pictures, seen: Pictures, of: Rows) -> Values:
        """Identification among the candidates, and top-1 among these and those that trained."""
        found: Values = {}
        for places, train in self._alike(of):
            rows = self.pictures[of[places]]
            own = np.searchsorted(self.candidates, rows)
            mean = seen[train].mean(axis=0)
            among = partial(identify_pictures, targets=own, n_bootstrap=2)
            codes = self.categories[self.candidates]
            known = codes if (codes >= 0).any() else None
            every = among(made[places], seen[self.candidates], mean=mean, categories=known)
            raw = among(made[places], seen[self.candidates])
            everything = np.union1d(self.candidates, train)
            novel = identify_pictures(
                made[places],
                seen[everything],
                mean=mean,
                targets=np.searchsorted(everything, rows),
                n_bootstrap=2,
            )
            part = {
                "identification": every.pairwise.rates,
                "identification_raw": raw.pairwise.rates,
                "top1": novel.top1,
            }
            if every.within is not None and every.between is not None:
                part["identification_within"] = every.within.rates
                part["identification_between"] = every.between.rates
                part["category_share"] = _shares(codes, own)
            _place(found, part, places, len(of))
        return found

    def _by_judge(self, made: Any, seen: Any, of: Rows, resolution: float) -> NDArray[np.float64]:
        """Identification by features less their mean.

        They are not divided by their SD: of pictures with an even ground, units that hardly vary
        would outweigh all others.
        """
        found: Values = {}
        for places, train in self._alike(of):
            own = np.searchsorted(self.candidates, self.pictures[of[places]])
            rates = identify_pictures(
                made[places],
                seen[self.candidates],
                targets=own,
                mean=seen[train].mean(axis=0),
                sd=np.where(is_constant(seen[train], resolution=resolution), 0.0, 1.0),
                n_bootstrap=2,
            ).pairwise.rates
            _place(found, {"rates": rates}, places, len(of))
        return found["rates"]

    def _alike(self, of: Rows) -> list[tuple[Rows, Rows]]:
        """Places of pictures that the same pictures trained, and these."""
        groups: dict[bytes, list[int]] = {}
        for place, number in enumerate(of.tolist()):
            groups.setdefault(self.trained[number].tobytes(), []).append(place)
        return [
            (np.array(places, dtype=np.intp), self.trained[of[places[0]]])
            for places in groups.values()
        ]

    def _judged(
        self, pictures: Sequence[Pictures]
    ) -> dict[str, tuple[float, list[NDArray[np.float32]]]]:
        """Features of the judge, by layer, of each stack of pictures, and their resolution."""
        if self.judge is None:
            return {}
        model, found = self.judge.load(), dict[str, tuple[float, list[NDArray[np.float32]]]]()
        for stack in pictures:
            names = tuple(f"{number:06d}" for number in range(len(stack)))
            stimuli = Stimuli(ids=names, sources=("made",) * len(stack), read=stack.__getitem__)
            activations = extract(
                model, stimuli, folder=self.work, units=UnitSelection(sample=_JUDGE_UNITS)
            )
            words = _OF_JUDGE[-len(model.layers) :]
            for word, layer in zip(words, activations.layers, strict=True):
                kept = found.setdefault(word, (activations.resolution(layer), []))
                kept[1].append(np.array(activations.mapped(layer)))
        return found


def pixel_scores(
    made: Pictures, seen: Pictures, rows: Rows, trained: Sequence[Rows]
) -> dict[str, NDArray[np.float64]]:
    """Correlation with the picture seen, also less the mean training picture, and SSIM.

    Parameters
    ----------
    made : array of shape (n, side, side, 3)
    seen : array of shape (n_stimuli, side, side, 3)
    rows : array of shape (n,)
        Which of them each is of.
    trained : sequence of array of int
        Those that trained each.
    """
    true = seen[rows]
    centred = [
        picture_correlation(made[[i]], true[[i]], mean=seen[own].mean(axis=0))[0]
        for i, own in enumerate(trained)
    ]
    found = {"pixel_r": picture_correlation(made, true), "centred_r": np.array(centred)}
    if made.shape[1] >= _SMALLEST:
        found["ssim"] = structural_similarity(made, true)
    return found


def _shares(codes: NDArray[np.int64], own: Rows) -> NDArray[np.float64]:
    """Share of each picture's category among its rivals: unknown where one has no category."""
    rivals = len(codes) - 1
    if not rivals or (codes < 0).any():
        return np.full(len(own), np.nan)
    return np.array([(codes == codes[row]).sum() - 1 for row in own]) / rivals


def _place(found: Values, part: Values, places: Rows, n: int) -> None:
    for name, values in part.items():
        found.setdefault(name, np.full(n, np.nan))[places] = values


def _plain(values: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]
