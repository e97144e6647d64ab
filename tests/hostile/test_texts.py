"""Catalogues, manifests and checksums that were made to harm, and any that are broken by chance."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import unitdb
from tests.hostile.liar import catalogue
from unitdb.errors import CatalogueError, CorruptReleaseError, UnitdbError
from unitdb.release.catalogue import Catalogue
from unitdb.release.entries import parse_catalogue
from unitdb.release.manifest import parse_manifest
from unitdb.release.names import check_paths

BAD_PATHS = [
    *("../x", "a/../../x", "/etc/passwd", "C:/x", "C:x", "a\\b", "\\\\host\\share", "a//b", "a/"),
    *("", ".", "./a", "a/./b", ".git/config", "a/.git/hooks/post-checkout", "~/x", "-rf", "a\x00b"),
    *("a\nb", "a\x1b[31mb", "a\u202eb", "con", "CON", "nul.parquet", "a/aux/b", "com1.txt", "a."),
    *(
        "a ",
        "a?b",
        "a*b",
        "a<b",
        'a"b',
        "a|b",
        "a%2e%2e/b",
        "a b",
        "é",
        "x" * 300,
        "a/" * 600 + "b",
    ),
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_names_that_no_file_of_a_release_has(path: str) -> None:
    with pytest.raises(ValueError, match=r"leaves the folder|on every system"):
        check_paths([path])


@pytest.mark.parametrize(
    "paths",
    [["a", "A"], ["a", "a"], ["a/b", "A"], ["a", "A/b"], ["a/b", "A/c"], ["x/a/b", "x/A/c"]],
)
def test_names_that_cannot_lie_in_one_folder(paths: list[str]) -> None:
    with pytest.raises(ValueError, match="one folder"):
        check_paths(paths)


def test_names_of_a_release(tiny_release: Path) -> None:
    check_paths(line[66:] for line in (tiny_release / "SHA256SUMS").read_text().splitlines())
    check_paths(["a/layer=conv1/part-0.parquet", "a/layer=conv2/part-0.parquet", "_x", "a+b"])


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values inside a JSON value."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.deepcopy(value)
    inside = changed
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = new
    return changed


ODD = [
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    "",
    "x",
    "../x",
    "\x1b[31m",
    "x'; --",
    [],
    [[]],
    {},
    {"a": 1},
]


def use(folder: Path) -> None:
    """All that reads a release's texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Catalogue(folder.parents[1]).entries()
        release = unitdb.open(folder)
        str(release.describe())
        release.sql("SELECT count(*) FROM datasets")


def said(act: Any) -> str:
    """One line of an error of ours, or nothing."""
    line = ""
    try:
        act()
    except UnitdbError as error:
        line = str(error)
    assert "Traceback" not in line
    assert len(line) < 2000
    return line


@pytest.mark.robust(
    "hostile",
    given="each value of releases.json exchanged for another type, a path, a quote, a number of "
    "400 digits",
    before="tracebacks or silence (16 of 807 changes); `sha256` of any text became part of a path",
    now="one line that names the file, or the same as before where nothing rests on the value",
)
def test_every_value_of_a_catalogue(tiny_release: Path) -> None:
    whole = catalogue(tiny_release.parents[1])
    silent = set()
    for path in places(whole):
        for odd in ODD:
            text = json.dumps(replaced(whole, path, odd))
            if not said(lambda text=text: parse_catalogue(text, where="releases.json")):
                silent.add(".".join(map(str, path)))
    of_tiny = "releases.tiny.versions.1.0.0"
    # Titles are any text, and aliases are found anew; of the others what is left is valid.
    assert silent == {
        *("releases", "releases.tiny.versions", f"{of_tiny}.title", f"{of_tiny}.simulated"),
        *(f"{of_tiny}.path", f"{of_tiny}.bytes", f"{of_tiny}.retracted"),
        *("releases.tiny.aliases", "releases.tiny.aliases.latest", "releases.tiny.aliases.stable"),
    }


