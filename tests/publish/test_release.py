from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.rarely import rarely
from tests.tiny import INFO, accuracies, stage
from unitdb.errors import (
    CatalogueError,
    RecipeError,
    ReleaseExistsError,
    SchemaError,
    UnknownReleaseError,
)
from unitdb.files import files_below, read_sums, sha256_file, write_text
from unitdb.publish import add_erratum, finish, publish_release, retract
from unitdb.release import open_release
from unitdb.release.catalogue import Catalogue
from unitdb.schema import SCHEMA_VERSION, TABLES, tables_of
from unitdb.verification.reading import verify


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def changed_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables like those of the tiny release, with one other accuracy."""
    accuracy = accuracies()
    accuracy.loc[0, "r"] = 0.125
    return stage(tmp_path_factory.mktemp("changed") / "tables", accuracy)


def staged_copy(tables: Path, root: Path) -> Path:
    staged = root / ".staging" / "tables"
    if staged.exists():
        shutil.rmtree(staged)
    shutil.copytree(tables, staged)
    return staged


def test_equal_input_gives_equal_bytes(tiny_release: Path, tmp_path: Path) -> None:
    again = publish_release(stage(tmp_path / ".staging" / "x"), tmp_path, info=INFO)
    assert contents(again) == contents(tiny_release)
    assert (tmp_path / "releases.json").read_bytes() == (
        tiny_release.parent.parent / "releases.json"
    ).read_bytes()


def test_datapackage(tiny_release: Path) -> None:
    package = json.loads((tiny_release / "datapackage.json").read_text())
    assert (package["name"], package["version"]) == ("tiny", "1.0.0")
    assert package["title"] == "A tiny release (simulated)"
    assert package["licenses"] == [{"name": "CC0-1.0"}]
    assert package["unitdb"] == {
        "schema": SCHEMA_VERSION,
        "simulated": True,
        "citation": INFO.citation,
        "recipe_sha256": INFO.recipe_sha256,
        "n_accuracies": 224,
        "authors": [],
        "doi": None,
        "funding": [],
    }
    resources = {resource["name"]: resource for resource in package["resources"]}
    assert list(resources) == tables_of(SCHEMA_VERSION)
    assert resources["layers"]["path"] == "layers.parquet"
    assert len(resources["accuracy"]["path"]) == 4
    for resource in resources.values():
        names = [field["name"] for field in resource["schema"]["fields"]]
        assert names == list(TABLES[resource["name"]].column_names)
        assert resource["format"] == "parquet"


def test_croissant(tiny_release: Path) -> None:
    croissant = json.loads((tiny_release / "croissant.json").read_text())
    assert croissant["@type"] == "sc:Dataset"
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert "SIMULATED" in croissant["description"]
    ids = {part["@id"] for part in croissant["distribution"]}
    for part in croissant["distribution"]:
        if part["@type"] == "cr:FileObject":
            assert part["sha256"] == sha256_file(tiny_release / part["contentUrl"])
        else:
            found = {
                p.relative_to(tiny_release).as_posix() for p in tiny_release.glob(part["includes"])
            }
            assert {one["@id"] for one in part["containedIn"]} == found <= ids
    fields = {f["@id"] for records in croissant["recordSet"] for f in records["field"]}
    assert [records["name"] for records in croissant["recordSet"]] == tables_of(SCHEMA_VERSION)
    for records in croissant["recordSet"]:
        assert {key["@id"] for key in records["key"]} <= fields
        for field in records["field"]:
            source = field["source"].get("fileObject") or field["source"]["fileSet"]
            assert source["@id"] in ids
            if "references" in field:
                assert field["references"]["field"]["@id"] in fields


@pytest.mark.robust(
    "publishing",
    given="a recipe with authors, ORCID, affiliation, DOI and funding; or without any",
    before="CITATION.cff and croissant.json named 'The unitdb developers' of every release",
    now="those of the recipe; without, all say that authors are not stated",
)
def test_nobody_is_made_an_author(tiny_release: Path) -> None:
    citation = yaml.safe_load((tiny_release / "CITATION.cff").read_text(encoding="utf-8"))
    assert [author["name"] for author in citation["authors"]] == ["Authors are not stated."]
    assert "creator" not in json.loads(
        (tiny_release / "croissant.json").read_text(encoding="utf-8")
    )


def test_texts_say_that_it_is_simulated(tiny_release: Path) -> None:
    bids = json.loads((tiny_release / "dataset_description.json").read_text())
    assert bids["DatasetType"] == "derivative"
    assert bids["GeneratedBy"][0]["Name"] == "unitdb"
    assert "(simulated)" in bids["Name"]
    citation = yaml.safe_load((tiny_release / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "dataset"
    assert citation["title"] == "A tiny release (simulated)"
    assert INFO.citation in citation["message"]
    assert "**SIMULATED" in (tiny_release / "README.md").read_text()
    assert "## 1.0.0\n\nFirst release." in (tiny_release / "CHANGELOG.md").read_text()
    assert (tiny_release / "recipe.yaml").read_text() == INFO.recipe_text


def test_checksums_are_those_of_sha256sum(tiny_release: Path) -> None:
    sums = read_sums(tiny_release)
    assert sorted(sums) == [name for name in files_below(tiny_release) if name != "SHA256SUMS"]
    assert all(sha256_file(tiny_release / name) == digest for name, digest in sums.items())


def test_publishing_the_same_again_changes_nothing(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    before = contents(root)
    staged = stage(root / ".staging" / "again")
    assert publish_release(staged, root, info=INFO) == tiny_copy
    assert contents(root) == before


@pytest.mark.robust(
    "publishing",
    given="an empty erratum, or an empty reason of a retraction (`''`, blanks, `-`)",
    before="listed, and shown to every reader",
    now="refused in one line",
)
@pytest.mark.parametrize("text", ["", " \n\t", "-", "\u200b", "..."])
def test_empty_errata_and_reasons_are_refused(tiny_copy: Path, text: str) -> None:
    root = tiny_copy.parent.parent
    before = (root / "releases.json").read_bytes()
    with pytest.raises(CatalogueError, match="the reason of a retraction must say something"):
        retract(root, "tiny", "1.0.0", reason=text)
    with pytest.raises(CatalogueError, match="an erratum must say something"):
        add_erratum(root, "tiny", "1.0.0", text)
    assert (root / "releases.json").read_bytes() == before


def test_releases_are_immutable(tiny_copy: Path, changed_tables: Path) -> None:
    root = tiny_copy.parent.parent
    before = contents(tiny_copy)
    with pytest.raises(ReleaseExistsError, match="raise `version` in the recipe"):
        publish_release(staged_copy(changed_tables, root), root, info=INFO)
    assert contents(tiny_copy) == before


def test_a_new_version_stands_beside_the_old(tiny_copy: Path, changed_tables: Path) -> None:
    root = tiny_copy.parent.parent
    info = replace(INFO, version="1.10.0")
    publish_release(staged_copy(changed_tables, root), root, info=info)
    versions = [(entry.version, entry.aliases) for entry in Catalogue(root).entries()]
    assert versions == [("1.10.0", ("latest", "stable")), ("1.0.0", ())]
    verify(tiny_copy)


def test_replace(tiny_copy: Path, changed_tables: Path) -> None:
    root = tiny_copy.parent.parent
    before = Catalogue(root).entries()[0].sha256
    publish_release(staged_copy(changed_tables, root), root, info=INFO, replace=True)
    verify(tiny_copy)
    (entry,) = Catalogue(root).entries()
    assert entry.sha256 == sha256_file(tiny_copy / "SHA256SUMS") != before
    assert [path.name for path in tiny_copy.parent.iterdir()] == ["1.0.0"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.tiny import INFO
from unitdb.publish import publish_release

root, destination, replace = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "replace"

def hook(event, arguments):
    if event == "os.rename" and os.fspath(arguments[1]).endswith(destination):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
publish_release(root / ".staging" / "tables", root, info=INFO, replace=replace)
"""


