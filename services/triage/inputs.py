"""What a policy may ask about a report and its source: one row an input, in the order `jubao policy show` lists them.

A new input is one row here: its path, its type, a sentence for the policy's author, and how it is read. Everything
else (checking, evaluating, the ruling's inputs) goes by this table. Absent values are given as the empty text, so that
a condition needs no test for presence.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.report import Report
from schemas.vocabulary import Category, Channel, ContentType, Lane, SourceKind

Value = str | bool


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of a report's source once its attestation was judged.

    Without an attestation that counts nothing but the kind it claims is known, and all the rest is false.
    """

    kind: SourceKind
    attested: bool = False
    known: bool = False
    active: bool = False
    within_quota: bool = False
    within_territory: bool = False
    within_expertise: bool = False


class Facts(NamedTuple):
    """All that a condition can see."""

    report: Report
    lane: Lane
    source: SourceFacts


@dataclass(frozen=True, slots=True)
class Input:
    """One input: its path in a condition, what it means, how it is read, and its words if it has a fixed set."""

    path: str
    sentence: str
    of: type[str] | type[bool]
    read: Callable[[Facts], Value]
    words: frozenset[str] | None = None

    @property
    def variable(self) -> str:
        """The variable that holds it: `report` or `source`."""
        return self.path.partition(".")[0]

    @property
    def field(self) -> str:
        """Its name within the variable."""
        return self.path.partition(".")[2]


def _words(vocabulary: type[StrEnum]) -> frozenset[str]:
    return frozenset(word.value for word in vocabulary)


_TABLE: Final = (
    Input(
        "report.category", "What is wrong, as the reporter says.", str,
        lambda f: f.report.category.value, _words(Category),
    ),
    Input(
        "report.keyword", "imminent_harm, child_sexual_abuse, terrorism or free text; empty when absent.", str,
        lambda f: f.report.keyword or "",
    ),
    Input("report.channel", "How the report was made.", str, lambda f: f.report.channel.value, _words(Channel)),
    Input(
        "report.content_type", "What kind of thing is reported.", str,
        lambda f: f.report.content.type.value, _words(ContentType),
    ),
    Input(
        "report.language", "Language of the content; empty when absent.", str,
        lambda f: f.report.content.language or "",
    ),
    Input(
        "report.region", "Region of the content, as in CN-31; empty when absent.", str,
        lambda f: f.report.content.region or "",
    ),
    Input("report.lane", "The lane it came by: flagged or public.", str, lambda f: f.lane.value, _words(Lane)),
    Input("report.endorses", "Whether it endorses another report.", bool, lambda f: f.report.endorses is not None),
    Input(
        "source.kind", "What the source says it is; believe it only with source.attested.", str,
        lambda f: f.source.kind.value, _words(SourceKind),
    ),
    Input(
        "source.attested", "A registered key vouches for these very bytes, and the source is not suspended.", bool,
        lambda f: f.source.attested,
    ),
    Input("source.known", "The attested source is in the registry.", bool, lambda f: f.source.known),
    Input("source.active", "The attested source is known and not suspended.", bool, lambda f: f.source.active),
    Input(
        "source.within_quota", "The attested source has reported no more today than its quota.", bool,
        lambda f: f.source.within_quota,
    ),
    Input(
        "source.within_territory", "The report is of the attested source's own region.", bool,
        lambda f: f.source.within_territory,
    ),
    Input(
        "source.within_expertise", "The category is one that the attested source is known for.", bool,
        lambda f: f.source.within_expertise,
    ),
)  # fmt: skip

INPUTS: Final[Mapping[str, Input]] = {row.path: row for row in _TABLE}
VARIABLES: Final = frozenset(row.variable for row in _TABLE)
