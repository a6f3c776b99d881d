"""Signing with a passkey: it decides the case it was asked about, once, and everything else is refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from arbiter.documents.canonical import decode
from arbiter.errors import (
    ArbiterError,
    ConflictError,
    IllegalMoveError,
    RefusedError,
    ShownChangedError,
    UnauthenticatedError,
)
from arbiter.lifecycle.states import Phase
from arbiter.model import CaseId
from arbiter.store.passkeys import load_passkeys
from arbiter.verifying.passkeys import check_passkey
from arbiter.workflow import passkeys, review
from arbiter.workflow.auditing import replay_case
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.reading import view_case
from tests.houses import a_reviewer
from tests.passkeys import PRESENT, SoftPasskey, text
from tests.workflow.passkeys.conftest import Clinic, add

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTION, OTHER = "urgent-review", "continue-monitoring"
WHY = "the trend"


async def asked(clinic: Clinic, case: CaseId, shown: str, option: str = OPTION, reason: str = WHY) -> str:
    return await review.ask_passkey(clinic.house, clinic.anna, case, option, reason, shown)


async def sign(
    clinic: Clinic, case: CaseId, shown: str, answer: str, option: str = OPTION, reason: str = WHY
) -> None:
    asserted = await passkeys.take_assertion(clinic.house, clinic.anna, answer)
    await review.sign(clinic.house, clinic.anna, case, option, reason, page=shown, asserted=asserted)


async def signature(clinic: Clinic, case: CaseId) -> dict[str, Any]:
    async with clinic.house.store.read() as transaction:
        dossier = await load_dossier(clinic.house, transaction, case)
    return decode(dossier.latest("signature").content)


async def is_undecided(clinic: Clinic, case: CaseId) -> bool:
    return (await view_case(clinic.house, clinic.client, case)).phase is Phase.REVEALED


async def test_a_passkey_signs_the_decision_it_was_asked_about(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    await sign(clinic, case, shown, clinic.annas.sign(await asked(clinic, case, shown)))
    kept = await signature(clinic, case)
    assert (kept["way"], kept["option"], kept["own_opinion"]) == ("passkey", OPTION, "changed")
    assert check_passkey(kept).credential_id == clinic.annas.credential_id
    assert all(step.same for step in await replay_case(clinic.house, case))
    decision = await review.signed_case(clinic.house, clinic.anna, case) or await _released(clinic, case)
    assert decision.signature is not None
    assert (decision.signature.way, decision.signature.shown) == ("passkey", shown)


async def _released(clinic: Clinic, case: CaseId) -> Any:
    await clinic.house.sealer.request()
    return await review.signed_case(clinic.house, clinic.anna, case)


async def test_an_answer_sent_twice_signs_once(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown))
    await sign(clinic, case, shown, answer)
    with pytest.raises(UnauthenticatedError, match="twice"):
        await sign(clinic, case, shown, answer)


async def test_two_answers_at_once_sign_once(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown))
    came = await asyncio.gather(
        *(sign(clinic, case, shown, answer) for _ in range(5)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in came) == 1
    assert sum(isinstance(outcome, UnauthenticatedError) for outcome in came) == 4


async def test_an_answer_about_another_option_is_refused(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown, OTHER))
    with pytest.raises(UnauthenticatedError, match="another decision"):
        await sign(clinic, case, shown, answer, OPTION)
    assert await is_undecided(clinic, case)


async def test_an_answer_for_another_reason_is_refused(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown))
    with pytest.raises(UnauthenticatedError, match="another decision"):
        await sign(clinic, case, shown, answer, reason="another reason")
    assert await is_undecided(clinic, case)


async def test_an_answer_about_another_case_is_refused(clinic: Clinic) -> None:
    first, shown_first = await clinic.revealed()
    second, shown_second = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, first, shown_first))
    with pytest.raises(UnauthenticatedError, match="another decision"):
        await sign(clinic, second, shown_second, answer)
    assert await is_undecided(clinic, first)
    assert await is_undecided(clinic, second)


async def test_an_answer_five_minutes_later_is_refused(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown))
    clinic.clock.advance(timedelta(minutes=5))
    try:
        with pytest.raises(UnauthenticatedError, match="too late"):
            await sign(clinic, case, shown, answer)
        assert await is_undecided(clinic, case)
    finally:
        clinic.clock.advance(-timedelta(minutes=5))


async def test_a_challenge_that_this_house_never_gave_is_refused(clinic: Clinic) -> None:
    """Whoever had the passkey for a moment cannot have signed in advance."""
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(json.dumps({"challenge": text(b"c" * 32)}))
    with pytest.raises(UnauthenticatedError, match="not asked for"):
        await sign(clinic, case, shown, answer)


async def test_a_colleagues_passkey_does_not_sign_for_anna(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.bens.sign(await asked(clinic, case, shown))
    with pytest.raises(UnauthenticatedError):
        await sign(clinic, case, shown, answer)
    assert await is_undecided(clinic, case)


async def test_a_colleague_cannot_take_annas_answer(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    answer = clinic.annas.sign(await asked(clinic, case, shown))
    with pytest.raises(UnauthenticatedError):
        await passkeys.take_assertion(clinic.house, clinic.ben, answer)
    with pytest.raises(IllegalMoveError):
        await review.ask_passkey(clinic.house, clinic.ben, case, OPTION, WHY, shown)
    await sign(clinic, case, shown, answer)


@pytest.mark.parametrize(
    "lies",
    [
        {"origin": "http://localhost:9999"},
        {"origin": "https://evil.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
        {"type": "webauthn.create"},
        {"signed": b"other bytes"},
        {"cross_origin": True},
    ],
    ids=str,
)
async def test_an_answer_that_does_not_check_out_is_refused_and_used_up(
    clinic: Clinic, lies: dict[str, Any]
) -> None:
    case, shown = await clinic.revealed()
    options = await asked(clinic, case, shown)
    with pytest.raises(UnauthenticatedError):
        await sign(clinic, case, shown, clinic.annas.sign(options, **lies))
    assert await is_undecided(clinic, case)
    with pytest.raises(UnauthenticatedError):
        await sign(clinic, case, shown, clinic.annas.sign(options))
    assert await is_undecided(clinic, case)


async def test_a_count_that_does_not_go_up_is_a_copied_passkey_and_refused(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    await sign(clinic, case, shown, clinic.annas.sign(await asked(clinic, case, shown)))
    case, shown = await clinic.revealed()
    options = await asked(clinic, case, shown)
    with pytest.raises(UnauthenticatedError):
        await sign(clinic, case, shown, clinic.annas.sign(options, count=clinic.annas.count))
    assert await is_undecided(clinic, case)


async def test_a_removed_passkey_signs_no_more_and_what_it_signed_still_checks_out(clinic: Clinic) -> None:
    house = clinic.house
    cora = await a_reviewer(house, "cora")
    corys = SoftPasskey("RS256")
    await add(house, cora, corys)
    mine = replace(clinic, anna=cora, annas=corys)
    case, shown = await mine.revealed()
    await sign(mine, case, shown, corys.sign(await asked(mine, case, shown)))
    case_open, shown_open = await mine.revealed()
    waiting = corys.sign(await asked(mine, case_open, shown_open))
    (view,) = await passkeys.list_passkeys(house, cora)
    await passkeys.remove(house, cora, view.id)
    with pytest.raises(UnauthenticatedError):
        await sign(mine, case_open, shown_open, waiting)
    with pytest.raises(UnauthenticatedError, match="no passkey"):
        await asked(mine, case_open, shown_open)
    assert await is_undecided(mine, case_open)
    assert not await passkeys.usable(house, cora)
    check_passkey(await signature(mine, case))
    assert all(step.same for step in await replay_case(house, case))


@pytest.mark.parametrize(
    "answer", ["", "{}", "[]", "null", '{"response": {"clientDataJSON": "AA"}}', "x" * 900, "\x00"]
)
async def test_what_no_browser_sends_proves_nothing(clinic: Clinic, answer: str) -> None:
    with pytest.raises(UnauthenticatedError):
        await passkeys.take_assertion(clinic.house, clinic.anna, answer)


async def test_nothing_is_asked_of_a_passkey_that_could_not_be_signed(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    with pytest.raises(ShownChangedError):
        await asked(clinic, case, "0" * 64)
    with pytest.raises(RefusedError):
        await asked(clinic, case, shown, OPTION, "")
    with pytest.raises(RefusedError):
        await asked(clinic, case, shown, "no-such-option")
    with pytest.raises(ArbiterError):
        await review.ask_passkey(clinic.house, clinic.client, case, OPTION, WHY, shown)


async def test_the_same_request_at_the_same_instant_is_not_asked_twice(clinic: Clinic) -> None:
    now = clinic.clock.now()
    await passkeys.ask_to_sign(clinic.house, clinic.anna, b"d" * 32, now)
    with pytest.raises(ConflictError):
        await passkeys.ask_to_sign(clinic.house, clinic.anna, b"d" * 32, now)


async def test_a_passkey_of_another_place_is_not_asked(clinic: Clinic) -> None:
    settings = clinic.house.settings.model_copy(update={"public_url": "https://elsewhere.example"})
    moved = replace(clinic.house, settings=settings)
    assert not await passkeys.usable(moved, clinic.anna)
    with pytest.raises(UnauthenticatedError, match="no passkey"):
        await passkeys.ask_to_sign(moved, clinic.anna, b"e" * 32, clinic.clock.now())


async def test_the_count_is_kept(clinic: Clinic) -> None:
    case, shown = await clinic.revealed()
    await sign(clinic, case, shown, clinic.annas.sign(await asked(clinic, case, shown)))
    rows = await load_passkeys(clinic.house.store, clinic.anna.id)
    assert rows[0].sign_count == clinic.annas.count
