"""What acceptance tests share: the command line as users run it, the sample, the real data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.pages import chromium_launched, served, visiting
from tests.pipeline.levels import TESTED, add_sets
from tests.pipeline.pictured import CATEGORIES, lay_out_lab
from tests.pipeline.small import edit, lay_out, run
from unitdb.activations import Activations
from unitdb.files import locked, write_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "pipelines" / "sample.yaml"
README = (ROOT / "README.md").read_text()
START = (ROOT / "docs" / "start" / "ten-minutes.md").read_text()


def unitdb_command(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """Run ``unitdb`` in a process of its own, from the project's folder."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", "from unitdb.cli import main; main()"]
        + [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


def succeed(*arguments: object) -> str:
    """Run ``unitdb``; returns what it printed, and fails with its error if it failed."""
    done = unitdb_command(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Folder of the real fMRI data."""
    folder = Path(os.environ.get("UNITDB_REALDATA", ROOT.parent / "shared" / "realdata"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder.name}/: set UNITDB_REALDATA to its folder")
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the sample release, built by its recipe: read only.

    All processes of a test run share it.
    """
    base = _shared(tmp_path_factory)
    release = base / "releases-sample" / "sample" / "1.0.0"
    with locked(base / "sample.lock"):
        if not release.exists():
            succeed("--releases", base / "releases-sample", "build", SAMPLE)
    return release


@pytest.fixture(scope="session")
def demo(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What ``unitdb demo`` prints; it adds the release sample-topdown beside the sample."""
    printed = _shared(tmp_path_factory) / "demo.txt"
    with locked(printed.with_suffix(".lock")):
        if not printed.exists():
            write_text(printed, succeed("--releases", sample.parents[1], "demo"))
    return printed.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def topdown(sample: Path, demo: str) -> Path:
    """Folder of the second release of ``unitdb demo``: read only."""
    return sample.parents[1] / "sample-topdown" / "1.0.0"


PICTURED = f"""
  - {{name: ridge, kind: ridge, size: 8, controls: 2, subjects: [mean, sub-01], judge: judge,
     {CATEGORIES}}}
  - {{name: inverted, kind: inversion, layers: [conv, scores], controls: 1, control_images: 4,
     subjects: [mean], judge: judge, prior: {{steps: 5}}}}
"""
LEVELLED = """
identification: {sets: {own: {kind: own}}, tests: [perception], methods: [normalised]}
modulation: {draws: 2, simulations: 2, noise: [0.3, 1, 4]}
"""


@pytest.fixture(scope="session")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small release, called simulated, with reconstructions: read only."""
    return _built_once(tmp_path_factory, "pictured", lambda folder: lay_out_lab(folder, PICTURED))


@pytest.fixture(scope="session")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small release with identification and blurred pictures: read only."""

    def lay(folder: Path) -> Path:
        recipe = lay_out(folder)
        add_sets(folder, {"none": TESTED[:6]}, {"sharp": "", "much": "._2"})
        recipe.write_text(recipe.read_text() + LEVELLED)
        return recipe

    return _built_once(tmp_path_factory, "levelled", lay)


def _built_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, lay: Callable[[Path], Path]
) -> Path:
    """Build a recipe of simulated responses; all processes of a test run share it."""
    folder = _shared(tmp_path_factory) / name
    release = folder / "releases" / "small" / "1.0.0"
    with locked(folder.with_suffix(".lock")):
        if not release.exists():
            recipe = lay(folder)
            edit(folder / "mine.yaml", "name: mine\n", "name: mine\nsimulated: true\n")
            run(recipe)
    return release


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Folder of screenshots: UNITDB_SCREENSHOTS, to look at them."""
    folder = Path(os.environ.get("UNITDB_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium, of its own for each file of tests."""
    with chromium_launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def url(tiny_release: Path) -> Iterator[str]:
    """Address of the tiny release, served for each file of tests."""
    with served(tiny_release) as address:
        yield address


@pytest.fixture
def visitor(url: str, chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages of it, each for a reader of its own."""
    with visiting(url, chromium) as open_page:
        yield open_page


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def stored_activations(root: Path) -> Activations:
    """The 200 units of each layer that the demo computed, of the most pictures."""
    stores = [Activations.open(path.parent) for path in (root / ".cache").glob("*/meta.json")]
    sampled = [store for store in stores if store.n_units("fc") == 200]
    return max(sampled, key=lambda store: len(store.stimulus_ids))


def derived(recipe: str, folder: Path, **changes: str) -> Path:
    """Write a shipped recipe with other values of some top-level keys to ``folder``."""
    blocks = (ROOT / "pipelines" / f"{recipe}.yaml").read_text()
    lines, skipping = [], False
    for line in blocks.splitlines():
        if not line.startswith((" ", "#")):
            skipping = line.split(":")[0] in changes
        if not skipping:
            lines.append(line)
    lines += [f"{key}: {value}" for key, value in changes.items()]
    path = folder / f"{changes.get('name', recipe)}.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path
