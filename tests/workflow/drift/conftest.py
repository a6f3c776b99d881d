"""The log that the tests of drift watch, made once, and short samples so that it may be short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from argon2 import PasswordHasher

from arbiter.identity import accounts
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.drift import adding
from tests.conftest import _migrated
from tests.databases import Copies
from tests.workflow.drift.wards import REFERENCE, WINDOW, Logs, fill


@pytest.fixture(autouse=True)
def short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adding, "REFERENCE", REFERENCE)
    monkeypatch.setattr(adding, "WINDOW", WINDOW)
    monkeypatch.setattr(accounts, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture(scope="session")
def logs(
    server: EmbeddedPostgres,
    _administrator: psycopg.Connection,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Logs]:
    with _migrated(server, _administrator) as database:
        copies = Copies(server, database)
        yield asyncio.run(fill(tmp_path_factory.mktemp("drift") / "data", database, copies))
        copies.drop()
