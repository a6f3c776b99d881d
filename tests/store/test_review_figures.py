"""Figures counted in an index against a recount of every row in Python, and NumPy's quantiles; what two patterns are, and are not."""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import pytest_asyncio
from sqlalchemy import make_url

from arbiter.lifecycle.states import WITH_HUMANS, CaseState, DecidedBy, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.cases.state import state_document
from arbiter.store.database import Database, conninfo, open_engine, open_pool
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.review_figures import (
    Chosen,
    ReviewFigure,
    ReviewOutcome,
    add_review,
    add_review_outcome,
    count_concluded,
    count_reviews,
)
from arbiter.store.transaction import Store, run
from tests.store.test_takeable import WAITING

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAYBE = (True, False, None)
# Families are named by whoever writes policy: nothing in a name may make one pattern of two, or stop a signature.
WORDS: tuple[Mapping[str, Mapping[str, int]], ...] = (
    {},
    {"scores": {"news2": 0}},
    {"scores": {"news2": 1}},
    {"scores": {"news2": 0, "mews": 1}},
    {'sc"o\\res': {"ne\\ws2": 0}},
    {"Prüfer 🧪": {"é\n'": 0}},
    {"\\047": {"\\\\": 0}},
)
REASONS = (("no-majority",), ("no-majority", "risk-class"), ("risk-class", "no-majority"), ())


@dataclass(frozen=True)
class Row:
    figure: ReviewFigure
    outcomes: tuple[ReviewOutcome, ...] = ()

    @property
    def right(self) -> tuple[bool | None, bool | None, bool | None]:
        """The newest of those that are not another reader's, else the newest."""
        best = sorted(self.outcomes, key=lambda outcome: outcome.source != "independent reader")
        return (
            (best[-1].own_right, best[-1].leading_right, best[-1].final_right) if best else (None, None, None)
        )


def drawn(source: random.Random) -> Row:
    """A review at one of three sites, some of them outside the span that is asked about, with what was told of it."""
    escalated = NOW - timedelta(seconds=source.randint(0, 40 * 86_400))
    # A clock that was set back: what is before the escalation took no time.
    claimed = escalated + timedelta(microseconds=source.randint(-5_000_000, 4_000_000_000))
    signed = claimed + timedelta(microseconds=source.randint(0, 200_000_000_000))
    training = source.random() < 0.3
    figure = ReviewFigure(
        case=CaseId(f"c_{source.getrandbits(64):x}"),
        site=source.choice(["east", "north", "south"]),
        protocol=source.choice(["deterioration", "dosing"]),
        protocol_hash="h",
        risk_class=source.choice(list(RiskClass)),
        training=training,
        planted=training and source.random() < 0.5,
        escalated_at=escalated,
        claimed_at=claimed,
        signed_at=signed,
        overdue=source.random() < 0.2,
        own_is_final=source.choice(MAYBE),
        leading_is_final=source.choice(MAYBE),
        own_is_leading=source.choice(MAYBE),
        reasons=source.choice(REASONS),
        families=source.choice(WORDS),
    )
    told = (
        ReviewOutcome(
            source=source.choice(["outcome", "independent reader", "planted"]),
            own_right=source.choice(MAYBE),
            leading_right=source.choice(MAYBE),
            final_right=source.random() < 0.5,
            # Told by a process whose clock is behind the signer's, or later.
            at=signed + timedelta(hours=hours - 20),
        )
        for hours in range(0, 30, source.choice([8, 15, 30]))
        if source.random() < 0.5
    )
    return Row(figure, tuple(told))


_SOURCE = random.Random(20260301)
ROWS = tuple(drawn(_SOURCE) for _ in range(600))
CHOSEN = (
    Chosen(frozenset({"north", "south"}), NOW - timedelta(days=30), NOW - timedelta(days=1)),
    Chosen(frozenset({"east"}), NOW - timedelta(days=30), NOW, "dosing"),
    Chosen(frozenset({"east", "north", "south"}), NOW - timedelta(days=300), NOW + timedelta(days=3)),
    Chosen(frozenset({"east", "north", "south"}), NOW - timedelta(days=300), NOW, "unknown"),
)


async def keep(store: Store, rows: Sequence[Row]) -> None:
    """Write rows without the cases that they would come from, as PostgreSQL's own replication does."""
    async with store.begin() as transaction:
        await transaction.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for row in rows:
            await add_review(transaction, row.figure)
            for told in row.outcomes:
                assert await add_review_outcome(transaction, row.figure.case, told)


@dataclass(frozen=True)
class Case:
    """A case as a head tells it: who came to a clinician, who was decided by the panel."""

    site: str
    protocol: str
    state: CaseState
    at: datetime

    @property
    def with_human(self) -> bool:
        return not self.state.training and (self.state.phase in WITH_HUMANS or self.state.human_required)

    @property
    def by_panel(self) -> bool:
        return not self.state.training and not self.with_human and self.state.decided_by is DecidedBy.PANEL


def taken_in(source: random.Random) -> Case:
    """A case of any state, every fourth of them taken in on the very edge of two days."""
    day = NOW - timedelta(days=source.randint(0, 6))
    state = replace(
        WAITING,
        phase=source.choice(list(Phase)),
        human_required=source.random() < 0.4,
        decided_by=source.choice([None, DecidedBy.PANEL, DecidedBy.REVIEWER]),
        training=source.random() < 0.2,
    )
    at = day if source.random() < 0.25 else day - timedelta(seconds=source.randint(1, 86_399))
    return Case(
        source.choice(["east", "north", "south"]), source.choice(["deterioration", "dosing"]), state, at
    )


