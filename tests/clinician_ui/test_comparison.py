"""Facts against members: who used what, what is false, who contradicts whom, and what the reviewer ticked or did not."""

from __future__ import annotations

from typing import Any

import pytest

from arbiter.workflow.own_opinion import OwnOpinion
from arbiter.workflow.review import Falsehood, RefusedCitation
from clinician_ui.presenters.comparison import ComparedFact, Comparison
from tests.clinician_ui.certificates import OWN, cites, drawn, seat, shown


def compared(*seats: dict[str, Any], own: OwnOpinion | None = OWN, **changes: Any) -> Comparison:
    table = shown(*seats, own=own, **changes).comparison
    assert table is not None
    return table


def row(table: Comparison, title: str) -> ComparedFact:
    (found,) = [fact for fact in table.facts if fact.title == title]
    return found


def breaths(points: int | None = None, value: str = "24") -> list[dict[str, Any]]:
    return [cites("respiratory_rate", value, points)]


# --- who used what ---------------------------------------------------------------------------------------------------


def test_each_row_shows_who_used_the_fact_and_each_column_is_a_member_dissent_first() -> None:
    table = compared(
        seat("a", "no", evidence=breaths(2)),
        seat("b", "no", evidence=[cites("heart_rate", "112", 1)]),
        seat("c", "yes", evidence=[*breaths(3), cites("heart_rate", "112", 2)]),
        own=None,
    )
    assert [column.member for column in table.columns] == ["c", "a", "b"]
    assert [column.mark for column in table.columns] == ["Dissent", "", ""]
    assert [cell.empty for cell in row(table, "Respiratory rate").cells] == [False, False, True]
    assert [cell.empty for cell in row(table, "Heart rate").cells] == [False, True, False]
    assert row(table, "Respiratory rate").cells[0].citations[0].points == "3 points"


def test_every_cell_stands_under_its_own_member() -> None:
    table = compared(
        seat("a", "no", evidence=breaths()), seat("b", "yes", evidence=breaths()), seat("c", None, "down")
    )
    for fact in table.facts:
        assert [cell.column for cell in fact.cells] == list(table.columns)


def test_a_member_that_says_nothing_of_any_fact_has_no_column() -> None:
    assert [
        column.member for column in compared(seat("a", "no", evidence=breaths()), seat("b", "no")).columns
    ] == ["a"]
    assert shown(seat("a", None, "down")).comparison is None


def test_who_answers_a_part_of_the_question_stands_last_and_says_so() -> None:
    table = compared(
        seat("q", "high", asks="sepsis-risk", evidence=breaths(1)), seat("a", "no", evidence=breaths(2))
    )
    assert [(column.member, column.asks) for column in table.columns] == [("a", ""), ("q", "Sepsis risk")]


def test_a_fact_cited_twice_keeps_both() -> None:
    table = compared(seat("a", "no", evidence=[*breaths(1), *breaths(2)]))
    assert [it.points for it in row(table, "Respiratory rate").cells[0].citations] == ["1 point", "2 points"]


def test_no_points_are_not_nought_points() -> None:
    cited = row(compared(seat("a", "no", evidence=breaths(None))), "Respiratory rate").cells[0].citations[0]
    assert (cited.points, cited.nothing) == ("Cites it", False)


def test_what_was_only_looked_at_and_what_nobody_used_is_told_apart() -> None:
    table = compared(seat("a", "no", evidence=[*breaths(2), cites("heart_rate", "112", 0)]), own=None)
    assert [(idle.title, idle.value, idle.members) for idle in table.idle] == [
        ("Heart rate", "112\u00a0per minute", "Score a")
    ]
    assert table.uncited == ("Consciousness", "Temperature")
    assert "Blood lactate" not in table.uncited, "the case does not hold it"


# --- against the case ------------------------------------------------------------------------------------------------


def test_a_true_citation_has_no_mark_and_no_value_of_its_own() -> None:
    cited = row(compared(seat("a", "no", evidence=breaths(value="24.0"))), "Respiratory rate")
    assert (cited.value, cited.cells[0].citations[0].value) == ("24\u00a0per minute", "")
    assert not cited.cells[0].citations[0].mark


@pytest.mark.parametrize(
    ("cited", "title", "mark"),
    [
        (cites("respiratory_rate", "42", 3), "Respiratory rate", "Not the value in the case"),
        (cites("lactate", "4", 3), "Blood lactate", "The case does not hold this fact"),
        (cites("temperature", "38.6", 3), "Temperature", "Too old when the case came in"),
        (cites("made_up", "1", 3), "Made up", "The case does not hold this fact"),
    ],
)
def test_a_citation_that_is_not_true_of_the_case_is_marked_in_words(
    cited: dict[str, Any], title: str, mark: str
) -> None:
    table = compared(seat("a", "no", evidence=[cited]))
    found = row(table, title).cells[0].citations[0]
    assert (found.mark, bool(found.value)) == (mark, True)
    assert "1 citation is not true of this case." in table.summary


