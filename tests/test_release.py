from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tiny import INFO, accuracies, make_older
from unitdb.errors import (
    CorruptReleaseError,
    QueryError,
    SchemaVersionError,
    UnknownColumnError,
    UnknownDatasetError,
    UnknownLayerError,
    UnknownReleaseError,
    UnknownTableError,
)
from unitdb.publish import retract
from unitdb.release import Release, open_release
from unitdb.schema import SCHEMA_VERSION, TABLES, tables_of

MAJOR, MINOR = map(int, SCHEMA_VERSION.split("."))


@pytest.fixture(scope="module")
def release(tiny_release: Path) -> Release:
    return open_release(tiny_release)


def edit_manifest(folder: Path, change) -> None:
    path = folder / "datapackage.json"
    package = json.loads(path.read_text())
    change(package)
    path.write_text(json.dumps(package))


def test_attributes(release: Release, tiny_release: Path) -> None:
    assert release.path == tiny_release
    assert (release.name, release.version, release.schema_version) == (
        "tiny",
        "1.0.0",
        SCHEMA_VERSION,
    )
    assert release.title == "A tiny release (simulated)"
    assert release.simulated is True
    assert release.citation == INFO.citation
    assert release.tables == tables_of(SCHEMA_VERSION)
    assert repr(release) == "<Release tiny@1.0.0, simulated: 224 accuracies>"


def test_open_by_path_name_and_version(
    tiny_release: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = tiny_release.parent.parent
    with caplog.at_level(logging.INFO, logger="unitdb"):
        assert open_release(str(tiny_release)).path == tiny_release
        assert open_release("tiny@1.0.0", releases=root).path == tiny_release
        assert caplog.messages == []
        monkeypatch.setenv("UNITDB_RELEASES", str(root))
        assert open_release("tiny@stable").path == tiny_release
    assert caplog.messages[0].startswith("tiny@stable is tiny@1.0.0")
    with pytest.raises(UnknownReleaseError, match="did you mean 'tiny'"):
        open_release("tny")


@pytest.mark.robust(
    "publishing",
    given="a program that changes its folder while a release is open that was named by a relative "
    "path, and another release of that path lies there",
    before="numbers of the other release, with the citation of the one that was opened",
    now="the release that was opened; the same of sets of candidates",
)
def test_a_release_is_the_same_wherever_the_program_goes(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_release.parent)
    opened = open_release(f"./{tiny_release.name}")
    expected = opened.table("layers")
    monkeypatch.chdir(tmp_path)
    assert opened.path == tiny_release
    assert opened.table("layers").equals(expected)
    assert len(opened.sql("SELECT * FROM accuracy")) == 224


def test_table(release: Release) -> None:
    found = release.table("accuracy")
    expected = accuracies().sort_values(list(TABLES["accuracy"].order))
    assert found["r"].tolist() == pytest.approx(expected["r"].tolist(), nan_ok=True)
    assert found["subject"].astype(str).tolist() == expected["subject"].tolist()
    assert found["layer"].dtype == "category"
    assert release.table("layers", ["layer", "n_units"]).values.tolist() == [
        ["conv1", 18],
        ["fc", 10],
    ]


def test_unknown_table_and_column(release: Release) -> None:
    with pytest.raises(UnknownTableError, match="did you mean 'accuracy'"):
        release.table("acuracy")
    with pytest.raises(UnknownColumnError, match="did you mean 'subject'"):
        release.table("accuracy", ["sbject"])


def test_describe(release: Release) -> None:
    description = release.describe()
    assert description.n_units == 28
    assert description.n_accuracies == 224
    assert description.conditions == ["perception"]
    assert description.datasets[0]["subjects"] == ["S1", "S2", "S3"]
    assert description.datasets[1]["rois"] == ["V1", "V4"]
    assert description.models[0]["layers"] == ["conv1", "fc"]
    text = str(description)
    assert "SIMULATED" in text
    assert "28 units, 224 accuracies" in text
    assert INFO.citation in text
    assert "statistics: significance, reliability, encoding\n" in text
    assert json.loads(json.dumps(description.to_dict())) == description.to_dict()


def test_describe_names_the_statistics_that_are_there(tiny_copy: Path) -> None:
    builds = tiny_copy / "builds.parquet"
    table = pq.read_table(builds)
    for column in ("reliability", "encoding"):
        nothing = pa.nulls(len(table), table.schema.field(column).type)
        table = table.set_column(table.column_names.index(column), column, nothing)
    pq.write_table(table, builds)
    assert Release(tiny_copy).describe().statistics == ["significance"]
    make_older(tiny_copy, "2.0")
    assert Release(tiny_copy).describe().statistics == ["significance"]


def test_describe_says_what_was_found_wrong_since(tiny_copy: Path) -> None:
    catalogue = tiny_copy.parents[1] / "releases.json"
    release = Release(tiny_copy)
    assert (release.describe().errata, release.describe().retracted) == ([], None)
    found = json.loads(catalogue.read_text())
    version = found["releases"]["tiny"]["versions"]["1.0.0"]
    version["errata"] = ["V4 of S2 is too small."]
    version["retracted"] = {"reason": "V1 is V2.", "replacement": None}
    catalogue.write_text(json.dumps(found))
    text = str(release.describe())
    assert "RETRACTED: V1 is V2.\n" in text
    assert "Erratum: V4 of S2 is too small.\n" in text


def test_sql(release: Release) -> None:
    found = release.sql(
        "SELECT count(*) AS n, count(r) AS defined FROM accuracy WHERE layer = ?", ["conv1"]
    )
    assert found.to_dict("records") == [{"n": 144, "defined": 144 - 8 - 2}]
    assert found.attrs["simulated"] is True
    assert found.attrs["release"] == "tiny@1.0.0"
    with pytest.raises(QueryError, match="only reading is allowed"):
        release.sql("COPY accuracy TO '/tmp/x.csv'")


def test_units(release: Release) -> None:
    found = release.units(dataset="sim-a", layer="fc", roi=["V1", "V4"]).to_pandas()
    assert len(found) == 20
    assert set(found["layer"]) == {"fc"}
    with pytest.raises(UnknownLayerError, match="did you mean 'conv1'"):
        release.units(layer="conv")


def test_verify(release: Release) -> None:
    assert release.verify().rows["accuracy"] == 224


@pytest.mark.parametrize("version", [f"{MAJOR}.{MINOR + 1}", f"{MAJOR + 1}.0", f"{MAJOR}0.0"])
def test_newer_schema_is_refused(tiny_copy: Path, version: str) -> None:
    edit_manifest(tiny_copy, lambda package: package["unitdb"].update(schema=version))
    with pytest.raises(SchemaVersionError, match=f"schema {version}.*upgrade"):
        open_release(tiny_copy)


def test_older_schema_is_refused(tiny_copy: Path) -> None:
    edit_manifest(tiny_copy, lambda package: package["unitdb"].update(schema="1.1"))
    with pytest.raises(SchemaVersionError, match=r"schema 1\.1, which this unitdb no longer reads"):
        open_release(tiny_copy)


def test_folder_without_a_release(tmp_path: Path) -> None:
    with pytest.raises(CorruptReleaseError, match=r"is not a release: it has no datapackage\.json"):
        open_release(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop("unitdb"), "'unitdb' is missing"),
        (lambda p: p.update(version="1.0"), "does not match"),
        (lambda p: p["unitdb"].update(simulated="no"), "not of type bool"),
        (lambda p: p["resources"][0].update(path="../../datasets.parquet"), "leaves the folder"),
        (lambda p: p["resources"][0].update(path="/etc/passwd"), "leaves the folder"),
        (
            lambda p: p.update(resources=[t for t in p["resources"] if t["name"] != "prediction"]),
            "missing: prediction",
        ),
    ],
)
def test_damaged_manifest_is_named(tiny_copy: Path, change, message: str) -> None:
    edit_manifest(tiny_copy, change)
    with pytest.raises(CorruptReleaseError, match=message):
        open_release(tiny_copy)


