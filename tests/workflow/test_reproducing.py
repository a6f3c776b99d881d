"""A recorded case's members are asked again with the recorded bytes: equal, other words, another answer, or not asked."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from arbiter.adjudication.certifying import certificate_again
from arbiter.documents.canonical import decode, encode
from arbiter.errors import ForbiddenError, NotFoundError, VerificationError
from arbiter.identity.accounts import create_account
from arbiter.identity.principals import Principal
from arbiter.identity.roles import Role
from arbiter.identity.sites import add_site
from arbiter.model import CaseId, MemberStatus
from arbiter.panels.vllm.again import read_exchange
from arbiter.store.database import Database
from arbiter.store.embedded import EmbeddedPostgres
from arbiter.workflow.dossier import Dossier, load_dossier
from arbiter.workflow.house import House
from arbiter.workflow.intake import submit
from arbiter.workflow.reproducing import Outcome, Reproduced, reproduce_case
from tests.conftest import an_insider
from tests.houses import PASSWORD, SITE, a_client, a_house, settled, submission, types_of
from tests.panels.model_bundles import protocol_text, seat, write_bundle
from tests.panels.moody_server import Moods, a_moody_server
from tests.workflow.modelled import settings_with
from tests.workflow.test_replay import Insider

SCORES = {"news2", "mews", "cart", "qsofa", "sirs"}


@dataclass
class Ward:
    house: House
    moods: Moods
    client: Principal
    auditor: Principal

    async def case(self, key: str = "key-1") -> CaseId:
        case = replace(submission(self.house.clock.now()), protocol="moody")
        submitted = await submit(self.house, self.client, case, key, b"body")
        await settled(self.house, self.client, submitted.case)
        return submitted.case

    async def again(self, case: CaseId) -> dict[str, Reproduced]:
        return by_member(await reproduce_case(self.house, self.auditor, case))

    async def dossier(self, case: CaseId) -> Dossier:
        async with self.house.store.read() as transaction:
            return await load_dossier(self.house, transaction, case)


def by_member(found: tuple[Reproduced, ...]) -> dict[str, Reproduced]:
    return {each.member: each for each in found}


async def an_auditor(house: House, login: str, site: str = SITE) -> Principal:
    return await create_account(
        house.identities, house.clock, house.chance, login, "Ada", PASSWORD, frozenset({Role.AUDITOR}), frozenset({site})
    )  # fmt: skip


@pytest_asyncio.fixture
async def ward(database: Database, tmp_path: Path) -> AsyncIterator[Ward]:
    write_bundle(
        tmp_path / "protocols" / "moody", protocol_text("moody", seat("one", "m1"), seat("two", "m2"))
    )
    async with a_moody_server() as moods:
        settings = settings_with(tmp_path, moods.url)
        async with a_house(tmp_path, database, settings=settings) as house:
            client, _ = await a_client(house)
            yield Ward(house, moods, client, await an_auditor(house, "ada"))


async def test_what_answers_as_before_is_equal_and_was_sent_the_very_bytes(ward: Ward) -> None:
    ward.moods.weights["m2"] = {"continue-monitoring": 0.5, "urgent-review": 0.5}
    case = await ward.case()
    sent_then = set(ward.moods.asked)
    ward.moods.asked.clear()
    found = await ward.again(case)
    assert found.keys() == SCORES | {"one", "two"}
    assert {each.outcome for each in found.values()} == {Outcome.EQUAL}
    recorded = [
        base64.b64decode(decode(document.content)["request"])
        for document in (await ward.dossier(case)).documents
        if document.name == "exchange"
    ]
    assert sorted(ward.moods.asked) == sorted(recorded)
    assert set(ward.moods.asked) <= sent_then
    assert all(each.now == each.then and not each.changed for each in found.values())


async def test_other_words_for_the_same_option_are_told_apart_from_equal(ward: Ward) -> None:
    case = await ward.case()
    ward.moods.rationale = "it says so twice"
    found = await ward.again(case)
    assert found["one"].outcome is found["two"].outcome is Outcome.EQUAL_OPTION
    assert found["one"].then == found["one"].now
    assert found["news2"].outcome is Outcome.EQUAL


@pytest.mark.parametrize(
    ("weights", "status"),
    [
        ({"urgent-review": 1.0}, MemberStatus.VALID),
        ({"abstain": 1.0}, MemberStatus.ABSTAINED),
        ({"nonsense": 1.0}, MemberStatus.INVALID),
    ],
)
async def test_another_answer_is_different(
    ward: Ward, weights: dict[str, float], status: MemberStatus
) -> None:
    case = await ward.case()
    ward.moods.weights["m1"] = weights
    found = await ward.again(case)
    assert found["one"].outcome is Outcome.DIFFERENT
    assert found["one"].now is not None
    assert found["one"].now.status is status
    assert found["two"].outcome is Outcome.EQUAL


@pytest.mark.parametrize("weights", [{"continue-monitoring": 1.0}, {"nonsense": 1.0}])
async def test_the_same_words_by_another_model_are_different(ward: Ward, weights: dict[str, float]) -> None:
    ward.moods.weights["m1"] = weights
    case = await ward.case()
    ward.moods.speakers["m1"] = "m2"
    found = await ward.again(case)
    assert found["one"].outcome is Outcome.DIFFERENT
    assert found["one"].cause == "what came is no reply of this model to this request"
    assert found["two"].outcome is Outcome.EQUAL


async def test_an_answer_that_was_invalid_is_reproduced_like_any_other(ward: Ward) -> None:
    ward.moods.weights["m1"] = {"nonsense": 1.0}
    case = await ward.case()
    found = (await ward.again(case))["one"]
    assert found.then.status is MemberStatus.INVALID
    assert found.outcome is Outcome.EQUAL
    ward.moods.weights["m1"] = {"continue-monitoring": 1.0}
    assert (await ward.again(case))["one"].outcome is Outcome.DIFFERENT


async def test_another_share_of_samples_with_the_same_lead_shows_in_the_votes(ward: Ward) -> None:
    case = await ward.case()
    ward.moods.by_index["m1", 2] = "urgent-review"
    found = (await ward.again(case))["one"]
    assert found.outcome is Outcome.EQUAL_OPTION
    assert found.then.votes == (("continue-monitoring", 3),)
    assert found.now is not None
    assert found.now.votes == (("continue-monitoring", 2), ("urgent-review", 1))


async def test_a_server_that_is_down_is_no_difference(ward: Ward) -> None:
    case = await ward.case()
    ward.moods.silent.add("m1")
    found = await ward.again(case)
    assert found["one"].outcome is Outcome.NOT_ASKED
    assert found["one"].now is None
    assert found["one"].cause
    assert found["two"].outcome is Outcome.EQUAL


async def test_who_gave_no_answer_then_has_nothing_to_compare(ward: Ward) -> None:
    ward.moods.silent.add("m1")
    case = await ward.case()
    ward.moods.silent.clear()
    ward.moods.asked.clear()
    found = (await ward.again(case))["one"]
    assert found.outcome is Outcome.NOT_ASKED
    assert found.cause.startswith("gave no answer then: ")
    assert [json.loads(body)["model"] for body in ward.moods.asked] == ["m2"]


async def test_a_server_the_fleet_no_longer_knows_is_told_as_such(
    database: Database, tmp_path: Path, ward: Ward
) -> None:
    case = await ward.case()
    settings = settings_with(tmp_path, ward.moods.url).model_copy(update={"fleet": None, "protocols": None})
    async with a_house(tmp_path, database, settings=settings, running=False) as other:
        found = by_member(await reproduce_case(other, ward.auditor, case))
    assert found["one"].outcome is Outcome.NOT_ASKED
    assert "not one of this deployment's" in found["one"].cause
    assert found["news2"].outcome is Outcome.EQUAL


async def test_another_version_of_the_engine_is_named(database: Database, tmp_path: Path, ward: Ward) -> None:
    case = await ward.case()
    ward.moods.version = "0.0.3+moody"
    settings = settings_with(tmp_path, ward.moods.url)
    async with a_house(tmp_path, database, settings=settings, running=False) as other:
        found = by_member(await reproduce_case(other, ward.auditor, case))
    assert found["one"].outcome is Outcome.EQUAL
    assert found["one"].changed == ("engine",)
    assert found["news2"].changed == ()


async def test_opening_the_case_is_an_entry_and_nothing_else_is_changed(ward: Ward) -> None:
    case = await ward.case()
    before = await types_of(ward.house, case)
    await ward.again(case)
    assert await types_of(ward.house, case) == [*before, "content.read"]


async def test_nobody_but_an_auditor_of_the_site_may(ward: Ward) -> None:
    case = await ward.case()
    before = await types_of(ward.house, case)
    with pytest.raises(ForbiddenError):
        await reproduce_case(ward.house, ward.client, case)
    await add_site(ward.house.identities, "south", "South Hospital")
    elsewhere = await an_auditor(ward.house, "otto", "south")
    with pytest.raises(NotFoundError):
        await reproduce_case(ward.house, elsewhere, case)
    assert await types_of(ward.house, case) == before


async def test_a_certificate_from_before_self_consistency_was_told_is_made_again_as_it_was(
    ward: Ward,
) -> None:
    ward.moods.weights["m1"] = {"continue-monitoring": 0.5, "urgent-review": 0.5}
    dossier = await ward.dossier(await ward.case())
    document = dossier.latest("certificate")
    told = decode(document.content)
    consistent = {seat["member"]: seat.pop("self_consistency", None) for seat in told["opinions"]}
    assert consistent["two"] == "1.000000"
    assert consistent["one"] is not None
    assert consistent["news2"] is None
    before = [kept for kept in dossier.documents if kept.seq < document.seq]
    again = certificate_again(
        dossier.row.id, dossier.row.state.risk_class, dossier.shelved, before, told, training=False
    )
    assert again == encode(told)
    assert again != document.content


@pytest.mark.parametrize("name", ["exchange", "opinion", "facts"])
async def test_bytes_that_the_log_does_not_commit_to_are_never_sent(
    ward: Ward, server: EmbeddedPostgres, database: Database, name: str
) -> None:
    """Sealed anew by somebody who has the keys."""
    case = await ward.case()
    with an_insider(server, database) as connection:
        connection.execute("ALTER TABLE sealed_document DISABLE TRIGGER ALL")
        number = -1 if name == "exchange" else 0
        await Insider(ward.house, connection).reseal(case, name, meddle, number)
    ward.moods.asked.clear()
    with pytest.raises(VerificationError, match=f"{name}: NOT WHAT this entry commits to"):
        await ward.again(case)
    assert ward.moods.asked == []


def meddle(document: dict[str, Any]) -> None:
    document["meddled"] = "with"


def test_an_exchange_of_another_form_is_refused() -> None:
    for document in (
        {"format": "arbiter/exchange/v2"},
        {},
        {"format": "arbiter/exchange/v1", "ending": "complete"},
    ):
        with pytest.raises(VerificationError):
            read_exchange(encode(document))


SAID: dict[str, Any] = {
    "id": "chatcmpl-r1",
    "model": "m1",
    "choices": [{"index": 0, "message": {"content": "yes"}, "finish_reason": "stop"}],
}


def an_exchange(reply: bytes, **request: object) -> bytes:
    asked = {"model": "m1", "n": 1, "request_id": "r1", **request}
    return encode(
        {
            "format": "arbiter/exchange/v1",
            "server": "gpu-a",
            "path": "/v1/chat/completions",
            "request": base64.b64encode(json.dumps(asked).encode()).decode(),
            "reply": base64.b64encode(reply).decode(),
            "reply_bytes": len(reply),
            "ending": "complete",
            "ended_after_us": 1,
            "status": 200,
        }
    )


def test_the_words_of_a_reply_are_its_choices() -> None:
    assert read_exchange(an_exchange(json.dumps(SAID).encode())).words == ((0, "yes", "stop"),)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ({"model": "m2"}, {}),
        ({"id": "chatcmpl-r2"}, {}),
        ({"choices": SAID["choices"] * 2}, {}),
        ({}, {"request_id": None}),
        ({}, {"n": "1"}),
        ({}, {"model": 7}),
    ],
    ids=["another model's", "to another request", "a choice twice", "no name", "no number", "no model"],
)
def test_a_reply_that_is_not_the_requests_has_no_words(said: dict[str, Any], asked: dict[str, Any]) -> None:
    assert read_exchange(an_exchange(json.dumps(SAID | said).encode(), **asked)).words is None


@pytest.mark.parametrize(
    "reply",
    [b"", b"[]", b"{}", b'{"choices": 3}', b'{"choices": [{"index": "0", "message": {}}]}', b"[" * 100_000],
)
def test_a_reply_without_words_has_none(reply: bytes) -> None:
    assert read_exchange(an_exchange(reply)).words is None
