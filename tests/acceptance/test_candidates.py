"""Candidates of real photographs, and the page that explains candidates, followed to the letter."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tests.acceptance.conftest import ROOT, succeed
from tests.acceptance.test_readme import run
from unitdb.activations import Stimuli, UnitSelection, extract, get_model, load_model
from unitdb.candidates import find_candidates, open_candidates

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "candidates.md").read_text()

FILE = """
model: {name: efficientnet-lite0}
units: {sample: 500, seed: 0}
candidates:
  outside: {kind: pictures, folder: imagenet1000}
"""


def test_a_thousand_photographs_as_extracted_by_hand(realdata, tmp_path):
    folder = realdata / "imagenet1000"
    if not folder.is_dir():
        pytest.skip(f"no {folder.name}/ in the folder of real data")
    (tmp_path / "candidates.yaml").write_text(FILE)
    at = ["--releases", tmp_path, "candidates"]
    succeed(*at, "make", tmp_path / "candidates.yaml", "--data", realdata)
    found = open_candidates(find_candidates("outside", tmp_path / ".cache"))
    paths = sorted(folder.glob("*.jpg"))
    assert found.ids == tuple(path.stem for path in paths)
    assert len(found) == 1000
    assert all(re.fullmatch(r"n\d{8}", one) for one in found.ids)
    model = load_model(get_model("efficientnet-lite0"))
    some = slice(None, None, 20)  # an activation follows from its picture alone
    stimuli = Stimuli(
        ids=found.ids[some],
        sources=found.ids[some],
        read=lambda index: np.asarray(Image.open(paths[some][index]).convert("RGB")),
    )
    store = extract(
        model, stimuli, folder=tmp_path / "by hand", units=UnitSelection(sample=500, seed=0)
    )
    assert found.layers == tuple(layer.name for layer in model.layers)
    for layer in found.layers:
        assert np.array_equal(found.units(layer), store.units(layer))
        assert len(found.units(layer)) == 500
        assert np.array_equal(found.features(layer)[some], store.mapped(layer))


def test_the_page_followed(tmp_path):
    for name, text in re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / name).write_text(text)
    (commands,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    start = ["-c", "from unitdb.cli import main; main()"]
    first, *others = [line.split() for line in commands.splitlines()]
    run(first[1:], tmp_path)
    made, listed, shown = [run([*start, *words[1:]], tmp_path) for words in others]
    assert "objects: 4 candidates\nFour objects, three pictures each." in made
    assert [line.split()[0] for line in listed.splitlines()] == ["set", "cuts", "objects"]
    assert re.search(r"^chelsea +a cat +3$", shown, re.MULTILINE)
    (code,) = re.findall(r"In Python:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    printed = run(["-c", code], tmp_path).splitlines()
    assert printed[0].startswith("objects 4 ")
    assert printed[3:] == ["(2, 5)", "0 (4, 500) float32"]


def test_memory_of_sets_is_measured(tmp_path):
    script = ROOT / "benchmarks" / "candidates.py"
    printed = run([str(script), str(tmp_path / "bench"), "--scale", "0.02"], tmp_path)
    assert len(printed.splitlines()) == 6
    assert all('"peak_gb": 0.' in line for line in printed.splitlines())
