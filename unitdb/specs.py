"""YAML files that people write (recipes, dataset.yaml), read strictly and with good errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from unitdb.errors import UnitdbError, closest
from unitdb.reads import note_read
from unitdb.schema import NAME_PATTERN

__all__ = ["Name", "RelativePath", "Spec", "canonical_json", "content_sha256", "read_spec"]

Name = Annotated[str, StringConstraints(pattern=rf"^{NAME_PATTERN}$", max_length=100)]
"""A name that may become a folder and a part of a URL."""


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or "\\" in path or ":" in path or ".." in parts or not parts:
        raise ValueError("must be a relative path that stays inside its folder")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]
"""A path with forward slashes and no `..`; it may lead through links that the user has set."""


class Spec(BaseModel):
    """Base of everything read from YAML: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Spec)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, specs within it included: equal content, equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    )


def _plain(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json")


def content_sha256(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``: the key of whatever depends on it."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (they can blow up) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not allowed", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # refused below
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_spec(path: Path, spec: type[S], error: type[UnitdbError]) -> S:
    """Read and validate a YAML file.

    Parameters
    ----------
    path : Path
        The file.
    spec : type
        What it must be.
    error : type
        The exception to raise where it is not.

    Raises
    ------
    error
        Names the file, the key and what is wrong with it; for an unknown key, the nearest
        valid ones.
    """
    try:
        text = path.read_text(encoding="utf-8")
        note_read(path)
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"{path}: cannot be read: {cause}") from None
    try:
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise error(f"{path}: not valid YAML: {place}{cause.problem}") from None
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as cause:
        # PyYAML lets the errors of its own conversions (dates, numbers) through.
        raise error(f"{path}: not valid YAML: {' '.join(str(cause).split())}") from None
    if not isinstance(content, dict):
        raise error(f"{path}: must be a mapping of keys to values")
    try:
        return spec.model_validate(content)
    except ValidationError as cause:
        problems = [_problem(spec, dict(p)) for p in cause.errors()]
        raise error(f"{path}: {'; '.join(problems)}") from None


def _problem(spec: type[Spec], problem: dict[str, Any]) -> str:
    location = [str(part) for part in problem["loc"]]
    place = ".".join(location)
    if problem["type"] == "extra_forbidden":
        valid = _keys(spec, problem["loc"][:-1])
        near = closest(location[-1], valid)
        if near:
            return f"unknown key {place!r}; did you mean {near[0]!r}?"
        return f"unknown key {place!r}" + (f"; keys are: {', '.join(valid)}" if valid else "")
    if problem["type"] == "missing":
        return f"the key {place!r} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{place}: {message}{shown}" if place else message


def _keys(spec: Any, location: tuple[Any, ...]) -> list[str]:
    """Valid keys at a place; where a field may be of several kinds, those of all of them."""
    specs = [spec]
    for part in location:
        inner = []
        for candidate in specs:
            found = candidate.model_fields.get(part)
            # A discriminated union adds its tag to the place: stay with the same candidates.
            inner += _specs_in(found.annotation) if found else []
        specs = inner or specs
    return list(dict.fromkeys(key for candidate in specs for key in candidate.model_fields))


def _specs_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs_in(inner)]
