"""Chosen units as one boolean array a layer, in a file for numpy or torch."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from unitdb.errors import MissingExtraError, QueryError
from unitdb.extras import install_hint
from unitdb.files import replacing
from unitdb.query.tensors import chosen_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unitdb.query.selection import Selection

__all__ = ["FORMATS", "write_masks"]

FORMATS = ("npz", "pt")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same masks, the same bytes
_LONGEST = 60_000
"""Bytes of a comment of a zip file, less than 2¹⁶."""


def write_masks(selection: Selection, destination: Path | BinaryIO, format: str | None) -> None:  # noqa: A002
    """See :meth:`unitdb.UnitSet.write_masks`."""
    chosen = format
    if chosen is None and isinstance(destination, Path):
        chosen = destination.suffix.removeprefix(".").lower()
    if chosen not in FORMATS:
        said = f"format {format!r}" if format is not None else str(destination)
        raise QueryError(f"masks are written as {' or '.join(FORMATS)}: {said} is neither")
    if chosen == "pt":
        _need_torch()
    if isinstance(destination, Path):
        with replacing(destination) as whole, whole.open("wb") as file:
            _write(selection, file, chosen)
    else:
        _write(selection, destination, chosen)


def _write(selection: Selection, file: BinaryIO, format: str) -> None:  # noqa: A002
    comment = _comment(selection)
    arrays = _arrays(selection)
    if format == "pt":
        file.write(_torch(arrays, comment))
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, mask in arrays.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, mask, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            archive.writestr(entry, array.getvalue(), zipfile.ZIP_DEFLATED)
        archive.comment = comment


def _arrays(selection: Selection) -> dict[str, NDArray[np.bool_]]:
    """Mask of each layer that holds a chosen unit, named as by ``masks()``."""
    found = {}
    for layer in chosen_units(selection):
        flat = np.zeros(layer.n_units, np.bool_)
        flat[layer.units] = True
        found[layer.layer] = flat.reshape(layer.shape)
    return found


def _comment(selection: Selection) -> bytes:
    source = selection.source
    origin: dict[str, Any] = {
        "release": source.label,
        "simulated": source.simulated,
        "citation": source.citation,
        "query": selection.sql,
    }
    written = json.dumps({f"unitdb:{key}": value for key, value in origin.items()}).encode()
    if len(written) > _LONGEST:  # a collection names each of its units
        origin["query"] = "longer than a comment of a zip file may be"
        written = json.dumps({f"unitdb:{key}": value for key, value in origin.items()}).encode()
    return written


def _torch(arrays: dict[str, NDArray[np.bool_]], comment: bytes) -> bytes:
    import torch

    written = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, written)
    with zipfile.ZipFile(written, "a") as archive:
        archive.comment = comment
    return written.getvalue()


def _need_torch() -> None:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            f"masks as .pt are written by torch: {install_hint('torch')}"
        ) from None
