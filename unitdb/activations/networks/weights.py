"""Weights of networks in the data folder: downloaded once, held to their checksums."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import IO, Any

from unitdb.activations.models import Download, NamedNetwork
from unitdb.datafolder import data_folder
from unitdb.errors import ModelError
from unitdb.files import replacing, sha256_file, write_text
from unitdb.reads import note_read

__all__ = ["downloaded", "get_weights", "kept", "kept_weights", "read_state"]

_SECONDS = 60
_OF_WEIGHTS = (".pth", ".pt", ".bin", ".safetensors", ".npz")


def kept_weights(spec: NamedNetwork, *, data: Path | None) -> Path:
    """Find the weights of a network in the data folder, as they were when they arrived.

    Raises
    ------
    ModelError
        They are not there, which command gets them; or they are others than those that arrived.
    """
    return kept(_download(spec), spec.origin, data=data)


def kept(download: Download, origin: str, *, data: Path | None) -> Path:
    """As :func:`kept_weights`, of a file of the network ``origin``."""
    path = data_folder(data) / "networks" / download.path
    if not path.is_file():
        raise ModelError(
            f"{_of(download, origin)}: not here ({path}); where there is a network, run: "
            f"unitdb models get {origin}"
        )
    note_read(path)
    _check(path, download, origin)
    return path


def get_weights(spec: NamedNetwork, *, data: Path | None = None) -> Path:
    """Download the weights of a network into the data folder, if they are not there.

    A file name of torchvision holds the start of the file's SHA-256; of other files it is recorded
    as they first arrive, beside them (``FILE.sha256``).

    Parameters
    ----------
    spec : NamedNetwork
        As :func:`unitdb.activations.get_model` gives it.
    data : Path, optional
        Data folder.

    Raises
    ------
    ModelError
        The network has no weights, the address does not answer, or other bytes came or are there.
    """
    return downloaded(_download(spec), spec.origin, data=data)


def downloaded(download: Download, origin: str, *, data: Path | None) -> Path:
    """As :func:`get_weights`, of a file of the network ``origin``."""
    path = data_folder(data) / "networks" / download.path
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            _fetch(download, unfinished, origin)
    _check(path, download, origin)
    return path


def read_state(file: str) -> Any:
    """State of a network from a file of torch; nothing in it is run.

    Raises
    ------
    ModelError
        The file holds something else.
    """
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as cause:
        raise ModelError(f"{file}: not a state_dict: {' '.join(str(cause).split())}") from None


def _download(spec: NamedNetwork) -> Download:
    if spec.download is None:
        raise ModelError(f"{spec.origin} has random weights: there is no file of them")
    return spec.download


def _fetch(download: Download, to: Path, origin: str) -> None:
    try:
        with (
            urllib.request.urlopen(download.url, timeout=_SECONDS) as answer,  # noqa: S310 - https
            to.open("wb") as file,
        ):
            if download.member is None:
                shutil.copyfileobj(answer, file)
            else:
                _unpack(answer, download.member, file)
    except urllib.error.HTTPError as cause:
        raise ModelError(
            f"{_of(download, origin)}: {download.url} answers {cause.code} {cause.reason}"
        ) from None
    except (zipfile.BadZipFile, KeyError) as cause:
        raise ModelError(
            f"{_of(download, origin)}: what came from {download.url} is no archive with "
            f"{download.member} ({' '.join(str(cause).split())})"
        ) from None
    except (OSError, ValueError) as cause:
        raise ModelError(
            f"{_of(download, origin)}: {download.url} does not answer ({cause})"
        ) from None
    if not (found := sha256_file(to)).startswith(download.sha256):
        raise ModelError(
            f"{_of(download, origin)}: what came from {download.url} has SHA-256 {found}, not "
            f"{download.sha256}…"
        )


def _unpack(answer: IO[bytes], member: str, file: IO[bytes]) -> None:
    """Write one file of an archive; reading it, zipfile holds it to its checksum."""
    with tempfile.TemporaryFile() as whole:
        shutil.copyfileobj(answer, whole)
        with zipfile.ZipFile(whole) as archive, archive.open(member) as inner:
            shutil.copyfileobj(inner, file)


def _check(path: Path, download: Download, origin: str) -> None:
    """Hold a file to what is known of it; what nothing is known of is recorded."""
    record, found = path.with_name(f"{path.name}.sha256"), sha256_file(path)
    expected = record.read_text().split()[0] if record.is_file() else download.sha256
    if not (found.startswith(expected) and found.startswith(download.sha256)):
        raise ModelError(
            f"{_of(download, origin)}: {path} has SHA-256 {found}, not {expected}: it has changed "
            f"or is damaged; delete it and run: unitdb models get {origin}"
        )
    if not record.is_file():
        write_text(record, f"{found}  {path.name}\n")


def _of(download: Download, origin: str) -> str:
    """What a file is, for messages."""
    name = download.path.rpartition("/")[2]
    return f"{'weights' if name.endswith(_OF_WEIGHTS) else name} of {origin}"
