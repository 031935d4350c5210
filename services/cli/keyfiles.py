"""Key files that commands read and make: public keys to register, private keys to sign with."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from services.cli.errors import CliError
from services.intake.keys import KeyUnusable, base64url, public_bytes

# Any key file is far smaller; a wrong file must not be read whole.
_MOST_BYTES = 16 * 1024


class KeyFileUnusable(CliError):
    """A key file cannot be read or is no such key."""

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}.")


class KeyFileExists(CliError):
    """A new key would take the place of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} exists already and is not overwritten; name another file with --new-key.")


def public_key(path: Path) -> str:
    """The public key of a file in base64url; a private key is refused, so that none is ever sent.

    Raises:
        KeyFileUnusable: not readable, or no Ed25519 public key in PEM or OpenSSH form.
    """
    try:
        return base64url(public_bytes(_read(path).decode()))
    except UnicodeDecodeError as binary:
        raise KeyFileUnusable(path, "this is no text; give a public key in PEM or OpenSSH form") from binary
    except KeyUnusable as unusable:
        raise KeyFileUnusable(path, str(unusable)) from unusable


def private_key(path: Path) -> Ed25519PrivateKey:
    """The private key of a file.

    Raises:
        KeyFileUnusable: not readable, or no Ed25519 private key without a password, in PEM or OpenSSH form.
    """
    raw = _read(path)
    load = load_ssh_private_key if b"BEGIN OPENSSH" in raw else load_pem_private_key
    try:
        key = load(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as unusable:
        raise KeyFileUnusable(
            path, "this is no private key, or one with a password; give the file that `source add --new-key` wrote"
        ) from unusable
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileUnusable(path, "this is a private key of another kind; reports are signed with Ed25519")
    return key


def make_private_key(path: Path) -> str:
    """Writes a new private key (PKCS#8 PEM, mode 600) to a file that is not there yet; its public key in base64url.

    Raises:
        KeyFileExists: there is such a file.
        KeyFileUnusable: it cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError as exists:
        raise KeyFileExists(path) from exists
    except OSError as refused:
        raise KeyFileUnusable(path, f"cannot be written ({refused.strerror}); choose another file") from refused
    return base64url(key.public_key().public_bytes_raw())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as refused:
        raise KeyFileUnusable(path, f"cannot be read ({refused.strerror}); name the key's file") from refused
