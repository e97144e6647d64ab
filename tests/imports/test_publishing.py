"""Accuracies in, a release out: whatever the array, the release has it, and what follows."""

from __future__ import annotations

import doctest
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings, strategies as st

import unitdb
import unitdb.imports.publishing
from tests.analysis.controls_reference import p_by_loop
from unitdb.errors import AccuraciesError, ReleaseExistsError, UnknownModelError
from unitdb.imports import DatasetInfo, LayerAccuracies, NetworkInfo, publish_accuracies
from unitdb.imports.accuracies import hash_of
from unitdb.verification import verify

RNG = np.random.default_rng(0)
SUBJECTS = ["sub-10", "sub-02", "sub-1"]
ROIS = {"V2": "early", "V1": "earlier", "HVC": "late"}


def dataset(n_rois: int = 2, n_subjects: int = 2, **options: Any) -> DatasetInfo:
    """Names whose order is not that of their code points."""
    rois = dict(list(ROIS.items())[:n_rois])
    return DatasetInfo(
        **{"name": "mine", "rois": rois, "subjects": SUBJECTS[:n_subjects], "n_test": 20, **options}
    )


def correlations(*shape: int) -> np.ndarray:
    return np.tanh(RNG.normal(0.2, 0.3, shape))


def publish(accuracies: Any, folder: Path, **options: Any) -> Path:
    about = {"name": "mine", "version": "1.0.0", "title": "Mine", "licence": "CC0-1.0"}
    about |= {"dataset": dataset(), "citation": "none", "releases": folder, **options}
    return publish_accuracies(accuracies, **about)


def of(layer: str, r: Any, **options: Any) -> LayerAccuracies:
    return LayerAccuracies(model="net", layer=layer, r=r, **options)


SHAPES = st.lists(st.sampled_from([(1,), (6,), (2, 3, 2), (4, 1, 1)]), min_size=1, max_size=3)


