"""When more comes than is decided, an alarm says so rather than the lowest classes waiting in silence. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Load:
    """The hour before `at`, below P0: cases that came, cases decided, and the earliest due time that still waits."""

    at: datetime
    arrived: int
    decided: int
    first_due_at: datetime | None

    @property
    def is_overload(self) -> bool:
        """Whether more came than was decided while something is overdue already."""
        return self.first_due_at is not None and self.first_due_at < self.at and self.arrived > self.decided

    @property
    def overdue_minutes(self) -> int:
        """How long the first to fall due is overdue."""
        return max(0, (self.at - self.first_due_at) // _MINUTE) if self.first_due_at else 0
