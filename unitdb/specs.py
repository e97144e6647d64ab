"""YAML files that people write (recipes, dataset.yaml), read strictly and with good errors."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from unitdb.errors import UnitdbError, closest
from unitdb.reads import note_read
from unitdb.schema import NAME_PATTERN, alike_names, name_problem
from unitdb.yamltext import MOST_BYTES, parse_yaml

__all__ = [
    "Name",
    "RelativePath",
    "Spec",
    "as_id",
    "canonical_json",
    "check_alike",
    "content_sha256",
    "read_spec",
]


def _is_name(text: str) -> str:
    if problem := name_problem(text):
        raise ValueError(problem)
    return text


Name = Annotated[
    str, StringConstraints(pattern=rf"^{NAME_PATTERN}$", max_length=100), AfterValidator(_is_name)
]
"""A name that may become a folder and a part of a URL."""


def check_alike(names: Iterable[str], what: str) -> None:
    """See that no two names differ in case alone: they would be one folder on some systems.

    Raises
    ------
    ValueError
        Two do.
    """
    if alike := alike_names(names):
        raise ValueError(
            f"{what}: {alike[0]!r} and {alike[1]!r} are one folder on some systems; change one"
        )


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or "\\" in path or ":" in path or ".." in parts or not parts:
        raise ValueError("must be a relative path that stays inside its folder")
    if any(unicodedata.category(character) == "Cc" for character in path):
        raise ValueError("must be a path without control characters")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]
"""A path with forward slashes and no `..`; it may lead through links that the user has set."""


class Spec(BaseModel):
    """Base of everything read from YAML: immutable, and an unknown key is an error.

    Whatever stands in a spec is part of the identity of what is computed from it, but for the keys
    that its class names in ``no_number``: a key that is added later cannot be forgotten.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    no_number: ClassVar[frozenset[str]] = frozenset()
    """Keys that no number of a release depends on: words, and where files are downloaded from."""

    @classmethod
    def check_form(cls, content: dict[str, Any]) -> None:
        """Raise ValueError where a file is of an older form; says how it is written now."""

    def identity(self, *, words: bool = False) -> Any:
        """All that numbers depend on, and with ``words`` the rest, for :func:`content_sha256`.

        Mappings are lists of pairs, whose order counts.

        Returns
        -------
        value of JSON
            Mappings as lists of pairs.
        """
        left_out = frozenset() if words else self.no_number
        return [[key, _in_order(value, words)] for key, value in self if key not in left_out]


S = TypeVar("S", bound=Spec)


def as_id(text: str) -> str:
    """Id of a stimulus as all readers have it: Unicode in its composed form (NFC).

    File systems and tables write one name, an ä say, in two forms, which are not equal as text.
    """
    return unicodedata.normalize("NFC", text)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces, specs within it included: equal content, equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    )


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if hasattr(value, "item") and not getattr(value, "shape", ()):  # a number of NumPy
        return value.item()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no form in JSON")


def _in_order(value: Any, words: bool) -> Any:
    if isinstance(value, Spec):
        return value.identity(words=words)
    if isinstance(value, dict):
        return [[key, _in_order(inner, words)] for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [_in_order(inner, words) for inner in value]
    return value


def content_sha256(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``: the key of whatever depends on it."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


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
        note_read(path)
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
        text = raw.decode("utf-8")
    except FileNotFoundError:
        raise error(f"{path}: no such file") from None
    except UnitdbError:
        raise
    except (OSError, ValueError) as cause:  # no UTF-8, or a NUL in the path
        why = getattr(cause, "strerror", None) or cause
        raise error(f"{path}: cannot be read: {why}") from None
    if len(raw) > MOST_BYTES:
        raise error(f"{path}: longer than {MOST_BYTES:,} bytes, the most that is read")
    try:
        content = parse_yaml(text)
    except ValueError as cause:
        raise error(f"{path}: not valid YAML: {cause}") from None
    if not isinstance(content, dict):
        raise error(f"{path}: must be a mapping of keys to values")
    try:
        spec.check_form(content)
    except ValueError as cause:
        raise error(f"{path}: {cause}") from None
    try:
        # As JSON, where a list is good for a tuple; strictly: no other type is taken for another.
        return spec.model_validate_json(json.dumps(content), strict=True)
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
    if problem["type"] == "string_type" and shown:
        message += "; put it in quotes"
    return f"{place}: {message}{shown}" if place else message


def _keys(spec: Any, location: tuple[Any, ...]) -> list[str]:
    """Valid keys at a place; where a field may be of several kinds, those of all of them."""
    specs = [spec]
    for part in location:
        inner = []
        for candidate in specs:
            found = _fields(candidate).get(part)
            # A discriminated union adds its tag to the place: stay with the same candidates.
            inner += _specs_in(found.annotation) if found else []
        specs = inner or specs
    return list(dict.fromkeys(key for candidate in specs for key in _fields(candidate)))


def _fields(spec: Any) -> dict[str, Any]:
    """Fields by the keys that stand for them in YAML."""
    return {field.alias or name: field for name, field in spec.model_fields.items()}


def _specs_in(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [spec for inner in get_args(annotation) for spec in _specs_in(inner)]
