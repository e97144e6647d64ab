from __future__ import annotations

from tests.browser.conftest import texts
from unitdb.release import Release


def test_it_cites_counts_and_draws(shown: Release, visit) -> None:
    app = visit("overview")
    assert shown.citation in [code.value for code in app.code]
    held = shown.describe()
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Units"] == f"{held.n_units:,}"
    assert metrics["Accuracies"] == f"{held.n_accuracies:,}"
    assert len(app.get("vega_lite_chart")) == 2


def test_one_subject_agrees_with_nobody(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-b")
    assert app.selectbox(key="dataset").value == "sim-b"
    assert len(app.get("vega_lite_chart")) == 1
    assert "two subjects" in app.info[0].value


def test_a_wrong_name_gets_the_nearest(shown: Release, visit) -> None:
    app = visit("overview", dataset="sim-bb")
    assert "`sim-bb` is not in this release" in app.warning[0].value
    assert "`sim-b`" in app.warning[0].value
    assert "Overview" in texts(app)
    app.selectbox(key="dataset").select("sim-b").run()
    assert not app.warning
    assert app.query_params["dataset"] == "sim-b"
