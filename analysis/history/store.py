"""The history in a database. Every method is one transaction; writing the same again changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import ColumnElement, Connection, Engine, Table, create_engine, delete, event, make_url, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from analysis.contract import Change, HistoryRecord, RcaRequest, RcaResponse
from analysis.history.rows import Row, change_rows, incident_row, object_rows, storable, timeline_rows
from analysis.history.similar import Match, Traits, most_alike, words_of
from analysis.history.tables import changes, incidents, objects, timeline

CANDIDATES = 500
"""Earlier incidents that are compared; the newest that agree in anything."""
BATCH = 200
BUSY_SECONDS = 10
CONNECT_SECONDS, STATEMENT_SECONDS = 5, 30
"""Of PostgreSQL, which else waits for as long as the network says nothing."""


class HistoryError(Exception):
    """The database cannot be used; the message is one line."""


class History:
    """Blocking; the server calls it in threads. SQLite has one writer at a time, so writes take turns here."""

    def __init__(self, url: str) -> None:
        """Open and bring the schema up to date.

        Raises:
            HistoryError: the database cannot be opened, or its schema is newer than this program.
        """
        try:
            self._engine = _engine(url)
            with self._engine.begin() as connection:
                migrate(connection)
        except ImportError as error:
            raise HistoryError(f"history database: {error}; for PostgreSQL: pip install 'iirp[postgres]'") from error
        except (SQLAlchemyError, OSError) as error:
            raise HistoryError(f"history database: {_brief(error)}") from error
        self._writing = threading.Lock()

    def close(self) -> None:
        """Give back connections."""
        self._engine.dispose()

    def record(self, record: HistoryRecord, now: datetime) -> None:
        """An incident's chain as it is now. Lines of the timeline that are already kept stay."""
        row = incident_row(record, now)
        with self._writing, self._engine.begin() as connection:
            _upsert(connection, incidents, [{"templates": [], "changed": [], **row}], ("uid",), list(row))
            _upsert(connection, objects, object_rows(record, now), ("uid",), ["body", "updated_at"])
            _upsert(connection, timeline, timeline_rows(record.incident), ("incident_uid", "entry"), ["message"])

    def saw(self, request: RcaRequest, response: RcaResponse, templates: Sequence[str], now: datetime) -> None:
        """What an rca request brought: changes, and by what this incident can be found again."""
        facts = request.incident
        first = next((one for one in response.root_causes if not one.refuted), None)
        row: Row = {
            "uid": facts.uid, "cluster": request.cluster, "namespace": facts.namespace, "name": facts.name,
            "fingerprint": facts.fingerprint, "type": facts.type, "target_kind": facts.target.kind,
            "target_name": facts.target.name, "severity": facts.severity.value, "state": "Diagnosing",
            "started_at": facts.started_at, "cause_kind": first.kind if first else "", "body": {}, "updated_at": now,
            "templates": list(templates)[:50], "changed": words_of(one.summary for one in _own(request)),
        }  # fmt: skip
        with self._writing, self._engine.begin() as connection:
            _upsert(connection, incidents, [row], ("uid",), ["templates", "changed", "cause_kind"])
            self._changes(connection, request.cluster, request.changes)

    def _changes(self, connection: Connection, cluster: str, found: Sequence[Change]) -> None:
        _upsert(connection, changes, change_rows(cluster, found), ("id",), ["summary", "actor"])

    def similar(
        self, wanted: Traits, *, cluster: str, namespace: str, uid: str, before: datetime, limit: int
    ) -> list[Match]:
        """Earlier incidents of the same namespace that are like this one."""
        alike: tuple[ColumnElement[bool], ...] = (
            incidents.c.fingerprint == wanted.fingerprint,
            incidents.c.type == wanted.type,
            incidents.c.target_name == wanted.target[1],
        )
        if wanted.cause_kind:
            alike += (incidents.c.cause_kind == wanted.cause_kind,)
        query = (
            select(incidents)
            .where(incidents.c.cluster == cluster, incidents.c.namespace == namespace, incidents.c.uid != uid)
            .where(incidents.c.started_at < before, or_(*alike))
            .order_by(incidents.c.started_at.desc())
            .limit(CANDIDATES)
        )
        return most_alike(wanted, self._rows(query), limit)

    def incidents(self, *, limit: int, since: datetime, cluster: str = "", **equal: str) -> list[Row]:
        """Newest first, without their bodies. ``equal``: namespace, name, type, target_name, state, fingerprint…"""
        columns = [column for column in incidents.c if column.name != "body"]
        query = select(*columns).where(incidents.c.started_at >= since).order_by(incidents.c.started_at.desc())
        for name, value in {"cluster": cluster, **equal}.items():
            if value:
                query = query.where(incidents.c[name] == value)
        return self._rows(query.limit(limit))

    def story(self, namespace: str, name: str, cluster: str = "") -> Row | None:
        """One incident with its body, objects and whole timeline; the newest of this name. None when unknown."""
        query = select(incidents).where(incidents.c.namespace == namespace, incidents.c.name == name)
        if cluster:
            query = query.where(incidents.c.cluster == cluster)
        found = self._rows(query.order_by(incidents.c.started_at.desc()).limit(1))
        if not found:
            return None
        uid = found[0]["uid"]
        lines = select(timeline).where(timeline.c.incident_uid == uid).order_by(timeline.c.at, timeline.c.entry)
        chain = select(objects).where(objects.c.incident_uid == uid).order_by(objects.c.kind, objects.c.name)
        return {**found[0], "timeline": self._rows(lines), "objects": self._rows(chain)}

    def changes(
        self, *, namespace: str, since: datetime, until: datetime, limit: int, target: str = "", cluster: str = ""
    ) -> list[Row]:
        """Changes of a namespace, newest first."""
        query = select(changes).where(changes.c.namespace == namespace, changes.c.at.between(since, until))
        if cluster:
            query = query.where(changes.c.cluster == cluster)
        if target:
            query = query.where(changes.c.target_name == target)
        return self._rows(query.order_by(changes.c.at.desc(), changes.c.id).limit(limit))

    def sweep(self, now: datetime, keep: timedelta) -> int:
        """Forget incidents that ended, and changes that happened, longer ago than ``keep``. Returns how many."""
        old = now - keep
        ended = or_(incidents.c.resolved_at < old, incidents.c.updated_at < old)
        with self._writing, self._engine.begin() as connection:
            gone = connection.execute(delete(incidents).where(ended)).rowcount
            gone += connection.execute(delete(changes).where(changes.c.at < old)).rowcount
        return int(gone)

    def _rows(self, query: Any) -> list[Row]:
        with self._engine.connect() as connection:
            return [_aware(dict(row)) for row in connection.execute(query).mappings()]


