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

_VERSION = 2
_DISTRUSTED = """
CREATE TABLE distrusted (origin TEXT NOT NULL, verifier_key TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (origin, verifier_key));
"""
_SCHEMA = f"""
CREATE TABLE witness (verifier_key TEXT NOT NULL);
CREATE TABLE trusted (origin TEXT NOT NULL, verifier_key TEXT NOT NULL, PRIMARY KEY (origin, verifier_key));
CREATE TABLE head (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, cosigned_at INTEGER NOT NULL,
    note BLOB NOT NULL);
CREATE TABLE evidence (origin TEXT NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
    body BLOB NOT NULL, against BLOB NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (origin, kind, size, root));
{_DISTRUSTED}
"""


@dataclass(frozen=True, slots=True)
class KnownLog:
    """A log as the witness knows it; `note` is the checkpoint cosigned last, cosignature included.

    `distrusted` are keys that were trusted once, with the POSIX second of their end. What was cosigned under them stays.
    """

    origin: str
    keys: tuple[VerifierKey, ...]
    distrusted: tuple[tuple[VerifierKey, int], ...]
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
            _bring_up(connection)
            version = _version(connection)
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

    def trust(self, origin: str, key: VerifierKey, *, again: bool = False) -> bool:
        """Cosign for the log `origin` from now on when `key` has signed; a log may have several keys.

        Returns False, and changes nothing, for a key that was distrusted, unless it is to be trusted `again`. What was
        cosigned last is the log's and not the key's: it goes on from there.
        """
        of_key = (origin, key.encode())
        with self._reading() as connection, _writing(connection):
            if again:
                connection.execute("DELETE FROM distrusted WHERE (origin, verifier_key) = (?, ?)", of_key)
            elif any(known == key for known, _ in _distrusted(connection, origin)):
                return False
            connection.execute("INSERT OR IGNORE INTO trusted VALUES (?, ?)", of_key)
            return True

    def distrust(self, origin: str, key_id: str | None, now_seconds: int) -> tuple[VerifierKey, ...]:
        """Cosign nothing more that only these keys have signed: one of a log's by its id in hex, or all; return them.

        Durable on return, and in force: a request that is being considered meanwhile is refused.

        Raises:
            ConfigurationError: when no such key is trusted.
        """
        with self._reading() as connection, _writing(connection):
            ended = tuple(
                key for key in _keys(connection, origin) if key_id is None or key.key_id.hex() == key_id
            )
            if not ended:
                which = "no key" if key_id is None else f"no key {key_id}"
                raise ConfigurationError(
                    f"{which} of {origin} is trusted here; `arbiter witness show` tells which are"
                )
            for key in ended:
                of_key = (origin, key.encode())
                connection.execute("DELETE FROM trusted WHERE (origin, verifier_key) = (?, ?)", of_key)
                connection.execute(
                    "INSERT OR REPLACE INTO distrusted VALUES (?, ?, ?)", (*of_key, now_seconds)
                )
        return ended

    def trusted(self, origin: str) -> tuple[VerifierKey, ...] | None:
        """Return the keys trusted for a log: none where all of them were distrusted, None when it is unknown."""
        with self._reading() as connection:
            keys = _keys(connection, origin)
            return keys if keys or _distrusted(connection, origin) else None

    def decide(
        self,
        request: Request,
        body: bytes,
        decide: Callable[[Head, tuple[VerifierKey, ...]], Cosign | Refuse],
        cosigned_note: Callable[[Head, tuple[VerifierKey, ...]], bytes],
        now_seconds: int,
    ) -> Cosign | Refuse:
        """Decide on the head and the trust as they stand and persist what follows, all before anybody else may.

        Durable on return.
        """
        with self._reading() as connection, _writing(connection):
            head, note = _head(connection, request.origin)
            keys = _keys(connection, request.origin)
            decision = decide(head, keys)
            match decision:
                case Cosign(fresh):
                    connection.execute(
                        "INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?, ?)",
                        (
                            request.origin,
                            fresh.size,
                            fresh.root,
                            fresh.cosigned_at,
                            cosigned_note(fresh, keys),
                        ),
                    )
                case Refuse(evidence=Evidence() as kind):
                    _keep(connection, request, kind, body, note or b"", now_seconds)
                case Refuse():
                    pass
        return decision

    def logs(self) -> tuple[KnownLog, ...]:
        """Return every log this witness knows or knew, by origin."""
        with self._reading() as connection:
            origins = connection.execute(
                "SELECT origin FROM trusted UNION SELECT origin FROM distrusted ORDER BY origin"
            ).fetchall()
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


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _bring_up(connection: sqlite3.Connection) -> None:
    """Give a file of the release before this one what it lacks."""
    if _version(connection) != 1:
        return
    with _writing(connection):
        if _version(connection) == 1:
            connection.execute(_DISTRUSTED)
            connection.execute(f"PRAGMA user_version = {_VERSION}")


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


def _distrusted(connection: sqlite3.Connection, origin: str) -> tuple[tuple[VerifierKey, int], ...]:
    rows = connection.execute(
        "SELECT verifier_key, at FROM distrusted WHERE origin = ? ORDER BY at, 1", (origin,)
    )
    return tuple((VerifierKey.parse(text), at) for text, at in rows)


def _known(connection: sqlite3.Connection, origin: str) -> KnownLog:
    head, note = _head(connection, origin)
    contradictions = connection.execute(
        "SELECT count(*) FROM evidence WHERE origin = ? AND kind = ?", (origin, Evidence.CONTRADICTION)
    ).fetchone()[0]
    keys, ended = _keys(connection, origin), _distrusted(connection, origin)
    return KnownLog(origin, keys, ended, head, note, contradictions)