@pytest.mark.parametrize("kind", ["plain", "folds", "controls", "reliability"])
@settings(max_examples=2)
@given(
    n_rois=st.integers(1, 3),
    n_subjects=st.integers(1, 3),
    shapes=SHAPES,
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    missing=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_goes_in_comes_out(
    kind: str, n_rois: int, n_subjects: int, shapes: list, dtype: type, missing: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    given_, layers, controls = {}, [], {}
    for number, shape in enumerate(shapes):
        r = np.tanh(rng.normal(0.2, 0.3, (n_rois, n_subjects, *shape))).astype(dtype)
        r[rng.random(r.shape) < missing] = np.nan
        r.reshape(-1)[0] = 0.5
        more: dict[str, Any] = {}
        if kind == "reliability":
            more["reliability"] = rng.uniform(-1, 1, r.shape)
        if kind == "controls":
            more["controls"] = controls[f"l{number}"] = rng.uniform(-0.3, 0.3, (4, *r.shape))
        given_[f"l{number}"] = r
        layers.append(of(f"l{number}", r, **more))
    about = dataset(n_rois, n_subjects, n_folds=5 if kind == "folds" else None)
    folder = Path(tempfile.mkdtemp())
    try:
        release = unitdb.open(publish(layers, folder, dataset=about))
        for layer, r in given_.items():
            for place, roi in enumerate(about.rois):
                expected = r[place].reshape(n_subjects, -1).T.astype(np.float32)
                found = release.accuracies("net", layer, roi)[list(about.subjects)]
                np.testing.assert_array_equal(found.to_numpy(), expected)
        check_summaries(release, given_, about, kind)
        check_controls(release, given_, about, controls)
        assert verify(release.path).rows["accuracy"] == sum(r.size for r in given_.values())
    finally:
        shutil.rmtree(folder)


def check_summaries(release: Any, given_: dict, about: DatasetInfo, kind: str) -> None:
    """Each number again, a row at a time."""
    tables = {name: release.table(name) for name in ("unit_summary", "layer_summary")}
    pairs = release.table("intersubject").set_index(["layer", "roi", "subject_a", "subject_b"])
    units = tables["unit_summary"].set_index(["layer", "roi", "unit"])
    layers = tables["layer_summary"].set_index(["layer", "roi", "subject"])
    for layer, array in given_.items():
        r = array.reshape(*array.shape[:2], -1).astype(np.float32).astype(np.float64)
        means = pd.DataFrame(r.transpose(0, 2, 1).reshape(-1, r.shape[1])).mean(axis=1)
        means = means.to_numpy(np.float32).reshape(len(r), -1)
        for place, roi in enumerate(about.rois):
            for unit in range(r.shape[2]):
                known, row = r[place, :, unit], units.loc[layer, roi, unit]
                known = known[~np.isnan(known)]
                assert row.n_subjects == len(known)
                same(row.mean_r, known.mean() if len(known) else np.nan)
                same(row.sd_r, known.std(ddof=1) if len(known) > 1 else np.nan)
                same(row.max_r, known.max() if len(known) else np.nan)
                others = np.delete(means[:, unit], place)
                best = np.nan if np.isnan(others).all() else np.nanmax(others)
                same(row.lead_r, means[place, unit] - best)
                if kind in {"plain", "reliability"}:
                    p = scipy.stats.beta(9, 9).sf((known + 1) / 2)  # of r over 20 images
                    z = scipy.stats.norm.isf(p).sum() / np.sqrt(max(len(known), 1))
                    same(row.p, scipy.stats.norm.sf(z) if len(known) else np.nan)
                elif kind == "folds":
                    assert pd.isna(row.p)
            ranked = sorted(
                range(r.shape[2]), key=lambda u: (-np.nan_to_num(means[place, u], nan=-9), u)
            )
            assert [units.loc[layer, roi, unit]["rank"] - 1 for unit in ranked] == list(
                range(len(ranked))
            )
            for number, subject in enumerate(about.subjects):
                own, row = r[place, number], layers.loc[layer, roi, subject]
                assert (row.n_units, row.n_undefined) == (len(own), np.isnan(own).sum())
                same(row.mean_r, pd.Series(own).mean())
                same(row.median_r, pd.Series(own).median())
                for other, name in enumerate(about.subjects):
                    if subject < name:
                        both = pd.DataFrame({"a": own, "b": r[place, other]}).dropna()
                        pair = pairs.loc[layer, roi, subject, name]
                        assert pair.n_units == len(both)
                        varied = len(both) > 1 and both.nunique().min() > 1
                        same(pair.pearson_r, both.a.corr(both.b) if varied else np.nan)
    of_units = tables["unit_summary"].dropna(subset=["p"])
    for _, family in of_units.groupby("roi"):
        q = scipy.stats.false_discovery_control(family.p.to_numpy(float))
        np.testing.assert_allclose(family.q.to_numpy(float), q, rtol=1e-5)


def check_controls(release: Any, given_: dict, about: DatasetInfo, controls: dict) -> None:
    """Means over subjects, beside those of the controls, counted one by one."""
    units = release.table("unit_summary").sort_values("unit")
    for layer, null in controls.items():
        for place, roi in enumerate(about.rois):
            r, *chance = (
                pd.DataFrame(
                    a[place].reshape(len(about.subjects), -1).astype(np.float32), dtype=float
                )
                for a in (given_[layer], *null)
            )
            expected = p_by_loop(r.mean().to_numpy(), np.array([one.mean() for one in chance]))
            found = units.loc[(units["layer"] == layer) & (units["roi"] == roi), "p"]
            p = found.to_numpy(float, na_value=np.nan)
            np.testing.assert_allclose(p, expected, rtol=1e-6)


def same(found: Any, expected: Any) -> None:
    found = np.nan if pd.isna(found) else float(found)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


ONE = correlations(2, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("layers", "options", "message"),
    [
        ([of("a", ONE[:1])], {}, r"net/a: r has shape \(1, 2, 3, 4, 5\); expected \(2 ROIs, 2 sub"),
        ([of("a", ONE, shape=(3, 4, 6))], {}, "expected .2 ROIs, 2 subjects, 3×4×6 units"),
        ([of("a", ONE[..., 0])], {}, r"axes of \(3, 4\) are cannot be told: give axes, such as"),
        ([of("a", ONE, axes="HWT")], {}, "net/a: axes 'HWT' has not one axis of channels"),
        ([of("a", ONE * 2)], {}, r"net/a: r is 1\.\d+ in V\d of sub-\d+, unit \d+ of 60; a corr"),
        ([of("a", np.where(ONE.max() == ONE, np.inf, ONE))], {}, "net/a: r is inf in V"),
        ([of("a", np.full_like(ONE, np.nan))], {}, "net/a: no unit has an accuracy"),
        ([of("a", ONE.astype(str))], {}, "net/a: r is of <U32, not of real numbers"),
        ([of("a", ONE), of("a", ONE)], {}, "layer 'net/a' is there twice"),
        ([of("a/b", ONE)], {}, "layer 'a/b' becomes a folder"),
        ([], {}, "no accuracies: give a LayerAccuracies"),
        ([of("a", {"V2": ONE[0]})], {}, "ROI 'V1' is missing in the accuracies of net/a"),
        ([of("a", dict.fromkeys(ROIS, ONE[0]))], {}, "ROI 'HVC' is missing in the dataset.rois"),
        (
            [of("a", {"V2": ONE[0], "V1": ONE[0, :1]})],
            {},
            r"other shapes: V2 \(2, 3, 4, 5\), V1 \(1",
        ),
        ([of("a", ONE, controls=ONE[None]), of("b", ONE)], {}, "some layers have controls"),
        ([of("a", ONE, units=[3, 2])], {}, "units are not ascending whole numbers below 60"),
        (
            [of("a", ONE)],
            {"dataset": dataset(n_test=2)},
            "n_test is 2, not a number of test images from 3",
        ),
        (
            [of("a", ONE)],
            {"dataset": dataset(subjects=["sub-1", "sub-1"])},
            "subject 'sub-1' is there twice",
        ),
        ([of("a", ONE, reliability=ONE[:1])], {}, "reliability has shape"),
        ([of("a", ONE[..., 0, 0, 0])], {}, r"shape \(2, 2\); expected \(n_rois, n_subjects, \*sh"),
        ([of("a", ONE)], {"dataset": dataset(rois=["V1", "V2"])}, "rois is .'V1', 'V2'.; expected"),
        ([of("a", ONE)], {"dataset": dataset(subjects="S1")}, "subjects is the text 'S1'"),
        ([of("a", ONE)], {"networks": [NetworkInfo(name="net", depths={"b": 1})]}, "net/a: not in"),
        (
            [of("a", ONE, controls=ONE[None]), of("b", ONE, controls=ONE[None].repeat(2, axis=0))],
            {},
            "net/b: 2 controls; other layers have 1",
        ),
    ],
)
def test_what_is_no_accuracy_is_named(
    tmp_path: Path, layers: list, options: dict, message: str
) -> None:
    with pytest.raises(AccuraciesError, match=message):
        publish(layers, tmp_path, **options)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []


def test_a_network_without_layers_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="nets"):
        publish([of("a", ONE)], tmp_path, networks=[NetworkInfo(name="nets")])


def test_samples_functions_and_rois_by_name(tmp_path: Path) -> None:
    """A sample of units, read when it is needed, an array for each ROI."""
    units, calls = np.array([2, 7, 11]), []

    def read() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"V1": ONE[1, :, 0, 0, :3], "V2": ONE[0, :, 0, 0, :3]}

    layer = of("a", read, shape=(4, 3), axes="TD", units=units)
    release = unitdb.open(publish([layer], tmp_path))
    found = release.accuracies("net", "a", "V1")
    assert found.index.tolist() == units.tolist()
    np.testing.assert_array_equal(found["sub-02"], ONE[1, 1, 0, 0, :3].astype(np.float32))
    assert release.table("layers")[["axes", "n_units"]].to_numpy().tolist() == [["TD", 12]]
    assert len(calls) > 1
    assert verify(release.path)