@pytest.mark.parametrize(
    ("before", "step"),
    [
        rarely("new", "SHA256SUMS"),
        rarely("new", "tiny/1.0.0"),
        ("new", "releases.json"),
        rarely("replace", "SHA256SUMS"),
        ("replace", ".1.0.0.replaced"),
        rarely("replace", "tiny/1.0.0"),
        rarely("replace", "releases.json"),
    ],
)
def test_killed_publisher_leaves_old_or_new(
    tiny_release: Path, tmp_path: Path, changed_tables: Path, before: str, step: str
) -> None:
    """Killed just before a rename; then published again."""
    root = tmp_path / "releases"
    if before == "replace":
        shutil.copytree(tiny_release.parent.parent, root)
    staged_copy(changed_tables, root)
    command = [sys.executable, "-c", KILLED, str(root), step, before]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    target = root / "tiny" / "1.0.0"
    assert target.exists() == (
        step == "releases.json" or (before == "replace" and step != "tiny/1.0.0")
    )
    if target.exists():
        verify(target)
        assert Catalogue(root).resolve("tiny") == target
    again = publish_release(staged_copy(changed_tables, root), root, info=INFO, replace=True)
    verify(again)
    assert open_release("tiny@1.0.0", releases=root).table("accuracy")["r"][0] == 0.125
    assert [path.name for path in again.parent.iterdir()] == ["1.0.0"]
    assert list((root / ".staging").iterdir()) == []
    assert Catalogue(root).entries()[0].sha256 == sha256_file(target / "SHA256SUMS")


