"""The part of dataset.yaml on responses in arrays and in BData files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.responses.naming import StimulusNaming, check_named
from unitdb.responses.selectors import Selector
from unitdb.responses.sets_spec import TRAIN, HeldOutSpec, TestSpec, check_sets, named_parts
from unitdb.specs import Name, RelativePath, Spec

__all__ = [
    "ArrayPart",
    "ArrayResponses",
    "ArrayTest",
    "BDataPart",
    "BDataResponses",
    "BDataTest",
    "Volumes",
]


class ArrayPart(StimulusNaming):
    """Responses to stimuli, and the stimulus of each row.

    Parameters
    ----------
    responses : str
        Key of an array (n_samples, n_voxels).
    rows : str, optional
        Condition on arrays of one number a sample, such as ``labels = 2001 | labels = 2002``; all
        samples without it.
    stimulus_ids : str, optional
        Key of the ids, text or whole numbers; without it they are ``train-001``, … of rows that
        train, ``test-001``, … of a test set, and ``cross-validation-001``, …, in the order of the
        rows.
    runs : list of int, optional
        Numbers, from 1, of the runs whose volumes count, where rows are volumes (``volumes``).
    """

    responses: str
    rows: Selector | None = None
    stimulus_ids: str | None = None
    runs: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _names_are_of_ids(self) -> ArrayPart:
        check_named(self, stimulus_ids=self.stimulus_ids)
        return self


class ArrayTest(ArrayPart, TestSpec):
    """A test set in arrays."""


class HeldOutArray(ArrayPart, HeldOutSpec):
    """Responses in arrays whose stimuli are held out in folds."""


class Volumes(Spec):
    """That rows of the responses are volumes of runs, in the order of time.

    A presentation is then a stretch of the rows that a part takes, within a run, of one stimulus;
    its sample is the mean of as many rows, ``shift`` seconds later.

    Parameters
    ----------
    repetition_time : float
        Seconds from row to row.
    runs : str, optional
        Key of an array of each run's first and last row, counted from 1, (n_runs, 2) or
        (2, n_runs), or of a number a row that tells its run, from 1 (0 where nothing is shown);
        without it all rows are one run.
    shift : float
        Seconds by which the response comes later than the stimulus.
    trend : int
        Degree of the polynomial of time that is taken away from each run; 0 leaves the trend.
    normalise : {'percent', 'zscore'}, optional
        What is then done with each run: percent signal change, or z-scores.
    """

    repetition_time: Annotated[float, Field(ge=0.05, le=30)]
    runs: str | None = None
    shift: Annotated[float, Field(ge=-60, le=60)] = 0.0
    trend: Annotated[int, Field(ge=0, le=5)] = 0
    normalise: Literal["percent", "zscore"] | None = None


class ArrayResponses(Spec):
    """Responses held in arrays, one file a subject or one for all.

    Parameters
    ----------
    file : str
        ``.npz``, ``.mat``, ``.h5`` or ``.parquet``, or a folder of ``.npy`` and ``.parquet`` files,
        below the data folder; ``{subject}`` stands for the subject's id.
    train : ArrayPart, optional
        Arrays of the samples that train.
    tests : mapping of str to ArrayTest
        Arrays of each test set, by its name.
    cross-validation : HeldOutArray, optional
        In place of both: samples whose stimuli are held out in folds.
    volumes : Volumes, optional
        That rows are volumes in the order of time, not samples.
    masks : mapping
        For each ROI the key of an array (n_voxels,), True or 1 inside and False or 0 outside; null
        for an ROI of all voxels.
    order : {'C', 'F'}, optional
        Where masks are volumes, in which order the columns of the responses are their voxels: F is
        MATLAB's, the first axis changing fastest. Volumes are refused without it.
    """

    kind: Literal["arrays"]
    file: RelativePath
    train: ArrayPart | None = None
    tests: dict[Name, ArrayTest] = Field(default_factory=dict)
    cross_validation: HeldOutArray | None = Field(default=None, alias="cross-validation")
    volumes: Volumes | None = None
    masks: Annotated[dict[Name, str | None], Field(min_length=1)]
    order: Literal["C", "F"] | None = None

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a mask."""
        return set(self.masks)

    @model_validator(mode="after")
    def _parts_of_an_array_have_rows(self) -> ArrayResponses:
        check_sets(self)
        parts = dict(named_parts(self))
        shared = _shared({name: part.responses for name, part in parts.items()})
        for name, part in parts.items():
            if part.rows is None and part.runs is None and part.responses in shared:
                raise ValueError(
                    f"{name}: {part.responses} holds several parts; say with `rows` which "
                    "samples this one is"
                )
            if self.volumes is None and (part.runs or getattr(part, "windows", None)):
                raise ValueError(
                    f"{name}: `runs` and `windows` need `volumes`, which says when rows were "
                    "measured"
                )
            if getattr(part, "hold_out", None) == "runs" and (
                self.volumes is None or self.volumes.runs is None
            ):
                raise ValueError(f"{name}: `hold_out: runs` needs `volumes` with `runs`")
            if self.volumes is not None and part.stimulus_ids is None:
                raise ValueError(f"{name}: rows that are volumes need `stimulus_ids`")
        return self


