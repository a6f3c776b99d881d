"""Figures of reviews against a recount that opens every case's documents and entries, after a run through the real workflow."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from arbiter.audit.entry import Entry
from arbiter.documents.canonical import decode
from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.identity.principals import Principal
from arbiter.lifecycle.states import DecidedBy, Phase
from arbiter.model import CaseId, RiskClass
from arbiter.store.database import Database
from arbiter.store.log.chains import load_entries
from arbiter.workflow import outcomes
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.oversight.looking import Overseen, newest, oversee_sites
from tests.houses import SITE, ShiftableClock, a_client, a_house, a_reviewer, settle
from tests.workflow.oversight.practice import CALM, CONTINUE, EXCLUDED, ILL, SPLIT, URGENT, WORSE, Ward

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SEED = 20260301
REVIEWS = 36


@dataclass(frozen=True)
class Kept:
    """A case as its own documents and entries tell it."""

    dossier: Dossier
    entries: tuple[Entry, ...]

    def at(self, kind: str) -> datetime:
        return next(entry.at for entry in self.entries if entry.type == kind)

    def named(self, name: str) -> dict[str, Any]:
        return decode(next(each.content for each in self.dossier.documents if each.name == name))

    @property
    def is_signed(self) -> bool:
        return any(entry.type == "decision.signed" for entry in self.entries)

    @property
    def own(self) -> str:
        return str(self.named("review")["option"])

    @property
    def final(self) -> str:
        """As it was first signed: a correction knows the panel, and what happened since."""
        return str(self.named("signature")["option"])

    @property
    def leading(self) -> str | None:
        leading: str | None = self.named("certificate")["verdict"].get("leading")
        return leading

    @property
    def told(self) -> str | None:
        known = [
            KnownOutcome.decode(each.content) for each in self.dossier.documents if each.name == "outcome"
        ]
        happened = [each.option for each in known if each.kind is OutcomeKind.OUTCOME]
        read = [each.option for each in known if each.kind is OutcomeKind.INDEPENDENT_READER]
        return [None, *read, *happened][-1]


@dataclass(frozen=True)
class Run:
    overseen: Overseen
    cases: tuple[Kept, ...]

    @property
    def signed(self) -> list[Kept]:
        return [case for case in self.cases if case.is_signed and not case.dossier.row.state.training]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    clock = ShiftableClock()
    async with a_house(tmp_path_factory.mktemp("recount") / "data", module_database, clock) as house:
        client, _ = await a_client(house)
        ward = Ward(house, clock, client)
        readers = [await a_reviewer(house, login) for login in ("anna", "ben")]
        cases = [await ward.case(CALM) for _ in range(5)]
        for number in range(REVIEWS):
            facts = chance.choice((SPLIT, WORSE, ILL, EXCLUDED))
            case = await ward.case(facts, chance.choice(list(RiskClass)))
            cases.append(case)
            own, final = (chance.choice((URGENT, CONTINUE)) for _ in range(2))
            await _reviewed(ward, case, readers[number % 2], own, final, chance)
            if number % 5 == 0:
                other = URGENT if final == CONTINUE else CONTINUE
                await ward.corrected(case, readers[number % 2], other, thinks=timedelta(minutes=10))
            if number % 3 == 0:
                await _tell(ward, case, OutcomeKind.OUTCOME, chance.choice((URGENT, CONTINUE)))
            if number % 4 == 0:
                await _tell(ward, case, OutcomeKind.INDEPENDENT_READER, chance.choice((URGENT, CONTINUE)))
        practised = await ward.case(EXCLUDED, training=True)
        await _reviewed(ward, practised, readers[0], URGENT, CONTINUE, chance)
        cases += [practised, await ward.case(EXCLUDED)]
        await settle(house)
        kept = []
        for case in cases:
            async with house.store.read() as transaction:
                entries = [Entry.from_bytes(body) for _, body, _ in await load_entries(transaction, case)]
                kept.append(Kept(await load_dossier(house, transaction, case), tuple(entries)))
        yield Run(await oversee_sites(house, frozenset({SITE}), newest(house)), tuple(kept))


async def _reviewed(
    ward: Ward, case: CaseId, who: Principal, own: str, final: str, chance: random.Random
) -> None:
    waits = timedelta(seconds=chance.randint(1, 3_000))
    thinks = timedelta(seconds=chance.randint(1, 600))
    await ward.reviewed(case, who, own, final, waits=waits, thinks=thinks)


async def _tell(ward: Ward, case: CaseId, kind: OutcomeKind, option: str) -> None:
    told = KnownOutcome(option, kind, ward.clock.now(), "records")
    await outcomes.record(ward.house, ward.client, case, told)


# --- the recount -----------------------------------------------------------------------------------------------------


async def test_every_concluded_case_counts_once_and_who_came_to_a_clinician_is_told_apart(run: Run) -> None:
    real = [case for case in run.cases if not case.dossier.row.state.training]
    by_panel = [case for case in real if case.dossier.row.state.decided_by is DecidedBy.PANEL]
    assert (run.overseen.whole.part, run.overseen.whole.whole) == (len(real) - len(by_panel), len(real))
    assert len(by_panel) >= 5
    assert real[-1].dossier.row.state.phase is Phase.ESCALATED, "an escalation that nobody took counts too"


async def test_overrides_and_switches_are_those_of_the_sealed_documents(run: Run) -> None:
    judging, signed = run.overseen.reviewed.judging, run.signed
    assert judging.reviews == len(signed) == REVIEWS
    leant = [case for case in signed if case.leading is not None]
    differed = [case for case in leant if case.own != case.leading]
    agreed = [case for case in leant if case.own == case.leading]
    assert differed
    assert agreed
    assert len(leant) < len(signed), "some cases have no panel's answer to compare with"
    for share, of, among in (
        (judging.overridden, [case.final != case.leading for case in leant], leant),
        (judging.switched, [case.final != case.own for case in signed], signed),
        (judging.toward, [case.final == case.leading for case in differed], differed),
        (judging.away, [case.final != case.leading for case in agreed], agreed),
    ):
        assert (share.part, share.whole) == (sum(of), len(among))


async def test_a_correction_is_no_further_review(run: Run) -> None:
    corrected = [
        case for case in run.signed if any(entry.type == "decision.corrected" for entry in case.entries)
    ]
    assert len(corrected) == len(range(0, REVIEWS, 5))
    assert run.overseen.reviewed.judging.reviews == REVIEWS
    assert len([case for case in corrected if case.told is not None]) >= 3
    for case in corrected:
        signatures = [decode(each.content) for each in case.dossier.documents if each.name == "signature"]
        assert len({each["option"] for each in signatures}) == 2


async def test_who_was_right_is_told_by_the_outcome_before_the_reader(run: Run) -> None:
    judging = run.overseen.reviewed.judging
    known = [case for case in run.signed if case.told is not None]
    switches = [case for case in known if case.own != case.final]
    assert len(switches) >= 3
    assert judging.own_right.part == sum(case.own == case.told for case in known)
    assert judging.signed_right.part == sum(case.final == case.told for case in known)
    assert judging.signed_right.whole == len(known)
    leant = [case for case in known if case.leading is not None]
    assert (judging.panel_right.part, judging.panel_right.whole) == (
        sum(case.leading == case.told for case in leant), len(leant)
    )  # fmt: skip
    assert judging.mended.part == sum(case.final == case.told for case in switches)
    assert judging.spoilt.part == sum(case.own == case.told for case in switches)
    assert judging.mended.whole == judging.spoilt.whole == len(switches)


async def test_reasons_are_those_of_the_certificates(run: Run) -> None:
    counted = Counter(
        code
        for case in run.signed
        for code in {reason["code"] for reason in case.named("certificate")["verdict"]["reasons"]}
    )
    assert {code: share.part for code, share in run.overseen.reviewed.reasons} == dict(counted)
    assert {share.whole for _, share in run.overseen.reviewed.reasons} == {REVIEWS}


async def test_times_are_those_of_the_entries_and_quantiles_those_of_numpy(run: Run) -> None:
    for times in run.overseen.reviewed.times:
        own = [case for case in run.signed if case.dossier.row.state.risk_class is times.risk_class]
        assert times.cases == len(own) >= 5
        assert times.to_claim is not None
        assert times.to_decision is not None
        for found, until in ((times.to_claim, "case.claimed"), (times.to_decision, "decision.signed")):
            seconds = [(case.at(until) - case.at("case.escalated")).total_seconds() for case in own]
            told = [each.total_seconds() for each in (found.p50, found.p90, found.p95)]
            assert told == pytest.approx(np.quantile(seconds, (0.5, 0.9, 0.95)), abs=1e-5)
        late = sum(
            case.at("decision.signed") > case.at("case.escalated") + case.dossier.row.state.timers.review
            for case in own
        )
        assert (times.overdue.part, times.overdue.whole) == (late, len(own))


async def test_families_agree_as_their_members_answers_do(run: Run) -> None:
    alike, several = 0, 0
    for case in run.signed:
        opinions = case.named("certificate")["opinions"]
        given = [each["leading"] for each in opinions if each["asks"] == "question" and "leading" in each]
        several += len(given) > 1
        alike += len(given) > 1 and len(set(given)) == 1
    # The scores that vote here are all of one family: there is nobody to agree with but each other.
    (pair,) = run.overseen.reviewed.pairs
    assert (pair.one, pair.other) == ("bedside-observations", "bedside-observations")
    assert (pair.agreed.part, pair.agreed.whole) == (alike, several)
    assert 0 < alike < several


async def test_practice_is_in_no_figure(run: Run) -> None:
    practised = [case for case in run.cases if case.dossier.row.state.training]
    assert len(practised) == 1
    assert practised[0].is_signed
    assert run.overseen.reviewed.judging.reviews == REVIEWS
    assert run.overseen.reviewed.reliance.planted == 0


async def test_the_days_are_those_of_the_zone_and_hold_every_case(run: Run) -> None:
    spans = run.overseen.spans
    assert len(spans) == 30
    assert all(one.until == other.since for one, other in pairwise(spans))
    created = [case.dossier.row.created_at for case in run.cases if not case.dossier.row.state.training]
    for span in spans:
        assert span.escalated.whole == sum(span.since <= at < span.until for at in created)
    assert spans[-1].until.astimezone(UTC) > max(created)
