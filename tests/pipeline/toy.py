"""A measure in one file: what adding one takes beside its entry in the schema."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unitdb.measures import Decoded, Measure, Release, load_predictions
from unitdb.predictions import Block
from unitdb.recipes import scope_of
from unitdb.schema import Column, ForeignKey, Table
from unitdb.sealed import is_sealed, read_text, write_text
from unitdb.tables import Rows, partition_keys, table_of

KEY = ("dataset", "condition", "model", "layer", "roi", "subject")

SPREAD = Table(
    name="spread",
    row="How much predictions vary, in an ROI of a subject",
    columns=(
        *(Column(name=name, type=pa.string(), description=f"The {name}") for name in KEY),
        Column(name="sd", type=pa.float64(), description="Mean SD over images", minimum=0.0),
        Column(name="n_units", type=pa.int32(), description="Units that it is over", unit="units"),
    ),
    primary_key=KEY,
    foreign_keys=(ForeignKey(columns=("model", "layer"), table="layers"),),
    measured=True,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpreadStep:
    blocks: tuple[Block, ...]

    @property
    def target(self) -> Path:
        return self.blocks[0].target.with_name("spread.json")

    def is_done(self) -> bool:
        return is_sealed(self.target)

    def run(self) -> None:
        sd = load_predictions(self.blocks)[0].std(axis=0, ddof=1, dtype=np.float64)
        varied = sd[sd > 0]  # the others answer the same to every picture
        write_text(self.target, json.dumps({"sd": float(varied.mean()), "n_units": len(varied)}))


class Spread(Measure):
    name = "spread"
    tables = ("spread",)

    def steps(self, decoded: Decoded) -> Sequence[SpreadStep]:
        return [
            SpreadStep(blocks=blocks)
            for of_set in decoded.of_sets.values()
            for blocks in of_set.values()
        ]

    def pieces(self, table: str, decoded: Sequence[Decoded]) -> Iterator[pa.Table]:
        yield table_of(table, [row for of_job in decoded for row in self._rows(of_job)])

    def _rows(self, decoded: Decoded) -> Rows:
        rows = []
        for condition, of_set in decoded.of_sets.items():
            scope = scope_of(decoded.job, condition)
            for (layer, (roi, subject)), blocks in of_set.items():
                own = {"roi": scope.rois[roi], "subject": scope.subjects[subject]}
                found = json.loads(read_text(SpreadStep(blocks=blocks).target))
                rows.append(partition_keys(scope, layer) | own | found)
        return rows

    def check(self, release: Release) -> Iterable[str]:
        known = {
            tuple(row[name] for name in KEY): row["n_pattern_units"]
            for row in release["layer_summary"].to_pylist()
        }
        for row in release["spread"].to_pylist():
            place = tuple(row[name] for name in KEY)
            if row["n_units"] != known.get(place):
                where = "/".join(place)
                yield f"spread: {where}: {row['n_units']} units; its patterns are of {known[place]}"
