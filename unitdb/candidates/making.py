"""From what a recipe says of candidates to the set: computed once, then found in the store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unitdb.activations import (
    FeatureModel,
    LoadedFeatures,
    Stimuli,
    UnitSelection,
    extract,
    load_choice,
    load_features,
    stimuli_without_pictures,
)
from unitdb.activations.identity import environment, source_sha256
from unitdb.candidates.god import god_candidates
from unitdb.candidates.sets import CandidateSet
from unitdb.candidates.spec import (
    CandidatesFile,
    CandidatesSpec,
    DatasetCandidates,
    FeatureCandidates,
    GodCandidates,
    OwnCandidates,
    PictureCandidates,
)
from unitdb.candidates.store import FORMAT, find_set, store_set
from unitdb.errors import CandidatesError, closest
from unitdb.files import sha256_file
from unitdb.responses import (
    CategoryRule,
    FolderStimuli,
    category_pairs,
    folder_stimuli,
    open_dataset,
    read_pairs,
)
from unitdb.sources import data_folder
from unitdb.specs import content_sha256, read_spec
from unitdb.texts import fits

if TYPE_CHECKING:
    from unitdb.activations import LoadedModel

__all__ = ["Places", "make_candidates", "make_file"]

_LISTED = 5
_CODE = (Path(__file__).parent, Path(str(sys.modules[category_pairs.__module__].__file__)))
"""Beside that of activations: this room, and what takes means over categories."""

Progress = Callable[[int, int], None]
Members = Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things are found, and where what is computed goes.

    Parameters
    ----------
    folder : Path
        That paths of dataset.yaml files are relative to.
    cache : Path
        Of computed activations; sets lie in ``candidates`` in it.
    data : Path, optional
        Data folder.
    datasets : sequence of Path
        Folders to search for datasets first.
    """

    folder: Path
    cache: Path
    data: Path | None = None
    datasets: Sequence[Path] = ()


def make_candidates(
    name: str,
    spec: CandidatesSpec,
    *,
    places: Places,
    model: LoadedModel | LoadedFeatures | None = None,
    units: UnitSelection | None = None,
    progress: Progress | None = None,
) -> CandidateSet:
    """Make a set of candidates, or find it where it has been made.

    Parameters
    ----------
    name : str
        Of the set.
    spec : PictureCandidates, FeatureCandidates, GodCandidates or DatasetCandidates
        What there is to say of it.
    places : Places
    model : LoadedModel or LoadedFeatures, optional
        The network whose predictions are identified: pictures and stimuli go through it.
    units : UnitSelection, optional
        Of each layer; by default all.
    progress : callable, optional
        Called with the number of pictures done and of all pictures.

    Returns
    -------
    CandidateSet
        Opened, and held to its checksums.

    Raises
    ------
    CandidatesError
        No network where one is needed, pictures without a category, labels of no candidate.
    DatasetError, ActivationsError, StimulusMismatchError
        Files that are missing or not as described.
    """
    selection = UnitSelection(sample=None) if units is None else units
    plan = _plan(name, spec, places, model, selection, progress)
    labels = _labels(name, spec, plan.ids, places.data)
    key = content_sha256(
        {
            "format": FORMAT,
            "name": name,
            "spec": spec.identity(words=True),
            "inputs": plan.depends_on,
            "labels": labels,
            "units": selection.identity(),
            "candidates": [source_sha256(place) for place in _CODE],
            **environment(),
        }
    )
    stored = find_set(cache=places.cache, key=key)
    if stored is not None:
        return stored
    made = replace(plan.compute(), labels=tuple(labels.get(one, one) for one in plan.ids))
    return store_set(made, cache=places.cache, key=key)


