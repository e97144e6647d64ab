"""Datasets: found by name, opened, and read into stimuli and responses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unitdb.activations import Stimuli, UnitSelection, extract, get_model, load_model
from unitdb.errors import (
    DatasetError,
    StimulusMismatchError,
    UnknownDatasetError,
    UnknownSubjectError,
    closest,
)
from unitdb.files import visible
from unitdb.responses.arrays import array_responses, array_stimuli
from unitdb.responses.bdata import bdata_responses
from unitdb.responses.bids import bids_responses
from unitdb.responses.rdm import rdm_responses
from unitdb.responses.simulation import simulate
from unitdb.responses.spec import (
    ArrayResponses,
    BDataResponses,
    BidsResponses,
    DatasetSpec,
    RdmResponses,
    SimulatedResponses,
)
from unitdb.responses.stimuli import crop_stimuli, folder_stimuli, named_stimuli
from unitdb.responses.stimuli_spec import ArrayStimuli, CropStimuli, FolderStimuli, NamedStimuli
from unitdb.responses.types import CROSS_VALIDATION, Responses
from unitdb.sources import data_folder
from unitdb.specs import read_spec

__all__ = ["Dataset", "dataset_specs", "find_dataset", "open_dataset"]

Progress = Callable[[int, int], None]

_SHOWN = 5


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

    def responses(self, subject: str) -> Responses:
        """Responses of one subject.

        Raises
        ------
        UnknownSubjectError
            No such subject.
        DatasetError
            Files that are missing or not as described.
        ResponsesError
            Responses that contradict themselves.
        StimulusMismatchError
            Responses to stimuli that the dataset does not have.
        """
        responses = self._read(subject, joined=True)
        unknown = np.setdiff1d(responses.stimulus_ids, self.stimuli.ids)
        if len(unknown):
            near = closest(str(unknown[0]), self.stimuli.ids)
            raise StimulusMismatchError(
                f"{self.spec.name}/{subject}: {len(unknown)} stimulus ids of the responses are not "
                f"among the {len(self.stimuli)} stimuli: {', '.join(unknown[:_SHOWN])}"
                + (f"; near {unknown[0]}: {', '.join(near)}" if near else "")
            )
        self._check_counted(responses)
        return responses

    def _check_counted(self, responses: Responses) -> None:
        """Refuse ids that only count rows where there are more stimuli so named than rows."""
        match self.spec.responses:
            case RdmResponses() as source:
                patterns = {CROSS_VALIDATION: source.stimulus_ids}
            case ArrayResponses() as source:
                parts = source.parts.items()
                patterns = {split: f"{split}-{{}}" for split, p in parts if p.stimulus_ids is None}
            case _:
                return
        for split, pattern in patterns.items():
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
        rois = self._read(subject).rois
        return {roi: int(rois[roi].sum()) for roi in self.spec.rois}

    def _read(self, subject: str, *, joined: bool = False) -> Responses:
        """Read the responses of a subject, to be joined to stimuli or by themselves."""
        if subject not in self.spec.subjects:
            raise UnknownSubjectError(
                subject, self.spec.subjects, where=f"dataset {self.spec.name!r}"
            )
        match self.spec.responses:
            case RdmResponses() as source:
                return rdm_responses(self.spec, source, subject, self._data_folder())
            case ArrayResponses() as source:
                return array_responses(self.spec, source, subject, self._data_folder())
            case BDataResponses() as source:
                return bdata_responses(self.spec, source, subject, self._data_folder())
            case BidsResponses() as source:
                known = self.stimuli.ids if joined else None
                folder = self._data_folder()
                return bids_responses(self.spec, source, subject, folder, stimuli=known)
            case SimulatedResponses() as source:
                return simulate(
                    self.spec,
                    source,
                    subject,
                    self.stimuli.ids,
                    self._activations_behind(source),
                )
            case None:
                raise self._no_responses()

    def _activations_behind(self, source: SimulatedResponses) -> dict[str, NDArray[np.float32]]:
        """Activations (n_stimuli, n_units) of the units that the simulated brains compute."""
        if not self._computed:
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
    """Find the dataset.yaml of a known dataset; a path that ends in ``.yaml`` is taken as it is.

    Raises
    ------
    UnknownDatasetError
        No dataset of that name; lists the nearest.
    """
    if name.endswith(".yaml"):
        return Path(name)
    known = dataset_specs(extra)
    if name not in known:
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
