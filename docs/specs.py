"""Print docs/recipes.md: every key of recipe.yaml and dataset.yaml, from what reads them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, get_args

import click
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from unitdb.candidates import CandidatesFile
from unitdb.recipes.recipe import Recipe
from unitdb.responses import DatasetSpec

HEAD = """# Keys of recipe.yaml, dataset.yaml and candidates.yaml

Written by `make docs` from the code that reads them; do not edit. Other keys are refused, with the
nearest that there is. *Required* keys have no default. Keys that files share are explained once.
"""
START = {"recipe.yaml": Recipe, "dataset.yaml": DatasetSpec, "candidates.yaml": CandidatesFile}


def specs(annotation: Any) -> Iterator[type[BaseModel]]:
    """Classes of keys that a type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from specs(part)


def meanings(spec: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """Type and meaning of each key, as the docstring has them."""
    found: dict[str, tuple[str, str]] = {}
    for cls in reversed(spec.__mro__):  # what a class takes over, the others explain
        _, _, text = cleandoc(cls.__doc__ or "").partition("Parameters\n----------\n")
        for match in re.finditer(
            r"^(\w[\w, -]*?) : (.+)\n((?:    .+\n?|\n(?=    ))+)", text, re.MULTILINE
        ):
            names, kind, meaning = match.groups()
            for name in names.split(", "):
                found[name] = kind.removesuffix(", optional"), " ".join(meaning.split())
    return found


def below(spec: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """All classes that a class may hold, itself included."""
    seen.add(spec)
    for field in spec.model_fields.values():
        for inner in set(specs(field.annotation)) - seen:
            below(inner, seen)
    return seen


def section(title: str, spec: type[BaseModel]) -> Iterator[str]:
    """Table of the keys of a class."""
    summary = cleandoc(spec.__doc__ or "").partition("Parameters\n")[0]
    yield f"### {title}\n\n{' '.join(summary.split())}\n"
    yield "| key | type | default | meaning |\n|---|---|---|---|"
    explained = meanings(spec)
    for name, field in spec.model_fields.items():
        if name == "kind":  # the heading says it
            continue
        kind, meaning = explained[field.alias or name]
        cells = [f"`{field.alias or name}`", kind, default(field), meaning]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def default(field: Any) -> str:
    """Say what a key is where it is left out."""
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or value is None:
        return "none"
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", by_alias=True)
    return f"`{json.dumps(value, default=list)}`"


def page() -> str:
    """Markdown of all keys."""
    lines, seen = [HEAD], set[type[BaseModel]]()
    for file, start in START.items():
        lines.append(f"## {file}\n")
        holders = Counter(
            inner
            for spec in below(start, set())
            for field in spec.model_fields.values()
            for inner in set(specs(field.annotation))
        )
        waiting = [("", "", start)]
        seen.add(start)
        while waiting:
            path, kind, spec = waiting.pop(0)
            lines += section(f"`{path}`{kind}" if path else "The file", spec)
            for name, field in spec.model_fields.items():
                for inner in specs(field.annotation):
                    if inner not in seen:
                        seen.add(inner)
                        kinds = get_args(
                            getattr(inner.model_fields.get("kind"), "annotation", None)
                        )
                        which = kind if holders[inner] == 1 else ""
                        if kinds:
                            which = f", kind: {', '.join(kinds)}"
                        key = field.alias or name
                        waiting.append((f"{path}.{key}" if path else key, which, inner))
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    click.echo(page())
