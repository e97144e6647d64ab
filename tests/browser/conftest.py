"""The tiny release in the browser's own test harness."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytest.importorskip("streamlit", reason="needs unitdb[app]")

import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.tiny import INFO, accuracies, small_tables, stage
from unitdb.imports import DatasetInfo, LayerAccuracies, publish_accuracies
from unitdb.publish import publish_release
from unitdb.release import Release, open_release

TIMEOUT = 60


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test reads anew, from the release that it names."""
    monkeypatch.delenv("UNITDB_RELEASE", raising=False)
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def shown(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The release that the pages show."""
    monkeypatch.setenv("UNITDB_RELEASE", str(tiny_release))
    return open_release(tiny_release)


@pytest.fixture(scope="session")
def regions_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of six regions, R0 to R5."""
    r = np.tanh(np.random.default_rng(0).normal(0.1, 0.2, (6, 2, 12)))
    layers = [LayerAccuracies(model="net", layer=name, r=r) for name in ("one", "two")]
    rois = {f"R{n}": "a region" for n in range(6)}
    dataset = DatasetInfo(name="mine", rois=rois, subjects=["S1", "S2"], n_test=50)
    words = {"title": "Regions", "licence": "CC0-1.0", "citation": "none"}
    return publish_accuracies(
        layers,
        dataset=dataset,
        releases=tmp_path_factory.mktemp("regions"),
        name="regions",
        version="1.0.0",
        **words,
    )


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Open a page with parameters of the URL."""

    def opened(page: str, **parameters: str | list[str]) -> AppTest:
        script = f"from unitdb.browser._app import show\nshow({page!r})"
        app = AppTest.from_string(script, default_timeout=TIMEOUT)
        for key, value in parameters.items():
            app.query_params[key] = value
        app.run()
        assert not app.exception, app.exception[0].value
        return app

    return opened


def asked(app: AppTest) -> dict[str, str]:
    """Parameters of the URL; Streamlit's harness gives one value bare, or in a list."""
    given = app.query_params.items()
    return {key: value if isinstance(value, str) else " ".join(value) for key, value in given}


def texts(app: AppTest) -> str:
    """All that a page says."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error")
    found = [element.value for kind in kinds for element in getattr(app, kind)]
    return "\n".join([*found, *(code.value for code in app.code)])


@pytest.fixture(scope="session")
def crossed_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny release, but sim-b has a test set, a network and a region (hV4) of its own."""
    own = {"condition": "imagery", "model": "other"}
    rows = small_tables()
    for name in ("models", "layers"):
        rows[name] += [row | {"model": "other"} for row in rows[name]]
    for row in (one for of in rows.values() for one in of if one.get("dataset") == "sim-b"):
        row |= {key: own[key] for key in own if key in row}
    values = accuracies()
    values.loc[values["dataset"] == "sim-b", list(own)] = list(own.values())
    root = tmp_path_factory.mktemp("crossed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.tiny.small_tables", lambda: rows)
        folder = publish_release(stage(root / ".staging" / "tiny", values), root, info=INFO)
    for path in folder.rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        if {"dataset", "roi"} <= set(table.column_names):
            roi, place = table["roi"], table.column_names.index("roi")
            here = pc.and_(pc.equal(table["dataset"], "sim-b"), pc.equal(roi, "V4"))
            new = pc.if_else(here, "hV4", roi.cast(pa.string())).cast(roi.type)
            pq.write_table(table.set_column(place, table.field(place), new), path)
    return folder


@pytest.fixture
def crossed(crossed_release: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """The release that the pages show: datasets that share no test set and no network."""
    monkeypatch.setenv("UNITDB_RELEASE", str(crossed_release))
    return open_release(crossed_release)
