"""Names that look like something else stay names, here and in what docs/query.md shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from tests.pipeline.small import edit, lay_out, run
from tests.test_export import block
from unitdb import open as open_release
from unitdb.specs import Name

LAYERS = ["0", "1", "001", "1e5", "2020-01-01", "nan", "NULL", "True", "inf", "1" * 30]


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    recipe = lay_out(tmp_path_factory.mktemp("numbers"))
    edit(recipe, "datasets: [mine.yaml]", "datasets: [mine.yaml]\nrois: [V1]")
    layers = ", ".join(f'"{name}": "3"' for name in LAYERS)
    edit(recipe, 'layers: {conv: "1", scores: "3"}', f"layers: {{{layers}}}")
    edit(recipe, "name: mynet\n    title", 'name: "7"\n    title')
    edit(recipe, "models: [{name: mynet}]", 'models: [{name: "7"}]')
    return run(recipe)


def expected(release: Path) -> list[list[object]]:
    best = open_release(release).units(roi="V1").sort("mean_r").to_pandas()
    best = best.sort_values(
        ["mean_r", "model", "layer", "unit"], ascending=[False, True, True, True]
    )
    return best[["model", "layer", "unit"]].astype({"layer": str}).head(10).to_numpy().tolist()


def test_unitdb_has_all_names(release):
    opened = open_release(release)
    assert opened.verify().rows["layers"] == len(LAYERS)
    assert set(opened.values("layer")) == set(LAYERS)
    for layer in LAYERS:
        units = opened.units(layer=layer, roi="V1").to_pandas()
        assert set(units["layer"].astype(str)) == {layer}
        assert set(units["unit_id"]) == {f"7/{layer}/{unit}" for unit in units["unit"]}
        assert len(opened.unit(f"7/{layer}/0"))


@pytest.mark.robust(
    "datasets",
    given="a network and layers named 7, 0, 001, 1e5, 2020-01-01, nan, NULL, True, inf",
    before="the pandas query of docs/query.md failed with ArrowTypeError (incompatible types)",
    now="all queries of the page give the same rows, with the names as they are",
)
@pytest.mark.parametrize("tool", ["duckdb", "pandas", "polars"])
def test_the_queries_of_the_page(release, tool, capsys):
    def at(text: str) -> str:
        return text.replace("releases/sample/1.0.0", release.as_posix()).replace("V4", "V1")

    if tool == "duckdb":
        text = at(block("DuckDB's command line", "sql"))
        program = Path(sys.executable).with_name("duckdb")
        asked = [program, "-csv", "-c", text]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        rows = [line.split(",")[:3] for line in done.stdout.splitlines()[1:]]
    else:
        scope: dict = {}
        exec(at(block(tool, "python")), scope)  # noqa: S102
        assert capsys.readouterr().out
        rows = scope["units"].head(10)[["model", "layer", "unit"]].to_numpy().tolist()
    found = [[str(model), str(layer), int(unit)] for model, layer, unit in rows]
    assert found == expected(release)


@pytest.mark.parametrize(
    "name", ["__HIVE_DEFAULT_PARTITION__", "a/b", "a=b", "a b", "a%20b", "", ".", "..", "ü", "a\n"]
)
def test_names_that_no_folder_can_have(name):
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)
