"""Signing by the key that git signs with: entries of a catalogue, and tags."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from unitdb.errors import ProgramError, SignatureError
from unitdb.programs import run
from unitdb.release.entries import listed_entry
from unitdb.release.signing import NAMESPACE, statement

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unitdb.release.entries import Entry

__all__ = ["Signer", "find_signer", "sign_entry"]

_LITERAL = re.compile(r"(key::)?(?=(ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+ AAAA)")


class Signer(NamedTuple):
    """A key to sign with, in git's terms: ``gpg.format`` and ``user.signingkey``."""

    format: str
    key: str

    def tag_options(self) -> tuple[str, ...]:
        """Options of git that let ``git tag --sign`` sign by this key."""
        return ("-c", f"gpg.format={self.format}", "-c", f"user.signingkey={self.key}")


def find_signer(key: str) -> Signer:
    """Find the key that is meant.

    Parameters
    ----------
    key : str
        File of an SSH key (a private one, or a public one whose private half ssh-agent has), or
        name of a GPG key. Empty for that of git's settings ``gpg.format``, ``user.signingkey``.

    Raises
    ------
    SignatureError
        git's settings name no key, or one of another format.
    """
    if key:
        path = Path(key).expanduser()
        if path.is_file():
            return Signer("ssh", str(path.resolve()))
        if path.name != key or path.suffix == ".pub":
            raise SignatureError(f"{key}: no such file of an SSH key")
        return Signer("openpgp", key)
    kind, known = _setting("gpg.format") or "openpgp", _setting("user.signingkey")
    if kind not in {"openpgp", "ssh"} or not known:
        raise SignatureError(
            "git's settings name no key to sign with (git config user.signingkey, with gpg.format "
            f"ssh or openpgp; it is {kind}): set them, or name one: --sign KEY"
        )
    if kind == "ssh" and not _LITERAL.match(known):
        known = str(Path(known).expanduser().resolve())
    return Signer(kind, known)


def sign_entry(
    contents: dict[str, Any],
    name: str,
    version: str,
    *,
    signer: Signer | None,
    known: Iterable[Entry | None],
) -> None:
    """Sign a version in a catalogue's contents, or keep a signature that it has.

    Parameters
    ----------
    contents : dict
        What ``releases.json`` will hold.
    name, version : str
        The version.
    signer : Signer or None
        Whose signature takes the place of any other; None keeps what there is.
    known : iterable of Entry or None
        The version as it was listed so far; of several whose signature fits, the last one counts.

    Raises
    ------
    SignatureError
        It was signed, and says something else now; or it cannot be signed.
    """
    entry = listed_entry(contents, name, version)
    if entry is None:
        return
    listed = contents["releases"][name]["versions"][version]
    signatures = {statement(one): one.signature for one in known if one and one.signature}
    if signer is not None:
        listed["signature"] = _sign(statement(entry), signer, label=f"{name} {version}")
    elif signatures and statement(entry) not in signatures:
        raise SignatureError(
            f"{name} {version} is signed, and its retraction or errata would not be: add --sign"
        )
    elif signatures:
        listed["signature"] = signatures[statement(entry)]


def _sign(text: str, signer: Signer, *, label: str) -> str:
    with tempfile.TemporaryDirectory(prefix="unitdb-") as folder:
        home, key = Path(folder), signer.key
        if signer.format == "ssh" and (literal := _LITERAL.match(key)):
            (home / "key.pub").write_text(f"{key[literal.end() :]}\n", encoding="utf-8")
            key = str(home / "key.pub")
        ssh = ("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", key)
        gpg = ("gpg", "--batch", "--armor", "--detach-sign", "--local-user", key)
        try:
            return run(*(ssh if signer.format == "ssh" else gpg), folder=home, text=text)
        except ProgramError as cause:
            # It asks for one on the terminal alone.
            hint = f"; run ssh-add {signer.key} first" if "passphrase" in str(cause) else ""
            raise SignatureError(
                f"{label} cannot be signed by {signer.key}: {cause}{hint}"
            ) from None


def _setting(name: str) -> str:
    try:
        return run("git", "config", "--get", name, folder=Path.cwd()).strip()
    except ProgramError:
        return ""  # is not set
