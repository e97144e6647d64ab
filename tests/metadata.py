"""Metadata of a release, read by the programs that others read it with."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import frictionless
import jsonschema
import mlcroissant
import yaml

from unitdb.release import open_release

CFF = json.loads((Path(__file__).parent / "publish" / "cff-1.2.0.schema.json").read_text())


def check_croissant(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the packages that it uses
        metadata = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).metadata
    assert not metadata.ctx.issues.errors
    assert len(metadata.record_sets) == len(list(open_release(folder).tables))


def check_data_package(folder: Path) -> None:
    descriptor = json.loads((folder / "datapackage.json").read_text())
    package = frictionless.Package.from_descriptor(descriptor, basepath=str(folder))
    assert [resource.name for resource in package.resources] == list(open_release(folder).tables)
    frictionless.Package.validate_descriptor(descriptor)


def check_citation(folder: Path) -> None:
    jsonschema.validate(yaml.safe_load((folder / "CITATION.cff").read_text()), CFF)
