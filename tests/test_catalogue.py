from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from unitdb.errors import CatalogueError, UnknownReleaseError
from unitdb.release.catalogue import Catalogue, aliases, default_root, version_key


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
    return tmp_path


def write(root: Path, contents: object) -> None:
    (root / "releases.json").write_text(json.dumps(contents))


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


def test_release_that_was_replaced_is_described_anew(tiny_copy: Path) -> None:
    """Its publisher was killed before it could list it."""
    root = tiny_copy.parent.parent
    expected = Catalogue(root).contents()
    before = json.loads(json.dumps(expected))
    version = before["releases"]["tiny"]["versions"]["1.0.0"]
    version.update(sha256="0" * 64, title="Old", simulated=False, schema="0.1")
    version["retracted"] = {"reason": "Wrong.", "replacement": None}
    write(root, before)
    (entry,) = Catalogue(root).entries()
    listed = expected["releases"]["tiny"]["versions"]["1.0.0"]
    found = {name: getattr(entry, name) for name in ("title", "sha256", "simulated", "schema")}
    assert found == {name: listed[name] for name in found}
    assert entry.retracted == "Wrong."


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
