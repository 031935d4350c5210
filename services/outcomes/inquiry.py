"""Asks review about a report that has no outcome yet."""

from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.text import Code, Timestamp
from schemas.triage import ClassName
from services.runtime.health import Health
from services.runtime.logs import logger
from services.runtime.problems import Unavailable
from services.runtime.settings import Settings

log = logger(__name__)

_FOUND: Final = 200
_UNKNOWN: Final = 404


class Standing(BaseModel):
    """What review says of a report: where its case stands, in what class, and which source it is from, if any.

    `state` is review's own word. `queued` and `decided` mean the same here; all others are ways of being in review.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    report_id: UUID
    state: Code
    priority: Annotated[ClassName, Field(alias="class")]
    received_at: Timestamp
    source_id: str | None = None


class ReviewAway(Unavailable):
    """Review does not answer, or not to us; whoever asks may do so again."""

    def __init__(self) -> None:
        super().__init__("The review service")


class Review:
    """Review, as outcomes sees it over HTTP.

    Args:
        settings: its address, the token we call with, and how long a caller of ours is kept waiting.
    """

    name = "outcomes.review"

    def __init__(self, settings: Settings) -> None:
        self._base = settings.review_base
        self._token_file = settings.service_token_file
        self._client = httpx.AsyncClient(timeout=settings.answer_timeout_seconds, trust_env=False)

    async def start(self) -> None:
        """Nothing to begin: connections are made when they are needed."""

    async def stop(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def health(self) -> Health:
        """Always well: whether review is away is told to whoever asks, for decided reports are answered without it."""
        return Health(healthy=True)

    async def standing(self, report_id: UUID) -> Standing | None:
        """Where a report stands; None where no queue knows it.

        Raises:
            ReviewAway: it does not answer in time, refuses our token, or answers what it should not.
        """
        headers = {"Authorization": f"Bearer {_token(self._token_file)}"}
        try:
            answer = await self._client.get(f"{self._base}/v1/reports/{report_id}", headers=headers)
        except httpx.HTTPError as error:
            log.warning("review_away", error=type(error).__name__)
            raise ReviewAway from error
        if answer.status_code == _UNKNOWN:
            return None
        if answer.status_code != _FOUND:
            log.warning("review_refuses", status=answer.status_code)
            raise ReviewAway
        try:
            return Standing.model_validate_json(answer.content)
        except ValidationError as error:
            log.error("review_answers_oddly", errors=error.error_count())  # noqa: TRY400 -- its text quotes the answer
            raise ReviewAway from None


def _token(file: Path | None) -> str:
    # Read at every call, so a token that was replaced counts at once; a small file costs less than the call after it.
    try:
        return file.read_text("ascii").strip() if file is not None else ""
    except (OSError, ValueError) as error:
        log.error("service_token_unreadable", error=type(error).__name__)  # noqa: TRY400 -- its text may quote the token
        raise ReviewAway from error
