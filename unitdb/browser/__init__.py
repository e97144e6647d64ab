"""Pages that show a release, in a browser of this machine, and the same figures as a report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from unitdb.extras import need
from unitdb.lazily import lazily

if TYPE_CHECKING:
    from unitdb.browser._downloads import routes
    from unitdb.browser._hosts import middleware

__all__ = [
    "PICTURES_VARIABLE",
    "RELEASE_VARIABLE",
    "SCRIPT",
    "middleware",
    "routes",
    "run",
    "server",
]

SCRIPT = Path(__file__).with_name("_app.py")
"""What Streamlit runs for each reader."""

RELEASE_VARIABLE = "UNITDB_RELEASE"
"""Environment variable that names the release to show; without it the reader picks one."""

PICTURES_VARIABLE = "UNITDB_PICTURES"
"""Environment variable that names a folder of the reader's own copies of pictures."""

_OPTIONS = [
    "--server.address=127.0.0.1",
    "--browser.gatherUsageStats=false",
    "--client.toolbarMode=viewer",  # no button that would deploy the page to a cloud
    "--client.showErrorDetails=none",  # no traceback, and no link that would carry it elsewhere
    "--server.fileWatcherType=none",
]


def server(
    release: str | None = None, *, releases: Path | None = None, pictures: Path | None = None
) -> tuple[list[str], dict[str, str]]:
    """Give the command that serves the pages on this machine, and its environment.

    Parameters
    ----------
    release : str, optional
        Folder or name of the release to show; without it the reader picks one.
    releases : Path, optional
        Folder of releases.
    pictures : Path, optional
        Folder of the reader's own copies of pictures that a release may not carry, named like the
        stimuli.

    Raises
    ------
    MissingExtraError
        Streamlit is not installed.
    """
    need("streamlit", by="the browser", extra="app")
    environment = dict(os.environ)
    if release is not None:
        environment[RELEASE_VARIABLE] = release
    if releases is not None:
        environment["UNITDB_RELEASES"] = str(releases)
    if pictures is not None:
        environment[PICTURES_VARIABLE] = str(pictures.absolute())
    script = str(Path(__file__).with_name("_server.py"))
    return [sys.executable, "-m", "streamlit", "run", script, *_OPTIONS], environment


def run(
    release: str | None = None, *, releases: Path | None = None, pictures: Path | None = None
) -> int:
    """Serve the pages until interrupted; arguments and errors as in :func:`server`.

    Returns
    -------
    int
        Exit code of Streamlit.
    """
    command, environment = server(release, releases=releases, pictures=pictures)
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603


# Streamlit, which takes seconds to import, is for those who serve.
__getattr__ = lazily(__name__, {"middleware": "_hosts", "routes": "_downloads"})
