"""Accuracies that somebody has become a release."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from unitdb.errors import AccuraciesError, UnknownModelError
from unitdb.files import locked
from unitdb.imports.accuracies import (
    NOT_STATED,
    DatasetInfo,
    LayerAccuracies,
    NetworkInfo,
    check_names,
    hash_of,
)
from unitdb.measures import (
    OF_ACCURACIES,
    DecodedLayer,
    Layer,
    Network,
    add_layer,
    finish_network,
)
from unitdb.publish import ReleaseInfo, publish_release, write_table
from unitdb.release import Person
from unitdb.schema import TABLES
from unitdb.specs import canonical_json, content_sha256
from unitdb.tables import (
    AtHand,
    Rows,
    Scope,
    build_name,
    code_columns,
    input_rows,
    set_row,
    significance,
    table_of,
)

__all__ = ["publish_accuracies", "stage_accuracies", "working_folder"]

Progress = Callable[[str, int, int], None]


def publish_accuracies(
    accuracies: Iterable[LayerAccuracies],
    *,
    dataset: DatasetInfo,
    releases: str | Path,
    name: str,
    version: str,
    title: str,
    licence: str,
    citation: str,
    description: str = "Accuracies that were given, not computed by unitdb.",
    simulated: bool = False,
    networks: Sequence[NetworkInfo] = (),
    authors: Sequence[Person] = (),
    decoder: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a complete, verified release of decoding accuracies.

    Every table that follows from accuracies is made of them: summaries of units and layers, p and
    q, agreement of subjects, hierarchy, recurrence, histograms. What does not follow, as numbers
    of voxels, is NULL, or its table empty.

    Parameters
    ----------
    accuracies : iterable of LayerAccuracies
        All layers, those of a network from early to late.
    dataset : DatasetInfo
        What was decoded: ROIs, subjects, test images.
    releases : str or Path
        Folder of releases; the new one becomes ``releases/<name>/<version>``, whole or not at all.
    name, version : str
        Of the release; MAJOR.MINOR.PATCH.
    title, description, licence, citation : str
        What it says of itself.
    simulated : bool
        Whether the responses are simulated: the release then says so everywhere.
    networks : sequence of NetworkInfo
        What is known of the networks; of others their name alone.
    authors : sequence of Person
        Who made the release.
    decoder : mapping, optional
        Settings of the decoder, as they are known.
    progress : callable, optional
        Called with the name of a step, what is done and what is to do.

    Returns
    -------
    Path
        The release. Where the same is published already, nothing is changed.

    Raises
    ------
    AccuraciesError
        Names the layer, ROI, subject and unit of what is not an accuracy, or does not fit.
    UnknownModelError
        One of ``networks`` has no layer.
    RecipeError
        The release's name or version is not written so.
    ReleaseExistsError
        This version is published with other content.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import unitdb
    >>> from unitdb.imports import DatasetInfo, LayerAccuracies, publish_accuracies
    >>> rng = np.random.default_rng(0)
    >>> conv = np.tanh(rng.normal(0.1, 0.2, (2, 3, 8, 5, 5)))  # ROIs, subjects, C, H, W
    >>> scores = np.tanh(rng.normal(0.1, 0.2, (2, 3, 100)))
    >>> path = publish_accuracies(
    ...     [
    ...         LayerAccuracies(model="mynet", layer="conv", r=conv),
    ...         LayerAccuracies(model="mynet", layer="scores", r=scores),
    ...     ],
    ...     dataset=DatasetInfo(
    ...         name="mine",
    ...         rois={"V1": "primary visual cortex", "HVC": "higher visual cortex"},
    ...         subjects=["sub-01", "sub-02", "sub-03"],
    ...         n_test=50,
    ...     ),
    ...     releases=tempfile.mkdtemp(),
    ...     name="mine",
    ...     version="1.0.0",
    ...     title="My accuracies",
    ...     licence="CC0-1.0",
    ...     citation="none",
    ...     simulated=True,
    ... )
    >>> unitdb.open(path).accuracies("mynet", "conv", "V1").shape
    (200, 3)
    """
    layers = list(accuracies)
    check_names(layers, dataset)  # before it becomes part of a folder's name
    root = Path(releases)
    about = [name, title, description, licence, citation, simulated]
    info = ReleaseInfo(
        name=name,
        version=version,
        title=title,
        description=description,
        simulated=simulated,
        licence=licence,
        citation=citation,
        recipe_text="# made of accuracies that were given, not built\n",
        recipe_sha256=content_sha256([about, _told(dataset), [_told(of) for of in networks]]),
        changelog=[(version, "Made of accuracies.")],
        authors=tuple(authors),
    )
    with working_folder(root, f"accuracies-{name}-{version}") as work:
        stage_accuracies(
            work / "staged",
            layers,
            info=info,
            dataset=dataset,
            networks=networks,
            columns={"recipe": f"import {name}", "decoder": canonical_json(decoder or {})},
            progress=progress,
        )
        return publish_release(
            work / "staged",
            root,
            info=info,
            progress=progress and (lambda done, total: progress("verify", done, total)),
        )


