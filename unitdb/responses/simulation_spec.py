"""The part of dataset.yaml on simulated responses."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.responses.sets_spec import OtherTargets, TestSpec
from unitdb.specs import Name, Spec, check_alike

__all__ = ["RoiPreference", "SimulatedCourse", "SimulatedResponses", "SimulatedTest"]


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

    n_voxels: Annotated[int, Field(ge=1, le=1_000_000)]
    depth: Annotated[float, Field(ge=0, le=1)]
    of: list[Name] = Field(default_factory=list)


class SimulatedCourse(Spec):
    """How the signal of a simulated test set goes in time: a haemodynamic response, by layer.

    Parameters
    ----------
    seconds : float
        How long what is seen or imagined lasts, from onset.
    lags : mapping of str to float
        Seconds by which the voxels of each layer respond later than the haemodynamic response;
        below 0 earlier. Layers that are not named have 0.
    """

    seconds: Annotated[float, Field(gt=0, le=60)]
    lags: dict[Name, Annotated[float, Field(ge=-30, le=30)]] = Field(default_factory=dict)


class SimulatedTest(TestSpec):
    """A simulated test set: presentations of all stimuli named ``test-…``.

    Parameters
    ----------
    repeats : int
        Presentations of each; training stimuli are shown once.
    noise : float, optional
        In place of that of the dataset.
    signal : float
        Factor of the signal: below 1 the stimuli are imagined, say.
    shown : list of str, optional
        Ids of the stimuli shown, ``*`` for anything, that do not train. By default all that are no
        blurred versions.
    sharpening : float
        Share, 0 to 1, of the signal that is of the target in place of what was shown: of the
        original of a blurred version.
    pattern, names : none
        Refused: the stimuli have names.
    targets : {'pictures'} or OtherTargets
        What is decoded from a sample: the picture shown, or that whose id ends otherwise.
    windows : Windows, optional
        Times that make test sets of their own, in steps of seconds; needs ``course``.
    course : SimulatedCourse, optional
        How the signal goes at these times.
    """

    repeats: Annotated[int, Field(ge=1, le=10_000)] = 4
    noise: Annotated[float, Field(ge=0)] | None = None
    signal: Annotated[float, Field(ge=0)] = 1.0
    course: SimulatedCourse | None = None
    shown: Annotated[list[str], Field(min_length=1)] | None = None
    sharpening: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _of_pictures(self) -> SimulatedTest:
        by_ending = isinstance(self.targets, OtherTargets) and self.targets.ending is not None
        if self.targets != "pictures" and not by_ending:
            raise ValueError(
                "simulated test sets are of pictures, or of those whose ids end otherwise"
            )
        if (self.windows is None) != (self.course is None):
            raise ValueError("`windows` and `course` belong together")
        if self.windows is not None and self.windows.step == "TR":
            raise ValueError("`step` of simulated windows is a number of seconds")
        if self.pattern is not None or self.names is not None:
            raise ValueError("`pattern` and `names`: stimuli of simulated test sets have names")
        return self


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
    tests : mapping of str to SimulatedTest
        Test sets, by name. Noise of the first does not depend on the others.
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
    units: Annotated[int, Field(ge=1, le=1_000_000)]
    rois: dict[Name, RoiPreference]
    tests: Annotated[dict[Name, SimulatedTest], Field(min_length=1)]
    noise: Annotated[float, Field(ge=0)] = 2.0
    noise_correlation: Annotated[float, Field(ge=0, le=1)] = 0.5
    tuning_width: Annotated[float, Field(gt=0)] = 0.2
    agreement: Annotated[float, Field(ge=0, le=1)] = 0.8
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def train(self) -> None:
        """Stimuli named ``train-…`` train; there is no more to say."""
        return None

    @property
    def cross_validation(self) -> None:
        """Nothing is held out in folds."""
        return None

    def roi_names(self) -> set[str]:
        """Names of the ROIs that are simulated."""
        return set(self.rois)

    @model_validator(mode="after")
    def _parts_fit(self) -> SimulatedResponses:
        check_alike(self.tests, "tests")
        for name, test in self.tests.items():
            of = [] if test.course is None else sorted(set(test.course.lags) - set(self.layers))
            if of:
                raise ValueError(
                    f"tests.{name}.course: no layer of the simulation: {', '.join(of)}"
                )
        for roi, wish in self.rois.items():
            unknown = sorted(set(wish.of) - set(self.rois))
            if unknown:
                raise ValueError(f"rois.{roi}.of names no simulated ROI: {', '.join(unknown)}")
            if sum(self.rois[part].n_voxels for part in wish.of) > wish.n_voxels:
                raise ValueError(f"rois.{roi}: its parts have more voxels than it has")
        return self
