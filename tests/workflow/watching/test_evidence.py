"""Evidence is the e-process of its claim alone, alarms no oftener than its share of delta, and begins anew after each lift."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from scipy.stats import binomtest

from arbiter.calibration import Calibration, MemberRecord
from arbiter.model import ActorId, CaseId, MemberId
from arbiter.store.watching import AlarmKind, AlarmRow, AlarmStep, CountRow
from arbiter.workflow.watching.evidence import LEAST_MEMBER_RATE, Tally, delay_in_audits, due_alarms, tallies
from tests.adjudication.calibrations import LABELS, matrix, stratum

NOW = datetime(2026, 11, 27, tzinfo=UTC)
CALIBRATION = Calibration(
    protocol="p",
    protocol_version="1",
    protocol_hash="a" * 64,
    options=("yes", "no"),
    prior=(Decimal("0.3"), Decimal("0.7")),
    records=tuple(MemberRecord(MemberId(name), "b" * 64, matrix(2)) for name in ("one", "two")),
    facet_members=(),
    correlations=(),
    temperature=Decimal(1),
    delta=Decimal("0.05"),
    strata=(stratum("yes"), stratum("no", alpha=Decimal("0.02"))),
    labels=LABELS,
    smoothing=Decimal(1),
    shrinkage=Decimal(1),
    family_correlation=Decimal(0),
    code_version="1",
    content_hash="c" * 64,
)


def rows(*wrong: bool, option: str = "yes", members: dict[str, bool] | None = None) -> list[CountRow]:
    return [
        CountRow(
            CaseId(f"c_{at}"), "p", "c" * 64, option, each, each, Decimal("0.2"), members or {}, NOW, at + 1
        )
        for at, each in enumerate(wrong)
    ]


def step(target: str, what: AlarmStep, counted: int, kind: AlarmKind = AlarmKind.OPTION) -> AlarmRow:
    reason = "looked into" if what is AlarmStep.LIFTED else None
    return AlarmRow("p", "c" * 64, kind, target, what, counted, ActorId("usr"), NOW, reason)


def of(target: str, counts: list[CountRow], *steps: AlarmRow) -> Tally:
    (found,) = [each for each in tallies(CALIBRATION, counts, steps) if each.claim.target == target]
    return found


def mixture(errors: int, audits: int, alpha: float) -> float:
    """E of the first evidence, from its definition: three stakes, each betting on so many times the odds of alpha."""
    whole = 0.0
    for times, part in ((1.5, 0.25), (2.0, 0.5), (4.0, 0.25)):
        odds = times * alpha / (1 - alpha)
        rate = odds / (1 + odds)
        whole += part * (rate / alpha) ** errors * ((1 - rate) / (1 - alpha)) ** (audits - errors)
    return whole


def test_each_certified_option_and_each_recorded_member_is_watched() -> None:
    claims = [each.claim for each in tallies(CALIBRATION, [], [])]
    assert [(claim.kind.value, claim.target) for claim in claims] == [
        ("option", "yes"), ("option", "no"), ("member", "one"), ("member", "two"),
    ]  # fmt: skip
    assert [claim.alpha for claim in claims] == pytest.approx([0.05, 0.02, 0.15, 0.15])
    assert sum(2 * claim.delta for claim in claims[:2]) == pytest.approx(0.05), (
        "half of each share is left for after lifts"
    )


def test_an_option_that_is_not_certified_is_not_watched() -> None:
    silent = replace(CALIBRATION, strata=(stratum("yes", None), stratum("no")))
    options = [each.claim.target for each in tallies(silent, [], []) if each.claim.kind is AlarmKind.OPTION]
    assert options == ["no"]


def test_evidence_is_the_mixtures_likelihood_ratio() -> None:
    said = [False] * 40 + [True, False, True, True, False] + [False] * 5
    found = of("yes", rows(*said))
    assert (found.audits, found.errors) == (50, 3)
    share = found.claim.delta / 2
    assert found.path[-1] == pytest.approx(math.log(mixture(3, 50, 0.05)) + math.log(share), abs=1e-9)


def test_what_concerns_another_option_says_nothing() -> None:
    found = of("yes", rows(True, True, True, option="no"))
    assert (found.audits, found.errors, found.path) == (0, 0, ())


def test_a_member_is_judged_where_the_readers_word_tells() -> None:
    said = rows(False, members={"one": True}) + rows(True, members={})
    assert (of("one", said).audits, of("one", said).errors) == (1, 1)
    assert of("two", said).audits == 0


def test_an_alarm_is_due_once() -> None:
    wrong = rows(*[True] * 8)
    assert of("yes", wrong).is_due
    standing = of("yes", wrong, step("yes", AlarmStep.ALARMED, 8))
    assert not standing.is_due
    assert standing.standing is not None


def test_after_a_lift_what_was_counted_has_spoken_and_half_of_delta_is_left() -> None:
    wrong = rows(*[True] * 8)
    lifted = of("yes", wrong, step("yes", AlarmStep.ALARMED, 8), step("yes", AlarmStep.LIFTED, 8))
    assert (lifted.audits, lifted.is_due, lifted.standing) == (0, False, None)
    assert lifted.claim.delta == of("yes", []).claim.delta / 2
    twice = of("yes", wrong, *[step("yes", AlarmStep.LIFTED, at) for at in (2, 5)])
    assert (twice.audits, twice.claim.lifts) == (3, 2)


def test_doubts_that_a_lift_leaves_open_are_no_evidence_of_what_is_decided_after_it() -> None:
    lifted = step("yes", AlarmStep.LIFTED, 0)
    before = [replace(row, drawn_at=NOW - timedelta(days=1)) for row in rows(*[True] * 12)]
    assert of("yes", before).is_due
    assert of("yes", before, lifted).audits == 0, "they settle after it, all of them errors"
    after = [replace(row, drawn_at=NOW + timedelta(days=1)) for row in rows(*[True] * 12)]
    assert of("yes", after, lifted).is_due


def test_a_lift_by_a_clock_that_went_ahead_does_not_put_the_watch_to_sleep() -> None:
    ahead = replace(step("yes", AlarmStep.LIFTED, 0), at=NOW + timedelta(days=365))
    since = [replace(row, drawn_at=NOW - timedelta(days=1)) for row in rows(*[True] * 12)]
    assert of("yes", since, ahead).is_due


def test_steps_about_others_change_nothing() -> None:
    wrong = rows(*[True] * 8)
    other = replace(step("yes", AlarmStep.LIFTED, 8), calibration="d" * 64)
    for each in (other, step("no", AlarmStep.LIFTED, 8), step("yes", AlarmStep.LIFTED, 8, AlarmKind.MEMBER)):
        assert of("yes", wrong, each) == of("yes", wrong)


def test_the_order_of_audits_does_not_move_the_first_evidence() -> None:
    said = [True] * 2 + [False] * 60
    ends = set()
    for seed in range(5):
        random.Random(seed).shuffle(said)
        ends.add(round(of("yes", rows(*said)).path[-1], 9))
    assert len(ends) == 1


def test_false_alarms_stay_under_their_share() -> None:
    dice = random.Random(11)
    alarms = 0
    for _ in range(300):
        alarms += of("yes", rows(*(dice.random() < 0.05 for _ in range(400)))).watch.alarmed
    claim = of("yes", []).claim
    assert binomtest(alarms, 300, claim.delta, alternative="greater").pvalue > 0.01


def test_the_stated_delay_is_what_it_takes() -> None:
    claim = of("yes", []).claim
    stated = delay_in_audits(claim, 0.15)
    assert stated is not None
    dice = random.Random(12)
    took = []
    for _ in range(60):
        path = of("yes", rows(*(dice.random() < 0.15 for _ in range(1200)))).path
        took.append(next(at for at, near in enumerate(path, 1) if near >= 0))
    mean = sum(took) / len(took)
    error = math.sqrt(sum((each - mean) ** 2 for each in took) / len(took) / len(took))
    assert mean - 3 * error < stated, "it is stated as at most so many"
    assert stated < 1.5 * mean


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.05])
def test_no_delay_is_stated_for_a_rate_that_is_allowed(rate: float) -> None:
    assert delay_in_audits(of("yes", []).claim, rate) is None


def of_members(calibration: Calibration, counts: list[CountRow]) -> list[Tally]:
    return [each for each in tallies(calibration, counts, []) if each.claim.kind is AlarmKind.MEMBER]


def test_a_perfect_record_is_not_held_to_perfection() -> None:
    perfect = replace(
        CALIBRATION,
        records=tuple(replace(record, reliability=matrix(2, Decimal(1))) for record in CALIBRATION.records),
    )
    assert [each.claim.alpha for each in of_members(perfect, [])] == pytest.approx([0.05, 0.05])
    silent = replace(perfect, strata=(stratum("yes", None), stratum("no", None)))
    assert {each.claim.alpha for each in of_members(silent, [])} == {LEAST_MEMBER_RATE}


def test_members_as_their_records_say_alarm_no_oftener_than_stated_where_the_rare_answer_alone_is_decided() -> (
    None
):
    """Three members, independent given the truth; the panel decides for what is rare, where one of them is often wrong."""
    said = {"one": (0.97, 0.97), "two": (0.97, 0.97), "weak": (0.65, 0.99)}
    records = tuple(
        MemberRecord(
            MemberId(name),
            "b" * 64,
            ((Decimal(str(yes)), Decimal(str(1 - yes))), (Decimal(str(1 - no)), Decimal(str(no)))),
        )
        for name, (yes, no) in said.items()
    )
    panel = replace(
        CALIBRATION,
        prior=(Decimal("0.1"), Decimal("0.9")),
        records=records,
        strata=(stratum("yes"), stratum("no", None)),
    )
    dice, alarmed = random.Random(13), 0
    for _ in range(20):
        counts: list[CountRow] = []
        while len(counts) < 250:
            is_yes = dice.random() < 0.1
            right = {name: dice.random() < (yes if is_yes else no) for name, (yes, no) in said.items()}
            odds = 0.1 / 0.9
            for name, (yes, no) in said.items():
                odds *= yes / (1 - no) if right[name] == is_yes else (1 - yes) / no
            if odds / (1 + odds) > 0.9:
                (row,) = rows(not is_yes, members={name: not held for name, held in right.items()})
                counts.append(replace(row, order=len(counts) + 1))
        alarmed += any(each.watch.alarmed for each in of_members(panel, counts))
    assert binomtest(alarmed, 20, 0.05, alternative="greater").pvalue > 0.01


def test_an_alarm_is_due_whether_or_not_its_path_is_followed() -> None:
    for number in (1, 4, 8, 20):
        counts = rows(*[True] * number, members={"one": True})
        due = [replace(each, path=()) for each in tallies(CALIBRATION, counts, []) if each.is_due]
        assert list(due_alarms(CALIBRATION, counts, [])) == due
    assert due, "twenty wrong decisions are enough"
