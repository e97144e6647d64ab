"""dataset.yaml: what a dataset is, where its files are, and what may be done with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unitdb.responses.bids_masks import Mask
from unitdb.responses.naming import StimulusNaming
from unitdb.responses.selectors import Selector
from unitdb.responses.stimuli_spec import (
    ArrayStimuli,
    CropStimuli,
    FolderStimuli,
    NamedStimuli,
    ShownPictures,
    Split,
)
from unitdb.sources.spec import DatasetFiles
from unitdb.specs import Name, RelativePath, Spec

__all__ = [
    "ArrayPart",
    "ArrayResponses",
    "BDataPart",
    "BDataResponses",
    "BidsPart",
    "BidsResponses",
    "DatasetSpec",
    "RdmResponses",
    "RoiPreference",
    "SimulatedResponses",
    "Transformations",
]


class Transformations(Spec):
    """Which transformations of the responses are meaningful.

    Parameters
    ----------
    voxel_selection : bool
        Whether a decoder may keep some voxels and drop others.
    zscore : bool
        Whether a decoder may scale each voxel by its own SD.
    reason : str
        Why not, where either is False; shown when a recipe asks for it.
    """

    no_number = frozenset({"reason"})

    voxel_selection: bool = True
    zscore: bool = True
    reason: str = ""

    @model_validator(mode="after")
    def _reason_is_given(self) -> Transformations:
        if not (self.voxel_selection and self.zscore) and not self.reason:
            raise ValueError("a transformation that does not apply needs a `reason`")
        return self


class RdmResponses(Spec):
    """Representational dissimilarity matrices, 1 − Pearson r between stimuli, one a subject.

    Parameters
    ----------
    files : mapping
        For each ROI a file of arrays below the data folder: of all subjects, or, where
        ``{subject}`` stands for the subject's id, of one.
    key : str
        Key of the array: (n_stimuli, n_stimuli), or (n_pairs,) as scipy's ``squareform`` condenses
        it, n_pairs = n_stimuli (n_stimuli − 1) / 2. In a file of all subjects the first axis is
        theirs, in the order of the spec.
    stimulus_ids : str
        Pattern that makes the id of a row from its number, counted from 1: ``image_{:02d}``.
    """

    kind: Literal["rdm"]
    files: Annotated[dict[Name, RelativePath], Field(min_length=1)]
    key: str
    stimulus_ids: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*\{:\d{0,2}d\}[A-Za-z0-9_.-]*$")]

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a file."""
        return set(self.files)


class ArrayPart(StimulusNaming):
    """Responses of one split, and the stimulus of each row.

    Parameters
    ----------
    responses : str
        Key of an array (n_samples, n_voxels).
    rows : str, optional
        Condition on arrays of one number a sample, such as ``labels = 2001 | labels = 2002``; all
        samples without it.
    stimulus_ids : str, optional
        Key of the ids, text or whole numbers; without it they are ``<split>-001``, … in the order
        of the rows.
    pattern, names : str, optional
        Where the ids are numbers, what makes ids of them, as of
        :class:`~unitdb.responses.naming.StimulusNaming`.
    """

    responses: str
    rows: Selector | None = None
    stimulus_ids: str | None = None

    @model_validator(mode="after")
    def _names_are_of_ids(self) -> ArrayPart:
        if self.stimulus_ids is None and (self.pattern is not None or self.names is not None):
            raise ValueError(
                "`pattern` and `names` need `stimulus_ids`, the numbers that they name"
            )
        return self


