"""Identification: a recipe's key, from candidates to tables, verified and queried."""

from __future__ import annotations

import doctest
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

import unitdb
from tests.pipeline.small import SUBJECTS, contents, edit, lay_out, run
from tests.pipeline.test_test_sets import (  # noqa: F401 - lab is a fixture
    CONDITIONS,
    GROUPS,
    TESTED,
    activations_of,
    lab,
    variant,
)
from tests.verification.consistent import Change
from unitdb.activations import Activations
from unitdb.analysis import q_values
from unitdb.candidates import CandidateSet
from unitdb.cli import main
from unitdb.errors import (
    CorruptReleaseError,
    NotKeptError,
    QueryError,
    RecipeError,
    UnknownCandidateError,
    UnknownCandidatesError,
    UnknownLayerError,
)
from unitdb.matching import hit_rate
from unitdb.measures import MEASURES
from unitdb.verification import verify

NAMES = ("candidate_sets", "candidates", "identification", "identification_summary")
NAMES += ("identification_exchange",)
FEATURES = ("candidate_training", "candidate_units", "candidate_features")
OWN = """
predictions: {units: all}
identification:
  sets: {own: {kind: own}}
  categories: {even: ["*14", "*16", "*18", "*20"], odd: ["*15", "*17", "*19", "*21"]}
"""


@pytest.fixture(scope="module")
def release(lab: Path) -> unitdb.Release:  # noqa: F811
    """Four test sets, each identified among its own targets."""
    return unitdb.open(run(variant(lab, "own", OWN)))


def predictions(release: unitdb.Release, condition: str, subject: str) -> pd.DataFrame:
    """Predictions of layer conv from V1, with what is decoded as the index."""
    found = release.predicted("mynet/conv", "V1", subject, condition=condition)
    samples = release.sql(
        "SELECT coalesce(target, stimulus) AS decoded, stimulus, presentation FROM samples "
        "WHERE condition = ? AND subject = ? ORDER BY sample",
        [condition, subject],
    )
    found.index = pd.MultiIndex.from_frame(samples)
    return found.astype(float)


def truth(lab: Path, release: unitdb.Release) -> pd.DataFrame:  # noqa: F811
    known = pd.DataFrame(activations_of(lab, release)).T.astype(np.float32)
    for group in np.unique(GROUPS):
        known.loc[group] = known.loc[np.array(TESTED)[group == GROUPS]].mean().astype(np.float32)
    return known.astype(float)


def slow_rows(predicted: pd.DataFrame, candidates: pd.DataFrame) -> pd.DataFrame:
    """Counts of each prediction, candidate by candidate; rows have the target's name."""
    rows = []
    for name, pattern in predicted.iterrows():
        r = {one: np.corrcoef(pattern, true)[0, 1] for one, true in candidates.iterrows()}
        others = [value for one, value in r.items() if one != name]
        rows.append(
            {
                "target": name,
                "target_r": r[name],
                "n_false": len(others),
                "n_below": sum(value < r[name] - 1e-9 for value in others),
                "n_equal": sum(abs(value - r[name]) < 1e-9 for value in others),
                "best": max(r, key=r.get),
            }
        )
    return pd.DataFrame(rows)


def stated(release: unitdb.Release, condition: str, subject: str, **more: object) -> pd.DataFrame:
    names = {"layer": "conv", "roi": "V1", "method": "normalised", "condition": condition}
    names |= {"subject": subject} | more
    rows = release.table("identification")
    for name, value in names.items():
        rows = rows[rows[name] == value]
    return rows.sort_values(["trial", "stimulus", "target"])


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("method", ["normalised", "horikawa2017"])
def test_counts_are_those_of_a_slow_computation(lab, release, condition, method):  # noqa: F811
    true = truth(lab, release)
    with np.load(lab / "sub-01.npz") as file:
        train = true.loc[file["ids_train"].tolist()]
    varied = train.std(ddof=1) > 1e-4 * train.abs().max()
    for subject in (SUBJECTS[0], "*"):
        of = SUBJECTS if subject == "*" else [subject]
        parts = [predictions(release, condition, one).groupby(level="decoded").mean() for one in of]
        predicted = sum(parts) / len(parts)
        candidates = true.loc[predicted.index]
        if method == "normalised":
            scale = (train.mean()[varied], train.std(ddof=1)[varied])
            predicted, candidates = (
                (x.loc[:, varied.to_numpy()] - scale[0].to_numpy()) / scale[1].to_numpy()
                for x in (predicted, candidates)
            )
        expected = slow_rows(predicted, candidates)
        found = stated(release, condition, subject, method=method, trial=0)
        assert found["target"].tolist() == expected["target"].tolist()
        np.testing.assert_allclose(found["target_r"], expected["target_r"], atol=1e-6)
        for name in ("n_false", "n_below", "n_equal", "best"):
            assert found[name].tolist() == expected[name].tolist(), name
        assert set(found["n_units"]) == {predicted.shape[1]}


