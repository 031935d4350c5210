"""What auditors may ask of the log."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response

from schemas.vocabulary import Look
from services.audit.search import EntriesPage, Filters, shown
from services.audit.store import search as find
from services.audit.watching import Watch
from services.runtime.database import Connection
from services.runtime.gate import SignedIn
from services.runtime.pages import Cursors
from services.runtime.problems import Unprocessable
from services.runtime.process import Process


def entries_router(process: Process, watch: Watch) -> APIRouter:
    """The routes of the log."""
    router = APIRouter(prefix="/v1", tags=["entries"])

    @router.get(
        "/entries", summary="Entries that fit all filters, in order of index", response_model=EntriesPage,
        responses={410: {}},
    )  # fmt: skip
    async def entries(caller: SignedIn, filters: Annotated[Filters, Query()]) -> Response:
        wanted = _wanted(filters, process.cursors)

        async def work(connection: Connection) -> list[tuple[int, bytes]]:
            found = await find.search(connection, wanted, filters.limit + 1)
            page = [index for index, _ in found[: filters.limit]]
            await watch.note(connection, caller, Look.SEARCH, page, filters=filters)
            return found

        found = await process.database("audit").transact(work)
        page = found[: filters.limit]
        cursor = process.cursors.write({"after": page[-1][0]}) if len(found) > len(page) else None
        # Written as it is, without a look at each of a thousand entries: its form is that of leaves.
        document = {"entries": [shown(index, leaf) for index, leaf in page], "next": cursor}
        return Response(orjson.dumps(document), media_type="application/json")

    return router


def _wanted(filters: Filters, cursors: Cursors) -> find.Wanted:
    after = cursors.read(filters.cursor, "after")["after"] if filters.cursor is not None else -1
    if not isinstance(after, int):
        raise Unprocessable([{"loc": "query.cursor", "msg": "a cursor of another listing; start without one"}])
    return find.Wanted(
        type=filters.type,
        report_id=filters.report_id,
        case_id=filters.case_id,
        content_id=filters.content_id,
        source_id=filters.source_id,
        actor=filters.actor,
        event_id=filters.event_id,
        since=filters.since,
        until=filters.until,
        after=after,
    )
