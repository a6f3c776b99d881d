"""Samples, disagreement and probability in words and lengths: nothing flatters, nothing is measured that was not."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbiter.workflow.review import Draws, Falsehood, RefusedCitation
from clinician_ui.presenters.certainty import Certainty
from clinician_ui.presenters.measures import Disagreement
from clinician_ui.presenters.spread import WIDTH, Spread
from tests.clinician_ui.certificates import drawn, measured, numbered, seat, settings, shown, verdict

# --- samples -----------------------------------------------------------------------------------------------------------


def spread(
    leading: str | None, votes: dict[str, int], samples: int, *draws: Draws, **changes: object
) -> Spread:
    status = "valid" if votes else "abstained"
    told = shown(seat("a", leading, status, votes=votes, samples=samples, **changes), draws=draws)
    found = told.members[0].spread
    assert found is not None
    return found


def test_samples_are_told_in_the_questions_order_with_silence_last() -> None:
    found = spread("no", {"no": 3, "yes": 1}, 5)
    assert [(part.title, part.count, part.kind) for part in found.slices] == [
        ("Yes, now", 1, "option-0"),
        ("No", 3, "option-1"),
        ("No vote that counts", 1, "silent"),
    ]
    assert found.words.startswith("1 of 5 samples: Yes, now. 3 of 5 samples: No.")


@pytest.mark.parametrize("samples", [0, 1])
def test_a_member_asked_once_has_no_spread(samples: int) -> None:
    assert shown(seat("a", "yes", samples=samples)).members[0].spread is None


def test_where_it_is_kept_what_became_of_samples_without_a_vote_they_are_told_apart() -> None:
    found = spread("no", {"no": 3}, 7, drawn("a", abstained=1, refused=2, unreadable=1))
    assert [(part.title, part.count) for part in found.slices] == [
        ("No", 3),
        ("Abstained", 1),
        ("Refused", 2),
        ("Could not be read", 1),
    ]


def test_votes_too_few_to_count_are_not_told_as_votes() -> None:
    found = spread(None, {}, 3, drawn("a", abstained=2, uncounted=1))
    assert [part.title for part in found.slices] == ["Abstained", "Voted, but too few did to count"]


@pytest.mark.parametrize(
    ("votes", "value", "words"),
    [
        ({"yes": 3}, "1.000000", "All its samples that voted say the same."),
        (
            {"yes": 2, "no": 1},
            "0.081704",
            "Its samples are in two minds: self-consistency 0.08, where 1 is all the same and 0 evenly divided.",
        ),
        (
            {"yes": 1, "no": 1, "later": 1},
            "0.000000",
            "Its samples are divided: self-consistency 0.00, where 1 is all the same and 0 evenly divided.",
        ),
        ({"yes": 2, "no": 1}, None, "Its samples are in two minds."),
        ({}, None, ""),
    ],
)
def test_self_consistency_is_told_in_words(votes: dict[str, int], value: str | None, words: str) -> None:
    changes = {} if value is None else {"self_consistency": value}
    assert spread(None, votes, 3, **changes).consistency == words


def test_an_option_that_the_question_lacks_is_not_left_out() -> None:
    assert [part.title for part in spread("not-high", {"not-high": 2}, 2).slices] == ["Not high"]


@given(st.lists(st.integers(min_value=0, max_value=40), min_size=4, max_size=4))
def test_the_parts_fill_the_bar_and_no_more(counts: list[int]) -> None:
    votes = {option: count for option, count in zip(("yes", "no", "later"), counts, strict=False) if count}
    samples = sum(counts)
    if samples < 2:
        return
    found = spread(None, votes, samples)
    assert sum(part.count for part in found.slices) == samples
    assert abs(sum(part.width for part in found.slices) - WIDTH) < 0.5
    for part, following in zip(found.slices, found.slices[1:], strict=False):
        assert abs(part.x + part.width - following.x) <= 0.11


def test_refused_citations_are_told_with_how_many_samples_made_them_and_how_many_more_there_are() -> None:
    false = RefusedCitation("heart_rate", "9999", "high", "yes", Falsehood.OTHER_VALUE, 3)
    card = shown(
        seat("a", None, "invalid", samples=3), draws=(drawn("a", false, refused=3, further=2),)
    ).members[0]
    (told,) = card.refused
    assert (told.title, told.value, told.mark, told.samples) == (
        "Heart rate",
        "9999",
        "Not the value in the case",
        "in 3 samples",
    )
    assert card.further == "2 further refused citations."


def test_what_one_member_was_refused_for_is_not_told_of_another() -> None:
    false = RefusedCitation("heart_rate", "9999", "high", "yes", Falsehood.OTHER_VALUE, 3)
    page = shown(seat("a", "yes"), seat("b", "yes", samples=3), draws=(drawn("b", false, refused=3),))
    assert {card.id: bool(card.refused) for card in page.members} == {"a": False, "b": True}


# --- disagreement --------------------------------------------------------------------------------------------------------


def disagreement(**numbers: str) -> Disagreement:
    found = shown(seat("a", "no"), verdict=measured(**numbers)).disagreement
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("between", "words", "over"),
    [
        ("0.000000", "The members that answered agree with one another.", False),
        ("0.811278", "0.81 on a scale from 0 to 1, more than the limit of 0.50", True),
        ("0.500000", "0.50 on a scale from 0 to 1, within the limit of 0.50", False),
        ("0.500001", "0.500001 on a scale from 0 to 1, more than the limit of 0.500000", True),
        ("0.499", "0.499 on a scale from 0 to 1, within the limit of 0.500", False),
    ],
)
def test_disagreement_is_measured_against_its_limit(between: str, words: str, over: bool) -> None:
    measure = disagreement(between=between, within="0.000000").measures[0]
    assert words in measure.sentence
    assert measure.over is over
    assert (measure.length > measure.limit_x) is (Decimal(between) > Decimal("0.51"))


def test_what_was_not_measured_is_not_called_agreement_and_draws_nothing() -> None:
    found = disagreement(valid="1.000000", effective="1.000000", families="1.000000")
    assert (
        found.unmeasured == "Disagreement could not be measured: fewer than two members gave a valid answer."
    )
    assert (found.measures, found.together) == ((), "")


def test_members_that_err_together_are_counted_as_fewer_voices() -> None:
    found = disagreement(valid="3.000000", effective="1.363636", families="1.0", between="0.1", within="0.0")
    assert "the 3 that answered count as 1.4 independent voices" in found.together
    assert [(row.counted, row.needed, row.short) for row in found.needed] == [
        ("3", "at least 2", False),
        ("1", "at least 2", True),
        ("1.4", "at least 1.2", False),
    ]


def test_what_was_not_counted_is_not_set_against_what_is_needed() -> None:
    assert disagreement(between="0.1", within="0.0").needed == ()


# --- certainty -----------------------------------------------------------------------------------------------------------

LEVEL = {"threshold": "0.951", "cases": 412, "errors": 3, "bound": "0.018745"}
POSTERIOR = {
    "valid": "3.0",
    "families": "2.0",
    "effective": "2.2",
    "posterior.yes": "0.934567",
    "posterior.no": "0.061433",
}


def certainty(
    numbers: dict[str, str] | None = None, stratum: dict[str, Any] | None = None, **note: object
) -> Certainty:
    kept = {"option": "yes", "alpha": "0.02", "certified": LEVEL} if stratum is None else stratum
    document = {"labels": 900, "synthetic": False, "delta": "0.05", "stratum": kept} | note
    found = shown(
        seat("a", "yes"),
        settings=settings(strategy="posterior"),
        verdict=verdict(leading="yes", numbers=numbered(numbers or POSTERIOR)),
        calibration=document,
    ).certainty
    assert found is not None
    return found


def test_what_leads_is_rounded_down_the_others_up_and_what_it_takes_is_told() -> None:
    found = certainty()
    assert [(option.title, option.value, option.leads) for option in found.options] == [
        ("Yes, now", "93.4%", True),
        ("No", "at most 6.2%", False),
    ]
    said = " ".join(found.sentences)
    assert (
        "To decide “Yes, now” without a clinician takes more than 95.1%. It is 1.7 percentage points short."
        in said
    )
    assert (
        "Of 412 cases whose answer is known and that would have been decided so, 3 were decided wrongly"
        in said
    )
    assert "with 95% confidence at most 1.9% of such decisions are wrong, and 2% may be." in said


def test_nothing_is_told_as_certain() -> None:
    found = certainty(POSTERIOR | {"posterior.yes": "1.000000", "posterior.no": "0.000000"})
    assert [option.value for option in found.options] == ["99.9%", "at most 0.1%"]


def test_a_decimal_does_not_hide_on_which_side_of_its_level_a_probability_lies() -> None:
    found = certainty(POSTERIOR | {"posterior.yes": "0.951200"})
    assert found.options[0].value == "95.12%"
    assert "takes more than 95.10%" in " ".join(found.sentences)
    assert "short" not in " ".join(found.sentences)


def test_a_bound_within_its_rate_is_not_rounded_past_it() -> None:
    level = LEVEL | {"bound": "0.019996"}
    said = " ".join(certainty(stratum={"option": "yes", "alpha": "0.02", "certified": level}).sentences)
    assert "at most 2.0% of such decisions" in said
    tight = LEVEL | {"bound": "0.010499"}
    said = " ".join(certainty(stratum={"option": "yes", "alpha": "0.0105", "certified": tight}).sentences)
    assert "at most 1.05% of such decisions are wrong, and 1.05% may be" in said


def test_an_option_of_which_nothing_is_certified_is_never_decided_alone() -> None:
    failed = {"option": "yes", "alpha": "0.02", "failed": LEVEL | {"bound": "0.0345"}}
    said = " ".join(certainty(stratum=failed).sentences)
    assert "However probable, “Yes, now” is not decided without a clinician." in said
    assert "at most 3.5%" in said
    none = " ".join(certainty(stratum={"option": "yes", "alpha": "0.02"}).sentences)
    assert "Too few cases whose answer is known led to it; 2% may be wrong." in none


def test_invented_cases_are_called_invented() -> None:
    assert "synthetic" in certainty(synthetic=True).sentences[-1]
    assert not any("synthetic" in sentence for sentence in certainty().sentences)


def test_what_missing_members_could_have_done_is_told() -> None:
    said = " ".join(certainty(least_probability="0.712345").sentences)
    assert "Whatever the missing members had said, “Yes, now” would be at least 71.2% probable." in said


def test_under_another_strategy_no_probability_is_told() -> None:
    assert shown(seat("a", "yes"), verdict=measured(**POSTERIOR)).certainty is None


def test_without_a_record_of_members_no_probability_is_made_up() -> None:
    page = shown(
        seat("a", "yes"),
        settings=settings(strategy="posterior"),
        verdict=measured(valid="2.0", families="1.0", effective="1.2"),
    )
    assert page.certainty is not None
    assert page.certainty.options == ()
    assert not re.search(r"\d", " ".join(page.certainty.sentences))


@given(st.decimals(min_value=0, max_value=1, places=6), st.decimals(min_value=0, max_value=1, places=3))
def test_no_probability_is_told_as_more_than_it_is(probability: Decimal, threshold: Decimal) -> None:
    numbers = POSTERIOR | {"posterior.yes": str(probability), "posterior.no": str(1 - probability)}
    level = LEVEL | {"threshold": str(threshold)}
    found = certainty(numbers, {"option": "yes", "alpha": "0.02", "certified": level})
    leads, other = (Decimal(re.sub(r"[^0-9.]", "", option.value)) for option in found.options)
    assert leads <= probability * 100
    assert leads < 100
    assert other >= min((1 - probability) * 100, Decimal("99.9999"))
