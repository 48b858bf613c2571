"""
The keys that evidence is signed with and checked by. Imports `errors`; cryptography where it is used.

A key is named by the environment or an option, never by a parameter: neither it nor its place gets into a run folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runbook_lib.errors import InvalidParameters

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer

__all__ = ["PASSPHRASE", "SIGN_KEY", "public_key", "signer"]

SIGN_KEY = "RUNBOOK_SIGN_KEY"
PASSPHRASE = "RUNBOOK_SIGN_KEY_PASSPHRASE"
_KEY_VAULT = "azurekms:"
_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
# A key file is small; anything larger is another file.
_LARGEST = 1 << 16


def signer(named: str = "") -> Signer | None:
    """
    Open a private key: a file in OpenSSH's form or PEM, or `azurekms://VAULT/KEY` for a key in Azure Key Vault.

    Args:
        named: the key; where it is empty, `$RUNBOOK_SIGN_KEY` names it.

    Returns:
        What signs with it; None where no key is named.

    Raises:
        InvalidParameters: there is no such key, it cannot be used, or its passphrase is missing or wrong.
    """
    named = named or os.environ.get(SIGN_KEY, "")
    if not named:
        return None
    if named.startswith(_KEY_VAULT):
        return _in_key_vault(named)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    from securesystemslib.signer import CryptoSigner

    content = _content(Path(named), "sign_key")
    passphrase = os.environ.get(PASSPHRASE, "").encode() or None
    load = load_ssh_private_key if content.lstrip().startswith(_OPENSSH) else load_pem_private_key
    try:
        return CryptoSigner(load(content, passphrase))
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        # cryptography's own words: that a key is encrypted, or its passphrase wrong; never what is in it.
        problem = str(error)
        if isinstance(error, TypeError) or (passphrase and ("assw" in problem or "checksum" in problem)):
            raise InvalidParameters("sign_key_locked", name=SIGN_KEY, resource=named, problem=problem) from error
        raise InvalidParameters("sign_key", name=SIGN_KEY, resource=named, problem=problem) from error


def public_key(path: Path) -> Key:
    """
    Read a public key from its file, as `ssh-keygen` or OpenSSL writes it.

    Raises:
        InvalidParameters: it is none.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key, load_ssh_public_key
    from securesystemslib.signer import SSlibKey

    content = _content(path, "verify_key")
    load = load_pem_public_key if content.lstrip().startswith(b"-----BEGIN") else load_ssh_public_key
    try:
        return SSlibKey.from_crypto(load(content.strip()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidParameters("verify_key", name="--key", resource=str(path), problem=str(error)) from error


def _content(path: Path, message: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except OSError as error:
        name = "--key" if message == "verify_key" else SIGN_KEY
        raise InvalidParameters(message, name=name, resource=str(path), problem=error.strerror or "") from error


def _in_key_vault(named: str) -> Signer:
    """
    Open a key in Azure Key Vault, as securesystemslib does it; never tried against the real service.
    """
    from securesystemslib.exceptions import UnsupportedLibraryError
    from securesystemslib.signer import AzureSigner, Signer

    place = urlsplit(named)
    try:
        uri, public = AzureSigner.import_(place.netloc, place.path.strip("/"))
        return Signer.from_priv_key_uri(uri, public)
    except (UnsupportedLibraryError, ValueError) as error:
        raise InvalidParameters("sign_key", name=SIGN_KEY, resource=named, problem=str(error)) from error
