"""Signed releases: keys made here, stores in temporary folders, and what was changed in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from tests.web import serving
from unitdb.cli import main
from unitdb.errors import MissingProgramError, SignatureError
from unitdb.files import SUMS, sha256_file
from unitdb.programs import run
from unitdb.publish import add_erratum, publish, retract
from unitdb.publish._signing import Signer, find_signer
from unitdb.release import Catalogue, check_signed, fetch
from unitdb.release.signing import check_signature, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)
TAG = "tiny-1.0.0"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the keys ``own`` and ``other``, and of allowed signers (own alone)."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        made = ("-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name)
        run("ssh-keygen", *made, folder=folder)
    own = (folder / "own.pub").read_text()
    (folder / "signers").write_text(f'# of the lab\nlab@example.org namespaces="git,unitdb" {own}')
    return folder


@pytest.fixture(scope="module")
def releases(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(tiny_release.parents[1], tmp_path_factory.mktemp("made") / "releases")


@pytest.fixture(scope="module")
def store(releases: Path, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a signed release."""
    store = tmp_path_factory.mktemp("stores") / "signed"
    assert publish(releases / "tiny" / "1.0.0", str(store), sign=str(keys / "own")) is True
    return store


@pytest.fixture
def served(store: Path, tmp_path: Path) -> Path:
    """Copy of what the store would serve, to be changed."""
    return shutil.copytree(store, tmp_path / "served", ignore=shutil.ignore_patterns(".*"))


def invoke(root: Path, *arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["--releases", str(root), *map(str, arguments)])
    return result.exit_code, result.output.strip()


def listed(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the release's entry of ``releases.json``."""
    path = root / "releases.json"
    contents = json.loads(path.read_text())
    change(contents["releases"]["tiny"]["versions"]["1.0.0"])
    path.write_text(json.dumps(contents))


def change_consistently(root: Path) -> None:
    """Change a file of the release, and write all checksums anew."""
    folder = root / "tiny" / "1.0.0"
    before = sha256_file(folder / "README.md")
    (folder / "README.md").write_text("Other results.\n")
    sums = (folder / SUMS).read_text().replace(before, sha256_file(folder / "README.md"))
    (folder / SUMS).write_text(sums)
    listed(root, lambda entry: entry.update(sha256=sha256_file(folder / SUMS)))


@pytest.mark.parametrize(
    ("key", "who"), [("own.pub", "publisher with ED25519"), ("signers", "lab@example.org with")]
)
def test_a_signed_release_is_fetched_and_verified(
    served: Path, keys: Path, tmp_path: Path, key: str, who: str
) -> None:
    mine = tmp_path / "mine"
    assert invoke(mine, "fetch", "tiny", "--from", served, "--key", keys / key)[0] == 0
    code, said = invoke(mine, "verify", "tiny", "--quick", "--key", keys / key)
    assert code == 0
    assert f"signed by {who}" in said
    assert invoke(tmp_path / "two", "fetch", "tiny", "--from", served)[0] == 0  # without a key
    assert who.split()[0] in check_signed(tmp_path / "two" / "tiny" / "1.0.0", keys / key)


def test_the_tag_is_signed(store: Path, keys: Path) -> None:
    signers = f"gpg.ssh.allowedSignersFile={keys / 'signers'}"
    run("git", "-c", signers, "tag", "-v", TAG, folder=store)
    assert "BEGIN SSH SIGNATURE" in run("git", "cat-file", "tag", TAG, folder=store)
    assert run("git", "status", "--porcelain", folder=store) == ""


def of_another_version(root: Path) -> None:
    path = root / "releases.json"
    contents = json.loads(path.read_text())
    versions = contents["releases"]["tiny"]["versions"]
    versions["1.0.1"] = versions.pop("1.0.0")
    path.write_text(json.dumps(contents))


def signed_for_git(root: Path, keys: Path) -> None:
    (entry,) = Catalogue(root).entries()
    sign = ("ssh-keygen", "-Y", "sign", "-n", "git", "-f", keys / "own")
    made = run(*sign, folder=root, text=statement(entry))
    listed(root, lambda found: found.update(signature=made))


BROKEN = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
RETRACTED = {"reason": "Wrong.", "replacement": None}
CHANGES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "all checksums fit": (lambda root, _: change_consistently(root), "is not signed by"),
    "of another version": (lambda root, _: of_another_version(root), r"tiny 1\.0\.1 is not signed"),
    "for git": (signed_for_git, "is not signed by"),
    "erratum": (
        lambda root, _: listed(root, lambda entry: entry.update(errata=["V1 is V2."])),
        "is not signed by",
    ),
    "retracted": (
        lambda root, _: listed(root, lambda entry: entry.update(retracted=RETRACTED)),
        "is not signed by",
    ),
    "removed": (
        lambda root, _: listed(root, lambda entry: entry.pop("signature")),
        r"tiny 1\.0\.0 is not signed; .* cannot tell who published it",
    ),
    "broken": (
        lambda root, _: listed(root, lambda entry: entry.update(signature=BROKEN)),
        "is not signed by",
    ),
    "no text": (
        lambda root, _: listed(root, lambda entry: entry.update(signature=[1])),
        "not as unitdb writes it",
    ),
    "64 KiB": (
        lambda root, _: listed(root, lambda entry: entry.update(signature=BROKEN + "A" * 2**16)),
        "larger than 64 KiB",
    ),
    "of GPG": (
        lambda root, _: listed(
            root, lambda entry: entry.update(signature=BROKEN.replace("SSH", "PGP"))
        ),
        "is signed with GPG, and",
    ),
}


