"""`jubao report`: signs a report with a source's key and submits it, as the source's own software would."""

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from schemas.vocabulary import Category, Channel, ContentType
from services.cli.client import Refused, public_url, tokenless_client
from services.cli.keyfiles import private_key
from services.cli.options import data_option, json_option
from services.cli.output import emit
from services.cli.tables import table_of
from services.intake.keys import source_key_id
from services.runtime.clock import SystemClock
from services.runtime.signature import sign

if TYPE_CHECKING:
    import httpx
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_UNAVAILABLE = 503
_TRIES = 3
_PAUSE_SECONDS = 2.0
_OF_CONTENT = {
    "content_id": "id", "content_type": "type", "author": "author", "url": "url", "language": "language",
    "region": "region", "excerpt": "excerpt",
}  # fmt: skip


@click.command(name="report")
@click.option("--source", required=True, type=click.UUID, metavar="ID", help="The source that reports.")
@click.option(
    "--key", "key_file", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="Its private key.",
)  # fmt: skip
@click.option("--content-id", required=True, metavar="ID", help="The platform's id of the item.")
@click.option(
    "--category",
    required=True,
    type=click.Choice([word.value for word in Category]),
    metavar="CATEGORY",
    help="What is wrong, as violence or scams_and_fraud.",
)
@click.option("--explanation", required=True, metavar="TEXT", help="What is wrong with it.")
@click.option("--legal-ground", required=True, metavar="TEXT", help="Law and article.")
@click.option(
    "--content-type",
    type=click.Choice([word.value for word in ContentType]),
    default="video",
    show_default=True,
    help="What kind of thing the item is.",
)
@click.option(
    "--channel",
    type=click.Choice([word.value for word in Channel]),
    default="police_one_click",
    show_default=True,
    help="How it was made.",
)
@click.option("--region", metavar="CODE", help="Where the item is shown or its author is, as CN-31.")
@click.option("--territory", metavar="CODE", help="Where the matter belongs, if elsewhere.")
@click.option("--keyword", help="child_sexual_abuse, imminent_harm, terrorism, or free text.")
@click.option("--url", help="Of the item.")
@click.option("--author", help="The platform's id of its author.")
@click.option("--language", help="Of the item, as zh.")
@click.option("--excerpt", metavar="TEXT", help="What it says.")
@click.option("--reporter", help="Who reports within the source.")
@click.option("--addressed-agency", help="The authority that somebody addressed by this.")
@click.option("--endorses", type=click.UUID, metavar="REPORT_ID", help="A report that this one takes up.")
@click.option("--occurred-at", metavar="TIME", help="When it was seen, as 2026-11-23T08:00:00Z; now unless told.")
@data_option
@json_option
def command(*, source: UUID, key_file: Path, data: Path | None, as_json: bool, **said: object) -> None:
    """Sign and submit a report as a source.

    Where an engine is away, the same report is sent up to three times with one nonce, so that it is one report.
    """
    key = private_key(key_file)
    body = json.dumps(_statement(said)).encode()
    with tokenless_client(data) as http:
        path = f"/intake/v1/flagged-reports?source={source}"
        answer = _submitted(http, f"{public_url(data)}{path}", path, body, key)
    emit(answer, json=as_json, table=lambda: table_of([answer]))


def _statement(said: dict[str, object]) -> dict[str, Any]:
    given = {name: str(value) for name, value in said.items() if value is not None}
    content = {_OF_CONTENT[name]: value for name, value in given.items() if name in _OF_CONTENT}
    rest = {name: value for name, value in given.items() if name not in _OF_CONTENT}
    return {"occurred_at": SystemClock().now().isoformat(), **rest, "content": content}


def _submitted(http: "httpx.Client", url: str, path: str, body: bytes, key: "Ed25519PrivateKey") -> dict[str, Any]:
    key_id = source_key_id(key.public_key().public_bytes_raw())
    nonce = secrets.token_urlsafe(18)
    for attempt in range(1, _TRIES + 1):
        headers = sign("POST", url, body, "application/json", key, key_id, nonce=nonce)
        try:
            answer: dict[str, Any] = http.post(path, content=body, headers=headers).json()
        except Refused as refused:
            if refused.status != _UNAVAILABLE or attempt == _TRIES:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return answer
    raise AssertionError  # the last try returns or raises
