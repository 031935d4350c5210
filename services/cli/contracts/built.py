"""Every unit as `jubao serve` builds it, without an engine: what they say of themselves needs none."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr

from services.cli import units
from services.runtime.files import PRIVATE, replace_file
from services.runtime.process import Process, Unit
from services.runtime.settings import Settings


def units_by_name() -> Mapping[str, Unit]:
    """Each unit of each service, with the settings that are there when nobody sets any."""
    with TemporaryDirectory(prefix="jubao-contracts-") as directory:
        key = Path(directory) / "intake.pem"
        private = Ed25519PrivateKey.generate()
        replace_file(key, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=PRIVATE)
        settings = Settings.model_construct(
            database=SecretStr("postgresql://postgres@localhost/jubao"),
            kafka="localhost:9092",
            intake_key_file=key,
            cursor_key_file=key,
        )
        process = Process(settings)
        return {name: units.make(process, name) for name in units.UNITS}