CASES = tuple(taken_in(_SOURCE) for _ in range(300))

_ADD_CASE = """
INSERT INTO case_file (id, site_id, client_id, subject_id, protocol_id, protocol_hash, risk_class, phase, state, version, seq, prev,
    training, created_at, changed_at)
VALUES (%(id)s, %(site)s, 'c', 's', %(protocol)s, 'h', 'urgent', %(phase)s, %(state)s::jsonb, 1, 0, %(prev)s, %(training)s, %(at)s,
    %(at)s) RETURNING id
"""


async def keep_cases(store: Store) -> None:
    async with store.begin() as transaction:
        await transaction.exec_driver_sql("SET LOCAL session_replication_role = replica")
        for number, case in enumerate(CASES):
            values = {
                "id": f"c_made_{number}",
                "site": case.site,
                "protocol": case.protocol,
                "phase": case.state.phase.value,
                "state": json.dumps(state_document(case.state)),
                "prev": bytes(32),
                "training": case.state.training,
                "at": case.at,
            }
            await run(transaction, _ADD_CASE, values)


@asynccontextmanager
async def as_superuser(database: Database, server: EmbeddedPostgres) -> AsyncIterator[Store]:
    url = server.url(SUPERUSER, make_url(database.app_url).database or "")
    engine, pool = open_engine(url, 1), open_pool(conninfo(url), 2)
    try:
        await pool.open(wait=True)
        yield Store(engine, pool)
    finally:
        await pool.close()
        await engine.dispose()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def filled(module_database: Database, server: EmbeddedPostgres) -> AsyncIterator[Store]:
    """A store in which `ROWS` and `CASES` stand."""
    async with as_superuser(module_database, server) as store:
        await keep(store, ROWS)
        await keep_cases(store)
        yield store


# --- against every row -----------------------------------------------------------------------------------------------


def of(chosen: Chosen) -> list[Row]:
    return [
        row
        for row in ROWS
        if row.figure.site in chosen.sites
        and chosen.since <= row.figure.signed_at < chosen.until
        and chosen.protocol in {None, row.figure.protocol}
    ]


def relations(row: Row) -> tuple[object, ...]:
    figure = row.figure
    did = (figure.overdue, figure.own_is_final, figure.leading_is_final, figure.own_is_leading)
    return (figure.risk_class, figure.planted, *did, *row.right)


def words(reasons: Sequence[str], families: Mapping[str, Mapping[str, int]]) -> str:
    return json.dumps([list(reasons), families], sort_keys=True)


@pytest.mark.parametrize("chosen", CHOSEN)
async def test_what_is_alike_is_counted_together_and_planted_ones_apart(
    filled: Store, chosen: Chosen
) -> None:
    expected = Counter(relations(row) for row in of(chosen) if row.figure.planted or not row.figure.training)
    found = (await count_reviews(filled, chosen)).alike
    assert {astuple(each)[1:]: each.reviews for each in found} == expected
    assert len(found) == len(expected), "no two rows are alike"
    assert expected or chosen.protocol == "unknown"


@pytest.mark.parametrize("chosen", CHOSEN)
async def test_a_pattern_is_its_reasons_and_its_families_and_nothing_less(
    filled: Store, chosen: Chosen
) -> None:
    expected = Counter(
        words(row.figure.reasons, row.figure.families) for row in of(chosen) if not row.figure.training
    )
    found = (await count_reviews(filled, chosen)).patterns
    assert {words(each.reasons, each.families): each.reviews for each in found} == expected
    assert len(found) == len(expected), "no pattern is there twice"


@pytest.mark.parametrize("chosen", CHOSEN)
async def test_quantiles_are_numpys_and_time_never_ran_backwards(filled: Store, chosen: Chosen) -> None:
    found = {each.risk_class: each for each in (await count_reviews(filled, chosen)).waited}
    real = [row.figure for row in of(chosen) if not row.figure.training]
    assert set(found) == {figure.risk_class for figure in real}
    for risk_class, waited in found.items():
        mine = [figure for figure in real if figure.risk_class is risk_class]
        assert waited.reviews == len(mine)
        for times, until in ((waited.to_claim, "claimed_at"), (waited.to_decision, "signed_at")):
            lengths = [
                max(0.0, (getattr(figure, until) - figure.escalated_at).total_seconds()) for figure in mine
            ]
            expected = np.quantile(lengths, [0.5, 0.9, 0.95])
            assert [each.total_seconds() for each in times] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("protocol", [None, "dosing", "unknown"])
@pytest.mark.parametrize("sites", [{"north"}, {"east", "south"}])
async def test_a_case_counts_in_one_span_of_its_site_and_its_protocol(
    filled: Store, sites: set[str], protocol: str | None
) -> None:
    edges = [NOW - timedelta(days=days) for days in range(5, -2, -1)]
    chosen = Chosen(frozenset(sites), edges[0], edges[-1], protocol)
    found = await count_concluded(filled, chosen, edges)
    asked = [case for case in CASES if case.site in sites and protocol in {None, case.protocol}]
    assert found == tuple(
        (
            sum(case.with_human or case.by_panel for case in asked if since <= case.at < until),
            sum(case.with_human for case in asked if since <= case.at < until),
        )
        for since, until in itertools.pairwise(edges)
    )
    assert any(case.at in edges for case in asked) == (protocol != "unknown")
