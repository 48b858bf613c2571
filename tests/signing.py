"""
Key pairs in files, as `ssh-keygen` and OpenSSL write them, for the tests of signed evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

__all__ = ["KeyFiles", "key_files"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """
    Files of one key pair: as OpenSSH has them, and in PEM.
    """

    private: Path
    public: Path
    private_pem: Path
    public_pem: Path


def key_files(folder: Path, passphrase: bytes = b"") -> KeyFiles:
    """
    Make a new Ed25519 key pair; its private files are encrypted where a passphrase is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = KeyFiles(
        private=folder / "id_ed25519",
        public=folder / "id_ed25519.pub",
        private_pem=folder / "key.pem",
        public_pem=folder / "key.pub.pem",
    )
    key, locked = Ed25519PrivateKey.generate(), BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    made.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, locked))
    made.private_pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    shown = key.public_key()
    made.public.write_bytes(shown.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" operator@laptop\n")
    made.public_pem.write_bytes(shown.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return made
