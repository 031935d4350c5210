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

    def read(self, cursor: str, *fields: str) -> dict[str, object]:
        """The place that a cursor stands for.

        Args:
            cursor: as it was handed out.
            fields: the names its place must hold, which tell one listing's cursors from another's.

        Raises:
            Unprocessable: it was not written under this secret, or for another listing.
        """
        try:
            raw = base64.b64decode(cursor[:_MOST_CHARACTERS] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        place: dict[str, object] = {}
        genuine = bool(body) and hmac.compare_digest(tag, self._tag(body))
        if genuine:
            place = orjson.loads(body)
        if not genuine or (fields and place.keys() != set(fields)):
            raise Unprocessable([{"loc": "query.cursor", "msg": "not a cursor of this listing; start without one"}])
        return place

    def _tag(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:_TAG_BYTES]
