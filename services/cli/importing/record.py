"""A report as the record that a platform's backend puts on the public lane."""

from datetime import datetime
from functools import lru_cache
from hashlib import sha256

import orjson
from pydantic import TypeAdapter

from schemas.envelope import CONTENT_TYPE, derived_id
from schemas.report import SUBMITTED, Report
from schemas.text import Timestamp
from schemas.topics import REPORTS_PUBLIC
from services.runtime.outbox import Message, event_bytes

SOURCE = "app-backend"
_HEADERS = (("content-type", CONTENT_TYPE.encode()),)
_TIMES = TypeAdapter(Timestamp)


def record_of(report: Report) -> Message:
    """The same bytes whenever the report is the same: its event's id and time are its own, not the moment's."""
    data = event_bytes(report)
    event_id = derived_id(report.report_id, "imported", sha256(data).hexdigest())
    # The envelope is written around the data as it stands; the model would write the data a second time.
    value = orjson.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": SUBMITTED,
            "time": _written(report.occurred_at),
            "subject": str(report.report_id),
            "datacontenttype": "application/json",
            "data": orjson.Fragment(data),
        }
    )
    return Message(REPORTS_PUBLIC.name, report.content.id.encode(), value, event_id, None, _HEADERS)


@lru_cache(maxsize=1_024)
def _written(at: datetime) -> str:
    return str(_TIMES.dump_python(at, mode="json"))
