"""A report says what the contract allows and nothing else, and what is refused is refused where it stands."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas.report import FlaggedSubmitted, Report, Submitted
from schemas.vocabulary import FLAGGED_KINDS, Category, Channel, ContentType, SourceKind
from services.runtime.outbox import event_bytes

Record = dict[str, Any]
Example = Callable[[str, str], Record]

EVENT = "jubao.report.submitted"
PUBLIC_SCHEMA = f"{EVENT}.v1"
FLAGGED_SCHEMA = f"{EVENT}.v1.on.reports.flagged.v1"
ABSENT = object()

# Where, what is put there, and the kind of error. Each is wrong by itself in a record that is otherwise right.
BAD: list[tuple[str, object, str]] = [
    ("id", "0815", "uuid_parsing"),
    ("id", 7, "uuid_type"),
    ("id", ABSENT, "missing"),
    ("specversion", "0.3", "literal_error"),
    ("type", "jubao.report.triaged.v1", "literal_error"),
    ("type", "jubao.report.submitted.v2", "literal_error"),
    ("datacontenttype", "text/plain", "literal_error"),
    ("source", "", "string_too_short"),
    ("source", "x" * 201, "string_too_long"),
    ("time", "2026-11-23T08:00:00", "timezone_aware"),
    ("time", ABSENT, "missing"),
    ("subject", ABSENT, "missing"),
    ("data", ABSENT, "missing"),
    ("data", [], "model_type"),
    ("data", "report", "model_type"),
    ("data.report_id", ABSENT, "missing"),
    ("data.report_id", "not-a-uuid", "uuid_parsing"),
    ("data.report_id", None, "uuid_type"),
    ("data.channel", ABSENT, "missing"),
    ("data.channel", "fax", "enum"),
    ("data.channel", "ONE_CLICK", "enum"),
    ("data.channel", 1, "enum"),
    ("data.reporter", 8, "string_type"),
    ("data.reporter", "", "string_too_short"),
    ("data.reporter", "u" * 201, "string_too_long"),
    ("data.reporter", "u\x00", "string_pattern_mismatch"),
    ("data.occurred_at", ABSENT, "missing"),
    ("data.occurred_at", "2026-11-23T08:00:00", "timezone_aware"),
    ("data.occurred_at", 1795420800, "timestamp_text"),
    ("data.occurred_at", "1795420800", "timestamp_text"),
    ("data.occurred_at", "gestern", "timestamp_text"),
    ("data.occurred_at", "1970-01-01T00:00:00Z", "timestamp_early"),
    ("data.source", ABSENT, "missing"),
    ("data.source", "user", "model_type"),
    ("data.source.kind", ABSENT, "missing"),
    ("data.source.kind", "army", "enum"),
    ("data.source.name", "示例", "extra_forbidden"),
    ("data.content", ABSENT, "missing"),
    ("data.content.id", ABSENT, "missing"),
    ("data.content.id", "", "string_too_short"),
    ("data.content.id", "v 7301", "string_pattern_mismatch"),
    ("data.content.id", "v\u007f", "string_pattern_mismatch"),
    ("data.content.id", "v" * 201, "string_too_long"),
    ("data.content.id", 7301, "string_type"),
    ("data.content.type", ABSENT, "missing"),
    ("data.content.type", "film", "enum"),
    ("data.content.url", "x" * 2_049, "string_too_long"),
    ("data.content.region", "上海", "string_pattern_mismatch"),
    ("data.content.language", "", "string_too_short"),
    ("data.content.excerpt", "x" * 10_001, "string_too_long"),
    ("data.content.excerpt", "before\x00after", "string_pattern_mismatch"),
    ("data.content.likes", 3, "extra_forbidden"),
    ("data.content.snapshot", "abc", "model_type"),
    ("data.content.snapshot.sha256", ABSENT, "missing"),
    ("data.content.snapshot.sha256", "f" * 63, "string_pattern_mismatch"),
    ("data.content.snapshot.sha256", "g" * 64, "string_pattern_mismatch"),
    ("data.category", ABSENT, "missing"),
    ("data.category", "SCAMS_AND_FRAUD", "enum"),
    ("data.category", "rude", "enum"),
    ("data.category", None, "enum"),
    ("data.keyword", "", "string_too_short"),
    ("data.keyword", "x" * 65, "string_too_long"),
    ("data.explanation", "x" * 5_001, "string_too_long"),
    ("data.explanation", "\x00", "string_pattern_mismatch"),
    ("data.explanation", ["one", "two"], "string_type"),
    ("data.legal_ground", "", "string_too_short"),
    ("data.legal_ground", "x" * 501, "string_too_long"),
    ("data.endorses", "the other one", "uuid_parsing"),
    ("data.territory", "CN_31", "string_pattern_mismatch"),
    ("data.priority", "P0", "extra_forbidden"),
    ("data.attested", True, "extra_forbidden"),
]  # fmt: skip

# What only a flagged report must have.
BAD_FLAGGED: list[tuple[str, object, str]] = [
    ("data.explanation", ABSENT, "missing"),
    ("data.explanation", None, "string_type"),
    ("data.explanation", "", "string_too_short"),
    ("data.legal_ground", ABSENT, "missing"),
    ("data.legal_ground", None, "string_type"),
    ("data.legal_ground", "x" * 501, "string_too_long"),
]

# What JSON Schema cannot say: the model alone refuses these.
BEYOND_SCHEMA = {"timestamp_early"}


def changed(record: Record, place: str, value: object) -> Record:
    """The record with one value put in or taken out."""
    *way, last = place.split(".")
    holder = record
    for step in way:
        holder = holder[step]
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return record


def errors(model: type[Submitted | FlaggedSubmitted], record: Record | bytes) -> list[tuple[str, str]]:
    """Place and kind of each error."""
    value = record if isinstance(record, bytes) else json.dumps(record)
    with pytest.raises(ValidationError) as refused:
        model.model_validate_json(value)
    return [(".".join(map(str, error["loc"])), error["type"]) for error in refused.value.errors()]


def cases(table: list[tuple[str, object, str]]) -> Any:
    ids = [f"{place} {'absent' if value is ABSENT else json.dumps(value)[:20]}" for place, value, _ in table]
    return pytest.mark.parametrize(("place", "value", "kind"), table, ids=ids)


@cases(BAD)
def test_bad_value(
    example: Example, validator: Callable[[str], Draft202012Validator], place: str, value: object, kind: str
) -> None:
    """A bad value is the one error of its record, told with its place, and the JSON Schema refuses it too."""
    record = changed(example(EVENT, "full"), place, value)
    assert errors(Submitted, record) == [(place, kind)]
    numeric = place.endswith("occurred_at") and not isinstance(value, str)
    assert validator(PUBLIC_SCHEMA).is_valid(record) == (kind in BEYOND_SCHEMA and not numeric)


@cases([*BAD, *BAD_FLAGGED])
def test_bad_value_on_flagged_lane(example: Example, place: str, value: object, kind: str) -> None:
    """The flagged lane refuses what the public lane refuses, and a report without ground or explanation."""
    record = changed(example(EVENT, "flagged-full"), place, value)
    assert errors(FlaggedSubmitted, record) == [(place, kind)]


@cases(BAD_FLAGGED)
def test_bad_value_of_flagged_in_schema(
    example: Example, validator: Callable[[str], Draft202012Validator], place: str, value: object, kind: str
) -> None:
    """The flagged lane's JSON Schema refuses a report without ground or explanation."""
    assert kind
    assert not validator(FLAGGED_SCHEMA).is_valid(changed(example(EVENT, "flagged-full"), place, value))


