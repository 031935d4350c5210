"""What the log vouches for: `jubao.log.checkpoint.v1` on `checkpoints.v1`, kept for ever."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from schemas.envelope import Contract, Event
from schemas.text import Name, Text

CHECKPOINT = "jubao.log.checkpoint.v1"

Hash = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{43}=$")]


class LogCheckpoint(Contract):
    """A checkpoint of the log (C2SP tlog-checkpoint): the note is what counts, the rest stands in its text."""

    origin: Name = Field(description="The log's name.")
    size: Annotated[int, Field(ge=0)] = Field(description="How many entries the log has.")
    root: Hash = Field(description="The root hash over them (RFC 6962), in base64.")
    note: Annotated[Text, Field(min_length=1, max_length=65_536)] = Field(
        description="The signed note: text, an empty line, a line for each signature of the log and of its witnesses."
    )


class CheckpointMade(Event[LogCheckpoint]):
    """The log has vouched for its entries; key and subject: the log's name. It is no entry of the log itself."""

    type: Literal["jubao.log.checkpoint.v1"]
