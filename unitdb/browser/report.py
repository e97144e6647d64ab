"""The figures of a release as one static page, for a paper's supplement."""

from __future__ import annotations

import json
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from unitdb import plot
from unitdb.browser import _static
from unitdb.browser._gallery import CAPTION, PLACE, gallery, score_table
from unitdb.browser._images import PICTURES, most_and_least, strip
from unitdb.browser._words import WORDS
from unitdb.files import write_text
from unitdb.printable import printable
from unitdb.release import LAG_CONTROLS, degraded, order_words, score_of, spaced
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pandas as pd

    from unitdb.release import Description, Release, Score

__all__ = ["html", "write"]

_TOP = 20
_PICTURES = 24  # of a method and a person, the first by their ids
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
  max-width: 60rem; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; }
table { border-collapse: collapse; font-size: .875rem; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: left; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; overflow-x: auto; }
figcaption, .small { color: #555; font-size: .875rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f4f4f4; padding: .6rem; }
.simulated { background: #fde8ea; color: #8a0018; padding: .8rem 1rem; font-weight: 600; }
""".strip()


def write(release: Release, path: Path) -> None:
    """Write the page, whole or not at all; errors as of :func:`html`.

    Parameters
    ----------
    release : Release
        The release.
    path : Path
        The file; one that is there is replaced.
    """
    write_text(path, html(release))


def html(release: Release) -> str:
    """Give the page: figures of :mod:`unitdb.plot` as SVG inside it, no scripts, nothing fetched.

    The same release gives the same bytes, with the same version of matplotlib.

    Parameters
    ----------
    release : Release
        The release.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    CorruptReleaseError
        A file is truncated or damaged; names it.
    """
    held = release.describe()
    body = [
        *_head(release, held),
        *_figures(release, held),
        *_identified(release),
        *_courses(release),
        *_modulation(release),
        *_reconstructed(release),
        *_best(release),
        *_image_by_image(release),
        *_sources(release),
    ]
    title = escape(f"{release.title} ({release.label})")
    page = "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>\n{_STYLE}\n</style></head><body><main>",
            *body,
            "</main></body></html>\n",
        ]
    )
    return printable(page, lines=True)  # no character of a title that HTML does not have


def _head(release: Release, held: Description) -> Iterator[str]:
    yield f"<h1>{escape(held.title)}</h1>"
    yield f'<p class="small">{escape(release.label)}, schema {escape(held.schema)}</p>'
    if held.simulated:
        yield (
            '<p class="simulated">SIMULATED: the responses behind these numbers are simulated, not '
            "measured in people. They say nothing about the brain.</p>"
        )
    yield f"<p>{escape(held.description)}</p>"
    yield f"<p>{escape(WORDS['accuracy'])}</p>"
    rows = [
        {
            "dataset": dataset["dataset"],
            "responses": "simulated" if dataset["simulated"] else "measured",
            "subjects": ", ".join(dataset["subjects"]),
            "ROIs": ", ".join(dataset["rois"]),
        }
        for dataset in held.datasets
    ]
    yield _table(rows)
    yield _table([{"network": m["model"], "layers": ", ".join(m["layers"])} for m in held.models])
    yield f"<p>{held.n_units:,} units, {held.n_accuracies:,} accuracies.</p>"
    yield f"<h2>Cite</h2><p>{escape(held.citation)}</p><p>Licence: {escape(held.licence)}</p>"


def _figures(release: Release, held: Description) -> Iterator[str]:
    summary = _plain(release.table("layer_summary"))
    for dataset in held.datasets:
        of_dataset = summary[summary["dataset"] == dataset["dataset"]]
        for condition in [one for one in held.conditions if one in set(of_dataset["condition"])]:
            rows = of_dataset[of_dataset["condition"] == condition]
            yield f"<h2>{escape(dataset['dataset'])}, {escape(condition)}</h2>"
            models = [one["model"] for one in held.models if one["model"] in set(rows["model"])]
            scope: dict[str, Any] = {"dataset": dataset["dataset"], "condition": condition}
            yield _figure(
                partial(plot.depth, release, **scope),
                "-".join([*scope.values(), "depth"]),
                f"Accuracy by depth: mean over units, then subjects.{_left_out(dataset['rois'])}",
            )
            for model in models:
                yield f"<h3>{escape(model)}</h3>"
                where = {**scope, "model": model}
                yield from _matrices(release, where)
                yield from _score(score_of(release, **where))


def _left_out(rois: list[str]) -> str:
    """Say which regions the figure of depth is of, where it is not of all."""
    few = spaced(rois)
    if few == rois:
        return ""
    return (
        f" Drawn: {len(few)} of {len(rois)} regions, from early to late; others by "
        "unitdb.plot.depth(release, rois=[…])."
    )


def _score(found: Score) -> Iterator[str]:
    """The network as a whole: hierarchy, best layers, best channels."""
    yield f"<h4>The network as a whole</h4><p>{escape(WORDS['bh'])}</p>"
    yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in found.words()) + "</ul>"
    for title, table in (
        ("BH scores, with 95 % intervals", found.bh),
        ("Best layer of each ROI", found.best_layers.reset_index()),
        ("Most brain-like channels", found.channels),
    ):
        if len(table):
            yield f"<p>{title}</p>"
            yield _table(_plain(table).to_dict("records"))


def _matrices(release: Release, where: dict[str, Any]) -> Iterator[str]:
    captions: dict[Literal["accuracy", "agreement"], str] = {
        "accuracy": "Mean accuracy of each layer and ROI over units, then subjects.",
        "agreement": "Correlation over units of two subjects' accuracies, mean over pairs.",
    }
    for measure, caption in captions.items():
        matrix = release.layer_by_roi(measure, **where)
        if matrix.notna().to_numpy().any():
            yield _figure(
                partial(plot.layer_by_roi, release, measure, **where),
                "-".join([*where.values(), measure]),
                caption,
                n_rows=len(matrix),
            )


def _identified(release: Release) -> Iterator[str]:
    """Layer by ROI of each candidate set, mean over subjects."""
    if "identification_summary" not in release.tables:
        return
    summary = _plain(release.table("identification_summary"))
    summary = summary[(summary["trials"] == "means") & (summary["method"] == "normalised")]
    yield "<h2>Identification</h2>"
    yield f"<p>{escape(WORDS['identification'])}</p>"
    for found, rows in summary.groupby(["dataset", "condition", "model", "set"], sort=True):
        place = [str(name) for name in found]
        where: dict[str, Any] = dict(
            zip(("dataset", "condition", "model", "candidates"), place, strict=True)
        )
        of = rows[rows["subject"] != "*"]
        caption = (
            f"{', '.join(place)}: among {of['n_candidates'].iloc[0]:,} candidates; exchange chance "
            f"{of['chance_fold'].min():.3f} to {of['chance_fold'].max():.3f}."
        )
        yield _figure(
            partial(plot.identified_by_roi, release, **where),
            "-".join([*place, "identification"]),
            caption,
            n_rows=of["layer"].nunique(),
        )


def _courses(release: Release) -> Iterator[str]:
    """Time courses of each network and ROI, and the order of layers in words."""
    if "timecourse" not in release.tables:
        return
    course, lags, orders = (
        _plain(release.table(name)) for name in ("timecourse", "lag", "lag_order")
    )
    yield "<h2>Time course</h2>"
    yield f"<p>{escape(WORDS['timecourse'])} {escape(WORDS['lag'])}</p>"
    keys = ["dataset", "condition", "model", "roi"]
    for found, _ in course.groupby(keys, sort=True):
        place = [str(name) for name in found]
        where: dict[str, Any] = dict(zip(keys, place, strict=True))
        yield f"<h3>{escape(', '.join(place))}</h3>"
        yield _figure(
            partial(plot.timecourse, release, measure="identification", **where),
            "-".join([*place, "course"]),
            "Identification at each time from onset; bands: 95 % interval; dotted: chance.",
        )
        own, tested = (t[(t[keys] == place).all(axis=1)] for t in (lags, orders))
        if own["lag"].notna().any():
            yield _figure(
                partial(plot.lags, release, control=tuple(LAG_CONTROLS), **where),
                "-".join([*place, "lags"]),
                "Lag of each layer, with 95 % interval over subjects.",
            )
            sentences = order_words(tested)
            yield "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>"


def _modulation(release: Release) -> Iterator[str]:
    """Gains of each region and test set, by the published method; the page shows the other too."""
    if "modulation_summary" not in release.tables:
        return
    rows = degraded(_plain(release.table("modulation_summary")))
    rows = rows[rows["method"] == "abdelhack2018"]
    keys = ["dataset", "model", "condition", "roi"]
    begun: set[tuple[str, str]] = set()
    for found, part in rows.groupby(keys, sort=True):
        where: dict[str, Any] = dict(zip(keys, map(str, found), strict=True))
        of = where["dataset"], where["model"]
        if of not in begun:
            begun.add(of)
            yield f"<h2>{escape('Degraded pictures: ' + ', '.join(of))}</h2>"
            yield f"<p>{escape(WORDS['gain'])}</p>"
        n = f"{part['n_images'].max()} pictures, {part['n_subjects'].max()} subjects"
        yield _figure(
            partial(plot.modulation, release, control=("noise", "encode-decode"), **where),
            "-".join([*where.values(), "gains"]),
            f"{where['condition']}, {where['roi']}: gains with 95 % intervals over pictures and "
            f"subjects ({n}); red: the bias of simulated brains that are only fed forward.",
        )


def _reconstructed(release: Release) -> Iterator[str]:
    if "reconstruction_score" not in release.tables:
        return
    scores = _plain(release.table("reconstruction_score"))
    yield "<h2>Reconstruction</h2>"
    yield f"<p>{escape(CAPTION)}</p>"
    for found, rows in scores.groupby([*PLACE, "subject"], sort=True):
        place = [str(name) for name in found]
        yield f"<h3>{escape(', '.join(place))}</h3>"
        yield score_table(rows).to_html(index=False, float_format="{:.3f}".format, na_rep="–")
        yield gallery(release, place[:-1], place[-1], most=_PICTURES)


def _best(release: Release) -> Iterator[str]:
    best = release.units().top(_TOP, by="mean_r").to_pandas()
    columns = ["unit_id", "dataset", "condition", "roi", "mean_r", "min_r", "n_subjects", "rank"]
    yield f"<h2>The {len(best)} best-decoded units</h2>"
    yield _table(best[columns].to_dict("records"))
    yield f"<pre>{escape(release.units().top(_TOP, by='mean_r').code())}</pre>"


def _image_by_image(release: Release) -> Iterator[str]:
    """Predictions and pictures of the best-decoded unit that is kept."""
    for row in release.units().top(_TOP, by="mean_r").to_pandas().to_dict("records"):
        unit, dataset, roi = (str(row[column]) for column in ("unit_id", "dataset", "roi"))
        if unit not in release.kept(UnitId.parse(unit).place, dataset=dataset):
            continue
        where: dict[str, Any] = {"dataset": dataset, "condition": str(row["condition"])}
        pictures = release.stimuli(unit, PICTURES, dataset=dataset)
        datasets = _plain(release.table("datasets")).set_index("dataset")
        yield f"<h2>Image by image: {escape(unit)}</h2>"
        yield _figure(
            partial(plot.predictions, release, unit, roi=roi, **where),
            "predictions",
            f"Predicted from {roi} of {dataset}, and true; dashed: predicted = true.",
            n_rows=12,
        )
        terms = datasets["pictures"][dataset]
        shown = isinstance(terms, str)
        for words, part in most_and_least(pictures):
            yield f"<p>Pictures that drive it {words}, with its activation (raw):</p>"
            yield strip(part, shown=shown)
        if shown:
            yield f'<p class="small">Pictures: {escape(terms)}</p>'
        return


def _sources(release: Release) -> Iterator[str]:
    yield "<h2>Data and methods</h2>"
    for table, columns in (
        ("datasets", ["dataset", "title", "licence", "source", "citation"]),
        ("models", ["model", "title", "licence", "source", "citation"]),
        ("builds", ["build", "recipe", "dataset", "model", "decoder", "unitdb_version"]),
    ):
        yield f"<h3>{escape(table.capitalize())}</h3>"
        yield _table(_plain(release.table(table))[columns].to_dict("records"))
    yield "<h3>Words</h3><dl>"
    for name in ("unit", "roi", "agreement"):
        yield f"<dt><b>{escape(name)}</b></dt><dd>{escape(WORDS[name])}</dd>"
    yield "</dl>"
    yield f"<pre>unitdb report {escape(release.label)} --html report.html</pre>"


def _figure(
    draw: Callable[..., object], name: str, caption: str, *, n_rows: int | None = None
) -> str:
    """A figure with its caption; as high as its rows need, where it has any."""
    height = 3.6 if n_rows is None else 1.4 + 0.28 * n_rows
    label = escape(caption)
    drawn = _static.svg(draw, name, height=height)
    drawn = drawn.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f'<figure tabindex="0">{drawn}<figcaption>{label}</figcaption></figure>'


def _table(rows: list[Any]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(str(name))}</th>" for name in rows[0])
    lines = ["".join(_cell(value) for value in row.values()) for row in rows]
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table tabindex="0"><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>'


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(value if isinstance(value, str) else json.dumps(value))}</td>"


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    names = {column: str for column, kind in table.dtypes.items() if kind == "category"}
    return table.astype(names)
