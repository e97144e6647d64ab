"""Weights of networks in the data folder: downloaded once, held to their checksums."""

from __future__ import annotations

import glob
import hashlib
import http.client
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
from unitdb.files import locked, replacing, sha256_file, write_text
from unitdb.reads import note_read

__all__ = ["downloaded", "get_weights", "kept", "kept_weights", "read_state"]

_SECONDS = 60
_PIECE = 1 << 20
_CALLED = {"md5": "MD5", "sha1": "SHA-1"}
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

    A file name of torchvision holds the start of the file's SHA-256; publishers of other files may
    state a checksum of what their address gives. SHA-256 is recorded as a file first arrives,
    beside it (``FILE.sha256``). What a killed download left is removed.

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
    with locked(path.with_name(f".{path.name}.lock")):
        if not path.is_file():
            for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                left.unlink()
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
            urllib.request.urlopen(download.url, timeout=_SECONDS) as answer,  # noqa: S310 - http
            to.open("w+b") as file,
        ):
            if download.member is None:
                _receive(answer, file, download, origin)
            else:
                with tempfile.TemporaryFile(dir=to.parent) as whole:  # a gigabyte: not in /tmp
                    _receive(answer, whole, download, origin)
                    _unpack(whole, download.member, file)
    except urllib.error.HTTPError as cause:
        raise ModelError(
            f"{_of(download, origin)}: {download.url} answers {cause.code} {cause.reason}"
        ) from None
    except (zipfile.BadZipFile, KeyError) as cause:
        raise ModelError(
            f"{_of(download, origin)}: what came from {download.url} is no archive with "
            f"{download.member} ({' '.join(str(cause).split())})"
        ) from None
    except (OSError, ValueError, http.client.HTTPException) as cause:
        raise ModelError(
            f"{_of(download, origin)}: {download.url} does not answer ({cause})"
        ) from None
    if not (found := sha256_file(to)).startswith(download.sha256):
        raise ModelError(
            f"{_of(download, origin)}: what came from {download.url} has SHA-256 {found}, not "
            f"{download.sha256}…"
        )


def _receive(answer: Any, file: IO[bytes], download: Download, origin: str) -> None:
    """Write what comes, held to the length that the server states and to the publisher's checksum.

    Python's client takes a connection that ends too early for the end of the file.
    """
    came = 0
    while piece := answer.read(_PIECE):
        file.write(piece)
        came += len(piece)
    file.flush()
    stated = answer.headers.get("Content-Length")
    if stated is not None and came != int(stated):
        raise ModelError(
            f"{_of(download, origin)}: {download.url} gave {came:,} of {int(stated):,} bytes; run "
            f"again: unitdb models get {origin}"
        )
    file.seek(0)
    _check_came(file, download, f"what came from {download.url}", origin)


def _unpack(whole: IO[bytes], member: str, file: IO[bytes]) -> None:
    """Write one file of an archive; reading it, zipfile holds it to its checksum."""
    with zipfile.ZipFile(whole) as archive, archive.open(member) as inner:
        shutil.copyfileobj(inner, file)


def _check_came(file: IO[bytes], download: Download, what: str, origin: str) -> None:
    """Hold what an address gives to the checksum that its publisher states."""
    kind, _, expected = download.came.partition(":")
    if not kind:
        return
    digest = hashlib.new(kind, usedforsecurity=False)
    while piece := file.read(_PIECE):
        digest.update(piece)
    if (found := digest.hexdigest()) != expected:
        raise ModelError(
            f"{_of(download, origin)}: {what} has {_CALLED[kind]} {found}, not {expected}, which "
            "its publisher states"
        )


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
        if download.member is None and download.came:  # laid there by hand, perhaps
            with path.open("rb") as file:
                _check_came(file, download, str(path), origin)
        write_text(record, f"{found}  {path.name}\n")


def _of(download: Download, origin: str) -> str:
    """What a file is, for messages."""
    name = download.path.rpartition("/")[2]
    return f"{'weights' if name.endswith(_OF_WEIGHTS) else name} of {origin}"
