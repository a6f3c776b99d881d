"""Who may come in, and what a stranger learns."""

from __future__ import annotations

import httpx
import pytest

from arbiter.identity.clients import disable_client
from arbiter.identity.roles import Permission, Role
from arbiter.workflow.house import House
from tests.api.conftest import Caller, stable_case, token_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

GUARDED = [
    ("POST", "/v1/cases"),
    ("GET", "/v1/cases"),
    ("GET", "/v1/cases/{case}"),
    ("GET", "/v1/cases/{case}/content"),
    ("GET", "/v1/cases/{case}/wanted"),
    ("GET", "/v1/cases/{case}/decision"),
    ("GET", "/v1/cases/{case}/certificate"),
    ("GET", "/v1/cases/{case}/receipt"),
    ("GET", "/v1/cases/{case}/events"),
    ("POST", "/v1/cases/{case}/facts"),
    ("POST", "/v1/cases/{case}/cancel"),
    ("POST", "/v1/cases/{case}/contest"),
    ("POST", "/v1/cases/{case}/retract"),
    ("GET", "/v1/protocols"),
    ("GET", "/v1/protocols/deterioration"),
]


@pytest.fixture(scope="module")
def unknown_token() -> str:
    return "arb_c" + "a" * 16 + "_" + "A" * 43


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_nobody_comes_in_without_a_token(http: httpx.AsyncClient, method: str, path: str) -> None:
    reply = await http.request(method, path.format(case="c_1"), content=b"{not read}")
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="arbiter"'
    assert reply.json()["type"] == "urn:problem-type:arbiter:unauthenticated"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer arb_",
        "Basic YTpi",
        "Token arb_c",
        "Bearer arb_c_" + "A" * 43,
        "Bearer arb_c" + "a" * 16 + "_" + "A" * 42,
        "Bearer arb_C" + "a" * 16 + "_" + "A" * 43,
        "Bearer  arb_c" + "a" * 16 + "_" + "A" * 43,
        "Bearer " + "x" * 10_000,
        "Bearer arb_c" + "a" * 16 + "_" + "A" * 43,
    ],
)
async def test_a_token_malformed_or_unknown_is_refused(http: httpx.AsyncClient, authorization: str) -> None:
    reply = await http.get("/v1/cases", headers={"Authorization": authorization})
    assert reply.status_code == 401
    assert "arb_" not in reply.text


async def test_two_tokens_are_refused_even_when_one_is_good(caller: Caller, unknown_token: str) -> None:
    for tokens in (
        (caller.token, unknown_token),
        (unknown_token, caller.token),
        (caller.token, caller.token),
    ):
        headers = [("Authorization", f"Bearer {token}") for token in tokens]
        assert (await caller.http.get("/v1/cases", headers=headers)).status_code == 401


async def test_a_token_elsewhere_than_in_its_header_is_refused(caller: Caller) -> None:
    reply = await caller.http.get("/v1/cases", params={"access_token": caller.token})
    assert reply.status_code == 401


async def test_anothers_secret_does_not_open_ones_own_door(caller: Caller, stranger: Caller) -> None:
    mixed = caller.token.rsplit("_", 1)[0] + "_" + stranger.token[-43:]
    assert (
        await caller.http.get("/v1/cases", headers={"Authorization": f"Bearer {mixed}"})
    ).status_code == 401


async def test_a_disabled_client_is_refused_at_once(house: House, http: httpx.AsyncClient) -> None:
    client = Caller(http, await token_of(house))
    assert (await client.get("/v1/cases")).status_code == 200
    await disable_client(house.identities, house.clock, client.token.split("_")[1])
    assert (await client.get("/v1/cases")).status_code == 401


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        (Permission.CASES_READ, "POST", "/v1/cases"),
        (Permission.CASES_SUBMIT, "GET", "/v1/cases"),
        (Permission.CASES_SUBMIT, "GET", "/v1/cases/c_1/content"),
        (Permission.CASES_READ, "POST", "/v1/cases/c_1/facts"),
        (Permission.CASES_READ, "POST", "/v1/cases/c_1/cancel"),
        (Permission.CASES_CANCEL, "POST", "/v1/cases/c_1/contest"),
        (Permission.CASES_CONTEST, "POST", "/v1/cases/c_1/retract"),
        (Permission.CASES_READ, "GET", "/v1/protocols"),
    ],
)
async def test_a_client_without_the_permission_is_told_which(
    house: House, http: httpx.AsyncClient, scope: Permission, method: str, path: str
) -> None:
    narrow = Caller(http, await token_of(house, scopes=(scope,)))
    reply = await http.request(method, path, headers=narrow.headers(), content=b"{not read}")
    assert reply.status_code == 403
    assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
    assert "lacks the permission" in reply.json()["detail"]


async def test_an_auditor_reads_and_does_nothing_else(house: House, http: httpx.AsyncClient) -> None:
    auditor = Caller(http, await token_of(house, roles=(Role.AUDITOR,)))
    assert (await auditor.get("/v1/cases")).status_code == 200
    assert (await auditor.submit(stable_case())).status_code == 403


async def test_an_administrator_sees_no_case(house: House, http: httpx.AsyncClient) -> None:
    administrator = Caller(http, await token_of(house, roles=(Role.ADMINISTRATOR,)))
    assert (await administrator.get("/v1/cases")).status_code == 403
    assert (await administrator.get("/v1/protocols")).status_code == 200


async def test_a_foreign_sites_case_does_not_exist(caller: Caller, stranger: Caller) -> None:
    made = (await caller.submit(stable_case(), Prefer="wait=10")).json()
    never_made = "c_" + "a" * 24
    for method, path in GUARDED[2:12]:
        body = {"facts": stable_case()["facts"]} if path.endswith("facts") else {"reason": "not ours"}
        replies = [
            await stranger.http.request(
                method,
                path.format(case=case),
                headers=stranger.headers(),
                json=body if method == "POST" else None,
            )
            for case in (made["id"], never_made)
        ]
        assert [reply.status_code for reply in replies] == [404, 404], path
        assert replies[0].content == replies[1].content
    assert made["id"] not in (await stranger.get("/v1/cases")).text
    assert (await stranger.get("/v1/cases?site=st-elsewhere")).json()["cases"] == []


async def test_a_stranger_cannot_supersede_anothers_case(caller: Caller, stranger: Caller) -> None:
    made = (await caller.submit(stable_case(), Prefer="wait=10")).json()
    case = stable_case() | {"site": "far-away", "supersedes": made["id"]}
    reply = await stranger.submit(case)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["pointer"] == "/supersedes"
    assert (await caller.get(f"/v1/cases/{made['id']}")).json()["phase"] == "released"


async def test_the_public_part_needs_no_token_and_names_no_case(caller: Caller) -> None:
    made = (await caller.submit(stable_case(), Prefer="wait=10")).json()
    for path in ("/healthz", "/readyz", "/openapi.json", "/v1/audit/checkpoint", "/v1/audit/keys"):
        reply = await caller.http.get(path)
        assert reply.status_code == 200, path
        assert made["id"] not in reply.text
        assert made["requester"] not in reply.text
