"""Limits of what cannot be computed again: shares of so many, present where the build has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from unitdb.errors import CorruptReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from unitdb.verification.reading._sets import Sets

__all__ = ["check_limits"]

_NEAR = 1e-9
_PATTERN_CONTROLS = 5
"""Controls whose predictions are compared as patterns, at the most."""
_PATTERNS = tuple(
    f"{name}_{end}" for name in ("pattern", "identification", "mean") for end in ("low", "high")
)
Row = dict[str, Any]


def check_limits(
    tables: Mapping[str, list[Row]], builds: Iterable[Mapping[str, Any]], sets: Sets
) -> None:
    """Check what is over predictions and controls, which are no part of a release.

    Parameters
    ----------
    tables : mapping of str to list of dict
        Rows of ``subjects``, ``layer_summary``, ``intersubject``, ``recurrence``, ``hierarchy``.
    builds : iterable of mapping
        Rows of ``builds``.
    sets : Sets
        Test sets, with the samples of each.

    Raises
    ------
    CorruptReleaseError
        Names the row and the limit.
    """
    known = {(row["dataset"], row["model"]): row for row in builds}
    _check_pattern_units(tables["layer_summary"])
    for table, check in (
        ("layer_summary", _patterns),
        ("layer_summary", _controls),
        ("intersubject", _controls),
        ("recurrence", _controls),
        ("hierarchy", _controls),
    ):
        for row in tables.get(table, []):
            build = known[row["dataset"], row["model"]]
            for problem in check(row, build, sets):
                keys = [
                    row[name]
                    for name in ("dataset", "condition", "model", "layer", "roi", "kind", "method")
                    if name in row
                ]
                keys += [row[name] for name in _PEOPLE if name in row]
                raise CorruptReleaseError(f"{table}: {'/'.join(keys)}: {problem}")


_PEOPLE = ("among", "subject", "other", "subject_a", "subject_b")


def _check_pattern_units(summaries: Iterable[Row]) -> None:
    """As many units make the patterns of a person in all ROIs: those that vary in training."""
    known: dict[tuple[str, ...], Row] = {}
    for row in summaries:
        keys = tuple(row[n] for n in ("dataset", "condition", "model", "layer", "subject"))
        other = known.setdefault(keys, row)
        if row.get("n_pattern_units") != other.get("n_pattern_units"):
            raise CorruptReleaseError(
                f"layer_summary: {'/'.join(keys)}: n_pattern_units is {row['n_pattern_units']} in "
                f"{row['roi']}, and {other['n_pattern_units']} in {other['roi']}"
            )


def _patterns(row: Row, build: Mapping[str, Any], sets: Sets) -> Iterator[str]:
    """What is wrong with the columns of decoded patterns."""
    if "n_candidates" not in row:
        return
    n, value = row["n_candidates"], row["identification"]
    if n is None:  # predictions were not at hand, as in a publication that was imported
        given = [name for name in (*_PATTERNS, "pattern_r", "identification") if _has(row, name)]
        if given:
            yield f"{given[0]} is {row[given[0]]}, but n_candidates is NULL"
        if not build["recipe"].startswith("import ") and _has(row, "n_pattern_units"):
            yield "n_candidates is NULL, but n_pattern_units is not"
        return
    expected = sets.n_samples(row["dataset"], row["condition"], row["roi"], row["subject"])
    if n != expected:
        yield f"n_candidates is {n}, but the release states {expected} test images"
    if row["n_pattern_units"] is None or row["n_pattern_units"] > row["n_units"]:
        yield f"n_pattern_units is {row['n_pattern_units']}, of {row['n_units']} units"
    for name, of in (("pattern_low", "pattern_r"), ("identification_low", "identification")):
        if _has(row, name) != _has(row, of):
            yield f"{of} is {row[of]}, and its interval begins at {row[name]}"
    if _has(row, "pattern_chance") != _has(row, "pattern_r") and n > 1:
        yield f"pattern_r is {row['pattern_r']}, but pattern_chance is {row['pattern_chance']}"
    if value is not None and not _is_share(value, 2 * (n - 1), n):
        yield f"identification is {value}: no mean over {n} images of shares of {n - 1} comparisons"
    yield from _identified_by_chance(row, build)


def _identified_by_chance(row: Row, build: Mapping[str, Any]) -> Iterator[str]:
    n, value = row["n_candidates"], row["identification"]
    n_controls, chance = _n_controls(build), row["identification_chance"]
    if not n_controls:
        expected_chance = 0.5 if build["n_folds"] is None else None
        if chance != expected_chance:
            yield f"identification_chance is {chance}, not {expected_chance}"
    elif chance is None:
        if value is not None:
            yield f"identification_chance is NULL, but the build has {n_controls} controls"
    elif not _is_share(chance, 2 * (n - 1) * min(n_controls, _PATTERN_CONTROLS), n):
        yield f"identification_chance is {chance}: no mean over controls of shares of comparisons"


def _controls(row: Row, build: Mapping[str, Any], sets: Sets) -> Iterator[str]:
    """What is wrong with p and chance by controls."""
    del sets
    n = _n_controls(build)
    of_controls = [name for name in ("chance_r", "chance_score", "n_chance", "p") if name in row]
    if not n:
        for name in of_controls:
            if row[name] is not None:
                yield f"{name} is {row[name]}, but the build has no controls"
        return
    if row.get("among") != "halves" and "n_chance" in row:
        share = row["n_chance"]
        if share is None or not _is_share(share / max(row["k"], 1), max(row["k"], 1), n, all_=True):
            yield f"n_chance is {share}: no mean over {n} controls"
    if "mean_r" in row and (row["mean_r"] is None) < (row["chance_r"] is None):
        yield f"chance_r is NULL, but the build has {n} controls"
    p = row.get("p")
    if p is not None and not any(
        abs(p * (1 + m) - round(p * (1 + m))) < _NEAR and round(p * (1 + m)) >= 1
        for m in range(1, n + 1)
    ):
        yield f"p is {p}: not (1 + some) / (1 + controls), of which there are {n}"
    if "p" in row and row.get("among") != "halves":
        chance = next(name for name in of_controls if name != "p")
        if (p is None) != (row[chance] is None) and _value(row) is not None:
            yield f"p is {p}, but {chance} is {row[chance]}"


def _value(row: Row) -> Any:
    return next(row[name] for name in ("pearson_r", "score", "n_shared") if name in row)


def _n_controls(build: Mapping[str, Any]) -> int:
    stated = json.loads(build.get("significance") or "{}")
    return int(stated.get("n", 0)) if stated.get("test") == "controls" else 0


def _is_share(value: float, parts: int, n: int, *, all_: bool = False) -> bool:
    """Whether a value is a mean over n things, or over some of them, of shares of ``parts``."""
    counts = [n] if all_ else range(n, 0, -1)
    return any(
        abs(value * parts * m - round(value * parts * m)) < _NEAR * parts * m for m in counts
    )


def _has(row: Row, name: str) -> bool:
    return row[name] is not None
