"""The figures of a release as one static page, for a paper's supplement."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from unitdb.browser import _render, charts
from unitdb.browser._course import MEASURES, chance_of, course_rows, lag_points
from unitdb.browser._depth import relative_depth, spaced
from unitdb.browser._gallery import CAPTION, PLACE, gallery, score_table
from unitdb.browser._identified import identification_matrix, in_order
from unitdb.browser._images import PICTURES, labelled, most_and_least, strip
from unitdb.browser._modulation import modulation_parts
from unitdb.browser._words import WORDS
from unitdb.files import write_text
from unitdb.printable import printable
from unitdb.release import score_of
from unitdb.release.courses import order_words
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from unitdb.release import Description, Release, Score

__all__ = ["html", "write"]

_TOP = 20
_POINTS = 5000
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
    """Give the page: figures as SVG inside it, no scripts, nothing that is fetched.

    The same release gives the same bytes, with the same versions of Altair and vl-convert.

    Parameters
    ----------
    release : Release
        The release.

    Raises
    ------
    MissingExtraError
        Altair or vl-convert is not installed.
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
    layers = _plain(release.table("layers"))
    for dataset in held.datasets:
        of_dataset = summary[summary["dataset"] == dataset["dataset"]]
        for condition in [one for one in held.conditions if one in set(of_dataset["condition"])]:
            rows = of_dataset[of_dataset["condition"] == condition]
            yield f"<h2>{escape(dataset['dataset'])}, {escape(condition)}</h2>"
            models = [one["model"] for one in held.models if one["model"] in set(rows["model"])]
            name = f"{dataset['dataset']}-{condition}-depth"
            yield from _depth(release, rows, layers, dataset["rois"], models, name)
            for model in models:
                yield f"<h3>{escape(model)}</h3>"
                where = {"dataset": dataset["dataset"], "condition": condition, "model": model}
                yield from _matrices(release, where)
                yield from _score(score_of(release, **where))


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


def _depth(
    release: Release,
    rows: pd.DataFrame,
    layers: pd.DataFrame,
    rois: list[str],
    models: list[str],
    name: str,
) -> Iterator[str]:
    shown = spaced(rois)
    depth = relative_depth(rows, layers)
    depth = depth[depth["roi"].isin(shown)].dropna(subset="r")
    if depth.empty:
        return
    chart = charts.profile(
        depth,
        x="depth",
        x_title="Relative depth (0: first layer, 1: last layer)",
        y_title="Mean decoding accuracy (Pearson r)",
        colour="roi",
        colours=shown,
        colour_title="ROI",
        dash="model" if len(models) > 1 else None,
        dash_title="Network",
    )
    yield _figure(release, chart, name, "Accuracy by depth: mean over units, then subjects.")


def _matrices(release: Release, where: dict[str, str]) -> Iterator[str]:
    captions = {
        "accuracy": (
            "Mean decoding accuracy (Pearson r)",
            "Mean accuracy of each layer and ROI over units, then subjects.",
        ),
        "agreement": (
            "Inter-subject correlation (Pearson r)",
            "Correlation over units of two subjects' accuracies, mean over pairs.",
        ),
    }
    for measure, (legend, caption) in captions.items():
        matrix = release.layer_by_roi(measure, **where)  # type: ignore[arg-type]
        if matrix.notna().to_numpy().any():
            chart = charts.heat_map(matrix, legend=legend)
            yield _figure(release, chart, "-".join([*where.values(), measure]), caption)


def _identified(release: Release) -> Iterator[str]:
    """Layer by ROI, and curves, of each candidate set: of all people's mean, or of each subject."""
    if "identification_summary" not in release.tables:
        return
    summary = _plain(release.table("identification_summary"))
    summary = summary[(summary["trials"] == "means") & (summary["method"] == "normalised")]
    layers = _plain(release.table("layers"))
    rois = _plain(release.table("rois")).sort_values("place")
    yield "<h2>Identification</h2>"
    yield f"<p>{escape(WORDS['identification'])}</p>"
    for found, rows in summary.groupby(["dataset", "condition", "model", "set"], sort=True):
        place = [str(name) for name in found]
        of = rows[rows["subject"] != "*"]
        names = rois[rois["dataset"] == place[0]]["roi"].tolist()
        order = in_order(layers, place[2], of["layer"].tolist())
        chart = charts.heat_map(
            identification_matrix(of, "rate", order, names),
            legend="Pairwise identification, mean over subjects",
        )
        caption = (
            f"{', '.join(place)}: among {of['n_candidates'].iloc[0]:,} candidates; exchange chance "
            f"{of['chance_fold'].min():.3f} to {of['chance_fold'].max():.3f}."
        )
        yield _figure(release, chart, "-".join([*place, "identification"]), caption)


def _courses(release: Release) -> Iterator[str]:
    """Time courses of each network and ROI, and the order of layers in words."""
    if "timecourse" not in release.tables:
        return
    course, lags, orders = (
        _plain(release.table(name)) for name in ("timecourse", "lag", "lag_order")
    )
    order = _plain(release.table("layers")).sort_values("depth")
    yield "<h2>Time course</h2>"
    yield f"<p>{escape(WORDS['timecourse'])} {escape(WORDS['lag'])}</p>"
    keys = ["dataset", "condition", "model", "roi"]
    for found, rows in course.groupby(keys, sort=True):
        place = [str(name) for name in found]
        where = "-".join(place)
        of_model = order[order["model"] == place[2]]["layer"].tolist()
        layers: list[str] = [layer for layer in of_model if layer in set(rows["layer"])]
        yield f"<h3>{escape(', '.join(place))}</h3>"
        drawn = charts.course(
            course_rows(rows, "identification"),
            layers,
            chance=chance_of(rows, "identification"),
            title=MEASURES["identification"][3],
        )
        caption = "Identification at each time from onset; bands: 95 % interval; dashed: chance."
        yield _figure(release, drawn, f"{where}-course", caption)
        own, tested = (t[(t[keys] == place).all(axis=1)] for t in (lags, orders))
        if own["lag"].notna().any():
            drawn = charts.lags(lag_points(own.dropna(subset="lag")), layers)
            caption = "Lag of each layer, with 95 % interval over subjects."
            yield _figure(release, drawn, f"{where}-lags", caption)
            sentences = order_words(tested)
            yield "<ul>" + "".join(f"<li>{escape(one)}</li>" for one in sentences) + "</ul>"


def _modulation(release: Release) -> Iterator[str]:
    for number, (title, chart, caption) in enumerate(modulation_parts(release)):
        if title:
            yield f"<h2>{escape(title)}</h2><p>{escape(WORDS['gain'])}</p>"
        yield _figure(release, chart, f"gains-{number}", caption)


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
        where = {"dataset": dataset, "condition": str(row["condition"])}
        rows = labelled(_plain(release.predictions(unit, roi=roi, **where)))
        pictures = release.stimuli(unit, PICTURES, dataset=dataset)
        datasets = _plain(release.table("datasets")).set_index("dataset")
        yield f"<h2>Image by image: {escape(unit)}</h2>"
        chart = charts.predictions(rows[:_POINTS], sorted(rows["subject"].unique()))
        caption = f"Predicted from {roi} of {dataset}, and true; dashed: predicted = true."
        yield _figure(release, chart, "predictions", caption)
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


def _figure(release: Release, chart: Any, name: str, caption: str) -> str:
    drawn = _render.svg(chart, release, name)
    return f'<figure tabindex="0">{drawn}<figcaption>{escape(caption)}</figcaption></figure>'


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
