"""What the paragraph says of probabilities and of what is certified: every number is the certificate's, and none flatters."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbiter.adjudication import Bench, certificate, decide, hear
from arbiter.adjudication.certificate import calibration_note
from arbiter.adjudication.probable_words import probable_sentences
from arbiter.calibration import Calibration, Stratum
from arbiter.documents.calibrations import sealed
from arbiter.model import (
    CaseId,
    MemberIdentity,
    MemberStatus,
    Opinion,
    PolicyOutcome,
    Reason,
    ReasonCode,
    Verdict,
    VerdictKind,
)
from arbiter.question import Strategy
from tests.adjudication.calibrations import LABELS, calibration, level
from tests.adjudication.small import AT, PERMITS, abstains, always, bench, opinion, opinions, seat

AGREED = opinions("urgent", "urgent", "urgent")
SYNTHETIC = "The labelled cases behind these figures are synthetic: a generator invented them, and of real patients they show nothing."


def court(known: Calibration | None = None, **changes: Any) -> Bench:
    made = bench(strategy=Strategy.POSTERIOR, threshold=None)
    return replace(made, calibration=known or calibration(made.protocol, **changes))


def with_stratum(*strata: Stratum, **changes: Any) -> Bench:
    return court(strata=strata, **changes)


def written(court: Bench, given: list[Opinion], outcome: PolicyOutcome = PERMITS) -> dict[str, Any]:
    verdict = decide(court, given, always(outcome))
    return certificate(
        case=CaseId("case-1"),
        bench=court,
        facts_version=1,
        opinions=given,
        outcome=outcome,
        verdict=verdict,
        code_version="0.1.0",
        concluded_at=AT,
        calibration=calibration_note(court, given, verdict),
    )


def said(court: Bench, given: list[Opinion]) -> str:
    """Return what stands between what the members said and the policy's word."""
    plain: str = written(court, given)["plain"]
    between = re.search(
        r"(?:said: “\w+”|not be reached|lacking a usable value of \w+|several answers)\. (?!.*said: “)(.*)Rule the-rule",
        plain,
    )
    assert between is not None, plain
    return between[1].strip()


# --- what it reads like ---------------------------------------------------------------------------------------------------


def test_a_decision_reads_like_this() -> None:
    """Three right nine times in ten: 729/730 = 0.998630; of 200 cases 2 wrong, and the bound is 0.031111."""
    assert written(court(), AGREED)["plain"] == (
        "The question: Does this person need urgent review? "
        "Three of three voting members gave a valid answer. "
        "A, B and C said: “Urgent”. "
        "Weighed by how often each member was right before, and counted as 3.0 independent members, "
        "the answers make “Urgent” 99.8% probable and “Watch” at most 0.2%. "
        "Of the say each has: A 33.3%, B 33.3% and C 33.3%. "
        "Deciding “Urgent” alone takes more than 80.0%. "
        "Of 200 labelled cases decided so, 2 were wrong: with 95% confidence at most 3.2% of such decisions are, "
        f"and 5% are allowed. {SYNTHETIC} "
        "Rule the-rule permits a decision without a clinician: Because. "
        "The panel decided: “Urgent”."
    )


def test_an_answer_that_is_not_probable_enough_reads_like_this() -> None:
    """81/82 = 0.987805 with two of three against one: 9/10, rounded down; short of 0.95 by 5.0 points."""
    panel = court(thresholds={"urgent": "0.95"}, labels=replace(LABELS, synthetic=False))
    assert said(panel, opinions("urgent", "urgent", "watch")) == (
        "Weighed by how often each member was right before, and counted as 3.0 independent members, "
        "the answers make “Urgent” 90.0% probable and “Watch” at most 10.0%. "
        "Of the say each has: A 33.3%, B 33.3% and C 33.3%. "
        "Deciding “Urgent” alone takes more than 95.0%: it is 5.0 percentage points short. "
        "Of 200 labelled cases decided so, 2 were wrong: with 95% confidence at most 3.2% of such decisions are, "
        "and 5% are allowed."
    )


