"""Who watched: whoever is shown entries or holds becomes an entry, written before the answer goes out.

The event is part of the transaction that reads, or a statement after it where what was read never changes, so a look
that could not be noted is not answered. It reaches the log by the outbox, after the answer, and so no look is in what
it shows itself.
"""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from schemas.activity import FilterName, View, viewed
from schemas.envelope import CONTENT_TYPE
from schemas.topics import ACTIVITY
from schemas.vocabulary import Look
from services.audit.search import Filters
from services.runtime.auth import Caller
from services.runtime.clock import Clock
from services.runtime.database import Connection
from services.runtime.identity import new_id
from services.runtime.outbox import Message, enqueue, event_bytes
from services.runtime.trace import HEADER, continued

_SOURCE = "audit"
# What of a search says where a page begins and ends, and narrows nothing.
_PAGING = frozenset({"cursor", "limit"})


class Watch:
    """Notes who was shown what.

    Args:
        clock: for the time of a look.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def note(
        self,
        connection: Connection,
        caller: Caller,
        what: Look,
        shown: Sequence[int],
        *,
        filters: Filters | None = None,
        report_id: UUID | None = None,
    ) -> None:
        """Adds a look to the transaction that reads, or writes it by itself where there is none.

        Args:
            connection: what was read by.
            caller: who looks.
            what: how.
            shown: the indexes of the entries that they are shown, from the lowest to the highest.
            filters: of a search. Their ids are told if they found something: what found nothing may be any text.
            report_id: whose entries, where it is no search.
        """
        found = filters if filters is not None and shown else None
        await self._tell(
            connection,
            View(
                actor=caller.name,
                role=caller.role,
                what=what,
                answered=len(shown),
                filters=[] if filters is None else _names(filters),
                first=shown[0] if shown else None,
                last=shown[-1] if shown else None,
                report_id=found.report_id if found else report_id,
                case_id=found.case_id if found else None,
                content_id=found.content_id if found else None,
                source_id=found.source_id if found else None,
            ),
        )

    async def note_holds(self, connection: Connection, caller: Caller, answered: int) -> None:
        """Adds a look at so many legal holds, likewise."""
        view = View(actor=caller.name, role=caller.role, what=Look.HOLDS, answered=answered, filters=[])
        await self._tell(connection, view)

    async def _tell(self, connection: Connection, view: View) -> None:
        event = viewed(view, source=_SOURCE, event_id=new_id(), at=self._clock.now())
        headers = (("content-type", CONTENT_TYPE.encode()), (HEADER, continued(None)))
        key = view.actor.encode()
        await enqueue(connection, [Message(ACTIVITY.name, key, event_bytes(event), event.id, None, headers)])


def _names(filters: Filters) -> list[FilterName]:
    given = filters.model_dump(by_alias=True, exclude_none=True)
    return cast("list[FilterName]", sorted(given.keys() - _PAGING))
