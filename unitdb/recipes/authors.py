"""Who made a release, and who paid: what a recipe says of authors, DOI and funding."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from unitdb.release.citing import Person
from unitdb.specs import Spec

__all__ = ["Author", "Doi", "Line"]

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")
]
"""A line of text that is not empty and has no control characters."""


def _bare(prefix: str) -> BeforeValidator:
    """Take what people paste: an address, or the identifier after its scheme."""

    def strip(value: Any) -> Any:
        return re.sub(prefix, "", value.strip()) if isinstance(value, str) else value

    return BeforeValidator(strip)


def _checked(orcid: str) -> str:
    """Hold an ORCID to its check character (ISO 7064 mod 11-2)."""
    digits, check = orcid[:-1].replace("-", ""), orcid[-1]
    total = 0
    for digit in digits:
        total = (total + int(digit)) * 2
    right = (12 - total % 11) % 11
    if check != ("X" if right == 10 else str(right)):
        raise ValueError("is no ORCID: its last character does not fit the others")
    return orcid


def _family_first(name: str) -> str:
    if name.count(",") > 1 or (" " in name and "," not in name):
        raise ValueError(
            "write the family name first, as in 'Doe, Jane'; a group is `organisation: …`"
        )
    if not all(part.strip() for part in name.split(",")):
        raise ValueError("a name is missing before or after the comma")
    return name


Doi = Annotated[
    str,
    _bare(r"^(https?://(dx\.)?doi\.org/|doi:\s*)"),
    StringConstraints(pattern=r"^10\.\d{4,9}/[^\s\x00-\x1f\x7f-\x9f]+$"),
]
"""``10.…/…``, or its address."""

Orcid = Annotated[
    str,
    _bare(r"^(https?://)?(www\.)?orcid\.org/"),
    StringConstraints(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$"),
    AfterValidator(_checked),
]


class Author(Spec):
    """Somebody who made the release.

    Parameters
    ----------
    name : str, optional
        Of a person, family name first: ``Doe, Jane``.
    organisation : str, optional
        Of a group, in place of a name.
    orcid : str, optional
        Of a person, as in 0000-0002-1825-0097, or its address.
    affiliation : str, optional
        Of a person.
    """

    name: Annotated[Line, AfterValidator(_family_first)] | None = None
    organisation: Line | None = None
    orcid: Orcid | None = None
    affiliation: Annotated[Line, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Author:
        if (self.name is None) == (self.organisation is None):
            raise ValueError("give `name` (a person) or `organisation`, one of them")
        if self.organisation is not None and (self.orcid or self.affiliation):
            raise ValueError("orcid and affiliation are of persons: give `name`")
        return self

    def person(self) -> Person:
        """The same, as readers of releases have it."""
        family, _, given = (self.name or self.organisation or "").partition(",")
        if self.organisation is not None:
            family, given = self.organisation, ""
        return Person(
            family=family.strip(),
            given=given.strip() or None,
            organisation=self.organisation is not None,
            orcid=self.orcid,
            affiliation=self.affiliation,
        )