class ArrayResponses(Spec):
    """Responses held in arrays, one file a subject or one for all.

    Parameters
    ----------
    file : str
        ``.npz``, ``.mat``, ``.h5`` or ``.parquet``, or a folder of ``.npy`` and ``.parquet`` files,
        below the data folder; ``{subject}`` stands for the subject's id.
    parts : mapping
        Arrays of the splits ``train`` and ``test``, or of ``cross-validation``.
    masks : mapping
        For each ROI the key of an array (n_voxels,), True or 1 inside and False or 0 outside; null
        for an ROI of all voxels.
    order : {'C', 'F'}, optional
        Where masks are volumes, in which order the columns of the responses are their voxels: F is
        MATLAB's, the first axis changing fastest. Volumes are refused without it.
    """

    kind: Literal["arrays"]
    file: RelativePath
    parts: Annotated[dict[Split, ArrayPart], Field(min_length=1)]
    masks: Annotated[dict[Name, str | None], Field(min_length=1)]
    order: Literal["C", "F"] | None = None

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a mask."""
        return set(self.masks)

    @model_validator(mode="after")
    def _parts_of_an_array_have_rows(self) -> ArrayResponses:
        arrays = [part.responses for part in self.parts.values()]
        for split, part in self.parts.items():
            if part.rows is None and arrays.count(part.responses) > 1:
                raise ValueError(
                    f"parts.{split}: {part.responses} holds several parts; say with `rows` which "
                    "samples this one is"
                )
        return self


class BDataPart(StimulusNaming):
    """Samples of one split in a BData file, and how their stimuli are named.

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
        As of :class:`~unitdb.responses.naming.StimulusNaming`; without either, the value map in the
        file gives the ids.
    """

    file: RelativePath
    rows: Selector | None = None
    stimulus: str = "stimulus_name"


class BDataResponses(Spec):
    """Responses in BData files (bdpy), as they stand there.

    Parameters
    ----------
    parts : mapping
        Where the samples of the splits ``train`` and ``test``, or of ``cross-validation``, stand.
    rois : mapping
        For each ROI a condition on the metadata of columns, as bdpy selects them:
        ``ROI_V1 = 1``, ``ROI_lh_V1 = 1 + ROI_rh_V1 = 1``.
    """

    kind: Literal["bdata"]
    parts: Annotated[dict[Split, BDataPart], Field(min_length=1)]
    rois: Annotated[dict[Name, Selector], Field(min_length=1)]

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a condition."""
        return set(self.rois)

    @model_validator(mode="after")
    def _parts_of_a_file_have_rows(self) -> BDataResponses:
        files = [part.file for part in self.parts.values()]
        for split, part in self.parts.items():
            if part.rows is None and files.count(part.file) > 1:
                raise ValueError(
                    f"parts.{split}: {part.file} holds several parts; say with `rows` which "
                    "samples this one is, as in `rows: DataType = 1`"
                )
        return self


_REMOVED = r"^(\d{1,4} volumes?|\d{1,4}(\.\d{1,6})? seconds?)$"
_ENTITY = "(sub|ses|task|acq|dir|run)-[A-Za-z0-9]+"
_ENTITIES = f"^{_ENTITY}(_{_ENTITY})*$"
Masks = Annotated[list[Mask], Field(min_length=1)]


class BidsPart(StimulusNaming):
    """Runs of one split of a BIDS dataset.

    Parameters
    ----------
    bold, events, confounds : str
        Patterns of their files below the root: ``*`` for anything, ``{subject}`` for the subject's
        id. Files of a run are joined by what their names say: ses-, task-, run- and so on. Events
        without an image are refused, and images without events; confounds of other runs are not.
    leave_out : list of str
        Runs that are left out on purpose, by what their names say: ``sub-03_ses-02_run-5``.
    stimulus : str
        Column of the events that names the stimulus; of ``stim_file`` the path without ending.
    pattern, names : str, optional
        Where that column holds numbers, such as the 1443537.022563 of ds001246: what makes ids of
        them, as of :class:`~unitdb.responses.naming.StimulusNaming`.
    keep : mapping of str to list of str
        Only events that have one of these values in these columns. Each value must be that of a
        presentation in one of the subject's runs.
    repeats : {'keep', 'drop'}
        What is done with a presentation of the stimulus that was shown just before it in the run,
        as one-back tasks have them.
    """

    bold: RelativePath
    events: RelativePath
    confounds: RelativePath | None = None
    stimulus: str = "stim_file"
    leave_out: list[Annotated[str, Field(pattern=_ENTITIES)]] = Field(default_factory=list)
    keep: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    repeats: Literal["keep", "drop"] = "keep"


