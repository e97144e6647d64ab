"""Input that was made to harm: one line, exit code 2, and nothing is left behind or blown up."""

from __future__ import annotations

import contextlib
import io
import resource
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from tests.pipeline.small import edit, lay_out
from tests.rarely import rarely
from unitdb.cli import main
from unitdb.programs import run

UNITDB = [sys.executable, "-W", "error", "-c", "from unitdb.cli import main; main()"]
MEMORY = 4 << 30


BUILD = ["--releases", "releases", "build", "recipe.yaml", "--data", "."]


def bounded(folder: Path) -> tuple[int, str, str]:
    """Build in a process that may take four GB; gives its exit code and what it printed."""
    done = subprocess.run(
        [*UNITDB, *BUILD],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY)),
    )
    return done.returncode, done.stdout, done.stderr


def here(folder: Path) -> tuple[int, str, str]:
    """Build in this process; gives its exit code and what it printed."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(main, BUILD)
    return done.exit_code, done.stdout, done.stderr


def problem(folder: Path, code: int, printed: str, said: str) -> str:
    """The one line that a build failed with; nothing was left behind."""
    assert code == 2, said
    assert printed == ""
    (line,) = said.strip().splitlines()
    assert "Traceback" not in line
    assert not (folder / "releases" / "small").exists()
    assert not list(folder.rglob("escaped*"))
    return line


def yaml_tag(lab: Path) -> str:
    edit(
        lab / "recipe.yaml", "name: small", "name: !!python/object/apply:os.system [touch escaped]"
    )
    return "recipe.yaml"


def yaml_bomb(lab: Path) -> str:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for one, two in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{two}: &{two} [{', '.join([f'*{one}'] * 9)}]\n"
    (lab / "mine.yaml").write_text(bomb + (lab / "mine.yaml").read_text())
    return "mine.yaml"


def yaml_path(lab: Path) -> str:
    edit(lab / "mine.yaml", "{subject}.npz", "../{subject}.npz")
    return "stays inside its folder"


def pickled_npz(lab: Path) -> str:
    arrays = dict(np.load(lab / "sub-02.npz"))
    arrays["x_train"] = np.array([{"a": 1}], dtype=object)
    np.savez(lab / "sub-02.npz", **arrays)
    return "sub-02.npz"


def npz_bomb(lab: Path) -> str:
    """A member that states a hundred GB of zeros, in a few hundred kB."""
    zeros = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        zeros, {"descr": "<f8", "fortran_order": False, "shape": (100_000, 125_000)}
    )
    with zipfile.ZipFile(lab / "sub-02.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", zeros.getvalue() + bytes(200 << 20))
    return "sub-02.npz"


def hdf5_bomb(lab: Path) -> str:
    """A dataset that states a hundred GB and holds none of it."""
    with h5py.File(lab / "sub-02.h5", "w") as file:
        file.create_dataset(
            "x_train", (100_000, 125_000), "f8", chunks=(1000, 1000), compression="gzip"
        )
    for subject in ("sub-01", "sub-03"):
        shutil.copy(lab / "sub-02.h5", lab / f"{subject}.h5")
    edit(lab / "mine.yaml", "{subject}.npz", "{subject}.h5")
    return "sub-01.h5"


def hdf5_link(lab: Path) -> str:
    with h5py.File(lab / "secret.h5", "w") as file:
        file["x"] = np.zeros((14, 30))
    with h5py.File(lab / "sub-01.h5", "w") as file:
        file["x_train"] = h5py.ExternalLink(str(lab / "secret.h5"), "/x")
    edit(lab / "mine.yaml", "{subject}.npz", "{subject}.h5")
    return "sub-01.h5"


def missing_subject(lab: Path) -> str:
    (lab / "sub-03.npz").unlink()
    return "sub-03.npz: no such file"


def repeated_labels(lab: Path) -> str:
    edit(lab / "mine.yaml", "rois: {V1: early, IT: late}", "rois: {V1: early, V1: late}")
    return "'V1' stands twice"


def empty_roi(lab: Path) -> str:
    arrays = dict(np.load(lab / "sub-02.npz"))
    arrays["is_it"] = np.zeros(30, bool)
    np.savez(lab / "sub-02.npz", **arrays)
    return "'IT' has no voxels"


def changed_byte(lab: Path) -> str:
    """Of a file that git-annex keeps: git itself does not look."""
    run("datalad", "create", "--force", ".", folder=lab)
    run("datalad", "save", "-m", "All", folder=lab)
    picture = (lab / "pictures" / "picture-03.png").resolve()
    picture.parent.chmod(0o755)
    picture.chmod(0o644)
    content = bytearray(picture.read_bytes())
    # What follows the last chunk of a PNG is not read: the picture is as it was.
    picture.write_bytes(content + b"x")
    return "picture-03.png: its bytes are not those of its key"


BOMBS = (yaml_bomb, npz_bomb, hdf5_bomb)


@pytest.mark.parametrize(
    "harm",
    [
        yaml_tag,
        yaml_bomb,
        yaml_path,
        pickled_npz,
        rarely(npz_bomb),
        rarely(hdf5_bomb),
        hdf5_link,
        missing_subject,
        repeated_labels,
        empty_roi,
        changed_byte,
    ],
    ids=lambda harm: harm.__name__,
)
def test_one_line_and_nothing_left(tmp_path: Path, harm) -> None:
    recipe = lay_out(tmp_path / "lab")
    message = harm(recipe.parent)
    build = bounded if harm in BOMBS else here
    assert message in problem(recipe.parent, *build(recipe.parent))
