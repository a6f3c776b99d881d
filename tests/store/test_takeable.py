"""The work list's SQL and the lifecycle say the same of who may take a case that waits: every combination, on the real database."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psycopg

from arbiter.lifecycle.readers import may_take_up
from arbiter.lifecycle.states import CaseState, Phase
from arbiter.model import ActorId, RiskClass
from arbiter.question import Timers
from arbiter.store.cases.state import state_document
from arbiter.store.cases.waiting import TAKEABLE
from arbiter.store.database import Database

ME, YOU, THEM = ActorId("a_me"), ActorId("a_you"), ActorId("a_them")
ONE_OR_NOBODY = ((), (ME,), (YOU,))
READERS = ((), (ME,), (YOU,), (ME, YOU), (YOU, THEM))
WAITING = CaseState(
    phase=Phase.ESCALATED,
    risk_class=RiskClass.URGENT,
    timers=Timers(*(timedelta(minutes=1),) * len(Timers.__slots__)),
    due_at=None,
    facts_version=1,
    seats=(),
    answered=(),
    human_required=True,
    shows_panel_first=False,
    overdue=False,
    claim=None,
    decided_by=None,
    successor=None,
)


def every_state() -> Iterator[CaseState]:
    """Every way in which people may have had to do with a case that waits."""
    for needed, arbiter, readings, seen, arbiters, referrers, conflicted in itertools.product(
        (1, 2), (False, True), READERS, ONE_OR_NOBODY, ONE_OR_NOBODY, ONE_OR_NOBODY, ONE_OR_NOBODY
    ):
        yield replace(
            WAITING,
            readers_needed=needed,
            wants_arbiter=arbiter,
            readings=readings,
            seen_by=seen,
            arbiters=arbiters,
            referrers=referrers,
            conflicted=conflicted,
        )


def answers(database: Database, documents: list[dict[str, object]], *, arbitrates: bool) -> list[bool]:
    """What the database says of each state."""
    with psycopg.connect(database.conninfo) as connection:
        rows = connection.execute(
            f"SELECT {TAKEABLE} FROM jsonb_array_elements(%(states)s::jsonb) WITH ORDINALITY AS each (state, place)"
            " ORDER BY place",
            {"states": json.dumps(documents), "reader": ME, "arbitrates": arbitrates},
        ).fetchall()
    return [row[0] for row in rows]


def test_the_list_has_exactly_the_cases_that_the_lifecycle_gives_this_reviewer(database: Database) -> None:
    states = list(every_state())
    documents = [state_document(state) for state in states]
    for arbitrates in (False, True):
        said = answers(database, documents, arbitrates=arbitrates)
        assert said == [may_take_up(state, ME, arbitrates=arbitrates) for state in states]
        assert {True, False} == set(said)


def test_a_case_of_an_older_release_names_nobody_and_is_for_everybody(database: Database) -> None:
    new = {"readings", "seen_by", "referrers", "arbiters", "conflicted", "readers_needed", "wants_arbiter"}
    old = {name: value for name, value in state_document(WAITING).items() if name not in new}
    assert answers(database, [old], arbitrates=False) == [True]


def test_no_word_but_the_readers_own_name_counts(database: Database) -> None:
    near = [ActorId("a_m"), ActorId("a_me2"), ActorId("A_ME"), ActorId('"a_me"')]
    documents = [state_document(replace(WAITING, conflicted=(name,))) for name in near]
    assert answers(database, documents, arbitrates=False) == [True] * len(near)
