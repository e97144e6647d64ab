"""Signatures of a catalogue's entries: what is signed, and whether a publisher's key signed it.

The signature stands in the entry (``signature`` of ``releases.json``), so that it comes with every
copy of the catalogue and no file of a release changes. It is made and checked by the programs that
git signs with: ``ssh-keygen`` or ``gpg``.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from unitdb.errors import ProgramError, SignatureError
from unitdb.files import SUMS, sha256_file
from unitdb.programs import run
from unitdb.release.catalogue import Catalogue
from unitdb.release.entries import Entry
from unitdb.release.names import bounded_bytes

__all__ = ["NAMESPACE", "check_signature", "check_signed", "statement"]

NAMESPACE = "unitdb"
"""For what SSH keys sign here: a signature made for git or for mail is none of a release."""
_PGP = "PGP"
_LARGEST_KEY = 1 << 20
_BARE_KEY = re.compile(r"(ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+\s+AAAA")
# What gpg says (--status-fd) of signatures that are not good, or hold other content than ours.
_BAD = {"BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "PLAINTEXT"}


def statement(entry: Entry) -> str:
    """Text that is signed: name, version, hash of ``SHA256SUMS``, retraction and errata as JSON.

    One line of ASCII without an end of line, the same on every system.
    """
    signed = {
        "unitdb": 1,
        "name": entry.name,
        "version": entry.version,
        "sha256": entry.sha256,
        "retracted": entry.retracted,
        "replacement": entry.replacement,
        "errata": list(entry.errata),
    }
    return json.dumps(signed, sort_keys=True, separators=(",", ":"))


def check_signed(folder: Path, key: str | Path) -> str:
    """Check that a publisher has signed the release in a folder, by the catalogue above it.

    Parameters
    ----------
    folder : Path
        The release, in its place below ``releases.json``. Its ``SHA256SUMS`` must be the signed
        one; whether its files are as that says is for ``verify``.
    key : str or Path
        As of :func:`check_signature`.

    Returns
    -------
    str
        Who signed it, and with which key.

    Raises
    ------
    SignatureError
        As :func:`check_signature`, or the folder holds another build than was signed.
    CatalogueError
        ``releases.json`` is damaged.
    """
    folder = folder.resolve()
    root = folder.parents[1]
    found = [entry for entry in Catalogue(root).entries() if entry.path.resolve() == folder]
    entry = found[0] if found else None
    signer = check_signature(entry, key)
    if entry and sha256_file(folder / SUMS) != entry.sha256:
        raise SignatureError(f"{folder} holds another build than was signed: {SUMS} differs")
    return signer


def check_signature(entry: Entry | None, key: str | Path) -> str:
    """Check that an entry of a catalogue is signed by a publisher's key.

    Parameters
    ----------
    entry : Entry or None
        The entry; None where there is none, which nobody has signed.
    key : str or Path
        A file: an SSH public key (``id_ed25519.pub``), git's and ssh-keygen's *allowed signers*, or
        exported GPG public keys.

    Returns
    -------
    str
        Who signed it, and with which key.

    Raises
    ------
    SignatureError
        It is not signed, by another key, or something else was signed; or ``key`` holds no key.
    MissingProgramError
        ssh-keygen or gpg is not installed.
    """
    content, kind = _read_key(Path(key))
    label = f"{entry.name} {entry.version}" if entry else "what no catalogue lists"
    if entry is None or entry.signature is None:
        raise SignatureError(f"{label} is not signed; {key} cannot tell who published it")
    if (_PGP in entry.signature.partition("\n")[0]) != (kind == _PGP):
        made = "SSH" if kind == _PGP else "GPG"
        raise SignatureError(f"{label} is signed with {made}, and {key} is of the other kind")
    with tempfile.TemporaryDirectory(prefix="unitdb-") as folder:
        home = Path(folder)
        (home / "signature").write_text(entry.signature, encoding="utf-8", newline="\n")
        (home / "keys").write_bytes(content)
        try:
            return (_check_gpg if kind == _PGP else _check_ssh)(statement(entry), home)
        except ProgramError as cause:
            raise SignatureError(f"{label} is not signed by {key}: {cause}") from None


def _read_key(path: Path) -> tuple[bytes, str]:
    """Content of a file of keys, as the programs take it, and whose keys these are."""
    try:
        content = bounded_bytes(path, most=_LARGEST_KEY)
        if content.startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK") or content[:1] >= b"\x80":
            return content, _PGP
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        raise SignatureError(f"{path}: no public key can be read: {cause}") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise SignatureError(f"{path} is a private key; give the public one ({path}.pub)")
    signers = [f"publisher {line}" if _BARE_KEY.match(line) else line for line in lines]
    if not any(re.search(r"\sAAAA", line) for line in signers if line[:1] != "#"):
        raise SignatureError(
            f"{path} holds no SSH public key, no allowed signers and no GPG public key"
        )
    return "".join(f"{line}\n" for line in signers).encode(), "SSH"


def _check_ssh(text: str, home: Path) -> str:
    verify = ("ssh-keygen", "-Y")
    files = ("-f", home / "keys", "-s", home / "signature")
    found = run(*verify, "find-principals", *files, folder=home).splitlines()
    # What signed may stand for several; git takes the first of them too.
    who = ("-n", NAMESPACE, "-I", found[0])
    said = run(*verify, "verify", *who, *files, folder=home, text=text)
    return said.strip().partition(" signature for ")[2]


def _check_gpg(text: str, home: Path) -> str:
    gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--no-autostart")
    run(*gpg, "--import", home / "keys", folder=home)
    verify = ("--trust-model", "always", "--status-fd", "1", "--verify", home / "signature", "-")
    said = run(*gpg, *verify, folder=home, text=text)
    status = {
        words[1]: words[2]
        for line in said.splitlines()
        if len(words := line.split(" ", 2)) == 3 and words[0] == "[GNUPG:]"
    }
    if _BAD & status.keys() or not {"GOODSIG", "VALIDSIG"} <= status.keys():
        raise ProgramError(f"gpg --verify: {', '.join(sorted(_BAD & status.keys())) or 'no'}")
    name = status["GOODSIG"].partition(" ")[2]
    return f"{name} with GPG key {status['VALIDSIG'].partition(' ')[0]}"
