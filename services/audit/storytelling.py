"""Stories over HTTP: a report's way in plain words, each sentence with the entries that say so."""

from collections.abc import Mapping
from typing import Annotated, Final, get_args
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from schemas.erasure import Keeper, answer_id, order_id
from schemas.vocabulary import Look
from services.audit.proving import NoReport
from services.audit.store import search
from services.audit.store.search import Wanted
from services.audit.story import Language, told
from services.audit.story_facts import fact_of, is_flagged, same_report
from services.audit.watching import Watch
from services.runtime.database import Connection, Database
from services.runtime.gate import SignedIn

# A case of more entries is told by its first ones; of the rest by those of the report itself, of claims and decisions.
_MOST_ENTRIES: Final = 5_000
_MOST_OF_EACH: Final = 1_000
_ZONE_CHARACTERS: Final = 64
# Who answers an order of erasure.
_KEEPERS: Final = get_args(Keeper)
# Among so many a report's own submission is found.
_FIRST_ENTRIES: Final = 100


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise PydanticCustomError(
            "time_zone", "no time zone has this name; take one of the IANA list, as Asia/Shanghai"
        ) from unknown
    return name


class Manner(BaseModel):
    """How a story is to be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lang: Language = Field(Language.CHINESE, description="`zh` is Chinese as written on the mainland, `en` English.")
    time_zone: Annotated[
        str, StringConstraints(min_length=1, max_length=_ZONE_CHARACTERS), AfterValidator(_known_zone)
    ] = Field("Asia/Shanghai", description="Whose clocks times are told by, a name of the IANA list.")


class StorySentence(BaseModel):
    """A sentence, when what it tells happened, and the indexes of the entries that say so."""

    text: str
    entries: list[int]
    time: AwareDatetime


class Story(BaseModel):
    """A report's way. People are roles with a letter; `complete` is false where a large case is told in part."""

    report_id: UUID
    lang: Language
    complete: bool
    sentences: list[StorySentence]


def stories_router(database: Database, watch: Watch) -> APIRouter:
    """The route of stories."""
    router = APIRouter(prefix="/v1", tags=["stories"])

    @router.get("/stories/{report_id}", summary="A report's way in plain words", responses={410: {}})
    async def story(caller: SignedIn, report_id: UUID, manner: Annotated[Manner, Query()]) -> Story:
        async def work(connection: Connection) -> tuple[dict[int, bytes], bool]:
            found, complete = await _entries(connection, report_id)
            if not found:
                raise NoReport
            found |= await _sources(connection, report_id, found) | await _erasures(connection, report_id)
            await watch.note(connection, caller, Look.STORY, sorted(found), report_id=report_id)
            return found, complete

        found, complete = await database.transact(work)
        facts = [fact_of(index, leaf) for index, leaf in found.items()]
        sentences = told(report_id, facts, manner.lang, ZoneInfo(manner.time_zone))
        return Story(
            report_id=report_id,
            lang=manner.lang,
            complete=complete,
            sentences=[StorySentence(text=s.text, entries=list(s.entries), time=s.at) for s in sentences],
        )

    return router


async def _sources(connection: Connection, report_id: UUID, found: Mapping[int, bytes]) -> dict[int, bytes]:
    """The entries that say how the flagged source of a report stood when it came: who that is, stands in them."""
    about = [fact_of(index, found[index]) for index in sorted(found)[:_FIRST_ENTRIES]]
    came = next((fact for fact in about if is_flagged(fact) and same_report(fact, str(report_id))), None)
    if came is None or came.source_id is None:
        return {}
    return dict(await search.source_before(connection, came.source_id, came.index))


async def _erasures(connection: Connection, report_id: UUID) -> dict[int, bytes]:
    """The entries of a report's erasure, which names many reports and so bears the id of none: order and answers."""
    orders = [order_id(erasure_id, part) for erasure_id, part in await search.erased_by(connection, report_id)]
    events = [event for order in orders for event in (order, *(answer_id(order, service) for service in _KEEPERS))]
    return dict(await search.of_events(connection, events)) if events else {}


async def _entries(connection: Connection, report_id: UUID) -> tuple[dict[int, bytes], bool]:
    """The leaves of a report and of its cases by index, and whether they are all."""
    found = await search.search(connection, Wanted(report_id=report_id), _MOST_ENTRIES + 1)
    if len(found) <= _MOST_ENTRIES:
        return dict(found), True
    own = await search.of_report(connection, report_id, _MOST_OF_EACH)
    alone = await search.of_its_cases(connection, report_id, _MOST_OF_EACH)
    return dict([*found[:_MOST_ENTRIES], *own, *alone]), False
