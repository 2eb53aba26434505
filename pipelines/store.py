"""The SQL database: releases and their states, approvals, evidence, findings, audit. The truth of what was decided.

SQLite in WAL mode in the workspace by default, Postgres by URL; the schema is brought up to date by
Alembic when it is opened (Alembic is imported only when there is something to do).
Invariants: one decision is one transaction (`deciding`), serialised by the database; approvals and
audit rows are only ever added, and each audit row carries the hash of the one before it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Engine,
    ForeignKey,
    Integer,
    String,
    Text,
    UniqueConstraint,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pipelines.contracts import content_id
from pipelines.errors import SettingsError

REVISION = "0005"
"""The newest migration in pipelines/migrations/versions."""


class Base(DeclarativeBase):
    """Declarative base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, datetime: DateTime(timezone=True)}  # noqa: RUF012


class ReleaseRow(Base):
    """A release and the state it is in."""

    __tablename__ = "releases"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, unique=True)
    """Order of registration, from 1."""
    state: Mapped[str] = mapped_column(String(16), index=True)
    verdict: Mapped[str] = mapped_column(String(16))
    warning: Mapped[str | None] = mapped_column(Text)
    manifest: Mapped[dict[str, Any]]
    report_digest: Mapped[str] = mapped_column(String(64))
    against: Mapped[str | None] = mapped_column(String(64))
    """The release that this one was compared with; None: the base model with the same retrieval."""
    trained_by: Mapped[str] = mapped_column(String(255))
    created: Mapped[datetime]
    changed: Mapped[datetime]


class ApprovalRow(Base):
    """Who decided what: append-only."""

    __tablename__ = "approvals"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    release: Mapped[str] = mapped_column(ForeignKey("releases.id"), index=True)
    report_digest: Mapped[str] = mapped_column(String(64))
    who: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(64))
    identity: Mapped[str] = mapped_column(String(16))
    when: Mapped[datetime]
    why: Mapped[str] = mapped_column(Text)
    verdict: Mapped[str] = mapped_column(String(16))


class AuditRow(Base):
    """What happened, chained: `digest` covers this row and the digest of the one before."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    when: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    detail: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))


class EvidenceRow(Base):
    """What was laid on the table for a release: append-only."""

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    release: Mapped[str] = mapped_column(ForeignKey("releases.id"), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    who: Mapped[str] = mapped_column(String(255))
    when: Mapped[datetime]
    summary: Mapped[dict[str, Any]]


class FindingRow(Base):
    """An attack that got through in a release's red team or a scan of it: never changed."""

    __tablename__ = "findings"
    __table_args__ = (UniqueConstraint("release", "finding"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    release: Mapped[str] = mapped_column(ForeignKey("releases.id"), index=True)
    finding: Mapped[str] = mapped_column(String(64), index=True)
    """contracts.Finding.id: of its content, the same over releases."""
    severity: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]]
    """contracts.Finding."""
    scan: Mapped[str | None] = mapped_column(String(64))
    """The stored scan that found it; None: the release's own red team."""


class WaiverRow(Base):
    """Who took the risk of a finding, or no longer does: append-only."""

    __tablename__ = "waivers"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    finding: Mapped[str] = mapped_column(String(64), index=True)
    release: Mapped[str | None] = mapped_column(ForeignKey("releases.id"), index=True)
    """None: whatever release has the finding."""
    verdict: Mapped[str] = mapped_column(String(16))
    """waived or withdrawn."""
    who: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(64))
    identity: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(String(16))
    """That the finding had then."""
    expires: Mapped[date | None]
    """The last day on which it counts, in UTC; None: withdrawn."""
    when: Mapped[datetime]


class DeliveryRow(Base):
    """A webhook delivery that was taken: one that comes again is refused."""

    __tablename__ = "deliveries"
    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    when: Mapped[datetime]


class ReviewItemRow(Base):
    """A question with two answers, for people to compare without knowing whose they are: never changed."""

    __tablename__ = "review_items"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    round: Mapped[str] = mapped_column(String(64), index=True)
    """sha256 of the answers of the evaluation that it was drawn from."""
    number: Mapped[int] = mapped_column(Integer)
    """Order of drawing in its round, from 1."""
    item: Mapped[str] = mapped_column(String(255))
    group: Mapped[str] = mapped_column(String(255))
    slice: Mapped[str] = mapped_column(String(255))
    question: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(String(16))
    """base or champion."""
    left: Mapped[str] = mapped_column(String(16))
    """candidate or reference: whose answer stands left. Told to nobody who reviews."""
    answers: Mapped[dict[str, Any]]
    """candidate and reference, each {text, sources}."""
    reviewers: Mapped[int] = mapped_column(Integer)
    """How many are wanted."""
    created: Mapped[datetime]


class ReviewVoteRow(Base):
    """What a reviewer said of an item: append-only, the newest of a reviewer counts."""

    __tablename__ = "review_votes"
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    item: Mapped[str] = mapped_column(ForeignKey("review_items.id"), index=True)
    who: Mapped[str] = mapped_column(String(255))
    """As claimed on the page."""
    choice: Mapped[str] = mapped_column(String(16))
    """candidate, reference, tie, or withdrawn."""
    rubric: Mapped[dict[str, Any]]
    """candidate and reference, each {grounded, correct}: True, False or None (not said)."""
    when: Mapped[datetime]


class Store:
    """A database that is open and up to date."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self.engine.execution_options(reading=True)) as session:
            yield session

    @contextmanager
    def deciding(self) -> Iterator[Session]:
        """One transaction for one decision: others wait; an error inside leaves nothing behind."""
        with Session(self.engine) as session, session.begin():
            if self.engine.dialect.name == "postgresql":
                session.execute(text("LOCK TABLE releases IN SHARE ROW EXCLUSIVE MODE"))
            yield session

    def audit(self, session: Session, *, who: str, action: str, subject: str, detail: dict[str, Any]) -> None:
        """Add an audit row to the transaction of the decision that it tells of."""
        before = session.scalar(select(AuditRow.digest).order_by(AuditRow.id.desc()).limit(1)) or ""
        when = datetime.now(UTC)
        digest = content_id(before, when.isoformat(), who, action, subject, detail)
        session.add(AuditRow(when=when, who=who, action=action, subject=subject, detail=detail, digest=digest))

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def open_store(state: Path, database_url: str | None) -> Store:
    """Open a workspace's database, creating or migrating it when needed.

    Raises SettingsError when the database cannot be reached.
    """
    url = database_url or f"sqlite:///{state / 'groundwork.db'}"
    try:
        if database_url is None:
            state.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": 30} if url.startswith("sqlite") else {})
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        if _revision(engine) != REVISION:
            _migrate(engine, state)
    except (SQLAlchemyError, OSError) as exc:
        raise SettingsError(f"The database {_shown(url)} cannot be opened: {exc}") from exc
    return Store(engine)


def _prepare_sqlite(engine: Engine) -> None:
    """WAL, foreign keys, and transactions that take the write lock when they begin (sqlite3's own begin is lazy)."""

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=30000", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Any) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _revision(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, SQLAlchemyError):
        return None  # no table yet: a new database


def _migrate(engine: Engine, state: Path) -> None:
    from alembic import command
    from alembic.config import Config
    from filelock import FileLock

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    state.mkdir(parents=True, exist_ok=True)
    with FileLock(state / "migrate.lock"):
        if _revision(engine) == REVISION:
            return
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _shown(url: str) -> str:
    """A database address without its password."""
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)
