"""A single line of an export, read as the JSON that it is."""

from typing import Final

import msgspec

COMPARED: Final = (
    "type", "actor", "report_id", "case_id", "content_id", "source_id", "event_id", "at",
    "doings", "minutes", "private", "tree",
)  # fmt: skip
"""What is kept beside a leaf: columns of the entry, marks, private parts, and the tiles that end with it."""

_MOST_TELLING: Final = 120


class Line(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """What a line says; base64 is undone by the decoder. Tiles' entries come without the hash that is kept.

    `differs` names what is kept beside the leaf in the log's tables and says otherwise than the leaf.
    """

    index: int
    leaf: bytes
    hash: bytes = b""
    differs: list[str] = []

    def written(self) -> bytes:
        """The line as the log writes it, without its end."""
        return msgspec.json.encode(self)


_DECODER: Final = msgspec.json.Decoder(Line)


class NoLine(ValueError):
    """Text that is no line of an export; the message says why."""


def line_of(text: bytes) -> Line:
    """The line that a text is.

    Raises:
        NoLine: it is none.
    """
    try:
        return _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NoLine(str(error)[:_MOST_TELLING]) from error
