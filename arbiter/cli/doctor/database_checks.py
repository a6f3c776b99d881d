"""What `arbiter doctor` looks at in the database: reach, version, rights, durability, the log's tail, what is pending."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

from arbiter.cli.doctor.account_checks import accounts
from arbiter.cli.doctor.calibration_checks import calibrations
from arbiter.cli.doctor.canary_checks import canaries
from arbiter.cli.doctor.drift_checks import drift
from arbiter.cli.doctor.findings import Finding, attempted
from arbiter.cli.doctor.guarantee_checks import guarantee
from arbiter.cli.doctor.key_checks import keys_and_database, open_keys
from arbiter.cli.doctor.witness_checks import behind
from arbiter.errors import ArbiterError
from arbiter.settings import Settings
from arbiter.store import migrate
from arbiter.store.database import (
    APPLICATION_ROLE,
    DATABASE,
    ask_server,
    changeable_tables,
    conninfo,
    open_engine,
    open_pool,
)
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.store.transaction import Store
from arbiter.workflow.log.kept import KeptCheckpoint
from arbiter.workflow.log.tail import Tail, check_tail
from arbiter.workflow.publishing import PENDING_ALARM

CLOCKS_APART = timedelta(seconds=2)
_FUTURE = timedelta(seconds=60)
_NOT_SEALING = "start `arbiter serve` or `arbiter worker`; if one runs, its log says why it does not seal"


async def database(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the database that the settings name."""
    if settings.database_url is not None:
        async for finding in _inside(settings, settings.database_url):
            yield finding
        return
    if not (settings.data / "postgres" / "PG_VERSION").exists():
        advice = "right before the first start: `arbiter serve` makes it"
        yield Finding("database", "warn", f"no embedded database in {settings.data} yet", advice)
        return
    owner = settings.data.stat().st_uid
    if owner != os.geteuid():
        found = f"{settings.data} belongs to user {owner}, this is user {os.geteuid()}"
        yield Finding("database", "fail", found, "run this as the user that runs `arbiter serve`")
        return
    embedded = EmbeddedPostgres(settings.data)
    if (unfit := await asyncio.to_thread(_not_to_be_started, embedded)) is not None:
        yield unfit
        return
    try:
        await asyncio.to_thread(embedded.start)
    except ArbiterError as error:
        yield Finding(
            "database", "fail", str(error), "its log is in the folder `postgres/log` under ARBITER_DATA"
        )
        return
    try:
        async for finding in _inside(settings, embedded.url(APPLICATION_ROLE, DATABASE)):
            yield finding
    finally:
        await asyncio.to_thread(embedded.stop)


def _not_to_be_started(embedded: EmbeddedPostgres) -> Finding | None:
    """Return why the embedded database is left alone, or None when it answers or may be started."""
    if embedded.answers():
        return None
    if embedded.busy():
        found = "another process is starting or stopping it at this moment"
        return Finding("database", "warn", found, "run this again in a moment")
    if embedded.postmaster_pid() is not None:
        advice = "wait if it recovers; its log is in the folder `postgres/log` under ARBITER_DATA"
        return Finding("database", "fail", "the embedded database runs and does not answer", advice)
    return None


async def _inside(settings: Settings, url: str) -> AsyncIterator[Finding]:
    is_embedded = settings.database_url is None
    findings = await asyncio.to_thread(lambda: list(_server(url, is_embedded=is_embedded)))
    for finding in findings:
        yield finding
    if {"database", "schema"} <= {finding.check for finding in findings if finding.state == "ok"}:
        async for finding in _log(settings, url):
            yield finding


def _server(url: str, *, is_embedded: bool) -> Iterator[Finding]:
    reach = "start the server, open the way to it, or correct ARBITER_DATABASE_URL"
    if is_embedded:
        reach = "start `arbiter serve` once: it makes the roles and the schema"
    reached = list(attempted("database", reach, lambda: _facts(url)))
    yield from reached
    if reached[0].state == "fail":
        return
    yield from attempted("schema", reach, lambda: _schema(url, is_embedded=is_embedded))


