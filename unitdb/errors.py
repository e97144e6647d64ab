"""Every error that unitdb raises on purpose.

Each derives from :class:`UnitdbError`, so that callers can catch all of them at once, and from the
built-in exception that its kind would raise, so that ordinary ``except KeyError`` works too. The
command line prints the message and exits with code 2.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ActivationsError",
    "AnalysisError",
    "BuildBusyError",
    "CandidatesError",
    "CatalogueError",
    "CorruptReleaseError",
    "DatasetError",
    "DeviceError",
    "IllConditionedError",
    "MemoryBudgetError",
    "MissingExtraError",
    "MissingProgramError",
    "ModelCheckError",
    "ModelError",
    "NotDownloadedError",
    "NotKeptError",
    "PictureError",
    "ProgramError",
    "PublishedFileError",
    "QueryError",
    "RecipeError",
    "ReleaseExistsError",
    "ResponsesError",
    "SchemaError",
    "SchemaVersionError",
    "SignatureError",
    "SourceError",
    "StimulusMismatchError",
    "TransformationError",
    "UnitdbError",
    "UnknownCandidateError",
    "UnknownCandidatesError",
    "UnknownColumnError",
    "UnknownConditionError",
    "UnknownDatasetError",
    "UnknownLayerError",
    "UnknownModelError",
    "UnknownNameError",
    "UnknownReleaseError",
    "UnknownRoiError",
    "UnknownSubjectError",
    "UnknownTableError",
    "WorkersError",
    "closest",
]

_LISTED = 12


def closest(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Names most like ``name``, best first, ignoring case (empty where nothing is near).

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What there is.
    most : int
        How many to return at the most.
    """
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    near = difflib.get_close_matches(name.casefold(), list(by_folded), n=most, cutoff=0.5)
    return [by_folded[folded] for folded in near]


