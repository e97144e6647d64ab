"""A network scored in one call: a recipe is made of the question, and its release is read."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from unitdb.activations import ModelSpec
from unitdb.errors import DatasetError, ModelError, UnknownRoiError
from unitdb.files import write_text
from unitdb.pipeline.run import build
from unitdb.recipes import Progress, Recipe, read_recipe, shipped_recipe
from unitdb.release import Catalogue, Score, open_release, score_of
from unitdb.responses import DatasetSpec, find_dataset
from unitdb.sources import data_folder
from unitdb.specs import content_sha256, read_spec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["score"]

_BEST, _SIMULATED = "algonauts92", "sample"
_FACTORY = re.compile(r"^(?P<place>.+\.py|[A-Za-z_][\w.]*):(?P<made>[A-Za-z_]\w*)$")
_FOLDS = 10
_LONGEST = 60


@dataclass(frozen=True, kw_only=True)
class _Network:
    """What a recipe says of a network, and what must be open while it is built."""

    called: str
    choice: dict[str, Any]
    spec: ModelSpec | None = None
    folder: Path = Path()
    at_hand: AbstractContextManager[None]


def score(
    network: str | nn.Module,
    *,
    dataset: str | None = None,
    units: int = 1000,
    rois: Sequence[str] | None = None,
    layers: Sequence[str] | Mapping[str, str] | str = "auto",
    preprocessing: Any = None,
    weights: str | Path | None = None,
    name: str | None = None,
    releases: str | Path | None = None,
    data: str | Path | None = None,
    cache: str | Path | None = None,
    datasets: Sequence[str | Path] = (),
    workers: int | None = None,
    memory: str = "2GB",
    progress: Progress | None = None,
) -> Score:
    """Say how brain-like a network is: BH score, layers, regions, people, channels.

    A release is built and read. It is decoded as the dataset's own recipe decodes (``pipelines``),
    where there is one, else as published. The same question is not computed twice.

    Parameters
    ----------
    network : str or torch.nn.Module
        A known name (``efficientnet-lite0``, ``torchvision/resnet50``, ``timm/NAME``), a factory
        (``file.py:callable``, ``package.module:callable``), or a live module, of which a copy is
        run.
    dataset : str, optional
        Name of a dataset, or path of a dataset.yaml. By default algonauts92 where its files are in
        the data folder, else the sample, whose responses are simulated.
    units : int
        Units of each layer, a random sample (seed 0); layers with fewer are taken whole.
    rois : sequence of str, optional
        ROIs that are decoded; all by default.
    layers : sequence of str, mapping of str to str, or str
        ``auto`` for stages, blocks and class scores; paths of modules, with ``*`` for anything; of
        an own network also name → path; of a library's ``bhscore``.
    preprocessing : Preprocessing, mapping or str, optional
        Of an own network: what it is, or the name of a known network that has the same.
    weights : str or Path, optional
        File of a ``state_dict``, for a factory or in place of a library's weights.
    name : str, optional
        Of an own network, in the release.
    releases : str or Path, optional
        Folder that the release is built in; ``./releases`` or ``UNITDB_RELEASES`` by default.
    data, cache, datasets, workers, memory, progress
        As of :func:`unitdb.pipeline.build`.

    Returns
    -------
    Score
        ``print`` shows it; ``release`` is what it is read from.

    Raises
    ------
    UnitdbError
        A name that is not known, a network that does not work, data that are not there.
    """
    data, places = None if data is None else Path(data), [Path(each) for each in datasets]
    chosen = dataset or _best_present(data, places)
    described = read_spec(find_dataset(chosen, places), DatasetSpec, DatasetError)
    if not isinstance(units, int) or isinstance(units, bool) or units < 1:
        raise ModelError(f"units={units!r} is no number of units from 1")
    given = _network(network, layers, preprocessing, weights, name)
    asked = _asked(given, chosen, described, units, rois)
    root = Catalogue(None if releases is None else Path(releases)).root
    path = root / ".recipes" / f"{asked['name']}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, yaml.safe_dump(asked, sort_keys=False, allow_unicode=True, width=100))
    with given.at_hand:
        folder = build(
            path,
            releases=root,
            folder=given.folder,
            data=data,
            cache=cache,
            datasets=datasets,
            replace=True,  # its name is of the question: what is there was built by older code
            workers=workers,
            memory=memory,
            progress=progress,
        )
    return score_of(open_release(folder))


def _best_present(data: Path | None, datasets: Sequence[Path]) -> str:
    """The measured dataset where all its files are here, else the simulated one."""
    spec = read_spec(find_dataset(_BEST, datasets), DatasetSpec, DatasetError)
    places = [*getattr(spec.responses, "files", {}).values(), getattr(spec.stimuli, "folder", "")]
    folder = data_folder(data)
    return _BEST if all((folder / place).exists() for place in places) else _SIMULATED


def _network(
    network: str | nn.Module,
    layers: Sequence[str] | Mapping[str, str] | str,
    preprocessing: Any,
    weights: str | Path | None,
    name: str | None,
) -> _Network:
    """Tell live modules, factories and names apart."""
    from unitdb.activations import own_factory, own_module  # torch

    if not isinstance(network, str):
        if weights is not None:
            raise ModelError("weights: a live module has its own")
        spec, at_hand = own_module(network, name=name, layers=layers, preprocessing=preprocessing)
        return _Network(called=spec.name, choice={"name": spec.name}, spec=spec, at_hand=at_hand)
    found = _FACTORY.match(network)
    folder, file = Path(), None if weights is None else Path(weights)
    if found is None:
        return _known(network, layers, preprocessing, file, name)
    factory = network
    if found["place"].endswith(".py"):
        folder = Path(found["place"]).parent
        factory = f"{Path(found['place']).name}:{found['made']}"
    elif file is not None:
        folder = file.parent
    spec = own_factory(
        factory,
        folder=folder,
        name=name,
        layers=layers,
        preprocessing=preprocessing,
        weights=None if file is None else _below(file, folder),
    )
    return _Network(
        called=spec.name,
        choice={"name": spec.name},
        spec=spec,
        folder=folder,
        at_hand=nullcontext(),
    )


def _known(
    network: str,
    layers: Sequence[str] | Mapping[str, str] | str,
    preprocessing: Any,
    weights: Path | None,
    name: str | None,
) -> _Network:
    if preprocessing is not None or name is not None or isinstance(layers, Mapping):
        raise ModelError(
            f"{network}: preprocessing, name and layers by name are for own networks "
            "(a live module, FILE.py:FACTORY); a known one has its own"
        )
    choice: dict[str, Any] = {"name": network}
    if not isinstance(layers, str):
        choice["layers"] = list(layers)
    elif layers != "auto":
        choice["layers"] = layers
    if weights is not None:
        choice["weights"] = weights.name
    folder = Path() if weights is None else weights.parent
    called = network.replace("/", "-").replace(":", "-")
    return _Network(called=called, choice=choice, folder=folder, at_hand=nullcontext())


def _below(file: Path, folder: Path) -> str:
    try:
        return file.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        raise ModelError(f"weights: {file} is not below the folder of the factory") from None


def _asked(
    network: _Network, chosen: str, dataset: DatasetSpec, units: int, rois: Sequence[str] | None
) -> dict[str, Any]:
    """The recipe."""
    for roi in rois or ():
        if roi not in dataset.rois:
            raise UnknownRoiError(roi, dataset.rois, where=f"dataset {dataset.name!r}")
    shipped = shipped_recipe(dataset.name)
    own = None if shipped is None else read_recipe(shipped)
    decoded = [roi for roi in dataset.rois if not rois or roi in rois]
    place = os.path.relpath(chosen, network.folder) if chosen.endswith(".yaml") else chosen
    parts: dict[str, Any] = {
        "title": f"{network.called} scored by {dataset.name}",
        "description": f"What unitdb score found: {units:,} units of each layer of "
        f"{network.called}, decoded from {dataset.name}.",
        "licence": f"that of the responses: {dataset.licence}",
        "citation": f"A score by unitdb; responses: {dataset.citation}",
        "datasets": [place],
        "models": [network.choice],
        "rois": decoded,
        "units": {"sample": units, "seed": 0},
        "decoder": _decoder(dataset, own, decoded),
        "seed": 0 if own is None else own.seed,
    }
    if network.spec is not None:
        parts["own_models"] = [network.spec.model_dump(mode="json", exclude_defaults=True)]
    if len(dataset.conditions) > 1:
        parts["tests"] = _tests(dataset, own)
    order = None if own is None else own.hierarchy_of(dataset.name)
    kept = [roi for roi in order or () if roi in decoded]
    if len(kept) > 1:
        parts["hierarchy"] = kept
    key = content_sha256(parts)[:8]
    called = re.sub(r"[^a-z0-9]+", "-", network.called.lower()).strip("-")[:_LONGEST]
    return {"name": f"score-{called}-{dataset.name}-{key}", "version": "1.0.0", **parts}


def _tests(dataset: DatasetSpec, own: Recipe | None) -> list[str]:
    """One test set: the first that the dataset's own recipe decodes, or that it has."""
    asked = None if own is None else own.tests_of(dataset.name)
    known = [name for name in asked or () if name in dataset.conditions]
    return (known or list(dataset.conditions))[:1]


def _decoder(dataset: DatasetSpec, own: Recipe | None, rois: Sequence[str]) -> dict[str, Any]:
    """As the dataset's own recipe decodes; else as published, as far as its responses allow it."""
    if own is not None:
        found: dict[str, Any] = own.decoder.model_dump(mode="json", exclude_defaults=True)
        if isinstance(found.get("voxels"), dict):
            kept = ("default", *rois)
            found["voxels"] = {roi: n for roi, n in found["voxels"].items() if roi in kept}
        return found
    allowed = dataset.transformations
    found = {"zscore": allowed.zscore}
    if not allowed.voxel_selection:
        found |= {"voxels": "all", "alpha": 1, "alpha_unit": "mean-eigenvalue"}
    if not getattr(dataset.responses, "tests", {}):
        found["folds"] = _FOLDS
    return found
