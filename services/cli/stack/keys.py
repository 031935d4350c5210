"""The secrets of one stack: made once, kept in DATA/secrets, given to the services as files."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.cli.stack.directory import DataDirectory
from services.runtime.clock import Clock
from services.runtime.files import PRIVATE, replace_file
from services.runtime.issuer import SERVICE, LocalIssuer, Role, make_issuer_key

_CURSOR_KEY_BYTES = 32
# A token lives 8 h: renewed at half of that, an hour's sleep of the machine does no harm.
TOKEN_RENEWAL_SECONDS = 4 * 3600.0


def make_keys(directory: DataDirectory) -> None:
    """Makes whichever secret is missing; a lost one would orphan what was signed with it, so none is ever replaced."""
    for key in (directory.intake_key, directory.audit_key):
        if not key.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            replace_file(key, pem, mode=PRIVATE)
    if not directory.cursor_key.exists():
        replace_file(directory.cursor_key, secrets.token_bytes(_CURSOR_KEY_BYTES), mode=PRIVATE)


def make_local_issuer(directory: DataDirectory) -> None:
    """Makes the issuer's key and JWKS, for a stack that no outside issuer signs for."""
    make_issuer_key(directory.issuer_key, directory.jwks)


def renew_service_token(directory: DataDirectory, *, issuer: str, audience: str, clock: Clock) -> None:
    """Writes a fresh token for calls between services; they read the file again when it changes."""
    write_service_token(directory.issuer_key, directory.service_token, issuer=issuer, audience=audience, clock=clock)


def write_service_token(key: Path, token: Path, *, issuer: str, audience: str, clock: Clock) -> None:
    """Writes such a token to the file `token`, signed with the issuer's key."""
    local = LocalIssuer(key, issuer=issuer, audience=audience, clock=clock)
    replace_file(token, local.mint(SERVICE, Role.PLATFORM).encode(), mode=PRIVATE)
