"""Second readers, arbiters, referrals, conflicts and corrections through the pages, by people and by attackers."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from html import unescape

import pytest
import pytest_asyncio

from arbiter.documents.canonical import decode
from arbiter.documents.signing import sha256_of
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId, RiskClass
from arbiter.workflow.deadlines import expire_due
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.intake import Submission, submit
from arbiter.workflow.reading import view_case, wanted_facts
from arbiter.workflow.subjects import SubjectRef
from tests.clinician_ui.conftest import SPLIT, Browser, Ward, phase
from tests.houses import types_of
from tests.protocols.shipping import examples

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT, OTHER = "assess-further", "reconsider-plan"
_numbers = iter(range(1, 1000))


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def people(ward: Ward) -> None:
    for login in ("clara", "david"):
        await ward.person(login, Role.SENIOR_ARBITER)
    await add_site(ward.house.identities, "south", "South Hospital")
    await ward.person("erik", site="south")


async def twice_read(ward: Ward) -> CaseId:
    """Hand in a routine case of elevated cardiac risk: policy asks for two readers."""
    number = next(_numbers)
    made = Submission(
        protocol="surgery-readiness",
        site="north",
        risk_class=RiskClass.ROUTINE,
        subject=SubjectRef("urn:example:patients", f"theatre-{number}"),
        encounter=None,
        facts=examples("surgery-readiness")["rcri-three"].raw_facts(ward.clock.now()),
    )
    submitted = await submit(ward.house, ward.client, made, f"theatre-{number}", b"theatre %d" % number)
    await ward.house.errands.finish(10)
    assert await phase(ward, submitted.case) is Phase.ESCALATED
    return submitted.case


async def read_by(ward: Ward, case: CaseId, login: str, option: str = KEPT) -> Browser:
    browser = await ward.claimed(case, login)
    assert (await browser.opinion(case, option)).headers["location"] == f"/cases/{case}"
    return browser


async def taken_by(ward: Ward, case: CaseId, login: str) -> int:
    browser = await ward.logged_in(login)
    await browser.get("/worklist")
    return (await browser.send(f"/worklist/{case}/claim")).status_code


def shape(text: str, case: CaseId, token: str) -> str:
    return re.sub(r"\d+", "N", text.replace(case, "CASE").replace(token, "TOKEN"))


# --- second readers ----------------------------------------------------------------------------------------------------


async def test_a_second_readers_pages_are_a_first_readers(ward: Ward) -> None:
    first, second = await twice_read(ward), await twice_read(ward)
    await read_by(ward, second, "anna")
    shapes = set()
    for case in (first, second):
        ben = await ward.logged_in("ben")
        waiting = await ben.get(f"/cases/{case}")
        await ben.send(f"/worklist/{case}/claim")
        blind = await ben.get(f"/cases/{case}")
        shapes.add((shape(waiting.text, case, ben.token), shape(blind.text, case, ben.token)))
    assert len(shapes) == 1


async def test_two_who_agree_decide_and_the_second_sees_the_first_only_after_judging(ward: Ward) -> None:
    case = await twice_read(ward)
    anna = await read_by(ward, case, "anna")
    passed = (await anna.get(f"/cases/{case}")).text
    assert "another clinician reads this case" in passed
    assert case not in (await anna.get("/worklist")).text
    ben = await ward.claimed(case, "ben")
    assert "as I see it" not in (await ben.get(f"/cases/{case}")).text
    await ben.opinion(case, KEPT)
    await ben.send(f"/cases/{case}/reveal")
    shown = unescape((await ben.get(f"/cases/{case}")).text)
    assert "First reader: Anna" in shown
    assert (await ben.sign(case, KEPT)).headers["location"] == f"/cases/{case}/done"
    assert "another clinician reads this case" in (await anna.get(f"/cases/{case}")).text


async def test_the_first_reader_gets_no_second_try_and_no_panel(ward: Ward) -> None:
    case = await twice_read(ward)
    anna = await read_by(ward, case, "anna")
    assert await taken_by(ward, case, "anna") == 409
    await anna.get(f"/cases/{case}")
    assert (await anna.send(f"/cases/{case}/reveal")).status_code == 409
    assert (await anna.sign(case, KEPT)).status_code == 409
    again = await anna.opinion(case, OTHER)
    assert again.headers["location"] == f"/cases/{case}?opinion=unchanged"
    assert "it is unchanged" in (await anna.get(f"/cases/{case}?opinion=unchanged")).text
    assert (await anna.opinion(case, KEPT)).headers["location"] == f"/cases/{case}"


async def test_two_second_readers_at_once_are_one(ward: Ward) -> None:
    case = await twice_read(ward)
    await read_by(ward, case, "anna")
    statuses = await asyncio.gather(*(taken_by(ward, case, login) for login in ("ben", "clara", "david")))
    assert sorted(statuses) == [303, 409, 409]


async def test_the_last_arbiter_there_is_refers_a_case_to_nobody_and_keeps_it(ward: Ward) -> None:
    case = await twice_read(ward)
    await read_by(ward, case, "anna")
    await read_by(ward, case, "ben", OTHER)
    clara = await ward.claimed(case, "clara")
    assert (await clara.send(f"/cases/{case}/refer", reason="A surgeon should see it")).status_code == 303
    david = await ward.claimed(case, "david")
    answer = await david.send(f"/cases/{case}/refer", reason="I am not sure either")
    assert answer.status_code == 422
    assert "nobody else at this site" in answer.text
    assert "I am not sure either" in answer.text
    assert await phase(ward, case) is Phase.CLAIMED
    assert "case.referred" in await types_of(ward.house, case)
    assert (await types_of(ward.house, case)).count("case.referred") == 1


async def test_who_may_not_take_a_case_sees_that_it_waits_and_answers_no_call_about_it(ward: Ward) -> None:
    case = await twice_read(ward)
    anna = await read_by(ward, case, "anna")
    others = re.search(r"<strong>(\d+)</strong> with colleagues", (await anna.get("/worklist")).text)
    assert others is not None
    assert int(others[1]) >= 1
    page = (await anna.get(f"/duty/{case}")).text
    assert "It waits for somebody else" in page
    assert f"/duty/{case}/acknowledge" not in page
    assert f"/duty/{case}/claim" not in page
    await anna.send(f"/duty/{case}/acknowledge")
    await anna.send("/duty/take-over", case=case)
    assert "is on the way" not in (await (await ward.logged_in("ben")).get(f"/duty/{case}")).text
    assert "escalation.acknowledged" not in await types_of(ward.house, case)


async def test_what_neither_reader_said_is_not_signed_but_handed_up(ward: Ward) -> None:
    case = await twice_read(ward)
    await read_by(ward, case, "anna")
    ben = await read_by(ward, case, "ben")
    await ben.send(f"/cases/{case}/reveal")
    await ben.get(f"/cases/{case}")
    answer = await ben.sign(case, OTHER, reason="The echo convinces me")
    assert answer.headers["location"] == f"/cases/{case}"
    assert "You have referred this case" in (await ben.get(f"/cases/{case}")).text
    assert await phase(ward, case) is Phase.ESCALATED
    assert await taken_by(ward, case, "anna") == 409


async def test_two_who_differ_leave_it_to_an_arbiter_who_is_neither(ward: Ward) -> None:
    case = await twice_read(ward)
    await read_by(ward, case, "clara", KEPT)
    ben = await read_by(ward, case, "ben", OTHER)
    assert "another clinician reads this case" in (await ben.get(f"/cases/{case}")).text
    for login in ("anna", "ben", "clara"):
        assert await taken_by(ward, case, login) == 409, login
        assert case not in (await (await ward.logged_in(login)).get("/worklist")).text
    david = await ward.claimed(case, "david")
    blind = (await david.get(f"/cases/{case}")).text
    assert "Clara" not in blind
    await david.opinion(case, KEPT)
    await david.send(f"/cases/{case}/reveal")
    shown = unescape((await david.get(f"/cases/{case}")).text)
    assert "First reader: Clara" in shown
    assert "Second reader: Ben" in shown
    assert (await david.sign(case, "optimise-first", reason="Neither")).headers["location"].endswith("/done")


async def test_a_signature_covers_the_opinions_and_reasons_that_its_page_showed_and_no_others(
    ward: Ward,
) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.opinion(case)
    await anna.send(f"/cases/{case}/conflict", reason="My aunt")
    ben = await ward.claimed(case, "ben")
    await ben.opinion(case)
    await ben.send(f"/cases/{case}/refer", reason="Beyond me")
    clara = await ward.claimed(case, "clara")
    await clara.opinion(case)
    await clara.send(f"/cases/{case}/reveal")
    await clara.get(f"/cases/{case}")
    await clara.send(f"/cases/{case}/attendance", attendees="david")
    assert (await clara.sign(case)).status_code == 422, "the page of before says nothing of who attended"
    await clara.get(f"/cases/{case}")
    assert (await clara.sign(case)).headers["location"].endswith("/done")

    async with ward.house.store.read() as transaction:
        dossier = await load_dossier(ward.house, transaction, case)
    page = decode(dossier.latest("signature").content)["page"]
    reviews = {
        decode(kept.content)["reviewer"]: sha256_of(kept.content)
        for kept in dossier.documents
        if kept.name == "review"
    }
    assert set(reviews) == {ward.people[login].id for login in ("anna", "ben", "clara")}
    assert page["readers"] == [reviews[ward.people["ben"].id]]
    assert page["own"] == reviews[ward.people["clara"].id]
    told = [kept for kept in dossier.documents if kept.name in {"reason", "attendance"}]
    assert [kept.name for kept in told] == ["reason", "reason", "attendance"]
    assert page["handed"] == [sha256_of(kept.content) for kept in told[1:]]


async def test_a_reader_of_another_site_reads_nothing_second(ward: Ward) -> None:
    case = await twice_read(ward)
    await read_by(ward, case, "anna")
    assert await taken_by(ward, case, "erik") == 404


# --- opinions outlive the claim ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["handed back", "lapsed"])
async def test_who_has_seen_the_panel_cannot_lock_another_opinion(ward: Ward, how: str) -> None:
    case = await ward.case(SPLIT)
    anna = await ward.claimed(case)
    await anna.opinion(case, "continue-monitoring")
    await anna.send(f"/cases/{case}/reveal")
    if how == "handed back":
        await anna.send(f"/cases/{case}/hand-back")
    else:
        ward.clock.advance(timedelta(minutes=16))
        await expire_due(ward.house)
        anna = await ward.logged_in()
    await anna.get("/worklist")
    assert (await anna.send(f"/worklist/{case}/claim")).status_code == 303
    assert "Your decision" in (await anna.get(f"/cases/{case}")).text
    again = await anna.opinion(case, "urgent-review")
    assert again.headers["location"] == f"/cases/{case}?opinion=unchanged"
    assert (await anna.sign(case, "urgent-review", reason="")).status_code == 422, "it is another than before"


# --- referring, setting aside, asking, stepping back -------------------------------------------------------------------


@pytest.mark.parametrize("form", ["refer", "defer", "ask-facts", "conflict"])
async def test_an_empty_form_comes_back_with_what_is_wrong_beside_it_and_keeps_the_case(
    ward: Ward, form: str
) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    answer = await anna.send(f"/cases/{case}/{form}")
    assert answer.status_code == 422
    assert "There is a problem" in answer.text
    assert " open>" in answer.text
    assert await phase(ward, case) is Phase.CLAIMED


@pytest.mark.parametrize("form", ["refer", "defer", "ask-facts", "conflict", "attendance", "correct"])
async def test_nobody_does_that_with_a_case_of_somebody_else_or_without_the_token(
    ward: Ward, form: str
) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    sent = {
        "refer": {"reason": "x"},
        "defer": {"reason": "x", "wait": "5"},
        "ask-facts": {"facts": "lactate"},
        "conflict": {"reason": "x"},
        "attendance": {"attendees": "clara"},
        "correct": {"reason": "x"},
    }[form]
    assert (await ben.send(f"/cases/{case}/{form}", **sent)).status_code in {403, 409}
    assert (await anna.send_raw(f"/cases/{case}/{form}", sent)).status_code == 403
    assert await phase(ward, case) is Phase.CLAIMED


async def test_a_referred_case_is_an_arbiters_with_the_reason_after_their_own_opinion(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.opinion(case, "urgent-review")
    await anna.send(f"/cases/{case}/refer", reason="Never seen such a rash")
    assert "You have referred this case" in (await anna.get(f"/cases/{case}")).text
    for login in ("anna", "ben"):
        assert await taken_by(ward, case, login) == 409
    clara = await ward.claimed(case, "clara")
    assert "rash" not in (await clara.get(f"/cases/{case}")).text
    await clara.opinion(case, "urgent-review")
    await clara.send(f"/cases/{case}/reveal")
    shown = unescape((await clara.get(f"/cases/{case}")).text)
    assert "Never seen such a rash" in shown
    assert "Anna referred this case" in shown

    refused = await clara.send(f"/cases/{case}/attendance", attendees="ben, nobody")
    assert refused.status_code == 422
    for nobody in ("erik", "clara"):
        assert (await clara.send(f"/cases/{case}/attendance", attendees=nobody)).status_code == 422
    assert (await clara.send(f"/cases/{case}/attendance", attendees="ben")).status_code == 303
    assert "Sitting together over it: Ben" in (await clara.get(f"/cases/{case}")).text


async def test_a_case_set_aside_says_until_when_and_not_why(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    too_long = await anna.send(f"/cases/{case}/defer", wait="480000", reason="Theatre")
    assert too_long.status_code == 422
    assert (await anna.send(f"/cases/{case}/defer", wait="15", reason="Theatre")).status_code == 303
    listed = (await (await ward.logged_in("ben")).get("/worklist")).text
    assert "Set aside until" in listed
    assert "Theatre" not in listed
    assert await taken_by(ward, case, "ben") == 303


async def test_facts_asked_for_are_the_requesters_to_read(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    assert (await anna.send(f"/cases/{case}/ask-facts", facts="shoe-size")).status_code == 400
    answer = await anna.send(f"/cases/{case}/ask-facts", facts=("lactate", "heart_rate"), note="a fresh one")
    assert answer.status_code == 303
    assert await phase(ward, case) is Phase.AWAITING_FACTS
    assert "has been asked for facts" in (await anna.get(f"/cases/{case}")).text
    wanted = await wanted_facts(ward.house, ward.client, case)
    assert [name for name, _ in wanted.facts] == ["heart_rate", "lactate"]
    assert (wanted.note, wanted.by_reviewer) == ("a fresh one", True)


async def test_who_declares_a_conflict_never_holds_the_case_again(ward: Ward) -> None:
    case = await ward.case()
    anna = await ward.claimed(case)
    await anna.send(f"/cases/{case}/conflict", reason="My aunt")
    assert "declared a conflict of interest" in (await anna.get(f"/cases/{case}")).text
    assert await taken_by(ward, case, "anna") == 409
    ben = await ward.claimed(case, "ben")
    await ben.opinion(case)
    await ben.send(f"/cases/{case}/reveal")
    assert "My aunt" not in (await ben.get(f"/cases/{case}")).text


@pytest.mark.parametrize("form", ["refer", "defer", "ask-facts", "conflict"])
async def test_a_decision_to_be_read_is_left_like_any_case_and_nobody_is_asked(ward: Ward, form: str) -> None:
    case = await ward.drawn()
    anna = await ward.claimed(case)
    sent = {
        "refer": {"reason": "x"},
        "defer": {"reason": "x", "wait": "5"},
        "ask-facts": {"facts": "lactate"},
    }
    answer = await anna.send(f"/cases/{case}/{form}", **sent.get(form, {"reason": "x"}))
    assert answer.headers["location"] == f"/cases/{case}"
    said = (await anna.get(f"/cases/{case}")).text
    assert ("declared a conflict" if form == "conflict" else "was decided before you saw it") in said
    assert await phase(ward, case) is Phase.RELEASED
    assert await taken_by(ward, case, "anna") == 409
    assert await taken_by(ward, case, "ben") == 303


# --- corrections -------------------------------------------------------------------------------------------------------


async def signed(ward: Ward, login: str = "anna") -> tuple[CaseId, Browser]:
    case = await ward.case()
    browser = await ward.claimed(case, login)
    await browser.opinion(case)
    await browser.send(f"/cases/{case}/reveal")
    await browser.sign(case)
    await browser.get(f"/cases/{case}/done")
    assert await phase(ward, case) is Phase.RELEASED
    return case, browser


async def test_the_signer_corrects_by_signing_anew(ward: Ward) -> None:
    case, anna = await signed(ward)
    empty = await anna.send(f"/cases/{case}/correct", reason=" ")
    assert empty.status_code == 422
    assert "Give the reason" in empty.text
    assert (await anna.send(f"/cases/{case}/correct", reason="Wrong patient")).status_code == 303
    assert (await view_case(ward.house, ward.client, case)).under_correction
    shown = unescape((await anna.get(f"/cases/{case}")).text)
    assert "is being corrected" in shown
    assert "Wrong patient" in shown
    assert (await anna.send(f"/cases/{case}/correct", reason="Wrong patient")).status_code == 303, (
        "sent twice"
    )
    answer = await anna.sign(case, "continue-monitoring", reason="Wrong patient")
    assert answer.headers["location"] == f"/cases/{case}/done"
    assert "Decision released" in (await anna.get(f"/cases/{case}/done")).text
    assert not (await view_case(ward.house, ward.client, case)).under_correction


async def test_nobody_corrects_a_colleagues_decision_but_an_arbiter_does(ward: Ward) -> None:
    case, _ = await signed(ward)
    ben = await ward.logged_in("ben")
    await ben.get("/worklist")
    assert (await ben.get(f"/cases/{case}/correct")).status_code == 409
    assert (await ben.send(f"/cases/{case}/correct", reason="x")).status_code == 409
    clara = await ward.logged_in("clara")
    assert "Correct a decision" in (await clara.get(f"/cases/{case}/correct")).text
    assert (await clara.send(f"/cases/{case}/correct", reason="x")).status_code == 303
    assert (await clara.sign(case, reason="")).status_code == 422, "who gave no opinion gives a reason"


async def test_what_the_panel_decided_is_not_corrected(ward: Ward) -> None:
    case = await ward.drawn()
    clara = await ward.logged_in("clara")
    await clara.get("/worklist")
    assert (await clara.send(f"/cases/{case}/correct", reason="x")).status_code == 409
