"""Datasets: found by name, opened, and read into stimuli and responses."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli, UnitSelection, extract, get_model
from unitdb.errors import (
    DatasetError,
    StimulusMismatchError,
    UnknownDatasetError,
    UnknownSubjectError,
    closest,
)
from unitdb.files import visible
from unitdb.responses.arrays import array_responses, array_stimuli
from unitdb.responses.arrays_spec import ArrayResponses, BDataResponses
from unitdb.responses.bdata import bdata_responses
from unitdb.responses.bids import bids_responses
from unitdb.responses.bids_spec import BidsResponses
from unitdb.responses.blurring import with_blurred
from unitdb.responses.categories import members_of
from unitdb.responses.rdm import rdm_responses
from unitdb.responses.sets import check_chosen
from unitdb.responses.sets_spec import CROSS_VALIDATION, TRAIN, named_parts
from unitdb.responses.simulation import simulate
from unitdb.responses.simulation_spec import SimulatedResponses
from unitdb.responses.spec import DatasetSpec, RdmResponses
from unitdb.responses.stimuli import crop_stimuli, folder_stimuli, named_stimuli
from unitdb.responses.stimuli_spec import ArrayStimuli, CropStimuli, FolderStimuli, NamedStimuli
from unitdb.responses.types import Responses
from unitdb.sources import data_folder
from unitdb.specs import read_spec

__all__ = ["Dataset", "dataset_specs", "find_dataset", "open_dataset"]

Progress = Callable[[int, int], None]

_SHOWN = 5
_NOW = {
    "god-imagery": "is now the test set `imagery` of `god`: write `datasets: [god]` and "
    "`tests: {god: [imagery]}` in the recipe"
}
"""Datasets that were, and how what they held is named now."""


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset whose files are at hand.

    Parameters
    ----------
    spec : DatasetSpec
        Its dataset.yaml.
    data : Path, optional
        Folder that the paths in the spec are relative to; simulated data needs none.
    cache : Path
        Folder for activations that simulated responses are made from.
    progress : callable, optional
        Called with (done, total) while those are computed.
    """

    spec: DatasetSpec
    data: Path | None
    cache: Path
    progress: Progress | None = None
    _computed: dict[str, NDArray[np.float32]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def stimuli(self) -> Stimuli:
        """Pictures that were shown, with their ids.

        Raises
        ------
        DatasetError
            Files that are missing or not as described.
        """
        found = self._stimuli()
        made = getattr(self.spec.stimuli, "blurred", None)
        if made is not None:
            found = with_blurred(found, made)
        if self.spec.shown is not None:
            self.spec.shown.check(found.sources)
        return found

    def _stimuli(self) -> Stimuli:
        match self.spec.stimuli:
            case FolderStimuli() as stimuli:
                return folder_stimuli(stimuli, self._data_folder())
            case ArrayStimuli() as stimuli:
                return array_stimuli(stimuli, self._data_folder())
            case CropStimuli() as stimuli:
                return crop_stimuli(stimuli)
            case NamedStimuli() as stimuli:
                return named_stimuli(stimuli, self._data_folder())
            case None:
                raise self._no_responses()

    @cached_property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """Stimuli of each category that is not a stimulus itself; the rule is the spec's.

        Raises
        ------
        DatasetError
            The table of categories cannot be read.
        """
        ids = [name for name in self.stimuli.ids if name not in self.stimuli.originals]
        return members_of(self.spec.stimuli, ids, self.data)

    def responses(self, subject: str, *, tests: Collection[str] | None = None) -> Responses:
        """Responses of one subject.

        Parameters
        ----------
        subject : str
        tests : collection of str, optional
            Test sets that are read, ``*`` for anything: ``imagery@*``. By default all that are of
            no time of a window.

        Raises
        ------
        UnknownSubjectError
            No such subject.
        UnknownConditionError
            No such test set.
        DatasetError
            Files that are missing or not as described.
        ResponsesError
            Responses that contradict themselves.
        StimulusMismatchError
            Responses to stimuli that the dataset does not have.
        """
        responses = self._of_categories(self._read(subject, tests, joined=True))
        self._check_known(responses)
        self._check_counted(responses)
        return responses

    def _of_categories(self, responses: Responses) -> Responses:
        """Where categories are decoded, take those of pictures that samples name."""
        asked = [name for name, test in responses.tests.items() if test.targets == "categories"]
        rows = np.isin(responses.split, asked)
        if not rows.any():
            return responses
        of_picture = {name: of for of, names in self.categories.items() for name in names}
        targets = [
            of_picture.get(name, name) if decoded and name not in self.categories else name
            for name, decoded in zip(responses.target_ids.tolist(), rows, strict=True)
        ]
        return replace(responses, target_ids=np.array(targets, dtype=np.str_))

    def _check_known(self, responses: Responses) -> None:
        """Refuse samples of what is neither a stimulus nor, where it may be, a category."""
        place = f"{self.spec.name}/{responses.subject}"
        trained = set(responses.stimulus_ids[responses.split == TRAIN].tolist())
        for name in dict.fromkeys(responses.split.tolist()):
            rows, test = responses.split == name, responses.tests.get(name)
            targets = np.unique(responses.target_ids[rows])
            of_categories = test is not None and test.targets == "categories"
            # Features may be of categories themselves, which are then among the stimuli.
            known = [*self.stimuli.ids, *(self.categories if of_categories else ())]
            shown = targets if of_categories else np.unique(responses.stimulus_ids[rows])
            named = (("stimulus ids of the responses", shown), (f"targets of {name}", targets))
            for what, ids in named:
                unknown = np.setdiff1d(ids, known)
                if len(unknown):
                    near = closest(str(unknown[0]), known)
                    there = f"{len(self.stimuli)} stimuli"
                    if of_categories:
                        there += f" and {len(self.categories)} categories (`stimuli.categories`)"
                    raise StimulusMismatchError(
                        f"{place}: {len(unknown)} {what} are not among the {there}: "
                        f"{', '.join(unknown[:_SHOWN])}"
                        + (f"; near {unknown[0]}: {', '.join(near)}" if near else "")
                    )
            if test is None or test.seen_in_training:
                continue
            for category in targets if of_categories else ():
                both = sorted(trained & set(self.categories.get(category, ())))
                if both:
                    raise StimulusMismatchError(
                        f"{place}: {both[0]} trains, and is one of the stimuli of {category}, "
                        f"which {name} decodes; `seen_in_training: true` says that it is meant"
                    )

    def _check_counted(self, responses: Responses) -> None:
        """Refuse ids that only count rows where there are more stimuli so named than rows."""
        patterns: list[tuple[str, str]] = []
        match self.spec.responses:
            case RdmResponses() as source:
                patterns = [(CROSS_VALIDATION, source.stimulus_ids)]
            case ArrayResponses() as source:
                for name, part in named_parts(source):
                    kind = name if name in (TRAIN, CROSS_VALIDATION) else "test"
                    if part.stimulus_ids is None and (responses.split == name).any():
                        patterns.append((name, f"{kind}-{{}}"))
        for split, pattern in patterns:
            before, after = re.split(r"\{.*\}", pattern)
            counted = re.compile(rf"{re.escape(before)}\d+{re.escape(after)}")
            n_rows = int((responses.split == split).sum())
            n_stimuli = sum(counted.fullmatch(name) is not None for name in self.stimuli.ids)
            if n_rows != n_stimuli:
                raise StimulusMismatchError(
                    f"{self.spec.name}/{responses.subject}: {n_rows} rows of {split} are told by "
                    f"their places alone, and {n_stimuli} stimuli are named {before}1{after} and "
                    "so on: which row is of which stimulus is not known"
                )

    def voxel_counts(self, subject: str) -> dict[str, int]:
        """Voxels of each ROI of one subject; measured responses alone are read, no stimuli.

        Raises
        ------
        UnknownSubjectError, DatasetError, ResponsesError
            As of :meth:`responses`.
        """
        rois = self._read(subject, None).rois
        return {roi: int(rois[roi].sum()) for roi in self.spec.rois}

    def _read(
        self, subject: str, tests: Collection[str] | None, *, joined: bool = False
    ) -> Responses:
        """Read the responses of a subject, to be joined to stimuli or by themselves."""
        spec = self.spec
        if subject not in spec.subjects:
            raise UnknownSubjectError(subject, spec.subjects, where=f"dataset {spec.name!r}")
        match spec.responses:
            case RdmResponses() as source:
                check_chosen([source.condition], tests, where=spec.name)
                return rdm_responses(spec, source, subject, self._data_folder())
            case ArrayResponses() as source:
                return array_responses(spec, source, subject, self._data_folder(), tests=tests)
            case BDataResponses() as source:
                return bdata_responses(spec, source, subject, self._data_folder(), tests=tests)
            case BidsResponses() as source:
                known = {*self.stimuli.ids, *self.categories} if joined else None
                folder = self._data_folder()
                return bids_responses(spec, source, subject, folder, tests=tests, stimuli=known)
            case SimulatedResponses() as source:
                behind = self._activations_behind(source)
                shown = self.stimuli
                return simulate(
                    *(spec, source, subject, shown.ids, behind),
                    tests=tests,
                    originals=shown.originals,
                )
            case None:
                raise self._no_responses()

    def _activations_behind(self, source: SimulatedResponses) -> dict[str, NDArray[np.float32]]:
        """Activations (n_stimuli, n_units) of the units that the simulated brains compute."""
        if not self._computed:
            from unitdb.activations import load_model  # torch, for those who run networks

            store = extract(
                load_model(get_model(source.model), layers=source.layers),
                self.stimuli,
                folder=self.cache,
                units=UnitSelection(sample=source.units, seed=source.seed),
                progress=self.progress,
            )
            self._computed.update(
                {layer: store.block(layer, 0, store.n_units(layer)) for layer in source.layers}
            )
        return self._computed

    def _no_responses(self) -> DatasetError:
        return DatasetError(
            f"dataset {self.spec.name!r} holds published results, no responses: see unitdb import"
        )

    def _data_folder(self) -> Path:
        folder = data_folder(self.data)
        if not folder.is_dir():
            raise DatasetError(
                f"{folder}: no such data folder, which dataset {self.spec.name!r} is read from "
                "(--data or UNITDB_DATA)"
            )
        return folder


def dataset_folders(extra: Sequence[Path] = ()) -> list[Path]:
    """Folders that hold dataset folders: the given ones, ``./datasets``, and the shipped ones."""
    shipped = resources.files("unitdb").joinpath("_datasets")
    # A checkout has them beside the package, a wheel inside it.
    beside = Path(str(resources.files("unitdb"))).parent / "datasets"
    folders = [*extra, Path("datasets"), Path(str(shipped)), beside]
    return [folder for folder in folders if folder.is_dir()]


def dataset_specs(extra: Sequence[Path] = ()) -> dict[str, Path]:
    """Known datasets: the dataset.yaml of each by name.

    Parameters
    ----------
    extra : sequence of Path
        Folders to search before ``./datasets`` and those shipped with unitdb.
    """
    found: dict[str, Path] = {}
    for folder in dataset_folders(extra):
        for path in sorted(visible(folder.glob("*/dataset.yaml"), below=folder)):
            found.setdefault(path.parent.name, path)
    return found


def find_dataset(name: str, extra: Sequence[Path] = ()) -> Path:
    """Find the dataset.yaml of a known dataset.

    Parameters
    ----------
    name : str
        Its name; a path that ends in ``.yaml`` is taken as it is.
    extra : sequence of Path
        Folders to search before ``./datasets`` and those shipped with unitdb.

    Raises
    ------
    UnknownDatasetError
        No dataset of that name; lists the nearest.
    DatasetError
        It is none of them, and was one; says how it is named now.
    """
    if name.endswith(".yaml"):
        return Path(name)
    known = dataset_specs(extra)
    if name not in known:
        if name in _NOW:
            raise DatasetError(f"{name} {_NOW[name]}")
        raise UnknownDatasetError(name, known, hint="unitdb datasets list")
    return known[name]


def open_dataset(
    name: str,
    *,
    data: Path | None,
    cache: Path,
    datasets: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Dataset:
    """Open a dataset by name, or by the path of its dataset.yaml.

    Parameters
    ----------
    name : str
        A known dataset, or a path that ends in ``.yaml``.
    data : Path, optional
        Data folder.
    cache : Path
        Folder for computed activations.
    datasets : sequence of Path
        Folders to search first.
    progress : callable, optional
        Called with (done, total) while activations for simulated responses are computed.

    Raises
    ------
    UnknownDatasetError
        No dataset of that name; lists the nearest.
    DatasetError
        Its dataset.yaml is not valid.
    """
    path = find_dataset(name, datasets)
    spec = read_spec(path, DatasetSpec, DatasetError)
    return Dataset(spec=spec, data=data, cache=cache, progress=progress)
