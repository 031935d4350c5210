"""The log's private keys: a PEM file with one key, or with two while the old one gives way to the new."""

import re
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from services.audit.note import Signer

_BLOCK: Final = re.compile(rb"-----BEGIN PRIVATE KEY-----.+?-----END PRIVATE KEY-----\n?", re.DOTALL)


class BadKeyFile(Exception):
    """The file of the log's keys cannot be used; the text says why and what to do."""


def blocks_of(path: Path) -> list[bytes]:
    """The keys of a file as they stand in it, the oldest first.

    Raises:
        BadKeyFile: it cannot be read, or holds none.
    """
    try:
        blocks: list[bytes] = _BLOCK.findall(path.read_bytes())
    except OSError as error:
        raise BadKeyFile(f"the log's key file {path} cannot be read: {error.strerror}") from error
    if not blocks:
        raise BadKeyFile(f"the log's key file {path} holds no PKCS#8 private key; make one with `jubao audit key new`")
    return blocks


def signers_of(path: Path, name: str) -> list[Signer]:
    """Who signs under the log's name, the oldest key first.

    Raises:
        BadKeyFile: the file holds no Ed25519 key, or something else beside.
    """
    signers = []
    for block in blocks_of(path):
        try:
            private = load_pem_private_key(block, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadKeyFile(f"a key in {path} cannot be read: {type(error).__name__}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise BadKeyFile(f"a key in {path} is not Ed25519")
        signers.append(Signer(name, private))
    return signers


def new_block() -> bytes:
    """A new key as such a file holds it."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