def make_file(
    path: Path, *, places: Places, progress: Callable[[str, int, int], None] | None = None
) -> list[CandidateSet]:
    """Make the sets of a file of its own, in its order.

    Parameters
    ----------
    path : Path
        As :class:`CandidatesFile` describes.
    places : Places
    progress : callable, optional
        Called with the name of a set, the number of pictures done, and of all.

    Returns
    -------
    list of CandidateSet
        One for each name in the file.

    Raises
    ------
    CandidatesError
        The file is not as described; and what :func:`make_candidates` and
        :func:`unitdb.activations.load_choice` raise.
    """
    file = read_spec(path, CandidatesFile, CandidatesError)
    model = None
    if file.model is not None:
        data = data_folder(places.data)
        model = load_choice(
            file.model, file.own_models, folder=places.folder, data=data, seed=file.seed
        )

    def told(name: str) -> Progress | None:
        return None if progress is None else lambda done, total: progress(name, done, total)

    return [
        make_candidates(
            name, spec, places=places, model=model, units=file.selection, progress=told(name)
        )
        for name, spec in file.candidates.items()
    ]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a set is of, before anything is computed."""

    ids: tuple[str, ...]
    depends_on: object
    compute: Callable[[], CandidateSet]


def _plan(
    name: str,
    spec: CandidatesSpec,
    places: Places,
    model: LoadedModel | LoadedFeatures | None,
    units: UnitSelection,
    progress: Progress | None,
) -> _Plan:
    match spec:
        case OwnCandidates():
            raise CandidatesError(
                f"candidate set {name!r}: those of kind `own` are the targets of a test set, and "
                "made of it when a recipe is built"
            )
        case GodCandidates():
            data = data_folder(places.data)
            found = god_candidates(name, spec, data=data, units=units)
            return _Plan(
                ids=found.ids, depends_on=sha256_file(data / spec.file), compute=lambda: found
            )
        case _:
            pictures = _pictures(name, spec, places, model)

    def compute() -> CandidateSet:
        made = CandidateSet.from_activations(
            name=name,
            activations=extract(
                pictures.model,
                pictures.stimuli,
                folder=places.cache,
                units=units,
                progress=progress,
            ),
            ids=pictures.ids,
            categories=pictures.members,
            source=pictures.source,
            description=spec.description,
        )
        if not isinstance(spec, FeatureCandidates):
            return made
        known = spec.hold == "pictures"
        return replace(made, model=None, n_pictures=made.n_pictures * np.int32(known))

    return _Plan(
        ids=pictures.ids,
        depends_on=[
            pictures.model.model_sha256,
            [layer.name for layer in pictures.model.layers],
            pictures.stimuli.key,
            pictures.members,
        ],
        compute=compute,
    )


@dataclass(frozen=True, kw_only=True)
class _Pictures:
    """Stimuli and the network that they go through; candidates are they, or their categories."""

    model: LoadedModel | LoadedFeatures
    stimuli: Stimuli
    members: Members | None
    source: str

    @property
    def ids(self) -> tuple[str, ...]:
        return self.stimuli.ids if self.members is None else tuple(self.members)


def _pictures(
    name: str,
    spec: PictureCandidates | FeatureCandidates | DatasetCandidates,
    places: Places,
    model: LoadedModel | LoadedFeatures | None,
) -> _Pictures:
    match spec:
        case PictureCandidates():
            shown = FolderStimuli(kind="folder", folder=spec.folder, ending=spec.ending)
            stimuli = folder_stimuli(shown, data_folder(places.data))
            members = _by_rule(name, spec.categories, stimuli.ids, places.data)
            source = f"folder {spec.folder}, {len(stimuli):,} pictures *{spec.ending}"
        case FeatureCandidates():
            model = _features(name, spec, places.data)
            stimuli = stimuli_without_pictures(tuple(next(iter(model.tables.values())).ids))
            model.check_stimuli(stimuli.ids)
            members = _by_rule(name, spec.categories, stimuli.ids, places.data)
            source = f"files of features, {', '.join(spec.features.folders)}"
        case DatasetCandidates():
            stimuli, members = _of_dataset(name, spec, places)
            source = f"dataset {Path(spec.dataset).parent.name if _is_path(spec) else spec.dataset}"
    if model is None:
        raise CandidatesError(
            f"candidate set {name!r}: pictures go through a network: name it (`model`)"
        )
    return _Pictures(model=model, stimuli=stimuli, members=members, source=source)


def _features(name: str, spec: FeatureCandidates, data: Path | None) -> LoadedFeatures:
    """Files of features, read as those of a network's activations are."""
    described = FeatureModel(
        name=name,
        title=name,
        features=spec.features,
        layers=spec.layers,
        axes=spec.axes,
        licence="",
        source="",
        citation="",
    )
    return load_features(described, folder=data_folder(data))


