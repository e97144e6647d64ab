"""Published accuracies → tables, layer by layer → release."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from unitdb.errors import PublishedFileError, ReleaseExistsError
from unitdb.imports.accuracies import DatasetInfo, LayerAccuracies, NetworkInfo
from unitdb.imports.layouts import Source, find_sources, get_layout
from unitdb.imports.matfile import read_accuracy
from unitdb.imports.publishing import stage_accuracies, working_folder
from unitdb.publish import ReleaseInfo, publish_release
from unitdb.release import open_release
from unitdb.specs import canonical_json, content_sha256
from unitdb.tables import Origin, Use

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

    Returns
    -------
    Imported
        The release's folder, the files that are missing, and what was not checked.

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
    origins = {network: _read_origin(source, network) for network in source.layers}
    with working_folder(releases, f"import-{info.name}-{info.version}") as work:
        if target.exists():
            if not _is_same(target, info, origins):
                raise ReleaseExistsError(
                    f"{target} exists with other content, and releases are immutable: "
                    "raise --version"
                )
        else:
            stage_accuracies(
                work / "staged",
                _layers(source),
                info=info,
                dataset=_dataset(source),
                networks=[_network(source, origin) for origin in origins.values()],
                columns={
                    "recipe": f"import {plan.name}",
                    "decoder": canonical_json({"published": plan.citation}),
                },
                progress=progress,
            )
            _check_samples(source, work / "staged")
            publish_release(
                work / "staged",
                releases,
                info=info,
                progress=progress and (lambda done, total: progress("verify", done, total)),
            )
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


def _read_origin(source: Source, network: str) -> Origin:
    """Hash the files of a network."""
    uses = [
        Use(path=source.folder / path, role="accuracies", subject=subject)
        for path, subject in _paths(source, network, source.layers[network]).items()
    ]
    return Origin.read(network, uses, folder=source.folder)


def _is_same(target: Path, info: ReleaseInfo, origins: Mapping[str, Origin]) -> bool:
    """Whether a published release is what would be imported."""
    found = open_release(target).table("builds", ["build", "recipe_sha256"]).astype(str)
    wanted = {(origin.build, info.recipe_sha256) for origin in origins.values()}
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


def _check_samples(source: Source, staged: Path) -> None:
    """Hold samples of units to their common size, which no layer falls short of but for its own."""
    if source.layout.fewest is None:
        return
    rows = pq.read_table(staged / "layers.parquet", columns=["model", "module", "n_units"])
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for network, layer, n in zip(*rows.to_pydict().values(), strict=True):
        counts[network][layer] = n
    for network, of_layers in counts.items():
        size = max(of_layers.values())
        for layer, n in of_layers.items():
            n_units = source.layout.networks[network].layers[layer]
            least = source.layout.fewest if n_units is None else n_units
            if n < min(size, least):
                path = next(iter(_paths(source, network, [layer])))
                raise PublishedFileError(
                    f"{source.folder / path}: {n:,} units; files of {network} hold {size:,} of a "
                    f"layer that has them, and {layer} has "
                    f"{'at least ' if n_units is None else ''}{least:,}"
                )


def _read_layer(source: Source, network: str, layer: str) -> NDArray[np.float32]:
    """Accuracies of a layer, (n_rois, n_subjects, *shape)."""
    n_units = source.layout.networks[network].layers[layer]
    found: list[NDArray[np.float32]] = []
    for roi, subject in product(source.rois, source.subjects):
        path = source.folder / source.layout.path(network, layer, subject, roi)
        values, shape = read_accuracy(path)
        few = len(values) < (n_units or 0) and source.layout.fewest is None
        if n_units is not None and (few or len(values) > n_units):
            raise PublishedFileError(
                f"{path}: {len(values):,} units; {network}/{layer} has {n_units:,}"
            )
        if found and shape != found[0].shape:
            raise PublishedFileError(
                f"{path}: shape {shape}, but other files of {network}/{layer} have {found[0].shape}"
            )
        found.append(values.reshape(shape))
    return np.reshape(found, (len(source.rois), len(source.subjects), *found[0].shape))


def _layers(source: Source) -> list[LayerAccuracies]:
    """All layers, each of whose files are read when it is needed."""
    return [
        LayerAccuracies(
            model=network,
            layer=_stored_name(published),
            r=partial(_read_layer, source, network, published),
            module=published,
            kind=_UNSTATED,
        )
        for network, names in source.layers.items()
        for published in names
    ]


def _dataset(source: Source) -> DatasetInfo:
    layout = source.layout
    return DatasetInfo(
        name=layout.name,
        rois={roi: layout.rois[roi] for roi in source.rois},
        subjects=source.subjects,
        n_test=_N_TEST,
        title=layout.title,
        licence=_UNSTATED,
        source=layout.source,
        citation=layout.citation,
    )


def _network(source: Source, origin: Origin) -> NetworkInfo:
    layout = source.layout
    layers = layout.networks[origin.network].layers
    return NetworkInfo(
        name=origin.network,
        title=f"{origin.network}, as published in {layout.name}",
        factory=_UNSTATED,
        preprocessing=canonical_json({"note": _UNSTATED}),
        licence=_UNSTATED,
        source=layout.source,
        citation=layout.citation,
        depths={_stored_name(layer): depth for depth, layer in enumerate(layers)},
        origin=origin,
    )


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