def test_single_trials_are_identified_besides_their_means(lab, release):  # noqa: F811
    true = truth(lab, release)
    found = stated(release, "single", "sub-02", method="horikawa2017")
    assert found["trial"].value_counts().to_dict() == {0: 8, 1: 8, 2: 8}
    of = predictions(release, "single", "sub-02")
    trials = found[found["trial"] > 0].set_index(["stimulus", "trial"])
    for (decoded, stimulus, presentation), pattern in of.iterrows():
        row = trials.loc[(stimulus, presentation)]
        assert row["target"] == decoded
        r = [np.corrcoef(pattern, true.loc[name])[0, 1] for name in TESTED]
        assert row["n_false"] == 7  # an image is one candidate
        assert row["n_below"] == sum(value < r[TESTED.index(decoded)] - 1e-9 for value in r)
    kinds = release.sql("SELECT DISTINCT condition, trials, subject FROM identification_summary")
    single = kinds[kinds["trials"] == "single"]
    assert set(single["condition"]) == {"single"}
    assert set(single["subject"]) == set(SUBJECTS)  # people's samples are not the same trials


def test_summaries_follow_from_counts(release):
    summary = release.table("identification_summary")
    rows = release.table("identification")
    keys = ["condition", "layer", "roi", "subject", "method", "trials"]
    rows["trials"] = np.where(rows["trial"] == 0, "means", "single")
    rows["rate"] = (rows["n_below"] + rows["n_equal"] / 2) / rows["n_false"]
    means = rows.groupby(keys, observed=True)["rate"].mean()
    both = summary.set_index(keys).join(means.rename("again"))
    np.testing.assert_allclose(both["rate"], both["again"], atol=1e-12)
    assert (summary["rate_low"] <= summary["rate"]).all()
    assert (summary["specific"] - (summary["rate"] - summary["chance_exchange"])).abs().max() < 1e-9
    layers = summary["layer"].astype(str).str.startswith("*")
    families = [*keys[:1], "subject", "method", "trials", layers.rename("together")]
    for _, of in summary.groupby(families, observed=True):
        np.testing.assert_allclose(of["q"], q_values(of["p"].to_numpy()))
    # Own pictures alone: what exchange gives follows from the rate.
    own = summary[summary["trials"] == "means"]
    n = own["n_candidates"]
    np.testing.assert_allclose(own["chance_exchange"], (n / 2 - own["rate"]) / (n - 1), atol=1e-9)


def test_the_curve_is_a_view(release):
    curve = release.sql(
        "SELECT * FROM identification_curve WHERE condition = 'single' AND trials = 'single' "
        "AND among = 'all'"
    )
    rows = release.table("identification")
    rows = rows[(rows["condition"] == "single") & (rows["trial"] > 0)]
    keys = ["layer", "roi", "subject", "method"]
    for key, of in curve.groupby(keys, observed=True):
        own = rows.set_index(keys).loc[key]
        counts = [own[name].to_numpy() for name in ("n_below", "n_equal", "n_false")]
        assert sorted(of["n"]) == [2, 5, 8]
        for row in of.itertuples():
            assert row.rate == pytest.approx(hit_rate(*counts, row.n).mean(), abs=1e-9)
            assert (row.chance, row.n_predictions) == (1 / row.n, 16)


def test_categories_tell_within_and_between(release):
    rows = stated(release, "perception", "sub-01")
    assert (rows["n_false_within"] == 3).all()
    assert (rows["n_false_between"] == 4).all()
    assert (rows["n_below_within"] + rows["n_below_between"] == rows["n_below"]).all()
    imagined = stated(release, "imagery", "sub-01")  # groups of pictures are of no category
    assert imagined["n_false_within"].isna().all()
    candidates = release.sql("SELECT * FROM candidates WHERE condition = 'imagery'")
    assert candidates["candidate"].tolist() == sorted(set(GROUPS))
    assert set(candidates["n_pictures"]) == {2}
    assert set(candidates["role"]) == {"target"}


