"""Check the small tables against each other, and say what the partitions must then hold."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from unitdb.axes import axes_problem
from unitdb.errors import CorruptReleaseError
from unitdb.release.fields import SIDES
from unitdb.release.manifest import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from unitdb.release.manifest import Manifest
    from unitdb.verification.reading._sets import Sets
    from unitdb.verification.reading._summaries import Decoded

__all__ = ["Plan", "check_references", "shown"]

_SHOWN = 5

Row = dict[str, Any]
_ANY = "*"
Tables = dict[str, list[Row]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the partitions hold according to the small tables.

    Parameters
    ----------
    builds : mapping of str to dict
        Rows of ``builds`` by their key, ``units`` parsed.
    n_units : mapping of (str, str) to int
        Units of each layer, by model and layer.
    groups : mapping of str to list of (str, str)
        ROI and subject of all accuracies of a dataset, sorted.
    awaited : set of (str, str, str)
        Build, layer and test set of the partitions that were not seen yet; the test set is ``*``
        where the schema does not say which there are.
    """

    builds: Mapping[str, Row]
    n_units: Mapping[tuple[str, ...], int]
    groups: Mapping[str, list[tuple[str, str]]]
    awaited: set[tuple[str, str, str]]

    def take(self, keys: tuple[str, ...], builds: set[tuple[str, ...]], *, where: str) -> Row:
        """Cross off the partition with these keys, and return the build it must be of.

        Parameters
        ----------
        keys : tuple of str
            The partition: dataset, condition, model, layer.
        builds : set of (str,)
            Values of its column ``build``.
        where : str
            Its file, for the message.

        Raises
        ------
        CorruptReleaseError
            It is of several builds, of one of another dataset or model, of no test set, or a second
            time of one.
        """
        dataset, condition, model, layer = keys
        if len(builds) > 1:
            names = ", ".join(sorted("/".join(build) for build in builds))
            raise CorruptReleaseError(f"{where}: rows of several builds: {names}")
        ((name,),) = builds
        build = self.builds[name]
        if (build["dataset"], build["model"]) != (dataset, model):
            raise CorruptReleaseError(
                f"{where}: build {name} is of {build['dataset']}/{build['model']}"
            )
        for test in (condition, _ANY):
            if (name, layer, test) in self.awaited:
                self.awaited.remove((name, layer, test))
                return build
        raise CorruptReleaseError(
            f"{where}: a second partition of build {name}, layer {layer}, or of no test set"
        )

    def check_complete(
        self, data: Decoded, keys: tuple[str, ...], build: Row, *, where: str
    ) -> None:
        """Raise CorruptReleaseError unless all ROIs, subjects and selected units are there."""
        differing = set(data.groups) ^ set(self.groups[keys[0]])
        if differing:
            raise CorruptReleaseError(
                f"{where}: not all ROIs of table 'rois' in all subjects of 'subjects': "
                f"{shown('/'.join(group) for group in sorted(differing))}"
            )
        sample, n_units = build["units"]["sample"], self.n_units[keys[2:]]
        selected = n_units if sample is None else min(sample, n_units)
        if len(data.units) != selected:
            raise CorruptReleaseError(
                f"{where}: {len(data.units)} units, but build {build['build']} selects {selected}"
            )

    def check_all_taken(self) -> None:
        """Raise CorruptReleaseError where a layer of a build has no partition."""
        if self.awaited:
            names = shown("/".join(key).removesuffix("/*") for key in sorted(self.awaited))
            raise CorruptReleaseError(
                f"accuracy: no partition of build, layer and test set: {names}"
            )


def check_references(tables: Tables, manifest: Manifest, sets: Sets) -> Plan:
    """Check what the small tables say of each other beyond keys.

    Parameters
    ----------
    tables : dict of str to list of dict
        Rows of the tables datasets, rois, subjects, stimuli, models, layers and builds.
    manifest : Manifest
        What the release says of itself.
    sets : Sets
        The test sets.

    Returns
    -------
    Plan
        What the partitions must hold.

    Raises
    ------
    CorruptReleaseError
        Names the table, the row and what it does not agree with.
    """
    if any(row["simulated"] for row in tables["datasets"]) != manifest.simulated:
        raise CorruptReleaseError(
            f"{MANIFEST} states simulated = {manifest.simulated}; table 'datasets' says otherwise"
        )
    groups = _check_datasets(tables)
    _check_models(tables)
    builds = {row["build"]: _parsed(row) for row in tables["builds"]}
    _check_builds(builds, tables, manifest)
    layers = tables["layers"]
    return Plan(
        builds=builds,
        n_units={(row["model"], row["layer"]): row["n_units"] for row in layers},
        groups=groups,
        awaited={
            (name, row["layer"], condition)
            for name, build in builds.items()
            for row in layers
            for condition in sets.conditions(build["dataset"]) or [_ANY]
            if row["model"] == build["model"]
        },
    )


def _check_datasets(tables: Tables) -> dict[str, list[tuple[str, str]]]:
    rois, subjects = (_by(tables[name], "dataset") for name in ("rois", "subjects"))
    n_stimuli = Counter(row["dataset"] for row in tables["stimuli"])
    groups = {}
    for row in tables["datasets"]:
        dataset = row["dataset"]
        names = {subject["subject"] for subject in subjects[dataset]}
        _check_count("datasets", dataset, "n_subjects", row, len(names))
        _check_count("datasets", dataset, "n_stimuli", row, n_stimuli[dataset])
        _check_distinct("rois", dataset, "place", rois[dataset])
        groups[dataset] = sorted(product((roi["roi"] for roi in rois[dataset]), names))
        found = {(subject["roi"], subject["subject"]) for subject in subjects[dataset]}
        missing = sorted(set(groups[dataset]) - found)
        if missing:
            raise CorruptReleaseError(
                f"subjects: {dataset}: no row of ROI and subject "
                f"{shown('/'.join(pair) for pair in missing)}"
            )
    return groups