def _of_dataset(
    name: str, spec: DatasetCandidates, places: Places
) -> tuple[Stimuli, Members | None]:
    dataset = open_dataset(
        str(places.folder / spec.dataset) if _is_path(spec) else spec.dataset,
        data=places.data,
        cache=places.cache,
        datasets=places.datasets,
    )
    stimuli = dataset.stimuli
    if spec.stimuli is not None:
        stimuli = _chosen(name, stimuli, spec.stimuli)
    if not spec.categories:
        return stimuli, None
    rule = getattr(dataset.spec.stimuli, "categories", None)
    if rule is None:
        raise CandidatesError(
            f"candidate set {name!r}: the stimuli of {dataset.spec.name} have no categories "
            "(`stimuli.categories` in its dataset.yaml)"
        )
    pairs = category_pairs(rule, stimuli.ids, places.data)
    if not pairs:
        raise CandidatesError(f"candidate set {name!r}: no stimulus that is taken has a category")
    return stimuli, _grouped(pairs)


def _chosen(name: str, stimuli: Stimuli, patterns: Sequence[str]) -> Stimuli:
    """Those whose ids fit a pattern; each pattern must fit one."""
    for pattern in patterns:
        if not any(fits(one, pattern) for one in stimuli.ids):
            near = closest(pattern, stimuli.ids) or stimuli.ids[:_LISTED]
            raise CandidatesError(
                f"candidate set {name!r}: stimuli: {pattern!r} fits none of {len(stimuli)}; there "
                f"are: {', '.join(near)}"
            )
    rows = [
        row for row, one in enumerate(stimuli.ids) if any(fits(one, which) for which in patterns)
    ]
    return stimuli.taking(rows)


def _by_rule(
    name: str, rule: CategoryRule | None, ids: Sequence[str], data: Path | None
) -> Members | None:
    """Pictures of each category; every picture has one."""
    if rule is None:
        return None
    pairs = category_pairs(rule, ids, data)
    known = dict(pairs)
    without = [one for one in ids if one not in known]
    if without:
        raise CandidatesError(
            f"candidate set {name!r}: {len(without)} of {len(ids)} pictures have no category "
            f"(`categories`): {', '.join(map(repr, without[:_LISTED]))}"
        )
    return _grouped(pairs)


def _grouped(pairs: Sequence[tuple[str, str]]) -> Members:
    found: dict[str, list[str]] = {}
    for picture, category in pairs:
        found.setdefault(category, []).append(picture)
    return {category: found[category] for category in sorted(found)}


def _labels(
    name: str, spec: CandidatesSpec, ids: Sequence[str], data: Path | None
) -> dict[str, str]:
    """Labels that the table has of these candidates."""
    if spec.labels is None:
        return {}
    path = data_folder(data) / spec.labels
    table = read_pairs(path, "candidate", "label")
    found = {one: table[one] for one in ids if one in table}
    if not found:
        raise CandidatesError(
            f"{path}: names none of the {len(ids)} candidates of {name!r}, {ids[0]!r} for one"
        )
    return found


def _is_path(spec: DatasetCandidates) -> bool:
    return spec.dataset.endswith(".yaml")
