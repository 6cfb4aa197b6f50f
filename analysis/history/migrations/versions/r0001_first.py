"""Incidents, their objects and timelines, and changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default="")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    _incidents()
    op.create_table(
        "objects",
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("incident_uid", sa.String(64), sa.ForeignKey("incidents.uid", ondelete="CASCADE"), nullable=False),
        _text("kind", 63),
        _text("name", 253),
        sa.Column("body", sa.JSON, nullable=False),
        _moment("updated_at"),
    )
    op.create_index("ix_objects_incident_uid", "objects", ["incident_uid"])
    op.create_table(
        "timeline",
        sa.Column("incident_uid", sa.String(64), sa.ForeignKey("incidents.uid", ondelete="CASCADE"), primary_key=True),
        sa.Column("entry", sa.String(16), primary_key=True),
        _moment("at"),
        _text("source", 16),
        _text("actor", 128),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False, server_default=""),
    )
    op.create_table(
        "changes",
        sa.Column("id", sa.String(32), primary_key=True),
        _text("cluster", 63),
        _text("namespace", 63),
        _text("target_kind", 63),
        _text("target_name", 253),
        _moment("at"),
        _text("kind", 32),
        _text("revision", 32),
        _text("actor", 253),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False, server_default=""),
    )
    op.create_index("ix_changes_place", "changes", ["cluster", "namespace", "target_name", "at"])


def _incidents() -> None:
    words = (("cluster", 63), ("namespace", 63), ("name", 253), ("fingerprint", 16), ("type", 63), ("target_kind", 63),
             ("target_name", 253), ("severity", 16), ("state", 32), ("cause_kind", 63), ("verdict", 32))  # fmt: skip
    op.create_table(
        "incidents",
        sa.Column("uid", sa.String(64), primary_key=True),
        *(_text(name, length) for name, length in words),
        _moment("started_at"),
        _moment("resolved_at", nullable=True),
        *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in ("cause", "action", "summary")),
        sa.Column("confidence", sa.Integer),
        *(sa.Column(name, sa.JSON, nullable=False) for name in ("templates", "changed", "body")),
        _moment("updated_at"),
    )
    op.create_index("ix_incidents_fingerprint", "incidents", ["fingerprint"])
    op.create_index("ix_incidents_started_at", "incidents", ["started_at"])
    op.create_index("ix_incidents_place", "incidents", ["cluster", "namespace", "name"])
    op.create_index("ix_incidents_target", "incidents", ["target_kind", "target_name"])


def downgrade() -> None:
    """Drop them."""
    for table in ("changes", "timeline", "objects", "incidents"):
        op.drop_table(table)
