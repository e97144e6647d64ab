"""Compute intervals and BH scores again, by the functions and seeds that built them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc
from threadpoolctl import ThreadpoolController

from unitdb.analysis import best_in_groups, best_units, channel_blocks, mean_over_subjects
from unitdb.errors import CorruptReleaseError
from unitdb.measures import (
    HierarchyTables,
    agreement,
    intersubject_rows,
    layer_reliability_rows,
)
from unitdb.release.rows import distinct, split
from unitdb.tables import AtHand, Scope
from unitdb.unitids import UnitId
from unitdb.verification.reading import Voxels
from unitdb.verification.recomputed._patterns import Patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from unitdb.recipes import Recipe
    from unitdb.verification.reading import Decoded

__all__ = ["Computed"]

_NEAR = 1e-6
"""Of correlations and ends of intervals: two processors sum in other orders."""
_CERTAIN = 1 - 1e-9
"""A correlation nearer to ±1: rounding decides whether there is an interval."""
_PLACE = ("dataset", "condition", "model", "layer", "roi")
_PAIRS = (
    "n_blocks",
    *(f"{name}_{end}" for name in ("pearson", "spearman") for end in ("low", "high")),
)
_SCORES = ("score", "score_low", "score_high", "over", "n_units", "n_counted", "rois", "n_stimuli")

Row = dict[str, Any]


class Computed:
    """Rows whose numbers are computed again, a partition at a time.

    Parameters
    ----------
    described : mapping of str to list of dict
        Rows of the tables that the numbers refer to.
    small : mapping of str to pyarrow.Table
        All tables that are one file.
    recipe : Recipe or None
        None where accuracies were imported.
    """

    def __init__(
        self,
        described: Mapping[str, list[Row]],
        small: Mapping[str, pa.Table],
        recipe: Recipe | None,
    ) -> None:
        # Looking for libraries beside another thread that loads one could wait forever.
        self._threads = ThreadpoolController()
        self._recipe = recipe
        self._kept = {name: _kept_units(small[name]) for name in ("prediction", "activation")}
        self._rois: dict[str, list[str]] = defaultdict(list)
        for row in sorted(described["rois"], key=lambda row: int(row["place"])):
            self._rois[row["dataset"]].append(row["roi"])
        self._n_targets = {
            (row["dataset"], row["condition"]): row["n_targets"] for row in described["test_sets"]
        }
        self._n_sets = Counter(dataset for dataset, _ in self._n_targets)
        self._highest: dict[tuple[str, ...], list[NDArray[np.float32]]] = defaultdict(list)
        self._patterns = Patterns(described, small)
        self._summaries = _by_place(small["layer_summary"].to_pylist())
        self._builds = {(row["dataset"], row["model"]): row for row in described["builds"]}
        self._layers = {(row["model"], row["layer"]): row for row in described["layers"]}
        self._scores: dict[tuple[str, ...], list[Row]] = defaultdict(list)
        for row in described["hierarchy"]:
            self._scores[row["dataset"], row["condition"], row["model"]].append(row)
        n_voxels = {
            (row["dataset"], row["roi"], row["subject"]): row["n_voxels"]
            for row in described["subjects"]
        }
        self._voxels = Voxels(small["encoding"], n_voxels)
        self._encoded_rows = split(small["encoding"], _PLACE[:-1])
        self._pairs = _by_place(small["intersubject"].to_pylist())
        self._reliable = _by_place(small["layer_reliability"].to_pylist())
        self._network: tuple[str, ...] = ()
        self._seen: list[str] = []
        self._hierarchy: HierarchyTables

    def check(self, data: Decoded, keys: Sequence[str]) -> None:
        """Raise CorruptReleaseError where a number of a partition is not what it gives.

        Parameters
        ----------
        data : Decoded
            Accuracies.
        keys : sequence of str
            Dataset, condition, model and layer; layers of a network in their order.
        """
        with self._threads.limit(limits=1):  # as it was built
            self._check(data, keys)

    def _check(self, data: Decoded, keys: Sequence[str]) -> None:
        dataset, condition, model, layer = keys
        scope = Scope(
            build=self._builds[dataset, model]["build"],
            dataset=dataset,
            condition=condition,
            model=model,
            rois=tuple(roi for roi, _, _ in data.parts),
            subjects=tuple(data.parts[0][1]),
        )
        if self._network != (dataset, condition, model):
            self.finish()
            self._start(scope)
        self._seen.append(layer)
        row = self._layers[model, layer]
        blocks = channel_blocks(row["shape"], data.units, axes=row["axes"])
        for roi, _, r in data.parts:
            found = agreement(r, blocks=blocks)
            pairs = intersubject_rows(scope, layer, roi, found)
            self._check_pairs((*self._network, layer, roi), pairs)
            reliable = layer_reliability_rows(scope, layer, roi, r, blocks=blocks)
            place = (*self._network, layer, roi)
            for own, row in zip(self._reliable[place], reliable, strict=True):
                _compare(
                    ("layer_reliability", *place), own, row, ("reliability_low", "reliability_high")
                )
        r = np.stack([of_roi for _, _, of_roi in data.parts])
        self._hierarchy.add(layer, blocks, AtHand(r).accuracies)
        self._check_kept(keys, data.units, r, blocks)
        self._check_encoded(keys, data)
        places = [(*keys, roi) for roi in scope.rois]
        self._patterns.check(
            keys,
            [row for place in places for row in self._summaries[place]],
            [row for place in places for row in self._pairs[place]],
        )

    def _check_kept(
        self, keys: Sequence[str], units: np.ndarray, r: np.ndarray, channels: np.ndarray
    ) -> None:
        """The units kept image by image are those that the recipe asks for, of all test sets."""
        dataset, _, model, layer = keys
        seen = self._highest[dataset, model, layer]
        seen.append(np.fmax.reduce([mean_over_subjects(of).astype(np.float32) for of in r]))
        if len(seen) < self._n_sets[dataset]:
            return
        highest = [of_set[None] for of_set in self._highest.pop((dataset, model, layer))]
        predicted, shown = set[int](), set[int]()
        if self._recipe is not None:
            keep = self._recipe.keep
            also = [UnitId.parse(unit) for unit in keep.also]
            predicted = set(units[best_units(highest, keep.units)].tolist())
            predicted |= {of.unit for of in also if of[:2] == (model, layer)}
            shown = set(predicted)
            if keep.channels:
                shown |= set(units[best_in_groups(highest, channels)].tolist())
        for name, expected in (("prediction", predicted), ("activation", shown)):
            differ = sorted(expected ^ self._kept[name].get((dataset, model, layer), set()))
            if differ:
                raise CorruptReleaseError(
                    f"{name}: {'/'.join(keys)}: the recipe keeps {len(expected)} units; too many "
                    f"or missing: {', '.join(map(str, differ[:5]))}"
                )

    def _check_encoded(self, keys: Sequence[str], data: Decoded) -> None:
        """Voxels are predicted from a layer in all ROIs and subjects, or from none."""
        dataset, condition, model, layer = keys
        found = self._encoded_rows.get((dataset, condition, model, layer))
        places = set() if found is None else distinct(found, ("roi", "subject"))
        expected = set() if self._builds[dataset, model]["encoding"] is None else set(data.groups)
        differ = sorted(expected ^ places)
        if differ:
            raise CorruptReleaseError(
                f"encoding: {'/'.join(keys)}: missing or not in builds.encoding: "
                f"{', '.join('/'.join(pair) for pair in differ[:5])}"
            )

    def _check_pairs(self, place: tuple[str, ...], expected: Iterable[Row]) -> None:
        stored = {(row["subject_a"], row["subject_b"]): row for row in self._pairs[place]}
        for row in expected:
            pair = (row["subject_a"], row["subject_b"])
            own, where = stored[pair], ("intersubject", *place, *pair)
            _compare(where, own, row, _PAIRS)
            _check_symmetry(where, own, "partial")

    def _start(self, scope: Scope) -> None:
        self._network, self._seen = (scope.dataset, scope.condition, scope.model), []
        seed = self._builds[scope.dataset, scope.model]["seed"] or 0
        rois = self._rois[scope.dataset]
        if self._recipe is not None:
            rois = self._recipe.hierarchy_of(scope.dataset) or rois
        n_stimuli = self._n_targets[scope.dataset, scope.condition]
        self._hierarchy = HierarchyTables(scope, rois, n_stimuli=n_stimuli, seed=seed)

    def finish(self) -> None:
        """Check the scores of the last network."""
        if self._network:
            with self._threads.limit(limits=1):
                self._check_scores()

    def _check_scores(self) -> None:
        """Compare the BH scores of a network, all of whose layers are counted."""
        encoded = self._builds[self._network[0], self._network[2]]["encoding"] is not None
        expected = {
            (row["kind"], row["method"]): row
            for row in self._hierarchy.rows(self._encoded if encoded else None)["hierarchy"]
        }
        own = {(row["kind"], row["method"]): row for row in self._scores[self._network]}
        differ = sorted("/".join(kind) for kind in expected.keys() ^ own.keys())
        if differ:
            raise CorruptReleaseError(
                f"hierarchy: {'/'.join(self._network)}: missing or too many: {', '.join(differ)}"
            )
        for kind, row in own.items():
            _compare(("hierarchy", *self._network, *kind), row, expected[kind], _SCORES)

    def _encoded(self, roi: str, _: int) -> list[NDArray[np.float32]]:
        """Encoding accuracies of each subject's voxels, (n_layers, n_voxels); no controls."""
        found = self._voxels.of_subjects(self._network, self._seen, roi)
        return [r.astype(np.float32) for r in found]


