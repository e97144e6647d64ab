"""Where data of others is kept: responses, features, weights of networks."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["data_folder"]


def data_folder(data: Path | None = None) -> Path:
    """The folder given, else ``UNITDB_DATA``, else the user's data folder of this system.

    Returns
    -------
    Path
        It need not exist.
    """
    return data or Path(os.environ.get("UNITDB_DATA") or platformdirs.user_data_path("unitdb"))