def test_it_is_verified_and_nothing_else_changes(lab, release):  # noqa: F811
    report = verify(release.path)
    assert report.rows["identification"] == len(release.table("identification"))
    assert not set(FEATURES) & set(release.tables)
    without = run(variant(lab, "without"))
    assert not {*NAMES, *FEATURES} & set(unitdb.open(without).tables)
    assert "identification_curve" not in unitdb.open(without).views
    for name in ("unit_summary", "layer_summary", "intersubject", "prediction"):
        one, other = (each.table(name) for each in (release, unitdb.open(without)))
        pd.testing.assert_frame_equal(
            one.drop(columns="build", errors="ignore"), other.drop(columns="build", errors="ignore")
        )


OUTSIDE = """
decoder: {voxels: all, alpha: 10, folds: 4}
predictions: {units: all}
identification:
  sets:
    own: {kind: own}
    outside: {kind: pictures, folder: others, ending: .png, description: made up}
  features: true
"""


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> unitdb.Release:
    """Pictures in a cross-validation, among themselves and others."""
    recipe = lay_out(tmp_path_factory.mktemp("folded"))
    folder, rng = recipe.parent, np.random.default_rng(3)
    (folder / "others").mkdir()
    for number in range(5):
        pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "others" / f"other-{number}.png")
    edit(
        folder / "mine.yaml",
        """
  train: {responses: x_train, stimulus_ids: ids_train}
  tests:
    perception: {responses: x_test, stimulus_ids: ids_test}
""",
        """
  cross-validation: {responses: x_train, stimulus_ids: ids_train}
""",
    )
    edit(recipe, "decoder: {voxels: 10, alpha: 10}\n", OUTSIDE)
    return unitdb.open(run(recipe))


def test_in_cross_validation_what_trained_is_told_apart(folded):
    sets = folded.table("candidate_sets").set_index("set")
    assert sets["n_candidates"].to_dict() == {"own": 14, "outside": 19}
    assert sets["n_targets"].to_dict() == {"own": 14, "outside": 14}
    assert sets["n_trained"].to_dict() == {"own": 0, "outside": 0}  # targets have that role
    assert sets["description"]["outside"] == "made up"
    assert len(sets["sha256"]["outside"]) == 64
    rows = folded.table("identification")
    own, outside = (rows[rows["set"] == name] for name in ("own", "outside"))
    # 14 pictures in 4 folds of 4, 4, 3 and 3: the decoder of a fold has seen the others.
    assert set(own["n_false_trained"]) == {10, 11}
    assert set(own["n_false"]) == {13}
    assert set(outside["n_false"]) == {18}
    assert (outside["n_false_trained"].to_numpy() == own["n_false_trained"].to_numpy()).all()
    summary = folded.table("identification_summary").set_index("set")
    assert summary.loc["own", "n_untrained"].iloc[0] == pytest.approx((8 * 4 + 6 * 3) / 14)
    assert summary.loc["outside", "n_untrained"].iloc[0] == pytest.approx((8 * 9 + 6 * 8) / 14)
    among = folded.sql("SELECT DISTINCT among, n FROM identification_curve WHERE set = 'outside'")
    assert set(among[among["among"] == "untrained"]["n"]) == {2, 5, 8, 9}
    # Beside each rate stands chance of one among n, and what exchanged images come to.
    curve = folded.sql(
        "SELECT c.* EXCLUDE (n_predictions), chance_fold, exchange_untrained FROM "
        "identification_curve AS c JOIN identification_summary USING (dataset, condition, model, "
        "layer, roi, subject, set, method, trials)"
    )
    assert curve["chance_exchange"].notna().all()
    pairs = curve[curve["n"] == 2]
    stated = np.where(pairs["among"] == "all", pairs["chance_fold"], pairs["exchange_untrained"])
    np.testing.assert_allclose(pairs["chance_exchange"], stated, atol=1e-12)