def _size(preprocessing: str) -> int:
    """Side of a network's input, as it states; 0 where it states none."""
    try:
        size = json.loads(preprocessing)["size"]
    except (ValueError, TypeError, KeyError):
        return 0
    return size if isinstance(size, int) else 0


def _check_fields(row: dict[str, Any], size: int) -> None:
    """Ends of receptive fields are pixels of the input, one for each row or column of the map."""
    axes, shape = row.get("axes") or "", row["shape"]
    for letter, names in (("H", SIDES[:2]), ("W", SIDES[2:])):
        first, last = (row.get(name) for name in names)
        if first is None and last is None:
            continue
        n_places = shape[axes.index(letter)] if letter in axes else 0
        pairs = list(zip(first or (), last or (), strict=False))
        complete = len(first or ()) == len(last or ()) == len(pairs) == n_places
        if not complete or not all(0 <= one <= other < size for one, other in pairs):
            raise CorruptReleaseError(
                f"layers: {row['model']}/{row['layer']}: {names[0]} and {names[1]} are not the "
                f"ends of fields of {n_places} places in {size} pixels"
            )


def _check_models(tables: Tables) -> None:
    sizes = {row["model"]: _size(row["preprocessing"]) for row in tables["models"]}
    for row in tables["layers"]:
        shape = row["shape"]
        valid = bool(shape) and all(n is not None and n > 0 for n in shape)
        if not valid or math.prod(shape) != row["n_units"]:
            raise CorruptReleaseError(
                f"layers: {row['model']}/{row['layer']}: n_units is {row['n_units']}, "
                f"but the shape is {shape}"
            )
        axes = row.get("axes")  # releases of older schemas are without
        if axes is not None and (problem := axes_problem(axes, shape)):
            raise CorruptReleaseError(f"layers: {row['model']}/{row['layer']}: axes {problem}")
        classes = row.get("classes")
        if classes is not None and (len(classes) != row["n_units"] or not all(classes)):
            raise CorruptReleaseError(
                f"layers: {row['model']}/{row['layer']}: {sum(map(bool, classes))} names of "
                f"classes, and {row['n_units']} units"
            )
        _check_fields(row, sizes.get(row["model"], 0))
    layers = _by(tables["layers"], "model")
    for row in tables["models"]:
        model = row["model"]
        _check_count("models", model, "n_layers", row, len(layers[model]))
        _check_distinct("layers", model, "depth", layers[model])


def _parsed(row: Row) -> Row:
    """Row of ``builds`` with its JSON parsed."""
    parsed = dict(row)
    for column in ("decoder", "units", "inputs", "packages"):
        try:
            parsed[column] = json.loads(row[column])
        except ValueError:
            parsed[column] = None
        if not isinstance(parsed[column], dict):
            raise CorruptReleaseError(
                f"builds: {row['build']}: {column} is not a JSON object: {row[column]!r}"
            )
    units = parsed["units"]
    sample = units.get("sample")
    if set(units) != {"sample", "seed"} or not (
        sample is None or (type(sample) is int and sample > 0)
    ):
        raise CorruptReleaseError(
            f"builds: {row['build']}: units is {row['units']!r}; "
            'expected {"sample": a number or null, "seed": a number}'
        )
    return parsed


def _check_builds(builds: Mapping[str, Row], tables: Tables, manifest: Manifest) -> None:
    if not builds:
        raise CorruptReleaseError("builds: there is none, and so no accuracy")
    for table, column in (("datasets", "dataset"), ("models", "model")):
        used = {row[column] for row in builds.values()}
        unused = [row[column] for row in tables[table] if row[column] not in used]
        if unused:
            raise CorruptReleaseError(f"builds: none of {column} {shown(unused)}")
    models = {row["model"]: row["model_sha256"] for row in tables["models"]}
    subjects = _by(tables["subjects"], "dataset")
    for name, row in builds.items():
        _check_hash(f"builds: {name}: recipe_sha256", row["recipe_sha256"], manifest.recipe_sha256)
        inputs = row["inputs"]
        if "model" in inputs:
            _check_hash(f"builds: {name}: inputs: model", inputs["model"], models[row["model"]])
        if "responses" in inputs:
            stated, rows = inputs["responses"], subjects[row["dataset"]]
            if (
                not isinstance(stated, dict)
                or stated.keys() != {s["subject"] for s in rows}
                or any(stated[s["subject"]] != s["responses_sha256"] for s in rows)
            ):
                raise CorruptReleaseError(
                    f"builds: {name}: inputs: responses are not those of table 'subjects'"
                )


def _check_count(table: str, name: str, column: str, row: Row, found: int) -> None:
    # Publications that were imported do not state everything; where nothing is listed, so it stays.
    if row[column] != found and not (row[column] is None and found == 0):
        raise CorruptReleaseError(
            f"{table}: {name}: {column} is {row[column]}, but there are {found}"
        )


def _check_distinct(table: str, name: str, column: str, rows: list[Row]) -> None:
    repeated = [value for value, n in Counter(row[column] for row in rows).items() if n > 1]
    if repeated:
        raise CorruptReleaseError(f"{table}: {name}: {column} {repeated[0]} stands twice")


def _check_hash(place: str, stated: object, expected: str) -> None:
    if stated != expected:
        raise CorruptReleaseError(f"{place} is {stated!r}, expected {expected!r}")


def _by(rows: list[Row], column: str) -> Mapping[str, list[Row]]:
    groups = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def shown(names: Iterable[str]) -> str:
    """Some names, for a message: the first few, and how many there are."""
    names = list(names)
    more = f", … ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