def test_an_option_of_which_nothing_is_certified_reads_like_this() -> None:
    failed = level("0.97", accepted=60, errors=4, bound="0.145657")
    other = Stratum("watch", Decimal("0.05"), level("0.8"), (level("0.8"),))
    panel = with_stratum(Stratum("urgent", Decimal("0.05"), None, (failed,)), other)
    assert said(panel, AGREED).split("33.3%. ")[-1] == (
        "Nothing is certified of deciding “Urgent” alone: of 60 labelled cases at the strictest level that was tried, "
        f"4 were wrong, which leaves up to 14.6% possible with 95% confidence, and 5% are allowed. {SYNTHETIC}"
    )


def test_an_option_with_too_few_cases_to_try_reads_like_this() -> None:
    panel = with_stratum(Stratum("urgent", Decimal("0.0125"), None, ()))
    assert (
        "Nothing is certified of deciding “Urgent” alone: too few labelled cases led to it, and 1.25% wrong decisions are allowed."
    ) in said(panel, AGREED)


def test_an_option_that_the_calibration_does_not_name_is_told_by_the_reason_alone() -> None:
    panel = with_stratum(Stratum("watch", Decimal("0.05"), level("0.8"), (level("0.8"),)))
    document = written(panel, AGREED)
    assert "stratum" not in document["calibration"]
    assert "alone takes" not in document["plain"]
    assert "nothing is certified of deciding “Urgent”" in document["plain"]


def test_a_level_of_nothing_asks_for_the_lead_alone() -> None:
    assert "For deciding “Urgent” alone it is enough that it leads." in said(
        court(thresholds={"urgent": "0"}), AGREED
    )


def test_a_missing_member_could_have_made_it_less_probable() -> None:
    """Two of three said urgent: 81/82; were the third against it, 9/10 of them are left."""
    given = [*opinions("urgent", "urgent"), opinion("c", status=MemberStatus.DOWN)]
    document = written(court(), given)
    assert document["calibration"]["least_probability"] == "0.900000"
    assert "Whatever the missing members had said, “Urgent” would be at least 90.0% probable." in said(
        court(), given
    )
    assert "“Urgent” 98.7% probable and “Watch” at most 1.3%" in said(court(), given)


def test_one_that_abstained_is_not_missing() -> None:
    given = [*opinions("urgent", "urgent"), abstains("c", "lactate")]
    assert "least_probability" not in written(court(), given)["calibration"]
    assert "missing members" not in said(court(), given)


def test_one_member_alone_is_not_compared() -> None:
    given = [*opinions("urgent"), abstains("b"), abstains("c", "lactate")]
    assert said(court(), given).startswith(
        "B abstained. C abstained, lacking a usable value of Lactate. "
        "Weighed by how often that member was right before, its answer makes “Urgent” 90.0% probable "
        "and “Watch” at most 10.0%. Deciding “Urgent” alone takes more than 80.0%."
    )


def test_where_nothing_leads_no_option_is_told_as_sure() -> None:
    panel = court()
    given = [opinion("a", {"urgent": 1, "watch": 1}), opinion("b", {"urgent": 1, "watch": 1})]
    told = said(panel, [*given, abstains("c", "lactate")])
    assert "the answers make “Urgent” at most 50.0% probable and “Watch” at most 50.0%." in told
    assert "alone" not in told


@pytest.mark.parametrize("known", [None, "another protocol", "another member"])
def test_without_a_record_nothing_is_said_to_be_probable(known: str | None) -> None:
    panel, given = court(), AGREED
    if known is None:
        panel = replace(panel, calibration=None)
    elif known == "another protocol":
        panel = court(sealed(replace(calibration(panel.protocol), protocol_hash="0" * 64)))
    else:
        given = [*AGREED[:2], replace(AGREED[2], identity=MemberIdentity("score", "c", "2", "d" * 64))]
    assert said(panel, given) == (
        "How probable the answers are cannot be said; they are counted by their families alone, as 3.0 independent members."
    )
    assert "%" not in written(panel, given)["plain"]


