from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from tests.tiny import INFO
from unitdb.errors import (
    CatalogueError,
    CorruptReleaseError,
    ReleaseExistsError,
    UnknownReleaseError,
)
from unitdb.publish import add_erratum, finish, publish_release, retract
from unitdb.release import open_release
from unitdb.release.catalogue import Catalogue, default_root
from unitdb.release.entries import aliases, named_version, version_key
from unitdb.release.manifest import METADATA
from unitdb.verification.reading import verify


def listed(version: str, *, reason: str | None = None, name: str = "sample") -> dict:
    return {
        "path": f"{name}/{version}",
        "title": "Sample",
        "simulated": False,
        "schema": "1.0",
        "sha256": "0" * 64,
        "retracted": {"reason": reason, "replacement": None} if reason else None,
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    versions = {v: listed(v) for v in ("1.9.0", "1.10.0", "0.1.0")}
    versions["2.0.0"] = listed("2.0.0", reason="Wrong.")
    write(tmp_path, {"catalogue": 1, "releases": {"sample": {"versions": versions}}})
    make_folders(tmp_path, versions)
    return tmp_path


def write(root: Path, contents: object) -> None:
    (root / "releases.json").write_text(json.dumps(contents))


def make_folders(root: Path, versions: dict[str, dict]) -> None:
    for entry in versions.values():
        (root / entry["path"]).mkdir(parents=True)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("sample", "1.10.0"),
        ("sample@latest", "1.10.0"),
        ("sample@stable", "1.10.0"),
        ("sample@1.9.0", "1.9.0"),
    ],
)
def test_resolve(root: Path, reference: str, version: str) -> None:
    assert Catalogue(root).resolve(reference) == root / "sample" / version


def test_retracted_version_opens_with_a_warning(root: Path) -> None:
    with pytest.warns(UserWarning, match=r"sample@2\.0\.0 is retracted: Wrong\."):
        assert Catalogue(root).resolve("sample@2.0.0") == root / "sample" / "2.0.0"


def test_where_all_are_retracted_the_newest_opens_with_a_warning(tmp_path: Path) -> None:
    versions = {v: listed(v, reason=v) for v in ("1.0.0", "1.1.0")}
    write(tmp_path, {"catalogue": 1, "releases": {"sample": {"versions": versions}}})
    make_folders(tmp_path, versions)
    with pytest.warns(UserWarning, match=r"retracted: 1\.1\.0"):
        Catalogue(tmp_path).resolve("sample")
    with pytest.raises(UnknownReleaseError, match="sample@latest"):
        Catalogue(tmp_path).resolve("sample@latest")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("smple", "did you mean 'sample'"),
        ("sample@1.11.0", "did you mean 'sample@1"),
        ("sample@lates", "did you mean 'sample@latest'"),
        ("zzz", "there are: sample"),
    ],
)
def test_unknown_release_names_the_nearest(root: Path, reference: str, message: str) -> None:
    with pytest.raises(UnknownReleaseError, match=message):
        Catalogue(root).resolve(reference)


def test_empty_folder_has_no_releases(tmp_path: Path) -> None:
    assert Catalogue(tmp_path).entries() == []
    with pytest.raises(UnknownReleaseError, match="there is none"):
        Catalogue(tmp_path / "nowhere").resolve("sample")


def test_entries_are_newest_first(root: Path) -> None:
    entries = Catalogue(root).entries()
    assert [entry.version for entry in entries] == ["2.0.0", "1.10.0", "1.9.0", "0.1.0"]
    assert entries[0].retracted == "Wrong."
    assert entries[1].aliases == ("latest", "stable")


