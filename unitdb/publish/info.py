"""What a release is called and how it is cited, as its maker states it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from unitdb.errors import RecipeError
from unitdb.release.citing import Person
from unitdb.release.manifest import VERSION_PATTERN
from unitdb.schema import name_problem

__all__ = ["ReleaseInfo"]


@dataclass(frozen=True, kw_only=True)
class ReleaseInfo:
    """What a release says of itself.

    Parameters
    ----------
    name : str
        Name in the catalogue; becomes a folder.
    version : str
        MAJOR.MINOR.PATCH: data changed, data added, the same data written anew.
    title, description : str
        One line, and a paragraph.
    simulated : bool
        True where any of the responses are simulated: all metadata then say so.
    licence : str
        Licence of the release, best as an SPDX identifier.
    citation : str
        How to cite it, as text.
    recipe_text : str
        The recipe that built it, word for word.
    recipe_sha256 : str
        Hash of the recipe's meaning.
    changelog : list of (str, str)
        Version and what changed in it, newest first.
    authors : tuple of Person
        Who made it; without any, all metadata say that they are not stated.
    doi : str, optional
        Of this release.
    funding : tuple of str
        Funders and grants.

    Raises
    ------
    RecipeError
        The name cannot be a folder, or the version is not MAJOR.MINOR.PATCH.
    """

    name: str
    version: str
    title: str
    description: str
    simulated: bool
    licence: str
    citation: str
    recipe_text: str
    recipe_sha256: str
    changelog: list[tuple[str, str]]
    authors: tuple[Person, ...] = ()
    doi: str | None = None
    funding: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if problem := name_problem(self.name):
            raise RecipeError(f"release name {self.name!r} {problem}")
        if not re.fullmatch(VERSION_PATTERN, self.version):
            raise RecipeError(f"release version {self.version!r} is not MAJOR.MINOR.PATCH")

    @property
    def full_title(self) -> str:
        """The title, with a mark where the release is simulated."""
        return f"{self.title} (simulated)" if self.simulated else self.title

    @property
    def banner(self) -> str:
        """The warning that a simulated release carries; empty where it is measured."""
        if not self.simulated:
            return ""
        return "SIMULATED: these numbers come from simulated brain responses, not from people."