class UnitdbError(Exception):
    """Base of every error that unitdb raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print the repr of its argument.
        return str(self.args[0]) if self.args else ""


class UnknownNameError(UnitdbError, KeyError):
    """A name that is not there; says which are near, or which there are.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        The valid names.
    where : str
        The place, for example ``"release sample 1.0.0"``.
    hint : str
        The command or call that lists the valid names.
    """

    kind = "name"

    def __init__(self, name: str, known: Iterable[str], *, where: str = "", hint: str = "") -> None:
        known = list(known)
        near = closest(name, known)
        message = f"unknown {self.kind} {name!r}" + (f" in {where}" if where else "")
        if near:
            message += f"; did you mean {' or '.join(repr(n) for n in near)}?"
        elif known:
            more = "" if len(known) <= _LISTED else f", … ({len(known)} in all)"
            message += f"; there are: {', '.join(known[:_LISTED])}{more}"
        else:
            message += "; there is none"
        if hint:
            message += f" (list them: {hint})"
        super().__init__(message)
        self.name = name
        self.known = known


class UnknownDatasetError(UnknownNameError):
    """No dataset of that name."""

    kind = "dataset"


class UnknownModelError(UnknownNameError):
    """No model of that name."""

    kind = "model"


class UnknownLayerError(UnknownNameError):
    """No layer of that name in the model."""

    kind = "layer"


class UnknownRoiError(UnknownNameError):
    """No region of interest of that name."""

    kind = "roi"


class UnknownSubjectError(UnknownNameError):
    """No subject of that name."""

    kind = "subject"


class UnknownConditionError(UnknownNameError):
    """No condition of that name (perception, imagery, …)."""

    kind = "condition"


class UnknownCandidateError(UnknownNameError):
    """No candidate of that name in the set."""

    kind = "candidate"


class UnknownCandidatesError(UnknownNameError):
    """No candidate set of that name in the store, or in the release."""

    kind = "candidate set"


class UnknownReleaseError(UnknownNameError):
    """No release of that name or version in the catalogue."""

    kind = "release"


class UnknownTableError(UnknownNameError):
    """No table of that name in the schema or the release."""

    kind = "table"


class UnknownColumnError(UnknownNameError):
    """No column of that name in the table."""

    kind = "column"


class RecipeError(UnitdbError, ValueError):
    """A recipe that cannot be run as written."""


class DatasetError(UnitdbError, ValueError):
    """A dataset.yaml, or files it names, that cannot be read as described."""


class ResponsesError(UnitdbError, ValueError):
    """fMRI responses that contradict themselves: NaN, wrong number of rows, empty ROI."""


class DeviceError(UnitdbError, ValueError):
    """A computing device that is not there."""


class MemoryBudgetError(UnitdbError, ValueError):
    """A memory budget that is too small for the work."""


class WorkersError(UnitdbError, RuntimeError):
    """Workers that cannot be reached, die, or do not run the same code."""


class IllConditionedError(ResponsesError):
    """A ridge regression whose equations determine no solution in double precision.

    Parameters
    ----------
    alpha : float
        The penalty.
    unit : int, optional
        Column of the unit among those decoded; None where all units share the equations.
    name : str, optional
        What the unit is called, if it has a name.

    Attributes
    ----------
    unit : int, optional
    """

    def __init__(self, alpha: float, *, unit: int | None, name: str | None = None) -> None:
        self.alpha = alpha
        self.unit = unit
        whose = "" if unit is None else f" of unit {unit if name is None else name}"
        super().__init__(
            f"the ridge regression{whose} has no stable solution with alpha = {alpha:g}: its "
            "voxels depend on each other; raise alpha, or keep fewer voxels than samples"
        )


class TransformationError(UnitdbError, ValueError):
    """A transformation (voxel selection, z-scoring) that does not apply to a dataset."""


class StimulusMismatchError(UnitdbError, ValueError):
    """Stimulus ids that do not join responses to activations."""


class ModelError(UnitdbError, ValueError):
    """A model that cannot be made, or whose layers are not as described."""


class ModelCheckError(ModelError):
    """A model that does not classify the shipped photographs: most likely wrong preprocessing."""


class ActivationsError(UnitdbError, ValueError):
    """Activations that cannot be used: not finite, or of changing shape."""


class InversionError(ActivationsError):
    """A picture that cannot be found: targets of 0, or a loss that is not finite or stays."""


class PictureError(UnitdbError, ValueError):
    """A folder of pictures, or a picture in it, that cannot be read."""


class AnalysisError(UnitdbError, ValueError):
    """Arrays or options of which a statistic cannot be computed: shapes, ranges, names."""


class CandidatesError(UnitdbError, ValueError):
    """A set of candidates for identification that cannot be made or used: ids, features, files."""


class AccuraciesError(UnitdbError, ValueError):
    """Accuracies that no release can be made of: shapes, names, values that are no correlation."""


class BuildBusyError(UnitdbError, RuntimeError):
    """Another process builds the same release."""


class BusyError(UnitdbError, BlockingIOError):
    """Another process holds a lock for longer than is waited for."""


class DamagedFileError(UnitdbError, OSError):
    """A file of an unfinished build that is not as it was written."""


class SchemaError(UnitdbError, ValueError):
    """A table that is not as the schema says."""


class CorruptReleaseError(UnitdbError, ValueError):
    """A release whose files are missing, truncated, changed or inconsistent."""


class NotDownloadedError(DatasetError, ActivationsError, CorruptReleaseError):
    """A file of which a clone of a dataset or a release has the name alone."""


class SchemaVersionError(UnitdbError, ValueError):
    """A release written with a newer schema than this version of unitdb reads."""


class ReleaseExistsError(UnitdbError, FileExistsError):
    """A release of that name and version exists already; releases are immutable."""


class CatalogueError(UnitdbError, ValueError):
    """A releases.json that cannot be read."""


class QueryError(UnitdbError, ValueError):
    """A query that cannot be run: not read-only, not valid SQL, or contradictory."""


class NotKeptError(UnitdbError, LookupError):
    """A unit whose activations and predictions a release does not keep image by image."""


class MissingExtraError(UnitdbError, ImportError):
    """A command of an extra that is not installed."""


class PublishedFileError(UnitdbError, ValueError):
    """A folder or file of published accuracies that is not as its layout says."""


class MissingProgramError(UnitdbError, OSError):
    """A program (git, git-annex, DataLad, ssh-keygen, gpg) is not installed."""


class ProgramError(UnitdbError, RuntimeError):
    """A program failed; with what it said."""


class StoreError(UnitdbError, ValueError):
    """A folder or remote cannot be a store of releases."""


class SignatureError(UnitdbError, ValueError):
    """A release is not signed by the key that was asked for, or cannot be signed."""


class FetchError(UnitdbError, OSError):
    """A release cannot be fetched from where it was looked for."""


class SourceError(UnitdbError, OSError):
    """Files of a dataset cannot be had, or are not what their publisher or the record says."""
