"""unitdb.nn on EfficientNet-lite0 and the sample: as the docs say, as the examples do, as built."""

from __future__ import annotations

import re
import runpy
import sys

import numpy as np
import pytest
import torch

import unitdb
from tests.acceptance.conftest import ROOT, START, stored_activations
from unitdb import col, nn
from unitdb.activations import Stimuli, get_model, load_model, to_tensor
from unitdb.responses import open_dataset

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "nn.md").read_text()


@pytest.fixture(scope="module")
def release(sample):
    return unitdb.open(sample)


@pytest.fixture
def example(sample, monkeypatch, capsys):
    """Runs an example on the sample release; gives what it prints, in lines."""

    def run(name: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", str(sample)])
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "sample@1.0.0: SIMULATED responses"
        return lines[1:]

    return run


def blocks(text: str) -> str:
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))


def run_code(code: str, sample, monkeypatch, capsys) -> str:
    monkeypatch.setenv("UNITDB_RELEASES", str(sample.parents[1]))
    exec(compile(code, "docs", "exec"), {})  # noqa: S102 - the docs' own
    return capsys.readouterr().out


def test_the_page_runs(sample, monkeypatch, capsys):
    printed = run_code(blocks(PAGE), sample, monkeypatch, capsys)
    assert "efficientnet-lite0/" in printed
    assert "torch.Size([2, 200])" in printed
    assert "_conv_stem" in printed
    assert "(1, 224, 224, 3) pyramid" in printed


def test_the_first_page_runs(sample, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    printed = run_code(blocks(START), sample, monkeypatch, capsys)
    assert re.search(r"torch.Size\(\[2, \d+\]\) dict_keys\(\['stem'", printed)
    assert START[START.index("## In torch") : START.index("## Extras")].count("\n") <= 15


def test_activations_are_those_that_the_release_was_built_from(sample, release):
    """The same network on the same pictures, through other code, gives the stored numbers."""
    cache = sample.parents[1] / ".cache"
    units = release.units(roi="V1").where(col.n_subjects > 0)
    model = load_model(get_model("efficientnet-lite0"))
    dataset = open_dataset("sample", data=None, cache=cache)
    stimuli: Stimuli = dataset.stimuli
    rows = [0, 100, 299]
    pictures = [stimuli.image(row) for row in rows]
    images = torch.stack([to_tensor(picture, model.spec.preprocessing) for picture in pictures])
    found = nn.brain_readout(model.module, units, images)
    store = stored_activations(cache.parent)
    selected = nn.SelectedActivations(model.module, units)
    assert selected.method == "fx"
    places = store.rows([stimuli.ids[row] for row in rows])
    for chosen, part in zip(selected.chosen, selected.split(found).values(), strict=True):
        kept = np.isin(store.units(chosen.layer), chosen.units)
        assert kept.sum() == len(chosen.units)
        stored = store.block(chosen.layer, 0, store.n_units(chosen.layer))[places][:, kept]
        np.testing.assert_allclose(part, stored, rtol=1e-3, atol=1e-3)


def test_masks(example):
    header, *lines = example("masks")
    assert header.split()[:2] == ["layer", "shape"]
    assert sum(int(line.split(")")[1].split()[0]) for line in lines) == 200


def test_selected_activations(example):
    lines = example("selected_activations")
    assert lines[0].startswith("(4, 100) activations")
    assert lines[-1] == "torch.export gives the same: True"
    needed, every = re.findall(r"[\d,]{3,}", lines[-2])
    assert int(needed.replace(",", "")) < int(every.replace(",", ""))


def test_prune(example):
    lines = example("prune")
    for name in ("parameters", "FLOPs"):
        rows = [line.split()[-2:] for line in lines if line.startswith(name)]
        before, after = np.array([[int(n.replace(",", "")) for n in row] for row in rows]).T
        assert (before[0] == before).all()
        assert after[0] < after[1] < before[0]
    kept = {line.split()[1]: line.split()[2:] for line in lines[2:7]}
    assert kept["_blocks.12._project_conv"] == ["192", "48"]
