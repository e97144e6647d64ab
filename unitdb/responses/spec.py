"""dataset.yaml: what a dataset is, where its files are, and what may be done with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from unitdb.responses.arrays_spec import ArrayResponses, BDataResponses
from unitdb.responses.bids_spec import BidsResponses
from unitdb.responses.sets_spec import refuse_old_form
from unitdb.responses.simulation_spec import SimulatedResponses
from unitdb.responses.stimuli_spec import (
    ArrayStimuli,
    CropStimuli,
    FolderStimuli,
    NamedStimuli,
    ShownPictures,
)
from unitdb.sources import DatasetFiles
from unitdb.specs import Name, RelativePath, Spec

__all__ = ["DatasetSpec", "RdmResponses", "Transformations"]


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
    condition : str
        Name of what is held out in folds: what the subjects did.
    """

    kind: Literal["rdm"]
    files: Annotated[dict[Name, RelativePath], Field(min_length=1)]
    key: str
    stimulus_ids: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*\{:\d{0,2}d\}[A-Za-z0-9_.-]*$")]
    condition: Name = "perception"

    def roi_names(self) -> set[str]:
        """Names of the ROIs that have a file."""
        return set(self.files)


class DatasetSpec(Spec):
    """An fMRI dataset.

    Parameters
    ----------
    name, title, description, licence, source, citation : str
        As they stand in the release.
    simulated : bool
        True where the responses were not measured; every listing then says so.
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

    @property
    def conditions(self) -> dict[str, Any]:
        """What is tested, by the names that it has as a condition."""
        if self.responses is None:
            return {}
        if isinstance(self.responses, RdmResponses):
            return {self.responses.condition: self.responses}
        held_out = self.responses.cross_validation
        return {**self.responses.tests} | (
            {} if held_out is None else {held_out.condition: held_out}
        )

    @classmethod
    def check_form(cls, content: dict[str, Any]) -> None:
        """Refuse `parts` and `condition`, in whose place test sets have names."""
        refuse_old_form(content)

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
