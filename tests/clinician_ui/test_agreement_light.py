"""The light of agreement: families are counted and never members, and nothing it says calls an answer right."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinician_ui.presenters.agreement import Colour, Family, Light, Standing, standing_of
from tests.clinician_ui.certificates import seat, shown, verdict

FALSE = "refused: ungrounded: a cited value is not the case's"


def of(*answers: str | None, **changes: Any) -> Light:
    """The light over families of one member each, None for one that timed out."""
    light = shown(*(alone(f"f{place}", answer) for place, answer in enumerate(answers)), **changes).light
    assert light is not None
    return light


def alone(family: str, leading: str | None, **changes: object) -> dict[str, Any]:
    return seat(family, leading, "timed-out" if leading is None else "valid", family=family, **changes)


def lit(light: Light) -> tuple[Colour, Standing]:
    return light.colour, light.standing


# --- green ---------------------------------------------------------------------------------------------------------


def test_two_families_that_say_the_same_are_green_and_counted() -> None:
    light = of("yes", "yes")
    assert lit(light) == (Colour.GREEN, Standing.AGREE)
    assert light.sentence == "2 of 2 independent families say “Yes, now”."


def test_a_silent_family_is_told_beside_green_and_not_counted_as_agreeing() -> None:
    light = of("yes", "yes", None)
    assert lit(light) == (Colour.GREEN, Standing.AGREE)
    assert light.sentence == "2 of 3 independent families say “Yes, now”. 1 of 3 gave no valid answer."


def test_green_is_told_as_agreement_and_never_as_right() -> None:
    light = of("yes", "yes", "yes")
    said = f"{light.headline} {light.sentence}".lower()
    assert not any(word in said for word in ("correct", "right", "safe", "confirmed", "should"))
    assert "does not tell who is right" in light.caution


# --- members are not families ----------------------------------------------------------------------------------------


def test_three_members_of_one_family_that_agree_are_one_voice_and_not_green() -> None:
    light = shown(seat("a", "yes"), seat("b", "yes"), seat("c", "yes")).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.ONE)
    assert light.sentence == "1 of 1 independent family says “Yes, now”."


def test_a_large_family_does_not_outvote_two_small_ones() -> None:
    crowd = [seat(f"c{number}", "no", family="crowd") for number in range(5)]
    light = shown(*crowd, alone("one", "yes"), alone("two", "yes")).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.DIFFER)
    assert light.sentence.startswith("2 of 3 independent families say “Yes, now”. 1 of 3 independent")


def test_a_family_whose_members_differ_says_nothing_and_keeps_green_away() -> None:
    light = shown(
        alone("one", "yes"),
        alone("two", "yes"),
        seat("a", "yes", family="torn"),
        seat("b", "no", family="torn"),
    ).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.DIFFER)
    assert light.sentence == "2 of 3 independent families say “Yes, now”. 1 of 3 is divided within itself."
    assert [line.says.split(":")[0] for line in light.families] == ["Yes, now", "Yes, now", "Divided"]


def test_a_majority_within_a_family_does_not_speak_for_it() -> None:
    light = shown(seat("a", "yes"), seat("b", "yes"), seat("c", "no")).light
    assert light is not None
    assert lit(light) == (Colour.RED, Standing.SPLIT)
    assert light.sentence == "The one independent family is divided within itself."


def test_a_member_in_two_minds_divides_its_family() -> None:
    torn = alone("two", "yes") | {"votes": {"yes": 2, "no": 2}, "samples": 4}
    del torn["leading"]
    light = shown(alone("one", "yes"), torn).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.DIFFER)


def test_who_failed_in_a_family_does_not_divide_it() -> None:
    light = shown(seat("a", "yes"), seat("b", None, "down"), alone("two", "yes")).light
    assert light is not None
    assert lit(light) == (Colour.GREEN, Standing.AGREE)
    assert light.families[0].members == "1 of 2 members"


def test_parts_of_the_question_light_nothing() -> None:
    assert shown(seat("a", "high", asks="sepsis-risk"), seat("b", "high", asks="sepsis-risk")).light is None
    light = shown(alone("one", "yes"), seat("b", "yes", asks="sepsis-risk", family="two")).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.ONE)


# --- amber and red ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((None, None), (Colour.AMBER, Standing.NONE)),
        (("yes", None), (Colour.AMBER, Standing.ONE)),
        (("yes", "yes", "no"), (Colour.AMBER, Standing.DIFFER)),
        (("yes", "no"), (Colour.RED, Standing.SPLIT)),
        (("yes", "no", "later"), (Colour.RED, Standing.SPLIT)),
        (("yes", "yes", "no", "no"), (Colour.RED, Standing.SPLIT)),
        (("yes", "no", None, None), (Colour.RED, Standing.SPLIT)),
        (("yes", "yes", "no", "later"), (Colour.AMBER, Standing.DIFFER)),
    ],
)
def test_what_is_not_agreement_is_amber_or_red(
    answers: tuple[str | None, ...], expected: tuple[Colour, Standing]
) -> None:
    assert lit(of(*answers)) == expected


def test_a_veto_that_stands_is_red_however_many_agree() -> None:
    reasons = [{"code": "veto", "detail": "", "sentence": "A member that may not be outvoted disagrees."}]
    assert lit(of("yes", "yes", "yes", "no", verdict=verdict(reasons=reasons))) == (Colour.RED, Standing.VETO)


def test_another_reason_is_no_veto() -> None:
    reasons = [{"code": "policy-denies", "detail": "veto", "sentence": "veto"}]
    assert lit(of("yes", "yes", verdict=verdict(reasons=reasons))) == (Colour.GREEN, Standing.AGREE)


def refused(family: str) -> dict[str, Any]:
    return seat(family, None, "invalid", family=family, rationale=FALSE)


def test_where_most_families_cite_the_case_falsely_the_rest_are_no_agreement() -> None:
    seats = [alone("a", "yes"), alone("b", "yes"), *(refused(name) for name in ("c", "d", "e"))]
    light = shown(*seats).light
    assert light is not None
    assert lit(light) == (Colour.RED, Standing.REFUSED)
    assert sum("citing this case falsely" in line.says for line in light.families) == 3
    half = shown(*seats[:4]).light
    assert half is not None
    assert lit(half) == (Colour.GREEN, Standing.AGREE)


def test_a_family_that_answers_all_the_same_is_not_refused() -> None:
    mixed = [seat("a", "yes", family="x"), seat("b", None, "invalid", family="x", rationale=FALSE)]
    light = shown(*mixed, alone("two", "yes")).light
    assert light is not None
    assert lit(light) == (Colour.GREEN, Standing.AGREE)


def test_a_member_that_says_the_panels_words_itself_is_not_refused_for_them() -> None:
    abstains = [seat(name, None, "abstained", family=name, rationale=FALSE) for name in ("a", "b")]
    light = shown(*abstains).light
    assert light is not None
    assert lit(light) == (Colour.AMBER, Standing.NONE)


def test_nobody_asked_is_no_light_at_all() -> None:
    assert shown(seat("a", None, "not-heard"), seat("b", None, "not-heard")).light is None
    assert shown().light is None


# --- properties ------------------------------------------------------------------------------------------------------

FAMILIES = st.builds(
    lambda number, says, refused: Family(
        id=str(number), members=2, answered=0 if says == "silent" else 1,
        says=says if says in {"yes", "no", "later"} else None,
        refused=refused and says == "silent",
    ),
    st.integers(),
    st.sampled_from(["yes", "no", "later", "divided", "silent"]),
    st.booleans(),
)  # fmt: skip


@given(st.lists(FAMILIES, max_size=7), st.booleans())
def test_green_is_never_lit_over_a_doubt(families: list[Family], vetoed: bool) -> None:
    standing = standing_of(families, vetoed=vetoed)
    answering = [family for family in families if family.answered]
    agree = len(answering) > 1 and len({family.says for family in answering}) == 1 and answering[0].says
    mostly_refused = 2 * sum(family.refused for family in families) > len(families)
    assert (standing is Standing.AGREE) == bool(agree and not vetoed and not mostly_refused)


@given(st.lists(FAMILIES, min_size=1, max_size=5))
def test_the_order_of_families_makes_no_difference(families: list[Family]) -> None:
    found = {
        standing_of(order, vetoed=False) for order in itertools.islice(itertools.permutations(families), 24)
    }
    assert len(found) == 1
