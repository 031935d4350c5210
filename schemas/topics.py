"""The one table of topics. They are created from it; who may read and write which is read off it."""

from dataclasses import dataclass
from datetime import timedelta

_KIB, _MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: what is on it, how it is keyed, who may write and read it, how much and how long it holds.

    `about` is its sentence for a reader of the contracts. `keeper` is the one consumer that puts a record which does
    not fit on the dead-letter topic; the other readers of the topic pass it by, so that it is dead once. A topic
    without keeper has no dead-letter topic. `retention` None keeps records for ever, of a compacted topic the newest of
    each key. `read_back` says that its producers read what they wrote.
    """

    name: str
    events: tuple[str, ...]
    key: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    partitions: int
    retention: timedelta | None
    keeper: str | None = None
    compacted: bool = False
    max_record_bytes: int = 1 * _MIB
    max_value_bytes: int = 512 * _KIB
    about: str = ""
    read_back: bool = False

    @property
    def dead(self) -> str | None:
        """The name of its dead-letter topic."""
        return f"{self.name}.dead" if self.keeper else None


_WEEK, _MONTH, _YEAR = timedelta(days=7), timedelta(days=30), timedelta(days=365)
_CASE_CHANGES = ("opened", "joined", "lifted", "attached", "claimed", "renewed", "released", "expired")
_SUBMITTED, _TRIAGED = ("jubao.report.submitted.v1",), ("jubao.report.triaged.v1",)

REPORTS_PUBLIC = Topic(
    "reports.public.v1", _SUBMITTED, "content id", ("intake", "cli", "other producers"), ("triage", "audit"),
    partitions=8, retention=_WEEK, keeper="triage", max_record_bytes=4 * _MIB, max_value_bytes=256 * _KIB,
    about="Everybody's reports. Any producer may put them here; nothing that a record says of its source is believed.",
)  # fmt: skip
REPORTS_FLAGGED = Topic(
    "reports.flagged.v1", _SUBMITTED, "content id", ("intake", "attesters"), ("triage", "audit"),
    partitions=4, retention=_WEEK, keeper="triage", max_record_bytes=4 * _MIB, max_value_bytes=256 * _KIB,
    about="Reports of police, trusted flaggers and government, attested by intake or by a registered attester.",
)  # fmt: skip
TRIAGE_PUBLIC = Topic(
    "triage.public.v1", _TRIAGED, "content id", ("triage",), ("review", "audit"),
    partitions=8, retention=_WEEK, keeper="review",
    about="Everybody's reports with their class, and the rule that gave it.",
)  # fmt: skip
TRIAGE_FLAGGED = Topic(
    "triage.flagged.v1", _TRIAGED, "content id", ("triage",), ("review", "audit"),
    partitions=4, retention=_WEEK, keeper="review",
    about="Flagged sources' reports with their class, and who vouched for them.",
)  # fmt: skip
CASES = Topic(
    "cases.v1",
    tuple(f"jubao.case.{c}.v1" for c in _CASE_CHANGES),
    "case id", ("review",), ("audit",),
    partitions=8, retention=_MONTH, keeper="audit",
    about="Each change of each case: opened, joined, claimed, given back.",
)  # fmt: skip
DECISIONS = Topic(
    "decisions.v1", ("jubao.decision.made.v1",), "case id", ("review",), ("outcomes", "audit"),
    partitions=4, retention=_MONTH, keeper="outcomes",
    about="What reviewers decided, with the reports that it answers, at most 500 a record.",
)  # fmt: skip
OUTCOMES = Topic(
    "outcomes.v1", ("jubao.outcome.reached.v1",), "report id", ("outcomes",), ("audit", "platform"),
    partitions=4, retention=_MONTH, keeper="audit",
    about="What each reporter may hear: the end of one report, without the reviewer's words or name.",
)  # fmt: skip
ACTIVITY = Topic(
    "activity.v1", ("jubao.activity.alert.v1", "jubao.activity.policy_loaded.v1", "jubao.activity.viewed.v1"),
    "report id, alert code, policy name or account",
    ("triage", "review", "audit"), ("audit",),
    partitions=2, retention=_MONTH, keeper="audit",
    about="What a person should look at: attestations that did not count, overload, another policy in force; and who "
    "looked at what.",
)  # fmt: skip
SOURCES = Topic(
    "sources.v1", ("jubao.source.changed.v1", "jubao.attester.changed.v1"), "source id or key id",
    ("intake",), ("triage", "outcomes", "audit"),
    partitions=1, retention=None, keeper="outcomes", compacted=True,
    about="The flagged sources and the keys that may attest, each as it stands now.",
)  # fmt: skip

ERASURES = Topic(
    "erasures.v1",
    ("jubao.erasure.ordered.v1", "jubao.erasure.done.v1", "jubao.hold.placed.v1", "jubao.hold.lifted.v1",
     "jubao.entry.disclosed.v1"),
    "erasure id, hold id or index of the entry", ("audit", "intake", "review"), ("intake", "review", "audit"),
    partitions=1, retention=_YEAR, keeper="audit",
    about="Which reports are to be erased and who has done it, legal holds, and which private parts were disclosed.",
)  # fmt: skip

CHECKPOINTS = Topic(
    "checkpoints.v1", ("jubao.log.checkpoint.v1",), "the log's name", ("audit",), ("platform",),
    partitions=1, retention=None, read_back=True,
    about="What the log vouches for: how many entries it has and the root over them, signed. It is no entry itself.",
)  # fmt: skip

TOPICS: tuple[Topic, ...] = (
    REPORTS_PUBLIC, REPORTS_FLAGGED, TRIAGE_PUBLIC, TRIAGE_FLAGGED, CASES, DECISIONS, OUTCOMES, ACTIVITY, SOURCES,
    ERASURES, CHECKPOINTS,
)  # fmt: skip

# A dead letter keeps the record's bytes and headers whole and adds its own, so its topic takes a mebibyte more.
DEAD_EXTRA_BYTES = 1 * _MIB
DEAD_RETENTION = _MONTH


def dead_topics() -> tuple[Topic, ...]:
    """The dead-letter topics of the table, each with the keeper as its only writer."""
    return tuple(
        Topic(
            t.dead, t.events, "the dead record's", (t.keeper,), ("cli",),
            partitions=1, retention=DEAD_RETENTION, max_record_bytes=t.max_record_bytes + DEAD_EXTRA_BYTES,
            about=f"Records of {t.name} that do not fit, whole, with the reason as a header.",
        )
        for t in TOPICS
        if t.dead and t.keeper
    )  # fmt: skip


def topic_named(name: str) -> Topic:
    """The row of a topic.

    Raises:
        KeyError: no topic of that name.
    """
    return next((t for t in TOPICS if t.name == name), None) or _raise(name)


def _raise(name: str) -> Topic:
    raise KeyError(name)