@pytest.mark.parametrize(
    "strategy", [each for each in Strategy if each is not Strategy.POSTERIOR], ids=lambda s: s.value
)
def test_other_strategies_say_nothing_of_it(strategy: Strategy) -> None:
    panel = bench(strategy=strategy)
    assert (
        probable_sentences(panel.protocol, hear(panel, AGREED), decide(panel, AGREED, always(PERMITS)), None)
        == []
    )


def test_where_nobody_answered_there_is_nothing_to_say() -> None:
    silent = [abstains(member, "lactate") for member in "abc"]
    plain = written(court(), silent)["plain"]
    assert "probable" not in plain
    assert "%" not in plain


def test_an_escalation_of_the_workflows_own_says_nothing_of_it() -> None:
    panel = court()
    late = Verdict(VerdictKind.ESCALATE, None, None, (Reason(ReasonCode.DEADLINE, ""),), (), ())
    assert probable_sentences(panel.protocol, hear(panel, AGREED), late, None) == []


def test_a_member_of_a_family_is_counted_as_the_calibration_says() -> None:
    alike = court(correlations={("a", "b"): "1", ("a", "c"): "1", ("b", "c"): "1"})
    assert "counted as 1.0 independent member, the answers make “Urgent” 90.0% probable" in said(
        alike, AGREED
    )
    half = court(correlations={("a", "b"): "0.5"})
    # 2/3 + 2/3 + 1, and each share of that: 2/7, 2/7, 3/7.
    assert "counted as 2.3 independent members" in said(half, AGREED)
    assert "Of the say each has: A 28.6%, B 28.6% and C 42.9%." in said(half, AGREED)


# --- no number flatters ----------------------------------------------------------------------------------------------------

MILLIONTHS = st.integers(0, 1_000_000)


def told_of(
    probability: int, threshold: Decimal, bound: Decimal, alpha: Decimal, least: int | None = None
) -> tuple[str, Verdict, dict[str, Any]]:
    """Return what is said of made-up numbers of a certificate."""
    panel = bench(strategy=Strategy.POSTERIOR, threshold=None)
    stated, other = f"{probability / 1e6:.6f}", f"{(1_000_000 - probability) / 1e6:.6f}"
    enough = Decimal(stated) > threshold
    verdict = Verdict(
        VerdictKind.DECIDE if enough else VerdictKind.ESCALATE,
        "urgent" if enough else None,
        "urgent",
        () if enough else (Reason(ReasonCode.NOT_CERTIFIED, ""),),
        (),
        (
            ("effective", "2.000000"),
            *((f"weight.{member}", "0.333333") for member in "abc"),
            ("posterior.urgent", stated),
            ("posterior.watch", other),
        ),
    )
    certified = {"threshold": f"{threshold:f}", "cases": 385, "errors": 1, "bound": f"{bound:f}"}
    note: dict[str, Any] = {
        "delta": "0.05",
        "synthetic": False,
        "stratum": {"option": "urgent", "alpha": f"{alpha:f}", "certified": certified},
    }
    if least is not None:
        note["least_probability"] = f"{least / 1e6:.6f}"
    return " ".join(probable_sentences(panel.protocol, hear(panel, AGREED), verdict, note)), verdict, note


def percent(pattern: str, text: str) -> Decimal:
    found = re.search(pattern.replace("%", r"([\d.]+)%"), text)
    assert found is not None, text
    return Decimal(found[1]) / 100


@settings(deadline=None, max_examples=400)
@given(
    probability=MILLIONTHS,
    threshold=st.integers(1, 999_999_999).map(lambda n: Decimal(n) / 10**9),
    least=st.none() | MILLIONTHS,
)
def test_a_probability_is_never_told_higher_nor_a_level_lower_than_they_are(
    probability: int, threshold: Decimal, least: int | None
) -> None:
    least = None if least is None else min(least, probability)
    told, _, note = told_of(probability, threshold, Decimal("0.01"), Decimal("0.02"), least)
    leads = percent("“Urgent” % probable", told)
    stated = Decimal(probability) / 10**6
    assert leads <= stated
    assert leads < 1
    assert percent("“Watch” at most %", told) >= max(1 - stated, Decimal("0.001"))
    needed = percent("alone takes more than %", told)
    assert needed >= threshold
    if least is not None:
        assert percent("at least %", told) <= Decimal(note["least_probability"])
        if Decimal(note["least_probability"]) > threshold:
            assert percent("at least %", told) > needed
    # Certainty is told as a millionth less.
    if min(stated, 1 - Decimal("0.000001")) > threshold:
        assert leads > needed
    elif stated <= threshold:
        short = re.search(r"it is ([\d.]+) percentage points short", told)
        assert short is not None
        assert Decimal(short[1]) / 100 == needed - leads
        assert Decimal(short[1]) / 100 >= threshold - stated


