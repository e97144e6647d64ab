"""Verify a release with everything that this installation can compute."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError
from unitdb.schema import SCHEMA_VERSION
from unitdb.verification.reading import Report, verify as verify_by_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from unitdb.release.manifest import Manifest
    from unitdb.verification.reading import Decoded
    from unitdb.verification.recomputed import Computed

__all__ = ["verify"]

_PACKAGES = ("numba", "pydantic", "scipy", "sklearn", "threadpoolctl", "torch", "yaml")

_SAID_TWICE = "what recipe, tables and metadata say twice is the same"
_IDENTIFIED = "what was identified is what the predictions give again"
_MODULATED = (
    "correlations of modulation with originals are those of the predictions, and with what was "
    "shown where that is a target itself; controls are not computed again"
)
_COMPUTED = "intervals over units, and BH scores with theirs, are what their bootstrap gives again"


def verify(
    path: str | Path,
    *,
    quick: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Read all of a release again, and compute again what follows from it.

    Parameters
    ----------
    path : str or Path
        Folder of the release.
    quick : bool
        Leave out what takes long: intervals and BH scores, whose bootstraps are done again.
    progress : callable, optional
        Called with the number of partitions done and the number of all.

    Returns
    -------
    Report
        What was checked, and what could not be.

    Raises
    ------
    CorruptReleaseError, SchemaError, SchemaVersionError
        As of :func:`unitdb.verification.reading.verify`.
    """
    return verify_by_reading(path, also=_Known(quick=quick), progress=progress)


class _Known:
    """Checks that take more than a reader has (:class:`unitdb.verification.reading.Also`)."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._computed: Computed | None = None
        self._same_code = False
        self._checks: list[str] = []
        self._unknown: list[str] = []

    def start(
        self,
        folder: Path,
        manifest: Manifest,
        described: Mapping[str, list[dict[str, Any]]],
        small: Mapping[str, pa.Table],
    ) -> None:
        """Check metadata, and prepare to compute."""
        missing = [name for name in _PACKAGES if find_spec(name) is None]
        if missing:
            why = f"needs {', '.join(missing)} (extra build)"
            self._unknown += [f"{check}: {why}" for check in (_SAID_TWICE, _COMPUTED)]
            return
        from unitdb.verification.recomputed import (
            Computed,
            built_here,
            check_identified,
            check_measures,
            check_metadata,
            check_modulated,
            not_identified,
            not_modulated,
            recipe_of,
        )

        self._same_code = built_here(described)
        self._unknown += check_metadata(folder, manifest, described)
        self._checks.append(_SAID_TWICE)
        if manifest.schema != SCHEMA_VERSION:
            why = (
                f"the release follows schema {manifest.schema}, whose unitdb may have computed "
                "them otherwise"
            )
        elif self._quick:
            why = "left out"
        else:
            self._computed = Computed(described, small, recipe_of(folder, described))
            self._checks.append(_COMPUTED)
            with self._by_other_code():
                check_measures(small)
                if "identification" in small:
                    why_not = not_identified(small)
                    if why_not is None:
                        check_identified(folder)
                        self._checks.append(_IDENTIFIED)
                    else:
                        self._unknown.append(f"{_IDENTIFIED}: {why_not}")
                if "modulation" in small:
                    why_not = not_modulated(small)
                    if why_not is None and not check_modulated(folder):
                        why_not = "features are not of the units whose predictions are published"
                    if why_not is None:
                        self._checks.append(_MODULATED)
                    else:
                        self._unknown.append(f"{_MODULATED}: {why_not}")
            return
        self._unknown.append(f"{_COMPUTED}: {why}")

    def check(self, data: Decoded, keys: Sequence[str]) -> None:
        """Compute what follows from a partition."""
        with self._by_other_code():
            if self._computed is not None:
                self._computed.check(data, keys)

    def finish(self) -> tuple[Sequence[str], Sequence[str]]:
        """What was checked, and what could not be known."""
        with self._by_other_code():
            if self._computed is not None:
                self._computed.finish()
        return self._checks, self._unknown

    @contextmanager
    def _by_other_code(self) -> Iterator[None]:
        """Where other code has built the release, a difference says that one of both is wrong."""
        try:
            yield
        except CorruptReleaseError as cause:
            if self._same_code:
                raise
            self._computed = None
            self._checks.remove(_COMPUTED)
            self._unknown.append(
                f"{_COMPUTED}: this unitdb computes them otherwise than the code that built the "
                f"release ({cause})"
            )
