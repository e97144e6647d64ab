"""Retraction, errata and signature of one version that two catalogues list: what to list then."""

from __future__ import annotations

from typing import Any

from unitdb.release.entries import listed_entry
from unitdb.release.signing import statement

__all__ = ["with_notes_of_both"]


def with_notes_of_both(
    own: dict[str, Any], theirs: dict[str, Any], name: str, version: str
) -> tuple[dict[str, Any], list[str]]:
    """Add to an entry of ``releases.json`` what another catalogue says against the same version.

    Nothing that is said against it is lost: theirs is the retraction where both have one, and their
    errata come first. The signature is the one that covers the result; where none does, there is
    none.

    Parameters
    ----------
    own, theirs : dict
        Entries of the same bytes, as ``releases.json`` has them.
    name, version : str
        The version.

    Returns
    -------
    dict
        The entry.
    list of str
        What of it is of one's own alone, in words.
    """
    found = {key: value for key, value in own.items() if key not in {"errata", "signature"}}
    errata = theirs.get("errata", [])
    more = [text for text in own.get("errata", []) if text not in errata]
    if errata or more:
        found["errata"] = [*errata, *more]
    alone = [f"the erratum {text!r}" for text in more]
    if theirs["retracted"] is not None:
        found["retracted"] = theirs["retracted"]
    elif own["retracted"] is not None:
        alone.insert(0, f"the retraction ({own['retracted']['reason']})")
    stated = _statement(found, name, version)
    for one in (own, theirs):
        if "signature" in one and _statement(one, name, version) == stated:
            found["signature"] = one["signature"]
    return found, alone


def _statement(entry: dict[str, Any], name: str, version: str) -> str:
    listed = listed_entry({"releases": {name: {"versions": {version: entry}}}}, name, version)
    return "" if listed is None else statement(listed)
