"""Tables of the workspace's database, the same in SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# The owner of the workspace, and those whose models are trained there.
ROLES = ("owner", "contributor")
# Of submissions. received: the file is there, not yet checked. Ends: done, refused (its archive breaks a
# rule), failed (training or scoring failed), stopped (time, memory, budget, or by the owner).
WAITING, ENDS = ("received", "queued", "running"), ("done", "refused", "failed", "stopped")
STATES = WAITING + ENDS
JOB_STATES = ("queued", "running", "finished", "failed", "stopped")
PHASES = (1, 2)  # as submitted, after fine-tuning


class Moment(TypeDecorator[dt.datetime]):
    """A point in time in UTC: SQLite, which has no time zones, gets and gives it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """Refuse a time without zone: it could mean any hour."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with a time zone, received {value}")
        utc = value.astimezone(dt.UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        """The time in UTC, with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class ExactDecimal(TypeDecorator[Decimal]):
    """An amount of money: a number of PostgreSQL, a text in SQLite, whose numbers are binary."""

    impl = Numeric(16, 4)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Text in SQLite."""
        return dialect.type_descriptor(String(24) if dialect.name == "sqlite" else Numeric(16, 4))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """The amount with its own digits."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The amount, with the same digits in both databases: 0.22, not 0.2200."""
        return None if value is None else Decimal(f"{Decimal(value).normalize():f}")


class Base(DeclarativeBase):
    """Root of all tables; the names of constraints follow a rule, so that migrations find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dt.datetime: Moment(),
        Decimal: ExactDecimal(),
        dict[str, Any]: JSON(),
    }


def _one_of(column: str, values: tuple[object, ...]) -> CheckConstraint:
    listed = ", ".join(repr(value) for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


class Account(Base):
    """The owner or a contributor. Of the token only the SHA-256 is stored; revoked accounts stay."""

    __tablename__ = "accounts"
    __table_args__ = (_one_of("role", ROLES),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created: Mapped[dt.datetime]
    revoked: Mapped[dt.datetime | None]

    submissions: Mapped[list[Submission]] = relationship(back_populates="account")


class SignIn(Base):
    """A sign-in of the page: its cookie is stored as SHA-256 too."""

    __tablename__ = "sessions"

    cookie_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created: Mapped[dt.datetime]
    expires: Mapped[dt.datetime]

    account: Mapped[Account] = relationship()


class Submission(Base):
    """A model that a contributor sent, and what was declared with it."""

    __tablename__ = "submissions"
    __table_args__ = (
        _one_of("state", STATES),
        UniqueConstraint("account_id", "key"),
        CheckConstraint("bytes > 0", name="bytes"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    # SHA-256 of the file and of everything declared: the same again is the same submission.
    key: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(200))
    price_per_km2: Mapped[Decimal | None]
    outputs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    options: Mapped[dict[str, Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    bytes: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[dt.datetime] = mapped_column(index=True)
    finished: Mapped[dt.datetime | None]
    state: Mapped[str] = mapped_column(String(16), index=True)
    # A sentence for the contributor, where the state needs one.
    reason: Mapped[str | None] = mapped_column(Text)
    parameters: Mapped[int | None] = mapped_column(BigInteger)

    account: Mapped[Account] = relationship(back_populates="submissions")
    results: Mapped[list[Result]] = relationship(order_by="Result.phase", back_populates="submission")
    job: Mapped[Job | None] = relationship(back_populates="submission")
    compute: Mapped[list[Compute]] = relationship(order_by="Compute.attempt")


class Job(Base):
    """The place of a submission in the queue. A worker holds it until `lease_until` and renews that."""

    __tablename__ = "jobs"
    __table_args__ = (_one_of("state", JOB_STATES), CheckConstraint("attempts >= 0", name="attempts"))

    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    queued: Mapped[dt.datetime]
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)

    submission: Mapped[Submission] = relationship(back_populates="job")


class Result(Base):
    """Scores of a submission in one phase: as computed, and as published (rounded, after the ladder)."""

    __tablename__ = "results"
    __table_args__ = (_one_of("phase", PHASES), UniqueConstraint("submission_id", "phase"))

    id: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"))
    phase: Mapped[int]
    scores: Mapped[dict[str, Any]]
    published: Mapped[dict[str, Any]]
    scored: Mapped[dt.datetime]

    submission: Mapped[Submission] = relationship(back_populates="results")


class Compute(Base):
    """What an attempt at a submission used, also one that was cut off."""

    __tablename__ = "compute"
    __table_args__ = (CheckConstraint("flop >= 0 AND seconds >= 0", name="used"),)

    submission_id: Mapped[str] = mapped_column(ForeignKey("submissions.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    flop: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)


class AuditEntry(Base):
    """An act, chained to the one before by its hash (`audit`). `time` is text, as it was hashed."""

    __tablename__ = "audit"

    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(200))
    act: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(200))
    details: Mapped[dict[str, Any]]
    previous: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class State(Base):
    """What holds for the whole workspace, by key (`state`)."""

    __tablename__ = "state"

    key: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