class BidsResponses(Spec):
    """Responses as BOLD images with events; :mod:`unitdb.responses.bids` says what is computed.

    Parameters
    ----------
    root : str
        The BIDS dataset, below the data folder.
    parts : mapping
        Runs of the splits ``train`` and ``test``, or of ``cross-validation``.
    masks : mapping
        For each ROI patterns of mask images, whose union it is. A mask holds 0 and 1; of other
        images the voxels are named: ``atlas.nii.gz = 3``, ``prob.nii.gz > 0.5``. Letters in
        brackets are a list: ``[LR]H_V1[dv]`` stands for four masks, and each must be there; ``?``
        and ``*`` stand for anything. A mask that another subject has must be there too.
    absent_masks : list of str
        Paths of masks that subjects do not have, as is known of them.
    resample_masks : {'nearest'}, optional
        Masks that are not on the grid of the BOLD images are taken to it, each voxel from the
        nearest of the mask; without it they are refused.
    shift : float
        Seconds by which the response comes later than the stimulus; may be negative.
    removed : str, optional
        What was taken from the start of each run after its events were written: ``3 volumes``, or
        ``9 seconds``. Onsets count from what was there before.
    repetition_time : float, optional
        Seconds from volume to volume, where header and sidecar state none, or wrong ones.
    trend : int
        Degree of the polynomial of time that is taken away from each run; 0 leaves the trend.
    regress : list of str
        Columns of the confounds that are regressed out, such as ``trans_x``.
    normalise : {'percent', 'zscore'}, optional
        What is done with each run: percent signal change, or z-scores.
    """

    kind: Literal["bids"]
    root: RelativePath
    parts: Annotated[dict[Split, BidsPart], Field(min_length=1)]
    masks: Annotated[dict[Name, Masks], Field(min_length=1)]
    absent_masks: list[RelativePath] = Field(default_factory=list)
    resample_masks: Literal["nearest"] | None = None
    shift: Annotated[float, Field(ge=-60, le=60)] = 0.0
    removed: Annotated[str, Field(pattern=_REMOVED)] | None = None
    repetition_time: Annotated[float, Field(ge=0.05, le=30)] | None = None
    trend: Annotated[int, Field(ge=0, le=5)] = 0
    regress: list[str] = Field(default_factory=list)
    normalise: Literal["percent", "zscore"] | None = None

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have masks."""
        return set(self.masks)

    @model_validator(mode="after")
    def _confounds_are_there(self) -> BidsResponses:
        for split, part in self.parts.items():
            if self.regress and part.confounds is None:
                raise ValueError(f"parts.{split}: `regress` needs the files of `confounds`")
        return self


class RoiPreference(Spec):
    """A simulated ROI: its size and the layers it prefers.

    Parameters
    ----------
    n_voxels : int
        Voxels over all subjects, on average (each subject varies by up to 10 %).
    depth : float
        Relative depth, 0 (first layer) to 1 (last), that the ROI prefers.
    of : list of str
        ROIs that are part of this one; ``n_voxels`` includes theirs.
    """

    n_voxels: Annotated[int, Field(ge=1)]
    depth: Annotated[float, Field(ge=0, le=1)]
    of: list[Name] = Field(default_factory=list)


class SimulatedResponses(Spec):
    """Responses that a program makes from activations of a network: never measured.

    Parameters
    ----------
    model : str
        Registered network.
    layers : list of str
        Layers that the simulated brain computes.
    units : int
        Units of each layer that it computes, sampled with ``seed``.
    rois : mapping
        Preferences of each ROI.
    repeats : int
        Presentations of each test stimulus; training stimuli are shown once.
    noise : float
        SD of the noise of one presentation, relative to the SD of the signal of a voxel.
    noise_correlation : float
        Share of the noise's variance that is smooth over neighbouring voxels.
    tuning_width : float
        SD, in relative depth, of an ROI's preference for layers.
    agreement : float
        Share, 0 to 1, of the log visibility's variance that all subjects have in common.
    seed : int
        Of everything random.
    """

    kind: Literal["simulated"]
    model: Name
    layers: list[Name]
    units: Annotated[int, Field(ge=1)]
    rois: dict[Name, RoiPreference]
    repeats: Annotated[int, Field(ge=1)] = 4
    noise: Annotated[float, Field(ge=0)] = 2.0
    noise_correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    tuning_width: Annotated[float, Field(gt=0)] = 0.2
    agreement: Annotated[float, Field(ge=0, le=1)] = 0.8
    seed: Annotated[int, Field(ge=0)] = 0

    def roi_names(self) -> set[str]:
        """Names of the ROIs that are simulated."""
        return set(self.rois)

    @model_validator(mode="after")
    def _parts_fit(self) -> SimulatedResponses:
        for roi, wish in self.rois.items():
            unknown = sorted(set(wish.of) - set(self.rois))
            if unknown:
                raise ValueError(f"rois.{roi}.of names no simulated ROI: {', '.join(unknown)}")
            if sum(self.rois[part].n_voxels for part in wish.of) > wish.n_voxels:
                raise ValueError(f"rois.{roi}: its parts have more voxels than it has")
        return self


class DatasetSpec(Spec):
    """An fMRI dataset.

    Parameters
    ----------
    name, title, description, licence, source, citation : str
        As they stand in the release.
    simulated : bool
        True where the responses were not measured; every listing then says so.
    condition : {'perception', 'imagery'}
        What the subjects did; sessions of another condition make another dataset.
    subjects : list of str
        Their ids.
    rois : mapping of str to str
        Regions of interest and what they are.
    stimuli, responses : mapping, optional
        Where they are and in which form; both are missing where others have published results, not
        responses.
    files : DatasetFiles, optional
        Where the files come from, for ``unitdb datasets get``.
    transformations : Transformations
        What a decoder may do with the responses.
    """

    no_number = frozenset(
        {"name", "title", "description", "licence", "source", "citation", "files"}
    )

    name: Name
    title: str
    description: str
    simulated: bool = False
    licence: str
    source: str
    citation: str
    condition: Literal["perception", "imagery"] = "perception"
    subjects: Annotated[list[Name], Field(min_length=1)]
    rois: Annotated[dict[Name, str], Field(min_length=1)]
    stimuli: (
        Annotated[
            FolderStimuli | ArrayStimuli | CropStimuli | NamedStimuli, Field(discriminator="kind")
        ]
        | None
    ) = None
    responses: (
        Annotated[
            RdmResponses | ArrayResponses | BDataResponses | BidsResponses | SimulatedResponses,
            Field(discriminator="kind"),
        ]
        | None
    ) = None
    files: DatasetFiles | None = None
    transformations: Transformations = Transformations()

    def identity(self, *, words: bool = False) -> Any:
        """As of any spec; of ROIs the names alone, where words do not count."""
        named = self if words else self.model_copy(update={"rois": list(self.rois)})
        return super(DatasetSpec, named).identity(words=words)

    @property
    def shown(self) -> ShownPictures | None:
        """Which pictures may be shown; None where no word is said of it."""
        if self.stimuli is None or isinstance(self.stimuli, NamedStimuli):
            return None
        return self.stimuli.shown

    @model_validator(mode="after")
    def _names_agree(self) -> DatasetSpec:
        if len(set(self.subjects)) != len(self.subjects):
            raise ValueError("subjects: an id stands twice")
        if (self.responses is None) != (self.stimuli is None):
            raise ValueError("`stimuli` and `responses` belong together")
        if self.responses is None:
            return self
        if self.responses.kind == "simulated" and not self.simulated:
            raise ValueError("`simulated` must be true for simulated responses")
        named = self.responses.roi_names()
        unknown = sorted(named - set(self.rois))
        if unknown:
            raise ValueError(f"responses name ROIs that `rois` does not: {', '.join(unknown)}")
        missing = sorted(set(self.rois) - named)
        if missing:
            raise ValueError(f"responses leave out the ROIs {', '.join(missing)}")
        return self