def test_a_killed_replacement_is_undone_by_the_next_call(
    tiny_copy: Path, changed_tables: Path
) -> None:
    root = tiny_copy.parent.parent
    before = contents(tiny_copy)
    tiny_copy.rename(tiny_copy.with_name(".1.0.0.replaced"))
    with pytest.raises(ReleaseExistsError):
        publish_release(staged_copy(changed_tables, root), root, info=INFO)
    assert contents(tiny_copy) == before


@pytest.mark.parametrize("step", [rarely(".1.0.0.replaced"), "tiny/1.0.0", rarely("releases.json")])
def test_finish_completes_what_a_killed_replacement_left(
    tiny_release: Path, tmp_path: Path, changed_tables: Path, step: str
) -> None:
    root = tmp_path / "releases"
    shutil.copytree(tiny_release.parent.parent, root)
    staged_copy(changed_tables, root)
    command = [sys.executable, "-c", KILLED, str(root), step, "replace"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    finish(root, "tiny", "1.0.0")
    target = root / "tiny" / "1.0.0"
    verify(target)
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]
    assert not list(root.glob("*.tmp"))
    listed = json.loads((root / "releases.json").read_text())["releases"]["tiny"]["versions"]
    assert listed["1.0.0"]["sha256"] == sha256_file(target / "SHA256SUMS")


def test_finish_lists_a_release_that_a_killed_publisher_did_not(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    before = (root / "releases.json").read_bytes()
    (root / "releases.json").unlink()
    finish(root, "tiny", "1.0.0")
    assert (root / "releases.json").read_bytes() == before


def test_finish_changes_nothing_where_nothing_is_left(tiny_copy: Path, tmp_path: Path) -> None:
    root = tiny_copy.parent.parent
    before, stat = contents(root), (root / "releases.json").stat()
    finish(root, "tiny", "1.0.0")
    finish(root, "tiny", "9.9.9")
    assert contents(root) == before
    assert (root / "releases.json").stat().st_ino == stat.st_ino
    finish(tmp_path / "new", "tiny", "1.0.0")
    assert not (tmp_path / "new" / "releases.json").exists()


def test_files_are_on_the_disk_before_they_have_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the rename must not leave an empty file."""
    path, synced = tmp_path / "file", []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(path, "text")
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_what_is_no_part_of_a_release_is_refused(changed_tables: Path, tmp_path: Path) -> None:
    staged = staged_copy(changed_tables, tmp_path)
    (staged / "notes.txt").write_text("a note")
    with pytest.raises(SchemaError, match=r"no part of a release: notes\.txt"):
        publish_release(staged, tmp_path, info=INFO)
    assert not (tmp_path / "tiny").exists()


def test_leftover_of_a_killed_write_is_removed(changed_tables: Path, tmp_path: Path) -> None:
    staged = staged_copy(changed_tables, tmp_path)
    (staged / "accuracy" / ".part-0.parquet.17.tmp").write_bytes(b"half")
    release = publish_release(staged, tmp_path, info=INFO)
    assert not [name for name in files_below(release) if name.endswith(".tmp")]


def test_missing_table_is_refused(changed_tables: Path, tmp_path: Path) -> None:
    staged = staged_copy(changed_tables, tmp_path)
    (staged / "layers.parquet").unlink()
    with pytest.raises(SchemaError, match="no file of table layers"):
        publish_release(staged, tmp_path, info=INFO)


def test_unsound_tables_are_not_published(changed_tables: Path, tmp_path: Path) -> None:
    staged = staged_copy(changed_tables, tmp_path)
    good = stage(tmp_path / "good")
    (good / "intersubject.parquet").replace(staged / "intersubject.parquet")
    with pytest.raises(ValueError, match="intersubject"):
        publish_release(staged, tmp_path, info=INFO)
    assert not (tmp_path / "tiny").exists()
    assert Catalogue(tmp_path).entries() == []


@pytest.mark.parametrize(
    ("field", "value"), [("name", "../up"), ("name", ""), ("version", "1.0"), ("version", "01.0.0")]
)
def test_names_and_versions_are_checked(field: str, value: str) -> None:
    with pytest.raises(RecipeError, match=field):
        replace(INFO, **{field: value})


def test_retract(tiny_copy: Path, changed_tables: Path) -> None:
    root = tiny_copy.parent.parent
    info = replace(INFO, version="1.0.1")
    publish_release(staged_copy(changed_tables, root), root, info=info)
    retract(root, "tiny", "1.0.1", reason="Wrong units.", replacement="1.0.0")
    assert Catalogue(root).resolve("tiny") == tiny_copy
    with pytest.warns(UserWarning, match=r"retracted: Wrong units\.; use tiny@1\.0\.0"):
        Catalogue(root).resolve("tiny@1.0.1")
    # Publishing it again does not take the retraction back.
    publish_release(staged_copy(changed_tables, root), root, info=info)
    assert Catalogue(root).entries()[0].retracted == "Wrong units."
    with pytest.raises(UnknownReleaseError, match=r"did you mean 'tiny@1\.0\."):
        retract(root, "tiny", "1.0.7", reason="x")
