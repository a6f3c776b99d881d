"""What was refused of a member's samples is read again from what was kept, and told only where it comes to what its opinion counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from arbiter.model import Evidence, MemberStatus, Opinion
from arbiter.panels.member import Answer, Asked, Sample
from arbiter.panels.panel import ask_member
from arbiter.workflow.review import Draws, Falsehood
from arbiter.workflow.review.grounds import MOST_REFUSED, drawn_of
from tests.panels.asking import CITED, NEWS2, RealClock, Stub, asked, fact_set, vote


async def judged(put: Asked, *samples: Sample, unreadable: int = 0) -> tuple[Opinion, Draws]:
    """The opinion that these samples come to, and how they ended as read again."""
    opinion = await ask_member(NEWS2, Stub(samples, unreadable), put, RealClock())
    drawn = drawn_of(opinion, Answer(samples, unreadable), put)
    assert drawn is not None
    voted = sum(count for _, count in opinion.votes)
    ended = drawn.abstained + drawn.refused + drawn.unreadable + drawn.uncounted
    assert voted + ended == opinion.samples, "every sample ended in one way"
    return opinion, drawn


def false(
    value: str = "9999", name: str = "heart_rate", option: str | None = "continue-monitoring"
) -> Sample:
    return vote(option, evidence=(Evidence(name, value, "high"),))


async def test_samples_that_ended_otherwise_than_with_a_vote_are_told_apart() -> None:
    opinion, drawn = await judged(asked(), vote(), vote(), vote(), vote(None), false(), unreadable=1)
    assert opinion.status is MemberStatus.VALID
    assert (drawn.abstained, drawn.refused, drawn.unreadable, drawn.uncounted) == (1, 1, 1, 0)


async def test_votes_that_were_too_few_to_count_are_not_told_as_refused() -> None:
    opinion, drawn = await judged(asked(), vote(), vote(None), vote(None), vote(None))
    assert opinion.status is MemberStatus.ABSTAINED
    assert (drawn.abstained, drawn.refused, drawn.uncounted) == (3, 0, 1)


async def test_each_way_in_which_a_citation_is_false_is_named() -> None:
    old = fact_set({"temperature": timedelta(days=400)}, lactate=None)
    samples = (false(), false("39", "temperature"), false("4.1", "lactate"))
    _, drawn = await judged(asked(old), *samples)
    assert {(cited.fact, cited.falsehood) for cited in drawn.citations} == {
        ("heart_rate", Falsehood.OTHER_VALUE),
        ("temperature", Falsehood.TOO_OLD),
        ("lactate", Falsehood.NOT_HELD),
    }


async def test_a_true_citation_beside_a_false_one_is_not_told_as_refused() -> None:
    _, drawn = await judged(asked(), vote(evidence=(CITED, Evidence("age", "12", "young"))))
    assert [cited.fact for cited in drawn.citations] == ["age"]


async def test_the_same_false_citation_is_told_once_with_how_many_samples_made_it() -> None:
    twice = vote(evidence=(Evidence("heart_rate", "9999", "high"),) * 2)
    _, drawn = await judged(asked(), false(), twice, false("8"))
    assert [(cited.value, cited.samples) for cited in drawn.citations] == [("9999", 2), ("8", 1)]


async def test_a_sample_refused_for_its_form_tells_nothing_of_what_it_wrote() -> None:
    shapeless = (
        vote("discharge", evidence=(Evidence("heart_rate", "9999", "high"),)),
        vote(evidence=(Evidence("heart_rate", "9999\u202e", "high"),)),
        vote(evidence=(Evidence("heart_rate", "9999", "x" * 10_000),)),
        vote(evidence=()),
    )
    _, drawn = await judged(asked(), *shapeless)
    assert (drawn.refused, drawn.citations) == (4, ())


async def test_a_flood_of_false_citations_is_counted_and_not_told_whole() -> None:
    flood = tuple(
        vote(evidence=tuple(Evidence("heart_rate", f"{sample}{number:03}", "high") for number in range(40)))
        for sample in range(2)
    )
    _, drawn = await judged(asked(), *flood)
    assert (len(drawn.citations), drawn.further) == (MOST_REFUSED, 80 - MOST_REFUSED)


@pytest.mark.parametrize(
    "other",
    [
        Answer((vote(), vote())),
        Answer((vote(), vote(), vote("urgent-review"))),
        Answer((vote(), vote(), false())),
        Answer((vote(), vote(), vote()), unreadable=1),
    ],
    ids=["fewer samples", "another vote", "a refused one in a vote's place", "one more that is no answer"],
)
async def test_an_exchange_that_does_not_come_to_the_opinion_is_not_told(other: Answer) -> None:
    opinion = await ask_member(NEWS2, Stub((vote(), vote(), vote())), asked(), RealClock())
    assert drawn_of(opinion, other, asked()) is None


async def test_an_answer_that_came_too_late_to_count_is_not_told() -> None:
    late = asked(deadline=RealClock().now() - timedelta(seconds=1))
    opinion = await ask_member(NEWS2, Stub((false(),)), late, RealClock())
    assert opinion.status is MemberStatus.TIMED_OUT
    assert drawn_of(opinion, Answer((false(),)), late) is None
