"""Docs that are generated must be what the code generates; docs that are written must be true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from unitdb import plot
from unitdb.schema import TABLES, data_dictionary
from unitdb.yamltext import parse_yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    ROOT.glob("docs/**/*.md")
)


def test_the_data_dictionary_is_up_to_date():
    assert (ROOT / "docs" / "schema.md").read_text() == data_dictionary() + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page):
    found = set(
        re.findall(r"`((?:unitdb|tests|benchmarks|docs)/[a-z_0-9/]+\.py)", page.read_text())
    )
    assert [name for name in sorted(found) if not (ROOT / name).exists()] == []


def test_the_help_of_every_command_is_up_to_date():
    # In a process of its own: click remembers the help option of its first context.
    command = [sys.executable, ROOT / "docs" / "commands.py"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "commands.md").read_text() == page


def test_the_keys_of_recipes_and_datasets_are_up_to_date():
    command = [sys.executable, ROOT / "docs" / "specs.py"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "recipes.md").read_text() == page


def test_the_table_of_odd_inputs_is_up_to_date():
    command = [sys.executable, ROOT / "docs" / "robustness.py"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "robustness.md").read_text() == page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_rectangular_and_nothing_is_left_of_sphinx(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r":[a-z]+:`", text)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(bars) == 1, table[:200]


@pytest.mark.parametrize(
    "page",
    [*PAGES, *sorted(ROOT.glob("datasets/*/README.md"))],
    ids=lambda page: f"{page.parent.name}-{page.name}",
)
def test_yaml_in_docs_is_read_as_it_stands(page):
    for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        assert parse_yaml(block)


def test_all_rooms_are_in_the_plan_of_the_house():
    plan = re.split(r"^```\n", (ROOT / "docs" / "design.md").read_text(), flags=re.MULTILINE)[1]
    named = set(re.findall(r"^  (\w+)(?:\.py|/) ", plan, re.MULTILINE))
    there = {path.stem for path in (ROOT / "unitdb").iterdir() if path.suffix in ("", ".py")}
    assert named == {name for name in there if not name.startswith("_")}


def test_every_column_is_explained():
    for table in TABLES.values():
        for column in table.columns:
            assert column.description, (table.name, column.name)
            assert f"| `{column.name}` |" in data_dictionary()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("dataset", sorted(p.name for p in (ROOT / "datasets").iterdir()))
def test_every_dataset_has_a_card(dataset):
    assert (ROOT / "datasets" / dataset / "README.md").read_text().startswith(f"# {dataset}\n")


def test_the_table_of_extras_has_all_of_them():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "start" / "ten-minutes.md").read_text()
    table = page.partition("| extra | adds |\n")[2].partition("\n\n")[0]
    named = [
        name for row in table.splitlines() for name in re.findall("`(.+?)`", row.split("|")[1])
    ]
    assert sorted(named) == sorted(extras["optional-dependencies"])


def test_the_design_names_every_figure():
    (row,) = re.findall(
        r"^\| plot \| (.+?) \|", (ROOT / "docs" / "design.md").read_text(), re.MULTILINE
    )
    assert sorted(re.findall("`(.+?)`", row)) == sorted(plot.__all__)


def test_commands_in_pages_exist():
    commands = (ROOT / "docs" / "commands.md").read_text()
    pages = [page.read_text() for page in PAGES if page.name != "commands.md"]
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", "\n".join(pages), re.DOTALL | re.MULTILINE)
    code = "\n".join(text for language, text in blocks if language in ("", "bash"))
    named = set(re.findall(r"^unitdb (\w+)", code, re.MULTILINE))
    assert len(named) > 15
    assert [first for first in sorted(named) if f"## unitdb {first}\n" not in commands] == []


def test_importing_unitdb_loads_nothing_heavy():
    heavy = "torch sklearn scipy dask datalad streamlit pydantic yaml PIL pandas duckdb"
    code = f"import sys, unitdb; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_public_exists_and_is_documented():
    import unitdb

    for name in unitdb.__all__:
        assert getattr(unitdb, name).__doc__, name


def test_pages_are_plain_english():
    command = [sys.executable, ROOT / "docs" / "words.py"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in printed.splitlines()[1:]]
    pages = {row[3] for row in rows}
    assert {"README.md", "docs/start/ten-minutes.md", "docs/howto/build.md", "docs/nn.md"} <= pages
    for mean, longest, relatives, page in rows:
        assert (float(mean) <= 20, int(longest) <= 40, float(relatives) <= 2) == (True,) * 3, page


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") <= 130


def test_every_page_stands_in_the_site():
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    named = set(re.findall(r"([\w/-]+\.md)$", nav, re.MULTILINE))
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).as_posix() for page in PAGES if page.is_relative_to(docs)}
    scripts = {f"tutorials/{path.stem}.md" for path in (ROOT / "examples").glob("*.py")}
    assert named == pages | scripts | {
        "index.md",
        "conduct.md",
        "contributing.md",
        "security.md",
        "changelog.md",
        "datasets/index.md",
    }
