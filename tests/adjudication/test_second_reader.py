"""Whether two readers are needed: where policy says so, and never silently not where it could not say."""

from __future__ import annotations

import pytest

from arbiter.adjudication.certifying import needs_second_reader
from arbiter.model import PolicyOutcome, RuleEffect, RuleFailure, RuleHit
from arbiter.policy.evaluation import cautious
from tests.protocols.shipping import bundle

TWICE, ONCE = bundle("surgery-readiness").protocol, bundle("deterioration").protocol


def outcome(*effects: RuleEffect, failed: bool = False) -> PolicyOutcome:
    hits = tuple(RuleHit(effect.value, effect, (), "why") for effect in effects)
    return PolicyOutcome((), hits, (RuleFailure("other", "an error"),) if failed else (), "0" * 64)


def test_a_rule_that_holds_asks_for_two_and_one_that_does_not_for_one() -> None:
    assert needs_second_reader(TWICE, outcome(RuleEffect.SECOND_READER))
    assert not needs_second_reader(TWICE, outcome(RuleEffect.DENY))


@pytest.mark.parametrize("unheard", [outcome(failed=True), None])
def test_a_policy_that_could_not_be_asked_asks_for_two_where_it_has_such_a_rule(
    unheard: PolicyOutcome | None,
) -> None:
    assert needs_second_reader(TWICE, unheard)
    assert not needs_second_reader(ONCE, unheard)


def test_two_readers_are_not_shown_the_panel_first() -> None:
    assert outcome(RuleEffect.SHOW_PANEL_FIRST).shows_panel_first
    assert not outcome(RuleEffect.SHOW_PANEL_FIRST, RuleEffect.SECOND_READER).shows_panel_first


def test_an_old_fact_can_ask_for_a_second_reader_and_not_take_one_away() -> None:
    asks, silent = outcome(RuleEffect.SECOND_READER), outcome()
    assert cautious(silent, asks).needs_second_reader
    assert cautious(asks, silent).needs_second_reader
