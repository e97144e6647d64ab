"""Pictures made from brains, each above what shuffled brains give."""

from __future__ import annotations

import io
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from unitdb.errors import NotKeptError
from unitdb.plot._axes import check_single, new, titled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from unitdb.release import Release

_GREY = 238


def gallery(
    release: Release,
    method: str,
    *,
    subject: str = "mean",
    n: int = 8,
    sources: Sequence[str] = ("brain", "shuffled"),
    dataset: str | None = None,
    condition: str | None = None,
    model: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Reconstructions, a column for each picture, a row for each source.

    Pictures are the first by their names: none is picked. The row ``shuffled`` is of brains whose
    pictures were exchanged; what looks alike in both rows is no sign of the brain.

    Parameters
    ----------
    release : Release
        An opened release with reconstructions.
    method : str
        Name of the method.
    subject : str
        ``mean`` is all people side by side.
    n : int
        Number of pictures.
    sources : sequence of str
        Rows, from above: ``brain``, ``shuffled``, ``recovery``, ``projection`` and others.
    dataset, condition, model : str, optional
        Which, where the release has several.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure without it.

    Returns
    -------
    matplotlib.axes.Axes
        One image (rows × side, n × side, 3); grey where a picture was not made or may not be shown.

    Raises
    ------
    NotKeptError
        No picture of these sources is in the release.
    QueryError
        Pictures are of several datasets, test sets or networks.
    UnknownNameError
        No such method, subject, dataset, condition or model.
    """
    rows = release.reconstructions(
        method, subject=subject, dataset=dataset, condition=condition, model=model
    ).pictures
    rows = rows[rows["source"].isin(sources) & rows["png"].notna()].astype({"stimulus": str})
    if rows.empty:
        raise NotKeptError(f"{release.label} shows no pictures of {method} ({', '.join(sources)})")
    check_single(rows)
    names = sorted(set(rows["stimulus"]))[:n]
    side = _opened(bytes(rows["png"].iloc[0])).shape[0]
    mosaic = np.full((len(sources), side, len(names), side, 3), _GREY, np.uint8)
    for place, source in enumerate(sources):
        for row in _first(rows[rows["source"] == source]):
            if row["stimulus"] in names:
                mosaic[place, :, names.index(row["stimulus"])] = _opened(row["png"])
    axes = ax if ax is not None else new(0.9 * len(names) + 1, 0.9 * len(sources) + 0.8)
    axes.imshow(mosaic.reshape(len(sources) * side, len(names) * side, 3))
    axes.set_xticks((np.arange(len(names)) + 0.5) * side, names, fontsize=6)
    axes.set_yticks((np.arange(len(sources)) + 0.5) * side, sources, fontsize=8)
    return titled(axes, release, f"{method}, {subject}")


def _first(rows: pd.DataFrame) -> list[dict[Hashable, Any]]:
    """Of several shuffled brains the first."""
    first: pd.DataFrame = rows[rows["control"] == rows["control"].min()]
    return first.to_dict("records")


def _opened(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(PIL.Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB"))
