"""
Signed evidence: who sealed it is proven by their public key, and by nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sealed import edit, reattest
from signing import KeyFiles, key_files

from runbook_lib.cli import main
from runbook_lib.errors import InvalidParameters
from runbook_lib.evidence import ATTESTATION, SIGN_KEY, read_json, seal, signer, verify
from runbook_lib.evidence.keys import PASSPHRASE


def _verify(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, arguments)], catch_exceptions=False)


# --- whose it is --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private", ["private", "private_pem"])
@pytest.mark.parametrize("public", ["public", "public_pem"])
def test_a_signed_run_is_authentic_by_its_public_key(
    sealed_run: Path, keys: KeyFiles, private: str, public: str
) -> None:
    """
    Private and public key in OpenSSH's form or in PEM.
    """
    seal(sealed_run, signer(str(getattr(keys, private))))
    found = verify(sealed_run, key=getattr(keys, public), signature=True)

    assert ("authentic", True, ("by_key",)) == (found.worth, found.accepted, found.proven)
    assert found.lines("en")[1].startswith("AUTHENTIC")


def test_keys_that_ssh_keygen_made_will_do(sealed_run: Path, tmp_path: Path) -> None:
    """
    Operators have such keys already.
    """
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(path)], check=True)
    seal(sealed_run, signer(str(path)))

    assert "authentic" == verify(sealed_run, key=path.with_suffix(".pub")).worth


@pytest.mark.parametrize("kind", ["p256", "rsa"])
def test_other_kinds_of_keys_sign_as_well(sealed_run: Path, tmp_path: Path, kind: str) -> None:
    """
    What a company's key store hands out is not always Ed25519.
    """
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "p256" else rsa.generate_private_key(65537, 2048)
    (tmp_path / "k").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "k.pub").write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    seal(sealed_run, signer(str(tmp_path / "k")))

    assert "authentic" == verify(sealed_run, key=tmp_path / "k.pub").worth


def test_without_a_key_a_signature_proves_nothing(signed_run: Path) -> None:
    """
    Anybody can sign; that there is a signature is said, and that nobody checked it.
    """
    found = verify(signed_run)

    assert ("consistent", True) == (found.worth, found.accepted)
    assert "origin not proven (signed, but no --key" in found.lines("en")[1]


def test_the_digest_that_was_kept_proves_the_origin_of_an_unsigned_run(sealed_run: Path) -> None:
    """
    With or without its prefix, in either case.
    """
    digest = verify(sealed_run).digest

    for given in (digest, digest.upper(), f"sha256:{digest}", f" {digest}\n"):
        found = verify(sealed_run, expected=given)
        assert ("authentic", ("by_digest",)) == (found.worth, found.proven)
    both = verify(sealed_run, expected="0" * 64)
    assert ("broken", ["other_digest"]) == (both.worth, [each.kind for each in both.problems])


def test_another_key_does_not_prove_it(signed_run: Path, tmp_path: Path) -> None:
    """
    Signed by somebody else is broken, where a key is asked for.
    """
    found = verify(signed_run, key=key_files(tmp_path / "other").public)

    assert ("broken", ["other_key"]) == (found.worth, [each.kind for each in found.problems])


def test_an_unsigned_run_does_not_pass_for_a_signed_one(sealed_run: Path, keys: KeyFiles) -> None:
    """
    A signature that was taken off is missed.
    """
    found = verify(sealed_run, key=keys.public)

    assert ("broken", ["unsigned"]) == (found.worth, [each.kind for each in found.problems])


def test_a_key_that_was_swapped_is_found(signed_run: Path, keys: KeyFiles, tmp_path: Path) -> None:
    """
    Rebuilt and signed by another key under the id of the right one.
    """
    right = read_json(signed_run / ATTESTATION)["signatures"][0]["keyid"]
    seal(signed_run, signer(str(key_files(tmp_path / "other").private)))
    edit(signed_run / ATTESTATION, lambda envelope: envelope["signatures"][0].update(keyid=right))

    assert ["other_key"] == [each.kind for each in verify(signed_run, key=keys.public).problems]


def test_a_signature_belongs_to_its_statement(signed_run: Path, keys: KeyFiles) -> None:
    """
    That of another statement, of nothing, or with a byte turned is none.
    """
    whole = (signed_run / ATTESTATION).read_bytes()
    signature = base64.b64decode(read_json(signed_run / ATTESTATION)["signatures"][0]["sig"])
    reattest(signed_run, lambda statement: statement["predicate"].update(result="PASSED"))
    assert "other_key" in [each.kind for each in verify(signed_run, key=keys.public).problems]
    for forged in (bytes([signature[0] ^ 1]) + signature[1:], signature[:-1], b"", bytes(64)):
        (signed_run / ATTESTATION).write_bytes(whole)
        sig = base64.b64encode(forged).decode()
        edit(signed_run / ATTESTATION, lambda envelope, sig=sig: envelope["signatures"][0].update(sig=sig))
        assert ["other_key"] == [each.kind for each in verify(signed_run, key=keys.public).problems]


# --- keys that cannot be used ------------------------------------------------------------------------------------


def test_a_locked_key_takes_its_passphrase_from_the_environment(
    sealed_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without it, or with a wrong one, the error says which variable it belongs into, and shows neither.
    """
    locked = key_files(tmp_path / "locked", b"open sesame")
    for private in (locked.private, locked.private_pem):
        monkeypatch.delenv(PASSPHRASE, raising=False)
        with pytest.raises(InvalidParameters, match=r"needs another passphrase.*RUNBOOK_SIGN_KEY_PASSPHRASE"):
            signer(str(private))
        monkeypatch.setenv(PASSPHRASE, "wrong horse")
        with pytest.raises(InvalidParameters, match="passphrase") as refusal:
            signer(str(private))
        assert "wrong horse" not in str(refusal.value)
        monkeypatch.setenv(PASSPHRASE, "open sesame")
        seal(sealed_run, signer(str(private)))
        assert verify(sealed_run, key=locked.public).accepted


