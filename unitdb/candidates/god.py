"""``ImageFeatures.h5`` of generic object decoding: features of images, and means of categories.

Rows, columns and types are those that ``convertdata_ImageFeatures.m`` writes
(https://github.com/KamitaniLab/GenericObjectDecoding). Columns are units that were drawn from a
layer; which ones the file does not say, so that unit 0 is its first column.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import LayerInfo, UnitSelection, select_units
from unitdb.candidates.features import Layer
from unitdb.candidates.sets import CandidateSet
from unitdb.candidates.spec import GodCandidates
from unitdb.errors import CandidatesError
from unitdb.responses import open_bdata

__all__ = ["god_candidates"]

_CATEGORIES = 3  # the first type of rows that are means of categories


def god_candidates(
    name: str, spec: GodCandidates, *, data: Path, units: UnitSelection
) -> CandidateSet:
    """Candidates in ``ImageFeatures.h5``; features are read from it when asked for.

    Parameters
    ----------
    name : str
        Of the set.
    spec : GodCandidates
    data : Path
        Data folder.
    units : UnitSelection
        Of each layer; its units are counted by columns of the file.

    Raises
    ------
    CandidatesError
        A layer that has no columns, or another number of types.
    DatasetError
        The file is missing, damaged or not as described; names it.
    """
    path = data / spec.file
    with open_bdata(path) as file:
        kinds = file.column("FeatureType")
        rows, ids = list[NDArray[np.intp]](), list[str]()
        for kind in spec.types:
            found = np.flatnonzero(kinds == kind)
            if not len(found):
                raise CandidatesError(f"{path}: no row has FeatureType {kind}")
            column, pattern = (
                ("CatID", "imagenet-category") if kind >= _CATEGORIES else ("ImageID", "imagenet")
            )
            ids += file.numbered(column, pattern, rows=found)
            rows.append(found)
        columns = {layer: file.columns(f"{key} = 1") for layer, key in spec.layers.items()}
    of_all = np.concatenate(rows)
    return CandidateSet(
        name=name,
        ids=tuple(ids),
        labels=tuple(ids),
        n_pictures=(kinds[of_all] < _CATEGORIES).astype(np.int32),  # of means it is not known
        given={
            layer: _layer(path, layer, depth, of_all, mask, units)
            for depth, (layer, mask) in enumerate(columns.items())
        },
        source=f"{Path(spec.file).name}, FeatureType {', '.join(map(str, spec.types))}",
        description=spec.description,
    )


def _layer(
    path: Path,
    layer: str,
    depth: int,
    rows: NDArray[np.intp],
    mask: NDArray[np.bool_],
    units: UnitSelection,
) -> Layer:
    n_units = int(mask.sum())
    info = LayerInfo(
        name=layer,
        depth=depth,
        module=layer,
        kind="features (god)",
        shape=(n_units,),
        axes="N",
        n_units=n_units,
    )
    chosen = select_units(info, units)
    kept = np.zeros_like(mask)
    kept[np.flatnonzero(mask)[chosen]] = True

    def part(start: int, stop: int) -> NDArray[np.floating]:
        with open_bdata(path) as file, np.errstate(over="ignore"):  # not finite: refused later
            return file.values(rows[start:stop], kept).astype(np.float32)

    return Layer(chosen, part)
