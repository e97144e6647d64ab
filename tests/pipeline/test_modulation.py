"""Modulation end to end: built, published, verified, queried, and computed from files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unitdb
from tests.pipeline.levels import add_sets
from tests.pipeline.small import N_TRAIN, contents, lay_out, run
from tests.verification.consistent import Change
from unitdb.activations import Activations
from unitdb.errors import (
    CorruptReleaseError,
    DatasetError,
    QueryError,
    RecipeError,
    TransformationError,
    UnknownRoiError,
)
from unitdb.measures.biases import bias_at
from unitdb.recipes import read_recipe
from unitdb.responses import DatasetSpec, blur_picture, find_dataset
from unitdb.specs import read_spec
from unitdb.verification import verify
from unitdb.verification.recomputed import check_modulated

PIPELINES = Path(__file__).parents[2] / "pipelines"
NAMES = [f"{level}{of}" for of in ("", "-category") for level in ("sharp", "little", "much")]
KEYS = ["condition", "layer", "method", "roi"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    recipe = lay_out(tmp_path_factory.mktemp("modulation"))
    add_sets(recipe.parent)
    with recipe.open("a") as file:
        file.write("modulation: {draws: 3, simulations: 2, noise: [0.3, 1, 4]}\n")
    return recipe.parent


@pytest.fixture(scope="module")
def release(lab):
    return unitdb.open(run(lab / "recipe.yaml"))


def test_correlations_are_over_units_with_stimulus_and_original(lab, release):
    rows = release.table("modulation")
    assert len(rows) == 6 * 4 * 2 * 2 * 2 * 3  # sets, pictures, layers, methods, ROIs, subjects
    (stored,) = [
        store
        for path in (lab / "releases" / ".cache").iterdir()
        if path.is_dir()
        for store in [Activations.open(path)]
    ]
    layer = "scores"  # all of its units are kept
    values = stored.block(layer, 0, stored.n_units(layer)).astype(float)
    of = dict(zip(stored.stimulus_ids, values, strict=True))
    train = np.stack([of[f"picture-{number:02d}"] for number in range(N_TRAIN)])
    mean, sd = train.mean(axis=0), train.std(axis=0, ddof=1)
    predicted = release.table("prediction").query("layer == @layer")
    for row in rows[rows["layer"] == layer].itertuples():
        own = predicted[
            (predicted["condition"] == row.condition)
            & (predicted["roi"] == row.roi)
            & (predicted["subject"] == row.subject)
            & (predicted["stimulus"] == row.stimulus)
        ].sort_values("unit")
        assert len(own) == 5  # the sixth answers the same to every picture, and is not kept
        scale = sd[1:] if row.method == "normalised" else 1.0
        p = (own["predicted"].to_numpy() - mean[1:]) / scale
        if row.method == "abdelhack2018":
            p = np.append(0, p)
        for name, stimulus in (("r_stimulus", row.stimulus), ("r_original", row.stimulus[:10])):
            f = (of[stimulus][1:] - mean[1:]) / scale
            f = f if row.method == "normalised" else np.append(0, f)
            assert getattr(row, name) == pytest.approx(np.corrcoef(p, f)[0, 1], abs=1e-5)


def test_sharp_pictures_have_no_gain_and_controls_are_matched_on_them(release):
    rows = release.table("modulation")
    sharp = rows[rows["condition"].astype(str).str.startswith("sharp")]
    for control, share in (("noise", 0.8), ("null", 0.8)):
        matched = rows[f"{control}_snr"].notna()
        assert share < matched.mean()
        assert (rows[f"{control}_gain"].notna() == matched).all()
        np.testing.assert_allclose(sharp[f"{control}_gain"].dropna(), 0, atol=1e-12)
    means = sharp.groupby(["layer", "method", "roi", "subject"], observed=True)[
        ["r_original", "noise_r_original"]
    ].mean()
    reachable = means["r_original"].between(0.05, 0.9)
    assert reachable.sum() > 10
    near = (means["r_original"] - means["noise_r_original"]).abs()[reachable]
    assert near.max() < 0.03
    assert not np.allclose(rows["noise_gain"], rows["null_gain"])


def test_the_summary_is_over_pictures_and_subjects_beside_the_simulated_bias(release):
    rows, summary = (release.table(name) for name in ("modulation", "modulation_summary"))
    assert len(summary) == 6 * 2 * 2 * 2 * 2
    assert summary["bias"].notna().mean() > 0.3  # else no simulated brain decodes as well, or badly
    assert (summary["bias_se"].dropna() >= 0).all()
    np.testing.assert_allclose(summary["excess"], summary["gain"] - summary["bias"], atol=1e-12)
    wide = rows.rename(columns={"noise_gain": "noise", "null_gain": "encode-decode"})
    long = wide.melt([*KEYS, "subject", "stimulus"], ["noise", "encode-decode"], "control")
    expected = long.groupby([*KEYS, "control", "subject"], observed=True)["value"].mean()
    expected = expected.groupby([*KEYS, "control"], observed=True).mean()
    found = summary.set_index([*KEYS, "control"])
    assert found["gain"].to_dict() == pytest.approx(expected.to_dict(), abs=1e-12, nan_ok=True)
    sharp = found.index.get_level_values("condition").astype(str).str.startswith("sharp")
    tested = ~sharp & found["bias"].notna()
    for p in ("p", "sign_p"):
        assert found[p].notna().to_numpy().tolist() == tested.tolist()
    assert (found["sign_p"].dropna() >= 1 / 8).all()  # three subjects
    assert (found["q"] >= found["p"]).sum() == tested.sum()
    assert ((found["excess_high"] - found["excess_low"]) >= 0)[tested].all()
    half = (found["excess_high"] - found["excess_low"]) / (found["gain_high"] - found["gain_low"])
    assert (half[tested] > 1).all()  # the error of the bias is in it
    assert (found["gain_low"] <= found["gain"]).all()


def test_the_prior_is_compared_at_the_same_level(release):
    summary = release.table("modulation_summary")
    gain = summary.set_index([*KEYS, "control"])["gain"]
    for row in summary.itertuples():
        place = (row.layer, row.method, row.roi, row.control)
        if row.condition in ("little-category", "much-category"):
            other = gain[(row.condition.removesuffix("-category"), *place)]
            if pd.isna(row.gain) or pd.isna(other):
                continue
            assert row.prior_effect == pytest.approx(row.gain - other)
            assert row.prior_low < row.prior_effect < row.prior_high
            assert 1 / 8 <= row.prior_sign_p <= 1
            assert 0 < row.prior_p <= row.prior_q <= 1
            assert (row.prior_p < 0.025) == (row.prior_low > 0)
        else:
            assert pd.isna(row.prior_effect)


def test_stimuli_say_what_they_were_made_from(lab, release):
    stimuli = release.table("stimuli", ["stimulus", "original", "level", "source", "sha256"])
    made = stimuli[stimuli["original"].notna()]
    assert len(made) == 16
    assert set(made["level"]) == {1, 2}
    assert (made["original"] == made["stimulus"].str[:10]).all()
    assert stimuli.set_index("stimulus").loc["picture-20", "level"] == 0
    assert (stimuli["level"].isna() == (stimuli["stimulus"] < "picture-14")).all()
    assert blur_picture(np.zeros((2, 2, 3), np.uint8), kind="box", size=0.9).shape == (2, 2, 3)


@pytest.mark.robust(
    "verification",
    given="bias, excess, p and q of a release changed together, or what simulated brains gave",
    before="not seen: nothing said what the simulated brains gave",
    now="table modulation_simulated says it, and all of these are computed again from it",
)
@pytest.mark.parametrize(
    ("table", "columns", "step"),
    [
        ("summary", ["gain_low"], 0.01),
        ("summary", ["p"], 0.05),
        ("summary", ["prior_high"], 0.01),
        ("summary", ["bias", "excess", "excess_low", "excess_high"], 0.01),
        ("simulated", ["noise_gain"], 0.01),
    ],
)
def test_verify_computes_the_summary_again(release, tmp_path, table, columns, step):
    shutil.copytree(release.path.parents[1], tmp_path / "copy")
    folder = tmp_path / "copy" / release.path.parent.name / release.path.name
    signs = {name: -1 if name.startswith("excess") else 1 for name in columns}

    def changed(row):
        own = {name: row[name] for name in columns if row[name] is not None}
        return row | {name: min(of + signs[name] * step, 1) for name, of in own.items()}

    change = Change(
        name=f"modulation_{table}.{columns[0]}",
        file=f"modulation_{table}.parquet",
        rows=lambda rows: [changed(row) for row in rows],
    )
    assert change.make(folder)
    with pytest.raises(CorruptReleaseError, match=columns[0] if table == "summary" else "bias is"):
        verify(folder)


def test_an_unchanged_release_is_verified(release):
    rows = verify(release.path).rows
    assert rows["modulation_summary"] == 96
    assert rows["modulation_simulated"] == 6 * 2 * 2 * 2 * 3 * 2  # noises and brains


@pytest.mark.slow
def test_it_changes_nothing_else(lab, release):
    text = (lab / "recipe.yaml").read_text()
    plain = lab / "plain.yaml"
    plain.write_text(text.split("modulation:")[0].replace("name: small", "name: plain"))
    found, own = contents(run(plain)), contents(release.path)
    assert "modulation.parquet" not in found
    for name in ("layer_summary.parquet", "unit_histogram.parquet", "intersubject.parquet"):
        assert found[name] == own[name]


@pytest.mark.slow
def test_published_predictions_are_read_and_computed_again(lab, release, tmp_path):
    text = (lab / "recipe.yaml").read_text().replace("name: small", "name: published")
    path = lab / "published.yaml"
    path.write_text(
        f"{text}predictions: {{units: all}}\n"
        "identification: {sets: {own: {kind: own}}, features: true, methods: [normalised]}\n"
    )
    other = unitdb.open(run(path))
    pd.testing.assert_frame_equal(release.table("modulation"), other.table("modulation"))
    assert any("correlations of modulation" in check for check in verify(other.path).checks)
    assert any("`predictions`" in why for why in verify(release.path).unknown)
    for column, condition in (("r_original", "much"), ("r_stimulus", "sharp")):
        copy = tmp_path / column / other.name / other.version
        shutil.copytree(other.path, copy)
        table = pq.read_table(copy / "modulation.parquet")
        rows = table.to_pylist()
        of = next(row for row in rows if row["condition"] == condition and row[column] is not None)
        of[column] += 1e-4
        pq.write_table(pa.Table.from_pylist(rows, table.schema), copy / "modulation.parquet")
        with pytest.raises(CorruptReleaseError, match=f"{of['stimulus']}: {column} is"):
            check_modulated(copy)


@pytest.mark.robust(
    "recipes",
    given="modulation where no test set has a level, no picture is shown as it is, voxels are "
    "virtual, or the ROI is not decoded",
    before="there was no such measure",
    now="one error that names what is missing, before anything is computed",
)
def test_what_cannot_be_measured_is_said_before_anything_is_computed(lab):
    text = (lab / "recipe.yaml").read_text().replace("name: small", "name: wrong")
    path = lab / "wrong.yaml"
    path.write_text(f"{text}tests: [perception]\n")
    with pytest.raises(RecipeError, match="no test set that is decoded has a `level`"):
        run(path)
    path.write_text(f"{text}tests: [little, much]\n")
    with pytest.raises(RecipeError, match=r"little, much\) show no picture as it is"):
        run(path)
    rules = "transformations: {voxel_selection: false, reason: they are virtual}\n"
    (lab / "virtual.yaml").write_text((lab / "mine.yaml").read_text() + rules)
    virtual = text.replace("mine.yaml", "virtual.yaml").replace("voxels: 10", "voxels: all")
    path.write_text(virtual)
    with pytest.raises(TransformationError, match=r"as an encoder does.*they are virtual"):
        run(path)
    path.write_text(text.replace("{draws", "{rois: [V9], draws"))
    with pytest.raises(UnknownRoiError, match="V9"):
        run(path)


def test_the_page_and_the_report_show_gains_beside_the_bias(release, monkeypatch):
    pytest.importorskip("streamlit", reason="needs unitdb[app]")
    from streamlit.testing.v1 import AppTest

    from unitdb.browser import report

    monkeypatch.setenv("UNITDB_RELEASE", str(release.path))
    app = AppTest.from_string(
        "from unitdb.browser._app import show\nshow('modulation')", default_timeout=120
    )
    app.query_params["condition"] = "much-category"
    app.query_params["roi"] = "IT"
    app.run()
    assert not app.exception, app.exception[0].value
    assert len(app.get("vega_lite_chart")) == 2
    gains, priors = (frame.value for frame in app.dataframe)
    summary = release.table("modulation_summary")
    expected = summary.query(
        "condition == 'much-category' and roi == 'IT' and method == 'abdelhack2018'"
    )
    assert sorted(gains["bias"].dropna()) == sorted(expected["bias"].dropna())
    assert len(gains) == len(expected)  # also those without a bias
    assert set(priors["condition"]) == {"little-category", "much-category"}
    assert "what brains without any top-down effect" in "\n".join(c.value for c in app.caption)
    page = report.html(release)
    assert "Degraded pictures: mine, mynet" in page
    assert "red: the bias of simulated brains" in page


def test_the_bias_is_read_off_where_brains_decode_as_well():
    rng = np.random.default_rng(0)
    r = rng.uniform(0.1, 0.5, (3, 6))
    curve = 0.3 - 0.2 * r + 0.5 * r**2
    assert bias_at(r, curve, 0.3) == pytest.approx((0.285, 0), abs=1e-9)
    gains = curve + rng.normal(0, 0.01, r.shape)
    coefficients, covariance = np.polyfit(r.ravel() - 0.3, gains.ravel(), 2, cov=True)
    expected = coefficients[-1], np.sqrt(covariance[-1, -1])
    assert bias_at(r, gains, 0.3) == pytest.approx(expected)
    one = bias_at(r[:1], gains[:1], np.median(r[0]))
    assert one == pytest.approx((gains[0].mean(), gains[0].std(ddof=1) / np.sqrt(6)))
    assert np.isnan(bias_at(r, gains, np.nan)).all()
    r[0, 0] = np.nan  # a brain whose control could not be matched: the others stay
    expected = np.polyfit(r[~np.isnan(r)] - 0.3, gains[~np.isnan(r)], 2)[-1]
    assert bias_at(r, gains, 0.3)[0] == pytest.approx(expected)


@pytest.mark.robust(
    "numbers",
    given="brains that decode better, or worse, than all simulated ones (r .3; .07 to .20)",
    before="the bias of the best, or of the worst, was given",
    now="no bias, excess or p (NULL); the gain stays",
)
@pytest.mark.parametrize("r", [0.05, 0.3, 0.5])
def test_no_bias_is_known_where_no_simulated_brain_is(r):
    reached = np.linspace(0.07, 0.2, 12).reshape(3, 4)
    assert np.isnan(bias_at(reached, reached - 0.2, r)).all()
    assert bias_at(reached, reached - 0.2, 0.2)[0] == pytest.approx(0)


@pytest.mark.parametrize("name", ["blur", "sample-topdown"])
def test_the_shipped_recipes_name_sets_with_levels(name):
    recipe = read_recipe(PIPELINES / f"{name}.yaml")
    (of,) = recipe.datasets
    dataset = read_spec(find_dataset(of), DatasetSpec, DatasetError)
    sets = dataset.responses.tests
    chosen = recipe.tests_of(of) or list(sets)
    assert all(sets[each].level is not None for each in chosen)
    assert any(sets[each].targets == "pictures" for each in chosen)
    assert recipe.modulation is not None


def test_the_figure_shows_gains_beside_the_bias(release):
    plot = pytest.importorskip("unitdb.plot", reason="needs unitdb[plot]")
    rows = release.table("modulation_summary").query(
        "control == 'noise' and method == 'abdelhack2018'"
    )
    roi, condition = rows["roi"].iloc[0], "much-category"
    rows = rows[(rows["roi"] == roi) & (rows["condition"] == condition)]
    axes = plot.modulation(release, roi=roi, condition=condition)
    gains = np.ma.getdata(axes.collections[-1].get_offsets())[:, 1]
    np.testing.assert_allclose(np.sort(gains), np.sort(rows["gain"]))
    np.testing.assert_allclose(np.sort(axes.lines[0].get_ydata()), np.sort(rows["bias"]))
    with pytest.raises(QueryError, match="there are several: choose condition="):
        plot.modulation(release, roi=roi)
