"""Changes whose checksums were made to fit: what verify finds, and what it cannot find."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verification.consistent import changes, found_by_verify, outcomes
from tests.verification.releases import OPTIONS, build_release
from unitdb.errors import CorruptReleaseError
from unitdb.schema import SCHEMA_VERSION, TABLES
from unitdb.verification import explain, verify

PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release with all optional tables: read only."""
    folder = tmp_path_factory.mktemp("consistent") / "small"
    return build_release(folder, OPTIONS["by a formula"])


@pytest.mark.robust(
    "verification",
    given="a change of a release whose checksums were made to fit: intervals, licences, alpha, "
    "seed, versions, splits, README, CITATION, recipe, emptied tables, activations, …",
    before="the release was sound (89 of 307 such changes passed)",
    now="an error that names the row or the file; what still passes stands in "
    "docs/verification.md, with the reason",
)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("intersubject.pearson_low: one cell", "pearson_low is .*, but the accuracies give"),
        ("intersubject.spearman_high: one cell", "spearman_high is .*, but the accuracies give"),
        ("intersubject.partial_low: one cell", "is the middle of its interval"),
        ("layer_reliability.reliability_low: one cell", "reliability_low is .*, but the acc"),
        ("hierarchy.score_low: one cell", "score_low is .*, but"),
        ("hierarchy: emptied", "best_roi: rows without a score"),
        ("encoding: emptied", "best_roi: .*encoding/.*accuracies give 0"),
        ("layer_summary.identification: one cell", "identification is"),
        *(
            (f"layer_summary.{name}_{end}: one cell", f"{name}_{end} is .*, but the predictions")
            for name in ("pattern", "identification", "mean")
            for end in ("low", "high")
        ),
        ("layer_summary.identification_chance: one cell", "identification_chance is .*, not 0.5"),
        ("layer_summary.n_candidates: one cell", "n_candidates is 9, but the release states 8"),
        ("stimuli.split: one cell", "the pictures shown are not those of table 'stimuli'"),
        ("datasets.licence: one cell", "croissant.json does not follow from recipe and tables"),
        ("subjects.n_voxels: one cell", "table 'subjects' has"),
        ("subjects.n_train: one cell", "croissant.json does not follow"),
        ("builds.decoder: alpha in its JSON", "recipe.yaml says"),
        ("builds.packages: numpy in its JSON", "has the hash"),
        ("builds.code_sha256: one cell", "but builds.code_sha256 is"),
        ("builds.seed: one cell", "seed is 1, but recipe.yaml says 0"),
        ("inputs.git_commit: one cell NULL", "croissant.json does not follow"),
        ("README.md: replaced", "README.md does not follow"),
        ("CITATION.cff: replaced", "CITATION.cff does not follow"),
        ("recipe.yaml: replaced", "not the file that table 'inputs' lists"),
        ("croissant.json: licence", "croissant.json does not follow"),
        ("activation: all 0", "predictions give r"),
    ],
)
def test_changes_that_fit_their_checksums(
    release: Path, tmp_path: Path, name: str, message: str
) -> None:
    (change,) = [change for change in changes(release) if change.name == name]
    found = found_by_verify(release, change, tmp_path / "changed")
    if found is None:
        pytest.skip("nothing to change")  # a build from no commit has none
    assert re.search(message, found), found


def test_a_release_is_sound_and_says_what_is_not_known(release: Path) -> None:
    report = str(verify(release))
    assert "what recipe, tables and metadata say twice is the same" in report
    assert "bootstrap" in report
    assert "a signature tells" in report
    assert "left out" in str(verify(release, quick=True))


def test_neither_torch_nor_numba_is_imported_to_verify(release: Path) -> None:
    """They take seconds to import, and nothing that is computed again needs them."""
    code = (
        "import sys; from unitdb.verification import verify; verify(sys.argv[1]); "
        "sys.exit(', '.join({'numba', 'scipy.stats', 'torch'} & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code, release], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_what_other_code_computed_is_reported(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of both is wrong, verify cannot know."""
    monkeypatch.setattr("unitdb.verification.recomputed._metadata.code_sha256", lambda: "0" * 64)
    assert "other code than this built the release" in str(verify(release))
    (change,) = [c for c in changes(release) if c.name == "intersubject.pearson_low: one cell"]
    found = found_by_verify(release, change, tmp_path / "changed")
    assert found == ""
    report = str(verify(tmp_path / "changed" / "small" / "1.0.0"))
    assert "computes them otherwise than the code that built the release (intersubject" in report


def test_without_the_extra_it_says_what_it_left_out(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitdb.verification._verify.find_spec", lambda _: None)
    assert "needs numba, pydantic, scipy, sklearn, threadpoolctl, torch, yaml (extra build)" in str(
        verify(release)
    )


def test_every_column_has_a_fate() -> None:
    columns = {(table.name, column.name) for table in TABLES.values() for column in table.columns}
    fates = explain(SCHEMA_VERSION)
    assert {(fate.table, fate.column) for fate in fates} == columns
    for fate in fates:
        keys = fate.how.startswith("keys: ")
        of_keys = fate.column in TABLES[fate.table].keys
        assert keys <= of_keys, f"{fate.table}.{fate.column} is no key: how is it checked?"


@pytest.mark.slow
def test_the_page_names_every_change_that_passes(release: Path, tmp_path: Path) -> None:
    """docs/verification.py prints the page; what concerns controls is of another release there."""
    page = PAGE.read_text()
    found = outcomes(release, tmp_path / "changed")
    passed = [outcome.name for outcome in found if not outcome.message]
    assert len(found) > 250
    assert len(passed) <= 11
    for name in passed:
        assert f"| {name} | by a formula |" in page


def test_a_damaged_recipe_is_no_traceback(release: Path, tmp_path: Path) -> None:
    (change,) = [c for c in changes(release) if c.name == "recipe.yaml: seed"]
    found_by_verify(release, change, tmp_path / "changed")
    with pytest.raises(CorruptReleaseError, match=r"recipe\.yaml"):
        verify(tmp_path / "changed" / "small" / "1.0.0")
