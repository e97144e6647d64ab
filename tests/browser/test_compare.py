from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from tests.browser.conftest import texts
from unitdb import reference
from unitdb.browser import charts
from unitdb.browser._answer import PUBLISHED_ROIS
from unitdb.browser._compared import of_network, paired, summarised
from unitdb.browser.charts.points import placed
from unitdb.browser.views import networks
from unitdb.release import Release


def test_two_units_side_by_side(shown: Release, visit) -> None:
    a, b = "net/conv1/7", "net/fc/3"
    app = visit("compare", what="units", a=a, b=b, dataset="sim-a")
    frame = app.dataframe[0].value.set_index("place")
    both = [shown.unit(unit).loc["sim-a", "perception"] for unit in (a, b)]
    people = both[0].columns[both[0].notna().all() & both[1].notna().all()]
    for roi in ("V1", "V4"):
        one, other = (of.loc[roi, people] for of in both)
        assert frame.loc[roi, "a"] == pytest.approx(one.mean())
        assert frame.loc[roi, "b"] == pytest.approx(other.mean())
        assert frame.loc[roi, "people"] == f"{(other > one).sum()} of {len(people)}"
    assert len(people) == 2  # conv1/7 has no accuracy in S2, who is in neither mean
    pictures = [one.proto.body for one in app.get("html") if "<figure" in one.proto.body]
    assert len(pictures) == 2
    assert "what=units&dataset=sim-a&condition=perception&a=net/conv1/7&b=net/fc/3" in texts(app)
    one_roi = visit("compare", what="units", a=a, b=b, dataset="sim-a", roi="V4")
    assert one_roi.dataframe[0].value["place"].tolist() == ["V4"]
    assert "&roi=V4" in texts(one_roi)


def test_units_that_are_not_there_are_said_and_others_suggested(shown: Release, visit) -> None:
    app = visit("compare", a="net/conv9/1", b="net/fc/3")
    assert "No such unit" in app.warning[0].value
    links = [one.proto for one in visit("compare").get("page_link")]
    (suggested,) = [one for one in links if one.label.startswith("Compare net/")]
    assert "a=net%2F" in suggested.query_string or "a=net/" in suggested.query_string
    from_unit = [one.proto for one in visit("unit", unit="net/fc/3").get("page_link")]
    (link,) = [one for one in from_unit if one.label == "Compare with another"]
    assert "what=units" in link.query_string


def test_two_layers(shown: Release, visit) -> None:
    app = visit("compare", what="layers", a="net/conv1", b="net/fc", dataset="sim-a")
    frame = app.dataframe[0].value.set_index("place")
    rows = shown.table("layer_summary").astype({"layer": str, "roi": str, "dataset": str})
    means = rows[rows["dataset"] == "sim-a"].groupby(["layer", "roi"])["mean_r"].mean()
    for roi in ("V1", "V4"):
        assert frame.loc[roi, "a"] == pytest.approx(means["conv1", roi])
        assert frame.loc[roi, "b"] == pytest.approx(means["fc", roi])
    assert visit("compare", what="layers").selectbox(key="b").value == "net/fc"


