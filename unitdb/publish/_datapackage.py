"""The metadata that programs read: Frictionless data package, Croissant, BIDS derivative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from unitdb import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unitdb.publish.info import ReleaseInfo
    from unitdb.release.citing import Person

__all__ = ["croissant", "datapackage", "dataset_description"]

_PARQUET = "application/vnd.apache.parquet"


def datapackage(
    info: ReleaseInfo, files: Mapping[str, Sequence[str]], *, n_accuracies: int
) -> dict[str, Any]:
    """``datapackage.json`` of the Frictionless Data standard.

    Parameters
    ----------
    info : ReleaseInfo
        What the release is.
    files : mapping of str to sequence of str
        Paths of the Parquet files of each table.
    n_accuracies : int
        Rows of the table ``accuracy``.
    """
    about: dict[str, Any] = {}
    if info.doi is not None:
        about["id"] = f"https://doi.org/{info.doi}"
    if info.authors:
        about["contributors"] = [_contributor(author) for author in info.authors]
    return {
        "profile": "data-package",
        "name": info.name,
        **about,
        "version": info.version,
        "title": info.full_title,
        "description": info.description,
        "licenses": [{"name": info.licence}],
        "resources": [_resource(schema.TABLES[table], paths) for table, paths in files.items()],
        "unitdb": {
            "schema": schema.SCHEMA_VERSION,
            "simulated": info.simulated,
            "citation": info.citation,
            "authors": [author.to_dict() for author in info.authors],
            "doi": info.doi,
            "funding": list(info.funding),
            "recipe_sha256": info.recipe_sha256,
            "n_accuracies": n_accuracies,
        },
    }


def _contributor(author: Person) -> dict[str, str]:
    fields = {
        "title": str(author),
        "role": "author",
        "path": author.orcid and f"https://orcid.org/{author.orcid}",
        "organization": author.affiliation,
    }
    return {key: value for key, value in fields.items() if value}


def _resource(table: schema.Table, paths: Sequence[str]) -> dict[str, Any]:
    return {
        "name": table.name,
        "description": f"A row is {table.row}.",
        "path": list(paths) if table.partition_by else paths[0],
        "format": "parquet",
        "mediatype": _PARQUET,
        "schema": schema.frictionless(table),
    }


def croissant(
    info: ReleaseInfo, files: Mapping[str, Sequence[str]], sums: Mapping[str, str]
) -> dict[str, Any]:
    """``croissant.json``: Croissant 1.0 JSON-LD.

    Parameters
    ----------
    info : ReleaseInfo
        What the release is.
    files : mapping of str to sequence of str
        Paths of the Parquet files of each table.
    sums : mapping of str to str
        SHA-256 (hex) of each of these files.
    """
    file_objects: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "encodingFormat": _PARQUET,
            "sha256": sums[path],
        }
        for paths in files.values()
        for path in paths
    ]
    file_sets: list[dict[str, Any]] = [
        {
            "@type": "cr:FileSet",
            "@id": f"{table}-files",
            "name": f"{table}-files",
            "containedIn": [{"@id": path} for path in paths],
            "encodingFormat": _PARQUET,
            "includes": f"{table}/**/*.parquet",
        }
        for table, paths in files.items()
        if schema.TABLES[table].partition_by
    ]
    return {
        "@context": {
            "@language": "en",
            "@vocab": "https://schema.org/",
            "sc": "https://schema.org/",
            "cr": "http://mlcommons.org/croissant/",
            "dct": "http://purl.org/dc/terms/",
            "conformsTo": "dct:conformsTo",
            "citeAs": "cr:citeAs",
            "column": "cr:column",
            "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
            "extract": "cr:extract",
            "field": "cr:field",
            "fileObject": "cr:fileObject",
            "fileSet": "cr:fileSet",
            "includes": "cr:includes",
            "key": "cr:key",
            "recordSet": "cr:recordSet",
            "prov": "http://www.w3.org/ns/prov#",
            "references": "cr:references",
            "repeated": "cr:repeated",
            "source": "cr:source",
        },
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": info.name,
        "version": info.version,
        "description": " ".join(
            filter(None, [f"{info.full_title}.", info.banner, info.description])
        ),
        "license": info.licence,
        "citeAs": info.citation,
        **_creators(info),
        "distribution": file_objects + file_sets,
        "recordSet": [_record_set(schema.TABLES[table], paths) for table, paths in files.items()],
    }


def _creators(info: ReleaseInfo) -> dict[str, Any]:
    """Who made the release, as schema.org has it; of what is not stated, nothing."""
    found: dict[str, Any] = {}
    if info.authors:
        found["creator"] = [_creator(author) for author in info.authors]
    if info.doi is not None:
        found["identifier"] = f"https://doi.org/{info.doi}"
    if info.funding:
        found["funding"] = [{"@type": "sc:Grant", "name": text} for text in info.funding]
    return found


def _creator(author: Person) -> dict[str, Any]:
    if author.organisation:
        return {"@type": "sc:Organization", "name": author.family}
    fields: dict[str, Any] = {
        "@type": "sc:Person",
        "name": str(author),
        "familyName": author.family,
        "givenName": author.given,
    }
    if author.orcid is not None:
        fields["@id"] = f"https://orcid.org/{author.orcid}"
    if author.affiliation is not None:
        fields["affiliation"] = {"@type": "sc:Organization", "name": author.affiliation}
    return {key: value for key, value in fields.items() if value is not None}


def _record_set(table: schema.Table, paths: Sequence[str]) -> dict[str, Any]:
    source = (
        {"fileSet": {"@id": f"{table.name}-files"}}
        if table.partition_by
        else {"fileObject": {"@id": paths[0]}}
    )
    single = {key.columns[0]: key.table for key in table.foreign_keys if len(key.columns) == 1}
    fields = []
    for column in table.columns:
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{table.name}/{column.name}",
            "name": column.name,
            "description": column.description + (f". {column.null}" if column.null else ""),
            "dataType": _croissant_type(column.type),
            "source": {**source, "extract": {"column": column.name}},
        }
        if pa.types.is_list(column.type):
            field["repeated"] = True
        if column.name in single:
            field["references"] = {"field": {"@id": f"{single[column.name]}/{column.name}"}}
        fields.append(field)
    return {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": f"A row is {table.row}.",
        "key": [{"@id": f"{table.name}/{name}"} for name in table.primary_key],
        "field": fields,
    }


def _croissant_type(type_: pa.DataType) -> str:
    if pa.types.is_list(type_):
        type_ = type_.value_type
    if pa.types.is_boolean(type_):
        return "sc:Boolean"
    if pa.types.is_integer(type_):
        return "sc:Integer"
    if pa.types.is_binary(type_):
        return "sc:ImageObject"
    return "sc:Float" if pa.types.is_floating(type_) else "sc:Text"


def dataset_description(info: ReleaseInfo, *, unitdb_version: str) -> dict[str, Any]:
    """``dataset_description.json`` of a BIDS derivative."""
    about: dict[str, Any] = {}
    if info.authors:
        about["Authors"] = [str(author) for author in info.authors]
    if info.doi is not None:
        about["DatasetDOI"] = f"doi:{info.doi}"
    if info.funding:
        about["Funding"] = list(info.funding)
    return {
        "Name": f"{info.full_title}, {info.version}",
        **about,
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "License": info.licence,
        "HowToAcknowledge": info.citation,
        "GeneratedBy": [
            {
                "Name": "unitdb",
                "Version": unitdb_version,
                "Description": f"{info.banner} Recipe {info.recipe_sha256}.".strip(),
            }
        ],
    }
