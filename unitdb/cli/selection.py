"""Options that choose units, the same for each command that takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from unitdb.cli.options import taking
from unitdb.query import Condition

if TYPE_CHECKING:
    from unitdb.query import UnitSet
    from unitdb.release import Release

__all__ = ["selected", "selection"]


def _conditions(
    _: click.Context, __: click.Parameter, texts: tuple[str, ...]
) -> tuple[Condition, ...]:
    return tuple(Condition.parse(text) for text in texts)


def _numbers(
    _: click.Context, parameter: click.Parameter, text: str | None
) -> int | tuple[int, int] | None:
    """A number, or FIRST-LAST."""
    if text is None:
        return None
    parts = text.split("-")
    # So many digits and no more: Python reads no number of thousands.
    if len(parts) > 2 or not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):
        raise click.BadParameter(f"{text!r} is not a number or FIRST-LAST", param=parameter)
    numbers = tuple(map(int, parts))
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


selection = taking(
    click.option("--dataset", multiple=True, help="fMRI dataset; repeat for several."),
    click.option(
        "--condition",
        multiple=True,
        help="Test set, such as perception or imagery@+6s; repeat for several.",
    ),
    click.option("--model", multiple=True, help="Network; repeat for several."),
    click.option("--layer", multiple=True, help="Layer, or 'conv5_*'; repeat for several."),
    click.option("--roi", multiple=True, help="Region of interest; repeat for several."),
    click.option("--kind", multiple=True, help="Kind of layer, as Conv2d; repeat for several."),
    click.option(
        "--depth", callback=_numbers, metavar="RANGE", help="Place of the layer: 3, or 0-4."
    ),
    click.option("--subject", "subjects", multiple=True, help="Summarise over these subjects."),
    click.option("--channel", type=int, multiple=True, help="Channel; repeat for several."),
    click.option("--rows", callback=_numbers, metavar="RANGE", help="Rows of the map: 3, or 0-4."),
    click.option(
        "--columns", callback=_numbers, metavar="RANGE", help="Columns of the map: 3, or 0-4."
    ),
    click.option(
        "--where",
        "conditions",
        multiple=True,
        metavar="TEST",
        callback=_conditions,
        help="Test such as 'min_r>0.2'; repeat for several that must all hold.",
    ),
    click.option("--min-subjects", type=int, metavar="N", help="Accuracies in N subjects or more."),
    click.option("--every-subject", is_flag=True, help="Accuracies in all subjects."),
    click.option(
        "--reaching", type=float, metavar="R", help="Accuracies of R or more in --in-subjects."
    ),
    click.option("--in-subjects", type=int, metavar="N", help="… N subjects at the least."),
    click.option("--better-in", metavar="ROI", help="Higher mean accuracy there than elsewhere."),
    click.option("--than", multiple=True, metavar="ROI", help="… than in this ROI."),
    click.option("--lead", type=float, metavar="R", help="… by more than R.  [default: 0]"),
    click.option("--top", type=int, metavar="N", help="Only the N rows with the largest --by."),
    click.option("--per-channel", type=int, metavar="K", help="… K rows of a channel at the most."),
    click.option("--by", metavar="COLUMN", help="Column to rank by.  [default: mean_r]"),
    click.option(
        "--top-channels", type=int, metavar="N", help="Only the N channels with the highest --by."
    ),
    click.option("--sample", type=int, metavar="N", help="Only N rows drawn at random."),
    click.option("--seed", type=int, help="Seed of --sample.  [default: 0]"),
    click.option(
        "--per",
        multiple=True,
        help="N rows of --top or --sample for each model, layer, channel, roi, …",
    ),
)
"""Options that choose units, as ``Release.units`` and the methods of its result do."""


def selected(release: Release, options: dict[str, Any]) -> UnitSet:
    """Units that the options of :func:`selection` choose."""
    given = {n: v for n, v in options.items() if v is not None and v is not False and v != ()}
    for option, needed in (
        ("seed", "sample"),
        ("than", "better_in"),
        ("lead", "better_in"),
        ("reaching", "in_subjects"),
        ("in_subjects", "reaching"),
        ("per_channel", "top"),
    ):
        if option in given and needed not in given:
            raise click.UsageError(
                f"--{option.replace('_', '-')} goes with --{needed.replace('_', '-')}"
            )
    if "by" in given and not {"top", "top_channels"} & set(given):
        raise click.UsageError("--by goes with --top or --top-channels")
    if "per" in given and not {"top", "sample"} & set(given):
        raise click.UsageError("--per goes with --top or --sample")
    names = ("dataset", "condition", "model", "layer", "roi", "kind", "depth", "subjects")
    found = release.units(**{name: _list(given[name]) for name in names if name in given})
    places = {name: given[name] for name in ("channel", "rows", "columns") if name in given}
    if places:
        found = found.at(**places)
    found = found.where(
        *options["conditions"],
        min_subjects=options["min_subjects"],
        every_subject=options["every_subject"],
    )
    if "reaching" in given:
        found = found.reaching(given["reaching"], subjects=given["in_subjects"])
    if "better_in" in given:
        than = _list(given["than"]) if "than" in given else None
        found = found.better_in(given["better_in"], than, by=given.get("lead", 0.0))
    per = list(given["per"]) if "per" in given else None
    by = given.get("by", "mean_r")
    if "sample" in given:
        found = found.sample(given["sample"], seed=given.get("seed", 0), per=per)
    if "top_channels" in given:
        found = found.top_channels(given["top_channels"], by=by)
    if "per_channel" in given:
        found = found.top(given["per_channel"], by=by, per="channel")
    if "top" in given:
        found = found.top(given["top"], by=by, per=per)
    return found


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) and isinstance(value[0], str) else value
