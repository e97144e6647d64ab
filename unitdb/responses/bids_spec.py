"""The part of dataset.yaml on responses in a BIDS dataset."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.responses.bids_masks import Mask
from unitdb.responses.naming import StimulusNaming
from unitdb.responses.sets_spec import HeldOutSpec, TestSpec, check_sets, named_parts
from unitdb.specs import Name, RelativePath, Spec

__all__ = ["BidsPart", "BidsResponses", "BidsTest"]

_ENTITY = "(sub|ses|task|acq|dir|run)-[A-Za-z0-9]+"
_ENTITIES = f"^{_ENTITY}(_{_ENTITY})*$"
_REMOVED = r"^(\d{1,4} volumes?|\d{1,4}(\.\d{1,6})? seconds?)$"
Masks = Annotated[list[Mask], Field(min_length=1)]


class BidsPart(StimulusNaming):
    """Runs of a BIDS dataset, and which of their events show a stimulus.

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
    keep : mapping of str to list of str
        Only events that have one of these values in these columns; ``*`` stands for anything. Each
        value must be that of a presentation in one of the subject's runs.
    drop : mapping of str to list of str
        Events that have one of these values in one of these columns are left out, of those that
        ``keep`` takes. A subject may have none: a value that is nowhere drops nothing.
    prefix : str
        What stands before each id: ``category/``, say, where sessions use one name for two
        stimuli.
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
    drop: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_./-]*$")] = ""
    repeats: Literal["keep", "drop"] = "keep"


class Certain(Spec):
    """Answers of the subject that say whether they were certain of what they saw.

    Parameters
    ----------
    column : str
        Of the events.
    certain, uncertain : list of str
        Its values that say so, or that they were not. With any other, nothing is known.
    """

    column: Annotated[str, Field(min_length=1)]
    certain: Annotated[list[str], Field(min_length=1)]
    uncertain: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _say_one_thing(self) -> Certain:
        both = sorted(set(self.certain) & set(self.uncertain))
        if both:
            raise ValueError(f"{both[0]!r} is in `certain` and in `uncertain`")
        return self


class BidsTest(BidsPart, TestSpec):
    """A test set of a BIDS dataset.

    Parameters
    ----------
    shift : float, optional
        Seconds by which the response comes later, where it is another than that of the dataset.
    certain : Certain, optional
        Which answers say that the subject was certain (``modulation.certain``).
    """

    shift: Annotated[float, Field(ge=-60, le=60)] | None = None
    certain: Certain | None = None


class HeldOutBids(BidsPart, HeldOutSpec):
    """Runs of a BIDS dataset whose stimuli are held out in folds."""


class BidsResponses(Spec):
    """Responses as BOLD images with events: a sample is the mean volume of a presentation.

    Trend and confounds are regressed out of each run, which is then normalised; a sample is of the
    volumes ``shift`` seconds after its event.

    Parameters
    ----------
    root : str
        The BIDS dataset, below the data folder.
    train : BidsPart, optional
        Runs that train.
    tests : mapping of str to BidsTest
        Runs of each test set, by its name.
    cross-validation : HeldOutBids, optional
        In place of both: runs whose stimuli are held out in folds.
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
    train: BidsPart | None = None
    tests: dict[Name, BidsTest] = Field(default_factory=dict)
    cross_validation: HeldOutBids | None = Field(default=None, alias="cross-validation")
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
        check_sets(self)
        for name, part in named_parts(self):
            if self.regress and part.confounds is None:
                raise ValueError(f"{name}: `regress` needs the files of `confounds`")
        return self
