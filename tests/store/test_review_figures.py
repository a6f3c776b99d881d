"""Figures counted in an index against a recount of every row in Python, and NumPy's quantiles; what two patterns are, and are not."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest
import pytest_asyncio
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

from arbiter.errors import UnavailableError
from arbiter.lifecycle.states import WITH_HUMANS, CaseState, DecidedBy, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store import review_figures
from arbiter.store.cases.state import state_document
from arbiter.store.database import Database, conninfo, open_engine, open_pool
from arbiter.store.embedded import SUPERUSER, EmbeddedPostgres
from arbiter.store.review_figures import (
    _CAREFULLY,
    _COUNTED,
    _WAITED,
    Chosen,
    ReviewFigure,
    ReviewOutcome,
    _parameters,
    add_review,
    add_review_outcome,
    count_concluded,
    count_reviews,
)
from arbiter.store.transaction import Store, driver_connection, run
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


# --- how -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [_COUNTED, _WAITED])
@pytest.mark.parametrize("protocol", [None, "deterioration"])
async def test_no_review_is_looked_at_to_count_it(
    filled: Store, statement: str, protocol: str | None
) -> None:
    asked = _parameters(replace(CHOSEN[0], protocol=protocol)) | {"timeout": "5000"}
    async with filled.begin() as transaction:
        # A handful of rows is read through whatever indexes there are, and found by any that holds when they were signed.
        await transaction.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        await transaction.exec_driver_sql("DROP INDEX ix_review_figure_signed_at")
        # As it is sent.
        cursor = psycopg.AsyncClientCursor(await driver_connection(transaction))
        await cursor.execute(f"{_CAREFULLY}; EXPLAIN {statement}".encode(), asked)
        cursor.nextset()
        lines = [line for (line,) in await cursor.fetchall()]
        await transaction.rollback()
    scans = {re.sub(r".*-> +|( review_\w+_1)? +\(cost.*", "", line) for line in lines if " Scan " in line}
    of_reviews = {scan for scan in scans if " on review_" in scan}
    counted = "Index Only Scan using ix_review_figure_counted on review_figure"
    if statement is _WAITED:
        assert of_reviews == {counted}
        return
    assert of_reviews == {
        counted,
        "Index Only Scan using ix_review_outcome_counted on review_outcome",
        # One of those of a pattern, for its words.
        "Index Scan using pk_review_figure on review_figure",
    }


async def test_whoever_writes_a_review_cannot_say_what_it_is_counted_by(database: Database) -> None:
    for column in ("relations", "pattern", "to_claim", "to_decision"):
        with (
            psycopg.connect(conninfo(database.app_url)) as connection,
            pytest.raises(psycopg.errors.GeneratedAlways),
        ):
            connection.execute(SQL("INSERT INTO review_figure ({}) VALUES (NULL)").format(Identifier(column)))


# --- how long --------------------------------------------------------------------------------------------------------


COUNTING: Mapping[str, Callable[[Store], Awaitable[object]]] = {
    "reviews": lambda store: count_reviews(store, CHOSEN[0]),
    "concluded": lambda store: count_concluded(store, CHOSEN[0], (NOW - timedelta(days=30), NOW)),
}


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_figures_that_take_too_long_are_given_up_and_the_next_are_counted(
    filled: Store,
    module_database: Database,
    monkeypatch: pytest.MonkeyPatch,
    counting: Callable[[Store], Awaitable[object]],
) -> None:
    expected = await counting(filled)
    with (
        psycopg.connect(conninfo(module_database.owner_url or "")) as owner,
        monkeypatch.context() as hurried,
    ):
        owner.execute("LOCK TABLE review_figure, case_file IN ACCESS EXCLUSIVE MODE")
        hurried.setattr(review_figures, "TIMEOUT_MS", 200)
        with pytest.raises(UnavailableError, match="in time"):
            await counting(filled)
        owner.rollback()
    assert await counting(filled) == expected


_SETTINGS = (
    "SELECT current_setting('statement_timeout'), current_setting('enable_seqscan'), current_setting('jit')"
)


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_what_is_set_for_a_counting_is_gone_with_it_however_it_ends(
    filled: Store, monkeypatch: pytest.MonkeyPatch, counting: Callable[[Store], Awaitable[object]]
) -> None:
    async def set_now() -> Sequence[object]:
        # The store has one connection for transactions.
        async with filled.read() as transaction:
            return tuple((await run(transaction, _SETTINGS, {}))[0])

    before = await set_now()
    await counting(filled)
    assert await set_now() == before
    with monkeypatch.context() as broken:
        for statement in ("_COUNTED", "_CONCLUDED"):
            broken.setattr(review_figures, statement, f"{_SETTINGS}, 1 / (random() < -1)::int")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await counting(filled)
    assert await set_now() == before
    with monkeypatch.context() as endless:
        for statement in ("_COUNTED", "_CONCLUDED"):
            endless.setattr(review_figures, statement, f"{_SETTINGS}, pg_sleep(60)")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(counting(filled), 0.3)
    assert await set_now() == before


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_a_counting_is_done_as_it_says(
    filled: Store, monkeypatch: pytest.MonkeyPatch, counting: Callable[[Store], Awaitable[object]]
) -> None:
    seen: list[object] = []

    async def told(store: Store, _statement: str, parameters: Mapping[str, object]) -> Sequence[object]:
        seen.extend(await counts(store, _SETTINGS, parameters))
        return []

    counts = review_figures._count
    monkeypatch.setattr(review_figures, "_count", told)
    await counting(filled)
    assert set(seen) == {("5s", "off", "off")}


@pytest.mark.parametrize("counting", COUNTING.values(), ids=COUNTING)
async def test_each_counting_is_planned_for_what_is_asked(
    filled: Store, counting: Callable[[Store], Awaitable[object]]
) -> None:
    for _ in range(12):
        await counting(filled)
    # The store has one connection for transactions.
    async with filled.read() as transaction:
        kept = await run(transaction, "SELECT statement FROM pg_prepared_statements WHERE NOT from_sql", {})
    assert not [
        statement for (statement,) in kept if "review_figure" in statement or "case_file" in statement
    ]
