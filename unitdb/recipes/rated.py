"""Units as another release rates them: chosen by pictures that are not those reconstructed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unitdb.errors import RecipeError
from unitdb.files import sha256_file
from unitdb.release import open_release

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel

__all__ = ["RatedUnits", "rated_units"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RatedUnits:
    """Mean accuracy of units in a release, over its subjects and ROIs.

    Parameters
    ----------
    label : str
        Of the release.
    sha256 : str
        Of its checksums.
    units, accuracy : mapping of str to array
        By layer: flat C-order indices, and mean r of each.
    """

    label: str
    sha256: str
    units: Mapping[str, NDArray[np.int64]]
    accuracy: Mapping[str, NDArray[np.float64]]


def rated_units(
    by: str,
    *,
    folder: Path,
    model: LoadedModel,
    layers: Collection[str],
    pictures: Collection[str],
    where: str,
) -> RatedUnits:
    """Accuracies of units in a release that has not tested any of some pictures.

    Parameters
    ----------
    by : str
        Its folder, relative to ``folder``, or its name.
    folder : Path
        Of the recipe.
    model : LoadedModel
        The network that the units are of.
    layers : collection of str
    pictures : collection of str
        SHA-256 of the pictures that are reconstructed.
    where : str
        For messages.

    Raises
    ------
    RecipeError
        It is of another network or lacks a layer, or choosing by it would be circular.
    """
    path = folder / by
    release = open_release(path if path.is_dir() else by)
    own = model.spec.name
    models = release.table("models", ["model", "model_sha256"]).astype(str)
    if model.model_sha256 not in set(models["model_sha256"]):
        raise RecipeError(
            f"{where}: release {release.label} has not decoded the network {own!r} with these "
            f"weights and this preprocessing, but {', '.join(models['model'])}"
        )
    theirs = models.set_index("model_sha256").loc[model.model_sha256, "model"]
    stimuli = release.table("stimuli", ["split", "sha256"]).astype(str)
    tested = set(stimuli.loc[stimuli["split"] != "train", "sha256"])
    if common := tested.intersection(pictures):
        raise RecipeError(
            f"{where}: units chosen by release {release.label} would be chosen by {len(common)} of "
            "the pictures that are then reconstructed, which is circular: name a release whose "
            "test images are others, or `by: training`"
        )
    rows = release.sql(
        "SELECT layer, unit, avg(mean_r) AS r FROM unit_summary WHERE model = ? AND mean_r IS NOT "
        "NULL GROUP BY ALL ORDER BY layer, unit",
        [theirs],
    )
    of = {str(name): part for name, part in rows.groupby("layer", observed=True)}
    for layer in layers:
        if layer not in of:
            raise RecipeError(f"{where}: release {release.label} has no units of layer {layer!r}")
    return RatedUnits(
        label=release.label,
        sha256=sha256_file(Path(str(release.path)) / "SHA256SUMS"),
        units={layer: of[layer]["unit"].to_numpy(np.int64) for layer in layers},
        accuracy={layer: of[layer]["r"].to_numpy(float) for layer in layers},
    )
