"""Logins of the services' own, for deployments where each has its password: its role then may log in, and nothing more.

Where all services share one login, as in the embedded stack, their roles cannot log in at all.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from services.runtime.secretfiles import text_of

_ITERATIONS = 4_096
_SALT_BYTES = 16
_RIGHTS = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"

# The database this connection is in, quoted for a statement that takes no parameters.
DATABASE = text("SELECT quote_ident(current_database())")


def role_verifiers(directory: Path, services: Sequence[str]) -> dict[str, str]:
    """Of each service's role the verifier of its password, which is all that the server ever gets to see.

    Args:
        directory: with a file `jubao_<service>.password` for each.
        services: whose roles are to log in.

    Raises:
        SecretUnusable: a file is missing, empty or closed.
    """
    roles = [f"jubao_{service}" for service in services]
    return {role: verifier(text_of(directory / f"{role}.password", "JUBAO_ROLE_PASSWORDS")) for role in roles}


def verifier(password: str, salt: bytes | None = None) -> str:
    """PostgreSQL's form of a SCRAM-SHA-256 secret (RFC 5803's fields), so that no password stands in a statement."""
    salt = salt if salt is not None else os.urandom(_SALT_BYTES)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    client = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    stored, server = hashlib.sha256(client).digest(), hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    shown = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{shown[0]}${shown[1]}:{shown[2]}"


def let_log_in(connection: Connection, verifiers: Mapping[str, str]) -> None:
    """Lets these roles log in to this database, with no right beyond their schema; nobody else may connect to it."""
    if not verifiers:
        return
    database = connection.scalar(DATABASE)
    # What everybody has of a new database: to connect to it, and to make temporary tables there.
    connection.execute(text(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC"))
    for role, secret in verifiers.items():
        # Not by `text`, which would take what follows the verifier's colons for parameters.
        connection.exec_driver_sql(f"ALTER ROLE {role} {_RIGHTS} PASSWORD '{secret}'")
        connection.execute(text(f"GRANT CONNECT ON DATABASE {database} TO {role}"))
