"""Requests to a broker for which aiokafka has no form: users' passwords, rights in one batch, and what we may do.

The layouts are those of Kafka's protocol guide, each in the one version that is named here.
"""

from collections.abc import Mapping
from typing import Any

from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.api import RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

_TEXT = String("utf-8")
_COMPACT = CompactString("utf-8")
_ACL = (
    ("resource_type", Int8),
    ("resource_name", _TEXT),
    ("pattern_type", Int8),
    ("principal", _TEXT),
    ("host", _TEXT),
    ("operation", Int8),
    ("permission", Int8),
)


class Request:
    """A request whose fields are given as they go on the wire, in the one version that its struct has.

    Args:
        struct: one of this file.
        fields: in the order of its schema.
    """

    def __init__(self, struct: type[RequestStruct], *fields: Any) -> None:  # noqa: ANN401 -- the protocol's own types
        self._struct, self._fields = struct, fields

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> RequestStruct:
        """What aiokafka's connection sends; it tells which versions the broker knows.

        Raises:
            IncompatibleBrokerVersion: the broker does not know ours.
        """
        least, most = versions.get(self._struct.API_KEY, (0, -1))
        if not least <= self._struct.API_VERSION <= most:
            raise IncompatibleBrokerVersion(f"{self._struct.__name__} is not known to this broker")
        return self._struct(*self._fields)


class _MetadataAnswer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("brokers", Array(("node", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT))),
        ("cluster_id", _TEXT),
        ("controller", Int32),
        (
            "topics",
            Array(
                ("error", Int16),
                ("name", _TEXT),
                ("internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("in_sync", Array(Int32)),
                        ("offline", Array(Int32)),
                    ),
                ),
                ("operations", Int32),
            ),
        ),
        ("cluster_operations", Int32),
    )


class Metadata(RequestStruct):  # type: ignore[misc]
    """(topics, create, cluster operations, topic operations): partitions, and what we may do with each topic."""

    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = _MetadataAnswer
    SCHEMA = Schema(
        ("topics", Array(_TEXT)), ("create", Boolean), ("cluster_operations", Boolean), ("operations", Boolean)
    )


class _RightsAnswer(Response):  # type: ignore[misc]
    API_KEY = 29
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("error", Int16),
        ("message", _TEXT),
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", _TEXT),
                ("pattern_type", Int8),
                ("rights", Array(("principal", _TEXT), ("host", _TEXT), ("operation", Int8), ("permission", Int8))),
            ),
        ),
    )


class Rights(RequestStruct):  # type: ignore[misc]
    """(the fields of a right, as a filter): the rights that are there."""

    API_KEY = 29
    API_VERSION = 1
    RESPONSE_TYPE = _RightsAnswer
    SCHEMA = Schema(*_ACL)


class _GiveAnswer(Response):  # type: ignore[misc]
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(("throttle_ms", Int32), ("results", Array(("error", Int16), ("message", _TEXT))))


class Give(RequestStruct):  # type: ignore[misc]
    """(rights,): gives them."""

    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _GiveAnswer
    SCHEMA = Schema(("rights", Array(*_ACL)))


class _TakeAnswer(Response):  # type: ignore[misc]
    API_KEY = 31
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        (
            "results",
            Array(
                ("error", Int16),
                ("message", _TEXT),
                ("taken", Array(("error", Int16), ("message", _TEXT), *_ACL)),
            ),
        ),
    )


class Take(RequestStruct):  # type: ignore[misc]
    """(rights,): takes them away."""

    API_KEY = 31
    API_VERSION = 1
    RESPONSE_TYPE = _TakeAnswer
    SCHEMA = Schema(("filters", Array(*_ACL)))


class _PasswordsAnswer(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_ms", Int32),
        ("results", CompactArray(("user", _COMPACT), ("error", Int16), ("message", _COMPACT), ("tags", TaggedFields))),
        ("tags", TaggedFields),
    )


class Passwords(RequestStruct):  # type: ignore[misc]
    """(deletions, upsertions, tags): sets SCRAM passwords, already salted."""

    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _PasswordsAnswer
    SCHEMA = Schema(
        ("deletions", CompactArray(("user", _COMPACT), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("user", _COMPACT),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )
