"""The pages of a unit, a layer, networks, subjects, methods and SQL."""

from __future__ import annotations

import html
import json
import re
from io import BytesIO

import numpy as np
import pandas as pd
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browser.conftest import texts
from tests.tiny import make_older
from unitdb import reference
from unitdb.browser._images import strip
from unitdb.browser._own import with_own
from unitdb.browser.views import console, subjects
from unitdb.release import ReceptiveField, Release, labelled

UNIT = "net/conv1/13"


def test_a_unit_shows_its_rows_rank_and_neighbours(shown: Release, visit) -> None:
    app = visit("unit", unit=UNIT, dataset="sim-a", roi="V4")
    rows = shown.units(dataset="sim-a").among([UNIT]).to_pandas()
    table = app.dataframe[0].value.set_index("roi")
    for row in rows.itertuples():
        assert table.loc[row.roi, "mean_r"] == row.mean_r
        assert table.loc[row.roi, "rank"] == row.rank
    best = rows.sort_values("mean_r", ascending=False).iloc[0]
    v4 = rows.set_index("roi").loc["V4"]
    r = shown.unit(UNIT).loc["sim-a", "perception", "V4"].dropna()
    above = int((np.tanh(np.arctanh(r) - 1.959964 / np.sqrt(97)) > 0).sum())  # 100 test images
    assert (
        f"From `V4`: above chance in {above} of {len(r)} people (95 % interval above 0); "
        f"mean r = {v4['mean_r']:.3f}, q = {v4['q']:.2g}, rank {int(v4['rank'])} of 18 units"
    ) in texts(app)
    assert best["roi"] in {"V1", "V4"}
    beside = shown.units(dataset="sim-a", layer="conv1", roi="V4").to_pandas().set_index("rank")
    linked = {one.proto.label: one.proto.query_string for one in app.get("page_link")}
    for label, step in (("Next better", -1), ("Next worse", 1)):
        if v4["rank"] + step in beside.index:
            unit = beside["unit_id"][v4["rank"] + step]
            assert f"unit={unit}".replace("/", "%2F") in linked[label]
            assert "roi=V4" in linked[label]
    alike = shown.similar(UNIT, 10, dataset="sim-a")
    assert list(app.dataframe[1].value["unit_id"]) == list(alike["unit_id"])
    assert "Channel 1 of 2, row 1 of 3, column 1 of 3" in texts(app)
    assert len(app.get("vega_lite_chart")) == 3


def test_a_unit_that_is_kept_shows_predictions_and_pictures(shown: Release, visit) -> None:
    app = visit("unit", unit=UNIT, dataset="sim-a", roi="V4", subject="S2")
    chart = json.loads(app.get("vega_lite_chart")[-1].proto.spec)
    assert "Predicted activation (raw)" in chart["description"]
    said = texts(app)
    assert "100 test images, from `V4`" in said
    r = shown.unit(UNIT).loc["sim-a", "perception", "V4"]
    found = labelled(shown.predictions(UNIT, dataset="sim-a", roi="V4"))
    assert sorted(found["subject"].unique()) == [f"{s}: r = {r[s]:.2f}" for s in ("S1", "S2", "S3")]
    assert "subject=S2" in said.replace("&amp;", "&")  # of the link
    stimuli = shown.stimuli(UNIT, 6, dataset="sim-a")
    most, least = (one.proto.body for one in app.get("html") if "<figure" in one.proto.body)
    for written, rows in ((most, stimuli[:6]), (least, stimuli[6:][::-1])):
        names = re.findall(r'alt="([^"]*)"', written)
        assert [html.unescape(name) for name in names] == rows["stimulus"].tolist()
        assert written.count('src="data:image/jpeg;base64,') == 6
    assert "CC0, noise" in said
    activations = shown.table("activation").astype({"stimulus": str, "layer": str})
    of = activations[activations["dataset"] == "sim-a"]
    wide = of.pivot_table(index="stimulus", columns=["layer", "unit"], values="activation")
    r = wide.corr()["conv1", 13].drop(("conv1", 13)).sort_values(ascending=False)
    links = [one.proto.label for one in app.get("page_link") if "(r = " in one.proto.label]
    assert links == [f"{layer}/{unit} (r = {one:.2f})" for (layer, unit), one in r.items()]
    ceilings = app.dataframe[-1].value
    np.testing.assert_allclose(ceilings["explainable_r"], shown.explainable(UNIT)["explainable_r"])
    assert ceilings["above_ceiling"].any()


