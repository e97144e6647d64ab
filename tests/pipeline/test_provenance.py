"""From a row back to its files: the table of inputs, PROV-O, the log of the run, trace."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import unitdb
from tests.pipeline.small import SUBJECTS, contents, edit, lay_out, run
from unitdb.cli import main
from unitdb.errors import RecipeError, ReleaseExistsError
from unitdb.programs import run as run_program

ROLES = {"recipe": 1, "dataset": 1, "model": 1, "stimuli": 22, "responses": 3, "code": 1}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(lay_out(tmp_path_factory.mktemp("lab") / "lab"))


def test_every_file_read_is_an_input(release: Path) -> None:
    lab = release.parents[2]
    inputs = unitdb.open(release).table("inputs").astype(object)
    assert inputs["role"].value_counts().to_dict() == ROLES
    files = inputs[inputs["role"] != "code"]
    beside = {path.name for path in lab.iterdir() if path.is_file()}
    named = {path.rpartition("/")[2] for path in files["path"]}
    assert named == beside | {path.name for path in (lab / "pictures").iterdir()}
    for row in files.itertuples():
        path = next(lab.parent.rglob(row.path))
        assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row.size == path.stat().st_size
    of_one = inputs[inputs["role"] == "responses"]
    assert dict(zip(of_one["path"], of_one["subject"], strict=True)) == {
        f"{subject}.npz": subject for subject in SUBJECTS
    }
    builds = unitdb.open(release).table("builds")
    (code,) = inputs[inputs["role"] == "code"]["sha256"]
    assert code == builds["code_sha256"][0]


def test_croissant_says_it_in_prov(release: Path) -> None:
    croissant = json.loads((release / "croissant.json").read_text())
    assert croissant["@context"]["prov"] == "http://www.w3.org/ns/prov#"
    (activity,) = croissant["prov:wasGeneratedBy"]
    inputs = unitdb.open(release).table("inputs")
    used = {(e["prov:type"], e["name"], e["sha256"]) for e in activity["prov:used"]}
    wanted = inputs[inputs["role"] != "code"][["role", "path", "sha256"]].astype(str)
    assert used == set(wanted.itertuples(index=False, name=None))
    (agent,) = activity["prov:wasAssociatedWith"]
    assert (agent["name"], agent["version"]) == ("unitdb", unitdb.__version__)


def test_the_run_is_told_of_beside_the_release(release: Path) -> None:
    log = json.loads((release.parents[1] / ".runs" / "small" / "1.0.0.json").read_text())
    measures = {"encode", "patterns", "keep", "predictions", "identify"}
    measures |= {"time course", "modulation"}
    measures |= {"decode for pictures", "train for pictures"}
    measures |= {"reconstruct", "score pictures"}
    steps = {"read", "inputs", "activations", "decode", "tables", "publish"}
    assert set(log["seconds"]) == steps | measures
    assert all(taken >= 0 for taken in log["seconds"].values())
    assert log["started"] <= log["ended"]
    assert log["machine"]["cores"] >= 1
    assert log["machine"]["memory_bytes"] > 0


def test_trace_leads_to_the_files_of_the_subject_alone(release: Path) -> None:
    found = unitdb.open(release).trace("mynet/conv/7", roi="V1", subject="sub-02")
    (row,) = found.accuracies
    assert (row["roi"], row["subject"]) == ("V1", "sub-02")
    table = unitdb.open(release).sql(
        "SELECT r FROM accuracy WHERE layer = 'conv' AND unit = 7 AND roi = 'V1' "
        "AND subject = 'sub-02'"
    )
    assert row["r"] == table["r"][0]
    assert found.inputs is not None
    responses = [i["path"] for i in found.inputs if i["role"] == "responses"]
    assert responses == ["sub-02.npz"]
    assert len(found.inputs) == sum(ROLES.values()) - 2
    everything = unitdb.open(release).trace("mynet/conv/7")
    assert len(everything.accuracies) == 6
    assert everything.inputs is not None
    assert len(everything.inputs) == sum(ROLES.values())


def invoke(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_trace_on_the_command_line(release: Path) -> None:
    code, text, _ = invoke("trace", release, "mynet/conv/7", "--subject", "sub-01")
    assert code == 0
    assert "responses sub-01.npz" in text
    assert "responses sub-02.npz" not in text
    digest = hashlib.sha256((release.parents[2] / "sub-01.npz").read_bytes()).hexdigest()
    assert f"sha256 {digest}" in text
    code, text, _ = invoke("trace", release, "mynet/conv/7", "--format", "json")
    assert json.loads(text) == unitdb.open(release).trace("mynet/conv/7").to_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mynet/conv"], "is not MODEL/LAYER/UNIT"),
        (["mynet/conv/-1"], "is not MODEL/LAYER/UNIT"),
        (["mynet/conv/1_0"], "is not MODEL/LAYER/UNIT"),
        (["mynet/conv/99999999999999999999"], "is not MODEL/LAYER/UNIT"),
        (["mynett/conv/1"], "mynet"),
        (["mynet/cnv/1"], "conv"),
        (["mynet/conv/999"], "the nearest is 35"),
        (["mynet/conv/1", "--roi", "V2"], "V1"),
        (["mynet/conv/1", "--subject", "sub-04"], "sub-0"),
    ],
)
def test_what_cannot_be_traced(release: Path, arguments: list[str], message: str) -> None:
    code, _, said = invoke("trace", release, *arguments)
    assert code == 2
    assert message in said


def lay_out_with_data(folder: Path) -> tuple[Path, Path]:
    """A recipe, and its responses and pictures in a DataLad dataset elsewhere."""
    recipe = lay_out(folder / "lab")
    data = folder / "data"
    data.mkdir()
    for path in [*(folder / "lab").glob("*.npz"), folder / "lab" / "pictures"]:
        shutil.move(path, data / path.name)
    run_program("datalad", "create", "--force", ".", folder=data)
    run_program("datalad", "save", "-m", "Responses", folder=data)
    return recipe, data


@pytest.mark.slow
def test_a_release_that_no_run_has_recorded_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = lay_out(tmp_path / "lab")
    monkeypatch.chdir(tmp_path)
    build = ("--releases", "releases", "build", "lab/recipe.yaml", "--data", "lab")
    assert invoke(*build)[0] == 0
    before = contents(tmp_path / "releases")
    code, _, problem = invoke(*build, "--datalad")
    assert code == 2
    assert "was built without --datalad" in problem
    assert contents(tmp_path / "releases") == before
    # So is a later version, in a folder of releases that others of were recorded in.
    edit(recipe, "1.0.0", "1.1.0")
    assert invoke(*build, "--datalad")[0] == 0
    edit(recipe, "1.1.0", "1.2.0")
    assert invoke(*build)[0] == 0
    run_program("datalad", "save", "-m", "Saved by hand", folder=tmp_path / "releases")
    code, _, problem = invoke(*build, "--datalad")
    assert code == 2
    assert "1.2.0 was built without --datalad" in problem
    assert (tmp_path / "releases" / ".runs" / "small" / "1.2.0.json").exists()


@pytest.mark.slow
def test_rerun_makes_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, data = lay_out_with_data(tmp_path)
    monkeypatch.chdir(tmp_path)  # paths as a user gives them
    build = ("--releases", "releases", "build", "lab/recipe.yaml", "--data", "data", "--datalad")
    code, said, problem = invoke(*build)
    assert code == 0, problem
    assert said.strip() == str(Path("releases", "small", "1.0.0"))
    releases = tmp_path / "releases"
    release = releases / "small" / "1.0.0"
    first = contents(release)

    inputs = unitdb.open(release).table("inputs").set_index("path")
    assert inputs.loc["recipes/small/recipe.yaml", "git_commit"] is not None
    responses = inputs[inputs["role"] == "responses"]
    commit = run_program("git", "log", "-1", "--format=%H", "--", "sub-01.npz", folder=data).strip()
    assert set(responses["git_commit"]) == {commit}
    assert responses["annex_key"].str.startswith("MD5E-").all()

    def git(*arguments: str) -> str:
        return run_program("git", *arguments, folder=releases).strip()

    assert git("status", "--porcelain") == ""
    message = git("log", "-1", "--format=%B")
    assert "[DATALAD RUNCMD] Build small 1.0.0" in message
    assert str(tmp_path) not in message
    head = git("rev-parse", "HEAD")
    assert (release / "accuracy").exists()
    assert all(path.is_symlink() for path in release.rglob("*.parquet"))
    assert not (release / "README.md").is_symlink()

    assert invoke(*build)[0] == 0  # again: there is nothing to do
    assert git("rev-parse", "HEAD") == head
    run_program("datalad", "rerun", folder=releases)
    assert contents(release) == first
    assert git("status", "--porcelain") == ""
    unitdb.open(release).verify()

    # From nothing: a clone that has none of the annexed files.
    clone = tmp_path / "clone"
    run_program("git", "clone", "-q", str(releases), str(clone), folder=tmp_path)
    run_program("git", "annex", "init", "-q", folder=clone)
    run_program("git", "remote", "remove", "origin", folder=clone)
    run_program("datalad", "rerun", folder=clone)
    assert contents(clone / "small" / "1.0.0") == first

    # Other data are another release.
    run_program("datalad", "unlock", "sub-01.npz", folder=data)
    shutil.copy(data / "sub-02.npz", data / "sub-01.npz")
    code, _, problem = invoke(*build)
    assert code == 2
    assert "raise `version`" in problem
    assert contents(release) == first


def test_again_compares(release: Path, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(release.parents[2], lab)
    recipe, copy = lab / "recipe.yaml", lab / "releases" / "small" / "1.0.0"
    before = contents(copy)
    run(recipe, again=True)
    assert contents(copy) == before
    (copy / "unit_summary.parquet").unlink(missing_ok=True)
    lost = next(copy.rglob("accuracy/**/*.parquet"))
    lost.unlink()
    run(recipe, again=True)  # what is lost is there again
    assert contents(copy) == before
    edit(recipe, "alpha: 10", "alpha: 11")
    with pytest.raises(ReleaseExistsError):
        run(recipe, again=True)


def test_a_dataset_outside_the_recipes_folder_cannot_be_run_again(tmp_path: Path) -> None:
    recipe, data = lay_out_with_data(tmp_path)
    shutil.move(tmp_path / "lab" / "mine.yaml", tmp_path / "mine.yaml")
    edit(recipe, "mine.yaml", "../mine.yaml")
    from unitdb.pipeline.datalad_run import build_in_datalad

    with pytest.raises(RecipeError, match="not below the recipe's folder"):
        build_in_datalad(recipe, releases=tmp_path / "releases", data=data)