def test_features_of_candidates_are_those_of_the_network(folded):
    store = activations_of_store(folded, "conv")
    units = folded.sql("SELECT * FROM candidate_units WHERE layer = 'conv' AND subject = 'sub-01'")
    for name, candidates in (("own", 14), ("outside", 19)):
        found = folded.sql(
            "SELECT candidate, features FROM candidate_features "
            "WHERE set = ? AND layer = 'conv' ORDER BY candidate",
            [name],
        )
        assert len(found) == candidates
        features = np.stack(found["features"].to_list())
        names = found["candidate"].tolist()
        pictures = [name for name in names if name.startswith("picture")]
        own = features[[names.index(name) for name in pictures]]
        assert (own == store.loc[pictures, units["unit"]].to_numpy()).all()
    np.testing.assert_allclose(units["mean"], own.mean(axis=0, dtype=float))
    sd = own.std(axis=0, ddof=1, dtype=float)
    np.testing.assert_allclose(units["sd"], np.where(np.ptp(own, axis=0) > 0, sd, 0), rtol=1e-6)


def activations_of_store(release: unitdb.Release, layer: str) -> pd.DataFrame:
    cache = release.path.parents[1] / ".cache"
    stores = [Activations.open(path) for path in cache.iterdir() if (path / "meta.json").exists()]
    (stored,) = [one for one in stores if "picture-00" in one.stimulus_ids]
    values = stored.block(layer, 0, stored.n_units(layer))
    return pd.DataFrame(values, index=list(stored.stimulus_ids), columns=stored.units(layer))


def test_seen_pictures_are_identified_by_their_categories(lab):  # noqa: F811
    """As published: candidates are categories, and the true one is that of the picture."""
    rng = np.random.default_rng(0)
    ids = ["even", "fourth", "odd", "third", "tree"]
    folder = lab / "features"
    for layer, n in (("conv", 36), ("scores", 6)):
        (folder / layer).mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{layer}.npy", rng.normal(size=(5, n)).astype(np.float32))
    (folder / "stimuli.txt").write_text("\n".join(ids))
    lines = """
tests: [perception, imagery]
identification:
  sets:
    synsets:
      kind: features
      features: {folders: [features], format: stacked}
      layers: {conv: conv, scores: scores}
      hold: categories
  targets: {synsets: set}
"""
    release = unitdb.open(run(variant(lab, "synsets", lines)))
    rows = release.table("identification")
    assert set(rows["n_false"]) == {4}
    seen = rows[(rows["condition"] == "perception") & (rows["trial"] == 0)]
    assert set(seen["target"]) == set(ids) - {"tree"}
    assert set(seen["stimulus"]) == set(TESTED)
    of = dict(zip(TESTED, GROUPS, strict=True))
    assert (seen["target"] == seen["stimulus"].map(of)).all()
    sets = release.table("candidate_sets").set_index("condition")
    assert set(sets["targets"]) == {"set"}
    assert sets["n_targets"].to_dict() == {"perception": 4, "imagery": 4}
    summary = release.table("identification_summary").set_index("condition")
    assert set(summary.loc["perception", "n_images"]) == {4}
    assert set(summary.loc["perception", "n_predictions"]) == {8}
    verify(release.path)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.pipeline.small import run
from unitdb.measures.identify_step import IdentifyStep

done, compute = [], IdentifyStep.run

def die(step):
    if len(done) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    compute(step)
    done.append(step)

IdentifyStep.run = die
run(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_in_its_steps_it_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    recipes = [lay_out(tmp_path / name) for name in ("killed", "whole")]
    for recipe in recipes:
        with recipe.open("a") as file:
            file.write(OWN)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, recipes[0]], cwd=Path(__file__).parents[2]
    )
    assert killed.returncode == -signal.SIGKILL
    (step,) = {
        type(one).steps.__globals__["IdentifyStep"] for one in MEASURES if one.name == "identify"
    }
    asked, compute = [], step.run
    with monkeypatch.context() as patched:
        patched.setattr(step, "run", lambda one: (asked.append(one), compute(one)))
        found = contents(run(recipes[0]))
    assert len(asked) == len(SUBJECTS) + 1 - 2
    assert found == contents(run(recipes[1]))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("identification: {sets: {}}", "identification.sets"),
        ("identification: {sets: {a: {kind: owned}}}", "own"),
        ("identification: {sets: {a: {kind: own}}, targets: {b: set}}", "no set 'b'; sets: a"),
        ("identification: {sets: {a: {kind: own}}, targets: {a: set}}", "of kind own"),
        ("identification: {sets: {a: {kind: own}}, methods: [cosine]}", "normalised"),
        ("identification: {sets: {a: {kind: own}}, tests: [imagery]}", "fits none .* perception"),
        (
            "predictions: {units: best 5}\nidentification: {sets: {a: {kind: own}}}",
            "not with `predictions: {units: best 5}`: the best are chosen by the same samples",
        ),
    ],
)
def test_what_a_recipe_cannot_ask_is_refused(recipe, lines, message):
    with recipe.open("a") as file:
        file.write(f"{lines}\n")
    with pytest.raises(RecipeError, match=message):
        run(recipe)


