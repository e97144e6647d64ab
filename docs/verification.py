"""Print docs/verification.md: what verify finds of changes that the checksums do not show.

Builds two small releases, makes each change of ``tests/verification/consistent.py`` in a copy of
one of them, and verifies it: several minutes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.verification.consistent import Outcome, outcomes  # noqa: E402
from tests.verification.releases import build_releases  # noqa: E402
from unitdb.schema import SCHEMA_VERSION  # noqa: E402
from unitdb.verification import explain  # noqa: E402

OF_CONTROLS = (
    "builds.significance",
    "unit_summary.p",
    "unit_summary.q",
    "layer_summary.n_significant",
    "layer_summary.chance_r",
    "layer_summary.identification_chance",
    "intersubject.chance_r",
    "intersubject.p",
    "intersubject.prediction_r",
    "recurrence.n_chance",
    "recurrence.p",
    "hierarchy.chance_score",
    "hierarchy.p",
)
"""What controls change: the rest is tried once, in the release without any."""

HEAD = """\
# What verify finds

Printed by `docs/verification.py`; do not edit.

`unitdb verify` holds every file against its checksum. Checksums say nothing of a change whose maker
wrote them anew. So each column of each table was changed in one cell, rows were exchanged, tables
emptied, numbers scaled and metadata replaced, in small releases that hold every optional table;
`SHA256SUMS`, `croissant.json` and `releases.json` were made to fit; and the release was verified.

**{found} of {made} changes are found.** These are not:
"""

COLUMNS = """
All units of the patterns are kept in one layer of these releases; there `pattern_r`,
`pattern_chance`, `identification`, the intervals over images and `prediction_r` are computed again.
In larger layers, of which a few units are kept, these pass too: another `pattern_r` or
`pattern_chance`, other ends of the intervals of `pattern`, `identification` and `mean`, another
`prediction_r` in a release with controls, and predictions or activations of which all are scaled
by the same factor.

## Column by column

The same is printed by `unitdb verify RELEASE --explain`. *Computed* columns are computed again from
others; *held* ones are compared with another place that says the same; *bounded* ones must lie
within limits; *unknown* ones are checked for type and range alone. Some checks ask more:

- Recipe, metadata, intervals and BH scores need the extra `build`, and a release of the schema that
  is current. Where other code has built it, metadata must hold the same facts, not the same bytes,
  and differences of computed numbers are reported, not refused.
- Patterns (`pattern_r`, `pattern_chance`, `identification`), intervals over images and
  `prediction_r` are computed again where all units of the patterns are kept image by image: in
  small layers, or with a large `keep`.
- `--quick` leaves out the bootstraps.
- Whether `releases.json` is as its publisher wrote it, no file of the folder can tell.

| column | | how |
|---|---|---|"""


def page(found: Mapping[str, Sequence[Outcome]]) -> str:
    """The page."""
    every = [outcome for release in found.values() for outcome in release]
    lines = [
        HEAD.format(found=sum(bool(outcome.message) for outcome in every), made=len(every)),
        "| change | release | why |",
        "|---|---|---|",
    ]
    fates = {f"{fate.table}.{fate.column}": fate for fate in explain(SCHEMA_VERSION)}
    for release, changes in found.items():
        for outcome in changes:
            if not outcome.message:
                column = outcome.name.partition(":")[0]
                lines.append(f"| {outcome.name} | {release} | {_why(column, fates)} |")
    lines.append(COLUMNS)
    lines += [f"| `{name}` | {fate.kind} | {fate.how} |" for name, fate in fates.items()]
    return "\n".join(lines) + "\n"


def _why(column: str, fates: Mapping[str, object]) -> str:
    values = {"prediction": "prediction.predicted", "activation": "activation.activation"}
    fate = fates[values.get(column, column)]
    return str(fate).partition(": ")[2]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        built = build_releases(Path(folder))
        found = {
            name: outcomes(
                release,
                Path(folder) / "changed",
                chosen=lambda change, name=name: (
                    name != "by controls" or change.partition(":")[0] in OF_CONTROLS
                ),
            )
            for name, release in built.items()
        }
    sys.stdout.write(page(found))
