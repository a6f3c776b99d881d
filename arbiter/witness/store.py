"""What a witness remembers: the logs it knows, the tree it cosigned last for each, and checkpoints kept as evidence.

One SQLite file in rollback-journal mode with `synchronous = EXTRA`: a commit has reached the disk, the journal's removal
too, before it returns. Considering and persisting is one transaction that holds the file's write lock from before the
first read (`BEGIN IMMEDIATE`), so any number of threads and processes on one file stand in a line.

INVARIANT: whoever loses this file, or puts an older copy in its place, has lost the witness: its key must be retired.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from arbiter.audit.note import VerifierKey
from arbiter.errors import ConfigurationError
from arbiter.witness.considering import NEVER, Cosign, Evidence, Head, Refuse
from arbiter.witness.request import Request

NAME = "witness.sqlite3"
WAIT_SECONDS = 5.0
MOST_EVIDENCE = 1000
"""Requests of one kind kept for a log: only the log itself can sign more, and the first ones prove the most."""

_VERSION = 1
_SCHEMA = """
CREATE TABLE witness (verifier_key TEXT NOT NULL);
CREATE TABLE trusted (origin TEXT NOT NULL, verifier_key TEXT NOT NULL, PRIMARY KEY (origin, verifier_key));
CREATE TABLE head (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, cosigned_at INTEGER NOT NULL,
    note BLOB NOT NULL);
CREATE TABLE evidence (origin TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
    body BLOB NOT NULL, against BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (origin, kind, size, root));
"""


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log as the witness knows it; `note` is the checkpoint cosigned last, cosignature included."""

    origin: str
    keys: tuple[VerifierKey, ...]
    head: Head
    note: bytes | None
    contradictions: int


class WitnessStore:
    """The file in a witness's folder. Each call opens it anew, so that threads and processes share nothing else."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def make(self, verifier_key: VerifierKey) -> None:
        """Make the file for a witness of that key; raises `ConfigurationError` when there is one."""
        if self.path.exists():
            raise ConfigurationError(
                f"{self.path} exists already, and what a witness remembers is never overwritten"
            )
        with closing(self._connect(create=True)) as connection:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            with _writing(connection):
                connection.execute("INSERT INTO witness VALUES (?)", (verifier_key.encode(),))

    def check(self, verifier_key: VerifierKey) -> None:
        """Raise `ConfigurationError` unless the file is there, whole, and that of this key."""
        with self._reading() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != _VERSION:
                raise ConfigurationError(
                    f"{self.path} is of version {version}, this release reads {_VERSION}: run the release that made it"
                )
            if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise ConfigurationError(f"{self.path} is damaged: retire this witness and make a new one")
            owner = connection.execute("SELECT verifier_key FROM witness").fetchall()
        if owner != [(verifier_key.encode(),)]:
            raise ConfigurationError(
                f"{self.path} is that of another witness's key: expected {verifier_key.encode()}; put the key and the memory "
                "that belong together into one folder"
            )

    def trust(self, origin: str, key: VerifierKey) -> None:
        """Cosign for the log `origin` from now on when `key` has signed; a log may have several keys."""
        with self._reading() as connection, _writing(connection):
            connection.execute("INSERT OR IGNORE INTO trusted VALUES (?, ?)", (origin, key.encode()))

    def trusted(self, origin: str) -> tuple[VerifierKey, ...]:
        """Return the keys trusted for a log; none when it is unknown."""
        with self._reading() as connection:
            return _keys(connection, origin)

    def decide(
        self,
        request: Request,
        body: bytes,
        decide: Callable[[Head], Cosign | Refuse],
        cosigned_note: Callable[[Head], bytes],
        now_seconds: int,
    ) -> Cosign | Refuse:
        """Decide on the head as it stands and persist what follows, both before anybody else may; durable on return."""
        with self._reading() as connection, _writing(connection):
            head, note = _head(connection, request.origin)
            decision = decide(head)
            match decision:
                case Cosign(fresh):
                    connection.execute(
                        "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?)",
                        (request.origin, fresh.size, fresh.root, fresh.cosigned_at, cosigned_note(fresh)),
                    )
                case Refuse(evidence=Evidence() as kind):
                    _keep(connection, request, kind, body, note or b"", now_seconds)
                case Refuse():
                    pass
        return decision

    def logs(self) -> tuple[KnownLog, ...]:
        """Return every log this witness knows, by origin."""
        with self._reading() as connection:
            origins = connection.execute("SELECT DISTINCT origin FROM trusted ORDER BY origin").fetchall()
            return tuple(_known(connection, origin) for (origin,) in origins)

    def evidence(self, origin: str) -> tuple[tuple[Evidence, bytes, bytes], ...]:
        """Return what is kept against a log, oldest first: (kind, the request's body, the note cosigned before it)."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT kind, body, against FROM evidence WHERE origin = ? ORDER BY at, rowid", (origin,)
            )
            return tuple((Evidence(kind), body, against) for kind, body, against in rows)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect(create=False)) as connection:
            yield connection

    def _connect(self, *, create: bool) -> sqlite3.Connection:
        mode = "rwc" if create else "rw"
        try:
            # No implicit transactions: each is begun by name below.
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}", WAIT_SECONDS, isolation_level=None, uri=True
            )
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = EXTRA")
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"{self.path} cannot be opened ({error}); a witness without its memory must be retired: make a new one"
            ) from error
        return connection


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _head(connection: sqlite3.Connection, origin: str) -> tuple[Head, bytes | None]:
    row = connection.execute(
        "SELECT size, root, cosigned_at, note FROM head WHERE origin = ?", (origin,)
    ).fetchone()
    return (NEVER, None) if row is None else (Head(*row[:3]), row[3])


def _keep(
    connection: sqlite3.Connection,
    request: Request,
    kind: Evidence,
    body: bytes,
    against: bytes,
    now_seconds: int,
) -> None:
    counted = "SELECT count(*) FROM evidence WHERE origin = ? AND kind = ?"
    if connection.execute(counted, (request.origin, kind)).fetchone()[0] < MOST_EVIDENCE:
        connection.execute(
            "INSERT OR IGNORE INTO evidence VALUES (?, ?, ?, ?, ?, ?, ?)",
            (request.origin, kind.value, request.size, request.root, body, against, now_seconds),
        )


def _keys(connection: sqlite3.Connection, origin: str) -> tuple[VerifierKey, ...]:
    rows = connection.execute("SELECT verifier_key FROM trusted WHERE origin = ? ORDER BY 1", (origin,))
    return tuple(VerifierKey.parse(text) for (text,) in rows)


def _known(connection: sqlite3.Connection, origin: str) -> KnownLog:
    head, note = _head(connection, origin)
    contradictions = connection.execute(
        "SELECT count(*) FROM evidence WHERE origin = ? AND kind = ?", (origin, Evidence.CONTRADICTION)
    ).fetchone()[0]
    return KnownLog(origin, _keys(connection, origin), head, note, contradictions)