@pytest.mark.parametrize("method", ["normalised", "horikawa2017"])
@pytest.mark.parametrize("name", ["own", "outside"])
def test_published_predictions_are_identified_again_by_readers(folded, name, method):
    found = folded.identify(name, "mynet/conv", roi="V1", subject="sub-02", method=method)
    stated_rows = folded.table("identification")
    place = {"set": name, "layer": "conv", "roi": "V1", "subject": "sub-02", "method": method}
    for column, value in place.items():
        stated_rows = stated_rows[stated_rows[column] == value]
    both = found.rows.merge(stated_rows, on="target", suffixes=("", "_stated"))
    assert len(both) == 14
    for column in found.rows.columns.drop("target"):
        one, other = both[column], both[f"{column}_stated"]
        if one.dtype == float:
            np.testing.assert_allclose(one, other.astype(float), atol=1e-9)
        else:
            assert one.tolist() == other.tolist(), column
    (row,) = [
        row
        for row in folded.table("identification_summary").to_dict("records")
        if all(row[column] == value for column, value in place.items())
    ]
    for column, value in asdict(found.summary).items():
        if column in row:
            assert value == pytest.approx(row[column], abs=1e-9, nan_ok=True), column
    assert found.curve([2])[2] == pytest.approx(row["rate"])


def test_ones_own_predictions_are_identified(folded, tmp_path):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    rng, names = np.random.default_rng(0), ["picture-03", "picture-03", "picture-11"]
    true = activations_of_store(folded, "conv").loc[names, sorted(units)]
    mine = true + rng.normal(0, 1e-3, true.shape)
    found = folded.identify("outside", "mynet/conv", mine.to_numpy(), names)
    assert found.rows["best"].tolist() == names
    assert found.summary.top1 == 1.0
    few = [f"mynet/conv/{unit}" for unit in sorted(units)[:10]]
    again = folded.identify("outside", "mynet/conv", mine, names, units=few)
    assert again.rows["n_false"].tolist() == [18, 18, 18]
    cut = folded.identify("outside", "mynet/conv", mine[sorted(units)[:10]], names)
    pd.testing.assert_frame_equal(again.rows, cut.rows)
    trained = folded.identify("outside", "mynet/conv", mine, names, trained=["other-1"])
    assert trained.rows["n_false_trained"].tolist() == [1, 1, 1]

    path = tmp_path / "mine.csv"
    mine.assign(target=names).to_csv(path, index=False)
    pd.DataFrame({"unit_id": few}).to_csv(tmp_path / "units.csv", index=False)
    command = ["identify", str(folded.path), "outside", "mynet/conv", "--predicted", str(path)]
    done = CliRunner().invoke(main, [*command, "--unit-set", str(tmp_path / "units.csv"), "--rows"])
    assert done.exit_code == 0, done.output
    assert "picture-11" in done.output
    done = CliRunner().invoke(main, command)
    assert "chance_exchange" in done.output
    path.write_text("0,1\n1,2\n")
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "has no column 'target'" in done.output


