"""A reader's own copies of pictures that a release may not carry: ``unitdb app --pictures``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import PICTURES_VARIABLE
from unitdb.errors import UnitdbError
from unitdb.pictures import read_picture, thumbnail

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["has_folder", "with_own"]

_ENDINGS = ("", ".png", ".jpg", ".jpeg", ".JPEG", ".JPG", ".PNG", ".bmp", ".tif", ".tiff", ".webp")
_LONGEST = 400


def has_folder() -> bool:
    """Whether the reader has named a folder of pictures."""
    return bool(os.environ.get(PICTURES_VARIABLE))


def with_own(rows: pd.DataFrame) -> pd.DataFrame:
    """Fill pictures that are not in the release from the reader's folder.

    Parameters
    ----------
    rows : DataFrame
        ``stimulus`` and ``thumbnail``: JPEG, or None. A file is named like the stimulus, with the
        ending of a picture or without.
    """
    folder = os.environ.get(PICTURES_VARIABLE)
    if not folder:
        return rows
    pairs = zip(rows["stimulus"], rows["thumbnail"], strict=True)
    found: list[Any] = [
        own if isinstance(own, bytes | bytearray) else _small(folder, str(name))
        for name, own in pairs
    ]
    return rows.assign(thumbnail=found)


@st.cache_data(max_entries=2048, ttl=600, show_spinner=False)
def _small(folder: str, name: str) -> bytes | None:
    root = Path(folder).resolve()
    if len(name) > _LONGEST or "\0" in name:
        return None
    for ending in _ENDINGS:
        # A release says what its pictures are called: nothing outside of the folder is read.
        try:
            path = (root / f"{name}{ending}").resolve()
            there = path.is_relative_to(root) and path.is_file()
        except (OSError, RuntimeError):  # no name of a file here, or links in a circle
            continue
        if there:
            try:
                return thumbnail(read_picture(path, error=UnitdbError, turn=True))
            except UnitdbError:
                return None
    return None