def test_a_false_citation_that_gives_nought_points_is_not_put_aside() -> None:
    table = compared(seat("a", "no", evidence=[cites("heart_rate", "60", 0)]))
    assert row(table, "Heart rate").cells[0].citations[0].mark


def test_a_refused_citation_stands_in_its_row_and_does_not_count_as_use() -> None:
    false = RefusedCitation("heart_rate", "9999", "high", "yes", Falsehood.OTHER_VALUE, 3)
    table = compared(
        seat("a", "no", evidence=breaths()), seat("m", None, "invalid"), draws=(drawn("m", false, refused=3),)
    )
    fact = row(table, "Heart rate")
    cited = fact.cells[1].citations[0]
    assert (cited.refused, cited.value, cited.mark) == (True, "9999", "Not the value in the case")
    assert fact.own == "", "a citation that does not count is no use of a fact"


def test_a_fact_the_case_lacks_says_so_and_who_lacks_it() -> None:
    fact = row(compared(seat("a", None, "abstained", missing=["lactate"])), "Blood lactate")
    assert (fact.value, fact.cells[0].lacks) == (None, True)


# --- the reviewer's ticks --------------------------------------------------------------------------------------------


def test_what_the_reviewer_ticked_and_members_used_or_not_is_said() -> None:
    own = OwnOpinion("yes", 70, ("respiratory_rate", "heart_rate", "consciousness"), "")
    table = compared(seat("a", "no", evidence=[*breaths(2), cites("heart_rate", "112", 0)]), own=own)
    assert row(table, "Respiratory rate").own == "You ticked this"
    assert row(table, "Heart rate").own == "You ticked this; members that looked at it give it no points"
    assert row(table, "Consciousness").own == "You ticked this; no member cites it"


def test_what_members_used_and_the_reviewer_did_not_tick_is_said() -> None:
    own = OwnOpinion("yes", 70, (), "")
    table = compared(seat("a", "no", evidence=[*breaths(2), cites("heart_rate", "112", 0)]), own=own)
    assert row(table, "Respiratory rate").own == "You did not tick this"
    assert [idle.title for idle in table.idle] == ["Heart rate"]


def test_nothing_is_said_of_ticks_where_no_opinion_was_given() -> None:
    table = compared(seat("a", "no", evidence=breaths()), own=None)
    assert {fact.own for fact in table.facts} == {""}


# --- contradictions --------------------------------------------------------------------------------------------------


def test_a_fact_that_one_weighs_and_another_does_not_is_a_contradiction() -> None:
    table = compared(seat("a", "no", evidence=breaths(0)), seat("b", "yes", evidence=breaths(12)))
    assert row(table, "Respiratory rate").contradictions == (
        "Weighed differently: Score b 12 points, Score a 0 points.",
    )
    assert table.summary.startswith("Members contradict one another on 1 fact.")


def test_points_of_the_other_sign_are_a_contradiction() -> None:
    table = compared(seat("a", "no", evidence=breaths(-1)), seat("b", "yes", evidence=breaths(1)))
    assert row(table, "Respiratory rate").contradictions


def test_more_or_fewer_points_are_none() -> None:
    table = compared(seat("a", "no", evidence=breaths(1)), seat("b", "yes", evidence=breaths(12)))
    assert row(table, "Respiratory rate").contradictions == ()
    assert table.summary.startswith("Members contradict one another on no fact.")


def test_the_same_fact_cited_for_different_answers_is_a_contradiction() -> None:
    table = compared(seat("a", "no", evidence=breaths()), seat("b", "yes", evidence=breaths()))
    assert row(table, "Respiratory rate").contradictions == (
        "Cited for different answers: Score a for “No”; Score b for “Yes, now”.",
    )


def test_the_same_fact_cited_for_the_same_answer_is_none() -> None:
    table = compared(seat("a", "no", evidence=breaths()), seat("b", "no", evidence=breaths()))
    assert row(table, "Respiratory rate").contradictions == ()


def test_a_member_without_an_answer_contradicts_nobody_by_citing() -> None:
    table = compared(seat("a", "no", evidence=breaths()), seat("b", None, "abstained", evidence=breaths()))
    assert row(table, "Respiratory rate").contradictions == ()


def test_points_and_words_are_not_held_against_each_other() -> None:
    table = compared(seat("a", "no", evidence=breaths(0)), seat("b", "yes", evidence=breaths()))
    assert row(table, "Respiratory rate").contradictions == ()


def test_members_that_are_asked_different_things_do_not_contradict_each_other() -> None:
    table = compared(
        seat("a", "no", evidence=breaths(0)), seat("q", "high", asks="sepsis-risk", evidence=breaths(1))
    )
    assert all(not fact.contradictions for fact in table.facts)


def test_one_that_lacks_what_another_cites_is_a_contradiction() -> None:
    table = compared(
        seat("a", "no", evidence=breaths(2)), seat("b", None, "abstained", missing=["respiratory_rate"])
    )
    assert row(table, "Respiratory rate").contradictions == (
        "Score b says it lacks this. Cited by: Score a.",
    )
