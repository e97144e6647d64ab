from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from tests.tiny import accuracies, remake_sums, stage
from unitdb.errors import CorruptReleaseError, SchemaError, SchemaVersionError
from unitdb.files import SUMS, files_below
from unitdb.release.rows import check_order, distinct
from unitdb.release.verification import verify
from unitdb.release.verification._summaries import (
    Decoded,
    layer_rows,
    pair_rows,
    ranks_by,
    unit_columns,
)
from unitdb.schema import TABLES

CONV = "dataset=sim-a/condition=perception/model=net/layer=conv1/part-0.parquet"
FC = "dataset=sim-a/condition=perception/model=net/layer=fc/part-0.parquet"
OTHER_FC = FC.replace("sim-a", "sim-b")
OTHER = "ba9876543210"
Rows = list[dict[str, Any]]


def edit(folder: Path, file: str, change: Callable[[Rows], Rows | None]) -> None:
    """Change rows of a Parquet file behind the writer's back, and make the checksums fit."""
    spec = TABLES[file.split("/")[0].removesuffix(".parquet")]
    rows = pq.ParquetFile(folder / file).read().to_pylist()
    rows = change(rows) or rows
    pq.write_table(pa.Table.from_pylist(rows, schema=spec.arrow_schema()), folder / file)
    remake_sums(folder)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "datapackage.json"
    package = json.loads(path.read_text())
    change(package)
    path.write_text(json.dumps(package))
    remake_sums(folder)


def test_sound_release(tiny_release: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = verify(tiny_release, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert report.rows["accuracy"] == 224
    assert report.rows["intersubject"] == 12
    assert report.n_files == len(files_below(tiny_release)) - 1
    assert "tiny 1.0.0 is sound" in str(report)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layers.parquet", "README.md", f"accuracy/{CONV}"])
def test_flipped_byte(tiny_copy: Path, name: str) -> None:
    path = tiny_copy / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptReleaseError, match=f"changed: {name}"):
        verify(tiny_copy)


def test_missing_and_extra_files(tiny_copy: Path) -> None:
    (tiny_copy / "recipe.yaml").rename(tiny_copy / "recipe.yml")
    with pytest.raises(CorruptReleaseError, match=r"missing: recipe\.yaml"):
        verify(tiny_copy)
    shutil.copy(tiny_copy / "recipe.yml", tiny_copy / "recipe.yaml")
    with pytest.raises(CorruptReleaseError, match=r"not in SHA256SUMS: recipe\.yml"):
        verify(tiny_copy)


def test_files_that_have_checksums_but_do_not_belong(tiny_copy: Path) -> None:
    (tiny_copy / "notes.txt").write_text("a note")
    (tiny_copy / "recipe.yaml").unlink()
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=r"differ from .*: notes\.txt, recipe\.yaml"):
        verify(tiny_copy)


def test_empty_folders_and_links_to_folders_do_not_belong(tiny_copy: Path) -> None:
    (tiny_copy / "accuracy" / "dataset=sim-c").mkdir()
    with pytest.raises(CorruptReleaseError, match="not a file: accuracy/dataset=sim-c"):
        verify(tiny_copy)
    (tiny_copy / "accuracy" / "dataset=sim-c").rmdir()
    (tiny_copy / "link").symlink_to(tiny_copy / "accuracy", target_is_directory=True)
    with pytest.raises(CorruptReleaseError, match="not a file: link"):
        verify(tiny_copy)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("README.md", "", "is empty"),
        ("CITATION.cff", "\n", "is empty"),
        ("recipe.yaml", "", "is empty"),
        ("croissant.json", "", "cannot be read"),
        ("croissant.json", "{}", "is empty"),
        ("croissant.json", "[1]", "is empty or no JSON object"),
        ("dataset_description.json", '{"Name": ', "cannot be read"),
    ],
)
def test_metadata_that_say_nothing(tiny_copy: Path, name: str, text: str, message: str) -> None:
    (tiny_copy / name).write_text(text)
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=f"{name}: {message}"):
        verify(tiny_copy)