@settings(deadline=None, max_examples=200)
@given(
    bound=st.integers(1, 999_999).map(lambda n: Decimal(n) / 10**6), room=st.integers(0, 10_000).map(Decimal)
)
def test_a_bound_is_never_told_lower_than_it_is_nor_above_the_rate_it_keeps(
    bound: Decimal, room: Decimal
) -> None:
    alpha = min(Decimal(1), bound + room / 10**7)
    told, _, _ = told_of(990_000, Decimal("0.9"), bound, alpha)
    assert bound <= percent("at most % of such decisions", told) <= alpha
    assert percent("and % are allowed", told) == alpha


@pytest.mark.parametrize(
    ("probability", "threshold", "leads", "needed"),
    [
        (1_000_000, "0.5", "99.9%", "50.0%"),
        (999_600, "0.5", "99.9%", "50.0%"),
        (969_400, "0.969200", "96.94%", "96.92%"),
        (969_400, "0.969398", "96.9400%", "96.9398%"),
        # Rounded up it would be what it is below.
        (969_400, "0.9693992", "96.9400%", "96.93992%"),
        (968_999, "0.969000", "96.8%", "96.9%"),
    ],
)
def test_numbers_close_together_are_told_with_more_decimals(
    probability: int, threshold: str, leads: str, needed: str
) -> None:
    told, _, _ = told_of(probability, Decimal(threshold), Decimal("0.01"), Decimal("0.02"))
    assert f"“Urgent” {leads} probable" in told
    assert f"takes more than {needed}" in told


@pytest.mark.parametrize(
    ("errors", "words"), [(0, "none was wrong"), (1, "1 was wrong"), (2, "2 were wrong")]
)
def test_errors_are_counted_in_words_that_fit(errors: int, words: str) -> None:
    held = level("0.8", accepted=385, errors=errors, bound="0.012262")
    panel = with_stratum(Stratum("urgent", Decimal("0.05"), held, (held,)))
    assert f"Of 385 labelled cases decided so, {words}: with 95% confidence at most 1.3% of" in said(
        panel, AGREED
    )


def test_every_number_of_the_sentences_is_one_that_the_certificate_states() -> None:
    seats = (seat("a"), seat("b"), seat("c"))
    made = bench(*seats, strategy=Strategy.POSTERIOR, threshold=None)
    panel = replace(made, calibration=calibration(made.protocol, correlations={("a", "b"): "0.3"}))
    document = written(panel, [*opinions("urgent", "urgent"), opinion("c", status=MemberStatus.DOWN)])
    note = document["calibration"]
    stated = [Decimal(each["value"]) for each in document["verdict"]["numbers"]]
    certified = note["stratum"]["certified"]
    stated += [Decimal(certified[name]) for name in ("threshold", "cases", "errors", "bound")]
    stated += [
        Decimal(note["stratum"]["alpha"]),
        1 - Decimal(note["delta"]),
        Decimal(note["least_probability"]),
    ]
    sentences = document["plain"].split("not be reached. ")[1].split("Rule the-rule")[0]
    numbers = [(Decimal(number), per_cent) for number, per_cent in re.findall(r"([\d.]*\d)(%?)", sentences)]
    assert len(numbers) >= 10
    for number, per_cent in numbers:
        value = number / 100 if per_cent else number
        off = Decimal("0.001") if per_cent else Decimal("0.1")
        assert any(abs(value - each) < off for each in stated), (number, per_cent)