def test_pictures_that_may_not_be_shown_are_left_out_or_from_an_own_folder(
    tiny_copy, tmp_path, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    """The first pictures are such that may be shown; own copies stand for the others."""
    path = tiny_copy / "stimuli.parquet"
    table = pq.read_table(path)
    release = Release(tiny_copy)
    order = release.stimuli(UNIT, dataset="sim-a")["stimulus"].tolist()
    hidden = [name in order[1:3] for name in table["stimulus"].to_pylist()]
    pictures = table["thumbnail"].to_pylist()
    kept = [None if hide else one for hide, one in zip(hidden, pictures, strict=True)]
    place = table.schema.get_field_index("thumbnail")
    table = table.set_column(place, table.schema.field(place), pa.array(kept, pa.binary()))
    pq.write_table(table, path)
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))

    def names() -> list[str]:
        bodies = [one.proto.body for one in visit("unit", unit=UNIT, dataset="sim-a").get("html")]
        most = next(body for body in bodies if "<figure" in body)
        assert "may not be shown" not in most
        return [html.unescape(name) for name in re.findall(r'alt="([^"]*)"', most)]

    assert names() == [order[0], *order[3:8]]
    own = tmp_path / "own" / "sim-a"
    own.mkdir(parents=True)
    PIL.Image.new("RGB", (200, 100), "red").save(own / f"{order[1]}.png")
    (own / f"{order[2]}.png").write_bytes(b"no picture")
    PIL.Image.new("RGB", (200, 100), "red").save(own.parent / f"{order[2]}.png")
    monkeypatch.setenv("UNITDB_PICTURES", str(own.parent))
    assert names() == [*order[:2], *order[3:7]]