def _facts(url: str) -> Iterator[Finding]:
    told = ask_server(url)
    yield Finding("database", "ok", f"PostgreSQL {told.version} answers")
    if told.not_durable:
        found = f"{', '.join(told.not_durable)} off"
        yield Finding(
            "durability", "fail", found, "switch it on: what was answered could be lost in a power cut"
        )
    else:
        yield Finding("durability", "ok", "fsync, full_page_writes and synchronous_commit on")
    apart = abs(told.now - datetime.now(UTC))
    if apart > CLOCKS_APART:
        found = f"{apart.total_seconds():.0f} seconds from this machine's"
        yield Finding("database clock", "warn", found, "let both machines follow the same time servers")
    else:
        yield Finding("database clock", "ok", "the same as this machine's")


def _schema(url: str, *, is_embedded: bool) -> Iterator[Finding]:
    found, needed = migrate.current(url), migrate.head()
    if found == needed:
        yield Finding("schema", "ok", f"at {needed}, as this release needs")
    elif is_embedded and found is not None and found < needed:
        yield Finding(
            "schema",
            "warn",
            f"at {found}, this release needs {needed}",
            "the next start migrates it: back it up first",
        )
    else:
        advice = "run `arbiter migrate`; if the database is the newer one, install the newer release"
        yield Finding("schema", "fail", f"at {found or 'none'}, this release needs {needed}", advice)
        return
    changeable = changeable_tables(url)
    if changeable:
        advice = f"ARBITER_DATABASE_URL must name {APPLICATION_ROLE} or a member of it"
        yield Finding("log rights", "fail", f"this role may change {', '.join(changeable)}", advice)
    else:
        yield Finding("log rights", "ok", "this role may add to the log and not change it")


async def _log(settings: Settings, url: str) -> AsyncIterator[Finding]:
    advice = "stop the service, keep database and data folder as they are, run `arbiter audit verify`"
    engine = open_engine(url, 1)
    of_keys: list[Finding] = []
    try:
        keyring = open_keys(settings)
        verifiers = keyring.verifiers
        # Read first: whoever seals meanwhile commits before keeping.
        kept = KeptCheckpoint(settings.data).read(verifiers)
        async with Store(engine, open_pool(conninfo(url), 1)).read() as transaction:
            of_keys = [finding async for finding in keys_and_database(keyring, transaction)]
            tail = await check_tail(transaction, verifiers, kept)
            standings = (
                *await behind(settings, transaction),
                *await canaries(settings, transaction),
                *await calibrations(settings, transaction),
                *await guarantee(settings, transaction),
                *await drift(transaction),
                *await accounts(transaction),
            )
    except ArbiterError as error:
        yield Finding("log", "fail", str(error), advice)
    else:
        if kept is None and tail.size:
            found = f"{tail.size} entries are sealed and no checkpoint is kept"
            yield Finding(
                "log", "fail", found, "restore the file `checkpoint`: Arbiter does not start without it"
            )
        else:
            yield _sealed(tail)
        yield _pending(tail)
        for standing in standings:
            yield standing
    finally:
        await engine.dispose()
    for finding in of_keys:
        yield finding


def _sealed(tail: Tail) -> Finding:
    if tail.sealed_at is not None and tail.sealed_at > datetime.now(UTC) + _FUTURE:
        found = f"the newest checkpoint is of {tail.sealed_at.isoformat(timespec='seconds')}, which has not come yet"
        return Finding("log", "fail", found, "put this machine's clock right before anything else")
    return Finding(
        "log", "ok", f"{tail.size} entries sealed; the newest {tail.checked} read again and verified"
    )


def _pending(tail: Tail) -> Finding:
    if tail.pending_since is not None and datetime.now(UTC) - tail.pending_since > PENDING_ALARM:
        since = tail.pending_since.isoformat(sep=" ", timespec="seconds")
        return Finding("pending entries", "warn", f"{tail.pending}, the oldest since {since}", _NOT_SEALING)
    return Finding("pending entries", "ok", f"{tail.pending}")
