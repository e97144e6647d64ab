"""A release is data: opening, reading and picturing it runs no code that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.tiny import MODEL
from unitdb.cli import main

HOSTILE = {
    "an installed function": {"factory": "pathlib:Path", "factory_options": {}},
    "a command": {"factory": "os:system", "factory_options": {"command": "touch {}"}},
    "a file beside it": {"factory": "beside.py:make", "factory_options": {}},
}


@pytest.mark.robust(
    "hostile",
    given="a release whose recipe names any function as the factory of its network",
    before="`unitdb visualise` called it",
    now="refused in one line; own networks are made by a recipe that the user names",
)
@pytest.mark.parametrize("factory", HOSTILE.values(), ids=HOSTILE)
def test_the_recipe_inside_a_release_runs_nothing(
    factory: dict, tiny_copy: Path, tmp_path: Path
) -> None:
    mark, options = tmp_path / "mark", factory["factory_options"]
    (tiny_copy / "beside.py").write_text(f"open({str(mark)!r}, 'w')\n")
    own = {
        "name": MODEL,
        "title": "A network",
        **factory,
        "factory_options": {key: text.format(mark) for key, text in options.items()},
        "preprocessing": {"size": 8, "mean": [0, 0, 0], "std": [1, 1, 1]},
        "layers": {"conv1": "conv1"},
        "licence": "none",
        "source": "none",
        "citation": "none",
        "check": None,
    }
    path = tiny_copy / "recipe.yaml"
    recipe = {
        "name": "tiny",
        "version": "1.0.0",
        "title": "Tiny",
        "description": "Tiny.",
        "licence": "none",
        "citation": "none",
        "datasets": ["sample"],
        "own_models": [own],
        "models": [{"name": MODEL}],
        "decoder": {"voxels": "all", "alpha": 1},
        "changes": {"1.0.0": "First."},
    }
    path.write_text(yaml.safe_dump(recipe))
    output = tmp_path / "unit.png"
    command = ["visualise", str(tiny_copy), f"{MODEL}/conv1/7", "--output", str(output)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1] == (
        f"unitdb: error: release tiny@1.0.0: code of its recipe makes network '{MODEL}', and no "
        "release may run code: unitdb visualise --recipe FILE takes your copy of the recipe"
    )
    assert not mark.exists()
    assert not output.exists()
    if "command" in options:  # the recipe is one that would have done it
        CliRunner().invoke(main, [*command, "--recipe", str(path)])
        assert mark.exists()
