"""The benchmarks run, and what they compare is equal."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys

import pytest

from tests.acceptance.conftest import ROOT

pytestmark = pytest.mark.slow


def measured(script, out, *options):
    command = [sys.executable, ROOT / "benchmarks" / script, "--quick", "--out", out, *options]
    subprocess.run([str(part) for part in command], check=True)
    return json.loads(out.read_text())


def test_decoding_is_equal_to_fastl2lir_and_the_others(tmp_path):
    venv = ROOT / "benchmarks" / ".fastl2lir-venv"
    found = measured(
        "decoding.py", tmp_path / "decoding.json", "--voxels", 400, 700, 1000, "--venv", venv
    )
    assert found["data"] == "simulated"
    assert [size["n_voxels"] for size in found["measurements"]] == [400, 700, 1000]
    for size in found["measurements"]:
        ways = {way["way"]: way for way in size["ways"]}
        assert "fastl2lir float64" in ways
        assert ways["unitdb single"]["max_difference"] <= 1e-5
        assert ways["unitdb double"]["max_difference"] <= 1e-10
        for name in ("unitdb single", "unitdb double"):
            assert ways[name]["max_difference_reference"] <= 1e-5
            assert ways[name]["units_per_second"] > 0


def test_scaling_is_measured_and_workers_give_the_same_bytes(tmp_path, realdata):
    found = measured("scaling.py", tmp_path / "scaling.json", "--repeats", 1, "--data", realdata)
    for what in ("units", "voxels"):  # of two short times the exponent says nothing
        assert len(found[what]["seconds"]) == len(found[what]["sizes"]) == 2
        assert all(seconds > 0 for seconds in found[what]["seconds"])
        assert math.isfinite(found[what]["exponent"])
    assert found["workers"]["same"]
    assert found["workers"]["n_units"] == 1000
    assert set(found["workers"]["seconds"]) == {"1", "2"}


def test_statistics_are_measured(tmp_path):
    found = measured("analysis.py", tmp_path / "analysis.json", "--repeats", 1)
    assert all(seconds > 0 for seconds in found["seconds"].values())
    assert "numpy.corrcoef of each pair" in found["seconds"]


def test_bh_score_is_the_published_one_and_faster(tmp_path):
    found = measured("bh_score.py", tmp_path / "bh_score.json", "--repeats", 1)
    assert found["data"] == "simulated"
    assert found["max_difference"] <= 1e-13
    assert found["ratios"]["nonaka2021"] > 0
    assert set(found["ratios"]) < set(found["seconds"])


def test_queries_are_measured(tmp_path):
    def run(script, *options):
        command = [str(part) for part in (sys.executable, ROOT / "benchmarks" / script, *options)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout

    made, measured_ = tmp_path / "made.json", tmp_path / "queries.json"
    run("make_release.py", tmp_path, "--scale", 0.01, "--name", "a", "--bare", "--out", made)
    written = json.loads(run("make_release.py", tmp_path, "--scale", 0.01, "--writing"))
    same = ("accuracies", "bytes_per_accuracy")
    assert {name: written[name] for name in same} == {
        name: json.loads(made.read_text())[name] for name in same
    }
    assert json.loads(made.read_text())["accuracies"] == 8_546_715
    run("queries.py", tmp_path / "a" / "1.0.0", "--repeats", 1, "--out", measured_)
    found = json.loads(measured_.read_text())
    (queries,) = [release["queries"] for release in found["releases"].values()]
    assert all(times["warm_ms"] > 0 for times in queries.values())
    assert "MATLAB files: top 100 in one ROI" in found["baselines"]


def test_the_browser_is_measured(tmp_path):
    """UNITDB_BENCHMARK_SCALE=1 takes the published size: 5 GB and a quarter of an hour."""
    pytest.importorskip("streamlit", reason="needs unitdb[app]")
    pytest.importorskip("playwright", reason="needs playwright")
    if not (shutil.which("chromium") or shutil.which("chromium-browser")):
        pytest.skip("needs Chromium on PATH")
    scale, out = os.environ.get("UNITDB_BENCHMARK_SCALE", "0.02"), tmp_path / "browser.json"
    for script, *options in (
        ("make_release.py", tmp_path, "--scale", scale, "--name", "c", "--bare"),
        ("browser.py", tmp_path / "c" / "1.0.0", "--rounds", 4, "--out", out),
    ):
        command = [sys.executable, ROOT / "benchmarks" / script, *options]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    found = json.loads(out.read_text())
    visited = {"first page, release not opened", "unit", "unit that is kept", "layer"}
    assert visited < found["seconds"].keys()
    assert found["memory_gb"] <= 1.5


def test_a_whole_simulated_release_is_sound(tmp_path):
    """With all statistics, verified as it is published."""
    command = [sys.executable, ROOT / "benchmarks" / "make_release.py", tmp_path]
    options = ["--scale", 0.004, "--name", "b"]
    subprocess.run([str(part) for part in (*command, *options)], check=True)
    assert (tmp_path / "b" / "1.0.0" / "SHA256SUMS").exists()