@pytest.mark.robust(
    "pictures",
    given="`unitdb app --pictures DIR` for two datasets whose pictures have the same names",
    before="pictures of one dataset stood for those of the other; 24 files a unit were decoded",
    now="pictures lie in a folder of their dataset's name; no more are decoded than are shown",
)
def test_own_pictures_are_those_of_their_dataset(
    shown: Release, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def read(path, **_):
        opened.append(f"{path.parent.name}/{path.name}")
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr("unitdb.browser._own.read_picture", read)
    for place in ("", "sim-a"):
        for n in range(5):
            (tmp_path / place).mkdir(exist_ok=True)
            (tmp_path / place / f"{n}.png").touch()
    monkeypatch.setenv("UNITDB_PICTURES", str(tmp_path))
    names = [*"012345", *"01234"]
    rows = pd.DataFrame({"stimulus": names, "thumbnail": None, "unit_id": [*"aaaaaabbbbb"]})
    assert with_own(shown, "sim-b", rows, most=2)["thumbnail"].isna().all()
    found = with_own(shown, "sim-a", rows, most=2)
    assert found["thumbnail"].notna().tolist() == [n in (0, 1, 6, 7) for n in range(11)]
    assert opened == ["sim-a/0.png", "sim-a/1.png"]
    monkeypatch.setattr("unitdb.browser._reads.subjects", lambda _: {"sim-b": []})
    assert with_own(shown, "sim-b", rows, most=1)["thumbnail"].notna().sum() == 2


def test_nothing_outside_of_the_folder_of_pictures_is_read(
    shown: Release, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitdb.browser._reads.subjects", lambda _: {"sim-a": []})
    inside = tmp_path / "inside"
    inside.mkdir()
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    PIL.Image.new("RGB", (8, 8)).save(inside / "fine.png")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    monkeypatch.setenv("UNITDB_PICTURES", str(inside))
    names = ["fine", "../secret", str(tmp_path / "secret.png"), "link", "a\0b", "x" * 9999, "."]
    rows = pd.DataFrame({"stimulus": names, "thumbnail": None})
    found = with_own(shown, "sim-a", rows, most=9)
    assert found["thumbnail"].notna().tolist() == [True, *[False] * 6]


def test_names_of_pictures_are_no_html() -> None:
    rows = pd.DataFrame(
        {
            "stimulus": ['<img src=x onerror="alert(1)">', 'a"b'],
            "activation": [1.0, 2.0],
            "thumbnail": [b"jpeg", None],
        }
    )
    written = strip(rows, shown=True)
    assert "<img src=x" not in written
    assert 'alt="&lt;img src=x onerror=&quot;alert(1)&quot;&gt;"' in written
    assert written.count("may not be shown") == 1
    assert "may not be shown" in strip(rows[1:], shown=True)
    assert "may not be shown" not in strip(rows[1:], shown=False)


def test_a_picture_that_is_damaged_has_no_box_and_stops_no_page() -> None:
    small = BytesIO()
    PIL.Image.new("RGB", (8, 8)).save(small, format="JPEG")
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n"
    ends = {"top": 2, "bottom": 5, "left": 2, "right": 5}
    field = ReceptiveField(**ends, size=8, crop=1, whole=False)
    for picture, boxes in ((small.getvalue(), 1), (b"jpeg", 0), (postscript, 0)):
        rows = pd.DataFrame({"stimulus": ["a"], "activation": [1.0], "thumbnail": [picture]})
        assert strip(rows, shown=True, field=field).count("position:absolute") == boxes


def test_pictures_that_may_not_be_shown_are_named(shown: Release, visit) -> None:
    app = visit("unit", unit=UNIT, dataset="sim-b")
    assert "does not say that its pictures may be shown" in texts(app)
    written = "".join(element.proto.body for element in app.get("html"))
    assert "<img" not in written
    for name in shown.stimuli(UNIT, 6, dataset="sim-b")["stimulus"]:
        assert html.escape(name) in written


def test_a_box_marks_the_receptive_field(shown: Release, visit) -> None:
    app = visit("unit", unit=UNIT, dataset="sim-a")  # channel 1, row 1, column 1; pictures 96 × 72
    assert "Box: its receptive field" in texts(app)
    assert "rows 2 to 5, columns 2 to 5 of the 8 × 8 pixels" in texts(app)
    body = next(one.proto.body for one in app.get("html") if "position:absolute" in one.proto.body)
    across = 72 / 96
    left = 100 * ((1 - across) / 2 + across * 2 / 8)
    assert f"left:{left:.2f}%;top:25.00%;width:{100 * across / 2:.2f}%;height:50.00%" in body
    assert "Box:" not in texts(visit("unit", unit="net/fc/3", dataset="sim-a"))


def test_a_unit_that_is_not_kept_says_what_keeps_it(shown: Release, visit) -> None:
    app = visit("unit", unit="net/conv1/4", dataset="sim-a")
    assert "keep: {also: [net/conv1/4]}" in texts(app)
    links = [link.proto.label for link in app.get("page_link")]
    assert "Kept of its channel: net/conv1/7" in links


def test_a_unit_of_an_older_release(tiny_copy, monkeypatch: pytest.MonkeyPatch, visit) -> None:
    make_older(tiny_copy, "2.0")
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    app = visit("unit", unit=UNIT, dataset="sim-a")
    assert "it is of schema 2.0" in texts(app)
    assert len(app.get("vega_lite_chart")) == 2
    assert not visit("methods").exception


def test_a_unit_without_accuracy_says_why(shown: Release, visit) -> None:
    app = visit("unit", unit="net/conv1/5", dataset="sim-a")
    assert "answers the same to all test pictures" in texts(app)


def test_a_unit_without_a_place_has_no_map(shown: Release, visit) -> None:
    assert "have no place" in texts(visit("unit", unit="net/fc/3"))


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("net/conv9/3", "net/conv1"),
        ("net/conv1/18", "0 to 17"),
        ("net/conv1", "MODEL/LAYER/UNIT"),
        ("net/conv1/-1", "MODEL/LAYER/UNIT"),
    ],
)
def test_a_wrong_unit_gets_the_nearest(unit: str, said: str, shown: Release, visit) -> None:
    app = visit("unit", unit=unit)
    assert "No such unit" in app.warning[0].value
    assert said in app.warning[0].value
    assert any(link.proto.label == "Layer net/conv1" for link in app.get("page_link"))