@pytest.mark.parametrize("content", [None, b"", b"nonsense", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_private_key_is_named(tmp_path: Path, content: bytes | None) -> None:
    """
    Before a run begins.
    """
    if content is not None:
        (tmp_path / "k").write_bytes(content)

    with pytest.raises(InvalidParameters, match=r"RUNBOOK_SIGN_KEY: .*k is no private key"):
        signer(str(tmp_path / "k"))


def test_a_key_vault_without_its_client_is_refused_with_the_reason() -> None:
    """
    Signing in Azure Key Vault needs packages that the runbook does not bring.
    """
    with pytest.raises(InvalidParameters, match=r"azurekms://vault/key is no private key that can be used: .+azure"):
        signer("azurekms://vault/key")


@pytest.mark.parametrize("content", [None, b"", b"ssh-ed25519 AAAA", b"-----BEGIN PUBLIC KEY-----\nx\n"])
def test_what_is_no_public_key_is_named(sealed_run: Path, tmp_path: Path, content: bytes | None) -> None:
    """
    Exit code 2: nothing was verified.
    """
    if content is not None:
        (tmp_path / "k").write_bytes(content)
    result = _verify(sealed_run, "--key", tmp_path / "k")

    assert (2, True) == (result.exit_code, "is no public key" in result.stderr)


def test_a_private_key_is_no_public_key(sealed_run: Path, keys: KeyFiles) -> None:
    """
    It should not be lying where somebody verifies.
    """
    assert 2 == _verify(sealed_run, "--key", keys.private).exit_code
    assert 2 == _verify(sealed_run, "--key", keys.private_pem).exit_code


# --- the command line --------------------------------------------------------------------------------------------


def test_exit_codes_of_verify(signed_run: Path, keys: KeyFiles, tmp_path: Path) -> None:
    """
    0 where the evidence is complete and as consistent or authentic as asked for, 1 where not, 2 for a wrong question.
    """
    digest, other = verify(signed_run).digest, key_files(tmp_path / "other").public
    asked = {
        (): 0,
        ("--key", keys.public): 0,
        ("--key", keys.public, "--require-signature", "--expect-digest", digest): 0,
        ("--expect-digest", "0" * 64): 1,
        ("--key", other): 1,
        ("--key", keys.public, "--expect-digest", "0" * 64): 1,
        ("--require-signature",): 2,
        ("--expect-digest", "abc"): 2,
        ("--expect-digest", ""): 2,
        ("--expect-digest", " "): 2,
    }

    assert asked == {options: _verify(signed_run, *options).exit_code for options in asked}


def test_a_run_is_signed_with_the_key_that_the_environment_names(
    contoso: object, tmp_path: Path, keys: KeyFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Or an option; the last line says so, and neither the key nor its place is in any file.
    """
    monkeypatch.setenv(SIGN_KEY, str(keys.private))
    out = tmp_path / "run"
    arguments = ["run", "--out", str(out), "-p", "vm_selector", "name:hr01"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    secret = keys.private.read_text().splitlines()[1]

    assert 0 == result.exit_code, result.output
    assert "Sealed and signed (key " in result.stdout.splitlines()[-1]
    assert "authentic" == verify(out, key=keys.public).worth
    written = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert [] == [each for each in (str(keys.private), secret, "id_ed25519") if each.encode() in written]


def test_a_key_that_cannot_be_used_ends_a_run_before_it_begins(contoso: object, tmp_path: Path) -> None:
    """
    Exit code 2, nothing was sent, and nothing is left behind.
    """
    arguments = ["run", "--out", str(tmp_path / "run"), "--sign-key", str(tmp_path / "nothing")]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)

    assert (2, False) == (result.exit_code, (tmp_path / "run").exists())
    assert "nothing is no private key" in result.stderr


def test_the_environment_holds_no_key_in_these_tests() -> None:
    """
    Otherwise runs of other tests would be signed by whoever runs them.
    """
    assert SIGN_KEY not in os.environ


def test_a_signed_statement_is_still_an_in_toto_statement(signed_run: Path) -> None:
    """
    Any DSSE tool reads it: payload, type, and one signature with its key's id.
    """
    envelope = read_json(signed_run / ATTESTATION)

    assert {"payload", "payloadType", "signatures"} == set(envelope)
    assert [["keyid", "sig"]] == [sorted(each) for each in envelope["signatures"]]
    assert "https://in-toto.io/Statement/v1" == json.loads(base64.b64decode(envelope["payload"]))["_type"]
