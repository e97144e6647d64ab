"""Units kept image by image: what a release says of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import tiny, tiny_tables
from tests.tiny import N_TEST, make_older
from unitdb.errors import NotKeptError, QueryError, UnknownLayerError, UnknownRoiError
from unitdb.publish import publish_release
from unitdb.query import export
from unitdb.release import Release, open_release

UNIT = "net/conv1/13"


@pytest.fixture
def release(tiny_release: Path) -> Release:
    return open_release(tiny_release)


def test_predictions_give_the_accuracies(release: Release) -> None:
    r = release.unit(UNIT).loc["sim-a", "perception"]
    found = release.predictions(UNIT, dataset="sim-a")
    assert list(found) == ["roi", "subject", "stimulus", "activation", "predicted"]
    for (roi, subject), rows in found.groupby(["roi", "subject"], observed=True):
        assert len(rows) == N_TEST
        correlation = np.corrcoef(rows["activation"], rows["predicted"])[0, 1]
        assert correlation == pytest.approx(r.loc[roi, subject], abs=1e-6)
    assert found.attrs["release"] == "tiny@1.0.0"


def test_predictions_of_an_roi_and_a_subject(release: Release) -> None:
    every = release.predictions(UNIT, dataset="sim-a")
    some = release.predictions(UNIT, dataset="sim-a", roi="V4", subject="S2")
    kept = (every["roi"] == "V4") & (every["subject"] == "S2")
    assert some["predicted"].tolist() == every[kept]["predicted"].tolist()
    with pytest.raises(UnknownRoiError, match="V4"):
        release.predictions(UNIT, dataset="sim-a", roi="V44")
    with pytest.raises(QueryError, match="name one of sim-a, sim-b"):
        release.predictions(UNIT)


def test_stimuli_by_how_much_they_drive_a_unit(release: Release) -> None:
    every = release.stimuli(UNIT, dataset="sim-a")
    activations = every["activation"].to_numpy()
    assert len(every) == N_TEST
    assert (np.diff(activations) <= 0).all()
    ends = release.stimuli(UNIT, 3, dataset="sim-a")
    assert ends["stimulus"].tolist() == [*every["stimulus"][:3], *every["stimulus"][-3:]]
    with Image.open(io.BytesIO(ends["thumbnail"][0])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (96, 72))
    assert set(release.stimuli(UNIT, dataset="sim-b")["thumbnail"]) == {None}
    with pytest.raises(QueryError, match="positive number of pictures, not 0"):
        release.stimuli(UNIT, 0, dataset="sim-a")


def test_what_is_not_kept_says_what_keeps_it(release: Release) -> None:
    assert release.kept("net/conv1", dataset="sim-a") == ["net/conv1/7", UNIT]
    with pytest.raises(NotKeptError, match=r"those of net/conv1/7, net/conv1/13 are") as caught:
        release.predictions("net/conv1/4", dataset="sim-a")
    assert "keep: {also: [net/conv1/4]}" in str(caught.value)
    with pytest.raises(UnknownLayerError, match="net/conv1"):
        release.stimuli("net/conv/4", dataset="sim-a")
    assert len(release.predictions("net/conv1/013", dataset="sim-a"))


def test_an_older_release_is_read_and_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its p took people for independent.
    monkeypatch.setattr(tiny_tables, "PREDICTIONS_ALIKE", 0.0)
    monkeypatch.setattr(tiny, "SIGNIFICANCE", '{"over_subjects":"stouffer","test":"t"}')
    older = publish_release(tiny.stage(tmp_path / "staged"), tmp_path, info=tiny.INFO)
    make_older(older, "2.0")
    release = open_release(older)
    assert "prediction" not in release.tables
    assert "thumbnail" not in release.table("stimuli")
    assert release.kept("net/conv1", dataset="sim-a") == []
    with pytest.raises(NotKeptError, match=r"schema 2\.0, which keeps no activations"):
        release.stimuli(UNIT, dataset="sim-a")
    assert release.verify().rows["accuracy"] == 224


def test_pictures_in_files_of_text(release: Release, tmp_path: Path) -> None:
    release.export("stimuli", tmp_path / "stimuli.csv")
    lines = (tmp_path / "stimuli.csv").read_text().splitlines()
    assert sum("/9j/" in line for line in lines) == N_TEST  # how JPEG begins in base64
    found = release.sql_arrow("SELECT thumbnail FROM stimuli LIMIT 1")
    export.write_json(found, tmp_path / "stimuli.json")
    assert '"/9j/' in (tmp_path / "stimuli.json").read_text()