def test_a_set_of_ones_own_takes_no_published_features(folded):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    true = activations_of_store(folded, "conv")[sorted(units)]
    mine = CandidateSet.from_arrays(
        name="mine",
        features={"conv": true.to_numpy()},
        ids=list(true.index),
        units={"conv": np.array(sorted(units))},
    )
    found = folded.identify(mine, "mynet/conv", roi="V1", subject="sub-01")
    own = folded.identify("own", "mynet/conv", roi="V1", subject="sub-01")
    columns = ["target", "n_false", "n_below", "best"]
    pd.testing.assert_frame_equal(
        found.rows[columns].iloc[:0], own.rows[columns].iloc[:0], check_dtype=False
    )
    assert len(found.rows) == 14


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"candidates": "outsid"}, UnknownCandidatesError, "did you mean 'outside'"),
        ({"layer": "mynet/conf"}, UnknownLayerError, "mynet/conv"),
        ({"targets": ["picture-0", "picture-01"]}, UnknownCandidateError, "'picture-0[0-9]'"),
        ({"targets": ["picture-01"]}, QueryError, "2 predictions and 1 targets"),
        ({"predicted": np.zeros((2, 3))}, QueryError, "predictions of 3 units; the candidates"),
        ({"predicted": np.full((2, 36), np.nan)}, QueryError, "not finite: row 0, column 0"),
        ({"predicted": [["a"]]}, QueryError, "should be numbers"),
        ({"predicted": None}, QueryError, "roi= and subject="),
        ({"trained": ["nobody"]}, UnknownCandidateError, "nobody"),
        ({"units": ["mynet/scores/1"]}, QueryError, "none of 1 units is of mynet/conv"),
        ({"mean": np.zeros(2), "sd": np.ones(2)}, QueryError, "mean and SD of 2 and 2 units"),
    ],
)
def test_errors_of_identify_name_the_nearest(folded, change, error, message):
    n_units = len(folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'"))
    given = {
        "candidates": "outside",
        "layer": "mynet/conv",
        "predicted": np.ones((2, n_units)) + np.arange(n_units),
        "targets": ["picture-01", "picture-02"],
    }
    assert n_units == 36
    with pytest.raises(error, match=message):
        folded.identify(**given | change)


def test_without_features_it_says_what_publishes_them(release):
    with pytest.raises(NotKeptError, match=r"build with identification: \{features: true\}"):
        release.identify("own", "mynet/conv", roi="V1", subject="sub-01", condition="perception")


@pytest.mark.slow
def test_verify_identifies_again_where_all_is_published(lab, folded, release, tmp_path):  # noqa: F811
    assert "what was identified is what the predictions give again" in verify(folded.path).checks
    unknown = [fact for fact in verify(release.path).unknown if "identified" in fact]
    assert "features of candidates are not" in unknown[0]
    single = variant(lab, "single", OWN.rstrip() + "\n  features: true\ntests: [single, imagery]\n")
    whole = unitdb.open(run(single))
    assert "what was identified is what the predictions give again" in verify(whole.path).checks


@pytest.mark.robust(
    "verification",
    given="people whose decoders were trained by different pictures, which are candidates",
    before="corrupt: a picture that trained one person counted as having trained all",
    now="candidate_training has what trained each, and verify says that it fits",
)
def test_people_may_have_been_trained_by_different_pictures(tmp_path):
    recipe = lay_out(tmp_path)
    with np.load(tmp_path / "sub-02.npz") as file:
        arrays = dict(file)
    dropped = "picture-00"
    assert dropped in arrays["ids_train"]
    arrays["ids_train"] = np.where(
        arrays["ids_train"] == dropped, "picture-99", arrays["ids_train"]
    )
    shutil.copy(tmp_path / "pictures" / "picture-13.png", tmp_path / "pictures" / "picture-99.png")
    np.savez(tmp_path / "sub-02.npz", **arrays)
    with recipe.open("a") as file:
        file.write(TRAINED)
    (tmp_path / "others").mkdir()
    for path in sorted((tmp_path / "pictures").iterdir())[:6]:
        shutil.copy(path, tmp_path / "others" / path.name)
    release = unitdb.open(run(recipe))
    assert "what was identified is what the predictions give again" in verify(release.path).checks
    rows = release.table("candidate_training")
    with_it = rows[rows["candidate"] == dropped]
    assert set(with_it["subject"].astype(str)) == {"sub-01", "sub-03"}
    n = release.table("identification").groupby("subject", observed=True)["n_false_trained"].max()
    assert n.to_dict() == {"*": 6, "sub-01": 6, "sub-02": 5, "sub-03": 6}


TRAINED = """
predictions: {units: all}
identification:
  sets: {others: {kind: pictures, folder: others, ending: .png}}
  features: true
"""


def _changed(release: unitdb.Release, folder: Path, table: str, column: str, change) -> Path:
    """A copy with a column changed, and all that repeats or sums it up made to fit."""
    copy = folder / release.name / release.version
    shutil.copytree(release.path, copy)

    def rows(rows: list[dict]) -> list[dict]:
        values = list(change(pd.Series([row[column] for row in rows])))
        return [row | {column: value} for row, value in zip(rows, values, strict=True)]

    assert Change(name=column, file=f"{table}.parquet", rows=rows).make(copy)
    return copy


def _swap(values: pd.Series) -> pd.Series:
    values = values.copy()
    other = next(i for i in range(1, len(values)) if values[i] != values[0])
    values[[0, other]] = values[[other, 0]].to_numpy()
    return values


def _last(values: pd.Series, by: float) -> list[float]:
    return [*values[:-1], values.iloc[-1] + by]


@pytest.mark.parametrize(
    ("table", "column", "change", "message"),
    [
        ("identification_summary", "rate", lambda x: x - 1e-3, "rate is .*; the predictions give"),
        ("identification_summary", "rate_low", lambda x: x - 1e-6, "rate_low is"),
        ("identification_summary", "p", lambda x: x / 2, "q does not follow from p"),
        ("identification_summary", "n_images", lambda x: x - 1, "n_images"),
        ("identification", "n_below", lambda x: x + 1, "more candidates below|contradicts"),
        ("identification", "n_below", _swap, "contradicts n_below|n_below is|top1 is|rate is"),
        ("identification", "best_r", lambda x: x - 0.5, "best_r is below target_r"),
        ("identification", "chance_exchange", lambda x: x / 2, "chance_exchange is"),
        ("identification", "best", _swap, "best is 'picture|best is 'other"),
        ("candidates", "role", lambda x: ["other"] * len(x), "n_targets is 14; candidates has 0"),
        ("identification_exchange", "chance", lambda x: x / 2, "among 2 candidates it is"),
        ("identification_exchange", "chance", lambda x: _last(x, 1e-6), "chance is .*, but the"),
        ("identification_exchange", "n", lambda x: x + 1, "among 2 candidates|there is no row"),
        (
            "candidate_features",
            "features",
            lambda x: [*x[:-1], [*x.iloc[-1][:-1], x.iloc[-1][-1] + 1e-4]],
            "features_sha256 is not that",
        ),
        ("candidate_sets", "features_sha256", _swap, "features_sha256 is not that"),
        ("candidate_units", "mean", lambda x: x + 1, "but the predictions give"),
        ("candidate_sets", "n_candidates", lambda x: x + 1, "n_candidates is 20; candidates has"),
    ],
)
def test_changes_are_found(folded, tmp_path, table, column, change, message):
    copy = _changed(folded, tmp_path, table, column, change)
    with pytest.raises(CorruptReleaseError, match=message):
        verify(copy)


def test_the_example_of_the_docstring_runs(folded):
    units = folded.sql("SELECT DISTINCT unit FROM candidate_units WHERE layer = 'conv'")["unit"]
    names = ["picture-03", "picture-11"]
    mine = activations_of_store(folded, "conv").loc[names, sorted(units)]
    known = {"release": folded, "mine": mine, "names": names}
    examples = doctest.DocTestParser().get_examples(unitdb.Release.identify.__doc__)
    assert len(examples) == 3
    for example in examples:
        exec(example.source.replace("net/fc", "mynet/conv"), known)  # noqa: S102
    assert known["found"].summary.rate == 1.0


def test_figures_show_rates_beside_those_of_exchanged_images(release: unitdb.Release) -> None:
    plot = pytest.importorskip("unitdb.plot", reason="needs unitdb[plot]")
    rows = release.table("identification_summary").query(
        "subject == '*' and trials == 'means' and method == 'normalised' and set == 'own'"
    )
    roi, condition = rows["roi"].iloc[0], str(rows["condition"].iloc[0])
    rows = rows[(rows["roi"] == roi) & (rows["condition"] == condition)]
    axes = plot.identified(release, candidates="own", roi=roi, condition=condition)
    np.testing.assert_allclose(
        sorted(axes.collections[1].get_offsets()[:, 1]), sorted(rows["rate"])
    )
    exchanged = [segment[0, 1] for segment in axes.collections[2].get_segments()]
    np.testing.assert_allclose(sorted(exchanged), sorted(rows["chance_fold"]))
    curve = plot.identification(release, candidates="own", roi=roi, condition=condition)
    rows = release.sql(
        "SELECT n, avg(chance) AS chance FROM identification_curve WHERE subject = '*' AND "
        "trials = 'means' AND method = 'normalised' AND \"set\" = 'own' AND among = 'all' AND "
        "roi = ? AND condition = ? GROUP BY n ORDER BY n",
        [roi, condition],
    )
    (exchanged,) = (line for line in curve.lines if line.get_label() == "exchanged images")
    np.testing.assert_allclose(exchanged.get_ydata(), rows["chance"])
    with pytest.raises(QueryError, match="no identification_summary with"):
        plot.identified(release, candidates="other", roi=roi)
