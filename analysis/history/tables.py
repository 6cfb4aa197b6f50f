"""The tables. SQLite by default, PostgreSQL by URL; the same migrations make them in both."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Column, DateTime, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s",
    }
)

incidents: Final = Table(
    "incidents",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("cluster", String(63), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("name", String(253), nullable=False),
    Column("fingerprint", String(16), nullable=False, index=True),
    Column("type", String(63), nullable=False),
    Column("target_kind", String(63), nullable=False),
    Column("target_name", String(253), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("state", String(32), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False, index=True),
    Column("resolved_at", DateTime(timezone=True)),
    Column("cause_kind", String(63), nullable=False, default=""),
    Column("cause", Text, nullable=False, default=""),
    Column("confidence", Integer),
    Column("action", Text, nullable=False, default=""),
    Column("verdict", String(32), nullable=False, default=""),
    Column("summary", Text, nullable=False, default=""),
    Column("templates", JSON, nullable=False, default=list),
    Column("changed", JSON, nullable=False, default=list),
    Column("body", JSON, nullable=False, default=dict),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("ix_incidents_place", "cluster", "namespace", "name"),
    Index("ix_incidents_target", "target_kind", "target_name"),
)
"""One row per Incident object. ``templates``: log templates that were new; ``changed``: words of its recent changes."""

objects: Final = Table(
    "objects",
    metadata,
    Column("uid", String(64), primary_key=True),
    Column("incident_uid", String(64), ForeignKey("incidents.uid", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(63), nullable=False),
    Column("name", String(253), nullable=False),
    Column("body", JSON, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)
"""Reports, plans and approvals of an incident, as they were last seen."""

timeline: Final = Table(
    "timeline",
    metadata,
    Column("incident_uid", String(64), ForeignKey("incidents.uid", ondelete="CASCADE"), primary_key=True),
    Column("entry", String(16), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("source", String(16), nullable=False),
    Column("actor", String(128), nullable=False, default=""),
    Column("message", Text, nullable=False),
    Column("reference", Text, nullable=False, default=""),
)
"""Every line that was ever in the object's timeline; the object itself keeps 48. ``entry`` is a digest."""

changes: Final = Table(
    "changes",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("cluster", String(63), nullable=False),
    Column("namespace", String(63), nullable=False),
    Column("target_kind", String(63), nullable=False),
    Column("target_name", String(253), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("revision", String(32), nullable=False, default=""),
    Column("actor", String(253), nullable=False, default=""),
    Column("summary", Text, nullable=False),
    Column("reference", Text, nullable=False, default=""),
    Index("ix_changes_place", "cluster", "namespace", "target_name", "at"),
)
"""Rollouts, scalings and the like, each once; ReplicaSets are pruned by Kubernetes, these are not."""
