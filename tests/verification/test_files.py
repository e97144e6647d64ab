"""Files, checksums, metadata and folders of a release that are not as they should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tiny import make_older, remake_sums
from tests.verification.editing import CONV, FC, edit_manifest, resource
from unitdb.errors import CorruptReleaseError, SchemaVersionError
from unitdb.files import SUMS, files_below
from unitdb.verification.reading import verify


def test_sound_release(tiny_release: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(tiny_release, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.rows["accuracy"] == 224
    assert report.rows["intersubject"] == 12
    assert report.n_files == len(files_below(tiny_release)) - 1
    assert "tiny 1.0.0 is sound" in str(report)


@pytest.mark.parametrize("name", ["layers.parquet", "README.md", f"accuracy/{CONV}"])
def test_flipped_byte(tiny_copy: Path, name: str) -> None:
    path = tiny_copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptReleaseError, match=f"changed: {name}"):
        verify(tiny_copy)


def test_missing_and_extra_files(tiny_copy: Path) -> None:
    (tiny_copy / "recipe.yaml").rename(tiny_copy / "recipe.yml")
    with pytest.raises(CorruptReleaseError, match=r"missing: recipe\.yaml"):
        verify(tiny_copy)
    shutil.copy(tiny_copy / "recipe.yml", tiny_copy / "recipe.yaml")
    with pytest.raises(CorruptReleaseError, match=r"not in SHA256SUMS: recipe\.yml"):
        verify(tiny_copy)


def test_files_that_have_checksums_but_do_not_belong(tiny_copy: Path) -> None:
    (tiny_copy / "notes.txt").write_text("a note")
    (tiny_copy / "recipe.yaml").unlink()
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=r"differ from .*: notes\.txt, recipe\.yaml"):
        verify(tiny_copy)


def test_empty_folders_and_links_to_folders_do_not_belong(tiny_copy: Path) -> None:
    (tiny_copy / "accuracy" / "dataset=sim-c").mkdir()
    with pytest.raises(CorruptReleaseError, match="not a file: accuracy/dataset=sim-c"):
        verify(tiny_copy)
    (tiny_copy / "accuracy" / "dataset=sim-c").rmdir()
    (tiny_copy / "link").symlink_to(tiny_copy / "accuracy", target_is_directory=True)
    with pytest.raises(CorruptReleaseError, match="not a file: link"):
        verify(tiny_copy)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("README.md", "", "is empty"),
        ("CITATION.cff", "\n", "is empty"),
        ("recipe.yaml", "", "is empty"),
        ("croissant.json", "", "cannot be read"),
        ("croissant.json", "{}", "is empty"),
        ("croissant.json", "[1]", "is empty or no JSON object"),
        ("dataset_description.json", '{"Name": ', "cannot be read"),
    ],
)
def test_metadata_that_say_nothing(tiny_copy: Path, name: str, text: str, message: str) -> None:
    (tiny_copy / name).write_text(text)
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=f"{name}: {message}"):
        verify(tiny_copy)


@pytest.mark.parametrize("other", ["tiny/1.0.1", "small/1.0.0"])
def test_folder_of_another_name(tiny_copy: Path, other: str) -> None:
    moved = tiny_copy.parent.parent / other
    moved.parent.mkdir(exist_ok=True)
    tiny_copy.rename(moved)
    with pytest.raises(CorruptReleaseError, match=r"the folder must be tiny/1\.0\.0"):
        verify(moved)
    assert verify(moved, staged=True).version == "1.0.0"


def test_sums_that_are_none(tiny_copy: Path) -> None:
    (tiny_copy / SUMS).write_text("nonsense\n")
    with pytest.raises(CorruptReleaseError, match="not a line of checksum and file"):
        verify(tiny_copy)
    (tiny_copy / SUMS).unlink()
    with pytest.raises(CorruptReleaseError, match="cannot be read"):
        verify(tiny_copy)


def test_truncated_parquet(tiny_copy: Path) -> None:
    path = tiny_copy / "accuracy" / FC
    path.write_bytes(path.read_bytes()[:-20])
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=r"layer=fc/part-0\.parquet: not a readable"):
        verify(tiny_copy)


def test_newer_schema(tiny_copy: Path) -> None:
    edit_manifest(tiny_copy, lambda package: package["unitdb"].update(schema="9.0"))
    with pytest.raises(SchemaVersionError, match="upgrade"):
        verify(tiny_copy)


def as_schema_2_1_had_it(package: dict) -> None:
    """Conditions were a list of words, and test samples counted in images."""
    for table in package["resources"]:
        for column in table["schema"]["fields"]:
            if column["name"] == "condition":
                column["constraints"]["pattern"] = "perception|imagery|blur-[A-Za-z0-9.]+"
            if column["name"] == "n_test":
                column["unit"] = "images"


@pytest.mark.robust(
    "verification",
    given="a release that unitdb built by schema 2.1 or 2.2, when conditions were a list of words",
    before="verify called it corrupt: its datapackage.json was held against today's columns",
    now="it is sound; of older schemas names, types and keys are compared, and the values checked",
)
@pytest.mark.parametrize("version", ["2.1", "2.2", "2.5"])
def test_older_releases_are_sound_as_their_own_code_described_them(
    tiny_copy: Path, version: str
) -> None:
    make_older(tiny_copy, version)
    edit_manifest(tiny_copy, as_schema_2_1_had_it)
    report = verify(tiny_copy)
    assert report.rows["accuracy"] == 224
    for odd in ("constraints", None, {"fields": None}, {"fields": ["subject"]}):
        edit_manifest(tiny_copy, lambda p, odd=odd: misdescribe(p["resources"][0], odd))
        with pytest.raises(CorruptReleaseError, match="not the schema of the table"):
            verify(tiny_copy)


def misdescribe(table: dict, odd: object) -> None:
    """A column too few, one that says nothing of what it allows, or a schema of another shape."""
    if odd is None:
        table["schema"]["fields"].pop()
    elif odd == "constraints":
        table["schema"]["fields"][0]["constraints"] = None
    else:
        table["schema"] = odd


def test_a_release_of_today_is_described_as_today(tiny_copy: Path) -> None:
    edit_manifest(tiny_copy, as_schema_2_1_had_it)
    with pytest.raises(CorruptReleaseError, match="not the schema of the table"):
        verify(tiny_copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["unitdb"].update(n_accuracies=1), "states 1 accuracies; there are 224"),
        (lambda p: p["unitdb"].update(simulated=False), "states simulated = False"),
        (lambda p: p["resources"].pop(), "lists the tables"),
        (lambda p: resource(p, "accuracy")["path"].pop(), "files differ"),
        (lambda p: p["resources"][0]["schema"]["fields"].pop(), "not the schema of the table"),
    ],
)
def test_manifest_that_disagrees(tiny_copy: Path, change, message: str) -> None:
    edit_manifest(tiny_copy, change)
    with pytest.raises(CorruptReleaseError, match=message):
        verify(tiny_copy)


def test_rows_in_the_wrong_folder(tiny_copy: Path) -> None:
    for table in ("accuracy", "unit_summary"):
        one, other = tiny_copy / table / CONV, tiny_copy / table / FC
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match="another partition than the folder says"):
        verify(tiny_copy)


def test_partition_without_summary(tiny_copy: Path) -> None:
    shutil.rmtree((tiny_copy / "unit_summary" / FC).parent)
    edit_manifest(
        tiny_copy,
        lambda p: resource(p, "unit_summary").update(
            path=[path for path in resource(p, "unit_summary")["path"] if not path.endswith(FC)]
        ),
    )
    with pytest.raises(CorruptReleaseError, match="unit_summary has no partition sim-a/perception"):
        verify(tiny_copy)