def _own(request: RcaRequest) -> list[Change]:
    return [one for one in request.changes if one.target.name == request.incident.target.name]


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        options = {"connect_timeout": CONNECT_SECONDS, "options": f"-c statement_timeout={STATEMENT_SECONDS * 1000}"}
        parsed = parsed.set(drivername="postgresql+psycopg")  # the one that is installed, whatever the URL says
        return create_engine(parsed, pool_pre_ping=True, pool_timeout=CONNECT_SECONDS, connect_args=options)
    engine = create_engine(parsed)
    event.listen(engine, "connect", _sqlite_settings)
    return engine


def _sqlite_settings(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer, deletions cascade, and a busy file is waited for."""
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def migrate(connection: Connection) -> None:
    """Apply the steps that are missing, within the connection's transaction."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(files("analysis.history") / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _upsert(connection: Connection, table: Table, rows: list[Row], key: tuple[str, ...], update: list[str]) -> None:
    """Insert; of rows that are there, set ``update`` (nothing when it is empty)."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for start in range(0, len(rows), BATCH):
        statement = insert(table).values([storable(row) for row in rows[start : start + BATCH]])
        values = {name: statement.excluded[name] for name in update if name not in key}
        if values:
            connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
        else:
            connection.execute(statement.on_conflict_do_nothing(index_elements=list(key)))


def _aware(row: Row) -> Row:
    """SQLite forgets time zones; everything is UTC."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }


def _brief(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]
