"""Who made a release, and how it stands in a bibliography."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NO_AUTHORS", "Person", "bibtex", "latex"]

NO_AUTHORS = "Authors are not stated."
"""What stands where a release has no authors."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {character: f"\\{character}" for character in "&%$#_{}"}


@dataclass(frozen=True, kw_only=True)
class Person:
    """An author.

    Parameters
    ----------
    family : str
        Family name; of an organisation, all of its name.
    given : str, optional
        Given names.
    organisation : bool
        Whether it is a group of people.
    orcid : str, optional
        As in 0000-0002-1825-0097.
    affiliation : str, optional
        University or institute.
    """

    family: str
    given: str | None = None
    organisation: bool = False
    orcid: str | None = None
    affiliation: str | None = None

    def __str__(self) -> str:
        return self.family if self.given is None else f"{self.given} {self.family}"

    @classmethod
    def from_dict(cls, fields: Any) -> Person:
        """Read what :meth:`to_dict` gives.

        Raises
        ------
        TypeError
            It is something else.
        """
        found = cls(**fields)
        texts = (found.given, found.orcid, found.affiliation)
        if not isinstance(found.family, str) or not isinstance(found.organisation, bool):
            raise TypeError("an author without a name")
        if not all(text is None or isinstance(text, str) for text in texts):
            raise TypeError("an author whose name is no text")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Fields that are known."""
        return {key: value for key, value in asdict(self).items() if value not in (None, False)}


def latex(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, white space single."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def bibtex(
    *,
    name: str,
    version: str,
    title: str,
    citation: str,
    simulated: bool,
    authors: Sequence[Person] = (),
    doi: str | None = None,
) -> str:
    """Entry ``@misc`` for a bibliography; the citation itself is the release's own text.

    Parameters
    ----------
    name, version, title, citation : str
        Texts of the release.
    simulated : bool
        Whether its responses are; the note then says so.
    authors : sequence of Person
        Without any, the entry has none, and its note says that they are not stated.
    doi : str, optional
        DOI of this version of the release.
    """
    note = [citation, "SIMULATED responses." if simulated else "", "" if authors else NO_AUTHORS]
    fields = {
        "author": " and ".join(map(_bibtex_name, authors)),
        # Twice in braces: capitals stay, and a name of several words is one.
        "title": f"{{{latex(title)}}}",
        "version": latex(version),
        "howpublished": latex(f"unitdb release {name}@{version}"),
        "doi": "" if doi is None else latex(doi),
        "note": latex(" ".join(filter(None, note))),
    }
    key = f"{re.sub('[^A-Za-z0-9]', '', name) or 'unitdb'}-{version}"
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
    return "\n".join([f"@misc{{{key},", *lines, "}"])


def _bibtex_name(person: Person) -> str:
    if person.organisation:
        return f"{{{latex(person.family)}}}"
    # Braces: particles (van, de) and `and` within a name divide nothing.
    family = f"{{{latex(person.family)}}}"
    return family if person.given is None else f"{family}, {latex(person.given)}"
