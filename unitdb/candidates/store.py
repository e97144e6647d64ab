"""Candidate sets on disk, beside computed activations: complete and sealed, or not there.

A set is a folder of arrays and ``set.json``, whose seal is of all of it. The folder's name is a
hash of all that the set depends on, so that what is found is what would be made.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from unitdb.activations import clear_abandoned, new_folder
from unitdb.candidates.features import Layer
from unitdb.candidates.sets import CandidateSet
from unitdb.errors import CandidatesError, DamagedFileError, UnknownCandidatesError
from unitdb.files import visible
from unitdb.npy import map_npy
from unitdb.sealed import read_text, write_text
from unitdb.specs import Name, Spec

__all__ = [
    "FORMAT",
    "StoredSet",
    "find_candidates",
    "find_set",
    "open_candidates",
    "store_set",
    "stored_sets",
]

FORMAT = 1
"""Version of the layout of the folder; part of every key."""

_META = "set.json"
_BELOW = "candidates"
_SHORT = 12
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredSet(Spec):
    """``set.json``: what a stored set is, without its features.

    Parameters
    ----------
    format : int
        Of the folder.
    name : str
        Of the set.
    sha256 : str
        Hash of what it holds.
    source, description, model : str
        As of :class:`CandidateSet`.
    layers : list of str
        In the order of the files ``000.npy``, ….
    n_units : list of int
        Of each layer.
    ids, labels : list of str
        One a candidate.
    n_pictures : list of int
        One a candidate.
    """

    format: int
    name: Name
    sha256: _Digest
    source: str
    description: str
    model: str | None
    layers: tuple[str, ...]
    n_units: tuple[int, ...]
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    n_pictures: tuple[int, ...]

    @model_validator(mode="after")
    def _one_each(self) -> StoredSet:
        lengths = {len(self.ids), len(self.labels), len(self.n_pictures)}
        if len(lengths) > 1 or len(self.layers) != len(self.n_units):
            raise ValueError("lists of different lengths")
        return self


def store_set(found: CandidateSet, *, cache: Path, key: str) -> CandidateSet:
    """Write a set below ``cache``, a block of candidates at a time, and open it.

    Raises
    ------
    CandidatesError
        A feature that is not finite; names layer and candidate.
    """
    final = _folder(cache, key)
    with new_folder(final) as folder:
        files = []
        for depth, layer in enumerate(found.layers):
            files += [_features_path(folder, depth), _units_path(folder, depth)]
            np.save(files[-1], found.units(layer), allow_pickle=False)
            _write_features(files[-2], found, layer)
        meta = _described(found, _opened(folder, _described(found, "0" * 64)).content_sha256())
        write_text(folder / _META, meta.model_dump_json(indent=1), others=files)
    return open_candidates(final)


def find_set(*, cache: Path, key: str) -> CandidateSet | None:
    """Open the stored set of a key; None where there is none. A damaged one is removed."""
    folder = _folder(cache, key)
    clear_abandoned(folder.parent)
    try:
        return open_candidates(folder)
    except DamagedFileError:
        shutil.rmtree(folder, ignore_errors=True)
        return None


def open_candidates(folder: Path) -> CandidateSet:
    """Open a stored set, and hold all its bytes to its seal.

    Returns
    -------
    CandidateSet
        Its features are read in blocks.

    Raises
    ------
    DamagedFileError
        It is missing or not as it was written; names it.
    """
    folder = Path(folder).absolute()  # the same set wherever the program goes
    return _opened(folder, _read(folder))


def stored_sets(cache: Path) -> dict[Path, StoredSet | None]:
    """Sets below ``cache`` by their folders, by name and hash; None is for a damaged one.

    Their features are not read: that all bytes are as written, :func:`open_candidates` sees.

    Returns
    -------
    dict of Path to StoredSet or None
        Empty where nothing is stored.
    """
    parent = cache / _BELOW
    folders = (path.parent for path in visible(parent.glob(f"*/{_META}"), below=parent))
    found = {folder: _whole(folder) for folder in sorted(folders)}
    order = sorted(found, key=lambda one: _sorted_by(found[one]))
    return {folder: found[folder] for folder in order}


def find_candidates(name: str, cache: str | Path) -> Path:
    """Find the folder of a stored set.

    Parameters
    ----------
    name : str
        Its name, or where several have it, ``NAME@HASH`` with the first digits of its hash.
    cache : str or Path
        Folder of computed activations.

    Returns
    -------
    Path
        The set's folder.

    Raises
    ------
    UnknownCandidatesError
        No set of that name.
    CandidatesError
        Several; lists their hashes.
    """
    asked, _, digits = name.partition("@")
    sets = {path: one for path, one in stored_sets(Path(cache)).items() if one is not None}
    named = {path: one for path, one in sets.items() if one.name == asked}
    fits = {path: one for path, one in named.items() if one.sha256.startswith(digits)}
    if not fits:
        known = dict.fromkeys(
            f"{one.name}@{one.sha256[:_SHORT]}" if digits else one.name for one in sets.values()
        )
        raise UnknownCandidatesError(
            name, known, where=f"{Path(cache) / _BELOW}", hint="unitdb candidates list"
        )
    if len({one.sha256 for one in fits.values()}) > 1:
        hashes = ", ".join(f"{asked}@{one.sha256[:_SHORT]}" for one in fits.values())
        raise CandidatesError(f"several candidate sets are called {name!r}: name one of {hashes}")
    return next(iter(fits))


def _described(found: CandidateSet, sha256: str) -> StoredSet:
    return StoredSet(
        format=FORMAT,
        name=found.name,
        sha256=sha256,
        source=found.source,
        description=found.description,
        model=found.model,
        layers=found.layers,
        n_units=tuple(len(found.units(layer)) for layer in found.layers),
        ids=found.ids,
        labels=found.labels,
        n_pictures=tuple(found.n_pictures.tolist()),
    )


def _write_features(path: Path, found: CandidateSet, layer: str) -> None:
    n_units = len(found.units(layer))
    array = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(len(found), n_units)
    )
    for start, block in found.blocks(layer):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise CandidatesError(
                f"candidate set {found.name!r}: layer {layer!r}: the features of "
                f"{found.ids[start + int(np.argmin(finite))]!r} are not finite"
            )
        array[start : start + len(block)] = block
    array.flush()


def _whole(folder: Path) -> StoredSet | None:
    try:
        meta = _parsed(folder / _META, (folder / _META).read_text(encoding="utf-8"))
        _opened(folder, meta)
    except (OSError, ValueError):
        return None
    return meta


def _read(folder: Path) -> StoredSet:
    path = folder / _META
    try:
        return _parsed(path, read_text(path))
    except UnicodeDecodeError as cause:
        raise DamagedFileError(f"{path}: damaged: {cause}") from None


def _parsed(path: Path, text: str) -> StoredSet:
    try:
        meta = StoredSet.model_validate_json(text)
    except ValidationError as cause:
        raise DamagedFileError(f"{path}: damaged: {cause}") from None
    if meta.format != FORMAT:
        raise DamagedFileError(f"{path}: format {meta.format}; this unitdb reads {FORMAT}")
    return meta


def _opened(folder: Path, meta: StoredSet) -> CandidateSet:
    n = len(meta.ids)
    given = {
        layer: _mapped(folder, depth, (n, n_units))
        for depth, (layer, n_units) in enumerate(zip(meta.layers, meta.n_units, strict=True))
    }
    return CandidateSet(
        name=meta.name,
        ids=meta.ids,
        labels=meta.labels,
        n_pictures=np.array(meta.n_pictures, dtype=np.int32),
        given=given,
        source=meta.source,
        description=meta.description,
        model=meta.model,
        folder=folder,
        stated_sha256=meta.sha256,
    )


def _mapped(folder: Path, depth: int, shape: tuple[int, int]) -> Layer:
    """Arrays that a seal is of, opened anew each time: a set holds no open file."""
    features, units = _features_path(folder, depth), _units_path(folder, depth)
    found = (map_npy(features), map_npy(units))
    if (found[0].shape, found[1].shape) != (shape, shape[1:]):
        raise DamagedFileError(f"{features}: has shape {found[0].shape}, expected {shape}")

    def part(start: int, stop: int) -> NDArray[np.floating]:
        return map_npy(features)[start:stop]

    return Layer(np.array(found[1]), part)


def _sorted_by(one: StoredSet | None) -> tuple[str, str]:
    return ("", "") if one is None else (one.name, one.sha256)


def _folder(cache: Path, key: str) -> Path:
    return cache / _BELOW / key


def _features_path(folder: Path, depth: int) -> Path:
    return folder / f"{depth:03d}.npy"


def _units_path(folder: Path, depth: int) -> Path:
    return folder / f"{depth:03d}.units.npy"