@pytest.mark.parametrize("other", ["tiny/1.0.1", "small/1.0.0"])
def test_folder_of_another_name(tiny_copy: Path, other: str) -> None:
    moved = tiny_copy.parent.parent / other
    moved.parent.mkdir(exist_ok=True)
    tiny_copy.rename(moved)
    with pytest.raises(CorruptReleaseError, match=r"the folder must be tiny/1\.0\.0"):
        verify(moved)
    assert verify(moved, staged=True).version == "1.0.0"


def test_sums_that_are_none(tiny_copy: Path) -> None:
    (tiny_copy / SUMS).write_text("nonsense\n")
    with pytest.raises(CorruptReleaseError, match="not a line of checksum and file"):
        verify(tiny_copy)
    (tiny_copy / SUMS).unlink()
    with pytest.raises(CorruptReleaseError, match="cannot be read"):
        verify(tiny_copy)


def test_truncated_parquet(tiny_copy: Path) -> None:
    path = tiny_copy / "accuracy" / FC
    path.write_bytes(path.read_bytes()[:-20])
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match=r"layer=fc/part-0\.parquet: not a readable"):
        verify(tiny_copy)


def test_newer_schema(tiny_copy: Path) -> None:
    edit_manifest(tiny_copy, lambda package: package["unitdb"].update(schema="9.0"))
    with pytest.raises(SchemaVersionError, match="upgrade"):
        verify(tiny_copy)


def resource(package, table: str):
    (found,) = [each for each in package["resources"] if each["name"] == table]
    return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["unitdb"].update(n_accuracies=1), "states 1 accuracies; there are 224"),
        (lambda p: p["unitdb"].update(simulated=False), "states simulated = False"),
        (lambda p: p["resources"].pop(), "lists the tables"),
        (lambda p: resource(p, "accuracy")["path"].pop(), "files differ"),
        (lambda p: p["resources"][0]["schema"]["fields"].pop(), "not the schema of the table"),
    ],
)
def test_manifest_that_disagrees(tiny_copy: Path, change, message: str) -> None:
    edit_manifest(tiny_copy, change)
    with pytest.raises(CorruptReleaseError, match=message):
        verify(tiny_copy)


def test_rows_in_the_wrong_folder(tiny_copy: Path) -> None:
    for table in ("accuracy", "unit_summary"):
        one, other = tiny_copy / table / CONV, tiny_copy / table / FC
        content = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(content)
    remake_sums(tiny_copy)
    with pytest.raises(CorruptReleaseError, match="another partition than the folder says"):
        verify(tiny_copy)


def test_partition_without_summary(tiny_copy: Path) -> None:
    shutil.rmtree((tiny_copy / "unit_summary" / FC).parent)
    edit_manifest(
        tiny_copy,
        lambda p: resource(p, "unit_summary").update(
            path=[path for path in resource(p, "unit_summary")["path"] if not path.endswith(FC)]
        ),
    )
    with pytest.raises(CorruptReleaseError, match="unit_summary has no partition sim-a/perception"):
        verify(tiny_copy)


# --- rows -----------------------------------------------------------------------------------------


def set_(index: int, **values: object) -> Callable[[Rows], None]:
    return lambda rows: rows[index].update(values)


def nudge(column: str, by: float, row: int = 0) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[row][column] += by

    return change


def without(roi: str, subject: str) -> Callable[[Rows], Rows]:
    return lambda rows: [r for r in rows if (r["roi"], r["subject"]) != (roi, subject)]


def scale(column: str, by: float) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[0][column] *= by

    return change


def exchange(column: str) -> Callable[[Rows], None]:
    """Exchange a value with the first other one."""

    def change(rows: Rows) -> None:
        other = next(row for row in rows if row[column] != rows[0][column])
        rows[0][column], other[column] = other[column], rows[0][column]

    return change


def add_roi(rows: Rows) -> Rows:
    return [*rows[:2], {**rows[1], "roi": "V9", "place": 2}, *rows[2:]]


