"""Identification: a recipe's key, from candidates to tables, verified and queried."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import unitdb
from tests.pipeline.identified import stated
from tests.pipeline.small import SUBJECTS, contents, lay_out, run
from tests.pipeline.test_test_sets import (  # noqa: F401 - lab is a fixture
    CONDITIONS,
    GROUPS,
    TESTED,
    activations_of,
    lab,
    variant,
)
from unitdb.analysis import q_values
from unitdb.errors import (
    NotKeptError,
    QueryError,
    RecipeError,
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
