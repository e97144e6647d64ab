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

`unitdb verify` checks every file against its checksum. Checksums do not reveal a change if its
author also wrote them again. So we made changes in small releases with every optional table. We
changed one cell in each column of each table, exchanged rows, emptied tables, scaled numbers and
replaced metadata. We then made `SHA256SUMS`, `croissant.json` and `releases.json` fit, and verified
the release.

**{found} of {made} changes are found.** These are not:
"""

COLUMNS = """
One layer of these releases keeps all units of the patterns. There `pattern_r`, `pattern_chance`,
`identification`, the intervals over images and `prediction_r` are computed again. Larger layers
keep only a few units. In those, these changes also pass:

- another `pattern_r` or `pattern_chance`;
- other ends of the intervals of `pattern`, `identification` and `mean`;
- another `prediction_r` in a release with controls;
- predictions or activations all scaled by the same factor.

## Column by column

`unitdb verify RELEASE --explain` prints the same.

- *Computed* columns are computed again from others.
- *Held* columns are compared with another place that has the same value.
- *Bounded* columns must lie within limits.
- *Unknown* columns are checked for type and range alone.

Some checks need more:

- Recipe, metadata, intervals and BH scores need the extra `build`, and a release of the current
  schema. If other code built the release, metadata must hold the same facts, not the same bytes.
  Differences of computed numbers are then reported, but are no error.
- Patterns (`pattern_r`, `pattern_chance`, `identification`), intervals over images and
  `prediction_r` are computed again if all units of the patterns are kept image by image. This is so
  in small layers, or with a large `keep`.
- `--quick` leaves out the bootstraps.
- No file of the folder shows whether `releases.json` is still as its publisher wrote it.

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
