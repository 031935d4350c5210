"""Who watched: whoever is shown cases becomes an entry of the log, told in the transaction that reads.

So a look that could not be noted is not answered. Claims, which show cases as well, are changes of a case and told as
such; counts of what waits show nobody's case.
"""

from uuid import UUID

from schemas.activity import FilterName, View, viewed
from schemas.envelope import CONTENT_TYPE
from schemas.topics import ACTIVITY
from schemas.vocabulary import Look
from services.review.events import SOURCE
from services.runtime.auth import Caller
from services.runtime.clock import Clock
from services.runtime.database import Connection
from services.runtime.identity import new_id
from services.runtime.outbox import Message, enqueue, event_bytes
from services.runtime.trace import HEADER, continued


class Watch:
    """Notes who was shown which case, or how many.

    Args:
        clock: for the time of a look.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def one(self, connection: Connection, caller: Caller, case_id: UUID, content_id: str) -> None:
        """Adds the look at one case to the transaction that reads it."""
        what = View(
            actor=caller.name,
            role=caller.role,
            what=Look.CASE,
            answered=1,
            filters=[],
            case_id=case_id,
            content_id=content_id,
        )
        await self._tell(connection, what)

    async def several(
        self, connection: Connection, caller: Caller, answered: int, filters: list[FilterName], content_id: str | None
    ) -> None:
        """Adds the look at a list of cases to the transaction that reads it.

        Args:
            connection: the transaction.
            caller: who looks.
            answered: how many cases they are shown.
            filters: by what they narrowed the list, by name.
            content_id: of the item that they asked about; told if it has a case, for else it may be any text.
        """
        what = View(
            actor=caller.name,
            role=caller.role,
            what=Look.CASES,
            answered=answered,
            filters=filters,
            content_id=content_id if answered else None,
        )
        await self._tell(connection, what)

    async def _tell(self, connection: Connection, view: View) -> None:
        event = viewed(view, source=SOURCE, event_id=new_id(), at=self._clock.now())
        headers = (("content-type", CONTENT_TYPE.encode()), (HEADER, continued(None)))
        key = view.actor.encode()
        await enqueue(connection, [Message(ACTIVITY.name, key, event_bytes(event), event.id, None, headers)])
