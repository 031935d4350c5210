"""The tables, as SQLAlchemy models."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, LargeBinary, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables of this build, in a schema of their own."""

    metadata = MetaData(schema="obvious")
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text, dict[str, Any]: JSONB}  # noqa: RUF012


class Case(Base):
    """One item under report."""

    __tablename__ = "cases"
    __table_args__ = (
        Index("cases_open", "content_id", unique=True, postgresql_where=text("state <> 'decided'")),
        Index("cases_by_state", "state", "priority", "opened_at"),
    )

    case_id: Mapped[UUID] = mapped_column(primary_key=True)
    content_id: Mapped[str]
    state: Mapped[str]
    priority: Mapped[int]
    queue: Mapped[str]
    target_seconds: Mapped[int]
    due_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    version: Mapped[int]
    report_count: Mapped[int]
    reporter_count: Mapped[int]
    ruling: Mapped[dict[str, Any]]
    content: Mapped[dict[str, Any]]


class Report(Base):
    """One report of a case."""

    __tablename__ = "reports"
    __table_args__ = (Index("reports_of_case", "case_id", "received_at"),)

    report_id: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("obvious.cases.case_id"))
    event_id: Mapped[UUID]
    digest: Mapped[str]
    priority: Mapped[int]
    received_at: Mapped[datetime]
    source_kind: Mapped[str]
    source_id: Mapped[str | None]
    reporter: Mapped[str]
    data: Mapped[dict[str, Any]]


class CaseReporter(Base):
    """Who counts once in a case."""

    __tablename__ = "case_reporters"

    case_id: Mapped[UUID] = mapped_column(ForeignKey("obvious.cases.case_id"), primary_key=True)
    reporter: Mapped[str] = mapped_column(primary_key=True)


class Ready(Base):
    """A case that waits to be claimed."""

    __tablename__ = "ready"
    __table_args__ = (Index("ready_by_rank", "queue", "priority", "due_at"),)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("obvious.cases.case_id"), primary_key=True)
    queue: Mapped[str]
    priority: Mapped[int]
    due_at: Mapped[datetime]
    received_at: Mapped[datetime]


class History(Base):
    """One change of a case."""

    __tablename__ = "history"

    case_id: Mapped[UUID] = mapped_column(ForeignKey("obvious.cases.case_id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    change: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    priority: Mapped[int]
    queue: Mapped[str]
    why: Mapped[str]
    report_id: Mapped[UUID]
    event_id: Mapped[UUID]


class Entry(Base):
    """One entry of the log."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("entries_by_report", "report_id", "index"),
        Index("entries_by_case", "case_id", "index"),
        Index("entries_by_content", "content_id", "index"),
        Index("entries_by_type", "type", "index"),
    )

    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=True)
    identity: Mapped[UUID] = mapped_column(unique=True)
    type: Mapped[str]
    at: Mapped[datetime]
    actor: Mapped[str]
    report_id: Mapped[UUID | None]
    case_id: Mapped[UUID | None]
    content_id: Mapped[str | None]
    source_id: Mapped[str | None]
    leaf: Mapped[bytes] = mapped_column(LargeBinary)


class PrivatePart(Base):
    """What an entry only commits to."""

    __tablename__ = "private"

    index: Mapped[int] = mapped_column(ForeignKey("obvious.entries.index"), primary_key=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    part: Mapped[bytes] = mapped_column(LargeBinary)
