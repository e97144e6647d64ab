"""The part of dataset.yaml on training and test sets: what a test set is of, and what it is at.

Samples that train are ``train``; each of ``tests`` is a *test set* with a name, which is the
``condition`` of all that is published of it. Without either, images are held out in folds
(``cross-validation``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol, TypeAlias

from pydantic import Field, model_validator

from unitdb.responses.naming import StimulusNaming
from unitdb.specs import Name, RelativePath, Spec, check_alike

__all__ = [
    "CROSS_VALIDATION",
    "TRAIN",
    "HeldOutSpec",
    "OtherTargets",
    "TestSpec",
    "Windows",
    "check_sets",
    "condition_of",
    "named_parts",
    "refuse_old_form",
    "time_name",
]

TRAIN, CROSS_VALIDATION = "train", "cross-validation"

_TIME = "+g"
"""How times are written: the longest to a thousandth of a second, and steps are .05 and more."""

Seconds = Annotated[float, Field(ge=-600, le=600)]


class OtherTargets(Spec):
    """Targets that are other stimuli than those shown; one way to tell them.

    Parameters
    ----------
    table : str, optional
        CSV file below the data folder with the columns stimulus and target.
    column : str, optional
        Where the stimuli of the samples stand, the name of what holds their targets: a column of
        the events or of a BData file, or an array; named as the stimuli are.
    ending, by : str, optional
        The target is the stimulus whose id ends with ``by`` where that of the one shown ends with
        ``ending``: ``._3`` and ``._0``.
    """

    table: RelativePath | None = None
    column: Annotated[str, Field(min_length=1)] | None = None
    ending: Annotated[str, Field(min_length=1)] | None = None
    by: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> OtherTargets:
        if (self.ending is None) != (self.by is None):
            raise ValueError("`ending` and `by` belong together")
        if sum(way is not None for way in (self.table, self.column, self.ending)) != 1:
            raise ValueError("give one of `table`, `column`, and `ending` with `by`")
        return self


class Windows(Spec):
    """Times from the onset of each presentation, each of which makes a test set of its own.

    The test set ``imagery`` gives ``imagery@-6s``, ``imagery@-3s``, … besides itself: of each
    presentation the one volume that is measured at that time, without ``shift``. A presentation
    whose volume is beyond an end of its run is left out at that time.

    Parameters
    ----------
    from : float
        First time, in seconds from onset; below 0 before it.
    to : float
        Last time that there may be, in seconds from onset.
    step : float or 'TR'
        Seconds between times, .05 at the least; TR is the repetition time.
    reference : {'onset'}
        What times count from: the onset of the presentation, and so far nothing else.
    """

    start: Seconds = Field(alias="from")
    to: Seconds
    step: Annotated[float, Field(ge=0.05, le=600)] | Literal["TR"] = "TR"
    reference: Literal["onset"] = "onset"

    @model_validator(mode="after")
    def _in_order(self) -> Windows:
        if self.to < self.start:
            raise ValueError(f"`to` is {self.to:g}, before `from`, {self.start:g}")
        return self

    def times(self, repetition_time: float) -> list[float]:
        """Times in seconds, ascending, to the digits of their names."""
        step = repetition_time if self.step == "TR" else self.step
        n = int((self.to - self.start) / step + 1e-6) + 1
        times = (round(self.start + place * step, 6) for place in range(n))
        return [float(f"{time + 0.0:{_TIME}}") for time in times]  # -0 becomes 0


class TestSpec(StimulusNaming):
    """What a test set is of, and what it is at; and where its samples are.

    Parameters
    ----------
    average : bool
        Whether presentations of one stimulus are averaged, or kept as single samples.
    targets : {'pictures', 'categories'} or OtherTargets
        What is decoded from a sample: the picture shown; the category that its stimulus names,
        whose activation is the mean over the stimuli of that category (``stimuli.categories``); or
        another stimulus.
    seen_in_training : bool
        That stimuli of the test set train the decoder too, which is refused otherwise.
    time : float, optional
        Seconds from onset that samples are measured at.
    level : float, optional
        Strength of a manipulation, such as a blur, in the dataset's own unit.
    prior : str, optional
        What the subjects knew beforehand, a name.
    labels : str
        Anything else, for people.
    windows : Windows, optional
        Times that make test sets of their own.
    """

    __test__: ClassVar[bool] = False  # no class of tests, for pytest
    no_number = frozenset({"labels", "level", "prior"})

    average: bool = True
    targets: Literal["pictures", "categories"] | OtherTargets = "pictures"
    seen_in_training: bool = False
    time: Seconds | None = None
    level: float | None = None
    prior: Name | None = None
    labels: str = ""
    windows: Windows | None = None

    @model_validator(mode="after")
    def _one_time(self) -> TestSpec:
        if self.time is not None and self.windows is not None:
            raise ValueError("a test set has one `time`, or `windows` that make several")
        return self

    @property
    def target_column(self) -> str | None:
        """What holds the targets, where a column does."""
        return self.targets.column if isinstance(self.targets, OtherTargets) else None


class HeldOutSpec(StimulusNaming):
    """Samples whose stimuli, or whose runs, are held out in folds.

    Parameters
    ----------
    condition : str
        Name of what is held out: what the subjects did.
    hold_out : {'stimuli', 'runs'}
        What a fold holds out: stimuli, none of which then trains; or whole runs, of stimuli that
        are shown in the others too. ``decoder.folds`` of the recipe says in how many folds: as many
        as there are runs leave out one run at a time.
    average : bool
        Whether presentations of one stimulus are averaged, of runs those within a run, or kept as
        single samples; those that train are always single where runs are held out.
    windows : Windows, optional
        Times from onset that are tested too, as test sets of their own, by what the samples of the
        other runs have trained. Where stimuli are held out they are refused: volumes some seconds
        before or after a stimulus are of its neighbours, which train.
    """

    condition: Name = "perception"
    hold_out: Literal["stimuli", "runs"] = "stimuli"
    average: bool = True
    windows: Windows | None = None

    @model_validator(mode="after")
    def _trains_nothing_of_its_own(self) -> HeldOutSpec:
        if self.hold_out == "stimuli" and self.windows is not None:
            raise ValueError(
                "`windows` need `hold_out: runs`: a volume some seconds before or after a stimulus "
                "that is held out shows its neighbours, which train"
            )
        if self.hold_out == "stimuli" and not self.average:
            raise ValueError("`average: false` needs `hold_out: runs`")
        return self


Part: TypeAlias = Any


class HasSets(Protocol):
    """A spec of responses: what trains, and the test sets, or what is cross-validated."""

    @property
    def train(self) -> Part | None:
        """What trains."""

    @property
    def tests(self) -> Mapping[str, Part]:
        """Test sets by name."""

    @property
    def cross_validation(self) -> Part | None:
        """What is held out in folds."""


def named_parts(spec: HasSets) -> Iterator[tuple[str, Part]]:
    """Names and specs of training and test sets, or of what is cross-validated."""
    if spec.train is not None:
        yield TRAIN, spec.train
    yield from spec.tests.items()
    if spec.cross_validation is not None:
        yield CROSS_VALIDATION, spec.cross_validation


def condition_of(name: str, part: Part) -> str:
    """What a set is called as a condition: its name, or that of what is held out."""
    return str(part.condition) if name == CROSS_VALIDATION else name


def check_sets(spec: HasSets) -> None:
    """See that there is ``train`` with ``tests``, or ``cross-validation``.

    Raises
    ------
    ValueError
        Both, neither or a part of one, or a test set that has one of these names.
    """
    taken = sorted({TRAIN, CROSS_VALIDATION} & spec.tests.keys())
    if taken:
        raise ValueError(f"tests: {taken[0]!r} is no name of a test set")
    check_alike(spec.tests, "tests")
    if spec.cross_validation is not None and (spec.train is not None or spec.tests):
        raise ValueError("give `train` and `tests`, or `cross-validation`, not both")
    if spec.cross_validation is None and (spec.train is None or not spec.tests):
        raise ValueError("give `train` and `tests: {NAME: …}`, or `cross-validation`")


def refuse_old_form(content: Mapping[str, Any]) -> None:
    """See that a dataset.yaml does not name its sets as it was once done.

    Raises
    ------
    ValueError
        It does; says how it is written now.
    """
    responses = content.get("responses")
    parts = responses.get("parts") if isinstance(responses, dict) else None
    if "condition" not in content and parts is None:
        return
    name = content.get("condition", "perception")
    old = "`condition` of a dataset" if parts is None else "`responses.parts`"
    if isinstance(parts, dict) and CROSS_VALIDATION in parts:
        now = f"`responses: {{…, cross-validation: {{…, condition: {name}}}}}`"
    else:
        now = f"`responses: {{…, train: {{…}}, tests: {{{name}: {{…}}}}}}`"
    raise ValueError(
        f"{old} is no longer a key: test sets have names, which are the condition; write {now}"
    )


def time_name(name: str, seconds: float) -> str:
    """Name of the test set of a time: ``imagery@+6s``."""
    return f"{name}@{seconds:{_TIME}}s"
