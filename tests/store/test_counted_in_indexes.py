"""Cases that came to a clinician are counted in indexes alone, and the indexes' words say what the lifecycle says."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.sql import SQL

from arbiter.lifecycle.states import WITH_HUMANS, CaseState, DecidedBy, Phase
from arbiter.store.arrays import Instants
from arbiter.store.cases.state import state_document
from arbiter.store.database import Database, conninfo
from arbiter.store.review_figures import _CONCLUDED
from arbiter.store.tables.cases import BY_PANEL, WITH_HUMAN
from tests.store.test_takeable import WAITING


def every_state() -> Iterator[tuple[CaseState, bool]]:
    """Each phase, whoever decided, wanted or not by a human; practice and not."""
    deciders = (None, DecidedBy.PANEL, DecidedBy.REVIEWER)
    for phase, human, by, practice in itertools.product(Phase, (False, True), deciders, (False, True)):
        yield replace(WAITING, phase=phase, human_required=human, decided_by=by, training=practice), practice


def test_the_words_of_the_indexes_are_the_lifecycles(database: Database) -> None:
    states = list(every_state())
    with psycopg.connect(database.conninfo) as connection:
        rows = connection.execute(
            SQL(
                "SELECT {}, {} FROM unnest(%s::text[], %s::jsonb[], %s::bool[]) WITH ORDINALITY AS s (phase, state, training, n) "
                "ORDER BY n"
            ).format(SQL(WITH_HUMAN), SQL(BY_PANEL)),
            (
                [state.phase.value for state, _ in states],
                [json.dumps(state_document(state)) for state, _ in states],
                [practice for _, practice in states],
            ),
        ).fetchall()
    for (state, practice), (with_human, by_panel) in zip(states, rows, strict=True):
        came = state.phase in WITH_HUMANS or state.human_required
        assert with_human == (came and not practice)
        assert bool(by_panel) == (state.decided_by is DecidedBy.PANEL and not came and not practice)
    assert {tuple(map(bool, row)) for row in rows} == {(True, False), (False, True), (False, False)}


@pytest.mark.parametrize("protocol", [None, "deterioration"])
def test_no_state_is_looked_into(database: Database, protocol: str | None) -> None:
    now = datetime.now(UTC)
    days = [now - timedelta(days=day) for day in range(3, -1, -1)]
    asked = {
        "sites": ["north"],
        "protocol": protocol,
        "since": Instants(days[:-1]),
        "until": Instants(days[1:]),
    }
    assert database.owner_url is not None
    with psycopg.connect(conninfo(database.owner_url)) as connection:
        # A handful of rows is read through whatever indexes there are.
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(line for (line,) in connection.execute("EXPLAIN " + _CONCLUDED, asked))
    assert "Index Only Scan using ix_case_file_with_human" in plan
    assert "Index Only Scan using ix_case_file_by_panel" in plan
    assert "Seq Scan" not in plan