def _by_place(rows: Iterable[Row]) -> Mapping[tuple[str, ...], list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in _PLACE)].append(row)
    return found


def _compare(where: tuple[str, ...], own: Row, expected: Row, columns: Iterable[str]) -> None:
    for name in columns:
        stated, value = own[name], expected[name]
        if isinstance(value, float) or isinstance(stated, float):
            a, b = (math.nan if one is None else one for one in (stated, value))
            same = abs(a - b) <= _NEAR or (math.isnan(a) and math.isnan(b))
            centre = own.get(f"{name.rpartition('_')[0]}_r")
            same |= centre is not None and abs(centre) > _CERTAIN
        else:
            same = stated == value
        if not same:
            raise CorruptReleaseError(
                f"{where[0]}: {'/'.join(where[1:])}: {name} is {stated}, but the accuracies give "
                f"{value}"
            )


def _check_symmetry(where: tuple[str, ...], own: Row, name: str) -> None:
    """Check an interval  tanh(artanh(r) ± d):  its middle, on that scale, is r."""
    low, r, high = (own[f"{name}_{end}"] for end in ("low", "r", "high"))
    if low is None or high is None or r is None or max(abs(low), abs(high)) > _CERTAIN:
        return
    middle = math.tanh((math.atanh(low) + math.atanh(high)) / 2)
    if abs(middle - r) > _NEAR:
        raise CorruptReleaseError(
            f"{where[0]}: {'/'.join(where[1:])}: {name}_r is {r}, but {middle} is the middle of "
            f"its interval {low} to {high}, on the scale of artanh"
        )


def _kept_units(table: pa.Table) -> Mapping[tuple[str, ...], set[int]]:
    """Units that a table has rows of, by dataset, network and layer."""
    by = [name for name in _PLACE[:-1] if name in table.column_names]
    found: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for place, rows in split(table, by).items():
        dataset, *_, model, layer = place
        found[dataset, model, layer] |= set(pc.unique(rows["unit"]).to_pylist())
    return found
