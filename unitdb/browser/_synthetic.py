"""A synthetic picture that drives a unit: made when asked for, by a process of its own, and kept.

The network belongs to the side that builds: ``unitdb visualise`` runs it, apart from the server.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
import platformdirs
import streamlit as st

from unitdb.browser import _reads, _state
from unitdb.browser._words import help_on
from unitdb.datafolder import data_folder
from unitdb.errors import NotKeptError, UnitdbError
from unitdb.extras import install_hint
from unitdb.files import locked
from unitdb.unitids import UnitId

if TYPE_CHECKING:
    from unitdb.release import Release

__all__ = ["draw", "made", "place_of", "why_not"]

_SECONDS = 600
"""That a picture may take: some seconds on a machine with nothing else to do."""
_ASK = "Make a picture that drives this unit"
_STEPS = 64
_BEST = 3
_NEEDED = ("torch", "pydantic")
_ERROR = "unitdb: error: "


def draw(release: Release, unit: str, dataset: str) -> None:
    """Draw the picture if it is there; else let the reader ask for it, or say what is missing."""
    st.subheader("A synthetic picture", help=help_on("synthetic"))
    place = place_of(release, unit)
    if not place.is_file():
        why = why_not(release, unit)
        button = st.empty()
        if why is None and button.button(_ASK, key=f"make {unit}"):
            with st.spinner("The network runs: some seconds on a free machine."):
                why = made(release, unit, place)
        if place.is_file():
            button.empty()
        if why is not None:
            st.caption(f"It cannot be made here: {_state.code(why, most=_state.MESSAGE)}")
    if place.is_file():
        _show(release, unit, dataset, place)


def place_of(release: Release, unit: str) -> Path:
    """File of the picture in the user's cache: named by all that the picture depends on."""
    model, layer, index = UnitId.parse(unit)
    row = _reads.table(release, "models").set_index("model").loc[model]
    depends = {
        "network": row["model_sha256"],
        "weights": row["weights_sha256"],
        "layer": layer,
        "unit": index,
        "steps": _STEPS,
        "versions": {name: _version(name) for name in ("unitdb", "torch")},
    }
    key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    return Path(platformdirs.user_cache_path("unitdb")) / "synthetic" / f"{key}.png"


def why_not(release: Release, unit: str) -> str | None:
    """Say what is missing here to run the network; None where nothing is known to be."""
    try:
        _ = release.path  # of a release on the web there is none
    except UnitdbError as error:
        return str(error)
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            return f"it takes {package}: {install_hint('build')}"
    model = UnitId.parse(unit).model
    factory = str(_reads.table(release, "models").set_index("model")["factory"][model])
    package = factory.partition(":")[0].partition(".")[0]
    if ":" not in factory or factory.partition(":")[0].endswith(".py"):
        return f"the release does not carry the code of network {model}"
    if importlib.util.find_spec(package) is None:
        return f"the network's package {package} is not installed"
    folders = [data_folder(), data_folder() / "networks"]
    for path in _weights(release, model):
        if not any((folder / path).is_file() for folder in folders):
            return f"the weights {path} are not in {folders[1]}"
    return None


def made(release: Release, unit: str, place: Path) -> str | None:
    """Make the picture, one at a time; says what went wrong."""
    command = ["visualise", release.location, unit, "--output", str(place), "--steps", str(_STEPS)]
    try:
        with locked(place.parent / ".lock", seconds=_SECONDS):
            if place.is_file():  # another reader has asked for it
                return None
            done = subprocess.run(  # noqa: S603 - this package
                [sys.executable, "-P", "-c", "from unitdb.cli import main; main()", *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return f"it took longer than {_SECONDS} s"
    except (UnitdbError, OSError) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix(_ERROR) if lines else f"exit code {done.returncode}"


def _show(release: Release, unit: str, dataset: str, place: Path) -> None:
    with PIL.Image.open(place, formats=("PNG",)) as picture:
        said = json.loads(picture.text["unitdb"])  # type: ignore[attr-defined]
    data = b64encode(place.read_bytes()).decode()
    name = escape(f"Synthetic picture that drives unit {unit}")
    st.html(
        f'<img src="data:image/png;base64,{data}" alt="{name}" '
        'style="width:224px;max-width:100%;display:block">'
    )
    st.caption(
        f"**Synthetic**: no photograph, but made to drive this unit. Its activation: "
        f"{said['activation']:.3g}{_beside(release, unit, dataset)}."
    )


def _beside(release: Release, unit: str, dataset: str) -> str:
    try:
        real: Any = _reads.read(release, "stimuli", unit, _BEST, dataset=dataset)["activation"]
    except NotKeptError:
        return "; the release keeps none of this unit to pictures"
    best = ", ".join(f"{value:.3g}" for value in real.head(_BEST))
    return f"; to the pictures of the dataset that drive it most: {best}"


def _weights(release: Release, model: str) -> list[str]:
    """Files that the network of the release was read from."""
    if "inputs" not in release.tables:
        return []
    rows = _reads.read_sql(
        release,
        "SELECT DISTINCT path FROM inputs JOIN builds USING (build) "
        "WHERE role = 'model' AND model = ? ORDER BY path",
        [model],
    )
    return [str(path) for path in rows["path"]]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
