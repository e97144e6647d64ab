"""Published BH scores: as their publication has them, each property with a source."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner
from hypothesis import given, strategies as st

import unitdb
from unitdb.cli import main
from unitdb.errors import QueryError, UnknownColumnError
from unitdb.reference import (
    bhscore,
    bhscore_correlations,
    bhscore_layers,
    bhscore_properties,
    place,
)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["reference", "bhscore", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_scores_are_those_of_29_networks_and_their_average_is_the_mean_of_both() -> None:
    scores = bhscore()
    assert len(scores) == scores["dnn"].nunique() == 29
    assert scores["rank"].tolist() == list(range(1, 30))
    assert scores["bh_average"].is_monotonic_decreasing
    mean = scores[["bh_decoding", "bh_encoding"]].mean(axis=1)
    pd.testing.assert_series_equal(scores["bh_average"], mean, check_names=False, rtol=1e-12)
    assert scores.loc[0, "dnn"] == "VGG-S"
    assert "10.1016/j.isci.2021.103013" in scores.attrs["citation"]


def test_each_network_has_its_layers_in_order_and_each_property_a_source() -> None:
    scores, layers, properties = bhscore(), bhscore_layers(), bhscore_properties()
    names = set(scores["dnn"])
    assert set(layers["dnn"]) == set(properties["dnn"]) == names
    for name, of in layers.groupby("dnn"):
        assert of["layer_index"].tolist() == list(range(len(of)))
        assert scores.set_index("dnn").loc[str(name), "n_layers"] == len(of)
    assert properties["source"].str.contains(r"doi:|arXiv:|commit [0-9a-f]{40}").all()
    assert not properties.duplicated(["dnn", "property"]).any()
    for name in properties["property"].unique():
        of = properties[properties["property"] == name].set_index("dnn")["value"]
        assert scores.set_index("dnn")[name].dropna().astype(float).to_dict() == of.to_dict()
    assert scores["top1"].notna().all()


def test_correlations_equal_scipys_and_the_published_signs() -> None:
    scores = bhscore()
    for row in bhscore_correlations().itertuples():
        known = scores.dropna(subset=row.property)
        test = scipy.stats.spearmanr(known[row.property].astype(float), known[row.score])
        assert (row.spearman, row.n) == (pytest.approx(test.statistic), len(known))
        if row.property == "top1":  # "negatively correlated with image recognition performance"
            assert row.n == 29
            assert row.spearman < 0


@given(score=st.floats(-1, 1) | st.sampled_from(bhscore()["bh_decoding"].tolist()))
def test_a_score_is_placed_as_if_it_were_sorted_in(score: float) -> None:
    found = place(score, by="bh_decoding")
    known = bhscore().set_index("dnn")["bh_decoding"]
    assert found.rank == 1 + int((known > score).sum())
    assert found.n == 29
    higher, lower = known[known >= score], known[known < score]
    assert found.above == ((higher.idxmin(), higher.min()) if len(higher) else None)
    assert found.below == ((lower.idxmax(), lower.max()) if len(lower) else None)


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(UnknownColumnError, match="did you mean 'bh_encoding'"):
        place(0.3, by="encoding")  # type: ignore[arg-type]
    for wrong in (1.2, float("nan")):
        with pytest.raises(QueryError, match="outside"):
            place(wrong)


def test_the_commands_print_what_the_functions_return(tmp_path: Path) -> None:
    for name, function in (
        ("scores", bhscore),
        ("layers", bhscore_layers),
        ("properties", bhscore_properties),
        ("correlations", bhscore_correlations),
    ):
        printed = pd.read_csv(io.StringIO(run(name, "--format", "csv")), comment="#")
        pd.testing.assert_frame_equal(printed, function(), check_dtype=False)
    rows = json.loads(run("--format", "json"))
    assert "Nonaka" in rows["citation"]
    assert rows["rows"][0]["dnn"] == "VGG-S"
    assert rows["simulated"] is False
    assert len(run().splitlines()) == 30
    run("--output", str(tmp_path / "bh.parquet"))
    assert len(pd.read_parquet(tmp_path / "bh.parquet")) == 29


def test_the_command_places_a_score() -> None:
    assert run("--place", "0.31").strip() == str(place(0.31))
    assert "has place 1 beside 29 published networks" in run("--place", "1", "--by", "bh_encoding")
    (row,) = json.loads(run("--place", "-0.5", "--format", "json"))["rows"]
    assert (row["rank"], row["below"], row["above"]) == (30, None, "Inception-v4")
    for arguments, message in (
        (("--by", "bh_encoding"), "give --place"),
        (("--place", "2"), "unitdb: error: BH score 2 is no correlation"),
        (("means",), "'means' is not one of"),
    ):
        result = CliRunner().invoke(main, ["reference", "bhscore", *arguments])
        assert result.exit_code == 2
        assert message in result.stderr


def test_the_package_offers_the_reference() -> None:
    assert unitdb.reference.bhscore().equals(bhscore())