@pytest.mark.robust(
    "hostile",
    given="each value of datapackage.json exchanged in the same way; a resource named "
    "`x AS SELECT 1; --`",
    before="tracebacks; the name of a resource was run as SQL, and stood in a header of a download",
    now="one line that names datapackage.json and the value",
)
def test_every_value_of_a_manifest(tiny_release: Path) -> None:
    whole = json.loads((tiny_release / "datapackage.json").read_text(encoding="utf-8"))
    for resource in whole["resources"]:
        del resource["schema"]
    read = {"unitdb", "name", "version", "licenses", "resources"}
    for path in places(whole):
        for odd in ODD:
            text = json.dumps(replaced(whole, path, odd))
            line = said(lambda text=text: parse_manifest(lambda: text, "here"))
            assert not line or "datapackage.json" in line
            if path[:1] and path[0] in read and odd in (None, [[]], {"a": 1}):
                ignored = path[-1] in {"description", "format", "mediatype", "profile", "funding"}
                without = odd is None and path == ("unitdb", "doi")
                assert line or ignored or without or path[1:2] == ("funding",), (path, odd)
    for name in ("x AS SELECT 1; --", "datasets", "units'"):
        text = json.dumps(replaced(whole, ("resources", 1, "name"), name))
        with pytest.raises(CorruptReleaseError, match="is no table, or stands twice"):
            parse_manifest(lambda text=text: text, "here")


