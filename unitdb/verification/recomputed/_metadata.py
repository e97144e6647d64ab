"""What a release says twice: recipe, tables, metadata, and the identity of its builds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError, RecipeError
from unitdb.files import read_sums
from unitdb.publish import ReleaseInfo, metadata_texts
from unitdb.release.manifest import MANIFEST, METADATA
from unitdb.schema import SCHEMA_VERSION
from unitdb.tables import code_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from unitdb.recipes import Recipe
    from unitdb.release.manifest import Manifest

__all__ = ["built_here", "check_metadata", "recipe_of"]

_RECIPE = "recipe.yaml"
_IMPORTED = "import "
"""How ``builds.recipe`` begins where accuracies were imported."""

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]


def built_here(tables: Tables) -> bool:
    """Whether the code that runs here built the release, to the last byte."""
    code = code_sha256()
    return all(row["code_sha256"] == code for row in tables["builds"])


def check_metadata(folder: Path, manifest: Manifest, tables: Tables) -> list[str]:
    """Check that metadata are what recipe and tables give; return what could not be known.

    Parameters
    ----------
    folder : Path
        The release.
    manifest : Manifest
        What it says of itself.
    tables : dict of str to list of dict
        Rows of the small tables.

    Raises
    ------
    CorruptReleaseError
        Names the file or the row, and what it does not agree with.
    """
    _raise(folder, _repeated(folder, tables))
    if manifest.schema != SCHEMA_VERSION:
        why = f"the release follows schema {manifest.schema}, whose unitdb wrote them otherwise"
        return [f"recipe, builds and metadata against each other: {why}"]
    recipe = recipe_of(folder, tables)
    if recipe is None:
        info = _stated(folder, manifest)
    else:
        info = _from_recipe(folder, recipe, manifest, tables)
    same = built_here(tables)
    # The authors of an import stand in no recipe: its metadata cannot be written anew.
    whole = same and recipe is not None
    _raise(folder, (_differing if whole else _lacking)(folder, info))
    if recipe is not None:
        _raise(folder, _against_recipe(recipe, tables))
        if same:
            _raise(folder, _misnamed(recipe, tables))
    if whole:
        return []
    if same:
        return ["metadata byte for byte: an import has no recipe that says all of them"]
    what = "metadata byte for byte, and builds against the hash that names them"
    return [f"{what}: other code than this built the release"]


def _raise(folder: Path, problems: Iterable[str]) -> None:
    for problem in problems:
        raise CorruptReleaseError(f"{folder}: {problem}")


def _repeated(folder: Path, tables: Tables) -> Iterator[str]:
    """What ``inputs`` says that stands elsewhere too."""
    code = {row["build"]: row["code_sha256"] for row in tables["builds"]}
    text = (folder / _RECIPE).read_bytes()
    files: dict[tuple[str, str], Row] = {}
    for row in tables.get("inputs", []):
        where = f"inputs: {row['build']}: {row['role']} {row['path']}"
        if row["role"] == "code" and row["sha256"] != code[row["build"]]:
            stated = code[row["build"]]
            yield f"{where}: sha256 is {row['sha256']}, but builds.code_sha256 is {stated}"
        if row["role"] == "recipe" and not _is_text(text, row["sha256"]):
            yield f"{_RECIPE} is not the file that table 'inputs' lists ({row['sha256']})"
        key = row["annex_key"] or ""
        size = key.partition("-s")[2].partition("-")[0]
        if size.isdigit() and int(size) != row["size"]:
            yield f"{where}: size is {row['size']}, but the annex key says {size}"
        if key.startswith("SHA256") and row["sha256"] not in key:
            yield f"{where}: sha256 is {row['sha256']}, but the annex key is {key}"
        known = files.setdefault((row["role"], row["path"]), row)
        for name in ("size", "sha256", "annex_key", "datalad_id", "git_commit"):
            if row["role"] != "code" and known[name] != row[name]:
                yield f"{where}: {name} is {row[name]}, but {known[name]} in build {known['build']}"


def _is_text(text: bytes, sha256: str) -> bool:
    """Whether a file, or the same with other line ends, has a hash."""
    lines = text.replace(b"\n", b"\r\n")
    return sha256 in (hashlib.sha256(one).hexdigest() for one in (text, lines))


def _stated(folder: Path, manifest: Manifest) -> ReleaseInfo:
    """What a release without a recipe says of itself in ``datapackage.json``."""
    content = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
    mark = " (simulated)" if manifest.simulated else ""
    return ReleaseInfo(
        name=manifest.name,
        version=manifest.version,
        title=manifest.title.removesuffix(mark) if mark else manifest.title,
        description=content["description"],
        simulated=manifest.simulated,
        licence=manifest.licence,
        citation=manifest.citation,
        recipe_text=(folder / _RECIPE).read_text(encoding="utf-8"),
        recipe_sha256=manifest.recipe_sha256,
        changelog=[(manifest.version, "Imported.")],
    )


def recipe_of(folder: Path, tables: Tables) -> Recipe | None:
    """Read the recipe of a release; None where accuracies were imported.

    Raises
    ------
    CorruptReleaseError
        ``recipe.yaml`` is no recipe.
    """
    from unitdb.recipes import read_recipe

    if all(row["recipe"].startswith(_IMPORTED) for row in tables["builds"]):
        return None
    try:
        return read_recipe(folder / _RECIPE)
    except RecipeError as cause:
        raise CorruptReleaseError(f"not the recipe of a release: {cause}") from cause


def _from_recipe(folder: Path, recipe: Recipe, manifest: Manifest, tables: Tables) -> ReleaseInfo:
    from unitdb.recipes import release_info

    return release_info(
        recipe,
        (folder / _RECIPE).read_text(encoding="utf-8"),
        simulated=any(row["simulated"] for row in tables["datasets"]),
        recipe_sha256=manifest.recipe_sha256,
    )


def _differing(folder: Path, info: ReleaseInfo) -> Iterator[str]:
    """Files of metadata that are not what they would be written as."""
    sums = {path: sha256 for path, sha256 in read_sums(folder).items() if path not in METADATA}
    for name, text in metadata_texts(folder, info, sums).items():
        found = (folder / name).read_text(encoding="utf-8")
        if found != text:
            pairs = zip([*found.splitlines(), ""], [*text.splitlines(), ""], strict=False)
            stated, expected = next((a, b) for a, b in pairs if a != b)
            yield (
                f"{name} does not follow from recipe and tables: {stated.strip()[:200]!r} should "
                f"be {expected.strip()[:200]!r}"
            )


_FACTS = {
    MANIFEST: ("full_title", "version", "licence", "citation"),
    "croissant.json": ("full_title", "version", "licence", "citation", "banner"),
    "dataset_description.json": ("full_title", "version", "licence", "citation"),
    "CITATION.cff": ("full_title", "version", "citation"),
    "README.md": ("full_title", "version", "licence", "citation", "banner"),
}
"""What each file of metadata has said since the first version."""


def _lacking(folder: Path, info: ReleaseInfo) -> Iterator[str]:
    """Files of metadata without a fact that they must have, whatever their wording."""
    for name, facts in _FACTS.items():
        found = (folder / name).read_text(encoding="utf-8")
        if not name.endswith(".md"):  # text within JSON
            found = found.replace('\\"', '"').replace("\\n", " ")
        for fact in facts:
            text = " ".join(getattr(info, fact).split())
            if text not in " ".join(found.split()):
                yield f"{name} does not say {text!r}, as recipe and tables do"


def _against_recipe(recipe: Recipe, tables: Tables) -> Iterator[str]:
    """Columns of ``builds`` that are not as the recipe says."""
    from unitdb.recipes import recipe_columns

    for row in tables["builds"]:
        for name, value in recipe_columns(recipe).items():
            if _known(row[name], value) != _known(value, row[name]):
                yield (
                    f"builds: {row['build']}: {name} is {row[name]!r}, but {_RECIPE} says {value!r}"
                )


def _known(value: Any, other: Any) -> Any:
    """A value; of JSON the keys that the other has too, as later code may know more of them."""
    try:
        own, theirs = json.loads(value), json.loads(other)
        return {key: own[key] for key in own.keys() & theirs.keys()}
    except (TypeError, ValueError, AttributeError):
        return value


def _misnamed(recipe: Recipe, tables: Tables) -> Iterator[str]:
    """Builds whose name is not the hash of what they depend on."""
    from unitdb.recipes import build_id, sets_sha256, shown_sha256

    layers: dict[str, list[str]] = {}
    for row in sorted(tables["layers"], key=lambda row: int(row["depth"])):
        layers.setdefault(row["model"], []).append(row["layer"])
    rois: dict[str, list[str]] = {}
    for row in sorted(tables["rois"], key=lambda row: int(row["place"])):
        rois.setdefault(row["dataset"], []).append(row["roi"])
    for row in tables["builds"]:
        where, inputs = f"builds: {row['build']}", json.loads(row["inputs"])
        shown = [one for one in tables["stimuli"] if one["dataset"] == row["dataset"]]
        if inputs.get("shown") != shown_sha256(shown):
            yield f"{where}: inputs: the pictures shown are not those of table 'stimuli'"
        tests = [one for one in tables["test_sets"] if one["dataset"] == row["dataset"]]
        if inputs.get("tests") != sets_sha256(tests, recipe):
            yield f"{where}: inputs: the test sets are not those of table 'test_sets'"
        found = build_id(
            recipe,
            inputs=inputs,
            dataset=row["dataset"],
            model=row["model"],
            layers=layers[row["model"]],
            rois=sorted(rois[row["dataset"]]),
            hierarchy=recipe.hierarchy_of(row["dataset"]) or rois[row["dataset"]],
            code=row["code_sha256"],
            packages=json.loads(row["packages"]),
        )
        if found != row["build"]:
            yield (
                f"{where}: what it depends on (inputs, layers, ROIs, recipe, code, packages) has "
                f"the hash {found}"
            )
