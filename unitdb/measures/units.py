"""Table ``unit_summary``: each unit over subjects, ranked, with p and q.

q of a unit takes the p of all layers: p is kept in files until these are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from unitdb.analysis import (
    FalseDiscovery,
    lead_over_others,
    mean_over_subjects,
    summarise_units,
)
from unitdb.measures.protocol import Found, Layer, Measure, Network, Taking
from unitdb.publish import write_partition
from unitdb.sealed import read_npy, write_npy
from unitdb.tables import Scope, constant, float32, ordered, partition_keys

__all__ = ["UnitSummary", "means", "unit_summary_rows"]

Accuracies = Iterable[NDArray[np.float32]]
Float32 = NDArray[np.float32]


class UnitSummary(Measure):
    """Units over subjects."""

    tables = ("unit_summary",)

    def of_layer(self, layer: Layer) -> Found:
        """Keep p of the layer."""
        p = (
            np.full(layer.results.n_units, np.nan) if tested is None else tested.p
            for tested in map(layer.tested, range(layer.results.n_rois))
        )
        return Found(files=_save_p(layer.network.scratch, layer.name, p))

    def over_layers(self, network: Network) -> Taking:
        """Write q of all of them, then the partition of each layer."""
        return _Summaries(network)


class _Summaries(Taking):
    def __init__(self, network: Network) -> None:
        self._network, self._n_rois = network, len(network.scope.rois)
        _write_q(network.scratch, network.layers, n_rois=self._n_rois)

    def add(self, layer: Layer) -> Found:
        scope = self._network.scope
        p_and_q = _read_p_and_q(self._network.scratch, layer.name, n_rois=self._n_rois)
        pieces = unit_summary_rows(scope, layer.name, layer.units, layer.results, p_and_q)
        keys = partition_keys(scope, layer.name)
        return Found(files=[write_partition(self._network.staged, "unit_summary", keys, pieces)])


def unit_summary_rows(
    scope: Scope,
    layer: str,
    units: NDArray[np.int32],
    r: Accuracies,
    p_and_q: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> Iterator[pa.Table]:
    """Table ``unit_summary`` of one layer, a piece for each ROI, in the order of rows."""
    lead = lead_over_others(means(r))
    for roi, of_roi, leads, (p, q) in zip(scope.rois, r, lead, p_and_q, strict=True):
        found = summarise_units(of_roi)
        order = np.argsort(found.rank)
        yield ordered(
            "unit_summary",
            constant({**partition_keys(scope, layer), "roi": roi}, len(units))
            | {
                "unit": pa.array(units[order], pa.int32()),
                "n_subjects": pa.array(found.n_subjects[order], pa.int32()),
                "mean_r": float32(found.mean[order]),
                "sd_r": float32(found.sd[order]),
                "min_r": float32(found.minimum[order]),
                "max_r": float32(found.maximum[order]),
                "rank": pa.array(found.rank[order], pa.int32()),
                "lead_r": pa.array(leads[order], from_pandas=True),
                "p": pa.array(p[order], pa.float32(), from_pandas=True),
                "q": pa.array(q[order], pa.float32(), from_pandas=True),
            },
        )


def means(r: Accuracies) -> NDArray[np.float32]:
    """Mean accuracies over subjects as they are published, (n_rois, n_units)."""
    return np.stack([mean_over_subjects(of_roi).astype(np.float32) for of_roi in r])


def _save_p(folder: Path, layer: str, p: Iterable[Float32]) -> list[Path]:
    """Write p of a layer, for each ROI an array of shape (n_units,); gives the files."""
    files = []
    for roi, of_roi in enumerate(p):
        files.append(folder / layer / f"p-{roi:03d}.npy")
        _save(files[-1], of_roi)
    return files


def _write_q(folder: Path, layers: Sequence[str], *, n_rois: int) -> None:
    """Write q of each p, within an ROI over all layers; one ROI is in memory at a time.

    Parameters
    ----------
    folder : Path
        Where :func:`_save_p` has written p.
    layers : sequence of str
        All layers of the model.
    n_rois : int
    """
    for roi in range(n_rois):
        files = {layer: folder / layer / f"p-{roi:03d}.npy" for layer in layers}
        # What is published is float32, and q must follow from what is published.
        family = FalseDiscovery(map(_load, files.values()), dtype=np.float32)
        for path in files.values():
            _save(_q_of(path), family.q(_load(path)))


def _read_p_and_q(folder: Path, layer: str, *, n_rois: int) -> Iterator[tuple[Float32, Float32]]:
    """Read p and q of a layer, for each ROI arrays of shape (n_units,)."""
    for roi in range(n_rois):
        path = folder / layer / f"p-{roi:03d}.npy"
        yield _load(path), _load(_q_of(path))


def _q_of(path: Path) -> Path:
    return path.with_name(path.name.replace("p-", "q-"))


def _load(path: Path) -> Float32:
    found: Float32 = read_npy(path)
    return found


def _save(path: Path, values: NDArray[np.floating]) -> None:
    write_npy(path, values.astype(np.float32))
