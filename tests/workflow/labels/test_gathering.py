"""What label a case has by the end that it came to, and what is left out and why, in a real house."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from arbiter.errors import ErasedError, ForbiddenError, NotFoundError, RefusedError
from arbiter.identity.roles import Permission
from arbiter.identity.sites import add_site
from arbiter.model import VerdictKind
from arbiter.workflow.labels.choosing import Kind
from arbiter.workflow.labels.gathering import LeftOut, gather, note_gathered
from tests.houses import types_of
from tests.workflow.labels.conftest import Ends
from tests.workflow.labels.hospital import CALM, PROTOCOL, URGENT

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIFTH = Decimal("0.2")
LABELS: dict[str, tuple[str, Kind, Decimal, bool]] = {
    "audit agrees": (CALM, Kind.INDEPENDENT_READER, FIFTH, False),
    "audit wrong by two": (URGENT, Kind.INDEPENDENT_READER, FIFTH, False),
    "audit doubted, not confirmed": (CALM, Kind.BLIND_OPINION, FIFTH, True),
    "audit waits for a second reader": (URGENT, Kind.BLIND_OPINION, Decimal("0.5"), False),
    "outcome of a decision": (CALM, Kind.OUTCOME, Decimal(1), False),
    "outcome against an audit": (URGENT, Kind.OUTCOME, Decimal(1), True),
    "independent reader told": (CALM, Kind.INDEPENDENT_READER, Decimal(1), False),
    "outcome against a reader told": (URGENT, Kind.OUTCOME, Decimal(1), True),
    "own opinion, then signed otherwise": (URGENT, Kind.BLIND_OPINION, Decimal(1), False),
    "excluded": (CALM, Kind.BLIND_OPINION, Decimal(1), False),
    "two reviewers differ": (CALM, Kind.BLIND_OPINION, Decimal(1), True),
    "seen, handed back, taken again": (URGENT, Kind.BLIND_OPINION, Decimal(1), False),
    "awaiting facts": (CALM, Kind.OUTCOME, Decimal(1), False),
    "cancelled": (URGENT, Kind.BLIND_OPINION, Decimal(1), False),
}
LEFT_OUT: dict[str, LeftOut] = {
    "drawn and not read": LeftOut.UNLABELLED,
    "decided, nothing known": LeftOut.UNLABELLED,
    "disputed, not drawn": LeftOut.DISPUTED,
    "panel shown first": LeftOut.UNLABELLED,
    "panel could be seen first": LeftOut.UNLABELLED,
    "escalated, nobody looked": LeftOut.UNLABELLED,
    "judged on other facts": LeftOut.UNLABELLED,
    "training": LeftOut.TRAINING,
    "entered in error": LeftOut.ENTERED_IN_ERROR,
    "superseded": LeftOut.SUPERSEDED,
    "the one in its place": LeftOut.UNLABELLED,
    "erased": LeftOut.ERASED,
}
OPENED = {*LABELS, "disputed, not drawn", "panel could be seen first"}
"""Those whose entries say that they may have a label."""


async def test_every_end_is_told_apart_here(ends: Ends) -> None:
    assert {*LABELS, *LEFT_OUT} == set(ends.cases)
    assert not LABELS.keys() & LEFT_OUT.keys()


@pytest.mark.parametrize("name", LABELS)
async def test_the_label_of_a_case(ends: Ends, name: str) -> None:
    (found,) = (found for found in ends.gathered.found if found.case == ends.cases[name])
    label = found.label
    assert (label.option, label.kind, label.probability, label.contradicted) == LABELS[name]


@pytest.mark.parametrize("name", LEFT_OUT)
async def test_a_case_without_a_label_is_not_among_them(ends: Ends, name: str) -> None:
    assert ends.cases[name] not in {found.case for found in ends.gathered.found}


async def test_each_case_that_is_left_out_is_counted_once_by_its_reason(ends: Ends) -> None:
    assert Counter(ends.gathered.left_out) == Counter(LEFT_OUT.values())
    counted = len(ends.gathered.found) + sum(ends.gathered.left_out.values())
    assert counted == len(ends.cases)


async def test_a_case_comes_with_what_the_panel_came_to_and_never_with_what_was_signed(ends: Ends) -> None:
    kinds = {
        name: found.verdict.kind
        for name in LABELS
        for found in ends.gathered.found
        if found.case == ends.cases[name]
    }
    assert kinds["own opinion, then signed otherwise"] is VerdictKind.ESCALATE
    assert kinds["audit wrong by two"] is VerdictKind.DECIDE
    assert kinds["awaiting facts"] is VerdictKind.ASK_FACTS


async def test_what_cannot_have_a_label_is_not_opened_and_each_opening_is_an_entry(ends: Ends) -> None:
    for name, case in ends.cases.items():
        reads = (await types_of(ends.at.house, case)).count("content.read")
        assert (reads > 0) == (name in OPENED), name


async def test_who_is_no_policy_author_gathers_nothing(ends: Ends) -> None:
    for person in (ends.at.anna, ends.at.olga, ends.at.ward):
        with pytest.raises(ForbiddenError, match="policy:author"):
            await gather(ends.at.house, person, PROTOCOL)
    without = replace(ends.at.otto, permissions=ends.at.otto.permissions - {Permission.POLICY_AUTHOR})
    with pytest.raises(ForbiddenError):
        await gather(ends.at.house, without, PROTOCOL)


async def test_who_acts_for_some_of_the_sites_alone_gathers_nothing(ends: Ends) -> None:
    await add_site(ends.at.house.identities, "south", "South Hospital")
    elsewhere = replace(ends.at.otto, sites=frozenset({"south"}))
    before = await types_of(ends.at.house, ends.cases["audit agrees"])
    with pytest.raises(ForbiddenError, match="does not act for north"):
        await gather(ends.at.house, elsewhere, PROTOCOL)
    assert await types_of(ends.at.house, ends.cases["audit agrees"]) == before


async def test_a_protocol_that_is_not_in_force_and_a_size_that_no_checkpoint_has_are_refused(
    ends: Ends,
) -> None:
    with pytest.raises(NotFoundError, match="no protocol of that id"):
        await gather(ends.at.house, ends.at.otto, "nobodys")
    for until in (ends.gathered.checkpoint.size + 10_000, 1):
        with pytest.raises(RefusedError, match="expected the size of a checkpoint"):
            await gather(ends.at.house, ends.at.otto, PROTOCOL, until)


async def test_nothing_is_kept_of_a_case_that_was_erased_meanwhile(ends: Ends) -> None:
    cases = (ends.cases["audit agrees"], ends.cases["erased"])
    with pytest.raises(ErasedError, match=ends.cases["erased"]):
        await note_gathered(ends.at.house, ends.at.otto, cases, b"{}")
    assert "labels.gathered" not in await types_of(ends.at.house, "house")