def swap_ranks(rows: Rows) -> None:
    """The first two rows change places, but for their ranks."""
    for column in set(rows[0]) - {"rank"}:
        rows[0][column], rows[1][column] = rows[1][column], rows[0][column]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        (f"accuracy/{FC}", set_(3, r=float("nan")), "1 NaN"),
        (f"accuracy/{FC}", set_(3, r=1.01), "above the maximum"),
        (f"accuracy/{FC}", lambda rows: [rows[0], *rows], "stands twice"),
        (f"accuracy/{FC}", lambda rows: rows[::-1], "strictly increasing"),
        (f"unit_summary/{FC}", lambda rows: rows[::-1], "strictly increasing"),
        ("layers.parquet", lambda rows: rows[::-1], "strictly increasing"),
        ("layers.parquet", set_(0, layer="a b"), "does not match"),
    ],
)
def test_rows_that_break_the_schema(tiny_copy: Path, file: str, change, message: str) -> None:
    edit(tiny_copy, file, change)
    with pytest.raises(SchemaError, match=message) as caught:
        verify(tiny_copy)
    assert file in str(caught.value)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        # keys
        (f"accuracy/{FC}", set_(59, build="f" * 12), "not in table 'builds': ffffffffffff"),
        (f"accuracy/{FC}", set_(59, subject="S9"), "not in table 'subjects': sim-a/S9/V4"),
        ("subjects.parquet", lambda rows: rows[:-1], "not in table 'subjects': sim-b/S1/V4"),
        ("layers.parquet", lambda rows: rows[:1], "model, layer not in table 'layers': net/fc"),
        ("models.parquet", set_(0, n_layers=3), "n_layers is 3, but there are 2"),
        ("layers.parquet", set_(1, n_units=9), "n_units is 9, but the shape is"),
        ("layers.parquet", set_(1, n_units=9, shape=[9]), "unit 9 does not exist"),
        ("datasets.parquet", set_(0, n_subjects=2), "n_subjects is 2, but there are 3"),
        ("datasets.parquet", set_(0, n_stimuli=3), "n_stimuli is 3, but there are 100"),
        ("datasets.parquet", set_(1, n_stimuli=99), "n_stimuli is 99, but there are 100"),
        ("rois.parquet", add_roi, "subjects: sim-a: no row of ROI and subject V9/S1, V9/S2, V9/S3"),
        ("rois.parquet", set_(1, place=0), "rois: sim-a: place 0 stands twice"),
        ("layers.parquet", set_(1, depth=0), "layers: net: depth 0 stands twice"),
        ("layers.parquet", set_(1, shape=[None]), r"but the shape is \[None\]"),
        ("layers.parquet", set_(1, shape=[-2, -5]), r"but the shape is \[-2, -5\]"),
        ("layers.parquet", set_(1, shape=[], n_units=1), r"but the shape is \[\]"),
        ("models.parquet", set_(0, model_sha256="1" * 64), "inputs: model is '0000"),
        ("subjects.parquet", set_(0, responses_sha256="1" * 64), "inputs: responses are not"),
        ("builds.parquet", set_(0, inputs='{"responses":{"S1":[]}}'), "inputs: responses are"),
        ("builds.parquet", set_(0, inputs='{"responses":[]}'), "inputs: responses are not"),
        ("builds.parquet", set_(0, recipe_sha256="1" * 64), "recipe_sha256 is '1111"),
        ("builds.parquet", set_(0, decoder="alpha"), "decoder is not a JSON object: 'alpha'"),
        ("builds.parquet", set_(0, inputs="[]"), "inputs is not a JSON object"),
        ("builds.parquet", set_(0, packages=""), "packages is not a JSON object"),
        ("builds.parquet", set_(0, units="null"), "units is not a JSON object"),
        ("builds.parquet", set_(0, units="{}"), "expected .*sample"),
        ("builds.parquet", set_(0, units='{"sample":0,"seed":0}'), "expected .*sample"),
        ("builds.parquet", set_(0, units='{"sample":9,"seed":0}'), "18 units, but .* selects 9"),
        ("builds.parquet", list.clear, "builds: there is none"),
        ("builds.parquet", lambda rows: rows[:1], "none of dataset sim-b"),
        # units kept image by image
        ("prediction.parquet", set_(0, predicted=9.0), "net/conv1/7, V1, S1: predictions give r"),
        ("activation.parquet", set_(0, activation=9.0), "predictions give r"),
        ("prediction.parquet", lambda rows: rows[1:], "99 test images; table 'subjects' says 100"),
        ("prediction.parquet", lambda rows: rows[600:], "not those of table 'activation'"),
        ("activation.parquet", lambda rows: rows[1:], "no activation for stimulus 'sim-a 00'"),
        ("activation.parquet", set_(0, stimulus="other"), "not in table 'stimuli': sim-a/other"),
        # completeness
        (f"accuracy/{FC}", lambda rows: [{**r, "build": OTHER} for r in rows], "is of sim-b/net"),
        (f"accuracy/{FC}", set_(59, build=OTHER), f"of several builds: 0123456789ab, {OTHER}"),
        (f"accuracy/{FC}", lambda rows: rows[:-1], "V4/S3 has 9 units and V1/S1 10"),
        (f"accuracy/{FC}", without("V4", "S3"), "not all ROIs .*: V4/S3"),
        # summaries
        (f"accuracy/{FC}", set_(3, r=0.0), "the accuracies give"),
        (f"accuracy/{FC}", set_(3, r=None), "the accuracies give"),
        (f"unit_summary/{FC}", set_(3, n_subjects=2), r"V1/\d+: n_subjects is 2, but .* give 3"),
        (f"unit_summary/{FC}", nudge("mean_r", 2e-4), r"V1/\d+: mean_r is"),
        (f"unit_summary/{FC}", nudge("sd_r", 2e-4), r"V1/\d+: sd_r is"),
        (f"unit_summary/{FC}", nudge("min_r", -2e-4), r"V1/\d+: min_r is"),
        (f"unit_summary/{FC}", nudge("max_r", 2e-4), r"V1/\d+: max_r is"),
        (f"unit_summary/{FC}", nudge("mean_r", 4e-6), r"V1/\d+: mean_r is"),
        (f"unit_summary/{FC}", nudge("min_r", 2e-7), r"V1/\d+: min_r is"),
        (f"unit_summary/{FC}", nudge("max_r", -2e-7), r"V1/\d+: max_r is"),
        ("layer_summary.parquet", nudge("mean_r", 4e-6), "mean_r is"),
        (f"unit_summary/{FC}", set_(0, sd_r=None), r"V1/\d+: sd_r is nan"),
        (f"unit_summary/{FC}", swap_ranks, r"V1/\d+: rank is"),
        (f"unit_summary/{FC}", lambda rows: rows[:-1], "V4: units are not those"),
        (f"unit_summary/{FC}", lambda rows: rows[:10], "ROIs are not those"),
        (f"unit_summary/{FC}", nudge("lead_r", 4e-6), r"V1/\d+: lead_r is"),
        ("accuracy_histogram.parquet", lambda rows: rows[1:], r"V1/S1/-?\d+: the row is missing"),
        ("unit_histogram.parquet", nudge("n_units", 1), "n_units is"),
        ("minimum_histogram.parquet", nudge("n_units", 1), "minimum_histogram: .*: n_units is"),
        ("minimum_histogram.parquet", lambda rows: rows[1:], r"V1/-?\d+: the row is missing"),
        ("layer_summary.parquet", lambda rows: rows[1:], "layer_summary: .*V1/S1: the row is miss"),
        ("layer_summary.parquet", set_(0, n_undefined=0), "n_undefined is 0, but .* give 1"),
        ("layer_summary.parquet", nudge("median_r", 2e-4), "median_r is"),
        ("layer_summary.parquet", nudge("q05_r", 2e-4), "q05_r is"),
        ("layer_summary.parquet", set_(0, mean_r=None), "mean_r is nan"),
        ("intersubject.parquet", lambda rows: rows[1:], "V1/S1/S2: the row is missing"),
        ("intersubject.parquet", nudge("n_units", 1), "n_units is 17, but .* give 16"),
        ("intersubject.parquet", nudge("pearson_r", 2e-4), "pearson_r is"),
        ("intersubject.parquet", nudge("spearman_r", -2e-4), "spearman_r is"),
        # significance
        ("intersubject.parquet", nudge("prediction_r", 0.01), "p is .*, but the accuracies and"),
        (
            "builds.parquet",
            set_(0, significance='{"test":"t"}'),
            "p is .*, but the accuracies and builds",
        ),
        (f"unit_summary/{FC}", scale("p", 1.01), "V1/0: p is .*, but the accuracies"),
        (f"unit_summary/{FC}", set_(0, p=None), "V1/0: p is nan, but the accuracies"),
        (f"unit_summary/{FC}", scale("q", 1.001), "sim-a/perception/net/V1: q of p ="),
        (f"unit_summary/{FC}", set_(0, q=None), "sim-a/perception/net/V1: q of p = .* is nan"),
        (f"unit_summary/{OTHER_FC}", set_(0, p=0.5), r"V1/\d+: p is 0.5, but .* give nan"),
        ("layer_summary.parquet", nudge("n_significant", 1), "n_significant is .*, but the acc"),
        ("layer_summary.parquet", set_(0, n_significant=None), "n_significant is None"),
        ("layer_summary.parquet", set_(-1, n_significant=0), "is 0, but .* give None"),
        ("layer_summary.parquet", set_(0, mean_low=0.1), "mean None has the interval 0.1 to None"),
        ("intersubject.parquet", set_(0, pearson_low=0.9, pearson_high=-0.9), "0.9 to -0.9"),
        ("intersubject.parquet", set_(0, pearson_low=0.99, pearson_high=1.0), "interval 0.99 to"),
        ("builds.parquet", set_(0, significance='{"test":"F"}'), "should name the test"),
        ("builds.parquet", set_(0, significance="t"), "should name the test"),
        ("builds.parquet", set_(0, significance=None), "n_significant is .*, but .* give None"),
        ("builds.parquet", set_(0, n_folds=5), "does not hold where images are cross-validated"),
        # hierarchy
        *(
            ("hierarchy.parquet", change, message)
            for row, kind in ((1, "decoding"), (2, "encoding"))  # the average comes first
            for change, message in (
                (nudge("score", 1e-8, row), f"{kind}/.*: score is .*, but table 'best_roi' gives"),
                (set_(row, score=None), f"{kind}/.*: score is nan, but table 'best_roi' gives"),
                (nudge("n_counted", 1, row), f"{kind}/.* units are counted, in the ROIs V1, V4"),
                (set_(row, rois=["V4", "V1"]), f"{kind}/.* score is .*, but table 'best_roi'"),
                (set_(row, score_low=0.1), f"{kind}/.*: score and interval are"),
            )
        ),
        ("hierarchy.parquet", lambda rows: rows[:1] + rows[2:], "best_roi: rows without a score"),
        ("hierarchy.parquet", nudge("score", 1e-8), "average/.* decoding and encoding give"),
        ("hierarchy.parquet", nudge("n_units", 1), "average/.* n_units .* decoding and encoding"),
        ("hierarchy.parquet", nudge("n_units", 1, 2), "table 'encoding' has 240 voxels"),
        ("encoding.parquet", lambda rows: rows[1:], "39 voxels; table 'subjects' has 40"),
        ("encoding.parquet", lambda rows: rows[40:], "layers have other subjects in V1"),
        ("encoding.parquet", set_(0, r=-0.5), "best_roi: .*encoding/.* the accuracies give"),
        # what recurs
        *(
            (
                "recurrence.parquet",
                nudge(column, 1, row),
                f"recurrence: .*{among}/.*accuracies give",
            )
            for row, among in ((0, "halves"), (4, "others"), (6, "subject"))
            for column in ("n_units", "k", "n_shared", "n_expected")
            if (column, among) != ("n_shared", "halves")
        ),
        ("recurrence.parquet", lambda rows: rows[:4] + rows[5:], "missing or of nobody: .*others"),
        ("layer_reliability.parquet", nudge("reliability", 1e-5), "reliability is .* accuracies"),
        ("layer_reliability.parquet", nudge("n_units", 1), "n_units is .* accuracies give"),
        ("layer_reliability.parquet", lambda rows: rows[1:], "layer_reliability: .* is missing"),
        ("layer_summary.parquet", nudge("mean_reliability", 1e-5), "mean_reliability is"),
        (f"accuracy/{FC}", set_(0, reliability=0.5), "mean_reliability is"),
        ("best_roi.parquet", lambda rows: rows[1:], "table 'best_roi' has others"),
        ("best_roi.parquet", exchange("n_units"), "but table 'best_roi' gives"),
        (
            "intersubject.parquet",
            lambda rows: [*rows, {**rows[-1], "subject_a": "S3", "subject_b": "S2"}],
            "rows without accuracies: .*/S3/S2",
        ),
    ],
)
def test_numbers_that_do_not_follow(tiny_copy: Path, file: str, change, message: str) -> None:
    edit(tiny_copy, file, change)
    if file == "builds.parquet":
        edit(tiny_copy, "inputs.parquet", list.clear)  # which refer to builds
    with pytest.raises((CorruptReleaseError, SchemaError), match=message):
        verify(tiny_copy)


