"""Users and rights at the broker: set as the table of topics says, and looked at by whoever starts."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.conn import create_conn
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.errors import for_code as error_for_code
from aiokafka.protocol.coordination import FindCoordinatorRequest

from services.runtime import kafkawire as wire
from services.runtime.kafkalogin import credentials
from services.runtime.problems import BrokerAway
from services.runtime.rights import Operation, Right, group_prefix, rights, users
from services.runtime.secretfiles import text_of
from services.runtime.settings import Settings

_SCRAM_SHA_512 = 2
_ITERATIONS = 8_192
_SALT_BYTES = 16
_ALLOW, _ANY, _LITERAL, _PREFIXED = 3, 1, 3, 4
_ANSWER_MILLISECONDS = 5_000
_OF_GROUP = 0
# Errors by Kafka's numbers: the password, the mechanism, or the broker's state of being asked too early.
_REFUSALS = {"SaslAuthenticationFailed", "UnsupportedSaslMechanismError", "AuthenticationFailedError"}


class LoginRefused(Exception):
    """The broker answers and does not take the user and password."""


class GrantRefused(Exception):
    """The broker does not let this user set users and rights; the text is the broker's word."""


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """A topic as the broker shows it to us: `hidden` where we may not know of it, no partitions where it is not."""

    name: str
    partitions: int
    may: frozenset[Operation]
    hidden: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a login shows: topics, and whether the groups of the user may be used."""

    topics: dict[str, TopicSeen]
    may_use_groups: bool


# A right as Kafka keeps it: kind, name, pattern, principal, host, operation, permission.
Row = tuple[int, str, int, str, str, int, int]


@dataclass(frozen=True, slots=True)
class Granted:
    """What `grant` did: users with a new password, how many rights were given and taken, and how many there are now."""

    passwords: list[str]
    given: int
    taken: int
    total: int


async def _connection(settings: Settings) -> Any:  # noqa: ANN401 -- aiokafka has no types
    """A connection to the first broker that answers.

    Raises:
        LoginRefused: it does not take our user and password.
        BrokerAway: none answers.
    """
    away: Exception | None = None
    for address in settings.kafka.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            return await create_conn(
                host,
                int(port),
                client_id="jubao-access",
                request_timeout_ms=_ANSWER_MILLISECONDS,
                **credentials(settings),
            )
        except (KafkaError, OSError, TimeoutError) as error:
            if type(error).__name__ in _REFUSALS:
                raise LoginRefused from error
            away = error
    raise BrokerAway from away


async def look(settings: Settings, topics: Sequence[str]) -> Seen:
    """The topics of these names, and what our user may do with them.

    Raises:
        LoginRefused, BrokerAway: see the names.
    """
    connection = await _connection(settings)
    try:
        told = await connection.send(wire.Request(wire.Metadata, list(topics), False, False, True))  # noqa: FBT003
        group = group_prefix(settings.kafka_user)
        # Any broker knows who may use a group; what one may do with it is known to the group's own broker alone.
        coordinator = await connection.send(FindCoordinatorRequest(group, _OF_GROUP))
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway from error
    finally:
        connection.close()
    seen = {
        name: TopicSeen(
            name, len(partitions), _operations(bits), error_for_code(error) is TopicAuthorizationFailedError
        )
        for error, name, _, partitions, bits in told.topics
    }
    return Seen(seen, error_for_code(coordinator.error_code) is not GroupAuthorizationFailedError)


def _operations(bits: int) -> frozenset[Operation]:
    return frozenset(operation for operation in Operation if bits >= 0 and bits & (1 << operation))


async def grant(settings: Settings, passwords: Path | None) -> Granted:
    """Gives each user of the table its rights and takes from it all others; sets passwords that are there as files.

    Args:
        settings: with a login that may do this.
        passwords: directory of `USER.password` files; a user without one keeps the password it has.

    Raises:
        LoginRefused, BrokerAway, GrantRefused: see the names.
        SecretUnusable: a password's file is empty or closed.
    """
    known = users()
    texts = {} if passwords is None else _texts(passwords, known)
    connection = await _connection(settings)
    try:
        if texts:
            await _set_passwords(connection, texts)
        wanted = {_row(right) for right in rights()}
        present = await _present(connection, set(known))
        missing, stray = sorted(wanted - present), sorted(present - wanted)
        if missing:
            answer = await connection.send(wire.Request(wire.Give, missing))
            _hold(code for code, _ in answer.results)
        if stray:
            answer = await connection.send(wire.Request(wire.Take, stray))
            _hold(code for code, *_ in answer.results)
    except (KafkaError, OSError, TimeoutError) as error:
        raise BrokerAway from error
    finally:
        connection.close()
    return Granted(sorted(texts), len(missing), len(stray), len(wanted))


def _texts(directory: Path, known: Iterable[str]) -> dict[str, str]:
    files = {user: directory / f"{user}.password" for user in known}
    return {user: text_of(path, "JUBAO_KAFKA_PASSWORDS") for user, path in files.items() if path.exists()}


async def _set_passwords(connection: Any, texts: dict[str, str]) -> None:  # noqa: ANN401 -- as above
    upsertions: list[tuple[Any, ...]] = []
    for user, text in texts.items():
        salt = os.urandom(_SALT_BYTES)
        salted = hashlib.pbkdf2_hmac("sha512", text.encode(), salt, _ITERATIONS)
        upsertions.append((user, _SCRAM_SHA_512, _ITERATIONS, salt, salted, {}))
    answer = await connection.send(wire.Request(wire.Passwords, [], upsertions, {}))
    _hold(code for _, code, *_ in answer.results)


async def _present(connection: Any, known: set[str]) -> set[Row]:  # noqa: ANN401 -- as above
    """All rights of our users as they are, whoever gave them."""
    answer = await connection.send(wire.Request(wire.Rights, _ANY, None, _ANY, None, None, _ANY, _ANY))
    _hold([answer.error])
    return {
        (kind, name, pattern, principal, host, operation, permission)
        for kind, name, pattern, held in answer.resources
        for principal, host, operation, permission in held
        if principal.removeprefix("User:") in known
    }


def _row(right: Right) -> Row:
    pattern = _PREFIXED if right.prefixed else _LITERAL
    return (right.kind, right.name, pattern, f"User:{right.user}", "*", right.operation, _ALLOW)


def _hold(codes: Iterable[int]) -> None:
    for code in codes:
        if code:
            raise GrantRefused(error_for_code(code).__name__)
