"""What a release holds, in a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from unitdb.printable import printable
from unitdb.release.citing import NO_AUTHORS
from unitdb.schema import get_table

if TYPE_CHECKING:
    from unitdb.release.entries import Entry
    from unitdb.release.manifest import Manifest
    from unitdb.release.storage import Storage

__all__ = ["Description", "describe"]

_STATISTICS = ("significance", "reliability", "encoding")
"""Columns of ``builds`` that say how something besides accuracies was computed."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a release holds.

    Parameters
    ----------
    name, version, title, description, licence, citation : str
        What it is called, and how to cite it.
    simulated : bool
        True where any of its responses are simulated, not measured.
    schema : str
        Schema of its tables, MAJOR.MINOR.
    datasets : list of dict
        Each with ``dataset``, ``title``, ``simulated``, ``subjects``, ``rois``.
    models : list of dict
        Each with ``model``, ``title`` and ``layers``, in the order of depth.
    conditions : list of str
        What subjects did.
    n_units : int
        Units decoded, each counted once.
    n_accuracies : int
        Accuracies: of a unit from an ROI of a subject.
    statistics : list of str
        Which of ``significance``, ``reliability`` and ``encoding`` any of its builds computed.
    errata : list of str
        What was found wrong since, from the catalogue above the release.
    retracted : str or None
        Why it should not be used, if so; from there too.
    authors : list of str
        Who made it; empty where they are not stated.
    """

    name: str
    version: str
    title: str
    description: str
    licence: str
    citation: str
    simulated: bool
    schema: str
    datasets: list[dict[str, Any]]
    models: list[dict[str, Any]]
    conditions: list[str]
    n_units: int
    n_accuracies: int
    statistics: list[str]
    errata: list[str]
    retracted: str | None
    authors: list[str]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain Python values, ready for JSON.

        Returns
        -------
        dict
            Texts, numbers, lists and dictionaries.

        Examples
        --------
        >>> release.describe().to_dict()["name"]
        'tiny'
        """
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.title}", f"{self.name} {self.version}, schema {self.schema}", ""]
        if self.retracted is not None:
            lines += [f"RETRACTED: {self.retracted}", ""]
        if self.simulated:
            lines += ["SIMULATED: from simulated brain responses, not from people.", ""]
        lines += [self.description, ""]
        for dataset in self.datasets:
            lines += [f"dataset {dataset['dataset']}: {_people(dataset)}"]
        for model in self.models:
            lines += [f"model {model['model']}: layers {', '.join(model['layers'])}"]
        lines += [
            f"conditions: {', '.join(self.conditions)}",
            f"{self.n_units:,} units, {self.n_accuracies:,} accuracies",
            f"statistics: {', '.join(self.statistics) or 'none'}",
            "",
            *(f"Erratum: {erratum}" for erratum in self.errata),
            f"Licence: {self.licence}",
            f"Authors: {'; '.join(self.authors)}" if self.authors else NO_AUTHORS,
            f"Cite as: {self.citation}",
        ]
        return "\n".join(printable(line, lines=line == self.description) for line in lines)

    def _repr_html_(self) -> str:
        """A table for notebooks, with what a reader must know above it."""
        warned = [] if self.retracted is None else [f"RETRACTED: {self.retracted}"]
        if self.simulated:
            warned.append("SIMULATED: from simulated brain responses, not from people.")
        rows = [(f"dataset {one['dataset']}", _people(one)) for one in self.datasets]
        rows += [(f"model {one['model']}", ", ".join(one["layers"])) for one in self.models]
        rows += [
            ("conditions", ", ".join(self.conditions)),
            ("units", f"{self.n_units:,}, {self.n_accuracies:,} accuracies"),
            *(("erratum", erratum) for erratum in self.errata),
            ("licence", self.licence),
            ("cite as", self.citation),
        ]
        cells = [[escape(printable(text)) for text in row] for row in rows]
        table = "".join(f"<tr><th>{name}</th><td>{text}</td></tr>" for name, text in cells)
        title = escape(printable(f"{self.title} ({self.name}@{self.version})"))
        marks = "".join(f"<p><strong>{escape(printable(text))}</strong></p>" for text in warned)
        return f"<div><p>{title}</p>{marks}<table>{table}</table></div>"


def _people(dataset: dict[str, Any]) -> str:
    subjects, rois = ", ".join(dataset["subjects"]), ", ".join(dataset["rois"])
    return f"subjects {subjects}; ROIs {rois}"


def describe(manifest: Manifest, storage: Storage, listed: Entry | None) -> Description:
    """Say what a release holds; reads its small tables.

    Parameters
    ----------
    manifest : Manifest
        Manifest of the release.
    storage : Storage
        Its files.
    listed : Entry or None
        What the catalogue says of it.

    Raises
    ------
    CorruptReleaseError
        A file is truncated or damaged; names it.
    """

    def rows(table: str, *columns: str) -> list[dict[str, Any]]:
        (file,) = manifest.files[table]
        found: list[dict[str, Any]] = storage.rows(file, columns).to_pylist()
        return found

    subjects = rows("subjects", "dataset", "subject")
    rois = sorted(rows("rois", "dataset", "roi", "place"), key=lambda row: row["place"])
    layers = sorted(rows("layers", "model", "layer", "depth"), key=lambda row: row["depth"])
    decoded: dict[tuple[str, str], int] = {}
    conditions = set()
    for row in rows("layer_summary", "condition", "model", "layer", "n_units"):
        layer = (row["model"], row["layer"])
        decoded[layer] = max(decoded.get(layer, 0), row["n_units"])
        conditions.add(row["condition"])
    builds_of = get_table("builds").at(manifest.schema)
    known = [name for name in _STATISTICS if name in builds_of.column_names]
    (file,) = manifest.files["builds"]
    builds = storage.rows(file, known)
    return Description(
        name=manifest.name,
        version=manifest.version,
        title=manifest.title,
        description=manifest.description,
        licence=manifest.licence,
        citation=manifest.citation,
        simulated=manifest.simulated,
        schema=manifest.schema,
        datasets=[
            {
                **dataset,
                "subjects": _values(subjects, "subject", dataset=dataset["dataset"]),
                "rois": _values(rois, "roi", dataset=dataset["dataset"]),
            }
            for dataset in rows("datasets", "dataset", "title", "simulated")
        ],
        models=[
            {**model, "layers": _values(layers, "layer", model=model["model"])}
            for model in rows("models", "model", "title")
        ],
        conditions=sorted(conditions),
        n_units=sum(decoded.values()),
        n_accuracies=manifest.n_accuracies,
        statistics=[name for name in known if any(builds.column(name).is_valid().to_pylist())],
        errata=list(listed.errata) if listed is not None else [],
        retracted=listed.retracted if listed is not None else None,
        authors=list(map(str, manifest.authors)),
    )


def _values(rows: list[dict[str, Any]], column: str, **where: str) -> list[str]:
    """Distinct values of a column in the rows that match, in their order."""
    matching = (row[column] for row in rows if where.items() <= row.items())
    return list(dict.fromkeys(matching))
