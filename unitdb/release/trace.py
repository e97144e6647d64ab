"""From an accuracy back to the files that it was computed from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unitdb.errors import (
    QueryError,
    UnknownLayerError,
    UnknownModelError,
    UnknownRoiError,
    UnknownSubjectError,
)
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unitdb.release.opened import Release

__all__ = ["Trace", "trace"]

_ACCURACIES = """
    SELECT dataset, condition, roi, subject, r, build
    FROM accuracy WHERE model = $model AND layer = $layer AND unit = $unit
    ORDER BY dataset, condition, roi, subject
"""
_BUILDS = "SELECT * FROM builds WHERE build IN (SELECT unnest($builds)) ORDER BY build"
_INPUTS = """
    SELECT * FROM inputs
    WHERE build IN (SELECT unnest($builds))
      AND (subject IS NULL OR subject IN (SELECT unnest($subjects)))
    ORDER BY build, role, path
"""
_NETWORK = "SELECT weights_sha256, model_sha256 FROM models WHERE model = $model"


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What the accuracies of a unit are from.

    Parameters
    ----------
    release : str
        ``name@version``.
    model, layer : str
        Network and layer.
    unit : int
        C-order index in the layer.
    network : dict
        Hashes of the network: ``weights_sha256``, ``model_sha256``.
    accuracies : list of dict
        Rows of ``accuracy``: dataset, condition, roi, subject, r, build.
    builds : list of dict
        Rows of ``builds`` that they are from.
    inputs : list of dict or None
        Rows of ``inputs`` that those builds have read, but not the files of other subjects; None
        where the release follows a schema that does not have them.
    """

    release: str
    model: str
    layer: str
    unit: int
    network: dict[str, Any]
    accuracies: list[dict[str, Any]]
    builds: list[dict[str, Any]]
    inputs: list[dict[str, Any]] | None

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return vars(self)

    def __str__(self) -> str:
        """As an indented chain: unit, accuracies, builds, files."""
        lines = [f"{self.model}/{self.layer}/{self.unit} in {self.release}"]
        lines += [f"  {name} {value or 'not known'}" for name, value in self.network.items()]
        for build in self.builds:
            lines += ["", *self._of_build(build)]
        return "\n".join(lines)

    def _of_build(self, build: dict[str, Any]) -> list[str]:
        lines = [
            f"build {build['build']}: recipe {build['recipe']} ({build['recipe_sha256']})",
            f"  unitdb {build['unitdb_version']}, code {build['code_sha256']}",
            f"  decoder: {_said(build['decoder'])}; seed {build['seed']}",
            f"  packages: {_said(build['packages'])}",
        ]
        for row in self.accuracies:
            if row["build"] == build["build"]:
                r = "undefined" if row["r"] is None else f"{row['r']:.6f}"
                lines.append(
                    f"  r = {r}  {row['dataset']}/{row['condition']} {row['roi']} {row['subject']}"
                )
        if self.inputs is None:
            return [*lines, "  its files are not listed: the release is of an older schema"]
        for row in self.inputs:
            if row["build"] == build["build"]:
                lines += _of_input(row)
        return lines


def _said(settings: dict[str, Any]) -> str:
    """Settings in one line: ``voxels 500, alpha 100``."""
    return ", ".join(
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in settings.items()
    )


def _of_input(row: dict[str, Any]) -> list[str]:
    lines = [f"  {row['role']} {row['path']}", f"    sha256 {row['sha256']}"]
    if row["annex_key"]:
        lines.append(f"    annex key {row['annex_key']}")
    if row["datalad_id"]:
        lines.append(f"    DataLad dataset {row['datalad_id']}")
    if row["git_commit"]:
        lines.append(f"    commit {row['git_commit']}")
    return lines


def trace(
    release: Release, unit: str, *, roi: str | None = None, subject: str | None = None
) -> Trace:
    """Follow the accuracies of a unit back to the files that they were computed from.

    Parameters
    ----------
    release : Release
        The release.
    unit : str
        ``MODEL/LAYER/UNIT``, the unit by its C-order index in the layer.
    roi, subject : str, optional
        Only accuracies of these.

    Returns
    -------
    Trace
        Accuracies, builds and input files.

    Raises
    ------
    QueryError
        The unit is not written so, or the layer has none of that index here.
    UnknownModelError, UnknownLayerError, UnknownRoiError, UnknownSubjectError
        No such name; gives the nearest.
    """
    model, layer, index = UnitId.parse(unit)
    where = f"release {release.label}"
    layers = release.table("layers", ["model", "layer"]).astype(str)
    if model not in set(layers["model"]):
        raise UnknownModelError(model, sorted(set(layers["model"])), where=where)
    known = layers.loc[layers["model"] == model, "layer"].tolist()
    if layer not in known:
        raise UnknownLayerError(layer, known, where=f"{where}, model {model!r}")
    named = {"model": model, "layer": layer, "unit": index}
    accuracies = release.sql_arrow(_ACCURACIES, named).to_pylist()
    if not accuracies:
        raise QueryError(f"{where}: {_missing(release, model, layer, index)}")
    if roi is not None:
        rois = sorted({row["roi"] for row in accuracies})
        if roi not in rois:
            raise UnknownRoiError(roi, rois, where=where)
        accuracies = [row for row in accuracies if row["roi"] == roi]
    if subject is not None:
        subjects = sorted({row["subject"] for row in accuracies})
        if subject not in subjects:
            raise UnknownSubjectError(subject, subjects, where=where)
        accuracies = [row for row in accuracies if row["subject"] == subject]
    builds = _distinct(accuracies, "build")
    inputs = None
    if "inputs" in release.tables:
        asked = {"builds": builds, "subjects": _distinct(accuracies, "subject")}
        inputs = release.sql_arrow(_INPUTS, asked).to_pylist()
    return Trace(
        release=release.label,
        model=model,
        layer=layer,
        unit=index,
        network=release.sql_arrow(_NETWORK, {"model": model}).to_pylist()[0],
        accuracies=accuracies,
        builds=[
            row
            | {name: json.loads(row[name]) for name in ("decoder", "inputs", "packages", "units")}
            for row in release.sql_arrow(_BUILDS, {"builds": builds}).to_pylist()
        ],
        inputs=inputs,
    )


def _missing(release: Release, model: str, layer: str, unit: int) -> str:
    """Say that a unit is not there, and which is the nearest."""
    nearest = release.sql_arrow(
        "SELECT unit FROM unit_summary WHERE model = $model AND layer = $layer "
        "ORDER BY abs(unit - $unit) LIMIT 1",
        {"model": model, "layer": layer, "unit": unit},
    )["unit"]
    hint = f"; the nearest is {nearest[0].as_py()}" if len(nearest) else ""
    return f"unit {unit} of {model}/{layer} was not decoded{hint}"


def _distinct(rows: Sequence[dict[str, Any]], column: str) -> list[str]:
    return sorted({row[column] for row in rows})
