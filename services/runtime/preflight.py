"""What a process looks at before it serves: secrets, database, schemas, broker, topics, rights; in that order.

An engine that does not answer yet is waited for, visibly and within a bound. Everything else that is not right ends the
start with one sentence, for waiting would not mend it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import asyncpg

from schemas.topics import TOPICS, Topic, dead_topics
from services.runtime import access, rights
from services.runtime.administration import wanted_partitions
from services.runtime.database import address
from services.runtime.logs import logger
from services.runtime.migrate import known_versions
from services.runtime.problems import BrokerAway, DatabaseAway
from services.runtime.process import StartRefused
from services.runtime.secretfiles import SecretUnusable, check_all
from services.runtime.settings import KafkaSecurity, Settings

log = logger(__name__)

ResultT = TypeVar("ResultT")

_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 5.0


async def check(settings: Settings, services: Sequence[str]) -> None:
    """Holds that these services can do their work with these settings.

    Raises:
        StartRefused: they cannot; the text is one sentence that says what to mend.
    """
    try:
        check_all(settings)
        for service in services:
            await _patiently(settings, _database(settings), partial(_schema, settings, service))
        seen = await _patiently(settings, _broker(settings), partial(access.look, settings, _names(services)))
    except SecretUnusable as unusable:
        raise StartRefused(f"{unusable}.") from unusable
    except access.LoginRefused as refused:
        raise StartRefused(
            f"{_broker(settings)} does not take the user {settings.kafka_user or '(none)'} with this password; check "
            "JUBAO_KAFKA_USER and JUBAO_KAFKA_PASSWORD_FILE, or set the password again with `jubao topics grant`."
        ) from refused
    for topic in _topics(services):
        _check_topic(settings, topic, services, seen.topics.get(topic.name))
    if settings.kafka_user and not seen.may_use_groups and _reads(services):
        raise StartRefused(
            _right_missing(settings, f"use consumer groups named {rights.group_prefix(settings.kafka_user)}*")
        )


async def _patiently(settings: Settings, what: str, look: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """What `look` finds, once the engine answers.

    Raises:
        StartRefused: it did not, for as long as the settings let a start wait.
    """
    loop = asyncio.get_running_loop()
    end, told = loop.time() + settings.wait_seconds, float("-inf")
    while True:
        try:
            return await look()
        except (DatabaseAway, BrokerAway) as away:
            left = end - loop.time()
            if left <= 0:
                raise StartRefused(_away(settings, what)) from away
            if loop.time() - told >= _TOLD_EVERY_SECONDS:
                log.warning("start_waits", what=what, seconds_left=round(left))
                told = loop.time()
            await asyncio.sleep(min(_PAUSE_SECONDS, left))


def _away(settings: Settings, what: str) -> str:
    variable = "JUBAO_DATABASE" if what == _database(settings) else "JUBAO_KAFKA"
    hint = ""
    if variable == "JUBAO_KAFKA" and settings.kafka_security is KafkaSecurity.PLAINTEXT:
        hint = " (and JUBAO_KAFKA_SECURITY, if it wants a password)"
    return (
        f"{what} did not answer within {settings.wait_seconds:.0f} s; start it, or correct {variable}{hint}; "
        "JUBAO_WAIT_SECONDS is how long a start waits."
    )


def _database(settings: Settings) -> str:
    url = address(settings)
    return f"PostgreSQL at {url.host}:{url.port or 5432}"


def _broker(settings: Settings) -> str:
    return f"Kafka at {settings.kafka}"


async def _schema(settings: Settings, service: str) -> None:
    """Logs in as the service does, and looks which version its schema is at."""
    url, role = address(settings), f"jubao_{service}"
    who = f"{_database(settings)} does not let {url.username} in"
    try:
        connection = await asyncpg.connect(
            url.set(drivername="postgresql").render_as_string(hide_password=False),
            timeout=_CONNECT_SECONDS,
            server_settings={"role": role},
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as refused:
        raise StartRefused(
            f"{who}: wrong password, or no such login; check JUBAO_DATABASE and JUBAO_DATABASE_PASSWORD_FILE, or set "
            "the password again with `jubao db upgrade`."
        ) from refused
    except (asyncpg.InvalidCatalogNameError, asyncpg.InsufficientPrivilegeError) as refused:
        raise StartRefused(f"{who}: {refused}; check JUBAO_DATABASE.") from refused
    except asyncpg.InvalidParameterValueError as missing:
        raise StartRefused(f"{_database(settings)} has no role {role} yet; run `jubao db upgrade`.") from missing
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as away:
        raise DatabaseAway from away
    try:
        at = await connection.fetchval(f"SELECT version_num FROM {service}.alembic_version")
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        at = None
    finally:
        await connection.close()
    _check_version(service, at)


def _check_version(service: str, at: str | None) -> None:
    known = known_versions(service)
    if at == known[0]:
        return
    if at is None or at in known:
        raise StartRefused(
            f"The schema {service} is at version {at or 'nothing'}, this program needs {known[0]}; "
            "run `jubao db upgrade`."
        )
    raise StartRefused(
        f"The schema {service} is at version {at}, which a newer Jubao than this one has made; install that version, "
        "or restore a backup from before its migration."
    )


def _topics(services: Sequence[str]) -> list[Topic]:
    return [t for t in (*TOPICS, *dead_topics()) if {*t.producers, *t.consumers} & set(services)]


def _names(services: Sequence[str]) -> list[str]:
    return [topic.name for topic in _topics(services)]


def _reads(services: Sequence[str]) -> bool:
    return any(set(topic.consumers) & set(services) for topic in TOPICS)


def _check_topic(settings: Settings, topic: Topic, services: Sequence[str], seen: access.TopicSeen | None) -> None:
    held = (right for service in services for right in rights.rights_of(service))
    needed = {right.operation for right in held if right.kind is rights.Kind.TOPIC and right.name == topic.name}
    if seen is None or seen.hidden:
        raise StartRefused(_right_missing(settings, f"see the topic {topic.name}"))
    if seen.partitions == 0:
        raise StartRefused(f"{_broker(settings)} has no topic {topic.name}; run `jubao topics create`.")
    if lacking := needed - seen.may:
        verbs = " and ".join(sorted(operation.name.lower() for operation in lacking))
        raise StartRefused(_right_missing(settings, f"{verbs} the topic {topic.name}"))
    wanted = wanted_partitions(topic, settings)
    if seen.partitions < wanted:
        raise StartRefused(
            f"The topic {topic.name} has {seen.partitions} partitions and needs {wanted}; run `jubao topics create`, "
            "which adds what is missing."
        )


def _right_missing(settings: Settings, what: str) -> str:
    user = settings.kafka_user or "(none)"
    return f"{_broker(settings)} does not let the user {user} {what}; run `jubao topics grant`, which sets all rights."
