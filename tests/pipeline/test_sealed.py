"""Files of an unfinished build that a disk has damaged: computed anew, or one clear error."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.small import contents, edit, run
from tests.rarely import rarely
from unitdb import sealed
from unitdb.errors import DamagedFileError

MORE = """\
significance: {controls: 10}
reliability: {divisions: 9}
encoding: {units: 20}
models: [{name: mynet}]"""

KINDS = {
    "accuracies": r"/\d+\.npy",
    "predictions for patterns": r"-predicted\.npy",
    "repeats": r"-repeats\.npy",
    "encoding": r"/encoding/[^/]+/\d+-\d+\.npy",
    "units of encoding": r"/encoding/[^/]+/units\.npy",
    "responses": r"/responses-\d+\.npz",
    "truth": r"/truth/[^/]+\.npy",
    "patterns": r"/patterns\.json",
    "predictions of kept units": r"/kept\.npy",
    "rows of kept units": r"/kept/.*\.parquet",
    "p": r"/p-\d+\.npy",
    "rows of layers": r"/rows/.*\.json",
    "staged accuracies": r"/staged/accuracy/.*\.parquet",
    "staged summaries": r"/staged/unit_summary/.*\.parquet",
    "seals": r"\.sha256",
}


def flip(path: Path) -> None:
    """Change one bit in the middle, where values are."""
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)


def unfinished(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, before: str = "publish_release"
) -> list[Path]:
    """Files of a build that was stopped before a step."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"unitdb.pipeline.run.{before}", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe)
    return sorted(p for p in (recipe.parent / "releases" / ".work").rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The release that comes of all, built without a stop."""
    from tests.pipeline.small import lay_out

    recipe = lay_out(tmp_path_factory.mktemp("whole"))
    edit(recipe, "models: [{name: mynet}]", MORE)
    return contents(run(recipe))


@pytest.fixture
def rich(recipe: Path) -> Path:
    edit(recipe, "models: [{name: mynet}]", MORE)
    return recipe


@pytest.mark.robust(
    "bounds",
    given="one bit changed in a file of an unfinished build, of each kind: accuracies, predictions "
    "for patterns, repeats, controls, encoding, kept units, p, rows, staged tables",
    before="looked at for its shape alone: the changed number was published",
    now="held to its checksum and computed anew; the release has the same bytes",
)
@pytest.mark.parametrize("kind", [kind if kind == "accuracies" else rarely(kind) for kind in KINDS])
def test_a_changed_bit_is_computed_anew(
    kind: str, rich: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [p for p in unfinished(rich, monkeypatch) if re.search(KINDS[kind] + "$", str(p))]
    assert found
    for path in found:
        flip(path)
    assert contents(run(rich)) == whole


def test_all_files_of_steps_damaged_at_once(
    rich: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in unfinished(rich, monkeypatch, before="tabulate"):
        if path.stat().st_size:
            flip(path)
    assert contents(run(rich)) == whole


@pytest.mark.parametrize(
    "damage",
    [flip, Path.unlink, lambda path: sealed._seal_of(path).unlink()],
    ids=["changed", "gone", "without seal"],
)
def test_what_is_damaged_between_two_steps_is_one_error(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "block.npy"
    sealed.write_npy(path, np.arange(4.0))
    assert sealed.sealed_shape(path) == (4,)
    assert sealed.read_npy(path).tolist() == [0, 1, 2, 3]
    damage(path)
    assert sealed.sealed_shape(path) is None
    with pytest.raises(DamagedFileError, match=r"block\.npy: missing or damaged.*start the build"):
        sealed.read_npy(path)


def test_a_seal_is_of_other_files_too(tmp_path: Path) -> None:
    other = tmp_path / "deep" / "other"
    other.parent.mkdir()
    other.write_text("1")
    sealed.write_text(tmp_path / "rows.json", "{}", others=[other])
    assert sealed.read_text(tmp_path / "rows.json") == "{}"
    other.write_text("2")
    assert not sealed.is_sealed(tmp_path / "rows.json")
