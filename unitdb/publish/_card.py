"""The metadata that people read: README card, change log, citation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from unitdb.release.citing import NO_AUTHORS, Person
from unitdb.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unitdb.publish.info import ReleaseInfo

__all__ = ["card", "changelog", "citation"]


def card(info: ReleaseInfo, rows: Mapping[str, int]) -> str:
    """``README.md`` of the release, with the number of rows of each table.

    Parameters
    ----------
    info : ReleaseInfo
        What the release is.
    rows : mapping of str to int
        Number of rows of each table.
    """
    banner = [f"> **{info.banner}**", ""] if info.banner else []
    tables = [f"| `{table}` | {n:,} | {TABLES[table].row} |" for table, n in rows.items()]
    lines = [
        f"# {info.full_title}",
        "",
        *banner,
        info.description.strip(),
        "",
        f"Release `{info.name}` {info.version}, schema {SCHEMA_VERSION}, licence {info.licence}.",
        "Built from `recipe.yaml`.",
        "",
        "| table | rows | a row is |",
        "|---|---:|---|",
        *tables,
        "",
        "```python",
        "import unitdb",
        "",
        f'release = unitdb.open("{info.name}@{info.version}")',
        "print(release.describe())",
        "```",
        "",
        "`unitdb schema` explains every column; `unitdb verify` checks every file and number.",
        "",
        "## Citation",
        "",
        info.citation.strip(),
        "",
        *(f"- {_written(author)}" for author in info.authors),
        *([] if info.authors else [NO_AUTHORS]),
    ]
    if info.doi is not None:
        lines += ["", f"https://doi.org/{info.doi}"]
    if info.funding:
        lines += ["", "## Funding", "", *(f"- {text}" for text in info.funding)]
    return "\n".join(lines) + "\n"


def changelog(info: ReleaseInfo) -> str:
    """``CHANGELOG.md``: what changed in each version."""
    parts = [f"# Changes of {info.name}"]
    parts += [f"## {version}\n\n{text.strip()}" for version, text in info.changelog]
    return "\n\n".join(parts) + "\n"


def citation(info: ReleaseInfo) -> str:
    """``CITATION.cff`` 1.2.0. It must have an author: where none is stated, one that says so."""
    fields = {
        "cff-version": "1.2.0",
        "type": "dataset",
        "message": f"Please cite: {info.citation.strip()}",
        "title": info.full_title,
        "abstract": f"{info.banner} {info.description}".strip(),
        "version": info.version,
        "authors": [_cff(author) for author in info.authors] or [{"name": NO_AUTHORS}],
    }
    if info.doi is not None:
        fields["doi"] = info.doi
    text: str = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False, width=100)
    return text


def _cff(author: Person) -> dict[str, str]:
    if author.organisation:
        return {"name": author.family}
    fields = {
        "family-names": author.family,
        "given-names": author.given,
        "orcid": author.orcid and f"https://orcid.org/{author.orcid}",
        "affiliation": author.affiliation,
    }
    return {key: value for key, value in fields.items() if value}


def _written(author: Person) -> str:
    orcid = author.orcid and f"https://orcid.org/{author.orcid}"
    return ", ".join(filter(None, [str(author), author.affiliation, orcid]))