def test_builds_are_named_by_all_that_accuracies_are_of() -> None:
    changed: list[tuple[LayerAccuracies, DatasetInfo]] = [
        (of("a", ONE), dataset()),
        (of("a", ONE * np.float32(0.99)), dataset()),
        (of("b", ONE), dataset()),
        (of("a", ONE, axes="HWC"), dataset()),
        (of("a", ONE), dataset(subjects=["sub-10", "sub-03"])),
        (of("a", ONE), dataset(n_test=30)),
        (of("a", ONE), dataset(rois=dict(reversed(list(dataset().rois.items()))))),
    ]
    hashes = {hash_of([layer.read(about)], about) for layer, about in changed}
    assert len(hashes) == len(changed)


def test_numbers_and_names_of_numpy_do(tmp_path: Path) -> None:
    about = dataset(n_test=np.int64(20), subjects=pd.Index(SUBJECTS[:2]))
    network = NetworkInfo(name="net", depths={"a": np.int64(3)})
    folder = publish(
        [of("a", ONE)],
        tmp_path,
        dataset=about,
        networks=[network],
        decoder={"alpha": np.float32(100)},
    )
    release = unitdb.open(folder)
    rois = release.values("roi")
    assert len(release.units(roi=np.array(rois))) == len(release.units(roi=rois))
    assert release.values("subject") == sorted(SUBJECTS[:2])
    assert set(release.table("subjects")["n_test"]) == {20}


