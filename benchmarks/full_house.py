"""A house with a hundred thousand cases and the people who look at them, for the benchmark of the pages.

The cases that wait, and those that are opened, went through intake and the panel; the rest are copies of such cases: heads, keys and
sealed documents in their real form and size, under ids of their own, without entries of the log (no page here reads another case's).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import psycopg

from arbiter.identity.accounts import create_account
from arbiter.identity.clients import register_client
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sessions import open_session
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, FactValue, RiskClass
from arbiter.protocols.intake import RawFact
from arbiter.settings import Settings
from arbiter.store.database import prepare_database
from arbiter.wiring import open_house, run_house
from arbiter.workflow import intake, releasing
from arbiter.workflow.house import House
from arbiter.workflow.reading import wait_until_settled
from arbiter.workflow.subjects import SubjectRef
from benchmarks.cases import CALM

SITES = ("north", "south", "east", "west")
REVIEWERS = 8
PASSWORD = "a long password of the benchmark"
RISKS = (RiskClass.ROUTINE, RiskClass.URGENT, RiskClass.ROUTINE, RiskClass.EMERGENCY, RiskClass.ROUTINE)


@dataclass(frozen=True, slots=True)
class Filled:
    """What is asked for: all cases, those that wait, decisions drawn for an audit, and reviews that were signed."""

    cases: int
    waiting: int
    audits: int
    reviews: int


@dataclass
class Filler:
    """Hands cases in, inside the process."""

    house: House
    client: Principal
    number: int = field(default=0)

    async def hand_in(self, risk: RiskClass, site: str, **changes: FactValue | float) -> CaseId:
        """Take one case in and return it as soon as it is stored."""
        self.number += 1
        now = self.house.clock.now()
        facts = {
            name: RawFact(
                _value({**changes}.get(name, value)),
                unit,
                now - timedelta(minutes=5),
                "final",
                "bench",
            )
            for name, (value, unit) in CALM.items()
        }
        subject = SubjectRef("urn:example:bench", f"made-up-{self.number}")
        made = intake.Submission("deterioration", site, subject, None, risk, facts)
        key = f"fill-{self.number}"
        return (await intake.submit(self.house, self.client, made, key, key.encode())).case

    async def waits(self, number: int) -> None:
        """Take in cases that a clinician must see: one whose treatment is limited, one on which the scores are of two minds."""
        for n in range(number):
            site, risk = SITES[n % len(SITES)], RISKS[n % len(RISKS)]
            if n % 2:
                await self.hand_in(risk, site, treatment_limitation="ward-ceiling")
            else:
                await self.hand_in(risk, site, respiratory_rate=24, heart_rate=112, age=80)
            await self.house.errands.finish(30)

    async def decided(self) -> CaseId:
        """Take in a case that the panel decides alone; return it once it is released."""
        case = await self.hand_in(RiskClass.ROUTINE, SITES[0])
        view = await wait_until_settled(self.house, self.client, case, 60)
        if view.phase is not Phase.RELEASED:
            raise RuntimeError(f"expected a released decision, came {view.phase}")
        return case


def _value(value: object) -> FactValue:
    return value if isinstance(value, str | bool) else Decimal(str(value))


@dataclass(frozen=True, slots=True)
class Sessions:
    """A session's token for each reviewer, for who answers for the policy and for who audits: all of them for every site."""

    reviewers: list[str]
    overseer: str
    auditor: str
    trail: CaseId


async def _session(house: House, login: str, role: Role) -> str:
    person = await create_account(
        house.identities,
        house.clock,
        house.chance,
        login,
        login.capitalize(),
        PASSWORD,
        frozenset({role}),
        frozenset(SITES),
    )
    return (await open_session(house.sessions, house.clock, house.chance, person))[1]


async def furnish(settings: Settings, filled: Filled) -> Sessions:
    """Fill the house, and log everybody in."""
    async with open_house(settings) as house, run_house(house):
        house.sealer.then(lambda: releasing.release_sealed(house))
        for site in SITES:
            await add_site(house.identities, site, f"{site.capitalize()} Hospital")
        client, _ = await register_client(
            house.identities, house.clock, house.chance, "bench", [Role.INTEGRATION_CLIENT], SITES
        )
        drawing = replace(house, settings=house.settings.model_copy(update={"audit_share": Decimal(1)}))
        undrawn = replace(house, settings=house.settings.model_copy(update={"audit_share": Decimal(0)}))
        audited = await Filler(drawing, client).decided()
        plain = await Filler(undrawn, client, number=1).decided()
        await Filler(undrawn, client, number=2).waits(filled.waiting)
        sessions = Sessions(
            [await _session(house, f"reviewer{n}", Role.REVIEWER) for n in range(REVIEWERS)],
            await _session(house, "overseer", Role.POLICY_APPROVER),
            await _session(house, "auditor", Role.AUDITOR),
            audited,
        )
    await _copy(
        settings,
        {audited: filled.audits, plain: filled.cases - filled.audits - filled.waiting},
        filled.reviews,
    )
    return sessions


