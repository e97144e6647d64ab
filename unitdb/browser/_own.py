"""A reader's own copies of pictures that a release may not carry: ``unitdb app --pictures``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from unitdb.browser import PICTURES_VARIABLE, _reads
from unitdb.errors import UnitdbError
from unitdb.pictures import read_picture, thumbnail

if TYPE_CHECKING:
    import pandas as pd

    from unitdb.release import Release

__all__ = ["has_folder", "with_own"]

_ENDINGS = ("", ".png", ".jpg", ".jpeg", ".JPEG", ".JPG", ".PNG", ".bmp", ".tif", ".tiff", ".webp")
_LONGEST = 400


def has_folder() -> bool:
    """Whether the reader has named a folder of pictures."""
    return bool(os.environ.get(PICTURES_VARIABLE))


def with_own(release: Release, dataset: str, rows: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """Fill pictures that are not in the release from the reader's folder.

    The file of a picture is ``DATASET/NAME`` in the folder, with the ending of a picture or
    without; where the release is of one dataset, ``NAME`` too.

    Parameters
    ----------
    release : Release
    dataset : str
        Whose pictures.
    rows : DataFrame
        ``stimulus`` and ``thumbnail``: JPEG, or None. Of several units, also ``unit_id``.
    most : int
        Files are opened until so many pictures (of each unit) are there.
    """
    folder = os.environ.get(PICTURES_VARIABLE)
    if not folder:
        return rows
    places = [f"{dataset}/"] + [""] * (len(_reads.subjects(release)) == 1)
    there: dict[Any, int] = {}
    found: list[Any] = []
    units = rows["unit_id"] if "unit_id" in rows else [""] * len(rows)
    for unit, name, own in zip(units, rows["stimulus"], rows["thumbnail"], strict=True):
        picture = own if isinstance(own, bytes | bytearray) else None
        if picture is None and there.get(unit, 0) < most:
            picture = _small(folder, tuple(f"{place}{name}" for place in places))
        there[unit] = there.get(unit, 0) + (picture is not None)
        found.append(picture)
    return rows.assign(thumbnail=found)


@st.cache_data(max_entries=2048, ttl=600, show_spinner=False)
def _small(folder: str, names: tuple[str, ...]) -> bytes | None:
    root = Path(folder).resolve()
    for name in names:
        path = _file(root, name)
        if path is not None:
            try:
                return thumbnail(read_picture(path, error=UnitdbError, turn=True))
            except UnitdbError:
                return None
    return None


def _file(root: Path, name: str) -> Path | None:
    """The file of a name in the folder; nothing outside of it is read, whatever names say."""
    if len(name) > _LONGEST or "\0" in name:
        return None
    for ending in _ENDINGS:
        try:
            path = (root / f"{name}{ending}").resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        except (OSError, RuntimeError):  # no name of a file here, or links in a circle
            continue
    return None
