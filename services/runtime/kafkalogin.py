"""How a client of Kafka proves who it is: every client of this project is made with these options."""

import ssl
from typing import Any

from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

from services.runtime.secretfiles import secret
from services.runtime.settings import KafkaMechanism, KafkaSecurity, Settings


def login(settings: Settings) -> dict[str, Any]:
    """Options of aiokafka's clients that say where to connect, how, and as whom.

    Raises:
        SecretUnusable: the password's file, or the CA's, cannot be read.
    """
    return {"bootstrap_servers": settings.kafka.split(","), **credentials(settings)}


def credentials(settings: Settings) -> dict[str, Any]:
    """The part of `login` that proves who we are; empty for a broker that asks for nothing. Raises as it does."""
    if settings.kafka_security is KafkaSecurity.PLAINTEXT:
        return {}
    encrypted = settings.kafka_security is KafkaSecurity.SASL_SSL
    return {
        "security_protocol": "SASL_SSL" if encrypted else "SASL_PLAINTEXT",
        "ssl_context": ssl.create_default_context(cafile=settings.kafka_ca_file) if encrypted else None,
        "sasl_mechanism": settings.kafka_mechanism.value,
        "sasl_plain_username": settings.kafka_user,
        "sasl_plain_password": secret(settings, "kafka_password_file"),
    }


def security(settings: Settings) -> BaseSecurity | None:
    """The same for FastStream's brokers. Raises as `login` does."""
    options = credentials(settings)
    if not options:
        return None
    kind = SASLPlaintext if settings.kafka_mechanism is KafkaMechanism.PLAIN else SASLScram512
    context = options["ssl_context"]
    return kind(options["sasl_plain_username"], options["sasl_plain_password"], context, use_ssl=context is not None)


def replaying(settings: Settings) -> Settings:
    """The same settings as the user that puts dead letters back, where there is one of its own.

    A service may write its own topics and read its sources; putting a record back on a source is the operator's act,
    so a deployment gives that right to another user, whom only the processes with the operator's route know.
    """
    if not settings.kafka_replay_user:
        return settings
    changed = {"kafka_user": settings.kafka_replay_user, "kafka_password_file": settings.kafka_replay_password_file}
    return settings.model_copy(update=changed)