@pytest.mark.parametrize("reporter", [ABSENT, None])
def test_user_needs_a_name(
    example: Example, validator: Callable[[str], Draft202012Validator], reporter: object
) -> None:
    """A user's report without reporter is refused by model and JSON Schema; any other kind may be without."""
    record = changed(example(EVENT, "minimal"), "data.reporter", reporter)
    assert errors(Submitted, record) == [("data", "reporter_missing")]
    assert not validator(PUBLIC_SCHEMA).is_valid(record)
    record["data"]["source"]["kind"] = "police"
    assert Submitted.model_validate_json(json.dumps(record)).data.reporter is None
    assert validator(PUBLIC_SCHEMA).is_valid(record)


@pytest.mark.parametrize("source", [{"kind": "user", "id": "u_1"}, {"kind": "police"}, {"kind": "police", "id": None}])
def test_flagged_lane_needs_a_named_flagged_source(
    example: Example, validator: Callable[[str], Draft202012Validator], source: Record
) -> None:
    """The flagged lane refuses a user, and a flagged source that does not say which it is."""
    record = changed(example(EVENT, "flagged-full"), "data.source", source)
    assert errors(FlaggedSubmitted, record) == [("data", "not_flagged")]
    assert not validator(FLAGGED_SCHEMA).is_valid(record)


