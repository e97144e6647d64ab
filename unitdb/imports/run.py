"""Published accuracies → tables, layer by layer → release."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import unitdb
from unitdb.analysis import Blocks, channel_blocks
from unitdb.axes import usual_axes
from unitdb.build.identity import BY_FORMULA
from unitdb.build.origins import input_rows
from unitdb.errors import PublishedFileError, ReleaseExistsError
from unitdb.files import locked
from unitdb.imports.layouts import Layout, Source, find_sources, get_layout
from unitdb.imports.matfile import read_accuracy
from unitdb.publish import ReleaseInfo, publish_release, write_partition, write_table
from unitdb.release import open_release
from unitdb.specs import canonical_json, content_sha256
from unitdb.tables import (
    AtHand,
    HierarchyTables,
    InputFile,
    RecurrenceTable,
    Scope,
    Use,
    accuracy_rows,
    agreement,
    by_formula,
    code_sha256,
    describe_files,
    intersubject_rows,
    layer_reliability_rows,
    layer_summary_rows,
    package_versions,
    partition_keys,
    table_of,
)
from unitdb.tables.discovery import read_p_and_q, save_p, write_q
from unitdb.tables.rows import histogram_rows, unit_summary_rows
from unitdb.tables.statistics import Tested

__all__ = ["Imported", "import_accuracies"]

_N_TEST = 50
_UNSTATED = "not stated by the published accuracies"
_SAMPLED = (
    " Units are those that the authors drew from each layer, numbered as in their files: their "
    "places in the layer are not in these, and shapes of layers are those of the samples."
)


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A release that was made, and what could not be held against its publication.

    Parameters
    ----------
    release : Path
        Its folder.
    missing : tuple of str
        Files that the publication has and the folder has not.
    unchecked : tuple of str
        Networks with a layer whose number of units cannot be told from what is known: files were
        held against each other alone.
    """

    release: Path
    missing: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Build:
    """Files of a network, and the name of the build that they make."""

    name: str
    files: Mapping[str, str]
    uses: tuple[Use, ...]
    described: Mapping[Path, InputFile]


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
        This version is published already, with other content; with the same, nothing is done.
    UnknownNameError
        A layout, network or layer that is not there.
    """
    plan = get_layout(layout)
    source = find_sources(folder, plan, networks=tuple(networks), layers=tuple(layers))
    info = _info(source, name or plan.name, version, simulated=simulated)
    target = releases / info.name / info.version
    builds = {network: _read_build(source, network) for network in source.layers}
    work = releases / ".work" / f"import-{info.name}-{info.version}"
    with locked(work.with_name(f"{work.name}.lock")):
        if target.exists():
            if not _is_same(target, info, builds):
                raise ReleaseExistsError(
                    f"{target} exists with other content, and releases are immutable: "
                    "raise --version"
                )
        else:
            shutil.rmtree(work, ignore_errors=True)  # of an import that was killed
            try:
                _stage(source, work, info, builds, progress)
                publish_release(
                    work / "staged",
                    releases,
                    info=info,
                    progress=progress and (lambda done, total: progress("verify", done, total)),
                )
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return Imported(release=target, missing=source.missing, unchecked=_unchecked(source, target))


def _unchecked(source: Source, release: Path) -> tuple[str, ...]:
    layers = open_release(release).table("layers", ["model", "n_units"])
    largest = layers.groupby("model")["n_units"].max()
    return tuple(
        network
        for network, found in source.layers.items()
        if largest[network] > (source.layout.fewest or 0)
        and any(source.layout.networks[network].layers[layer] is None for layer in found)
    )


def _stage(
    source: Source,
    work: Path,
    info: ReleaseInfo,
    builds: Mapping[str, _Build],
    progress: Callable[[str, int, int], None] | None,
) -> None:
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    staged = work / "staged"
    total, done = sum(map(len, source.layers.values())), 0
    for network, names in source.layers.items():
        build = builds[network]
        scope = _scope(source, network, build.name)
        hierarchy = HierarchyTables(scope, source.rois, n_stimuli=_N_TEST)
        recurrence = RecurrenceTable(scope)
        rows["models"].append(_model_row(source.layout, network, len(names)))
        rows["builds"].append(_build_row(source.layout, network, build, info))
        rows["inputs"] += input_rows(build.name, build.uses, build.described)
        depths = {layer: i for i, layer in enumerate(source.layout.networks[network].layers)}
        counts: dict[str, int] = {}
        for published in names:
            r, shape = _read_layer(source, network, published)
            counts[published] = r.shape[2]
            layer = _stored_name(published)
            units, keys = np.arange(r.shape[2], dtype=np.int32), partition_keys(scope, layer)
            write_partition(staged, "accuracy", keys, accuracy_rows(scope, layer, units, r))
            # matfile.py reads (C, H, W) and (units,), and no other shapes.
            blocks = channel_blocks(shape)
            tested = _add_statistics(rows, scope, layer, blocks, r)
            for table, found in histogram_rows(scope, layer, r).items():
                rows[table] += found
            save_p(work / "p" / network, layer, [of_roi.p for of_roi in tested])
            hierarchy.add(layer, blocks, AtHand(r).accuracies)
            recurrence.add(AtHand(r).accuracies)
            rows["layers"].append(
                {
                    "model": network,
                    "layer": layer,
                    "depth": depths[published],
                    "module": published,
                    "kind": _UNSTATED,
                    "shape": list(shape),
                    "axes": usual_axes(shape),
                    "n_units": len(units),
                }
            )
            done += 1
            if progress:
                progress("import", done, total)
        _check_samples(source, network, counts)
        for name, found in hierarchy.rows().items():
            rows[name] += found
        rows["recurrence"] += recurrence.rows()
        _write_unit_summary(source, network, scope, work)
    for name, found in (_dataset_tables(source, simulated=info.simulated) | rows).items():
        write_table(staged, name, table_of(name, found))


def _add_statistics(
    rows: Mapping[str, list[dict[str, Any]]],
    scope: Scope,
    layer: str,
    blocks: Blocks,
    r: NDArray[np.float32],
) -> list[Tested]:
    """Add what a layer gives to the tables of summaries; returns its significance by ROI."""
    found = []
    for roi, of_roi in zip(scope.rois, r, strict=True):
        tested = by_formula(of_roi, [_N_TEST] * len(of_roi))
        rows["layer_summary"].extend(layer_summary_rows(scope, layer, roi, of_roi, tested=tested))
        pairs = agreement(of_roi, blocks=blocks)
        rows["intersubject"].extend(intersubject_rows(scope, layer, roi, pairs))
        rows["layer_reliability"].extend(
            layer_reliability_rows(scope, layer, roi, of_roi, blocks=blocks)
        )
        found.append(tested)
    return found


def _write_unit_summary(source: Source, network: str, scope: Scope, work: Path) -> None:
    """Write unit_summary of a network; false discovery rates take the p of all its layers."""
    layers = {_stored_name(published): published for published in source.layers[network]}
    folder, n_rois = work / "p" / network, len(scope.rois)
    write_q(folder, list(layers), n_rois=n_rois)
    for layer, published in layers.items():
        r, _ = _read_layer(source, network, published)
        units = np.arange(r.shape[2], dtype=np.int32)
        p_and_q = read_p_and_q(folder, layer, n_rois=n_rois)
        pieces = unit_summary_rows(scope, layer, units, r, p_and_q)
        write_partition(work / "staged", "unit_summary", partition_keys(scope, layer), pieces)


def _read_build(source: Source, network: str) -> _Build:
    """Hash the files of a network."""
    uses = tuple(
        Use(path=source.folder / path, role="accuracies", subject=subject)
        for path, subject in _paths(source, network, source.layers[network]).items()
    )
    described = describe_files([use.path for use in uses], bases=[source.folder])
    files = {
        use.path.relative_to(source.folder).as_posix(): described[use.path].sha256 for use in uses
    }
    name = content_sha256([network, files, unitdb.__version__, code_sha256()])[:12]
    return _Build(name=name, files=files, uses=uses, described=described)


def _is_same(target: Path, info: ReleaseInfo, builds: Mapping[str, _Build]) -> bool:
    """Whether a published release is what would be imported."""
    found = open_release(target).table("builds", ["build", "recipe_sha256"]).astype(str)
    wanted = {(build.name, info.recipe_sha256) for build in builds.values()}
    return set(found.itertuples(index=False, name=None)) == wanted


def _stored_name(layer: str) -> str:
    """Name that may become a folder: ``resnet:block1`` becomes ``resnet.block1``."""
    return re.sub(r"[^A-Za-z0-9._+-]", ".", layer)


def _paths(source: Source, network: str, layers: Sequence[str]) -> dict[str, str]:
    """Files of a network, and the subject that each is of."""
    return {
        source.layout.path(network, layer, subject, roi): subject
        for layer in layers
        for subject in source.subjects
        for roi in source.rois
    }


def _check_samples(source: Source, network: str, counts: Mapping[str, int]) -> None:
    """Hold samples of units to their common size, which no layer falls short of but for its own."""
    if source.layout.fewest is None:
        return
    size = max(counts.values())
    for layer, n in counts.items():
        n_units = source.layout.networks[network].layers[layer]
        least = source.layout.fewest if n_units is None else n_units
        if n < min(size, least):
            path = next(iter(_paths(source, network, [layer])))
            raise PublishedFileError(
                f"{source.folder / path}: {n:,} units; files of {network} hold {size:,} of a layer "
                f"that has them, and {layer} has {'at least ' if n_units is None else ''}{least:,}"
            )


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
            few = len(values) < (n_units or 0) and source.layout.fewest is None
            if n_units is not None and (few or len(values) > n_units):
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


def _scope(source: Source, network: str, build: str) -> Scope:
    return Scope(
        build=build,
        dataset=source.layout.name,
        condition="perception",
        model=network,
        rois=tuple(sorted(source.rois)),
        subjects=tuple(source.subjects),
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
                "pictures": None,
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
        # Which pictures they were, and what was predicted of them, is not part of the publication.
        "stimuli": [],
        "encoding": [],
        "activation": [],
        "prediction": [],
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


def _build_row(layout: Layout, network: str, build: _Build, info: ReleaseInfo) -> dict[str, Any]:
    return {
        "build": build.name,
        "recipe": f"import {layout.name}",
        "recipe_sha256": info.recipe_sha256,
        "dataset": layout.name,
        "model": network,
        "decoder": canonical_json({"published": layout.citation}),
        "units": canonical_json({"sample": None, "seed": 0}),  # all that the files hold
        "n_folds": None,
        "seed": None,
        "inputs": canonical_json({"files": content_sha256(build.files)}),
        "unitdb_version": unitdb.__version__,
        "code_sha256": code_sha256(),
        "packages": canonical_json(package_versions()),
        "significance": BY_FORMULA,
        "reliability": None,
        "encoding": None,
    }


def _info(source: Source, name: str, version: str, *, simulated: bool) -> ReleaseInfo:
    layout = source.layout
    return ReleaseInfo(
        name=name,
        version=version,
        title=layout.title,
        description="Accuracies as their authors published them, not computed by unitdb. Numbers "
        "of voxels and hashes of weights and pictures are not part of the publication."
        + (_SAMPLED if layout.fewest is not None else ""),
        simulated=simulated,
        licence=_UNSTATED,
        citation=layout.citation,
        recipe_text=f"# imported, not built\nimport: {layout.name}\n",
        recipe_sha256=content_sha256(["import", layout.name, source.layers, simulated]),
        changelog=[(version, "Imported.")],
        authors=layout.authors,
    )