HISTOGRAMS = ("accuracy_histogram", "unit_histogram", "minimum_histogram")
SMALL = ("layer_summary", "intersubject", *HISTOGRAMS)


def drop(folder: Path, part: str, keep: Callable[[dict[str, Any]], bool]) -> None:
    """Take partitions out of a release, and all that would tell of them but the small tables."""

    def change(package: dict[str, Any]) -> None:
        n_accuracies = 0
        for table in ("accuracy", "unit_summary"):
            listed = resource(package, table)
            listed["path"] = [path for path in listed["path"] if part not in path]
        for path in resource(package, "accuracy")["path"]:
            n_accuracies += pq.read_metadata(folder / path).num_rows
        package["unitdb"]["n_accuracies"] = n_accuracies

    for table in ("accuracy", "unit_summary"):
        for path in [path for path in (folder / table).rglob("*=*") if path.name == part]:
            shutil.rmtree(path)
    for table in SMALL:
        edit(folder, f"{table}.parquet", lambda rows: [row for row in rows if keep(row)])
    edit_manifest(folder, change)


def test_lost_layer(tiny_copy: Path) -> None:
    drop(tiny_copy, "layer=fc", lambda row: row["layer"] != "fc")
    with pytest.raises(CorruptReleaseError, match=r"no partition of .*: 0123456789ab/fc, ba98765"):
        verify(tiny_copy)