def test_release_that_is_not_listed_is_found(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    expected = Catalogue(root).entries()
    (root / "releases.json").unlink()
    assert Catalogue(root).entries() == expected
    assert Catalogue(root).resolve("tiny") == tiny_copy


def test_bad_folder_is_passed_over_with_a_warning(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    expected = Catalogue(root).entries()
    bad = root / "bad" / "1.0.0"
    bad.mkdir(parents=True)
    (bad / "SHA256SUMS").touch()
    with pytest.warns(UserWarning, match=r"passed over in the catalogue: .*bad.1\.0\.0"):
        assert Catalogue(root).entries() == expected


@pytest.mark.parametrize("copy", ["other/1.0.0", "tiny/2.0.0"])
def test_folder_of_another_name_than_its_manifest_is_not_listed(tiny_copy: Path, copy: str) -> None:
    root = tiny_copy.parent.parent
    expected = Catalogue(root).entries()
    shutil.copytree(tiny_copy, root / copy)
    with pytest.warns(UserWarning, match=r"holds tiny 1\.0\.0"):
        assert Catalogue(root).entries() == expected


def other_build(root: Path) -> tuple[dict, dict]:
    """The catalogue, and what it is where it lists another build of tiny 1.0.0."""
    expected = Catalogue(root).contents()
    before = json.loads(json.dumps(expected))
    version = before["releases"]["tiny"]["versions"]["1.0.0"]
    version.update(sha256="0" * 64, title="Old")
    version["retracted"] = {"reason": "Wrong.", "replacement": None}
    write(root, before)
    return expected, before


def test_release_that_was_replaced_is_described_anew(tiny_copy: Path) -> None:
    """Its publisher was killed before it could list it: what it replaced is still there."""
    root = tiny_copy.parent.parent
    expected, _ = other_build(root)
    tiny_copy.with_name(".1.0.0.replaced").mkdir()
    (entry,) = Catalogue(root).entries()
    listed = expected["releases"]["tiny"]["versions"]["1.0.0"]
    found = {name: getattr(entry, name) for name in ("title", "sha256", "simulated", "schema")}
    assert found == {name: listed[name] for name in found}
    assert entry.retracted == "Wrong."


@pytest.mark.robust(
    "verification",
    given="another build in the folder of a version that releases.json lists",
    before="verify called it sound; the next errata, retract or build wrote its hash over the "
    "listed one",
    now="verify names both hashes and ends with an error; whatever reads the catalogue warns, and "
    "the listed hash stays",
)
def test_the_listed_hash_of_another_build_stays(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    _, before = other_build(root)
    with pytest.warns(UserWarning, match=r"another build of tiny 1\.0\.0 than releases\.json"):
        found = Catalogue(root).contents()["releases"]["tiny"]["versions"]
    assert found == before["releases"]["tiny"]["versions"]
    with pytest.warns(UserWarning, match="another build"):
        add_erratum(root, "tiny", "1.0.0", "Two rows are exchanged.")
    with pytest.warns(UserWarning, match="another build"):
        retract(root, "tiny", "1.0.0", reason="Wrong again.")
    with pytest.warns(UserWarning, match="another build"):
        finish(root, "tiny", "1.0.0")
    listed = json.loads((root / "releases.json").read_text())["releases"]["tiny"]["versions"]
    assert listed["1.0.0"]["sha256"] == "0" * 64
    with pytest.raises(CorruptReleaseError, match=r"but releases\.json lists 0000"):
        verify(tiny_copy)


@pytest.mark.robust(
    "verification",
    given="a build of a version that releases.json lists with another hash, whose folder is gone",
    before="it was published under the same version, its hash written over the listed one",
    now="it is refused; `--replace` takes it",
)
def test_a_listed_version_is_not_built_as_something_else(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    other_build(root)
    staged = root / ".staging"
    tiny_copy.rename(staged)
    for name in (*METADATA, "SHA256SUMS"):
        (staged / name).unlink()
    kept = shutil.copytree(staged, root / ".kept")
    with pytest.raises(ReleaseExistsError, match=r"releases\.json lists tiny 1\.0\.0 with other"):
        publish_release(staged, root, info=INFO)
    publish_release(kept, root, info=INFO, replace=True)
    verify(tiny_copy)
    assert [path.name for path in tiny_copy.parent.iterdir()] == ["1.0.0"]


@pytest.mark.robust(
    "verification",
    given="a store whose releases.json was deleted",
    before="retracted versions opened without a word, and a new list was written",
    now="open, list and verify warn that retractions are not known, and name the git command that "
    "brings the list back",
)
def test_a_lost_catalogue_of_a_store_is_missed(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    (root / ".datalad").mkdir()
    (root / ".datalad" / "config").write_text(
        '[datalad "dataset"]\n\tid = 1\n[unitdb]\n\tstore = 1\n'
    )
    open_release(tiny_copy)
    (root / "releases.json").unlink()
    for opened in (tiny_copy, "tiny"):
        with pytest.warns(UserWarning, match=r"checkout HEAD -- releases\.json"):
            open_release(opened, releases=root)
    with pytest.warns(UserWarning, match="retractions and errata are not known"):
        assert "there is no releases.json above it" in str(verify(tiny_copy))


def test_verify_says_what_a_missing_list_leaves_unknown(tiny_copy: Path) -> None:
    root = tiny_copy.parent.parent
    (root / "releases.json").write_text('{"catalogue": 1, "releases": {}}')
    assert "releases.json does not list it" in str(verify(tiny_copy))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"catalogue": 2, "releases": {}}',
        '{"catalogue": 1, "releases": {"x": {}}}',
        '{"catalogue": 1, "releases": {"x": {"versions": {"1.0.0": {}}}}}',
        json.dumps({"catalogue": 1, "releases": {"x": {"versions": {"one": listed("1.0.0")}}}}),
        json.dumps(
            {
                "catalogue": 1,
                "releases": {
                    "x": {"versions": {"1.0.0": {**listed("1.0.0"), "path": "../../etc"}}}
                },
            }
        ),
    ],
)
def test_damaged_catalogue_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "releases.json").write_text(text)
    with pytest.raises(CatalogueError, match=r"releases\.json"):
        Catalogue(tmp_path).entries()


def test_default_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNITDB_RELEASES", "/data/releases")
    assert default_root() == Path("/data/releases") == Catalogue().root
    monkeypatch.delenv("UNITDB_RELEASES")
    assert default_root() == Path("releases")


VERSIONS = st.tuples(*[st.integers(0, 30)] * 3)


@given(st.dictionaries(VERSIONS, st.booleans(), min_size=1))
def test_aliases_mean_the_newest_usable_version(versions: dict[tuple[int, ...], bool]) -> None:
    text = {".".join(map(str, numbers)): gone for numbers, gone in versions.items()}
    found = aliases({v: listed(v, reason="x" if gone else None) for v, gone in text.items()})
    usable = [numbers for numbers, gone in versions.items() if not gone]
    assert {alias: version_key(v) for alias, v in found.items()} == {
        **({"latest": max(usable)} if usable else {}),
        **({"stable": max(usable)} if any(n[0] for n in usable) else {}),
    }


def test_a_name_means_the_same_wherever_it_is_looked_up(tmp_path: Path) -> None:
    """In a folder, and at the source of a fetch."""
    versions = {v: listed(v, reason=v) for v in ("1.0.0", "1.10.0", "1.9.0")}
    releases = {"sample": {"versions": versions}}
    assert named_version(releases, "sample", where="x") == ("sample", "1.10.0")
    assert named_version(releases, "sample@1.9.0", where="x") == ("sample", "1.9.0")
    versions["1.9.0"]["retracted"] = None
    for reference in ("sample", "sample@", "sample@latest", "sample@stable"):
        assert named_version(releases, reference, where="x") == ("sample", "1.9.0")