@pytest.mark.robust(
    "verification",
    given="a store in which a file and all checksums up to `releases.json` were changed, an "
    "erratum added, or a signature removed, cut, enlarged to 64 KiB, or taken from another "
    "version or purpose",
    before="no option to sign: fetched, and called sound",
    now="`publish --sign`; `fetch` and `verify` with the publisher's `--key` refuse each in a line",
)
@pytest.mark.filterwarnings("ignore:.*is retracted")
@pytest.mark.parametrize("change", CHANGES)
def test_what_was_not_signed_is_refused(
    served: Path, keys: Path, tmp_path: Path, change: str
) -> None:
    make, message = CHANGES[change]
    make(served, keys)
    mine = tmp_path / "mine"
    named = f"tiny@{'1.0.1' if change == 'of another version' else '1.0.0'}"
    code, said = invoke(mine, "fetch", named, "--from", served, "--key", keys / "own.pub")
    assert (code, said.count("\n")) == (2, 0), said
    assert re.search(message, said), said
    assert not (mine / "tiny").exists()
    if change not in {"of another version", "retracted"}:  # which are no folder, or warn
        code, said = invoke(served, "verify", "tiny@1.0.0", "--key", keys / "own.pub")
        assert code == 2
        assert re.search(message, said), said


def test_another_key_is_refused(served: Path, keys: Path, tmp_path: Path) -> None:
    arguments = ("fetch", "tiny", "--from", served, "--key", keys / "other.pub")
    code, said = invoke(tmp_path / "mine", *arguments)
    assert code == 2
    assert "tiny 1.0.0 is not signed by" in said
    with pytest.raises(SignatureError, match=r"is not signed by .*other\.pub"):
        check_signed(served / "tiny" / "1.0.0", keys / "other.pub")


def test_another_build_than_was_signed_is_refused(served: Path, keys: Path) -> None:
    (served / "tiny" / "1.0.0" / SUMS).write_text("")
    with (
        pytest.warns(UserWarning, match="another build"),
        pytest.raises(SignatureError, match="another build than was signed"),
    ):
        check_signed(served / "tiny" / "1.0.0", keys / "own.pub")