def test_two_releases(
    shown: Release, tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    """Of a release beside, places that both have; without another one they are not offered."""
    assert "releases" not in visit("compare").selectbox(key="what").options
    root = tmp_path / "releases"
    shutil.copytree(tiny_release.parents[1], root)
    listed = json.loads((root / "releases.json").read_text())
    shutil.copytree(root / "tiny" / "1.0.0", root / "tiny" / "1.1.0")
    tiny = listed["releases"]["tiny"]["versions"]
    tiny["1.1.0"] = tiny["1.0.0"] | {"path": "tiny/1.1.0"}
    (root / "releases.json").write_text(json.dumps(listed))
    monkeypatch.setenv("UNITDB_RELEASES", str(root))
    app = visit("compare", what="releases", dataset="sim-a")
    assert app.selectbox(key="what").value == "releases"
    frame = app.dataframe[0].value
    assert len(frame) == 4  # layers × ROIs
    assert (frame["difference"] == 0).all()
    assert set(frame["people"]) == {"0 of 3"}
    assert "unitdb.compare('tiny@1.0.0', 'tiny@1." in texts(app)


def test_networks_by_the_best_layer_of_each_region(
    shown: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame(
        [
            {"model": "a", "layer": layer, "roi": roi, "subject": subject, "mean_r": r}
            for layer, roi, subject, r in (
                ("1", "V1", "S1", 0.4),
                ("1", "V1", "S2", 0.1),
                ("2", "V1", "S1", 0.3),
                ("2", "V1", "S2", 0.3),
                ("1", "V4", "S1", 0.2),
                ("1", "V4", "S2", 0.2),
                ("2", "V4", "S1", 0.1),
            )
        ]
    )
    monkeypatch.setattr("unitdb.browser._reads.table", lambda *_: rows)
    found = of_network(shown, {"model": "a"})
    assert dict(zip(found["roi"], found["layer"], strict=True)) == {"V1": "2", "V4": "1"}
    assert of_network(shown, {"model": "b"}).empty
    other = found.assign(r=found["r"] + [0.1, -0.1, 0.1, 0.2])
    numbers = summarised(paired(found, other, ["V4", "V1"])).set_index("place")
    assert list(numbers.index) == ["V4", "V1"]
    assert numbers.loc["V1", ["a", "b", "difference"]].tolist() == pytest.approx([0.3, 0.3, 0])
    assert numbers.loc["V1", ["n_higher", "n"]].tolist() == [1, 2]
    assert paired(found, other, ["V4"])["place"].unique().tolist() == ["V4"]


@given(
    points=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30),
    length=st.integers(1, 18),
)
def test_names_of_points_do_not_overlap(points: list, length: int) -> None:
    """Each name that is written covers no other name and no other point, and is in the frame."""
    x, y = ([point[axis] for point in points] for axis in (0, 1))
    sides = placed(x, y, ["n" * length] * len(points))
    boxes = []
    for at, up, side in zip(x, y, sides, strict=True):
        if side:
            low = at + 0.02 if side == "right" else at - 0.02 - 0.022 * length
            boxes.append((low, low + 0.022 * length, up, (at, up)))
    for number, (low, high, up, own) in enumerate(boxes):
        assert low >= -0.02
        assert high <= 1.02 + 1e-9
        for other in points:
            inside = low < other[0] < high and abs(other[1] - up) < 0.025
            assert tuple(other) == own or not inside
        for start, end, height, _ in boxes[:number]:
            assert end <= low or high <= start or abs(height - up) >= 0.05


def test_of_points_apart_all_are_named() -> None:
    assert placed([0.1, 0.1, 0.95], [0.2, 0.6, 0.9], ["V1", "V4", "HVC"]) == [
        *("right", "right", "left")
    ]


def test_names_have_the_room_of_the_drawn_axes() -> None:
    """Both axes reach from the lowest to the highest of both: points are nearer than alone."""
    rows = pd.DataFrame(
        {
            "place": ["V1", "FFA", "PPA"],
            "roi": ["V1", "FFA", "PPA"],
            "a": [0.62, -0.02, -0.005],
            "b": [0.43, 0.10, 0.085],
            "difference": [-0.19, 0.12, 0.09],
            "n_higher": 5,
            "n": 5,
        }
    )
    drawn = charts.against(rows, ["V1", "FFA", "PPA"], a="one", b="other").to_dict()
    sets = drawn["datasets"]
    parts = [part for part in drawn["layer"] if part["mark"]["type"] == "text"]
    written = {row["place"] for part in parts for row in sets[part["data"]["name"]]}
    assert "V1" in written
    right = [part for part in parts if part["mark"]["align"] == "left"]
    assert "FFA" not in {row["place"] for part in right for row in sets[part["data"]["name"]]}


def test_own_scores_stand_in_the_plot_of_published_ones(
    shown: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"model": "net", "kind": "decoding", "method": "nonaka2021", "score": 0.4}
    rows = pd.DataFrame([
        row | {"rois": PUBLISHED_ROIS},
        row | {"model": "other", "rois": ["EVC", "IT"]},
        row | {"model": "third", "rois": PUBLISHED_ROIS, "method": "corrected"},
    ])  # fmt: skip
    monkeypatch.setattr("unitdb.browser._reads.table", lambda *_: rows)
    own = networks._own(shown, {}, ["net", "other", "third"], "decoding")
    assert own.to_dict("records") == [{"model": "net (simulated)", "score": 0.4}]
    drawn = charts.published_scores(
        reference.bhscore().dropna(subset="top1"), by="bh_decoding", own=own
    ).to_dict()
    assert [layer["mark"]["type"] for layer in drawn["layer"]] == [
        *("point", "text", "text", "rule", "text")
    ]
    assert any(
        {"model": "net (simulated)", "score": 0.4} in data for data in drawn["datasets"].values()
    )
