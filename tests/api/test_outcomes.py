"""What turned out to be right, told over REST: sealed with the case, refused where it is no outcome, and heard by nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from arbiter.documents.known_outcomes import KnownOutcome, OutcomeKind
from arbiter.model import CaseId
from arbiter.workflow.dossier import load_dossier
from arbiter.workflow.house import House
from tests.api.cases import entries_of, settled
from tests.api.conftest import Caller, excluded_case, incomplete_case, stable_case
from tests.conftest import NOON

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "Mrs Example died in bed nine"
TOLD: dict[str, Any] = {
    "option": "urgent-review",
    "kind": "outcome",
    "observed_at": NOON.isoformat(),
    "source": "discharge-letter",
    "note": SECRET,
}


async def tell(caller: Caller, case: str, **changes: Any) -> Any:
    body = {name: value for name, value in (TOLD | changes).items() if value is not ...}
    return await caller.post(f"/v1/cases/{case}/outcome", body)


async def kept(house: House, case: str) -> list[KnownOutcome]:
    async with house.store.read() as transaction:
        dossier = await load_dossier(house, transaction, CaseId(case))
    return [KnownOutcome.decode(one.content) for one in dossier.documents if one.name == "outcome"]


async def test_an_outcome_is_sealed_with_the_case_and_moves_nothing(caller: Caller, house: House) -> None:
    made = await settled(caller, stable_case())
    reply = await tell(caller, made["id"])
    assert (reply.status_code, reply.json()["phase"]) == (200, "released")
    assert SECRET not in reply.text
    entry = (await entries_of(house, made["id"]))[-1]
    assert (entry.type, [name for name, _ in entry.commits]) == ("outcome.recorded", ["outcome"])
    assert SECRET.encode() not in entry.to_bytes()
    assert await kept(house, made["id"]) == [
        KnownOutcome("urgent-review", OutcomeKind.OUTCOME, NOON, "discharge-letter", SECRET)
    ]


@pytest.mark.parametrize("case", [excluded_case, incomplete_case], ids=["escalated", "awaiting facts"])
async def test_a_case_that_nobody_has_decided_takes_one_too(caller: Caller, case: Any) -> None:
    made = await settled(caller, case())
    reply = await tell(caller, made["id"], note=...)
    assert (reply.status_code, reply.json()["phase"]) == (200, made["phase"])


async def test_a_case_for_practice_takes_one(caller: Caller) -> None:
    made = await settled(caller, stable_case() | {"training": True})
    assert (await tell(caller, made["id"])).status_code == 200


async def test_telling_the_same_again_enters_nothing_and_another_is_entered(
    caller: Caller, house: House
) -> None:
    case = (await settled(caller, stable_case()))["id"]
    for changes in (
        {},
        {},
        {"kind": "independent reader"},
        {},
        {"option": "continue-monitoring"},
        {"option": "continue-monitoring"},
        {},
    ):
        assert (await tell(caller, case, **changes)).status_code == 200
    assert [(one.kind.value, one.option) for one in await kept(house, case)] == [
        ("outcome", "urgent-review"),
        ("independent reader", "urgent-review"),
        ("outcome", "continue-monitoring"),
        ("outcome", "urgent-review"),
    ]


@pytest.mark.parametrize(
    "kind", ["decision", "signature", "blind opinion", "Outcome", "", "outcome ", 1, ["outcome"]]
)
async def test_nothing_else_is_an_outcome_and_a_decision_after_the_panel_least_of_all(
    caller: Caller, kind: Any
) -> None:
    reply = await tell(caller, "c_1", kind=kind)
    (error,) = reply.json()["errors"]
    assert (reply.status_code, error["pointer"], error["code"]) == (422, "/kind", "not-listed")
    assert "a decision taken after seeing the panel leans to it, and is no outcome" in error["detail"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"option": "send-home"}, "/option", "unknown-option"),
    ({"observed_at": (NOON + timedelta(minutes=2)).isoformat()}, "/observed_at", "future"),
    ({"observed_at": (NOON - timedelta(days=1)).isoformat()}, "/observed_at", "too-early"),
    ({"observed_at": NOON.replace(tzinfo=None).isoformat()}, "/observed_at", "instant"),
    ({"observed_at": "2026-11-22"}, "/observed_at", "instant"),
    ({"observed_at": 1764000000}, "/observed_at", "type"),
    ({"option": ...}, "/option", "missing"),
    ({"kind": ...}, "/kind", "missing"),
    ({"source": ...}, "/source", "missing"),
    ({"source": ""}, "/source", "length"),
    ({"source": "two\nlines"}, "/source", "control-character"),
    ({"note": ""}, "/note", "length"),
    ({"note": "x" * 2001}, "/note", "length"),
    ({"reviewer": "anna"}, "/reviewer", "unknown-member"),
]


@pytest.mark.parametrize(("changes", "pointer", "code"), REFUSED, ids=[f"{p[1:]} {c}" for _, p, c in REFUSED])
async def test_what_does_not_fit_is_refused_by_its_place_and_nothing_is_entered(
    caller: Caller, house: House, changes: dict[str, Any], pointer: str, code: str
) -> None:
    case = (await settled(caller, stable_case()))["id"]
    reply = await tell(caller, case, **changes)
    assert reply.status_code == 422
    assert [(error["pointer"], error["code"]) for error in reply.json()["errors"]] == [(pointer, code)]
    assert SECRET not in reply.text
    assert "outcome.recorded" not in [entry.type for entry in await entries_of(house, case)]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"option": "a", "option": "b"}', b"\xff"])
async def test_what_is_no_strict_json_is_refused(caller: Caller, body: bytes) -> None:
    reply = await caller.http.post(
        "/v1/cases/c_1/outcome", content=body, headers=caller.headers(Content_Type="application/json")
    )
    assert reply.status_code in {400, 422}


async def test_a_case_entered_in_error_has_no_outcome(caller: Caller) -> None:
    case = (await settled(caller, stable_case()))["id"]
    assert (await caller.post(f"/v1/cases/{case}/retract", {"reason": "wrong patient"})).status_code == 200
    assert (await tell(caller, case)).status_code == 409


async def test_a_foreign_site_can_tell_nothing_of_a_case(caller: Caller, stranger: Caller) -> None:
    case = (await settled(caller, stable_case()))["id"]
    assert (await tell(stranger, case)).status_code == 404
    assert (await tell(caller, "c_nobody")).status_code == 404


async def test_the_description_of_the_interface_has_an_example_that_is_taken(caller: Caller) -> None:
    document = (await caller.http.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["OutcomeIn"]
    assert schema["properties"]["kind"]["enum"] == ["outcome", "independent reader"]
    case = (await settled(caller, stable_case()))["id"]
    (example,) = schema["examples"]
    reply = await caller.post(f"/v1/cases/{case}/outcome", example | {"observed_at": NOON.isoformat()})
    assert reply.status_code == 200