def test_lost_build(tiny_copy: Path) -> None:
    edit(tiny_copy, "builds.parquet", lambda rows: rows[:1])
    edit(tiny_copy, "inputs.parquet", list.clear)
    drop(tiny_copy, "dataset=sim-b", lambda row: row["dataset"] == "sim-a")
    with pytest.raises(CorruptReleaseError, match="builds: none of dataset sim-b"):
        verify(tiny_copy)


def test_second_condition_of_one_build(tiny_copy: Path) -> None:
    for table in ("accuracy", "unit_summary"):
        file = f"{table}/{FC}"
        other = tiny_copy / file.replace("perception", "imagery")
        other.parent.mkdir(parents=True)
        shutil.copy(tiny_copy / file, other)
        path = other.relative_to(tiny_copy).as_posix()
        edit(tiny_copy, path, lambda rows: [{**row, "condition": "imagery"} for row in rows])
        edit_manifest(tiny_copy, lambda p, t=table, f=path: resource(p, t)["path"].append(f))
    with pytest.raises(CorruptReleaseError, match="a second partition of build 0123456789ab"):
        verify(tiny_copy)


def test_lost_subject(tiny_copy: Path) -> None:
    """In all tables but ``subjects``, every summary right."""
    accuracy = accuracies()
    stage(tiny_copy, accuracy[accuracy["subject"] != "S3"])
    edit_manifest(tiny_copy, lambda p: p["unitdb"].update(n_accuracies=168))
    with pytest.raises(CorruptReleaseError, match=r"not all ROIs .*: V1/S3, V4/S3"):
        verify(tiny_copy)


