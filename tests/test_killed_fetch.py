"""What a fetch leaves that is killed at any of its renames, and what comes of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import contents
from tests.tiny import remake_sums
from unitdb.cli import main
from unitdb.errors import CorruptReleaseError
from unitdb.publish import add_erratum, finish, retract

SIGNATURE = "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n"
ERRATA = ["One is two."]


def entry(root: Path) -> dict[str, Any]:
    """What ``releases.json`` says of the release."""
    listed = json.loads((root / "releases.json").read_text())["releases"]
    return dict(listed.get("tiny", {"versions": {}})["versions"].get("1.0.0", {}))


def add(root: Path, **more: Any) -> None:
    listed = json.loads((root / "releases.json").read_text())
    listed["releases"]["tiny"]["versions"]["1.0.0"] |= more
    (root / "releases.json").write_text(json.dumps(listed, indent=2) + "\n")


@contextmanager
def killed_at(rename_to: str) -> Iterator[None]:
    """End the block just before the first rename to there, as a kill would."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace"):
            real = getattr(os, name)

            def rename(old: Any, new: Any, real: Any = real, **more: Any) -> None:
                if os.fspath(new).endswith(rename_to):
                    raise KeyboardInterrupt
                real(old, new, **more)

            patch.setattr(os, name, rename)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def source(tiny_release: Path, tmp_path: Path) -> Path:
    """A folder of releases whose release is retracted and signed."""
    root = tmp_path / "source"
    shutil.copytree(tiny_release.parents[1], root)
    retract(root, "tiny", "1.0.0", reason="Wrong.")
    add(root, signature=SIGNATURE.format("theirs"))
    return root


@pytest.fixture
def mine(tiny_release: Path, tmp_path: Path) -> Path:
    """A folder that has another build of the same version, with an erratum, signed."""
    root = tmp_path / "mine"
    shutil.copytree(tiny_release.parents[1], root)
    (root / "tiny" / "1.0.0" / "README.md").write_text("Built again.\n")
    remake_sums(root / "tiny" / "1.0.0")
    add(root, errata=ERRATA, signature=SIGNATURE.format("mine"))

    return root


@pytest.mark.robust(
    "publishing",
    given="a version that releases.json lists and whose folder is not there: a `fetch` of a "
    "retracted release was killed, or the folder was removed",
    before="open: 'is not a release: it has no datapackage.json'; `unitdb releases` said nothing",
    now="both name the fetch that gets it, in one line",
)
@pytest.mark.parametrize("removed", [True, False])
def test_a_listed_release_without_its_folder_names_the_fetch(
    source: Path, tmp_path: Path, removed: bool
) -> None:
    new = tmp_path / "new"
    if removed:
        unitdb.fetch("tiny@1.0.0", source=str(source), releases=new)
        shutil.rmtree(new / "tiny")
    else:
        with killed_at("tiny/1.0.0"):
            unitdb.fetch("tiny@1.0.0", source=str(source), releases=new)
    get = "unitdb fetch tiny@1.0.0 --from ADDRESS"
    for reference in ("tiny", "tiny@1.0.0"):
        with pytest.raises(CorruptReleaseError, match=f"^tiny@1.0.0 is listed in .*: {get} gets"):
            unitdb.open(reference, releases=new)
    said = CliRunner().invoke(main, ["--releases", str(new), "describe", "tiny"])
    assert (said.exit_code, said.output.count("\n")) == (2, 1)
    listed = CliRunner().invoke(main, ["--releases", str(new), "releases"])
    assert f"retracted: Wrong.; not here: {get}" in listed.stdout
    found = unitdb.fetch("tiny@1.0.0", source=str(source), releases=new)
    assert contents(found) == contents(source / "tiny" / "1.0.0")
    assert entry(new) == entry(source)


ASIDE = ".1.0.0.replaced"
STEPS = [f"{ASIDE}.json", ASIDE, "releases.json", "tiny/1.0.0"]


@pytest.mark.robust(
    "publishing",
    given="`fetch --replace` of a retracted release over another build, killed before its rename",
    before="the old build stood on, listed as retracted by the other's notes, without its "
    "signature",
    now="what releases.json says of the old build is put back with its folder, byte for byte",
)
@pytest.mark.parametrize(
    ("gone", "step"),
    [(gone, step) for gone in (False, True) for step in STEPS if not (gone and step == ASIDE)],
)
def test_a_build_that_was_not_replaced_is_listed_as_before(
    source: Path, mine: Path, gone: bool, step: str
) -> None:
    target, standing = mine / "tiny" / "1.0.0", {}
    if gone:
        shutil.rmtree(target)
    else:
        standing = contents(target)
    before = entry(mine)
    with killed_at(step):
        unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    assert not target.exists() or entry(mine) == before
    finish(mine, "tiny", "1.0.0")
    assert entry(mine) == before
    assert (contents(target) if target.exists() else {}) == standing
    left = {path.name for path in target.parent.iterdir()} if target.parent.exists() else set()
    assert left == ({"1.0.0"} if standing else set())


@pytest.mark.robust(
    "publishing",
    given="an erratum or a retraction after `fetch --replace` was killed",
    before="gone once the next command put back what stood there",
    now="what was killed is finished first, then the erratum listed",
)
@pytest.mark.filterwarnings("ignore:.*is retracted")
@pytest.mark.parametrize("step", STEPS)
def test_what_is_said_after_a_killed_replacement_stays(source: Path, mine: Path, step: str) -> None:
    add(mine, signature=None)  # one that is signed takes a key
    with killed_at(step):
        unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    add_erratum(mine, "tiny", "1.0.0", "Two is three.")
    retract(mine, "tiny", "1.0.0", reason="Wrong again.")
    finish(mine, "tiny", "1.0.0")
    assert entry(mine)["errata"][-1] == "Two is three."
    assert entry(mine)["retracted"]["reason"] == "Wrong again."


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_the_next_fetch_replaces_it(source: Path, mine: Path, step: str, after: bool) -> None:
    with killed_at(step):
        unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    if after:
        finish(mine, "tiny", "1.0.0")
    with pytest.warns(UserWarning, match=r"the erratum 'One is two\.' of .* stays"):
        found = unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    assert contents(found) == contents(source / "tiny" / "1.0.0")
    theirs = {key: value for key, value in entry(source).items() if key != "signature"}
    assert entry(mine) == theirs | {"errata": ERRATA}  # which nobody has signed
    assert [path.name for path in found.parent.iterdir()] == ["1.0.0"]


def test_a_replacement_keeps_the_signature_that_covers_it(source: Path, mine: Path) -> None:
    add(mine, errata=[])
    with killed_at("tiny/1.0.0"):
        unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    unitdb.fetch("tiny@1.0.0", source=str(source), releases=mine, replace=True)
    assert entry(mine) == entry(source)
