"""What a selection of units is in SQL: one function for each thing that can be asked."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from unitdb.errors import QueryError
from unitdb.query._places import channel
from unitdb.query.layers import channel_place, parse_unit
from unitdb.query.relation import KEY, Relation, marks, quoted
from unitdb.schema import TABLES
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.query.source import Source

__all__ = [
    "COLUMNS",
    "among",
    "base",
    "better_than",
    "check_axes",
    "every_subject",
    "groups_of",
    "members",
    "parsed_unit",
    "partitions_of",
    "reaching",
    "sampled",
    "top_per",
    "union",
]

_SUMMARY = TABLES["unit_summary"]
COLUMNS = ", ".join(_SUMMARY.column_names)
"""Columns of ``unit_summary``."""
_OF_ROWS = ", ".join(f"s.{column}" for column in _SUMMARY.column_names)

_OF_ONE = """
SELECT dataset, condition, model, layer, roi, unit,
  CAST(r IS NOT NULL AS INTEGER) AS n_subjects, r AS mean_r, r AS min_r, r AS max_r{others}
FROM accuracy WHERE subject = ?
""".strip()
# Rows of a unit follow each other, a row a subject; the last has the others before it.
_OF_SEVERAL = """
SELECT {names}, roi, unit, n_subjects, CAST(mean AS FLOAT) AS mean_r,
  CAST(sqrt(({squares}) / nullif(greatest(n_subjects - 1, 0), 0)) AS FLOAT) AS sd_r,
  least({every}) AS min_r, greatest({every}) AS max_r{others}
