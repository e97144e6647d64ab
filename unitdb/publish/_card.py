"""The metadata that people read: README card, change log, citation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
    ]
    return "\n".join(lines) + "\n"


def changelog(info: ReleaseInfo) -> str:
    """``CHANGELOG.md``: what changed in each version."""
    parts = [f"# Changes of {info.name}"]
    parts += [f"## {version}\n\n{text.strip()}" for version, text in info.changelog]
    return "\n\n".join(parts) + "\n"


def citation(info: ReleaseInfo) -> str:
    """``CITATION.cff`` 1.2.0; a JSON string is a valid YAML string."""
    abstract = f"{info.banner} {info.description}".strip()
    fields = {
        "cff-version": "1.2.0",
        "type": "dataset",
        "message": f"Please cite: {info.citation.strip()}",
        "title": info.full_title,
        "abstract": abstract,
        "version": info.version,
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    lines += ["authors:", '  - name: "The unitdb developers"']
    return "\n".join(lines) + "\n"
