from __future__ import annotations

import pytest

from unitdb.activations.workspace import clear_abandoned, new_folder


def test_the_folder_appears_when_it_is_complete(tmp_path):
    final = tmp_path / "deep" / "final"
    with new_folder(final) as folder:
        (folder / "file").write_text("x")
        assert not final.exists()
    assert [path.name for path in final.parent.iterdir()] == ["final"]
    assert (final / "file").read_text() == "x"


def test_an_error_leaves_nothing(tmp_path):
    def fail() -> None:
        with new_folder(tmp_path / "final") as folder:
            (folder / "file").write_text("x")
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_whoever_is_first_wins(tmp_path):
    final = tmp_path / "final"
    with new_folder(final) as slow:
        (slow / "file").write_text("slow")
        with new_folder(final) as fast:
            (fast / "file").write_text("fast")
    assert (final / "file").read_text() == "fast"
    assert list(tmp_path.iterdir()) == [final]


def test_clearing_removes_the_abandoned_and_spares_the_living(tmp_path):
    dead = tmp_path / ".unfinished-dead"
    dead.mkdir()
    (dead / "file").write_text("x")
    dead.with_suffix(".lock").touch()
    with new_folder(tmp_path / "final") as living:
        clear_abandoned(tmp_path)
        assert not dead.exists()
        assert living.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