@pytest.mark.robust(
    "arrays",
    given="accuracies as tables of pandas whose rows name the subjects, in another order",
    before="taken by place: each subject had the accuracies of another",
    now="taken by name; other names are an error, and so are columns that are other units",
)
def test_tables_say_whose_accuracies_they_are(tmp_path: Path) -> None:
    about = dataset(n_subjects=3)
    r = {roi: pd.DataFrame(correlations(3, 5), index=SUBJECTS) for roi in about.rois}
    plain = of("a", {roi: table.to_numpy() for roi, table in r.items()})
    expected = hash_of([plain.read(about)], about)
    for tables in (r, {roi: table.loc[sorted(SUBJECTS)] for roi, table in r.items()}):
        assert hash_of([of("a", tables).read(about)], about) == expected
    counted = {roi: table.reset_index(drop=True) for roi, table in r.items()}
    assert hash_of([of("a", counted).read(about)], about) == expected
    other = {roi: table.rename(index={"sub-02": "sub-2"}) for roi, table in r.items()}
    with pytest.raises(AccuraciesError, match=r"rows of V2 are of 'sub-10', 'sub-2', .* expected"):
        of("a", other).read(about)
    units = np.array([1, 4, 6, 7, 9])
    named = {roi: table.set_axis(units, axis=1) for roi, table in r.items()}
    of("a", named, shape=(12,), units=units).read(about)
    with pytest.raises(AccuraciesError, match="columns of V2 are of 1, 4, 6, 7, 9"):
        of("a", named).read(about)


@pytest.mark.parametrize("units", [[7, 2, 9, 1], [2**32 + 1, 2**32 + 2, 5, 7]])
def test_units_without_a_sign_ascend_too(units: list[int]) -> None:
    layer = of("a", ONE[..., 0, :4], shape=(12,), units=np.array(units, np.uint64))
    with pytest.raises(AccuraciesError, match="not ascending whole numbers below 12"):
        layer.read(dataset())


@pytest.mark.parametrize("condition", ["a/b", "..", "imagery@", "Imagery 2", ""])
def test_a_condition_becomes_a_folder(tmp_path: Path, condition: str) -> None:
    with pytest.raises(AccuraciesError, match=r"condition .* becomes a folder: it must be written"):
        publish([of("a", ONE)], tmp_path, dataset=dataset(condition=condition))


def test_accuracies_may_come_one_by_one(tmp_path: Path) -> None:
    release = unitdb.open(publish((of(name, ONE) for name in "ab"), tmp_path))
    assert release.values("layer") == ["a", "b"]


def test_what_is_masked_has_no_accuracy(tmp_path: Path) -> None:
    masked = np.ma.MaskedArray(ONE, mask=ONE > 0.4)
    release = unitdb.open(publish([of("a", masked)], tmp_path))
    found = release.accuracies("net", "a", "V2")["sub-10"].to_numpy()
    expected = np.where(ONE > 0.4, np.nan, ONE)[0, 0].ravel().astype(np.float32)
    np.testing.assert_array_equal(found, expected)


def test_rounding_above_one_is_one(tmp_path: Path) -> None:
    above = ONE.astype(np.float32)
    above[0, 0, 0, 0, :2] = np.nextafter(np.float32(1), np.float32(2)) * np.array([1, -1])
    release = unitdb.open(publish([of("a", above, reliability=above)], tmp_path))
    found = release.accuracies("net", "a", "V2")["sub-10"].to_numpy()
    np.testing.assert_array_equal(found, np.clip(above, -1, 1)[0, 0].ravel())


def test_published_again_it_stays_and_others_are_refused(tmp_path: Path) -> None:
    path = publish([of("a", ONE)], tmp_path)
    before = (path / "SHA256SUMS").stat()
    assert publish([of("a", ONE)], tmp_path) == path
    assert (path / "SHA256SUMS").stat() == before
    with pytest.raises(ReleaseExistsError, match="exists with other content"):
        publish([of("a", ONE / 2)], tmp_path)
    assert list((tmp_path / ".work").iterdir()) == [tmp_path / ".work/accuracies-mine-1.0.0.lock"]


def test_what_is_said_stands_in_the_release(tmp_path: Path) -> None:
    network = NetworkInfo(name="net", title="A network", licence="MIT")
    path = publish([of("a", ONE)], tmp_path, networks=[network], decoder={"alpha": 100})
    release = unitdb.open(path)
    assert release.table("models")["title"].tolist() == ["A network"]
    (build,) = release.table("builds").to_dict("records")
    assert (build["recipe"], build["decoder"]) == ("import mine", '{"alpha":100}')
    assert release.table("subjects")["n_voxels"].isna().all()
    assert list(release.table("rois").sort_values("place")["roi"]) == ["V2", "V1"]
    assert not release.simulated


def test_the_example_runs() -> None:
    assert doctest.testmod(unitdb.imports.publishing).failed == 0