_COPIES = """
CREATE TEMPORARY TABLE copied AS SELECT 'c_' || translate(substr(md5(%(case)s || n), 1, 24), '01', '27') AS id, n,
    now() - n * interval '1 year' / %(number)s AS at FROM generate_series(1, %(number)s) AS n;
"""
_HEADS = """
INSERT INTO case_file (id, site_id, client_id, subject_id, encounter_mac, protocol_id, protocol_hash, risk_class, phase, state,
    version, seq, prev, wake_at, decided_seq, reviewer_id, job_id, training, created_at, changed_at)
SELECT k.id, (%(sites)s::text[])[1 + k.n %% 4], client_id, subject_id, encounter_mac, protocol_id, protocol_hash, risk_class, phase,
    CASE WHEN state -> 'audit' = 'null' THEN state
        ELSE jsonb_set(state, '{audit,drawn_at}', to_jsonb(to_char(k.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'))) END,
    version, seq, prev, wake_at, decided_seq, reviewer_id, job_id, training, k.at, k.at
FROM case_file JOIN copied AS k ON true WHERE case_file.id = %(case)s
"""
_KEYS = """
INSERT INTO case_key (case_id, kek_id, wrapped)
SELECT k.id, kek_id, wrapped FROM case_key JOIN copied AS k ON true WHERE case_id = %(case)s
"""
_DOCUMENTS = """
INSERT INTO sealed_document (case_id, seq, name, ciphertext)
SELECT k.id, seq, name, ciphertext FROM sealed_document JOIN copied AS k ON true WHERE case_id = %(case)s
"""


# What came of reviews at every site, as a signature leaves it: every third signer leaves their own answer, every fifth differs from
# the panel's, times differ, and reasons and members make 60 patterns.
_REVIEWS = """
INSERT INTO review_figure (case_id, site_id, protocol_id, protocol_hash, risk_class, training, planted, escalated_at, claimed_at,
    signed_at, overdue, own_is_final, leading_is_final, own_is_leading, reasons, families)
SELECT c.id, c.site_id, c.protocol_id, c.protocol_hash, (ARRAY['routine', 'urgent', 'emergency'])[1 + n %% 3], false, false, at,
    at + n * 7919 %% 3571 * interval '1 second', at + (3571 + n * 6101 %% 7919) * interval '1 second', n %% 9 = 0,
    n %% 3 <> 0, n %% 5 <> 0, n %% 3 <> 0 AND n %% 5 <> 0,
    CASE n %% 7 WHEN 0 THEN '["risk-class", "disagreement-between"]'::jsonb ELSE '["disagreement-between"]' END,
    jsonb_build_object('scores', jsonb_build_object('news2', 0, 'mews', n %% 2), 'regression', jsonb_build_object('cart', n %% 5),
    'language-models', jsonb_build_object('first', n %% 11 %% 3))
FROM (SELECT n, now() - n * interval '1 year' / %(number)s AS at FROM generate_series(1, %(number)s) AS n) AS made
JOIN (SELECT DISTINCT ON (site_id) * FROM case_file ORDER BY site_id, created_at, id) AS c ON c.site_id = (%(sites)s::text[])[1 + n %% 4]
"""
_OUTCOMES = """
INSERT INTO review_outcome (figure_id, source, own_right, leading_right, final_right, at, site_id, protocol_id, risk_class, signed_at,
    relations)
SELECT id, 'outcome', own_is_final, leading_is_final, true, signed_at, site_id, protocol_id, risk_class, signed_at, relations
FROM review_figure WHERE id %% 4 = 0
"""


async def _copy(settings: Settings, numbers: Mapping[CaseId, int], reviews: int) -> None:
    database = await prepare_database(settings)
    try:
        assert database.embedded is not None
        address = database.embedded.url("postgres", "arbiter").replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            for case, number in numbers.items():
                values = {"case": case, "number": max(0, number - 1), "sites": list(SITES)}
                async with connection.transaction():
                    await psycopg.AsyncClientCursor(connection).execute(_COPIES, values)
                    for statement in (_HEADS, _KEYS, _DOCUMENTS):
                        await connection.execute(statement.encode(), values)
                    await connection.execute("DROP TABLE copied")
            await connection.execute(_REVIEWS.encode(), {"number": reviews, "sites": list(SITES)})
            await connection.execute(_OUTCOMES.replace("%%", "%").encode())
            await connection.execute("VACUUM (ANALYZE)")
    finally:
        await asyncio.to_thread(database.close)