def _shared(sources: Mapping[str, str]) -> set[str]:
    """Sources of what trains that test sets have too; test sets may have samples in common."""
    trains = {source for name, source in sources.items() if name == TRAIN}
    return trains & {source for name, source in sources.items() if name != TRAIN}


class BDataPart(StimulusNaming):
    """Samples in a BData file, and how their stimuli are named.

    Parameters
    ----------
    file : str
        ``.h5`` below the data folder; ``{subject}`` stands for the subject's id.
    rows : str, optional
        Condition on the columns that describe a sample, such as ``DataType = 1``; all samples
        without it.
    stimulus : str
        Key of the column that tells the stimulus, such as ``stimulus_name`` or ``image_index``.
    pattern, names : str, optional
        What makes ids of the numbers in that column; without either, the value map in the file
        gives them. Patterns are ``imagenet`` (1443537.022563 is n01443537_22563),
        ``imagenet-category`` (n01443537), and formats such as ``image_{:04d}``; ``names`` is a text
        file below the data folder with two columns, number and id.
    """

    file: RelativePath
    rows: Selector | None = None
    stimulus: str = "stimulus_name"


class BDataTest(BDataPart, TestSpec):
    """A test set in a BData file.

    Parameters
    ----------
    windows : none
        Refused: a sample of a BData file is an average over time already.
    """

    @model_validator(mode="after")
    def _samples_are_averages(self) -> BDataTest:
        if self.windows is not None:
            raise ValueError("windows: a sample of a BData file is an average over time already")
        return self


class HeldOutBData(BDataPart, HeldOutSpec):
    """Samples in a BData file whose stimuli are held out in folds.

    Parameters
    ----------
    hold_out : {'stimuli'}
        Stimuli alone: which run a sample is of is not asked here.
    """

    @model_validator(mode="after")
    def _holds_out_stimuli(self) -> HeldOutBData:
        if self.hold_out != "stimuli":
            raise ValueError("hold_out: of BData files stimuli alone; runs of arrays and BIDS")
        return self


class BDataResponses(Spec):
    """Responses in BData files (bdpy), as they stand there.

    Parameters
    ----------
    train : BDataPart, optional
        Where the samples that train stand.
    tests : mapping of str to BDataTest
        Where those of each test set stand, by its name.
    cross-validation : HeldOutBData, optional
        In place of both: samples whose stimuli are held out in folds.
    rois : mapping
        For each ROI a condition on the metadata of columns, as bdpy selects them:
        ``ROI_V1 = 1``, ``ROI_lh_V1 = 1 + ROI_rh_V1 = 1``.
    """

    kind: Literal["bdata"]
    train: BDataPart | None = None
    tests: dict[Name, BDataTest] = Field(default_factory=dict)
    cross_validation: HeldOutBData | None = Field(default=None, alias="cross-validation")
    rois: Annotated[dict[Name, Selector], Field(min_length=1)]

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a condition."""
        return set(self.rois)

    @model_validator(mode="after")
    def _parts_of_a_file_have_rows(self) -> BDataResponses:
        check_sets(self)
        parts = dict(named_parts(self))
        shared = _shared({name: part.file for name, part in parts.items()})
        for name, part in parts.items():
            if part.rows is None and part.file in shared:
                raise ValueError(
                    f"{name}: {part.file} holds several parts; say with `rows` which "
                    "samples this one is, as in `rows: DataType = 1`"
                )
        return self
