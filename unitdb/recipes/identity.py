"""What a recipe gives a release: the names of builds, columns of ``builds``, what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unitdb.publish import ReleaseInfo
from unitdb.recipes.recipe import Recipe
from unitdb.specs import canonical_json, content_sha256
from unitdb.tables import significance

__all__ = ["build_id", "recipe_columns", "release_info", "sets_sha256", "shown_sha256"]

WORDS_OF_SETS = frozenset({"labels", "level", "prior"})
"""Columns of table ``test_sets`` that no number depends on: those that ``TestSpec`` names.

``verify`` reads them here, without the packages that reading responses takes.
"""


def build_id(
    recipe: Recipe,
    *,
    inputs: Mapping[str, object],
    dataset: str,
    model: str,
    layers: Sequence[str],
    rois: Sequence[str],
    hierarchy: Sequence[str],
    code: str,
    packages: Mapping[str, str],
) -> str:
    """Name of a build: a hash of all that its numbers depend on, which its release states.

    Parameters
    ----------
    recipe : Recipe
    inputs : mapping of str to object
        As of :attr:`Job.inputs`.
    dataset, model : str
        Their names.
    layers : sequence of str
        In the model's order.
    rois : sequence of str
        In code-point order.
    hierarchy : sequence of str
        ROIs of BH scores, from early to late.
    code : str
        Hash of the source files.
    packages : mapping of str to str
        Versions.
    """
    depends_on = {
        "inputs": inputs,
        "names": [dataset, model],
        "recipe": recipe.identity(),
        "layers": layers,
        "rois": rois,
        "hierarchy": hierarchy,
        "code": code,
        "packages": packages,
    }
    return content_sha256(depends_on)[:12]


def shown_sha256(rows: Iterable[Mapping[str, Any]]) -> str:
    """Hash of the pictures that were shown, whatever their order: rows of table ``stimuli``."""
    names = ("stimulus", "split", "sha256", "source")
    return content_sha256(sorted([str(row[name]) for name in names] for row in rows))


def sets_sha256(rows: Iterable[Mapping[str, Any]], recipe: Recipe) -> str:
    """Hash of the test sets without their words: rows of table ``test_sets``, in any order.

    Levels and priors count where modulation is measured, which compares sets by them.
    """
    compared = set() if recipe.modulation is None else {"level", "prior"}
    words = dict.fromkeys(WORDS_OF_SETS - compared)
    told = ((row | words).items() for row in map(dict, rows))
    return content_sha256(sorted(sorted([key, str(value)] for key, value in row) for row in told))


def recipe_columns(recipe: Recipe) -> dict[str, Any]:
    """Columns of table ``builds`` that the recipe alone gives."""
    control = {"control": recipe.control} if recipe.control else {}
    return {
        "recipe": recipe.name,
        "decoder": canonical_json(recipe.decoder.model_dump(mode="json") | control),
        "units": canonical_json(recipe.selection),
        "n_folds": recipe.decoder.folds,
        "seed": recipe.seed,
        "significance": significance(
            n_controls=recipe.n_controls, n_folds=recipe.decoder.folds, alike=True
        ),
        "reliability": None if recipe.reliability is None else canonical_json(recipe.reliability),
        "encoding": None if recipe.encoding is None else canonical_json(recipe.encoding),
    }


def release_info(recipe: Recipe, text: str, *, simulated: bool, recipe_sha256: str) -> ReleaseInfo:
    """What the release of a recipe says of itself.

    Parameters
    ----------
    recipe : Recipe
    text : str
        The same, word for word.
    simulated : bool
        Whether any responses are.
    recipe_sha256 : str
        From :func:`.plan_sha256`.
    """
    title, description = recipe.title, recipe.description
    if recipe.control:
        title += f" (control: {recipe.control})"
        description += (
            " This release is a control: the images were shuffled independently in each subject, "
            "so its accuracies are what chance gives."
        )
    return ReleaseInfo(
        name=recipe.name,
        version=recipe.version,
        title=title,
        description=description,
        simulated=simulated,
        licence=recipe.licence,
        citation=recipe.citation,
        recipe_text=text,
        recipe_sha256=recipe_sha256,
        changelog=list(recipe.changes.items()) or [(recipe.version, "First version.")],
        authors=tuple(author.person() for author in recipe.authors),
        doi=recipe.doi,
        funding=tuple(recipe.funding),
    )