def test_police_on_the_public_lane(example: Example) -> None:
    """A report that calls itself police is taken on the public lane as what it says of itself."""
    record = changed(example(EVENT, "minimal"), "data.source", {"kind": "police", "id": "x"})
    assert Submitted.model_validate_json(json.dumps(record)).data.source.kind is SourceKind.POLICE


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("01a2076b-4400-7000-8000-000000000000", ("", "subject_differs")),
        ("report", ("", "subject_differs")),
        ("", ("subject", "string_too_short")),
    ],
)
def test_subject_is_the_report(example: Example, subject: str, found: tuple[str, str]) -> None:
    """A subject that is not the report's id is refused."""
    assert errors(Submitted, changed(example(EVENT, "full"), "subject", subject)) == [found]


def test_subject_may_be_in_capitals(example: Example) -> None:
    """An id in capitals, as RFC 9562 lets a sender write it, is the same id in subject and data."""
    record = example(EVENT, "full")
    record["subject"] = record["data"]["report_id"] = record["subject"].upper()
    assert str(Submitted.model_validate_json(json.dumps(record)).data.report_id) == record["subject"].lower()


@pytest.mark.parametrize(
    "place", ["explanation", "legal_ground", "reporter", "keyword", "addressed_agency", "content.excerpt", "content.id"]
)
@pytest.mark.parametrize("escape", [r"\ud800", r"\udc00\ud800", r"\ude00x"])
def test_lone_surrogates(example: Example, place: str, escape: str) -> None:
    """An escape of half a character is no JSON that can be read, wherever it stands."""
    record = changed(example(EVENT, "full"), f"data.{place}", "MARK")
    assert errors(Submitted, json.dumps(record).replace("MARK", escape).encode()) == [("", "json_invalid")]


@pytest.mark.parametrize(
    "place", ["explanation", "legal_ground", "reporter", "keyword", "content.excerpt", "content.id"]
)
def test_escaped_nul(example: Example, place: str) -> None:
    """An escaped NUL is refused at its place: no column takes it."""
    record = changed(example(EVENT, "full"), f"data.{place}", "MARK")
    value = json.dumps(record).replace("MARK", r"a\u0000b").encode()
    assert errors(Submitted, value) == [(f"data.{place}", "string_pattern_mismatch")]


def test_paired_surrogates_are_a_character(example: Example) -> None:
    """Two escapes that together are one character are that character."""
    record = changed(example(EVENT, "full"), "data.explanation", "MARK")
    value = json.dumps(record).replace("MARK", r"\ud83d\ude00")
    assert Submitted.model_validate_json(value).data.explanation == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"[]", b'"report"', b"\x00\x01", b"{", b"{}}", b"\xef\xbb\xbf{}", b'{"a": "\xff"}',
     b"<report/>", b"\xff\xfe{\x00}\x00"],
    ids=repr,
)  # fmt: skip
def test_no_event(value: bytes) -> None:
    """What is not a JSON object in UTF-8 is refused as a whole."""
    assert {kind for _, kind in errors(Submitted, value)} <= {"json_invalid", "model_type"}


def test_unknown_extensions_pass(example: Example, validator: Callable[[str], Draft202012Validator]) -> None:
    """Extension attributes that nobody here knows pass, and are not kept."""
    record = example(EVENT, "minimal") | {"traceparent": "00-1-2-01", "partitionkey": 7, "x": {"y": []}}
    taken = Submitted.model_validate_json(json.dumps(record))
    assert validator(PUBLIC_SCHEMA).is_valid(record)
    assert not {"traceparent", "partitionkey", "x"} & set(json.loads(event_bytes(taken)))


