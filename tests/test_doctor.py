"""The doctor finds what is missing, with nothing but what reading needs."""

from __future__ import annotations

import sysconfig

import pytest
from click.testing import CliRunner

from unitdb.cli import main
from unitdb.cli.doctor import diagnose


def findings(**options):
    return {finding.what: finding for finding in diagnose(offline=True, **options)}


def test_git_annex_of_the_virtual_environment_is_found_without_a_path(monkeypatch, tmp_path):
    pytest.importorskip("datalad")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings()
    assert found["git-annex"].well
    assert found["datalad"].well or "git" in found["datalad"].detail
    assert not found["git"].well
    assert "git-scm.com" in found["git"].mend


def test_what_is_missing_is_named_with_what_mends_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    result = CliRunner().invoke(main, ["doctor", "--offline"])
    assert result.exit_code == 1
    for said in ("git-annex", "MISSING", "pip install 'unitdb[datalad]'"):
        assert said in result.output


def test_a_full_disk_is_no_place_for_data(monkeypatch, tmp_path):
    assert "GB free" in findings(data=tmp_path / "not" / "yet")["disk"].detail
    monkeypatch.setattr("unitdb.cli.doctor._WANTED_GB", 1e12)
    assert "UNITDB_DATA" in findings(data=tmp_path)["disk"].mend


def test_no_network_is_said(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr("socket.create_connection", unreachable)
    found = {finding.what: finding for finding in diagnose()}
    assert not found["network: figshare.com"].well
    assert "no route" in found["network: figshare.com"].detail
