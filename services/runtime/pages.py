"""Page cursors that a caller can neither read meaning into nor change."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path

import orjson

from services.runtime.problems import Unprocessable

_TAG_BYTES = 16
_MOST_CHARACTERS = 2_000


class Cursors:
    """Writes and reads cursors under one secret, so that a cursor is valid in every process that has the same.

    Args:
        key_file: its secret bytes; without one a secret of this process alone, which a restart forgets.
    """

    def __init__(self, key_file: Path | None) -> None:
        self._key = key_file.read_bytes() if key_file is not None else secrets.token_bytes(32)

    def write(self, place: Mapping[str, object]) -> str:
        """A cursor for a place in a listing."""
        body = orjson.dumps(dict(place), option=orjson.OPT_SORT_KEYS)
        return base64.urlsafe_b64encode(self._tag(body) + body).decode().rstrip("=")

    def read(self, cursor: str) -> dict[str, object]:
        """The place that a cursor stands for.

        Raises:
            Unprocessable: it was not written under this secret.
        """
        try:
            raw = base64.b64decode(cursor[:_MOST_CHARACTERS] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not body or not hmac.compare_digest(tag, self._tag(body)):
            raise Unprocessable([{"loc": "query.cursor", "msg": "not a cursor of this service; start without one"}])
        place: dict[str, object] = orjson.loads(body)
        return place

    def _tag(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:_TAG_BYTES]
