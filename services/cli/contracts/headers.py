"""The Kafka headers of events and dead letters, as JSON Schema; on the wire each value is the bytes of its text."""

from typing import Any, Final

from schemas.envelope import CONTENT_TYPE

_PLAIN: Final[dict[str, Any]] = {
    "content-type": {
        "type": "string",
        "const": CONTENT_TYPE,
        "description": "What the value is. Jubao writes it; of other producers it is not checked.",
    },
    "traceparent": {
        "type": "string",
        "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C trace context: one trace follows a report from the caller to its outcome.",
    },
}
_ATTESTATION: Final[dict[str, Any]] = {
    "attestation": {
        "type": "string",
        "pattern": r"^[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+$",
        "description": (
            "A compact detached JWS (RFC 7515, appendix F) over the record's value, EdDSA, with `kid` in its header, "
            "by intake's key or a registered attester's. Without a valid one the report is handled as a public one, "
            "and an alert is recorded."
        ),
    }
}
_DEAD: Final[dict[str, Any]] = {
    "reason": {"type": "string", "maxLength": 500, "description": "What does not fit, and where; it quotes nothing."},
    "source-topic": {"type": "string", "description": "The topic that the record came from."},
    "source-partition": {"type": "string", "pattern": "^[0-9]+$", "description": "Its partition there."},
    "source-offset": {"type": "string", "pattern": "^[0-9]+$", "description": "Its offset there."},
}
_TRACE: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_ATTESTED: Final = (
    "eyJhbGciOiJFZERTQSIsImtpZCI6IjNmN2Q5YzIxZTBiNDQ4YTYifQ.."
    "s-QYQNaKm8jq6fspdO869viEbxlhcDNHvK-1rdvryGkb16Xgev5T-LP8TpZweDLoZCrb6Jg7zcwN4VgwgFaTFw"
)


def of_event(*, attested: bool) -> dict[str, Any]:
    """The headers of an event; with an attestation on the flagged lane."""
    return {"type": "object", "properties": _PLAIN | (_ATTESTATION if attested else {})}


def example(*, attested: bool) -> dict[str, str]:
    """Headers as they may be."""
    plain = {"content-type": CONTENT_TYPE, "traceparent": _TRACE}
    return plain | ({"attestation": _ATTESTED} if attested else {})


def of_dead_letter() -> dict[str, Any]:
    """The headers of a dead letter: the record's own, and these."""
    return {"type": "object", "required": list(_DEAD), "properties": _DEAD}


def dead_letter_example() -> dict[str, str]:
    """Headers of a dead letter as they may be."""
    return {
        "reason": "data.category: Field required",
        "source-topic": "reports.public.v1",
        "source-partition": "3",
        "source-offset": "1207",
    }
