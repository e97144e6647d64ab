"""Published accuracies → tables, layer by layer → release."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import unitdb
from unitdb.build.provenance import code_sha256, package_versions
from unitdb.build.tables import (
    accuracy_rows,
    intersubject_rows,
    layer_summary_rows,
    partition_keys,
    table_of,
    unit_summary_rows,
)
from unitdb.errors import PublishedFileError, ReleaseExistsError
from unitdb.files import sha256_file
from unitdb.imports.layouts import Layout, Source, find_sources, get_layout
from unitdb.imports.matfile import read_accuracy
from unitdb.publish import ReleaseInfo, publish_release, write_partition, write_table
from unitdb.specs import canonical_json, content_sha256

__all__ = ["Imported", "import_accuracies"]

_N_TEST = 50
_UNSTATED = "not stated by the published accuracies"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A release that was made, and the files that its publication has and the folder has not."""

    release: Path
    missing: tuple[str, ...]


def import_accuracies(
    layout: str,
    folder: Path,
    *,
    releases: Path,
    name: str | None = None,
    version: str = "1.0.0",
    networks: Sequence[str] = (),
    layers: Sequence[str] = (),
    simulated: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Imported:
    """Make a release of published accuracies.

    Parameters
    ----------
    layout : str
        ``decodeddnn`` or ``bhscore``.
    folder : Path
        The folder that the publisher's archives were unpacked to.
    releases : Path
        Folder of releases.
    name, version : str
        Of the release; the name is by default the layout's.
    networks, layers : sequence of str
        Only these; all that are there by default.
    simulated : bool
        Mark the release as simulated, for folders of made-up numbers.
    progress : callable, optional
        Called with the name of a step, what is done and what is to do.

    Raises
    ------
    PublishedFileError
        A file is damaged or has another number of units than expected; nothing is published.
    ReleaseExistsError
        This version is published already.
    UnknownNameError
        A layout, network or layer that is not there.
    """
    plan = get_layout(layout)
    source = find_sources(folder, plan, networks=tuple(networks), layers=tuple(layers))
    info = _info(plan, name or plan.name, version, simulated=simulated)
    target = releases / info.name / info.version
    if target.exists():
        raise ReleaseExistsError(f"{target} exists, and releases are immutable: raise --version")
    work = releases / ".work"
    work.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f"import-{info.name}-", dir=work))
    staged.chmod(0o755)
    try:
        _stage(source, staged, info, progress)
        publish_release(
            staged,
            releases,
            info=info,
            progress=progress and (lambda done, total: progress("verify", done, total)),
        )
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Imported(release=target, missing=source.missing)


def _stage(
    source: Source,
    staged: Path,
    info: ReleaseInfo,
    progress: Callable[[str, int, int], None] | None,
) -> None:
    rows: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("models", "layers", "builds", "layer_summary", "intersubject")
    }
    total, done = sum(map(len, source.layers.values())), 0
    for network, names in source.layers.items():
        paths = _paths(source, network, names)
        files = {path: sha256_file(source.folder / path) for path in paths}
        build = content_sha256([network, files, unitdb.__version__, code_sha256()])[:12]
        job = _view(source, network, build)
        rows["models"].append(_model_row(source.layout, network, len(names)))
        rows["builds"].append(_build_row(source.layout, network, build, files, info))
        depths = {layer: i for i, layer in enumerate(source.layout.networks[network].layers)}
        for published in names:
            r, shape = _read_layer(source, network, published)
            layer = _stored_name(published)
            units, keys = np.arange(r.shape[2], dtype=np.int32), partition_keys(job, layer)
            write_partition(staged, "accuracy", keys, accuracy_rows(job, layer, units, r))
            write_partition(staged, "unit_summary", keys, unit_summary_rows(job, layer, units, r))
            rows["layer_summary"] += layer_summary_rows(job, layer, r)
            rows["intersubject"] += intersubject_rows(job, layer, r)
            rows["layers"].append(
                {
                    "model": network,
                    "layer": layer,
                    "depth": depths[published],
                    "module": published,
                    "kind": _UNSTATED,
                    "shape": list(shape),
                    "n_units": len(units),
                }
            )
            done += 1
            if progress:
                progress("import", done, total)
    for name, found in (_dataset_tables(source, simulated=info.simulated) | rows).items():
        write_table(staged, name, table_of(name, found))


def _stored_name(layer: str) -> str:
    """Name that may become a folder: ``resnet:block1`` becomes ``resnet.block1``."""
    return re.sub(r"[^A-Za-z0-9._+-]", ".", layer)