def test_no_unit_gives_an_example(shown: Release, visit) -> None:
    best = shown.units().top(1).to_pandas()["unit_id"].iloc[0]
    assert best in visit("unit").info[0].value


def test_a_layer_shows_its_channels(shown: Release, visit) -> None:
    app = visit("layer", dataset="sim-a", layer="conv1", roi="V4")
    channels = shown.units(dataset="sim-a", layer="conv1", roi="V4").by_channel()
    channels = channels.sort_values("mean_r", ascending=False)
    table = app.dataframe[0].value
    assert table["channel"].tolist() == channels["channel"].tolist()
    assert np.allclose(table["mean_r"], channels["mean_r"], atol=1e-6)
    assert len(app.get("vega_lite_chart")) == 4
    app.selectbox(key="a").select("S2").run()
    assert not app.exception
    assert "`S2` and `S3`" in texts(app)


def test_a_layer_of_one_subject(shown: Release, visit) -> None:
    app = visit("layer", dataset="sim-b", layer="fc")
    assert "It takes two subjects" in texts(app)
    assert "have no place" in texts(app)


def test_networks_beside_the_published_ones(shown: Release, visit) -> None:
    app = visit("networks", dataset="sim-a", roi=["V1"])
    published = reference.bhscore()
    own, table = (frame.value for frame in app.dataframe)
    scores = shown.table("hierarchy")
    scores = scores[scores["dataset"] == "sim-a"].dropna(subset="score")
    assert own["score"].tolist() == scores["score"].tolist()
    assert table["dnn"].tolist() == published["dnn"].tolist()
    assert np.array_equal(table["bh_average"], published["bh_average"])
    assert "not of this release" in texts(app)
    assert len(app.get("vega_lite_chart")) == 3


@pytest.mark.robust(
    "numbers",
    given="the page *Networks* of a release of more than four regions",
    before="`Regions of interest: all`, and four were drawn; as in the report, which said nothing",
    now="both say how many of how many are drawn, and how others are",
)
def test_it_is_said_how_many_regions_are_drawn(
    regions_release, monkeypatch: pytest.MonkeyPatch, visit
) -> None:
    monkeypatch.setenv("UNITDB_RELEASE", str(regions_release))

    def drawn(app) -> list[str]:
        chart = json.loads(app.get("vega_lite_chart")[0].proto.spec)
        return re.findall(r"'domain': (\[[^]]*\])", str(chart))

    app = visit("networks")
    assert app.multiselect(key="roi").proto.placeholder == "4 of 6, from early to late"
    assert "Drawn: 4 of 6 regions; choose others above." in texts(app)
    assert "['R0', 'R2', 'R3', 'R5']" in drawn(app)
    every = visit("networks", roi=[f"R{n}" for n in range(6)])
    assert "Drawn:" not in texts(every)
    assert str([f"R{n}" for n in range(6)]) in drawn(every)


