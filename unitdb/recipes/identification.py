"""The key ``identification`` of a recipe: among which candidates predictions are identified."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unitdb.candidates import CandidatesSpec
from unitdb.specs import Name, Spec, check_alike

__all__ = ["IdentificationSpec"]

_Method = Literal["normalised", "horikawa2017"]
_Way = Literal["concatenated", "fisher"]
_Patterns = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


def _every_method() -> list[_Method]:
    return ["normalised", "horikawa2017"]


def _every_way() -> list[_Way]:
    return ["concatenated", "fisher"]


class IdentificationSpec(Spec):
    """Which of many candidates a prediction is of (tables ``identification`` and its summary).

    Predictions are those of the key ``predictions``; without it, of 500 units of each layer, which
    are stored and not published.

    Parameters
    ----------
    sets : dict of str to CandidatesSpec
        Candidates by the name of the set. Of kind ``own`` they are the targets of the test set;
        of others, these and those of the set. Where both have a name, the activation that is
        decoded counts.
    targets : dict of str to {'decoded', 'set'}
        Of sets not of kind ``own``: with ``set`` the candidates are the set alone, and the true one
        is that of the target's name, or of its category's: seen pictures are then identified by
        the features of their categories, as published. By default ``decoded``.
    methods : list of {'normalised', 'horikawa2017'}
        Pearson r over units that are normalised by mean and SD over the images that train, or raw,
        as published. Raw patterns have much in common, and chance is far above .5.
    tests : list of str, optional
        Test sets whose predictions are identified, ``*`` for anything; by default all that are not
        of a time of a window.
    units : int
        Units of each layer that patterns are of, a random sample of those stored.
    trials : bool
        Where samples share a target, identify single ones besides their means.
    combined : list of {'concatenated', 'fisher'}
        Layers together: by their units, or by the mean of their similarities.
    people : bool
        Identify the mean of all people's predictions too, as subject ``*``.
    categories : dict of str to list of str
        Category → patterns of the candidates' ids, ``*`` for anything, for rates within and
        between categories. By default those of the dataset (``stimuli.categories``).
    features : bool
        Publish features of the candidates, mean and SD of the units, so that ``verify`` computes
        all again and readers identify predictions of their own. For sets of some 100 MB.
    """

    no_number = frozenset({"features"})

    sets: Annotated[dict[Name, CandidatesSpec], Field(min_length=1)]
    targets: dict[Name, Literal["decoded", "set"]] = Field(default_factory=dict)
    methods: Annotated[list[_Method], Field(min_length=1)] = Field(default_factory=_every_method)
    tests: _Patterns | None = None
    units: Annotated[int, Field(ge=2, le=100_000)] = 1000
    trials: bool = True
    combined: list[_Way] = Field(default_factory=_every_way)
    people: bool = True
    categories: dict[str, _Patterns] = Field(default_factory=dict)
    features: bool = False

    @model_validator(mode="after")
    def _sets_are_named(self) -> IdentificationSpec:
        for name in self.targets:
            if name not in self.sets:
                raise ValueError(f"targets: there is no set {name!r}; sets: {', '.join(self.sets)}")
            if self.sets[name].kind == "own" and self.targets[name] == "set":
                raise ValueError(f"targets: {name}: of kind own the candidates are the targets")
        for key in ("methods", "combined"):
            given: list[str] = getattr(self, key)
            if len(set(given)) < len(given):
                raise ValueError(f"{key}: one stands twice: {', '.join(given)}")
        check_alike(self.sets, "sets")
        return self

    def targets_of(self, name: str) -> Literal["decoded", "set"]:
        """Where the true candidate of a set has its features from."""
        return self.targets.get(name, "decoded")