def test_what_is_no_public_key_is_refused(served: Path, keys: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no key\n")
    release = served / "tiny" / "1.0.0"
    for key, message in (
        (keys / "own", r"is a private key; give the public one"),
        (tmp_path / "notes.txt", "holds no SSH public key"),
        (tmp_path / "none.pub", "no public key can be read: .*No such file"),
        (tmp_path, "not a file"),
    ):
        with pytest.raises(SignatureError, match=message):
            check_signed(release, key)


@pytest.mark.robust(
    "publishing",
    given="an erratum or a retraction added to a signed release without `--sign`",
    before="no option to sign: they were covered by nothing",
    now="refused in one line; with `--sign` they are part of what is signed, and go along",
)
@pytest.mark.filterwarnings("ignore:.*is retracted")
def test_errata_and_retractions_are_signed(served: Path, keys: Path, tmp_path: Path) -> None:
    own = str(keys / "own")
    with pytest.raises(SignatureError, match="is signed, and its retraction or errata would not"):
        add_erratum(served, "tiny", "1.0.0", "V1 is V2.")
    code, said = invoke(served, "errata", "tiny", "--add", "V1 is V2.", "--sign", own)
    assert (code, said) == (0, "V1 is V2.")
    assert "give --add TEXT" in invoke(served, "errata", "tiny", "--sign")[1]
    retract(served, "tiny", "1.0.0", reason="Wrong.", sign=own)
    mine = tmp_path / "mine"
    fetch("tiny@1.0.0", source=str(served), releases=mine, key=keys / "own.pub")
    (entry,) = Catalogue(mine).entries()
    assert (entry.retracted, entry.errata) == ("Wrong.", ("V1 is V2.",))
    check_signature(entry, keys / "own.pub")
    for hidden in ({"errata": []}, {"retracted": None}):
        shutil.copy(served / "releases.json", mine)
        listed(mine, lambda found, hidden=hidden: found.update(hidden))
        with pytest.raises(SignatureError, match="is not signed by"):
            check_signature(Catalogue(mine).entries()[0], keys / "own.pub")


def test_a_signed_release_on_a_git_remote(releases: Path, keys: Path, tmp_path: Path) -> None:
    bare, root = tmp_path / "remote.git", tmp_path / "releases"
    shutil.copytree(releases, root, ignore=shutil.ignore_patterns(".*"))
    run("git", "init", "-q", "--bare", str(bare), folder=tmp_path)
    own, release = str(keys / "own"), root / "tiny" / "1.0.0"
    assert publish(release, str(bare), sign=own) is True
    assert publish(release, str(bare)) is False  # the signature stays
    add_erratum(root, "tiny", "1.0.0", "V1 is V2.")
    with pytest.raises(SignatureError, match="add --sign"):
        publish(release, str(bare))
    assert publish(release, str(bare), sign=own) is True
    run("git", "clone", "-q", str(bare), "clone", folder=tmp_path)
    clone = tmp_path / "clone"
    signers = f"gpg.ssh.allowedSignersFile={keys / 'signers'}"
    run("git", "-c", signers, "tag", "-v", TAG, folder=clone)
    (entry,) = Catalogue(clone).entries()
    assert entry.errata == ("V1 is V2.",)
    assert "lab@example.org" in check_signature(entry, keys / "signers")


def test_git_s_settings_name_the_key(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    settings.write_text("")
    with pytest.raises(SignatureError, match=r"name no key to sign with .* --sign KEY"):
        find_signer("")
    settings.write_text(f"[gpg]\n\tformat = ssh\n[user]\n\tsigningkey = {keys / 'own'}\n")
    assert find_signer("") == Signer("ssh", str((keys / "own").resolve()))
    settings.write_text("[user]\n\tsigningkey = ABCD\n")
    assert find_signer("") == Signer("openpgp", "ABCD")
    settings.write_text("[gpg]\n\tformat = x509\n[user]\n\tsigningkey = ABCD\n")
    with pytest.raises(SignatureError, match="it is x509"):
        find_signer("")
    with pytest.raises(SignatureError, match="no such file of an SSH key"):
        find_signer(str(tmp_path / "none"))


def test_a_key_with_a_passphrase_is_asked_of_the_agent(
    served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("SSH_ASKPASS", shutil.which("false") or "false")  # nor of a terminal
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "a secret", "-f", "key", folder=tmp_path)
    with pytest.raises(SignatureError, match=r"cannot be signed by .*; run ssh-add .*key first"):
        add_erratum(served, "tiny", "1.0.0", "V1 is V2.", sign=str(tmp_path / "key"))


def test_a_program_that_is_missing_is_named(
    served: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unitdb.programs._search_path", lambda: "")
    with pytest.raises(MissingProgramError, match="ssh-keygen is not installed: install OpenSSH"):
        check_signed(served / "tiny" / "1.0.0", keys / "own.pub")


@pytest.fixture
def gpg(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """GNUPGHOME with a key of lab@example.org; short, as a socket's path must be."""
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("GNUPGHOME", folder)
        made = ("--quick-gen-key", "Lab <lab@example.org>", "ed25519", "sign", "never")
        run("gpg", "--batch", "--quiet", "--passphrase", "", *made, folder=Path(folder))
        try:
            yield Path(folder)
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], check=False)


def test_a_release_signed_by_gpg(releases: Path, gpg: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "releases", ignore=shutil.ignore_patterns(".*"))
    release = root / "tiny" / "1.0.0"
    subprocess.run(["gpgconf", "--kill", "all"], check=False)
    assert publish(release, str(root), sign="lab@example.org") is True  # a store in place
    assert publish(release, str(root)) is False  # the agent that signing started holds no lock
    run("git", "tag", "-v", TAG, folder=root)
    key = tmp_path / "lab.asc"
    key.write_text(run("gpg", "--armor", "--export", folder=gpg))
    assert "Lab <lab@example.org> with GPG key" in check_signed(release, key)
    with pytest.raises(SignatureError, match=r"cannot be signed by nobody@example\.org"):
        retract(root, "tiny", "1.0.0", reason="Wrong.", sign="nobody@example.org")
    listed(root, lambda entry: entry.update(errata=["V1 is V2."]))
    with pytest.raises(SignatureError, match=r"is not signed by .*lab\.asc"):
        check_signed(release, key)
    listed(root, lambda entry: entry.pop("errata"))
    check_signed(release, key)
    (revocation,) = (gpg / "openpgp-revocs.d").glob("*.rev")
    text = revocation.read_text().replace(":-----BEGIN", "-----BEGIN")
    run("gpg", "--batch", "--quiet", "--import", folder=gpg, text=text)
    key.write_text(run("gpg", "--armor", "--export", folder=gpg))
    with pytest.raises(SignatureError, match="REVKEYSIG"):
        check_signed(release, key)


def test_a_signed_release_over_http(served: Path, keys: Path, tmp_path: Path) -> None:
    with serving(served) as server:
        mine, key = tmp_path / "mine", ("--key", keys / "own.pub")
        fetching = ("fetch", "tiny", "--from", server.address)
        code, said = invoke(mine, *fetching, "--key", keys / "other.pub")
        assert (code, "is not signed by" in said) == (2, True)
        assert server.asked == {"/releases.json": 1}  # and nothing of it is fetched
        assert invoke(mine, *fetching, *key)[0] == 0
        code, said = invoke(mine, "verify", "tiny", "--quick", *key)
        assert (code, "signed by publisher with ED25519" in said) == (0, True)
        change_consistently(served)
        assert invoke(tmp_path / "two", *fetching)[0] == 0  # all checksums fit
        code, said = invoke(tmp_path / "three", *fetching, *key)
        assert (code, "is not signed by" in said) == (2, True)
        assert not (tmp_path / "three" / "tiny").exists()
        code, said = invoke(mine, *fetching, *key, "--replace")
        assert (code, "is not signed by" in said) == (2, True)
        assert "ED25519" in check_signed(mine / "tiny" / "1.0.0", keys / "own.pub")


@pytest.mark.slow
def test_a_signed_release_in_a_ria_store(releases: Path, keys: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "own", ignore=shutil.ignore_patterns(".*"))
    release, own = root / "tiny" / "1.0.0", str(keys / "own")
    to = f"ria+file://{tmp_path / 'ria'}"
    assert publish(release, to, sign=own) is True
    assert publish(release, to) is False  # the signature stays
    add_erratum(root, "tiny", "1.0.0", "V1 is V2.", sign=own)
    assert publish(release, to, sign=own) is True
    clone = tmp_path / "clone"
    run("datalad", "clone", f"{to}#~releases", clone, folder=tmp_path)
    run("git", "annex", "get", "--quiet", ".", folder=clone)
    signers = f"gpg.ssh.allowedSignersFile={keys / 'signers'}"
    run("git", "-c", signers, "tag", "-v", TAG, folder=clone)
    mine = tmp_path / "mine"
    fetching = ("fetch", "tiny", "--from", clone, "--key")
    assert invoke(mine, *fetching, keys / "other.pub")[0] == 2
    assert not (mine / "tiny").exists()
    assert invoke(mine, *fetching, keys / "signers")[0] == 0
    code, said = invoke(mine, "verify", "tiny", "--quick", "--key", keys / "own.pub")
    assert (code, "signed by publisher with ED25519" in said) == (0, True)
    assert Catalogue(mine).entries()[0].errata == ("V1 is V2.",)


@pytest.mark.filterwarnings("ignore:.*is retracted")
def test_of_two_signed_listings_the_stricter_stays_signed(
    served: Path, keys: Path, tmp_path: Path
) -> None:
    own, key, mine = str(keys / "own"), keys / "own.pub", tmp_path / "mine"
    fetch("tiny", source=str(served), releases=mine, key=key)
    add_erratum(mine, "tiny", "1.0.0", "V1 is V2.", sign=own)
    with pytest.warns(UserWarning, match=r"the erratum 'V1 is V2\.' of .* stays"):
        fetch("tiny", source=str(served), releases=mine, key=key)
    check_signature(Catalogue(mine).entries()[0], key)
    retract(served, "tiny", "1.0.0", reason="Wrong.", sign=own)
    with pytest.warns(UserWarning, match=r"the erratum 'V1 is V2\.' of .* stays"):
        fetch("tiny@1.0.0", source=str(served), releases=mine, key=key)
    (entry,) = Catalogue(mine).entries()
    assert (entry.retracted, entry.errata, entry.signature) == ("Wrong.", ("V1 is V2.",), None)
