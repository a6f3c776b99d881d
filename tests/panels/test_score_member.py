"""A score in a seat: freshness, citations, abstention."""

from datetime import timedelta
from decimal import Decimal

import pytest

from arbiter.model import Evidence, FactValue, MemberId, MemberStatus, Opinion
from arbiter.panels.panel import ask_member
from arbiter.panels.score_member import ScoreMember
from arbiter.panels.scores import cart, mews, news2, qsofa, sirs
from arbiter.panels.scores.table import Score
from tests.panels.asking import TAKEN_AT, RealClock, asked, fact_set

SCORES = [news2.SCORE, mews.SCORE, cart.SCORE, qsofa.SCORE]
AGEING = [(score, name) for score in SCORES for name in score.needs if name != "age"]
NEEDED = [(score, name) for score in SCORES for name in score.needs]


async def opinion_of(score: Score, **facts: FactValue | None) -> Opinion:
    put = asked(fact_set(**facts), MemberId(score.name))
    return await ask_member(MemberId(score.name), ScoreMember(score), put, RealClock())


async def test_a_score_cites_every_fact_it_read_with_its_points() -> None:
    opinion = await opinion_of(news2.SCORE, respiratory_rate=Decimal(25), temperature=Decimal("38.10"))
    assert opinion.status is MemberStatus.VALID
    assert opinion.votes == (("urgent-review", 1),)
    assert opinion.samples == 1
    cited = {item.fact: item for item in opinion.evidence}
    assert set(cited) == set(news2.NEEDS)
    assert cited["respiratory_rate"] == Evidence(
        "respiratory_rate", "25", "respiration rate 25 or more /min", 3
    )
    assert (cited["temperature"].value, cited["temperature"].points) == ("38.1", 1)
    assert (cited["supplemental_oxygen"].value, cited["consciousness"].value) == ("false", "alert")


async def test_the_opinion_is_bound_to_the_facts_and_the_identity() -> None:
    put = asked()
    opinion = await ask_member(MemberId("news2"), ScoreMember(news2.SCORE), put, RealClock())
    assert opinion.facts_hash == put.facts_hash
    assert opinion.identity.digest == news2.SCORE.digest()
    assert (opinion.identity.kind, opinion.identity.name, opinion.identity.version) == (
        "score",
        "news2",
        "2017",
    )


@pytest.mark.parametrize(("score", "name"), NEEDED, ids=lambda value: getattr(value, "name", value))
async def test_a_missing_input_makes_it_abstain_and_is_named(score: Score, name: str) -> None:
    opinion = await opinion_of(score, **{name: None})
    assert opinion.status is MemberStatus.ABSTAINED
    assert opinion.missing == (name,)
    assert opinion.votes == ()


@pytest.mark.parametrize(("score", "name"), AGEING, ids=lambda value: getattr(value, "name", value))
async def test_a_stale_input_makes_it_abstain_and_is_named(score: Score, name: str) -> None:
    stale = fact_set({name: timedelta(hours=4, microseconds=1)})
    member = MemberId(score.name)
    opinion = await ask_member(member, ScoreMember(score), asked(stale, member), RealClock())
    assert opinion.status is MemberStatus.ABSTAINED
    assert opinion.missing == (name,)


@pytest.mark.parametrize(("score", "name"), AGEING, ids=lambda value: getattr(value, "name", value))
async def test_an_input_at_exactly_its_greatest_age_still_counts(score: Score, name: str) -> None:
    fresh = fact_set({name: timedelta(hours=4)})
    member = MemberId(score.name)
    opinion = await ask_member(member, ScoreMember(score), asked(fresh, member), RealClock())
    assert opinion.status is MemberStatus.VALID


async def test_age_and_other_standing_facts_do_not_go_stale() -> None:
    old = fact_set({"age": timedelta(days=300)})
    opinion = await ask_member(
        MemberId("cart"), ScoreMember(cart.SCORE), asked(old, MemberId("cart")), RealClock()
    )
    assert opinion.status is MemberStatus.VALID


async def test_sirs_treats_a_stale_blood_count_as_not_measured() -> None:
    stale = fact_set({"white_cell_count": timedelta(days=2)}, heart_rate=Decimal(95))
    opinion = await ask_member(
        MemberId("sirs"), ScoreMember(sirs.SCORE), asked(stale, MemberId("sirs")), RealClock()
    )
    assert opinion.status is MemberStatus.ABSTAINED
    assert opinion.missing == ("white_cell_count",)
    assert {item.fact for item in opinion.evidence} == set()


async def test_ages_count_from_intake_and_not_from_the_time_of_asking() -> None:
    put = asked(fact_set())
    assert put.taken_at == TAKEN_AT
    assert put.too_old() == frozenset()


async def test_a_code_that_the_table_does_not_know_puts_the_member_down_without_quoting_it() -> None:
    opinion = await opinion_of(news2.SCORE, consciousness="patient's own words")
    assert opinion.status is MemberStatus.DOWN
    assert opinion.rationale == "failed with TypeError"


async def test_the_same_facts_give_the_same_answer_byte_for_byte() -> None:
    first = await ScoreMember(news2.SCORE).answer(asked())
    second = await ScoreMember(news2.SCORE).answer(asked())
    assert first == second