FROM (
  SELECT *, ({total}) / nullif(n_subjects, 0) AS mean
  FROM (SELECT *, {defined} AS n_subjects FROM (
    SELECT roi, unit, {before},
      lag(unit, {n} - 1) OVER () AS first_unit, row_number() OVER () AS row
    FROM accuracy
    WHERE dataset = ? AND condition = ? AND model = ? AND layer = ?
      AND unit BETWEEN ? AND ? AND ({subjects}){rois}
  ) WHERE CASE WHEN row % {n} <> 0 THEN false WHEN first_unit = unit THEN true
    ELSE error('rows of the table accuracy are missing or out of order: unitdb verify') END)
)
""".strip()

_PIECE = 2**20
"""Units of a part, at the most: its rows, which follow each other, take one thread."""

_GROUPS = {
    "dataset": ("dataset",),
    "condition": ("condition",),
    "model": ("model",),
    "layer": ("model", "layer"),
    "channel": ("model", "layer", "channel"),
    "unit": ("model", "layer", "unit"),
    "roi": ("roi",),
}

_LEAD_TOLERANCE = 2e-6
"""More than ``lead_r`` may be from what the means give (``verify`` allows 1e-6)."""

_PRIME = 2147483647
"""Priorities of samples are numbers below this prime; products of two fit 64 bits."""


def base(
    source: Source,
    names: Mapping[str, Sequence[str]],
    layers: Sequence[tuple[str, str]] | None,
    subjects: Sequence[str] | None,
) -> Relation:
    """Rows of chosen names, models and layers; over some subjects, or all."""
    relation = Relation()
    if subjects is not None:
        relation = _over_subjects(source, names, layers, subjects)
    for column, kept in names.items():
        relation = relation.where(f"{column} IN ({marks(kept)})", *kept)
    if layers is not None:
        if not layers:
            raise QueryError("no layer of the release is left")
        for position, column in enumerate(("model", "layer")):  # which files need not be opened
            kept = sorted({pair[position] for pair in layers})
            relation = relation.where(f"{column} IN ({marks(kept)})", *kept)
        flat = [name for pair in layers for name in pair]
        pairs = ", ".join(["(?, ?)"] * len(layers))
        relation = relation.where(f"(model, layer) IN ({pairs})", *flat)
    return relation


def _over_subjects(
    source: Source,
    names: Mapping[str, Sequence[str]],
    layers: Sequence[tuple[str, str]] | None,
    subjects: Sequence[str],
) -> Relation:
    """Summaries over some subjects; other columns are NULL.

    Those over one subject are its accuracies. Over several the rows of a unit are taken as they
    follow each other, in the order that every release has and ``verify`` checks: to group them
    would take memory for all units, 18 GB and more of a full-size release.
    """
    chosen = {
        dataset: sorted(set(names) & set(subjects)) for dataset, names in source.subjects.items()
    }
    found = [p for p in partitions_of(source, names, layers) if chosen[p[0]]]
    if not found:
        raise QueryError(f"none of {', '.join(subjects)} is a subject of what is selected")
    if len(set(subjects)) == 1:
        text = _OF_ONE.format(others=_nulls({"n_subjects", "mean_r", "min_r", "max_r", *KEY}))
        values: list[Any] = [subjects[0]]
    else:
        rois = names.get("roi", ())
        branches, values = [], []
        for partition in found:
            own = chosen[partition[0]]
            for piece in _pieces(source, partition):
                branches.append(_of_several(len(own), len(rois)))
                values += [*partition, *partition, *piece, *own, *rois]
        text = "\nUNION ALL\n".join(branches)
    return Relation(table=f"(SELECT {COLUMNS} FROM (\n{text}\n))", parameters=tuple(values))


def _pieces(source: Source, partition: tuple[str, str, str, str]) -> list[tuple[int, int]]:
    """First and last units of the parts of a layer, which threads read beside each other."""
    (n_units,) = (
        layer.n_units for layer in source.layers() if (layer.model, layer.layer) == partition[2:]
    )
    size = -(-n_units // -(-n_units // _PIECE))  # alike, so that no thread waits for another
    return [(first, first + size - 1) for first in range(0, n_units, size)]


def _of_several(n: int, n_rois: int) -> str:
    """Summaries of a layer over ``n`` subjects, of some ROIs or (0) of all."""
    every = [f"r{i}" for i in range(n)]
    return _OF_SEVERAL.format(
        names=", ".join(f"CAST(? AS VARCHAR) AS {column}" for column in KEY[:4]),
        others=_nulls({"n_subjects", "mean_r", "sd_r", "min_r", "max_r", *KEY}),
        every=", ".join(every),
        before=", ".join(["r AS r0", *(f"lag(r, {i}) OVER () AS r{i}" for i in range(1, n))]),
        defined=" + ".join(f"CAST({r} IS NOT NULL AS INTEGER)" for r in every),
        total=" + ".join(f"coalesce(CAST({r} AS DOUBLE), 0)" for r in every),
        squares=" + ".join(f"coalesce(({r} - mean) ** 2, 0)" for r in every),
        n=n,
        # With IN, DuckDB joins five and more with a table, and holds all rows until it is done.
        subjects=" OR ".join(["subject = ?"] * n),
        rois=f" AND ({' OR '.join(['roi = ?'] * n_rois)})" if n_rois else "",
    )


def _nulls(computed: set[str]) -> str:
    """All other columns of ``unit_summary``, without a value."""
    types = {"int32": "INTEGER", "float": "FLOAT"}
    return "".join(
        f", CAST(NULL AS {types[column.logical_type]}) AS {column.name}"
        for column in _SUMMARY.columns
        if column.name not in computed
    )


def every_subject(relation: Relation, source: Source, subjects: Sequence[str] | None) -> Relation:
    """Units with an accuracy in each subject of their dataset, or in each of those chosen."""
    counts = {
        dataset: len(set(names) & set(subjects) if subjects is not None else names)
        for dataset, names in source.subjects.items()
    }
    cases = " ".join(["WHEN ? THEN ?"] * len(counts))
    values = [value for pair in counts.items() for value in pair]
    return relation.where(f"n_subjects = CASE dataset {cases} END", *values)


def reaching(
    relation: Relation,
    partitions: Sequence[tuple[str, str, str, str]],
    rois: Sequence[str],
    subjects: Sequence[str],
    r: float,
    n: int,
) -> Relation:
    """Rows with an accuracy of ``r`` or more in at least ``n`` subjects, of some or (none) all."""
    keys = ", ".join(KEY)
    places = [sorted({partition[i] for partition in partitions}) for i in range(4)]
    columns = [*zip(KEY, places, strict=False), ("roi", rois), ("subject", subjects)]
    tests = [f"{column} IN ({marks(kept)})" for column, kept in columns if kept]
    values = [name for _, kept in columns for name in kept]
    tests.append("r >= CAST(? AS FLOAT)")
    # No unit reaches r in a subject that does not reach it in the best.
    return relation.where("max_r >= CAST(? AS FLOAT)", r).joined(
        f"SELECT s.*\nFROM {{}} AS s\nSEMI JOIN (\n  SELECT {keys} FROM accuracy\n"
        f"  WHERE {' AND '.join(tests)}\n  GROUP BY {keys} HAVING count(*) >= ?\n) AS o "
        f"USING ({keys})",
        *values,
        r,
        n,
    )


def check_axes(
    source: Source,
    names: Mapping[str, Sequence[str]],
    layers: Sequence[tuple[str, str]] | None,
) -> None:
    """See that the axes of all chosen layers are known.

    Raises
    ------
    QueryError
        Names the first layer whose axes are not.
    """
    chosen = {partition[2:] for partition in partitions_of(source, names, layers)}
    for layer in source.layers():
        if (layer.model, layer.layer) in chosen:
            channel_place(layer.axes, layer.shape, layer.name)


def parsed_unit(source: Source, unit: str) -> UnitId:
    """Model, layer and index of ``model/layer/unit``, if the release has such a layer."""
    return parse_unit(unit, source.layers(), where=f"release {source.label}")


def among(relation: Relation, units: Sequence[tuple[str, str, int]]) -> Relation:
    """Rows of some units."""
    for position, column in enumerate(("model", "layer")):
        kept = sorted({str(unit[position]) for unit in units})
        relation = relation.where(f"{column} IN ({marks(kept)})", *kept)
    flat = [value for unit in units for value in unit]
    rows = ", ".join(["(?, ?, ?)"] * len(units))
    return relation.where(f"(model, layer, unit) IN ({rows})", *flat)


def better_than(
    relation: Relation,
    partitions: Sequence[tuple[str, str, str, str]],
    others: Sequence[str],
    by: float,
) -> Relation:
    """Rows whose mean exceeds the unit's highest in other ROIs.

    A layer at a time, as units alone are then compared: with the names of datasets and layers in
    the comparison it would take ten times the memory. DuckDB holds the units of all layers until
    the query ends; of a single other ROI only those that can be exceeded there, by
    lead_r(other) ≤ mean_r(other) − mean_r(roi) < −by.
    """
    where = "dataset = ? AND condition = ? AND model = ? AND layer = ?"
    branch = (
        f"SELECT {_OF_ROWS}\nFROM (FROM chosen WHERE {where}) AS s\nJOIN (\n"
        f"  SELECT unit, max(mean_r) AS elsewhere FROM unit_summary\n"
        f"  WHERE {where} AND roi IN ({marks(others)}) AND mean_r IS NOT NULL\n"
        "  GROUP BY unit\n) AS o USING (unit)\nWHERE s.mean_r - o.elsewhere > CAST(? AS FLOAT)"
    )
    bound: tuple[float, ...] = ()
    if len(others) == 1:
        bound = (_LEAD_TOLERANCE - by,)
        branch = branch.replace("max(mean_r) AS", "mean_r AS")
        branch = branch.replace("GROUP BY unit", "AND lead_r < CAST(? AS FLOAT)")
    text = "\nUNION ALL\n".join([branch] * len(partitions))
    values = [v for partition in partitions for v in (*partition, *partition, *others, *bound, by)]
    return relation.joined(f"WITH chosen AS NOT MATERIALIZED (FROM {{}})\n{text}", *values)


def partitions_of(
    source: Source,
    names: Mapping[str, Sequence[str]],
    layers: Sequence[tuple[str, str]] | None,
) -> list[tuple[str, str, str, str]]:
    """Dataset, condition, model and layer of all accuracies of chosen names and layers."""
    columns = ("dataset", "condition", "model", "layer")
    return [
        partition
        for partition in source.partitions
        if all(
            name in names.get(column, (name,))
            for column, name in zip(columns, partition, strict=True)
        )
        and (layers is None or partition[2:] in layers)
    ]


def groups_of(per: str | Sequence[str]) -> tuple[str, ...]:
    """Columns that quotas are for.

    Raises
    ------
    QueryError
        Quotas for something else; says for what there are.
    """
    names = [per] if isinstance(per, str) else list(per)
    unknown = [name for name in names if name not in _GROUPS]
    if unknown or not names:
        raise QueryError(f"per={per!r}: it takes one or several of {', '.join(_GROUPS)}")
    return tuple(dict.fromkeys(column for name in names for column in _GROUPS[name]))


_MOST_OF_GROUP = 1000


def top_per(
    relation: Relation,
    source: Source,
    n: int,
    by: str,
    ascending: bool,
    order: str,
    groups: Sequence[str],
) -> Relation:
    """Keep the first ``n`` rows of each group, whose values are not NULL.

    The n-th best value of a group is found first, so that no more than the rows that reach it are
    sorted; not of a large n, for which DuckDB takes memory for n values of every group.
    """
    keys = ", ".join(groups)
    best, reaches = ("min", "<=") if ascending else ("max", ">=")
    rows = f"SELECT *, {channel(source)} AS channel FROM {{}}" if "channel" in groups else "FROM {}"
    if n > _MOST_OF_GROUP:
        found = relation.joined(
            f"WITH chosen AS NOT MATERIALIZED (\n{rows}\n)\n"
            f"SELECT {COLUMNS} FROM chosen WHERE {by} IS NOT NULL\n"
            f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) <= {n}"
        )
        return found.sorted(order)
    found = relation.joined(
        f"WITH chosen AS NOT MATERIALIZED (\n{rows}\n), cut AS (\n"
        f"  SELECT {keys}, {best}({by}, {n}) AS bests FROM chosen GROUP BY {keys}\n)\n"
        f"SELECT {COLUMNS} FROM chosen JOIN cut USING ({keys})\n"
        f"WHERE {by} {reaches} bests[len(bests)]\n"
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) <= {n}"
    )
    return found.sorted(order)


def sampled(
    relation: Relation, source: Source, n: int, seed: int, groups: Sequence[str]
) -> Relation:
    """Keep ``n`` rows of the lowest priority, of all or of each group.

    priority = m(m(m(a·unit + b))), m(x) = c·(x ⊕ ⌊x / 2ᵏ⌋) mod 2³¹ − 1, with a and b from the MD5
    of the seed and the names of the row: the same with every version of DuckDB.
    """
    first = f"({_salt(source, seed, 'a')} * unit + {_salt(source, seed, 'b')}) % {_PRIME}"
    mixed = relation.joined(f"SELECT *, {first} AS x FROM {{}}")
    for shift, factor in ((15, 739982445), (12, 695872825), (15, 1)):
        mixed = mixed.joined(
            f"SELECT * REPLACE ((xor(x, x >> {shift}) * {factor}) % {_PRIME} AS x) FROM {{}}"
        )
    order = ", ".join(["x", *KEY])
    if groups:
        found = top_per(mixed, source, n, "x", ascending=True, order=order, groups=groups)
    else:
        found = mixed.first(n, order).nested()
    return found.sorted(", ".join(KEY))


def _salt(source: Source, seed: int, letter: str) -> str:
    """A pseudo-random number below 2³¹ − 1 for each dataset, condition, model, layer and ROI."""
    columns = ("dataset", "condition", "model", "layer")
    cases = []
    for partition in source.partitions:
        rois = " ".join(
            f"WHEN {quoted(roi)} THEN {_number(letter, seed, *partition, roi)}"
            for roi in source.known["roi"]
        )
        pairs = zip(columns, partition, strict=True)
        names = " AND ".join(f"{column} = {quoted(name)}" for column, name in pairs)
        cases.append(f"WHEN {names} THEN CASE roi {rois} END")
    return f"CAST(CASE {' '.join(cases)} END AS BIGINT)"


def _number(letter: str, seed: int, *names: str) -> int:
    text = "/".join([letter, str(seed), *names])
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") % (_PRIME - 1) + 1


def members(relation: Relation, other: Relation, test: str) -> Relation:
    """Rows whose unit is, or is not, among the units of another selection."""
    join = {"IN": "SEMI", "NOT IN": "ANTI"}[test]
    return relation.joined(
        f"SELECT s.*\nFROM {{}} AS s\n{join} JOIN {other.nested().table} AS o "
        "USING (model, layer, unit)",
        *other.parameters,
    )


def union(one: Relation, other: Relation) -> Relation:
    """Rows of both, each once."""
    table = (
        f"(\nSELECT {COLUMNS} FROM {one.nested().table}\nUNION\n"
        f"SELECT {COLUMNS} FROM {other.nested().table}\n)"
    )
    return Relation(table=table, parameters=(*one.parameters, *other.parameters))
