"""Every setting of every process, in one typed place; each is an environment variable `JUBAO_<NAME>`."""

from enum import StrEnum
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaSecurity(StrEnum):
    """How a connection to a broker is protected."""

    PLAINTEXT = "plaintext"
    SASL_PLAINTEXT = "sasl_plaintext"
    SASL_SSL = "sasl_ssl"


class KafkaMechanism(StrEnum):
    """How SASL proves a password."""

    SCRAM_SHA_512 = "SCRAM-SHA-512"
    PLAIN = "PLAIN"


class Settings(BaseSettings):
    """What differs between one way to run and another; the code does not.

    The database's address is a secret because it may hold a password; `masked()` is the only way it is shown.
    """

    model_config = SettingsConfigDict(env_prefix="JUBAO_", extra="ignore", frozen=True)

    data: Path = Field(Path(".jubao"), description="Directory of the embedded stack: engines, keys, logs.")
    database: SecretStr = Field(
        SecretStr(""), description="postgresql://user[:password]@host:port/db; each service takes its own role in it."
    )
    database_password_file: Path | None = Field(
        None, description="File with the password for JUBAO_DATABASE, instead of one in the address."
    )
    role_passwords: Path | None = Field(
        None, description="Directory of ROLE.password files: `jubao db upgrade` lets these services' roles log in."
    )
    kafka: str = Field("", description="Bootstrap servers, HOST:PORT separated by commas.")
    kafka_security: KafkaSecurity = Field(
        KafkaSecurity.PLAINTEXT, description="plaintext, sasl_plaintext or sasl_ssl; SASL needs user and password."
    )
    kafka_mechanism: KafkaMechanism = Field(
        KafkaMechanism.SCRAM_SHA_512, description="How SASL proves the password: SCRAM-SHA-512 or PLAIN."
    )
    kafka_user: str = Field("", description="Kafka user of this process.")
    kafka_password_file: Path | None = Field(None, description="File with the Kafka user's password.")
    kafka_ca_file: Path | None = Field(
        None, description="CA of the brokers' certificates for sasl_ssl; else the system's."
    )
    kafka_passwords: Path | None = Field(
        None,
        description="Directory of USER.password files: `jubao topics grant` gives these Kafka users their passwords.",
    )
    kafka_replay_user: str = Field(
        "", description="Kafka user that puts dead letters back where it is not the service's own; empty: its own."
    )
    kafka_replay_password_file: Path | None = Field(None, description="File with that user's password.")
    public_url: str = Field(
        "http://127.0.0.1:8600", description="The one origin that callers see; signatures cover it."
    )
    call_url: str = Field(
        "", description="Where commands reach the origin if not at PUBLIC_URL, as inside a deployment; empty: there."
    )
    watch: str = Field(
        "", description="Processes without web whose health `jubao status` asks: NAME=http://HOST:PORT, by commas."
    )
    bind: str = Field("127.0.0.1:8600", description="HOST:PORT the web process listens on.")
    health: str = Field(
        "", description="Address of health and metrics of a process without web: unix:PATH or HOST:PORT; empty: none."
    )

    issuer: str = Field("jubao-local", description="`iss` of staff tokens.")
    audience: str = Field("jubao", description="`aud` of staff tokens.")
    jwks: str = Field("", description="Path or URL of the issuer's JWKS.")
    service_token_file: Path | None = Field(
        None, description="Bearer token with which one service calls another; read again when it changes."
    )
    intake_key_file: Path | None = Field(None, description="Intake's Ed25519 private key, PKCS#8 PEM.")
    cursor_key_file: Path | None = Field(
        None, description="Secret bytes that page cursors are signed with; the same for all processes."
    )
    audit_key_file: Path | None = Field(
        None, description="The log's Ed25519 private keys, PKCS#8 PEM, one or two; empty: checkpoints are not signed."
    )
    audit_public_keys_file: Path | None = Field(
        None, description="Where the log's public keys are written; empty: DATA/audit/keys."
    )
    checkpoint_file: Path | None = Field(
        None, description="File that checkpoints are appended to; empty: DATA/audit/checkpoints."
    )
    log_origin: str = Field(
        "", max_length=200, description="The log's name in its checkpoints, for good; empty: one is made up."
    )
    checkpoint_seconds: Annotated[
        float, Field(gt=0, le=60, description="How long new entries of the log wait at most for a checkpoint.")
    ] = 10
    witnesses: str = Field("", description="Who cosigns checkpoints: URL VKEY, with commas between.")
    retention: str = Field(
        "P0=1095,P1=365,P2=180,P3=180,P4=180",
        description="Days that the text of a decided report is kept, by class; one that is left out: for ever.",
    )
    retention_seconds: Annotated[
        float, Field(gt=0, le=86_400, description="How often it is looked whose time is over.")
    ] = 3_600
    review_url: str = Field("", description="Where outcomes asks review; empty: PUBLIC_URL/review.")

    lease_seconds: Annotated[float, Field(gt=0, le=86_400, description="How long a claim holds without renewal.")] = 600
    p0_lease_seconds: Annotated[
        float,
        Field(gt=0, le=86_400, description="How long a held lease lasts at most once P0 joins: under two minutes."),
    ] = 110
    late_report_days: Annotated[
        int,
        Field(ge=0, le=365, description="A late report on an item decided so recently is answered with that decision."),
    ] = 7
    policy_file: Path | None = Field(None, description="Priority policy; empty: the default one of the package.")

    log_level: str = Field("info", description="debug, info, warning or error.")
    topic_replication: Annotated[
        int, Field(ge=0, le=5, description="Copies of each topic; 0: as many as there are brokers, at most 3.")
    ] = 1
    topic_partitions: Annotated[
        int, Field(ge=0, le=500, description="Partitions of created topics; 0: as the topics table says.")
    ] = 0
    batch_records: Annotated[int, Field(ge=1, le=10_000, description="Most records a consumer takes at once.")] = 2_000
    database_pool: Annotated[int, Field(ge=1, le=100, description="Connections a service keeps in one process.")] = 8
    session_timeout_seconds: Annotated[
        float, Field(ge=1, le=300, description="Kafka's patience with a silent consumer.")
    ] = 10
    answer_timeout_seconds: Annotated[
        float, Field(gt=0, le=5, description="How long a caller waits before a missing engine is a 503.")
    ] = 4
    rate_staff_per_second: Annotated[float, Field(gt=0, description="Calls of one reviewer, auditor or admin.")] = 500
    rate_platform_per_second: Annotated[float, Field(gt=0, description="Calls of one backend.")] = 5_000
    rate_source_per_second: Annotated[float, Field(gt=0, description="Calls of one officer, or under one key.")] = 200
    rate_address_per_second: Annotated[
        float, Field(gt=0, description="Calls from one address that do not prove who calls, and open ones apart.")
    ] = 300
    rate_burst_seconds: Annotated[
        float, Field(gt=0, le=3_600, description="For how many seconds' worth of calls may come at once.")
    ] = 10
    head_seconds: Annotated[float, Field(gt=0, le=300, description="For a request's line and header fields.")] = 10
    body_seconds: Annotated[float, Field(gt=0, le=300, description="For a request's body, once it is read.")] = 20
    request_seconds: Annotated[float, Field(gt=0, le=600, description="Until a request's answer begins.")] = 30
    keep_alive_seconds: Annotated[float, Field(gt=0, le=600, description="For a connection between two requests.")] = 30
    most_connections: Annotated[int, Field(ge=1, le=100_000, description="Connections of one web process.")] = 1_000
    most_connections_per_address: Annotated[
        int, Field(ge=1, le=100_000, description="Of these, from one address that is no trusted proxy.")
    ] = 500
    trusted_proxies: str = Field(
        "", description="Addresses or networks, with commas, whose X-Forwarded-For tells the caller's; empty: none."
    )

    preflight: bool = Field(
        default=True, description="Whether `jubao serve` looks at secrets, engines, schemas, topics and rights first."
    )
    wait_seconds: Annotated[
        float, Field(ge=0, le=3_600, description="How long a start waits for an engine that does not answer yet.")
    ] = 60
    stop_seconds: Annotated[float, Field(gt=0, le=120, description="How long a stop waits for the batch in hand.")] = 10

    @cached_property
    def call_base(self) -> str:
        """Where commands reach the origin."""
        return self.call_url or self.public_url

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for proxy in filter(None, map(str.strip, value.split(","))):
            ip_network(proxy, strict=False)
        return value

    @cached_property
    def review_base(self) -> str:
        """Review's own address, without a slash at its end."""
        return (self.review_url or f"{self.public_url}/review").rstrip("/")

    def masked(self) -> dict[str, str]:
        """All settings as text fit for a screen: the database's password is replaced by stars."""
        shown = {name: "" if value is None else str(value) for name, value in self}
        shown["database"] = without_password(self.database.get_secret_value())
        return shown


def without_password(dsn: str) -> str:
    """The same address with `***` where its password was; an address without one stays as it is."""
    parts = urlsplit(dsn)
    if parts.password is None:
        return dsn
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