def _paths(source: Source, network: str, layers: Sequence[str]) -> list[str]:
    """Files of a network."""
    return [
        source.layout.path(network, layer, subject, roi)
        for layer in layers
        for subject in source.subjects
        for roi in source.rois
    ]


def _read_layer(
    source: Source, network: str, layer: str
) -> tuple[NDArray[np.float32], tuple[int, ...]]:
    """Accuracies of a layer, (n_rois, n_subjects, n_units), ROIs sorted, and its shape."""
    n_units = source.layout.networks[network].layers[layer]
    expected: tuple[int, ...] | None = None
    r: NDArray[np.float32] | None = None
    for i, roi in enumerate(sorted(source.rois)):  # the order of rows: code points
        for j, subject in enumerate(source.subjects):
            path = source.folder / source.layout.path(network, layer, subject, roi)
            values, shape = read_accuracy(path)
            if n_units is not None and len(values) != n_units:
                raise PublishedFileError(
                    f"{path}: {len(values):,} units; {network}/{layer} has {n_units:,}"
                )
            if expected is not None and shape != expected:
                raise PublishedFileError(
                    f"{path}: shape {shape}, but other files of {network}/{layer} have {expected}"
                )
            if r is None:
                r = np.empty((len(source.rois), len(source.subjects), len(values)), np.float32)
                expected = shape
            r[i, j] = values
    assert r is not None and expected is not None  # noqa: S101, PT018 - a layer has files
    return r, expected


def _view(source: Source, network: str, build: str) -> Any:
    """What the rows of the large tables need to know of a build."""
    return SimpleNamespace(
        build=build,
        model=SimpleNamespace(spec=SimpleNamespace(name=network)),
        dataset=SimpleNamespace(
            spec=SimpleNamespace(name=source.layout.name, condition="perception"),
            rois=sorted(source.rois),
            subjects=[SimpleNamespace(subject=subject) for subject in source.subjects],
        ),
    )


def _dataset_tables(source: Source, *, simulated: bool) -> dict[str, list[dict[str, Any]]]:
    layout = source.layout
    dataset = {"dataset": layout.name}
    return {
        "datasets": [
            dataset
            | {
                "title": layout.title,
                "simulated": simulated,
                "licence": _UNSTATED,
                "source": layout.source,
                "citation": layout.citation,
                "n_subjects": len(source.subjects),
                "n_stimuli": None,
                "voxel_selection": True,
                "zscore": True,
            }
        ],
        "rois": [
            dataset
            | {
                "roi": roi,
                "place": place,
                "description": layout.rois[roi],
            }
            for place, roi in enumerate(source.rois)
        ],
        "subjects": [
            dataset
            | {
                "subject": subject,
                "roi": roi,
                "n_voxels": None,
                "n_train": None,
                "n_test": _N_TEST,
                "responses_sha256": None,
            }
            for subject in source.subjects
            for roi in source.rois
        ],
        "stimuli": [],  # which pictures they were is not part of the publication
    }


def _model_row(layout: Layout, network: str, n_layers: int) -> dict[str, Any]:
    return {
        "model": network,
        "title": f"{network}, as published in {layout.name}",
        "weights_sha256": None,
        "model_sha256": None,
        "factory": _UNSTATED,
        "preprocessing": canonical_json({"note": _UNSTATED}),
        "licence": _UNSTATED,
        "source": layout.source,
        "citation": layout.citation,
        "checked_on": None,
        "n_layers": n_layers,
    }


def _build_row(
    layout: Layout, network: str, build: str, files: dict[str, str], info: ReleaseInfo
) -> dict[str, Any]:
    return {
        "build": build,
        "recipe": f"import {layout.name}",
        "recipe_sha256": info.recipe_sha256,
        "dataset": layout.name,
        "model": network,
        "decoder": canonical_json({"published": layout.citation}),
        "units": canonical_json({"sample": None, "seed": 0}),  # all of them
        "n_folds": None,
        "seed": None,
        "inputs": canonical_json({"files": content_sha256(files)}),
        "unitdb_version": unitdb.__version__,
        "code_sha256": code_sha256(),
        "packages": canonical_json(package_versions()),
    }


def _info(layout: Layout, name: str, version: str, *, simulated: bool) -> ReleaseInfo:
    return ReleaseInfo(
        name=name,
        version=version,
        title=layout.title,
        description="Accuracies as their authors published them, not computed by unitdb. Numbers "
        "of voxels and hashes of weights and pictures are not part of the publication.",
        simulated=simulated,
        licence=_UNSTATED,
        citation=layout.citation,
        recipe_text=f"# imported, not built\nimport: {layout.name}\n",
        recipe_sha256=content_sha256(["import", layout.name]),
        changelog=[(version, "Imported.")],
    )