# --- functions against slow references ------------------------------------------------------------


def matrices() -> st.SearchStrategy[np.ndarray]:
    """Accuracies of 3 subjects with ties and gaps, (3, n_units)."""
    values = st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.9, float("nan")])
    return (
        st.integers(1, 9)
        .flatmap(
            lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=3, max_size=3)
        )
        .map(lambda rows: np.array(rows, dtype=np.float32))
    )


@settings(deadline=None)
@given(matrices())
def test_unit_columns_against_pandas(r: np.ndarray) -> None:
    found = unit_columns(r.astype(np.float64))
    frame = pd.DataFrame(r.astype(np.float64))
    expected = {
        "n_subjects": frame.count(),
        "mean_r": frame.mean(),
        "sd_r": frame.std(),
        "min_r": frame.min(),
        "max_r": frame.max(),
    }
    for column, values in expected.items():
        np.testing.assert_allclose(found[column], values, atol=1e-12, err_msg=column)
    mean = found["mean_r"].astype(np.float32)
    ranks = pd.Series(mean).rank(method="first", ascending=False, na_option="bottom")
    np.testing.assert_array_equal(ranks_by(mean), ranks)


@settings(deadline=None)
@given(matrices())
def test_pairs_and_layers_against_pandas(r: np.ndarray) -> None:
    data = Decoded([("V1", ["a", "b", "c"], r)], np.arange(r.shape[1]))
    frame = pd.DataFrame(r.T.astype(np.float64), columns=["a", "b", "c"])
    for (_, a, b), values in pair_rows(data):
        both = frame[[a, b]].dropna()
        distinct_values = both.nunique().min() if len(both) else 0
        assert values["n_units"] == len(both)
        if distinct_values < 2:
            assert np.isnan(values["pearson_r"])
            assert np.isnan(values["spearman_r"])
        else:
            ranks = both.rank()
            assert values["pearson_r"] == pytest.approx(both[a].corr(both[b]))
            assert values["spearman_r"] == pytest.approx(ranks[a].corr(ranks[b]))
    for (_, subject), values in layer_rows(data):
        column = frame[subject]
        assert values["n_undefined"] == column.isna().sum()
        assert values["mean_r"] == pytest.approx(column.mean(), nan_ok=True)
        assert values["sd_r"] == pytest.approx(column.std(), nan_ok=True)
        assert values["q25_r"] == pytest.approx(column.quantile(0.25), nan_ok=True)


names = st.sampled_from(["V1", "V10", "V2", "ä", "z"])
rows_ = st.lists(st.tuples(names, names, st.integers(0, 3)), max_size=12)


@given(rows_, st.booleans(), st.integers(0, 12))
def test_order_against_tuples(rows: list[tuple[str, str, int]], ordered: bool, cut: int) -> None:
    rows = sorted(set(rows)) if ordered else rows
    keys = TABLES["subjects"].primary_key
    table = pa.table(
        {
            name: pa.array([row[i] for row in rows], pa.int32() if i == 2 else pa.string())
            for i, name in enumerate(keys)
        }
    )
    table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    table = table.set_column(0, keys[0], table[0].dictionary_encode())
    if rows == sorted(set(rows)):
        check_order(table, TABLES["subjects"], where="here")
    else:
        with pytest.raises(SchemaError, match="strictly increasing"):
            check_order(table, TABLES["subjects"], where="here")
    assert distinct(table, keys[:2]) == {row[:2] for row in rows}