def test_a_producers_own_correlation_costs_nothing(
    example: Example, validator: Callable[[str], Draft202012Validator]
) -> None:
    """A producer's own correlation or cause, whatever its form, passes and is not taken for one of ours."""
    record = example(EVENT, "minimal") | {"correlationid": "req-123", "causationid": str(uuid4())}
    taken = Submitted.model_validate_json(json.dumps(record))
    assert (taken.correlationid, taken.causationid) == (None, None)
    assert validator(PUBLIC_SCHEMA).is_valid(record)


def test_last_of_two_keys_counts(example: Example) -> None:
    """On topics the last of two equal keys counts, as in the bytes that were attested."""
    value = json.dumps(example(EVENT, "minimal")).replace(
        '"channel": "one_click"', '"channel": "fax", "channel": "mention"'
    )
    assert Submitted.model_validate_json(value).data.channel is Channel.MENTION


def test_longest_texts_are_taken(example: Example) -> None:
    """Texts of exactly the greatest length are taken, counted in characters whatever their bytes."""
    record = example(EVENT, "full")
    for place, length in (("explanation", 5_000), ("content.excerpt", 10_000), ("legal_ground", 500), ("keyword", 64)):
        changed(record, f"data.{place}", "\N{GRINNING FACE}" * length)
    assert len(Submitted.model_validate_json(json.dumps(record)).data.explanation or "") == 5_000


_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40)
_IDS = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=1)
_REGION = st.from_regex(r"\A[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,2}\Z")
_TIMES = (
    st.datetimes()
    .map(lambda at: f"{2001 + at.year % 7000:04}{at.isoformat()[4:]}")
    .map(lambda text: text.replace("-02-29", "-02-28") + "+08:00")
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_CONTENT = st.fixed_dictionaries(
    {"id": _IDS.map(lambda text: text[:200]), "type": st.sampled_from([*map(str, ContentType)])},
    optional={
        "author": _TEXT,
        "url": optional(_TEXT),
        "language": _TEXT,
        "region": optional(_REGION),
        "excerpt": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        "snapshot": st.fixed_dictionaries(
            {"sha256": st.from_regex(r"\A[0-9a-fA-F]{64}\Z")}, optional={"ref": optional(_TEXT)}
        ),
    },
)
_REPORTS = st.fixed_dictionaries(
    {
        "report_id": st.uuids().map(str),
        "channel": st.sampled_from([*map(str, Channel)]),
        "reporter": _TEXT,
        "occurred_at": _TIMES,
        "source": st.fixed_dictionaries(
            {"kind": st.sampled_from([*map(str, SourceKind)])}, optional={"id": _IDS.map(lambda text: text[:200])}
        ),
        "content": _CONTENT,
        "category": st.sampled_from([*map(str, Category)]),
    },
    optional={
        "keyword": _TEXT,
        "explanation": optional(_TEXT),
        "legal_ground": _TEXT,
        "addressed_agency": optional(_TEXT),
        "endorses": st.uuids().map(str),
        "territory": _REGION,
    },
)


@given(_REPORTS)
def test_report_round_trips(said: Record) -> None:
    """A report written and read again is the same, and written again has the same bytes."""
    report = Report.model_validate_json(json.dumps(said, ensure_ascii=False))
    written = event_bytes(report)
    again = Report.model_validate_json(written)
    assert again == report
    assert event_bytes(again) == written


@given(_REPORTS)
def test_report_keeps_what_was_said(said: Record) -> None:
    """Every value but the time, which has one form, is written as it was read, and nothing is added."""
    written = json.loads(event_bytes(Report.model_validate_json(json.dumps(said))))
    assert without_absent({**written, "occurred_at": said["occurred_at"]}) == without_absent(said)


@given(_REPORTS)
def test_report_is_the_same_in_ascii(said: Record) -> None:
    """Escaped or not, a report's text is the same report."""
    plain, escaped = (json.dumps(said, ensure_ascii=ascii_only) for ascii_only in (False, True))
    assert Report.model_validate_json(plain) == Report.model_validate_json(escaped)


def without_absent(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_absent(item) for key, item in value.items() if item is not None}
    return value


def test_flagged_kinds_are_all_but_users() -> None:
    """Every kind of source but the user may have the flagged lane."""
    assert frozenset(SourceKind) - {SourceKind.USER} == FLAGGED_KINDS