def test_subjects_against_the_others(shown: Release, visit) -> None:
    pairs = shown.table("intersubject").astype({"layer": str, "roi": str})
    here = pairs[(pairs["layer"] == "fc") & (pairs["roi"] == "V4")].assign(
        r=lambda frame: frame["pearson_r"]
    )
    found = subjects.leave_one_out(here, ["S1", "S2", "S3"]).set_index("subject")["r"]
    for subject in ("S1", "S2", "S3"):
        of = here[(here["subject_a"] == subject) | (here["subject_b"] == subject)]
        assert found[subject] == pytest.approx(of["pearson_r"].mean())
    app = visit("subjects", dataset="sim-a", layer="fc", roi="V4", kind="spearman_r")
    assert len(app.get("vega_lite_chart")) == 3
    recurrence = shown.table("recurrence").astype({"roi": str, "among": str})
    recurrence = recurrence[(recurrence["roi"] == "V4") & (recurrence["dataset"] == "sim-a")]
    numbers, table = (frame.value for frame in app.dataframe)
    own = here[here["dataset"] == "sim-a"]
    assert sorted(numbers["spearman_r"]) == sorted(own["spearman_r"])
    there = {name for name in ("spearman_low", "prediction_r") if own[name].notna().any()}
    assert there == {"spearman_low", "prediction_r"} & set(numbers)
    assert "There is no p" in texts(app)
    assert sorted(table["n_shared"]) == sorted(recurrence["n_shared"])
    assert (table["among"] == "mean of the others").sum() == 3
    assert "p" not in table  # there are no controls
    assert "two subjects or more" in texts(visit("subjects", dataset="sim-b"))


def test_methods_say_what_was_done(shown: Release, visit) -> None:
    app = visit("methods")
    said = texts(app)
    assert shown.citation in said
    assert "@misc{tiny-1.0.0" in said
    for build in shown.table("builds")["build"]:
        assert any(str(build) in expander.label for expander in app.expander)


def test_errata_are_said(tiny_copy, monkeypatch: pytest.MonkeyPatch, visit) -> None:
    import json

    catalogue = tiny_copy.parents[1] / "releases.json"
    found = json.loads(catalogue.read_text())
    found["releases"]["tiny"]["versions"]["1.0.0"]["errata"] = ["V4 of S2 is <b>too</b> small."]
    catalogue.write_text(json.dumps(found))
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_copy))
    assert r"\<b\>too\</b\>" in visit("methods").warning[0].value


@pytest.mark.parametrize("example", list(console.EXAMPLES))
def test_examples_of_sql_run(example: str, shown: Release, visit) -> None:
    app = visit("sql", sql=console.EXAMPLES[example])
    assert len(app.error) == 1  # the banner
    expected = shown.sql(console.EXAMPLES[example])
    assert len(app.dataframe[0].value) == len(expected)


def test_sql_is_run_and_linked(shown: Release, visit) -> None:
    app = visit("sql")
    app.text_area[0].set_value("SELECT 6 * 7 AS answer")
    next(button for button in app.button if button.label == "Run").click().run()
    assert app.dataframe[0].value["answer"].tolist() == [42]
    assert app.query_params["sql"] == "SELECT 6 * 7 AS answer"


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE accuracy",
        "SELECT 1; SELECT 2",
        "COPY accuracy TO 'x'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT",
    ],
)
def test_sql_that_does_not_read_is_refused(query: str, shown: Release, visit) -> None:
    app = visit("sql", sql=query)
    assert "not run to its end" in app.error[1].value
    assert not app.dataframe


def test_sql_is_cut_after_its_rows(shown: Release, visit, monkeypatch: pytest.MonkeyPatch) -> None:
    app = visit("sql", sql="FROM range(100000)")
    assert len(app.dataframe[0].value) == console.MOST_ROWS
    assert "the first 1,000 rows" in texts(app)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(DISTINCT i) FROM range(1000000000) t(i)",  # DuckDB's own limit
        "SELECT repeat('x', 10000000) FROM range(1000)",  # values, which that does not count
    ],
)
def test_sql_takes_no_more_than_its_memory(query: str, shown: Release, visit) -> None:
    app = visit("sql", sql=query)
    assert "needs more memory than" in texts(app)
    assert not app.dataframe


def test_sql_is_stopped_after_its_time(
    shown: Release, visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "SECONDS", 0.2)
    endless = "SELECT sum(sin(i)) FROM range(1000000000000) t(i)"
    app = visit("sql", sql=endless)
    assert "longer than 0.2 s" in texts(app)
