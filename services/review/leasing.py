"""How long a reviewer holds a case. Pure: every moment here was read from the database's clock, under the case's lock.

A lease ends by itself, so that a closed laptop does not keep a case; its fence numbers the leases of a case, so that
whoever lost it can be told from whoever has it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID


class LeaseLost(Exception):
    """The caller holds no live lease by this token: it is unknown, another's, or has ended."""

    def __init__(self, token: UUID) -> None:
        self.token = token
        super().__init__("You hold no lease by this token; it has ended or is not yours. Claim again.")


@dataclass(frozen=True, slots=True)
class Lease:
    """A reviewer's hold on a case. `token` is the holder's secret.

    `ends_by` caps renewals once a P0 report has joined; `claimed_event` is the claim's event, the decision's cause.
    """

    case_id: UUID
    token: UUID
    fence: int
    reviewer: str
    claimed_at: datetime
    expires_at: datetime
    claimed_event: UUID
    ends_by: datetime | None = None

    def alive(self, at: datetime) -> bool:
        """Whether it still holds at a moment; its end belongs to it no longer."""
        return at < self.expires_at

    def held_by(self, reviewer: str, token: UUID) -> bool:
        """Whether this reviewer holds it, and by this token."""
        return self.reviewer == reviewer and self.token == token

    def until(self, expires_at: datetime) -> "Lease":
        """The same lease with another end."""
        return replace(self, expires_at=expires_at)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long leases last, from the settings: an ordinary one, and a held one at most once a P0 report joins."""

    lease_seconds: float
    p0_lease_seconds: float

    def granted_until(self, at: datetime) -> datetime:
        """The end of a lease that begins at `at`."""
        return at + timedelta(seconds=self.lease_seconds)

    def renewed_until(self, lease: Lease, at: datetime) -> datetime:
        """The end of a lease that is renewed at `at`: as if it began now, but never past its cap."""
        fresh = self.granted_until(at)
        return fresh if lease.ends_by is None else min(fresh, lease.ends_by)

    def cut_by(self, lease: Lease, at: datetime) -> datetime:
        """The moment a held lease must end when a P0 report joins its case at `at`; never later than before."""
        cap = at + timedelta(seconds=self.p0_lease_seconds)
        return cap if lease.ends_by is None else min(cap, lease.ends_by)
