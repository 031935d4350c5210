"""Intake over HTTP: reports from the platform and from flagged sources, and the admins' registry of sources."""

from dataclasses import dataclass, replace
from typing import Annotated, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import TypeAdapter, ValidationError

from schemas.report import Report
from schemas.text import Code
from schemas.vocabulary import Lane, SourceStatus, Standing
from services.intake.announce import Announcement
from services.intake.forms import (
    Accepted,
    AttesterChange,
    AttesterPage,
    AttesterShown,
    FlaggedReport,
    NewAttester,
    NewKey,
    NewSource,
    SourceChange,
    SourcePage,
    SourceShown,
)
from services.intake.reception import AccountCaller, Call, Reception, SignedCaller
from services.intake.refusals import SourceUnbound
from services.intake.registry import Registered, Registry
from services.runtime.auth import Caller
from services.runtime.bodies import body
from services.runtime.gate import SignedIn, gate_of
from services.runtime.problems import Unprocessable
from services.runtime.process import Process
from services.runtime.trace import HEADER as TRACE_HEADER

_FIRST_ID: Final = UUID(int=0)
_MOST_LISTED: Final = 200

_OF_NEW: Final = {
    **{
        name: {"operationId": name, "parameters": {"source_id": "$response.body#/id"}}
        for name in ("show_source", "suspend_source", "resume_source", "add_key")
    },
    "revoke_key": {
        "operationId": "revoke_key",
        "parameters": {"source_id": "$response.body#/id", "key_id": "$response.body#/key_id"},
    },
}


def _next_page(operation: str) -> dict[str, object]:
    return {"next": {"operationId": operation, "parameters": {"cursor": "$response.body#/next"}}}


reports = APIRouter(prefix="/v1", tags=["reports"])
registry = APIRouter(prefix="/v1", tags=["registry"])


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes call; the app keeps it at `state.intake`."""

    reception: Reception
    registry: Registry
    announcement: Announcement


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.intake
    return parts


async def _reporter(request: Request) -> SignedCaller | AccountCaller:
    """Who sends a flagged report: by its signature, or by a police account's token where there is no signature."""
    account: Caller | None = request.state.caller
    if account is None:
        known = _parts(request).registry

        async def resolve(key_id: str) -> Ed25519PublicKey | None:
            raw = await known.public_key(key_id)
            return None if raw is None else Ed25519PublicKey.from_public_bytes(raw)

        signed = await gate_of(request).signed(request, resolve)
        return SignedCaller(signed.key_id, signed.nonce)
    try:
        return AccountCaller(account.name, UUID(account.source_id))
    except (ValueError, TypeError) as unbound:
        raise SourceUnbound from unbound


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="The caller's own name for this report: sent again within 24 h it gets the same answer.",
    ),
]
NamedSource = Annotated[
    UUID | None,
    Query(alias="source", description="The source that the caller believes to be; refused when the key is another's."),
]
Intake = Annotated[Parts, Depends(_parts)]
KeyId = Annotated[Code, Path()]
Limit = Annotated[int, Query(ge=1, le=_MOST_LISTED)]


def _call(request: Request, idempotency_key: IdempotencyKey = None) -> Call:
    trace = request.headers.get(TRACE_HEADER)
    return Call(idempotency_key=idempotency_key, trace=trace.encode("latin-1") if trace else None)


Calling = Annotated[Call, Depends(_call)]


@reports.post(
    "/reports", status_code=202, response_model_exclude_none=True, summary="A report of the public lane",
    responses={409: {}},
)  # fmt: skip
async def take_report(
    intake: Intake,
    caller: SignedIn,
    report: Annotated[Report, body(Report)],
    call: Calling,
) -> Accepted:
    """Takes a report from the platform's backend; 202 once the broker has it. What it says of its source is free."""
    taken = await intake.reception.take_public(report, account=caller.name, call=call)
    return Accepted(report_id=taken.report_id, lane=Lane.PUBLIC)


@reports.post(
    "/flagged-reports", status_code=202, response_model_exclude_none=True, summary="A report of the flagged lane",
    responses={409: {}},
)  # fmt: skip
async def take_flagged_report(
    intake: Intake,
    caller: Annotated[SignedCaller | AccountCaller, Depends(_reporter)],
    statement: Annotated[FlaggedReport, body(FlaggedReport)],
    call: Calling,
    named_source: NamedSource = None,
) -> Accepted:
    """Takes a report that its source signed (RFC 9421) or a police account sends; 202 once the broker has it.

    `standing` tells whether the source is within quota, territory and expertise, and `note` what that means: a report
    outside of them is taken too, only without the precedence of its source.
    """
    await intake.announcement.awaited()
    taken = await intake.reception.take_flagged(statement, caller=caller, call=replace(call, source_id=named_source))
    standing = taken.standing or Standing.UNKNOWN
    return Accepted(report_id=taken.report_id, lane=Lane.FLAGGED, standing=standing, note=standing.sentence)