@contextmanager
def working_folder(releases: Path, name: str) -> Iterator[Path]:
    """Folder of unfinished tables, locked and empty; removed at the end.

    Parameters
    ----------
    releases : Path
        Folder of releases.
    name : str
        Of what is made.

    Raises
    ------
    BusyError
        Another process has held it for too long.
    """
    work = releases / ".work" / name
    with locked(work.with_name(f"{name}.lock")):
        shutil.rmtree(work, ignore_errors=True)  # of a call that was killed
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _told(info: DatasetInfo | NetworkInfo) -> dict[str, Any]:
    """What is said of a dataset or network, but for the files; ROIs in their order."""
    told = {key: value for key, value in vars(info).items() if key != "origin"}
    return told | ({"rois": list(info.rois.items())} if isinstance(info, DatasetInfo) else {})


def stage_accuracies(
    folder: Path,
    accuracies: Iterable[LayerAccuracies],
    *,
    info: ReleaseInfo,
    dataset: DatasetInfo,
    networks: Sequence[NetworkInfo] = (),
    columns: Mapping[str, Any],
    tables: Mapping[str, Rows] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write all tables of a release to a folder, for :func:`unitdb.publish.publish_release`.

    Parameters
    ----------
    folder : Path
        Of the tables; what is needed meanwhile stands beside it, in ``p``.
    accuracies, dataset, networks, progress
        As of :func:`publish_accuracies`.
    info : ReleaseInfo
        What the release says of itself.
    columns : mapping of str to str
        Columns ``recipe`` and ``decoder`` of table ``builds``.
    tables : mapping of str to list of dict, optional
        Rows of tables that accuracies do not give: ``stimuli``, ``activation``, ``prediction``.
    """
    accuracies = list(accuracies)
    check_names(accuracies, dataset)
    models = list(dict.fromkeys(of.model for of in accuracies))
    for network in networks:
        if network.name not in models:
            raise UnknownModelError(network.name, models, where="the accuracies")
    known = {network.name: network for network in networks}
    rows: dict[str, Rows] = defaultdict(list, tables or {})
    rows["prediction"] = [{"presentation": 1, **row} for row in rows["prediction"]]
    rows |= _dataset_rows(dataset, info, rows["stimuli"])
    for model in models:
        layers = [of for of in accuracies if of.model == model]
        network = known.get(model, NetworkInfo(name=model))
        found = _stage_network(folder, layers, network, dataset, progress)
        for row in found["builds"]:
            row |= {**columns, "recipe_sha256": info.recipe_sha256}
        for table, more in found.items():
            rows[table] = rows[table] + more
    for name, spec in TABLES.items():
        if not spec.partition_by and not spec.optional:
            write_table(folder, name, table_of(name, rows[name]))


def _dataset_rows(dataset: DatasetInfo, info: ReleaseInfo, stimuli: Rows) -> dict[str, Rows]:
    own = {"dataset": dataset.name}
    about = own | {
        "title": dataset.title,
        "simulated": info.simulated,
        "licence": dataset.licence,
        "source": dataset.source,
        "citation": dataset.citation,
        "n_subjects": len(dataset.subjects),
        "n_stimuli": len(stimuli) or None,
        "voxel_selection": True,
        "zscore": True,
    }
    return {
        "datasets": [about],
        "rois": [
            own | {"roi": roi, "place": place, "description": what}
            for place, (roi, what) in enumerate(dataset.rois.items())
        ],
        "subjects": [
            own | {"subject": subject, "roi": roi, "n_test": dataset.n_test}
            for subject in dataset.subjects
            for roi in dataset.rois
        ],
        "test_sets": [set_row(dataset.name, dataset.condition, n_samples=dataset.n_test)],
    }


def _stage_network(
    folder: Path,
    accuracies: Sequence[LayerAccuracies],
    network: NetworkInfo,
    dataset: DatasetInfo,
    progress: Progress | None,
) -> dict[str, Rows]:
    """Write the large tables of a network, and give its rows of others."""

    def layers() -> Iterator[tuple[DecodedLayer, AtHand]]:
        for of in accuracies:
            layer, results = of.read(dataset)
            if results.n_controls != n_controls:
                raise AccuraciesError(
                    f"{of.where}: {results.n_controls} controls; other layers have {n_controls}"
                )
            yield layer, results

    n_controls = accuracies[0].read(dataset)[1].n_controls
    names = [of.layer for of in accuracies]
    build, inputs = _identity(network, dataset, layers)
    about = Network(
        scope=Scope(
            build=build,
            dataset=dataset.name,
            condition=dataset.condition,
            model=network.name,
            rois=tuple(sorted(dataset.rois)),
            subjects=tuple(sorted(dataset.subjects)),
        ),
        layers=names,
        staged=folder,
        scratch=folder.with_name("p") / network.name,
        hierarchy=list(dataset.rois),
        n_test=dataset.n_test,
        formula=dataset.n_folds is None,
        n_controls=n_controls,
    )
    rows: dict[str, Rows] = defaultdict(list)
    n_units: dict[str, tuple[int, int]] = {}
    depths = network.depths or {name: depth for depth, name in enumerate(names)}
    for name in names:
        if name not in depths:
            raise AccuraciesError(f"{network.name}/{name}: not in the depths of the network")
    for done, (of, (layer, results)) in enumerate(zip(accuracies, layers(), strict=True), 1):
        for table, found in add_layer(Layer(about, layer, results), OF_ACCURACIES).rows.items():
            rows[table] += found
        rows["layers"].append(_layer_row(of, layer, depths[of.layer]))
        n_units[of.where] = len(layer.units), prod(layer.shape)
        if progress:
            progress(f"tables of {network.name}", done, len(names))
    again = (Layer(about, layer, results) for layer, results in layers())
    rows |= finish_network(about, again, OF_ACCURACIES).rows
    rows["models"] = [_model_row(network, len(names))]
    rows["builds"] = [
        {
            "build": build,
            "dataset": dataset.name,
            "model": network.name,
            "units": canonical_json({"sample": _sample(n_units), "seed": 0}),
            "n_folds": dataset.n_folds,
            "inputs": canonical_json(inputs),
            **code_columns(),
            "significance": significance(
                n_controls=n_controls, n_folds=dataset.n_folds, alike=False
            ),
        }
    ]
    if network.origin is not None:
        rows["inputs"] = input_rows(build, network.origin.uses, network.origin.described)
    return rows


def _identity(
    network: NetworkInfo,
    dataset: DatasetInfo,
    layers: Callable[[], Iterator[tuple[DecodedLayer, AtHand]]],
) -> tuple[str, dict[str, str]]:
    """Name of the build, and the hash of what it is of: of files where these are known."""
    if network.origin is not None:
        return network.origin.build, {"files": content_sha256(network.origin.files)}
    inputs = {"accuracies": hash_of(layers(), dataset)}
    return build_name(network.name, inputs), inputs


def _sample(n_units: Mapping[str, tuple[int, int]]) -> int | None:
    """Size of the samples of layers' units, given how many were decoded, and all; None of all."""
    if all(n == n_all for n, n_all in n_units.values()):
        return None
    size = max(n for n, _ in n_units.values())
    for where, (n, n_all) in n_units.items():
        if n != min(size, n_all):
            raise AccuraciesError(
                f"{where}: {n} of {n_all} units, but {size} of another layer; a sample is of "
                "equally many units of each layer, or all that it has"
            )
    return size


def _layer_row(of: LayerAccuracies, layer: DecodedLayer, depth: int) -> dict[str, Any]:
    return {
        "model": of.model,
        "layer": of.layer,
        "depth": depth,
        "module": of.module,
        "kind": of.kind,
        "shape": list(layer.shape),
        "axes": layer.axes,
        "n_units": prod(layer.shape),
    }


def _model_row(network: NetworkInfo, n_layers: int) -> dict[str, Any]:
    return {
        "model": network.name,
        "title": network.name if network.title == NOT_STATED else network.title,
        "factory": network.factory,
        "preprocessing": network.preprocessing,
        "licence": network.licence,
        "source": network.source,
        "citation": network.citation,
        "n_layers": n_layers,
    }
