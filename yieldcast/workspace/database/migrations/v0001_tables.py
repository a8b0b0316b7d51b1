"""The tables of the first form."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)
MONEY = sa.Numeric(16, 4).with_variant(sa.String(24), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _accounts()
    _submissions()
    _records()


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("revoked", MOMENT, nullable=True),
        sa.CheckConstraint("role IN ('owner', 'contributor')", name=op.f("ck_accounts_role")),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("name", name="uq_accounts_name"),
        sa.UniqueConstraint("token_hash", name="uq_accounts_token_hash"),
    )
    op.create_table(
        "sessions",
        sa.Column("cookie_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_sessions_account_id"),
        sa.PrimaryKeyConstraint("cookie_hash", name="pk_sessions"),
    )
    op.create_index("ix_sessions_account_id", "sessions", ["account_id"], unique=False)


def _submissions() -> None:
    op.create_table(
        "submissions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("price_per_km2", MONEY, nullable=True),
        sa.Column("outputs", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("received", MOMENT, nullable=False),
        sa.Column("finished", MOMENT, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("parameters", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('received', 'queued', 'running', 'done', 'refused', 'failed', 'stopped')",
            name=op.f("ck_submissions_state"),
        ),
        sa.CheckConstraint("bytes > 0", name=op.f("ck_submissions_bytes")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_submissions_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.UniqueConstraint("account_id", "key", name="uq_submissions_account_id"),
    )
    op.create_index("ix_submissions_received", "submissions", ["received"], unique=False)
    op.create_index("ix_submissions_state", "submissions", ["state"], unique=False)
    op.create_table(
        "compute",
        sa.Column("submission_id", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("flop", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.CheckConstraint("flop >= 0 AND seconds >= 0", name=op.f("ck_compute_used")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_compute_submission_id"),
        sa.PrimaryKeyConstraint("submission_id", "attempt", name="pk_compute"),
    )
    op.create_table(
        "jobs",
        sa.Column("submission_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("queued", MOMENT, nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=True),
        sa.Column("lease_until", MOMENT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=False),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'finished', 'failed', 'stopped')", name=op.f("ck_jobs_state")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_jobs_attempts")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_jobs_submission_id"),
        sa.PrimaryKeyConstraint("submission_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_state", "jobs", ["state"], unique=False)
    op.create_table(
        "results",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("submission_id", sa.String(length=32), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("published", sa.JSON(), nullable=False),
        sa.Column("scored", MOMENT, nullable=False),
        sa.CheckConstraint("phase IN (1, 2)", name=op.f("ck_results_phase")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name="fk_results_submission_id"),
        sa.PrimaryKeyConstraint("id", name="pk_results"),
        sa.UniqueConstraint("submission_id", "phase", name="uq_results_submission_id"),
    )


def _records() -> None:
    op.create_table(
        "audit",
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit"),
        sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )
    op.create_table(
        "state",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_state"),
    )