@registry.post("/sources", status_code=201, summary="Register a source", responses={201: {"links": _OF_NEW}, 409: {}})
async def add_source(intake: Intake, caller: SignedIn, form: Annotated[NewSource, body(NewSource)]) -> SourceChange:
    """Registers a source; its key may sign from the moment of the answer."""
    return await _changed(intake, await intake.registry.add_source(form, caller.name))


@registry.get("/sources", summary="The sources", responses={200: {"links": _next_page("list_sources")}})
async def list_sources(request: Request, intake: Intake, cursor: str | None = None, limit: Limit = 50) -> SourcePage:
    """Sources in the order of their registration."""
    place = _place(request, "sources", cursor)
    found = await intake.registry.sources(_FIRST_ID if place is None else UUID(place), limit + 1)
    ids = [str(registered.source.source_id) for registered in found]
    return SourcePage(sources=[_shown(r) for r in found[:limit]], next=_next(request, "sources", ids, limit))


@registry.get("/sources/{source_id}", summary="A source")
async def show_source(intake: Intake, source_id: UUID) -> SourceShown:
    """A source with its keys."""
    return _shown(await intake.registry.source(source_id))


@registry.post("/sources/{source_id}/suspend", summary="Suspend a source")
async def suspend_source(intake: Intake, caller: SignedIn, source_id: UUID) -> SourceChange:
    """From now on the source's reports are refused; again on a suspended one changes nothing."""
    return await _changed(intake, await intake.registry.set_status(source_id, SourceStatus.SUSPENDED, caller.name))


@registry.post("/sources/{source_id}/resume", summary="Resume a source")
async def resume_source(intake: Intake, caller: SignedIn, source_id: UUID) -> SourceChange:
    """The source may report again; on an active one it changes nothing."""
    return await _changed(intake, await intake.registry.set_status(source_id, SourceStatus.ACTIVE, caller.name))


@registry.post("/sources/{source_id}/keys", status_code=201, summary="Give a source a further key", responses={409: {}})
async def add_key(
    intake: Intake, caller: SignedIn, source_id: UUID, form: Annotated[NewKey, body(NewKey)]
) -> SourceChange:
    """Both keys count until one is revoked, so a key can be replaced without a pause."""
    return await _changed(intake, await intake.registry.add_key(source_id, form.public_key, caller.name))


@registry.post("/sources/{source_id}/keys/{key_id}/revoke", summary="Revoke a key")
async def revoke_key(
    intake: Intake, caller: SignedIn, source_id: UUID, key_id: Annotated[Code, Path()]
) -> SourceChange:
    """Ends a key for good; again on a revoked one changes nothing."""
    return await _changed(intake, await intake.registry.revoke_key(source_id, key_id, caller.name))


@registry.post("/attesters", status_code=201, summary="Register an attester", responses={409: {}})
async def add_attester(
    intake: Intake, caller: SignedIn, form: Annotated[NewAttester, body(NewAttester)]
) -> AttesterChange:
    """Registers a key that may vouch for sources of some kinds; answers when the other services can know it."""
    row, event_id = await intake.registry.add_attester(form, caller.name)
    published = await intake.registry.told(event_id)
    return AttesterChange(**AttesterShown.of(row).model_dump(), published=published)


@registry.get("/attesters", summary="The attesters", responses={200: {"links": _next_page("list_attesters")}})
async def list_attesters(
    request: Request, intake: Intake, cursor: str | None = None, limit: Limit = 50
) -> AttesterPage:
    """Attesters in the order of their key ids, intake's own among them."""
    found = await intake.registry.attesters(_place(request, "attesters", cursor) or "", limit + 1)
    ids = [row.key_id for row in found]
    shown = [AttesterShown.of(row) for row in found[:limit]]
    return AttesterPage(attesters=shown, next=_next(request, "attesters", ids, limit))


async def _changed(intake: Parts, change: tuple[Registered, UUID | None]) -> SourceChange:
    registered, event_id = change
    published = await intake.registry.told(event_id)
    return SourceChange(**_shown(registered).model_dump(), published=published)


def _shown(registered: Registered) -> SourceShown:
    return SourceShown.of(registered.source, registered.keys)


_PLACE: Final = TypeAdapter(dict[str, str])


def _place(request: Request, listing: str, cursor: str | None) -> str | None:
    """The last id of the page before; a cursor of another listing is refused like a tampered one."""
    if cursor is None:
        return None
    process: Process = request.app.state.process
    try:
        return _PLACE.validate_python(process.cursors.read(cursor))[f"intake.{listing}"]
    except (ValidationError, KeyError) as other:
        raise Unprocessable(
            [{"loc": "query.cursor", "msg": "a cursor of another listing; start without one"}]
        ) from other


def _next(request: Request, listing: str, ids: list[str], limit: int) -> str | None:
    process: Process = request.app.state.process
    return process.cursors.write({f"intake.{listing}": ids[limit - 1]}) if len(ids) > limit else None