@pytest.mark.parametrize("text", ["[" * 200_000, "9" * 5000, "\ufeff{}", '{"a": 1', "NaN"])
def test_json_that_is_none(text: str) -> None:
    with pytest.raises(CatalogueError):
        parse_catalogue(text, where="releases.json")
    with pytest.raises(CorruptReleaseError):
        parse_manifest(lambda: text, "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def fuzz(folder: Path, data: st.DataObject) -> None:
    """Change a value or some bytes of a text of a release, and read it."""
    file = data.draw(st.sampled_from(["../../releases.json", "datapackage.json", "SHA256SUMS"]))
    path = (folder / file).resolve()
    whole = path.read_bytes()
    try:
        if path.suffix == ".json" and data.draw(st.booleans()):
            value = json.loads(whole)
            place = data.draw(st.sampled_from(list(places(value))))
            path.write_text(json.dumps(replaced(value, place, data.draw(JSON))), encoding="utf-8")
        else:
            at = data.draw(st.integers(0, len(whole)))
            n = data.draw(st.integers(0, 20))
            path.write_bytes(whole[:at] + data.draw(st.binary(max_size=20)) + whole[at + n :])
        said(lambda: use(folder))
    finally:
        path.write_bytes(whole)


ONE_COPY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(ONE_COPY, max_examples=10)
@given(data=st.data())
def test_texts_broken_by_chance(tiny_copy: Path, data: st.DataObject) -> None:
    fuzz(tiny_copy, data)


@pytest.mark.slow
@settings(ONE_COPY, max_examples=150)
@given(data=st.data())
def test_many_texts_broken_by_chance(tiny_copy: Path, data: st.DataObject) -> None:
    fuzz(tiny_copy, data)


@pytest.mark.slow
@settings(ONE_COPY, max_examples=100)
@given(data=st.data())
def test_parquet_broken_by_chance(tiny_copy: Path, data: st.DataObject) -> None:
    path = tiny_copy / data.draw(st.sampled_from(["datasets.parquet", "layer_summary.parquet"]))
    whole = path.read_bytes()
    footer = data.draw(st.booleans())  # where all of a file's structure is
    at = data.draw(st.integers(len(whole) - 200 if footer else 0, len(whole) - 1))
    path.write_bytes(whole[:at] + data.draw(st.binary(max_size=8)) + whole[at + 1 :])
    try:
        said(lambda: use(tiny_copy))
    finally:
        path.write_bytes(whole)


def relist(root: Path, release: Path) -> None:
    """Make the catalogue name the checksums as they are now."""
    listed = catalogue(root)
    entry = listed["releases"]["tiny"]["versions"]["1.0.0"]
    entry["sha256"] = hashlib.sha256((release / "SHA256SUMS").read_bytes()).hexdigest()
    (root / "releases.json").write_text(json.dumps(listed), encoding="utf-8")


@pytest.mark.robust(
    "hostile",
    given="file names in SHA256SUMS, datapackage.json or releases.json such as `.git/config`, "
    "`C:x`, `nul`, `a\\0b`, or two that differ in case alone",
    before="written as they were, but for `..`, `/`, `\\` and `:`",
    now="refused before anything is fetched or opened",
)
@pytest.mark.skipif(os.name == "nt", reason="no file can have such names")
@pytest.mark.parametrize(
    "name", [".git/config", "README.md.part", "readme.md", "nul", "C;x", "a?b"]
)
def test_nothing_is_written_under_a_hostile_name(
    tiny_copy: Path, tmp_path: Path, name: str
) -> None:
    (tiny_copy / name).parent.mkdir(exist_ok=True)
    (tiny_copy / name).write_bytes(b"x")
    with (tiny_copy / "SHA256SUMS").open("a", encoding="utf-8") as file:
        file.write(f"{hashlib.sha256(b'x').hexdigest()}  {name}\n")
    relist(tiny_copy.parents[1], tiny_copy)
    with pytest.raises(CorruptReleaseError, match="SHA256SUMS"):
        unitdb.fetch("tiny", source=str(tiny_copy.parents[1]), releases=tmp_path / "mine")
    found = [path.name for path in (tmp_path / "mine").rglob("*") if path.is_file()]
    assert set(found) <= {"SHA256SUMS"} | {name for name in found if name.endswith(".lock")}


@pytest.mark.robust(
    "bounds",
    given="a catalogue whose release is smaller than the files that its server sends",
    before="written to the end, however long",
    now="stops at the size that the catalogue states, and keeps nothing of the file",
)
def test_no_more_is_fetched_than_the_catalogue_states(tiny_copy: Path, tmp_path: Path) -> None:
    from tests.hostile.liar import lying

    root = tiny_copy.parents[1]
    listed = catalogue(root)
    listed["releases"]["tiny"]["versions"]["1.0.0"]["bytes"] = 20_000
    (root / "releases.json").write_text(json.dumps(listed), encoding="utf-8")
    with (
        lying(root, "null", "no such file") as server,
        pytest.raises(CorruptReleaseError, match="bytes come"),
    ):
        unitdb.fetch("tiny", source=server.address, releases=tmp_path / "mine")
    written = sum(p.stat().st_size for p in (tmp_path / "mine").rglob("*") if p.is_file())
    assert written <= 20_000


def test_a_release_larger_than_the_disk(tiny_copy: Path, tmp_path: Path) -> None:
    root = tiny_copy.parents[1]
    listed = catalogue(root)
    listed["releases"]["tiny"]["versions"]["1.0.0"]["bytes"] = 10**18
    (root / "releases.json").write_text(json.dumps(listed), encoding="utf-8")
    with pytest.raises(UnitdbError, match="MB left"):
        unitdb.fetch("tiny", source=str(root), releases=tmp_path / "mine")


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
@pytest.mark.parametrize("name", ["datapackage.json", "../../releases.json", "SHA256SUMS"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_texts_that_never_end(tiny_copy: Path, tmp_path: Path, name: str, kind: str) -> None:
    path = (tiny_copy / name).resolve()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(UnitdbError):
        unitdb.fetch("tiny", source=str(tiny_copy.parents[1]), releases=tmp_path / "mine")
    if name == "SHA256SUMS":
        assert Catalogue(tiny_copy.parents[1]).entries()
    else:
        with pytest.raises(UnitdbError):
            use(tiny_copy)
