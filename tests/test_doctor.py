"""The doctor finds what is missing, with nothing but what reading needs."""

from __future__ import annotations

import sysconfig
from urllib.error import URLError

import pytest
from click.testing import CliRunner

from tests.web import serving
from unitdb.cli import main
from unitdb.cli.doctor import diagnose
from unitdb.extras import install_hint


def findings(**options):
    return {finding.what: finding for finding in diagnose(offline=True, **options)}


def test_git_annex_of_the_virtual_environment_is_found_without_a_path(monkeypatch, tmp_path):
    pytest.importorskip("datalad")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings()
    assert found["git-annex"].well
    assert (found["datalad"].detail, found["datalad"].mend) == ("needs git", found["git"].mend)
    assert not found["git"].well
    assert "git-scm.com" in found["git"].mend


def test_what_is_missing_is_named_with_what_mends_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    result = CliRunner().invoke(main, ["doctor", "--offline"])
    assert result.exit_code == 1
    for said in ("git-annex", "MISSING", install_hint("datalad")):
        assert said in result.output


def test_a_program_that_tells_no_version_is_no_missing_one(monkeypatch, tmp_path):
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\necho 'unknown option -- -' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert findings()["ssh-keygen"].well


def test_a_full_disk_is_no_place_for_data(monkeypatch, tmp_path):
    assert "GB free" in findings(data=tmp_path / "not" / "yet")["disk"].detail
    monkeypatch.setattr("unitdb.cli.doctor._WANTED_GB", 1e12)
    assert "UNITDB_DATA" in findings(data=tmp_path)["disk"].mend


def test_no_network_is_said(monkeypatch):
    def unreachable(*_, **__):
        raise URLError("no route")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    found = {finding.what: finding for finding in diagnose()}
    assert not found["network: figshare.com"].well
    assert found["network: figshare.com"].detail == "does not answer: no route"


def test_the_network_is_looked_at_through_the_proxy(monkeypatch, tmp_path):
    with serving(tmp_path) as proxy:  # which cannot do what it is asked, but is asked
        monkeypatch.setattr("urllib.request._opener", None)  # which remembers proxies
        monkeypatch.setenv("https_proxy", proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        found = {finding.what: finding for finding in diagnose()}
    assert "Unsupported method ('CONNECT')" in found["network: openneuro.org"].detail