def test_manifest_that_is_not_json(tiny_copy: Path) -> None:
    (tiny_copy / "datapackage.json").write_text("{")
    with pytest.raises(CorruptReleaseError, match=r"datapackage\.json: cannot be read"):
        open_release(tiny_copy)


def test_missing_file_is_named(tiny_copy: Path) -> None:
    shutil.rmtree(tiny_copy / "accuracy" / "dataset=sim-b")
    with pytest.raises(CorruptReleaseError, match=r"missing: accuracy/dataset=sim-b.*/part-0\.par"):
        open_release(tiny_copy)


@pytest.mark.parametrize("size", [0, 3, 200])
def test_truncated_parquet_is_named(tiny_copy: Path, size: int) -> None:
    release = open_release(tiny_copy)
    path = tiny_copy / "layers.parquet"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptReleaseError, match=r"layers\.parquet: not a readable Parquet"):
        release.table("layers")


def test_opening_imports_neither_pandas_nor_duckdb(tiny_release: Path) -> None:
    code = (
        "import sys; from unitdb.release import open_release; open_release(sys.argv[1]);"
        "sys.exit(bool({'pandas', 'duckdb', 'torch', 'unitdb.publish'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, str(tiny_release)], check=False).returncode == 0
    )


@pytest.mark.parametrize(
    ("measure", "table", "column"),
    [("accuracy", "layer_summary", "mean_r"), ("agreement", "intersubject", "pearson_r")],
)
def test_layer_by_roi(tiny_release: Path, measure: str, table: str, column: str) -> None:
    release = Release(tiny_release)
    matrix = release.layer_by_roi(measure, dataset="sim-a")
    assert matrix.attrs["release"] == "tiny@1.0.0"
    assert matrix.attrs["simulated"]
    assert matrix.index.tolist() == ["conv1", "fc"]
    assert matrix.columns.tolist() == ["V1", "V4"]
    rows = release.table(table).astype({"layer": str, "roi": str, "dataset": str})
    for (layer, roi), part in rows[rows["dataset"] == "sim-a"].groupby(["layer", "roi"]):
        assert matrix.loc[layer, roi] == pytest.approx(part[column].mean())


def test_layer_by_roi_of_one_subject_has_no_agreement(tiny_release: Path) -> None:
    assert Release(tiny_release).layer_by_roi("agreement", dataset="sim-b").isna().all(axis=None)


def test_layer_by_roi_asks_which(tiny_release: Path) -> None:
    release = Release(tiny_release)
    with pytest.raises(QueryError, match="several values of dataset: name one of sim-a, sim-b"):
        release.layer_by_roi()
    with pytest.raises(UnknownDatasetError, match="did you mean 'sim-a'"):
        release.layer_by_roi(dataset="sim-A")
    with pytest.raises(QueryError, match="no measure 'r'; there is: accuracy, agreement"):
        release.layer_by_roi("r", dataset="sim-a")


def test_a_retracted_release_warns_when_opened_by_its_folder(tiny_copy: Path) -> None:
    retract(tiny_copy.parents[1], "tiny", "1.0.0", reason="wrong sign")
    with pytest.warns(UserWarning, match="wrong sign"):
        assert open_release(tiny_copy).label == "tiny@1.0.0"
